"""The catalogue in memory, as the intake and the correlator ask it: for histories by the hundred thousand.

What the SQL of the real one decides is said here once more, plainly; the contract and integration tests are for that.
"""

import hashlib
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from histories import START, Cloud, PlainReaders, Report
from router.catalogue.exams.exams import ExamSnapshot, OverlappingExam, TakenDocument, Waiting
from router.catalogue.images.ledger import Fate, Tally
from router.catalogue.images.studies import StudyHere
from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock
from router.config.sections import Config, Destination
from router.correlator.assessment import images_of
from router.correlator.correlator import Correlator
from router.events import EventBus
from router.exam.key import ExamKey, approved
from router.intake.exam_reader import ExamReader
from router.intake.intake import Dropped, Intake
from router.matching.exam.versions import JsonVersion, PdfVersion, successive
from router.matching.images.renewal import Fingerprint, renewal
from router.matching.patient.identity import IdentityPolicy, StudyIdentity
from router.matching.report_pdf.calibration import Calibration
from router.matching.report_pdf.naming import doubt, identifiers, words
from router.model import Channel, Header
from router.policy.states import State, require_move
from router.reports.folder.settle import Seen
from router.reports.pdf.reader import PdfText


@dataclass
class Paper:
    """A document of the drop folder."""

    number: int
    taken: TakenDocument
    place: str
    exam: int | None
    vouched: bool
    named: frozenset[str] = frozenset()

    @property
    def said(self) -> frozenset[str]:
        return frozenset() if self.vouched and self.exam is not None else self.taken.words or frozenset()


@dataclass
class Entry:
    """An exam."""

    number: int
    branch: str
    exam_id: str
    described: tuple[str, str, str] = ("", "", "")
    doubt: str = ""
    revisions: int = 0
    approved: bool = False
    links: dict[str, str] = field(default_factory=dict)

    @property
    def words(self) -> frozenset[str]:
        return identifiers(self.exam_id, self.described[0], self.described[1])


@dataclass
class Version:
    """A version of an instance and what became of it at the destination."""

    header: Header
    received: datetime
    fate: Fate | None = None

    @property
    def identity(self) -> StudyIdentity:
        return StudyIdentity(self.header.patient, self.header.accession_number)


def _described(key: ExamKey) -> tuple[str, str, str]:
    return key.accession_number, key.patient.name, key.patient.patient_ids.get("Patient.PatientId", "")


class Memory:
    """Exams, namings, queue, accounts and what else is asked, for one destination."""

    def __init__(self) -> None:
        self.papers: list[Paper] = []
        self.entries: dict[int, Entry] = {}
        self.touched: set[int] = set()
        self.looks: dict[int, datetime] = {}
        self.studies_doubt: dict[str, str] = {}
        self.instances: dict[tuple[str, str], list[Version]] = {}
        self.deliveries: dict[int, Delivery] = {}
        self.pdf_names = SimpleNamespace(said=self._said, names_of=lambda _: {}, bearers=lambda _: [])
        self.originals = SimpleNamespace(missed=list)  # no copy is ever purged here
        self.files = SimpleNamespace(of_paths=lambda *_: [])
        self.traces = SimpleNamespace(exam=lambda _: SimpleNamespace(came=START))
        self.refusals = SimpleNamespace(of_studies=lambda _: [], without_study=lambda _: [])  # nothing is refused
        self.calibrations = SimpleNamespace(of=lambda _: Calibration(), learn=lambda *_, **__: None)
        self.exams = self.queue = self.ledger = self.alarms = self
        self.commitments = SimpleNamespace(next_ask=None)
        self.uploads = SimpleNamespace(of=lambda _: ())  # a count is corrected as often as it changes
        self.open = SimpleNamespace(note=lambda *_: None)  # what waits for a person is nobody's question here
        self.withheld = SimpleNamespace(  # no header names a request
            any=lambda _: False, requests=lambda _: [], wanted=lambda *_: False, withhold=lambda *_: None
        )
        self.decisions = SimpleNamespace(  # nobody decides anything
            classes=dict, parted=lambda _: frozenset(), unsettled=lambda exam, found, now: list(found.values())
        )

    # -- exams

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()

    def known(self, branch: str, exam_id: str) -> int | None:
        return next((e.number for e in self.entries.values() if (e.branch, e.exam_id) == (branch, exam_id)), None)

    def new(self, key: ExamKey, now: datetime) -> int:
        number = len(self.entries) + 1
        self.entries[number] = Entry(number, key.branch, key.exam_id, _described(key))
        return number

    def next_revision(self, exam: int) -> int:
        self.entries[exam].revisions += 1
        return self.entries[exam].revisions

    def next_document(self) -> int:
        return len(self.papers) + 1

    def _of(self, exam: int, kind: str) -> list[Paper]:
        return [p for p in self.papers if p.exam == exam and p.taken.kind == kind]

    def seen(self, kind: str, stem: str, digest: str, file_time: datetime) -> bool:
        same = (p.taken for p in self.papers if (p.taken.kind, p.taken.stem, p.taken.digest) == (kind, stem, digest))
        return any(taken.file_time >= file_time for taken in same)

    def latest(self, exam: int, kind: str) -> str | None:
        return next((p.taken.digest for p in reversed(self._of(exam, kind))), None)

    def current_jsons(self, exam: int) -> set[str]:
        papers = self._of(exam, "json")
        counting = {v.document for v in successive([_json(p) for p in papers])[-1:]}
        return {p.taken.digest for p in papers if p is papers[-1] or p.number in counting}

    def last_counts(self, exam: int) -> bool:
        papers = self._of(exam, "json")
        return successive([_json(p) for p in papers])[-1].document == papers[-1].number

    def exams_of_stem(self, stem: str) -> list[int]:
        found = [p.exam for p in reversed(self.papers) if p.taken.kind == "json" and p.taken.stem == stem]
        return list(dict.fromkeys(exam for exam in found if exam is not None))

    def identifiers(self, exam: int) -> frozenset[str]:
        return self.entries[exam].words

    def exam_named(self) -> int | None:
        return None

    def claimable(self, stem: str, exam: int) -> list[Waiting]:
        pdfs = [p for p in self.papers if p.taken.kind == "pdf" and p.taken.stem == stem]
        return [
            Waiting(p.number, p.place, p.exam) for p in pdfs if p.exam is None or (p.exam != exam and not p.vouched)
        ]

    def waits(self, stem: str, digest: str) -> bool:
        return any(p.exam is None and (p.taken.stem, p.taken.digest) == (stem, digest) for p in self.papers)

    def damaged(self, kind: str, digest: str) -> None:
        del kind, digest

    def missed(self, digest: str) -> None:
        """No copy is ever purged here."""

    def add(self, taken: TakenDocument, place: str, exam: int | None, revision: int | None, now: datetime) -> int:
        named = (taken.words or frozenset()) & (frozenset() if exam is None else self.entries[exam].words)
        vouched = taken.words is None or bool(named)
        self.papers.append(Paper(len(self.papers) + 1, taken, place, exam, vouched, named))
        if exam is not None:
            self.touched.add(exam)
        return len(self.papers)

    def bind(self, document: int, exam: int, revision: int, place: str, now: datetime) -> None:
        paper = self.papers[document - 1]
        self.touched |= {exam, paper.exam or exam}
        paper.named = paper.said & self.entries[exam].words
        paper.vouched |= bool(paper.named)
        paper.exam, paper.place = exam, place

    def remember(self, path: str, size: int, file_time: int, digest: str) -> None:
        """Nothing is read twice here."""

    def numbered(self, number: str, exam: int) -> list[tuple[Waiting, str]]:
        return []  # no file's name is a number

    def uploaded(self, place: str) -> Mapping[int, str]:
        return {}

    def _said(self, document: int) -> frozenset[str]:
        return self.papers[document - 1].said

    def touch(self, exams: Iterable[int], now: datetime) -> None:
        self.touched |= set(exams)

    def touch_those_naming(self, exam: int, now: datetime) -> None:
        words = self.entries[exam].words
        self.touched |= {p.exam for p in self.papers if p.exam is not None and p.exam != exam and p.said & words}

    def describe(self, exam: int, key: ExamKey) -> bool:
        changed = self.entries[exam].described != _described(key)
        self.entries[exam].described = _described(key)
        return changed

    def checked(
        self,
        case: ExamSnapshot,
        check_at: datetime | None,
        approved_at: datetime | None,
        doubt: str,
        chosen: object = None,
    ) -> bool:
        self.entries[case.exam].doubt, self.entries[case.exam].approved = doubt, approved_at is not None
        self.looks.pop(case.exam, None)
        if check_at is not None:
            self.looks[case.exam] = check_at
        return True

    def approve(self, case: ExamSnapshot, approved_at: datetime | None, now: datetime) -> None:
        self.entries[case.exam].approved = approved_at is not None
        self.touched |= {sibling.exam for sibling in case.siblings}

    def mark_stale(self, documents: Sequence[int]) -> list[int]:
        return []

    def link(self, exam: int, study_uids: Iterable[str], joined_by: str, now: datetime) -> list[str]:
        links = self.entries[exam].links
        new = [uid for uid in dict.fromkeys(study_uids) if uid not in links]
        links |= dict.fromkeys(new, joined_by)
        self.touched |= {e.number for e in self.entries.values() if e.number != exam and set(new) & e.links.keys()}
        return new

    def unlink(self, exam: int, study_uids: Iterable[str]) -> None:
        for uid in study_uids:
            del self.entries[exam].links[uid]

    def candidates(self, accession_number: str, known: Mapping[str, StudyHere]) -> list[StudyHere]:
        if not accession_number:
            return []
        uids = dict.fromkeys(uid for (uid, _), versions in self.instances.items()
                             for one in versions if one.header.accession_number == accession_number)  # fmt: skip
        return list(self._studies(uids).values())

    def case(self, exam: int) -> ExamSnapshot:
        entry = self.entries[exam]
        jsons, pdfs = self._of(exam, "json"), self._of(exam, "pdf")
        siblings = tuple(
            OverlappingExam(e.number, e.described[0], e.described[2], e.described[1], uid, e.approved)
            for e in self.entries.values() for uid in e.links if e.number != exam and uid in entry.links
        )  # fmt: skip
        return ExamSnapshot(
            exam, entry.branch, entry.exam_id, 0, entry.doubt, tuple(map(_json, jsons)),
            tuple(self._pdf(p, entry) for p in pdfs), {p.number: p.place for p in (*jsons, *pdfs)}, dict(entry.links),
            self._studies(entry.links), siblings, entry.approved,
        )  # fmt: skip

    def _pdf(self, paper: Paper, entry: Entry) -> PdfVersion:
        taken, question = paper.taken, ""
        if not paper.vouched:
            others = (e.number for e in self.entries.values() if e is not entry and e.words & paper.said)
            reused = any(exam != entry.number for exam in self.exams_of_stem(taken.stem))
            question = doubt(paper.said, entry.words, next(others, None), reused=reused)
        vouched = paper.vouched or bool(paper.said & entry.words)
        named = paper.named or paper.said
        return PdfVersion(
            document=paper.number, arrived=taken.arrived, file_time=taken.file_time, doubt=question, named=named,
            stem=taken.stem, vouched=vouched,
        )  # fmt: skip

    def known_number(self, number: str, exam: int) -> bool:
        return any(number in (*e.words, e.described[2]) for e in self.entries.values() if e.number != exam)

    # -- instances

    def receive(self, header: Header, now: datetime) -> None:
        """As the cataloguer does it."""
        key = header.uids.study, header.uids.sop
        versions = self.instances.setdefault(key, [])
        if header in [one.header for one in versions]:
            return
        versions.append(Version(header, now))
        shared = {study for study, sop in self.instances if sop == key[1]}
        if len(shared) > 1:
            self.studies_doubt |= dict.fromkeys(shared, "an instance lies in two studies")
        shared.add(key[0])
        for entry in self.entries.values():
            if shared & entry.links.keys() or header.accession_number == entry.described[0]:
                self.touched.add(entry.number)

    def _studies(self, uids: Iterable[str]) -> dict[str, StudyHere]:
        return {uid: study for uid in uids if (study := self._study(uid)) is not None}

    def _study(self, uid: str) -> StudyHere | None:
        mine = [versions for (study, _), versions in self.instances.items() if study == uid]
        if not mine:
            return None
        newest = tuple(dict.fromkeys(versions[-1].identity for versions in mine))
        last = max(version.received for versions in mine for version in versions)
        head = mine[0][0].header
        return StudyHere(uid, newest, head.accession_number, head.study_date, head.study_time, "", "", "", "", "", "",
                         ("CT",), len(mine), self.studies_doubt.get(uid, ""), last)  # fmt: skip

    # -- ledger

    def select(self, destination: Destination, case: ExamSnapshot, *, complete: bool, now: datetime,
               late_after: datetime | None = None) -> bool:  # fmt: skip
        """Everything is chosen, but for versions that contradict what was sent or say the same."""
        for (study, _), versions in self.instances.items():
            if study in case.links and versions[-1].fate is None:
                before = next((one for one in reversed(versions[:-1]) if one.fate is Fate.SENT), None)
                versions[-1].fate = _fate(before, versions[-1])
                for one in versions[:-1]:
                    one.fate = Fate.FILTERED if one.fate in (Fate.SELECTED, Fate.HELD) else one.fate
        return False

    def tallies(self, exams: Sequence[int]) -> dict[tuple[int, str], Tally]:
        links = self.entries[exams[0]].links
        mine = [versions for (study, _), versions in self.instances.items() if study in links]
        fates = [next((v.fate for v in reversed(vs) if v.fate is not Fate.FILTERED), None) for vs in mine]
        sent, held = fates.count(Fate.SENT), fates.count(Fate.HELD)
        return {(exams[0], "cloud"): Tally(fates.count(Fate.SELECTED) + sent + held, sent, held=held)}

    def to_send(self, exam: int) -> Iterator[Version]:
        links = self.entries[exam].links
        every = itertools.chain.from_iterable(v for (study, _), v in self.instances.items() if study in links)
        return (one for one in every if one.fate is Fate.SELECTED)

    # -- queue and alarms

    def of_exam(self, exam: int) -> list[Delivery]:
        return [d for d in self.deliveries.values() if d.exam == exam]

    def make(self, exam: int, places: Iterable[tuple[str, Channel]], now: datetime) -> None:
        for name, channel in places:
            number = len(self.deliveries) + 1
            self.deliveries[number] = Delivery(number, exam, name, channel, State.WAITING, (), None, None, None, 0, "",
                                               "", 0, "", "", "", now)  # fmt: skip

    def move(self, delivery: Delivery, to: State, now: datetime, why: str, *, changes: Mapping[str, Any]) -> bool:
        require_move(delivery.state, to)
        self._change(delivery, state=to, **changes)
        return True

    def update(self, delivery: Delivery, **changes: Any) -> None:
        self._change(delivery, **changes)

    def _change(self, delivery: Delivery, **changes: Any) -> None:
        changes["waiting_for"] = ()
        self.deliveries[delivery.id] = replace(self.deliveries[delivery.id], **changes)

    def get(self, delivery: int) -> Delivery:
        return self.deliveries[delivery]

    def stands(self, *_: object) -> bool:
        """Every data set here is whole, so nothing is told of one that is not."""
        return False

    def standing(self, exam: int) -> Collection[Any]:
        return ()


def _fate(before: Version | None, newer: Version) -> Fate:
    if before is None:
        return Fate.SELECTED
    sent, now = (Fingerprint(one.identity, "o", "p") for one in (before, newer))
    found = renewal(sent, now, IdentityPolicy())
    return Fate.HELD if found.doubt else Fate.SELECTED if found.goes else Fate.FILTERED


def _json(paper: Paper) -> JsonVersion:
    taken = paper.taken
    assert taken.key is not None
    return JsonVersion(
        document=paper.number, arrived=taken.arrived, file_time=taken.file_time, submit_time=taken.key.submit_time,
        approve_time=taken.key.approve_time, approved=approved(taken.key), content=taken.content,
        reported=taken.reported, stem=taken.stem,
    )  # fmt: skip


class Folder:
    """Storage in memory, all parts in one."""

    def __init__(self) -> None:
        self.reports = self.incoming = self.quarantine = self
        self._files: dict[str, bytes] = {}
        self._sources: dict[str, Mapping[str, object]] = {}

    def copies(self) -> "Folder":
        return self

    def close(self) -> None:
        """Everything is durable here."""

    forget = close

    def place(self, kind: str, exam: int | None, number: int) -> str:
        return f"{'unpaired' if exam is None else exam}/{number}/{kind}"

    def taken(self, place: str) -> bool:
        return False

    def keep(self, place: str, data: bytes, source: Mapping[str, object]) -> None:
        self._files[place], self._sources[place] = data, source

    def move(self, old: str, new: str, *, stays: bool) -> None:
        self._files[new], self._sources[new] = self._files[old], self._sources[old]

    def source(self, place: str) -> Mapping[str, object]:
        return self._sources[place]

    def read(self, place: str) -> bytes:
        return self._files[place]

    def oldest(self) -> None:
        return None


class NodeInMemory:
    """Intake, correlator and all decisions as they are; catalogue, files, selection and sending are stood in for."""

    def __init__(self, config: Config, references: ExamReader) -> None:
        self.config, self._references = config, references
        self.clock, self.cloud, self.memory, self._folder = FakeClock(START), Cloud(), Memory(), Folder()
        self.restart()

    def restart(self) -> None:
        bus, memory, folder = EventBus(), cast(Any, self.memory), cast(Any, self._folder)
        self._intake = Intake(self.config, self._references, memory, folder, bus, self.clock, PlainReaders(1))
        self._correlator = Correlator(self.config, self._references, memory, folder, memory, bus, self.clock)

    def drop(self, name: str, data: bytes) -> None:
        stem, kind = name.split(".")
        key, said, read = None, None, None
        if kind == "json":
            key = self._references.key(self._references.read(data), "01")
        else:
            said, read = words(data.decode()), PdfText(text=data.decode())
        digest, now = hashlib.sha256(data).hexdigest(), self.clock.now()
        self._intake.file(
            [
                Dropped(
                    Seen(self.config.reports.folder / name, len(data), 0),
                    kind,
                    stem,
                    data,
                    digest,
                    now,
                    key,
                    said,
                    said=read,
                )
            ]
        )

    def receive(self, header: Header) -> None:
        self.memory.receive(header, self.clock.now())

    def settle(self) -> None:
        while self.memory.touched:
            exam = self.memory.touched.pop()
            self._correlator.evaluate(exam)
            for delivery in self.memory.of_exam(exam):
                if delivery.state == State.READY:
                    self._send(delivery)

    def wait(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        while self.memory.looks:
            exam, at = min(self.memory.looks.items(), key=lambda look: look[1])
            pause = max((at - self.clock.now()).total_seconds(), 0)
            if self.clock.monotonic() + pause > until:
                break
            self.clock.advance(pause)
            del self.memory.looks[exam]
            self.memory.touched.add(exam)
            self.settle()
        self.clock.advance(max(until - self.clock.monotonic(), 0))

    def _send(self, delivery: Delivery) -> None:
        memory, now = self.memory, self.clock.now()
        memory.move(delivery, State.SENDING, now, "", changes={})
        delivery, to = memory.get(delivery.id), State.DELIVERED
        idem = f"{delivery.exam} {delivery.wanted}"
        uploads = zip(self.cloud.idems, self.cloud.reports, strict=True)
        mine = [one for one, report in uploads if report.number == delivery.exam]
        if delivery.channel == Channel.REPORT and mine[-1:] == [idem]:
            pass  # the real sender has the receipt and uploads nothing
        elif delivery.channel == Channel.REPORT:
            wanted = dict(part.split("=") for part in delivery.wanted.split())
            exam, pdf = (self._folder.read(memory.papers[int(wanted[kind]) - 1].place) for kind in ("json", "pdf"))
            self.cloud.reports.append(Report(delivery.exam, json.loads(exam), pdf.decode()))
            self.cloud.idems.append(idem)
        else:
            for one in list(memory.to_send(delivery.exam)):
                one.fate, uids = Fate.SENT, one.header.uids
                version = memory.instances[uids.study, uids.sop].index(one) + 1
                self.cloud.files.append((delivery.exam, f"{uids.study}/{uids.sop}~{version}.dcm"))
            case = memory.case(delivery.exam)
            if images_of(case, None).needs(self.config.study.stable_after, now):
                to = State.WAITING
        memory.move(delivery, to, now, "", changes={"delivered": delivery.wanted} if to == State.DELIVERED else {})
        memory.touched.add(delivery.exam)

    def counting(self, exam: int) -> Mapping[str, object]:
        return self._correlator.document(self.memory.case(exam))
