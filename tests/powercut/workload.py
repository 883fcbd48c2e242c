"""A short life of a node on the recorded disk, and what others saw of it, each noted among the disk's writes.

Whatever a sender, the platform, the RIS, a person at a command or another reader of the database has seen must hold
after a power cut at any later instant.
"""

import hashlib
import json
import os
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Protocol

from router.admin.audit.seals import seals_of
from router.catalogue.db.backup import Backups
from router.dicom.dataset.header import digest
from router.model import InstanceUids
from router.policy.states import State
from router.storage.dailies import Dailies
from router.storage.durable import write
from router.storage.journal import SEGMENT_BYTES
from router.storage.pins import Pins
from router.storage.quarantine import Quarantine
from router.storage.reports import Reports
from router.storage.studies import Filing, Studies
from router.storage.trail import Trail
from router.storage.unwritten import UnwrittenFiles
from router.trial.demo.studies import DemoFile
from support.dicom_peers import free_port
from support.harness import OURS, Exam, Site, command_here, make_exam, send

_LOOK = 0.03
_DRAIN = 60.0
_STARTS, _SWEPT = 6, 3.0
PURGE = '[retention]\ndelivered = "1 s"\n'
# (instances, side in pixels): small ones go through the journal, and use its segments again; large ones are files.
FIRST = ((8, 60), (3, 800), (8, 10))
SECOND = ((24, 660), (6, 40))
LIVES = {"long": (FIRST, SECOND), "short": (((6, 60), (2, 800)), ((2, 40),)), "brief": (((6, 60), (2, 800)), ())}

# What a reader of the database has seen: name of the mark, query of its keys.
SEEN = {
    "catalogued": "SELECT sop_uid FROM instance",
    "sent": "SELECT sop_uid FROM instance JOIN ledger ON ledger.instance_id = instance.id WHERE state = 'sent'",
    "frozen": "SELECT idem || ' ' || exam_place || ' ' || COALESCE(exam_checksum, '') FROM upload",
    "receipt": "SELECT receipt_place FROM upload WHERE confirmed IS NOT NULL",
    "taken": "SELECT checksum FROM document WHERE checksum IS NOT NULL",
    "event": "SELECT id || ' ' || kind || ' ' || substr(text, 1, 80) FROM event",
    "setting": "SELECT name || ' ' || value FROM setting",
}


class Marked(Protocol):
    """A disk on which events are marked."""

    def mark(self, text: str) -> None:
        """Put down that something has happened."""


class Witness:
    """Notes what is seen of a site: each thing once, by kind and key."""

    def __init__(self, site: Site, disk: Marked) -> None:
        self._site = site
        self._disk = disk
        self._seen: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def note(self, kind: str, key: str, **more: object) -> None:
        """An event; nothing when it is known."""
        with self._lock:
            if (kind, key) not in self._seen:
                self._seen.add((kind, key))
                self._disk.mark(json.dumps({"kind": kind, "key": key, **more}, ensure_ascii=False))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """While a thread looks at database, platform and drop folder."""
        thread = threading.Thread(target=self._watch, name="witness")
        thread.start()
        try:
            yield
        finally:
            self._stopping.set()
            thread.join()

    def send(self, files: Sequence[DemoFile]) -> None:
        """The modality: what is answered Success is noted."""
        for result in send(self._site.port, files):
            if result.status != 0:
                raise AssertionError(f"an instance was answered {result.status}")
            file = files[result.key]
            path = f"{file.study}/{file.series}/{file.sop_instance}.dcm"
            self.note("acknowledged", file.sop_instance, path=path, digest=digest(file.path))

    def drop(self, name: str, data: bytes) -> None:
        """The RIS."""
        self.note("dropped", name, digest=_sha256(data))
        self._site.drop(name, data)

    def act(self, *arguments: str) -> None:
        """A person's command, which has returned; its reason is found in the audit trail."""
        why = f"reason {len(self._seen)}"
        done = command_here("queue", *arguments, "--why", why, "--config", self._site.config_file)
        if done.returncode:
            raise AssertionError(f"queue {arguments}: {done.stdout}{done.stderr}")
        self.note("act", why)

    def back_up(self) -> None:
        """`backup now`."""
        done = command_here("backup", "now", "--config", self._site.config_file)
        if done.returncode:
            raise AssertionError(f"backup: {done.stdout}{done.stderr}")
        newest = Backups(self._site.data).listed()[0]
        self.note("backup", newest.path.name, digest=_sha256(newest.path.read_bytes()))

    def pin(self) -> None:
        """A change of pins, as `keys pin` makes it."""
        ids = {"signing": ("one", f"two {len(self._seen)}")}
        Pins(self._site.data).pin("other", ids)
        self.note("pin", json.dumps(ids))

    def keep(self, path: Path, content: bytes, *later: bytes) -> None:
        """A file that is durable; what comes `later` may be there already."""
        name, digests = str(path.relative_to(self._site.data)), [_sha256(each) for each in (content, *later)]
        self.note("kept", f"{name} {digests[0]}", path=name, digests=digests)

    def _watch(self) -> None:
        while not self._stopping.is_set():
            self._look_at_platform()
            self._look_at_folder()
            self._look_at_database()
            self._stopping.wait(_LOOK)
        self._look_at_platform()

    def _look_at_platform(self) -> None:
        log = self._site.folder / "platform.log"
        for uid in re.findall(r"C-STORE 0000 sop_instance=(\S+)", log.read_text(encoding="utf-8")):
            self.note("confirmed", uid)
        receipts = self._site.platform_data / "receipts.jsonl"
        if receipts.exists():
            for line in receipts.read_text(encoding="utf-8").splitlines():
                if line.endswith("}"):
                    self.note("received", json.loads(line)["idem"])

    def _look_at_folder(self) -> None:
        for path in (self._site.drop_folder / "done").glob("*"):
            if not (self._site.drop_folder / path.name).exists():
                self.note("given up", path.name)

    def _look_at_database(self) -> None:
        database = self._site.data / "router.db"
        if not database.exists() or not database.stat().st_size:
            return
        try:
            with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=20)) as connection:
                found = {kind: connection.execute(query).fetchall() for kind, query in SEEN.items()}
        except sqlite3.OperationalError:  # it is just being made
            return
        for kind, rows in found.items():
            for (key,) in rows:
                self.note(kind, str(key))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def by_hand(data: Path, witness: Witness) -> None:
    """What a node does in rarer cases, by the same functions: each returns when its result is durable."""
    top, now = data / "byhand", datetime.now(UTC)
    source, target = top / "source.dcm", Filing(top / "source.dcm", InstanceUids("1.2", "1.2.3", "1.2.3.4"), 1)
    studies, quarantine = Studies(top / "studies"), Quarantine(data / "quarantine")
    reports = Reports(top)
    texts = [f"{number}" * 9000 for number in range(3)]
    for number, text in enumerate(texts):
        write(source, text.encode())
        (studies.replace if number else studies.file)([target])
        witness.keep(studies.path(target.uids, 1), text.encode(), *map(str.encode, texts[number + 1 :]))
        studies.release([source])
        write(top / "odd.dcm", text.encode())
        witness.keep(quarantine.take(top / "odd.dcm", now, "odd", "because") / "odd.dcm", text.encode())
        witness.keep(quarantine.keep("odd.json", text.encode(), now, "odd", "because") / "odd.json", text.encode())
        witness.keep(Dailies(data).write(date(2026, 1, number + 1), {}, text), text.encode())
        document, sent = f"reports/{number}/1/exam.json", f"reports/{number}/sent/cloud/1/exam.json"
        copies = reports.copies()
        copies.keep(document, text.encode(), {"name": "exam.json"})
        copies.close()
        witness.keep(reports.path(document), text.encode())
        reports.write(sent, text.encode(), 1)
        witness.keep(reports.path(sent), text.encode())
        trail = Trail(top / f"audit{number}", lambda message: hashlib.sha256(message).digest())
        trail.append([text], now)
        witness.keep(file := next(trail.folder.glob("*.jsonl")), file.read_bytes())
        seals_of(top, f"node{number}")
        for key in (top / "node-keys" / f"node{number}").glob("audit-*"):
            witness.keep(key, key.read_bytes())
        UnwrittenFiles(data / "unwritten", "other").add([{"number": number}])
        witness.note("unwritten", str(number))
    removals: list[tuple[Path, Callable[[], object]]] = [
        (studies.path(target.uids, 1), lambda: studies.remove([studies.path(target.uids, 1)])),
        (reports.path("reports/0/1/exam.json"), lambda: reports.remove(["reports/0/1"])),
    ]
    for path, remove in removals:
        name = str(path.relative_to(data))
        witness.note("removing", name)
        remove()
        witness.note("removed", name)


class Life:
    """What happens on the disk: lives of a node, one of which is killed; in the last one the first exams are purged.

    `length` is one of LIVES: without a second part nothing is purged. `killed`: the last life ends so, with instances
    in the journal only.
    """

    def __init__(
        self, folder: Path, disk: Marked, *, program: Sequence[str] = OURS, length: str = "long", killed: bool = False
    ) -> None:
        self._killed = killed
        self.site = Site(
            folder, stable_after="300 ms", workers=1, journal="16 MiB", min_free="1 MiB", program=program,
        )  # fmt: skip
        self._disk = disk
        self._sizes = LIVES[length]
        self._port = free_port()
        self.exams: list[Exam] = []
        self.witness = Witness(self.site, disk)

    def run(self) -> None:
        """All of it; fails where something is not delivered."""
        site, witness = self.site, self.witness
        site.configure(receive_port=self._port)
        first, second = self._sizes
        try:
            assert site.node.running
            self._part_pages()
            with witness.watching():
                self._receive(1, first, self._act)
                if not self._killed:
                    self._die()
                    assert site.node.running
                if second:
                    self._purge_first()
                    self._receive(101, second, lambda: None)
                witness.act("pause", "--yes")
                if self._killed:
                    self._die()
                    return
                site.node.stop()
                by_hand(site.data, witness)
        finally:
            site.stop()

    def _receive(self, number: int, sizes: Sequence[tuple[int, int]], meanwhile: Callable[[], None]) -> None:
        made = [make_exam(self.site, number + n, instances=count, side=side) for n, (count, side) in enumerate(sizes)]
        self.exams += made
        senders = [threading.Thread(target=self.witness.send, args=(exam.study.files,)) for exam in made]
        for thread in senders:
            thread.start()
        for exam in made:
            self.witness.drop(f"{exam.id}.pdf", exam.pdf(self.site.folder))
            self.witness.drop(f"{exam.id}.json", exam.json())
        meanwhile()
        for thread in senders:
            thread.join()
        for exam in made:
            self.site.wait_for(State.DELIVERED, exam.id, seconds=_DRAIN)

    def _act(self) -> None:
        self.witness.act("pause", "--yes")
        self.witness.pin()
        self.witness.back_up()
        self.witness.act("resume")

    def _part_pages(self) -> None:
        """Have the system forget the journal's pages: it keeps what was written together as one, and writes it so."""
        folder = self.site.data / "incoming"
        self.site.wait_until(lambda: len(list(folder.rglob("*.journal"))) == 2, "the journal is there")
        self.site.wait_until(lambda: all(p.stat().st_size == SEGMENT_BYTES for p in folder.rglob("*.journal")), "whole")
        time.sleep(0.3)
        for path in folder.rglob("*.journal"):
            with path.open("rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def _die(self) -> None:
        """The node is killed with instances that are in its journal only."""
        exam = make_exam(self.site, 51, instances=3, side=10)
        self.witness.send(exam.study.files)
        self.site.node.kill()

    def _purge_first(self) -> None:
        """The node begins again with a short retention. It looks once an hour, and only at exams that need nothing."""
        self.site.node.stop()
        file = self.site.config_file
        file.write_text(file.read_text(encoding="utf-8") + PURGE, encoding="utf-8")
        time.sleep(1.1)
        self.witness.note("purging", "")
        for _ in range(_STARTS):
            assert self.site.node.running
            if self._purged_within(_SWEPT):
                return
            self.site.node.stop()
        raise AssertionError("retention removes nothing")

    def _purged_within(self, seconds: float) -> bool:
        first, until = self.site.data / "studies" / self.exams[0].study.uid, time.monotonic() + seconds
        while first.exists() and time.monotonic() < until:
            time.sleep(0.05)
        return not first.exists()
