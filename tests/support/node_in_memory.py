"""Rows in memory, as the intake and the correlator read and write them: for histories by the hundred thousand.

A history in memory takes a twentieth of the time that one in SQLite takes. The contract tests hold the real rows.
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

from router.catalogue.exams.documents import TakenDocument, json_version
from router.catalogue.exams.exam_rows import UNDESCRIBED, Description, description
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.exams.filing import Binding, Filed, Filing, Vacant
from router.catalogue.exams.links import OverlappingExam, told_apart
from router.catalogue.exams.snapshots import Candidate, JsonSnapshot, PdfSnapshot, WaitingPdf
from router.catalogue.images.ledger import Fate, Tally
from router.catalogue.images.studies import StudyHere
from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock
from router.config.hospitals import HospitalConfigs
from router.config.sections import Config, Destination
from router.correlator.assess import images_of
from router.correlator.correlator import Correlator
from router.events import EventBus
from router.exam.key import ExamKey, institution_of
from router.intake.document import ReadDocument
from router.intake.exam_reader import ExamReader
from router.intake.intake import Intake
from router.matching.exam.institution import hospital_of
from router.matching.exam.versions import JsonVersion, PdfVersion
from router.matching.images.hospital import NONE, HospitalOf, may_join
from router.matching.images.renewal import Fingerprint, renewal
from router.matching.patient.identity import IdentityPolicy, StudyIdentity
from router.matching.report_pdf.calibration import Calibration
from router.matching.report_pdf.naming import doubt, identifiers, words
from router.model import Channel, Header
from router.policy.states import State, require_move
from router.reports.folder.settle import Seen
from router.reports.pdf.reader import PdfText
from support.node_without_sockets import START, Cloud, PlainReaders, Report


@dataclass
class Paper:
    """A row of a document."""

    number: int
    taken: TakenDocument
    place: str
    exam: int | None
    vouched: bool
    named: frozenset[str]

    @property
    def said(self) -> frozenset[str]:
        return frozenset() if self.vouched and self.exam is not None else self.taken.words or frozenset()


@dataclass
class Entry:
    """A row of an exam."""

    number: int
    hospital: str
    branch: str
    exam_id: str
    described: Description
    doubt: str = ""
    revisions: int = 0
    approved: bool = False
    links: dict[str, str] = field(default_factory=dict)
    foreign: set[str] = field(default_factory=set)

    @property
    def key(self) -> tuple[str, str, str]:
        return self.hospital, self.branch, self.exam_id

    @property
    def words(self) -> frozenset[str]:
        return identifiers(self.exam_id, self.described.accession_number, self.described.patient_name)


@dataclass
class Version:
    """A version of an instance and what became of it at the destination."""

    header: Header
    received: datetime
    fate: Fate | None = None

    @property
    def identity(self) -> StudyIdentity:
        return StudyIdentity(self.header.patient, self.header.accession_number)


class Memory:
    """Exams, namings, queue, accounts and what else is asked, for one destination."""

    def __init__(self) -> None:
        self.papers: list[Paper] = []
        self.entries: dict[int, Entry] = {}
        self.touched: set[int] = set()
        self.looks: dict[int, datetime] = {}
        self.studies_doubt: dict[str, str] = {}
        self.hospitals: dict[str, set[str]] = {}
        self.instances: dict[tuple[str, str], list[Version]] = {}
        self.deliveries: dict[int, Delivery] = {}
        self.pdf_names = SimpleNamespace(bearers=lambda *_: [], known_number=self._known_number)
        self.originals = SimpleNamespace(missed=list, remember=lambda *_: None)  # no copy is ever purged here
        self.files = SimpleNamespace(of_paths=lambda *_: [])
        self.arrivals = SimpleNamespace(exam=lambda _: SimpleNamespace(came=START))
        self.refusals = SimpleNamespace(of_studies=lambda _: [], without_study=lambda _: [])  # nothing is refused
        self.calibrations = SimpleNamespace(of=lambda _: Calibration(), learn=lambda *_, **__: None)
        self.exams = self.documents = self.links = self.snapshots = self.filings = self.queue = self.ledger = (
            self.alarms
        ) = self
        self.commitments = SimpleNamespace(next_ask=None)
        self.uploads = SimpleNamespace(of=lambda _: ())  # a count is corrected as often as it changes
        self.open_deliveries = SimpleNamespace(
            note=lambda *_: None
        )  # what waits for a person is nobody's question here
        self.withheld = SimpleNamespace(  # no header names a request
            any=lambda _: False, requests=lambda _: [], wanted=lambda *_: False, withhold=lambda *_: None
        )
        self.withdrawals = SimpleNamespace(by_person=lambda *_: "", of=lambda _: [])
        self.decisions = SimpleNamespace(  # nobody decides anything
            classes=lambda _: {}, unsettled=lambda exam, found, now: list(found.values())
        )

    # -- exams

    def transaction(self) -> AbstractContextManager[None]:
        return nullcontext()

    def _of(self, exam: int | None, kind: str) -> list[Paper]:
        return [p for p in self.papers if p.exam == exam and p.taken.kind == kind]

    def json(
        self, key: ExamKey, *, stem: str, digest: str, since: datetime, numbers: object, patterned: bool, **_: object
    ) -> JsonSnapshot:  # fmt: skip
        entry = next((e for e in self.entries.values() if e.key == (key.hospital, key.branch, key.exam_id)), None)
        exam = entry.number if entry else None
        pdfs = [p for p in self.papers if p.taken.kind == "pdf" and p.taken.stem == stem]
        return JsonSnapshot(
            seen=self._seen("json", stem, digest, since), exam=exam,
            described=entry.described if entry else UNDESCRIBED,
            jsons=[(_version(p), p.taken.digest) for p in self._of(exam, "json")] if exam else [],
            of_name=[self._waiting(p) for p in pdfs if p.exam is None or (p.exam != exam and not p.vouched)],
        )  # fmt: skip

    def pdf(self, *, stem: str, digest: str, since: datetime, **_: object) -> PdfSnapshot:
        return PdfSnapshot(
            seen=self._seen("pdf", stem, digest, since),
            waits=any((p.taken.stem, p.taken.digest) == (stem, digest) for p in self._of(None, "pdf")),
            of_name=[self._candidate(exam) for exam in self.exams_of_stem(stem)],
        )

    def _seen(self, kind: str, stem: str, digest: str, since: datetime) -> bool:
        same = (p.taken for p in self.papers if (p.taken.kind, p.taken.stem, p.taken.digest) == (kind, stem, digest))
        return any(taken.file_time >= since for taken in same)

    def _candidate(self, exam: int) -> Candidate:
        latest = [p.taken.digest for p in self._of(exam, "pdf")][-1:]
        return Candidate(exam=exam, own=self.entries[exam].words, latest="".join(latest))

    def _waiting(self, pdf: Paper) -> WaitingPdf:
        words = self.entries[pdf.exam].words if pdf.exam else frozenset()
        return WaitingPdf(
            document=pdf.number, place=pdf.place, stem=pdf.taken.stem, vouched=pdf.vouched, said=pdf.said,
            owner=pdf.exam, owner_words=words,
        )  # fmt: skip

    def exams_of_stem(self, stem: str) -> list[int]:
        found = [p.exam for p in reversed(self.papers) if p.taken.kind == "json" and p.taken.stem == stem]
        return list(dict.fromkeys(exam for exam in found if exam is not None))

    def write(self, filing: Filing, vacant: Vacant, now: datetime) -> Filed:
        exam = self._exam(filing.exam)
        document, revision, place = None, None, ""
        if (taken := filing.enters) is not None:
            document = len(self.papers) + 1
            revision = self._revise(exam) if exam else None
            place = vacant(filing.form, exam, revision or document)
            self.papers.append(Paper(document, taken, place, exam, taken.vouched, taken.named))
            self.touched |= {exam} if exam else set()
        if exam and filing.describes:
            self.entries[exam].described = description(filing.describes)
        bound = [self._bind(binding, exam, vacant) for binding in filing.binds] if exam else []
        named = (p.exam for p in self.papers if p.exam not in (None, exam) and p.said & filing.names)
        self.touched |= {*filing.evaluates, *(one for one in named if one is not None)}
        return Filed(exam=exam, document=document, revision=revision, place=place, bound=bound)

    def _exam(self, exam: int | ExamKey | None) -> int | None:
        if not isinstance(exam, ExamKey):
            return exam
        number = len(self.entries) + 1
        self.entries[number] = Entry(number, exam.hospital, exam.branch, exam.exam_id, description(exam))
        return number

    def _revise(self, exam: int) -> int:
        self.entries[exam].revisions += 1
        return self.entries[exam].revisions

    def _bind(self, binding: Binding, exam: int, vacant: Vacant) -> tuple[int, str]:
        paper, revision = self.papers[binding.pdf.document - 1], self._revise(exam)
        self.touched |= {exam, paper.exam or exam}
        paper.exam, paper.place = exam, vacant("pdf", exam, revision)
        paper.named, paper.vouched = binding.named, binding.vouched
        return revision, paper.place

    def request_evaluation(self, exams: Iterable[int], now: datetime) -> None:
        self.touched |= set(exams)

    def describe(self, exam: int, key: ExamKey) -> bool:
        changed = self.entries[exam].described != description(key)
        self.entries[exam].described = description(key)
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
        entry, links = self.entries[exam], self.entries[exam].links
        new = [uid for uid in dict.fromkeys(study_uids) if uid not in links]
        entry.foreign |= {uid for uid in new if not may_join(entry.hospital, self._brought(uid))}
        new = [uid for uid in new if may_join(entry.hospital, self._brought(uid))]
        entry.foreign -= set(new)
        links |= dict.fromkeys(new, joined_by)
        self.touched |= {e.number for e in self.entries.values() if e.number != exam and set(new) & e.links.keys()}
        return new

    def unlink(self, exam: int, study_uids: Iterable[str]) -> None:
        for uid in study_uids:
            self.entries[exam].links.pop(uid, None)
            self.entries[exam].foreign.discard(uid)

    def _brought(self, uid: str) -> frozenset[str]:
        return frozenset(self.hospitals.get(uid, ()))

    def candidates(self, accession_number: str, hospital: str, known: Mapping[str, StudyHere]) -> list[StudyHere]:
        if not accession_number:
            return []
        named = [(uid, one.header) for (uid, _), versions in self.instances.items() for one in versions]
        uids = dict.fromkeys(uid for uid, header in named if header.accession_number == accession_number)
        return list(self._studies(uid for uid in uids if may_join(hospital, self._brought(uid))).values())

    def apart(self, exam: int) -> frozenset[str]:
        return frozenset()

    def case(self, exam: int) -> ExamSnapshot:
        entry = self.entries[exam]
        jsons, pdfs = self._of(exam, "json"), self._of(exam, "pdf")
        others = list(self._overlapping(entry))
        siblings, rivals = told_apart(entry.hospital, others, {uid: self._brought(uid) for uid in entry.links})
        return ExamSnapshot(
            hospital=entry.hospital, exam=exam, branch=entry.branch, exam_id=entry.exam_id, touched=0,
            doubt=entry.doubt,
            jsons=tuple(map(_version, jsons)), pdfs=tuple(self._pdf(p, entry) for p in pdfs),
            places={p.number: p.place for p in (*jsons, *pdfs)}, links=dict(entry.links),
            studies=self._studies(entry.links), siblings=siblings, rivals=rivals, foreign=frozenset(entry.foreign),
            approved=entry.approved,
        )  # fmt: skip

    def _overlapping(self, entry: Entry) -> Iterator[OverlappingExam]:
        for one in self.entries.values():
            for uid in one.links.keys() & entry.links.keys() if one is not entry else ():
                yield OverlappingExam(
                    exam=one.number, hospital=one.hospital, study_uid=uid, approved=one.approved,
                    **one.described._asdict(),
                )  # fmt: skip

    def _pdf(self, paper: Paper, entry: Entry) -> PdfVersion:
        taken, question = paper.taken, ""
        if not paper.vouched:
            fellows = [e for e in self.entries.values() if e is not entry and e.hospital == entry.hospital]
            others = (e.number for e in fellows if e.words & paper.said)
            reused = any(exam != entry.number for exam in self.exams_of_stem(taken.stem))
            question = doubt(paper.said, entry.words, next(others, None), reused=reused)
        vouched = paper.vouched or bool(paper.said & entry.words)
        named = paper.named or paper.said
        return PdfVersion(
            document=paper.number, arrived=taken.arrived, file_time=taken.file_time, doubt=question, named=named,
            stem=taken.stem, vouched=vouched,
        )  # fmt: skip

    def _known_number(self, number: str, exam: int, hospital: str) -> bool:
        others = (e for e in self.entries.values() if e.number != exam and e.hospital == hospital)
        return any(number in (*e.words, e.described.patient_id) for e in others)

    # -- instances

    def receive(self, header: Header, now: datetime, hospital: str = NONE) -> None:
        """As the cataloguer does it; `hospital` sent it."""
        key = header.uids.study, header.uids.sop
        self._bring(header.uids.study, hospital)
        versions = self.instances.setdefault(key, [])
        if header in [one.header for one in versions]:
            return
        versions.append(Version(header, now))
        shared = {study for study, sop in self.instances if sop == key[1]}
        if len(shared) > 1:
            self.studies_doubt |= dict.fromkeys(shared, "an instance lies in two studies")
        shared.add(key[0])
        for entry in self.entries.values():
            alike = header.accession_number == entry.described.accession_number
            if shared & entry.links.keys() or (alike and may_join(entry.hospital, self._brought(key[0]))):
                self.touched.add(entry.number)

    def _bring(self, uid: str, hospital: str) -> None:
        """Note that the hospital sent images of the study, which ends the links to others' exams."""
        known = self.hospitals.setdefault(uid, set())
        if hospital == NONE or hospital in known:
            return
        known.add(hospital)
        for entry in self.entries.values():
            if uid in entry.links and not may_join(entry.hospital, self._brought(uid)):
                del entry.links[uid]
                entry.foreign.add(uid)
            if uid in entry.links or uid in entry.foreign:
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
        return StudyHere(
            uid=uid, identities=newest, accession_number=head.accession_number, study_date=head.study_date,
            study_time=head.study_time, description="", manufacturer="", model="", station_name="", serial_number="",
            sending_ae="", modalities=("CT",), instances=len(mine), doubt=self.studies_doubt.get(uid, ""),
            last_received=last, hospitals=self._brought(uid),
        )  # fmt: skip

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
        return {(exams[0], "cloud"): Tally(selected=fates.count(Fate.SELECTED) + sent + held, sent=sent, held=held)}

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
            self.deliveries[number] = Delivery(
                id=number, exam=exam, destination=name, channel=channel, state=State.WAITING, waiting_for=(),
                legal_due=None, due=None, next_try=None, attempts=0, error="", held_by="", lease=0, lease_owner="",
                wanted="", delivered="", changed=now,
            )  # fmt: skip

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

    def reword(self, *_: object) -> None:
        """No text of an alarm is looked at here."""


def _fate(before: Version | None, newer: Version) -> Fate:
    if before is None:
        return Fate.SELECTED
    sent, now = (Fingerprint(one.identity, "o", "p") for one in (before, newer))
    found = renewal(sent, now, IdentityPolicy())
    return Fate.HELD if found.doubt else Fate.SELECTED if found.goes else Fate.FILTERED


def _version(paper: Paper) -> JsonVersion:
    assert paper.taken.key is not None
    return json_version(paper.number, paper.taken, paper.taken.key)


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
        self._hospital_of = HospitalOf(config.hospital)
        self.restart()

    def restart(self) -> None:
        bus, memory, folder = EventBus(), cast(Any, self.memory), cast(Any, self._folder)
        common = HospitalConfigs(self.config).of_shared  # documents are read and paired alike for all hospitals here
        self._intake = Intake(common, self._references, memory, folder, bus, self.clock, PlainReaders(1))
        self._correlator = Correlator(self.config, self._references, memory, folder, memory, bus, self.clock)
        self._correlator.facts.papers.reconfigure(common)

    def drop(self, name: str, data: bytes, origin: str | None = None) -> None:
        """A file of the RIS; `origin` is the hospital whose way it came by, where there are several."""
        stem, kind = name.split(".")
        key, said, read = None, None, None
        if kind == "json":
            given = self._references.read(data)
            hospital = hospital_of(institution_of(given), origin, self.config.hospital)
            key = self._references.key(given, hospital, "01")
        else:
            said, read = words(data.decode()), PdfText(text=data.decode())
        document = ReadDocument(
            seen=Seen(self.config.reports.folder / name, len(data), 0), form=kind, stem=stem, data=data,
            digest=hashlib.sha256(data).hexdigest(), file_time=self.clock.now(), key=key, words=said, text=read,
        )  # fmt: skip
        self._intake.file([document])

    def receive(self, header: Header) -> None:
        self.memory.receive(header, self.clock.now(), self._hospital_of(header))

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
        return self._correlator.facts.jsons.counting(self.memory.case(exam))[0]
