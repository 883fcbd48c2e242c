"""What a node's own recovery makes of a state, and whether all that was seen before the power cut still holds.

The start of a node up to its listeners runs in a process that is forked for the state, on the mounted image.
"""

import hashlib
import json
import os
import pickle
import sqlite3
import sys
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from workload import SEEN

from router.admin.audit.audit import Guard
from router.catalogue.db.backup import sound
from router.clock import SystemClock
from router.config.file import load
from router.crypto import selftest
from router.delivery.ledger_writer import LEDGER_BATCH
from router.dicom.dataset.header import digest
from router.errors import InvalidData, RouterError
from router.images.rulebook import rulebook
from router.node.node import Node
from router.storage.pins import Pins
from router.storage.unwritten import UnwrittenFiles

Marks = Sequence[Mapping[str, Any]]
IN_FLIGHT = 2  # the destination's associations
AT_ONCE = IN_FLIGHT + 2 * LEDGER_BATCH  # instances that the platform has and the ledger may not


@dataclass(frozen=True, slots=True)
class Verdict:
    """What does not hold after recovery, in words; none where all does."""

    faults: tuple[str, ...] = ()


@dataclass
class Expected:
    """Everything seen up to a point, by kind: key and what else was noted. `purgeable` instances may be gone."""

    by_kind: dict[str, dict[str, Mapping[str, Any]]] = field(default_factory=dict)
    purgeable: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, marks: Marks) -> "Expected":
        found = cls()
        for mark in marks:
            found.by_kind.setdefault(mark["kind"], {})[mark["key"]] = mark
            if mark["kind"] == "purging":
                found.purgeable = found.keys("acknowledged")
        return found

    @classmethod
    def of_texts(cls, marks: Iterable[str]) -> "Expected":
        """As `of`, from the marks' JSON."""
        return cls.of([json.loads(mark) for mark in marks])

    def keys(self, kind: str) -> set[str]:
        return set(self.by_kind.get(kind, ()))

    def marks(self, kind: str) -> list[Mapping[str, Any]]:
        return list(self.by_kind.get(kind, {}).values())


def warm_up(config_file: Path) -> None:
    """Do once, before any process is forked, what each start does alike whatever the disk holds."""
    selftest.run()
    selftest.run = lambda: None
    rulebook(load(config_file).series)


def judge(config_file: Path, marks: Marks) -> Verdict:
    """Recover the data folder of that configuration and check it, in a process of its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        os.close(reading)
        try:
            faults = tuple(_faults(config_file, Expected.of(marks)))
        except BaseException as error:  # noqa: BLE001  # told to the parent, whatever it is
            faults = (f"recovery fails: {error!r} {''.join(traceback.format_exc()[-1500:])}",)
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(faults, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return Verdict(pickle.loads(data) if data else ("recovery ended its process",))  # our own child


def _faults(config_file: Path, expected: Expected) -> Iterator[str]:
    sys.stderr = sys.stdout = config_file.with_name("recovery.log").open("a", encoding="utf-8")
    config = load(config_file)
    try:
        node = Node(config, SystemClock())
        node.recover()
    except RouterError as error:
        yield f"the node does not start: {error}"
        return
    yield from holds(node, config.node.data, expected)


def holds(node: Node, data: Path, expected: Expected) -> Iterator[str]:
    """What does not hold of what was expected, after `node` has recovered the folder."""
    yield from _database(data, expected)
    yield from _images(data, expected)
    yield from _reports(data, expected)
    yield from _trail(node, expected)
    yield from _others(data, expected)
    yield from _by_hand(data, expected)


def rows(data: Path, query: str) -> set[str]:
    """The keys that the query finds in the database; none where it has no tables yet."""
    if not (data / "router.db").exists():
        return set()
    with closing(sqlite3.connect(data / "router.db")) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger'").fetchall():
            return set()
        return {str(key) for (key,) in connection.execute(query)}


def _database(data: Path, expected: Expected) -> Iterator[str]:
    with closing(sqlite3.connect(data / "router.db")) as connection:
        checked = connection.execute("PRAGMA integrity_check(3)").fetchall()
        if checked != [("ok",)]:
            yield f"the database is not sound: {checked}"
            return
        if connection.execute("PRAGMA foreign_key_check").fetchall():
            yield "the database has rows whose others are gone"
    for kind, query in SEEN.items():
        lost = expected.keys(kind) - rows(data, query)
        lost -= expected.purgeable if kind in ("catalogued", "sent") else set()
        if lost:
            yield f"{len(lost)} {kind} row(s) that were read are gone, e.g. {min(lost)}"


def _images(data: Path, expected: Expected) -> Iterator[str]:
    gone, known = expected.purgeable, rows(data, SEEN["catalogued"])
    quarantined = {_digest(path) for path in (data / "quarantine").glob("*/*.dcm")}
    for one in expected.marks("acknowledged"):
        path, uid = data / "studies" / one["path"], one["key"]
        if uid in gone or one["digest"] in quarantined:
            continue
        if not path.exists():
            yield f"acknowledged and not there: {uid}"
        elif _digest(path) != one["digest"]:
            yield f"acknowledged and altered: {uid}"
        elif uid not in known:
            yield f"acknowledged and not catalogued: {uid}"
    unknown = expected.keys("confirmed") - rows(data, SEEN["sent"]) - gone
    if len(unknown) > AT_ONCE:
        yield f"{len(unknown)} instances that the platform confirmed would be sent again"


def _reports(data: Path, expected: Expected) -> Iterator[str]:
    with closing(sqlite3.connect(data / "router.db")) as connection:
        documents = connection.execute("SELECT checksum, place, purged FROM document").fetchall()
        uploads = connection.execute("SELECT idem, exam_place, exam_checksum, receipt_place FROM upload").fetchall()
    held = {checksum: (place, purged) for checksum, place, purged in documents}
    for name in expected.keys("given up"):
        wanted = expected.by_kind["dropped"][name]["digest"]
        place, purged = held.get(wanted, ("", None))
        if not place:
            yield f"a file that the drop folder gave up is not known: {name}"
        elif purged is None and _sha256(data / place) != wanted:
            yield f"a file that the drop folder gave up is not there: {name}"
    for idem, place, checksum, receipt in uploads:
        if _sha256(data / place) != checksum:
            yield f"exam.json as frozen for {idem} is not there or altered"
        if receipt and not _reads(data / receipt):
            yield f"the receipt of {idem} is not there"
    if lost := expected.keys("received") - {idem for idem, *_ in uploads}:
        yield f"{len(lost)} report(s) that the platform has would be sent under another number"


def _trail(node: Node, expected: Expected) -> Iterator[str]:
    parts = node.parts
    trail = parts.audit._trail
    yield from (f"audit: {fault}" for fault in trail.verify().faults)
    guard = parts.audit._guard
    if isinstance(guard, Guard) and (fault := parts.audit.fault(guard)):
        yield f"audit: {fault}"
    text = "\n".join(record.message for record in trail.records())
    yield from (f"audit: no record of {why!r}" for why in expected.keys("act") if why not in text)


def _others(data: Path, expected: Expected) -> Iterator[str]:
    for one in expected.marks("backup"):
        path = data / "backup" / one["key"]
        if not path.exists():
            yield f"a backup is gone: {path.name}"
        elif _sha256(path) != one["digest"] or not sound(path):
            yield f"a backup is not what it was: {path.name}"
    pins = [one["key"] for one in expected.marks("pin")]
    if pins and {k: list(v) for k, v in (Pins(data).of("other") or {}).items()} != json.loads(pins[-1]):
        yield "the pins are not those that were accepted"


def _by_hand(data: Path, expected: Expected) -> Iterator[str]:
    for path, digests in {one["path"]: one["digests"] for one in expected.marks("kept")}.items():
        there = _sha256(data / path)
        if path in expected.keys("removed"):
            if there:
                yield f"a file that was removed is there again: {path}"
        elif there not in (*digests, *([""] if path in expected.keys("removing") else [])):
            yield f"a file that was durable is gone or altered: {path}"
    found = {str(one.get("number")) for one in UnwrittenFiles(data / "unwritten", "other").read()}
    if lost := expected.keys("unwritten") - found:
        yield f"{len(lost)} result(s) that the database did not take are gone"


def _digest(path: Path) -> str:
    try:
        return digest(path)
    except InvalidData:
        return "none"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def _reads(path: Path) -> bool:
    try:
        return isinstance(json.loads(path.read_bytes()), dict)
    except (OSError, ValueError):
        return False
