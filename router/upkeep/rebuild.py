"""Rebuild of the index from the files: the data folder has everything that came in, and not what was decided or sent.

Readable rows stay. A delivery that the ledger cannot vouch for is held: one of an exam that the database did not know
or that got a document or images back, and, where rows were lost at all, every one on its way. Each is held in the
transaction that makes its rows, so the next run continues one that was broken off.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.exams.documents import TakenDocument
from router.catalogue.images.instances import NewInstance
from router.catalogue.node.restore import LOST, Restore
from router.catalogue.queue.queue import Delivery
from router.clock import Clock
from router.config.sections import Config
from router.correlator.correlator import delivery_places
from router.dicom.dataset.header import read_instance
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.exam.key import ExamKey
from router.images.rulebook import BookOf
from router.intake.document import digest_of, reported, study_named
from router.intake.exam_reader import ExamReader
from router.intake.numbered import number_word
from router.intake.origin import origin_of
from router.matching.exam.readiness import PERSON
from router.matching.images.hospital import NONE, HospitalOf
from router.matching.report_pdf.naming import words
from router.policy.states import MOVES, State
from router.reports.pdf.reader import Readers
from router.series.classify import classify
from router.storage import Storage
from router.upkeep.upgrade import adopt_former, former_of

_BATCH = 64
# A document or images that came after a backup may have taken a delivery out of these states, and had it sent.
_MAY_COME_BACK = (State.DELIVERED, State.HELD, State.OUT_OF_SCOPE, State.EXCLUDED, State.NOT_SHARED, State.WITHDRAWN)
Progress = Callable[[Iterable[Path]], Iterable[Path]]


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Numbers of rows made and of deliveries held for them; `unreadable` are files, as paths below the data folder."""

    instances: int
    documents: int
    held: int
    unreadable: tuple[str, ...]


class Rebuild:
    """One run, with the node stopped. `older`: the database is a backup, so that rows made after it are lost."""

    def __init__(
        self, config: Config, catalogue: Catalogue, storage: Storage, book: BookOf, *, bus: EventBus, clock: Clock,
        older: bool = False,
    ) -> None:  # fmt: skip
        self._config = config
        self._exam_reader = ExamReader(config)
        self._catalogue = catalogue
        self._storage = storage
        self._book = book
        self._hospital_of = HospitalOf(config.hospital)
        self._bus = bus
        self._clock = clock
        self._older = older
        self._readers = Readers(1)
        self._restore = Restore(catalogue.engine)
        self._unreadable: list[str] = []
        self._held: set[int] = set()
        self._lost = False

    def run(self, progress: Progress) -> Rebuilt:
        """Give rows to every file that has none."""
        adopt_former(self._config, self._catalogue, self._bus, self._clock.now())
        if self._older:
            self._lose()
        instances = self._instances(progress)
        try:
            # Documents in the order in which they came; the JSON of an exam before its PDF, so that the exam exists.
            known = self._restore.places()
            files = [path for path in self._storage.reports.walk() if self._path_of(path) not in known]
            documents = sum(self._document(path) for path in sorted(files, key=lambda p: (p.suffix == ".pdf", _age(p))))
        finally:
            self._readers.close()
        return Rebuilt(instances, documents, len(self._held), tuple(self._unreadable))

    # -- instances

    def _instances(self, progress: Progress) -> int:
        known = {self._storage.studies.path(row.uids, row.version) for row in self._catalogue.instances.walk()}
        for files in self._catalogue.purge.removals():  # the next start removes the files of these tombstones
            known |= {self._storage.studies.path(uids, version) for uids, version in files.instances}
        batch: list[NewInstance] = []
        made = 0
        for path in progress(sorted(set(self._storage.studies.walk()) - known, key=_age)):
            new = self._instance(path)
            batch += [new] if new else []
            if len(batch) == _BATCH:
                made += self._add(batch)
                batch = []
        return made + self._add(batch)

    def _add(self, batch: list[NewInstance]) -> int:
        if batch:
            self._lose()
            with self._catalogue.engine.write():
                self._catalogue.instances.add(self._rowless(batch))
                for exam in self._restore.exams_of({new.header.uids.study for new in batch}):
                    self._hold(self._catalogue.queue.of_exam(exam))
        return len(batch)

    def _rowless(self, batch: Sequence[NewInstance]) -> list[NewInstance]:
        """Those without a row; a row whose file had been removed when the backup was made has it again."""
        instances, places = self._catalogue.instances, [_place_of(new) for new in batch]
        found = instances.known((new.header.uids.sop for new in batch), (new.digests.data_set for new in batch))
        rows = {(row.study_uid, sop, row.version): row.key for sop, some in found.items() for row in some}
        instances.returns.take([rows[place] for place in places if place in rows], self._clock.now())
        return [new for new, place in zip(batch, places, strict=True) if place not in rows]

    def _instance(self, path: Path) -> NewInstance | None:
        version = path.stem.partition("~")[2] or "1"
        try:
            with path.open("rb") as file:
                header, digests = read_instance(file)
        except InvalidData:
            header = None
        if header is None or not version.isdigit() or path != self._storage.studies.path(header.uids, int(version)):
            self._unreadable.append(self._path_of(path))
            return None
        hospital = self._hospital_of(header)
        rule = classify(header.facts, self._book(frozenset({hospital} - {NONE})))
        return NewInstance(
            header=header, version=int(version), digests=digests, size=path.stat().st_size,
            series_class=rule.series_class, rule=rule.name, received=_age(path), hospital=hospital,
        )  # fmt: skip

    # -- documents

    def _document(self, path: Path) -> bool:
        """Enter a document; False when it cannot be read."""
        place = self._path_of(path)
        owner, number = path.parts[-3], int(path.parts[-2])
        data = path.read_bytes()
        try:
            source: Mapping[str, Any] = json.loads(path.with_name("source.json").read_bytes())
            document, key = None, None
            if path.suffix != ".pdf":
                document, key = self._exam_reader.stored(data, source["name"], self._filed_under(source))
        except (InvalidData, OSError, ValueError):
            self._unreadable.append(place)
            return False
        content, content_reported = reported(key)
        taken = TakenDocument(
            kind="pdf" if key is None else "json", stem=source["name"], digest=self._digest(data, document, source),
            file_time=datetime.fromisoformat(source["file_time"]), arrived=_age(path), key=key,
            content=content, reported=content_reported, words=self._words(data) if key is None else None,
            names=study_named(source["name"]) | number_word(source["name"]), checksum=source.get("checksum", ""),
        )  # fmt: skip
        self._lose()
        with self._catalogue.engine.write():
            self._enter(taken, place, self._exam(owner, key), number)
        return True

    def _filed_under(self, source: Mapping[str, Any]) -> str:
        """The hospital that a JSON was filed under by the note beside it; "" where its way and its codes tell."""
        shared = self._config.several and origin_of(str(source["name"]))[0] is None
        return str(source.get("hospital") or (former_of(self._config) if shared else ""))

    def _enter(self, taken: TakenDocument, place: str, exam: int | None, revision: int) -> None:
        now, queue = self._clock.now(), self._catalogue.queue
        if exam and taken.words:
            taken = replace(taken, named=taken.words & self._catalogue.exams.pdf_names.identifiers(exam))
        self._catalogue.exams.documents.add(taken, place, exam, revision if exam else None, now)
        if exam:
            self._restore.revision(exam, revision)
            queue.make(exam, delivery_places(self._config), now)
            self._hold(queue.of_exam(exam))

    def _words(self, data: bytes) -> frozenset[str] | None:
        if not self._config.reports.pdf_text_check:
            return None
        (text,) = self._readers.read([data])
        return frozenset() if isinstance(text, InvalidData) else words(text.text)

    def _digest(self, data: bytes, document: Mapping[str, object] | None, source: Mapping[str, Any]) -> str:
        """The digest of the document as it came; where its copy is damaged, the one noted beside it."""
        found = hashlib.sha256(data).hexdigest() if document is None else digest_of(data, document)
        changed = source.get("checksum") not in (None, hashlib.sha256(data).hexdigest())
        return str(source["digest"]) if changed else found

    def _exam(self, owner: str, key: ExamKey | None) -> int | None:
        if key is not None:
            return self._restore.exam(int(owner), key.hospital, key.branch, key.exam_id, self._clock.now())
        return int(owner) if owner.isdigit() and self._restore.has_exam(int(owner)) else None

    def _path_of(self, path: Path) -> str:
        return path.relative_to(self._config.node.data).as_posix()

    # -- deliveries

    def _lose(self) -> None:
        """Before the first row is made, hold everything on its way: too little is known to send it."""
        if not self._lost:
            self._lost = True
            with self._catalogue.engine.write():
                self._hold(self._restore.under_way(self._catalogue.queue))

    def _hold(self, doubtful: Iterable[Delivery]) -> None:
        held = [one for one in doubtful if one.id not in self._held and self._hold_one(one)]
        if held:
            self._held |= {one.id for one in held}
            text = "rows were lost: deliveries are held, as what was sent of them is not known"
            event = Event(self._clock.now(), Kind.ALARM, text, alarm=Alarm.LEDGER, subject="ledger")
            self._bus.record(event)

    def _hold_one(self, delivery: Delivery) -> bool:
        now, queue = self._clock.now(), self._catalogue.queue
        if delivery.held_by == PERSON and delivery.state == State.HELD:
            return False
        if delivery.state in _MAY_COME_BACK:
            queue.move(delivery, State.WAITING, now, "something came that its rows did not know")
            delivery = queue.get(delivery.id) or delivery
        if (delivery.state, State.HELD) not in MOVES:
            return False
        return queue.move(delivery, State.HELD, now, "ledger lost", changes={"held_by": PERSON, "error": LOST})


def _age(path: Path) -> datetime:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def _place_of(new: NewInstance) -> tuple[str, str, int]:
    return new.header.uids.study, new.header.uids.sop, new.version
