"""Bit flips in every kind of file of a stopped node: found, without effect, or neither.

    flips.py [--times N] [--seed S] [--only KIND ...]

A node lives for a moment and is killed; then, time and again on a copy of its data folder, one bit of one file is
flipped, the node recovers, and `verify`, SQLite's check and the audit trail's are asked. A flip is *found* where one of
them or the start says so, *found when sent* where what is sent is compared with its row before, *without effect* where
everything seen before still holds and the database says the same as
without the flip, else *neither*.
"""

import argparse
import hashlib
import os
import pickle
import random
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

sys.path[1:1] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from disk import call
from verdict import Expected, holds, warm_up
from workload import Life

from router.catalogue.db.backup import Backups, sound
from router.clock import SystemClock
from router.config.file import load
from router.errors import RouterError
from router.node.node import Node
from support.harness import command_here

FOUND, LATER, NOTHING, NEITHER = "found", "found when sent", "without effect", "neither"
OUTCOMES = (FOUND, LATER, NOTHING, NEITHER)
KINDS: Mapping[str, str] = {
    "journal": "incoming/*/*/*.journal",
    "instance in incoming/": "incoming/*/*/*.dcm",
    "stored instance": "studies/*/*/*.dcm",
    "report (PDF or JSON)": "reports/*/*/[re]*.*",
    "report as sent, receipt": "reports/*/sent/*/*/*.json",
    "database": "router.db",
    "database's log (WAL)": "router.db-wal",
    "backup": "backup/*.db",
    "audit trail": "audit/*/*.jsonl",
    "pins": "pins.json",
    "keys of the trail": "node-keys/*/audit-*",
}


class Collected:
    """A disk that keeps the marks only."""

    def __init__(self) -> None:
        self.marks: list[str] = []

    def mark(self, text: str) -> None:
        self.marks.append(text)


def flip(data: Path, pattern: str, dice: random.Random) -> bool:
    """One bit of one file, where its content is; False where there is no such file."""
    files = [path for path in sorted(data.glob(pattern)) if path.read_bytes().strip(b"\0")]
    if not files:
        return False
    path = dice.choice(files)
    content = bytearray(path.read_bytes())
    used = [at for at in range(0, len(content), 512) if content[at : at + 512].strip(b"\0")]
    start = dice.choice(used)
    at = min(start + dice.randrange(512), len(content) - 1)
    content[at] ^= 1 << dice.randrange(8)
    path.write_bytes(content)
    return True


def outcome(config_file: Path, expected: Expected, usual: object) -> str:
    """What recovery and checks make of the data folder, in a process of its own."""
    return str(_apart(lambda: _outcome(config_file, expected, usual)))


def _apart(work: Callable[[], object]) -> Any:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(work(), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        data = pipe.read()
    os.waitpid(child, 0)
    return pickle.loads(data) if data else FOUND


def _outcome(config_file: Path, expected: Expected, usual: object) -> str:
    sys.stderr = config_file.with_name("recovery.log").open("a", encoding="utf-8")
    config = load(config_file)
    try:
        node = Node(config, SystemClock())
        node.recover()
        if _doubts(node, config.node.data, config_file):
            return FOUND
        if _changed_to_send(config.node.data):
            return LATER
        same = content(config.node.data) == usual and not list(holds(node, config.node.data, expected))
    except (RouterError, sqlite3.Error, ValueError, OSError):  # the start, or whoever reads it, stumbles
        return FOUND
    return NOTHING if same else NEITHER


def _doubts(node: Node, data: Path, config_file: Path) -> bool:
    """Whether the product itself says that something is wrong."""
    trail = node.parts.audit._trail
    return bool(
        command_here("verify", "--config", config_file).returncode
        or trail.verify().faults
        or list((data / "quarantine").iterdir())
        or not all(sound(one.path) for one in Backups(data).listed())
        or not _database_is_sound(data)
    )


def _changed_to_send(data: Path) -> bool:
    """Whether a file is not what its row says, which is compared each time before it is sent."""
    rows = (
        "SELECT place, checksum FROM document WHERE purged IS NULL AND checksum IS NOT NULL",
        "SELECT exam_place, exam_checksum FROM upload WHERE exam_checksum IS NOT NULL",
    )
    with closing(sqlite3.connect(data / "router.db")) as connection:
        places = [row for query in rows for row in connection.execute(query)]
    return any(hashlib.sha256((data / place).read_bytes()).hexdigest() != checksum for place, checksum in places)


def _database_is_sound(data: Path) -> bool:
    with closing(sqlite3.connect(data / "router.db")) as connection:
        return connection.execute("PRAGMA integrity_check(1)").fetchall() == [("ok",)]


def content(data: Path) -> object:
    """What the database decides by, without times and what a start adds."""
    queries = (
        "SELECT destination, state, rule, instance_id FROM ledger ORDER BY id",
        "SELECT destination, channel, state, held_by FROM delivery ORDER BY id",
        "SELECT sop_uid, version, digest, checksum, cut FROM instance ORDER BY id",
        "SELECT kind, digest, place, exam_id, revision FROM document ORDER BY id",
        "SELECT idem, exam_place, pdf_place, exam_checksum FROM upload ORDER BY id",
        "SELECT branch, exam_id, accession_number, patient_id, patient_name FROM exam ORDER BY id",
    )
    with closing(sqlite3.connect(data / "router.db")) as connection:
        return [connection.execute(query).fetchall() for query in queries]


def tallies(folder: Path, kinds: Sequence[str], times: int, seed: int) -> Iterator[tuple[str, Counter[str]]]:
    """By kind of file, how often each outcome."""
    disk = Collected()
    life = Life(folder / "site", disk, length="brief", killed=True)
    life.run()
    life.site.stop()
    expected = Expected.of_texts(disk.marks)
    warm_up(life.site.config_file)
    former = folder / "former"
    life.site.data.rename(former)

    def anew() -> None:
        shutil.rmtree(life.site.data, ignore_errors=True)
        call("cp", "-a", former, life.site.data)  # with its hard links

    anew()
    usual = _apart(lambda: _usual(life.site.config_file))
    for kind in kinds:
        dice, found = random.Random(f"{seed}-{kind}"), Counter[str]()
        for _ in range(times):
            anew()
            if kind == "database":  # else the log's pages stand before its own
                _write_back(life.site.data / "router.db")
            if flip(life.site.data, KINDS[kind], dice):
                found[outcome(life.site.config_file, expected, usual)] += 1
        yield kind, found


def _write_back(database: Path) -> None:
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _usual(config_file: Path) -> object:
    config = load(config_file)
    Node(config, SystemClock()).recover()
    return content(config.node.data)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="flips", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="flips in each kind of file (default 20)")
    parser.add_argument("--seed", type=int, default=7183, help="of all chances")
    parser.add_argument("--only", nargs="+", choices=list(KINDS), help="kinds of files")
    given = parser.parse_args(arguments)
    folder = Path(tempfile.mkdtemp(prefix="flips-"))
    try:
        print(f"| file | flips | {' | '.join(OUTCOMES)} |\n{'| --- ' * 6}|")
        for kind, found in tallies(folder, given.only or list(KINDS), given.times, given.seed):
            cells = (kind, found.total(), *(found[each] for each in OUTCOMES))
            print(f"| {' | '.join(map(str, cells))} |", flush=True)
    finally:
        shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
