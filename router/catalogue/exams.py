"""Exams, the documents that the RIS dropped for them, and the studies that belong to them."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from router.catalogue.dialect import Engine, portions
from router.catalogue.tables import Document, Exam, ExamStudy, Instance, Study, StudyAccession, StudyIdentity
from router.correlate.identity import StudyIdentity as Identity
from router.correlate.versions import JsonVersion, PdfVersion
from router.exam.key import ExamKey, approved
from router.model import Patient


@dataclass(frozen=True, slots=True)
class TakenDocument:
    """A file of the drop folder as it is entered. `key` is None for a PDF; `content`, `reported` are digests."""

    kind: str
    stem: str
    digest: str
    file_time: datetime
    arrived: datetime
    key: ExamKey | None = None
    content: str = ""
    reported: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A PDF whose exam is not known yet."""

    document: int
    place: str


@dataclass(frozen=True, slots=True)
class StudyHere:
    """A study of which at least one instance is here. `study_date` is DA, `study_time` TM.

    `identities` are what the newest versions of its instances say, each once.
    """

    uid: str
    identities: tuple[Identity, ...]
    accession_number: str
    study_date: str
    study_time: str
    description: str
    manufacturer: str
    model: str
    station_name: str
    serial_number: str
    sending_ae: str
    modalities: tuple[str, ...]
    instances: int
    doubt: str
    last_received: datetime


@dataclass(frozen=True, slots=True)
class Sibling:
    """Another exam that has a study in common with this one."""

    exam: int
    accession_number: str
    patient_id: str
    patient_name: str
    study_uid: str


@dataclass(frozen=True, slots=True)
class Case:
    """All that is known of an exam when it is evaluated. `touched` tells whether it has changed since."""

    exam: int
    branch: str
    exam_id: str
    touched: int
    doubt: str
    jsons: tuple[JsonVersion, ...]
    pdfs: tuple[PdfVersion, ...]
    places: Mapping[int, str]
    links: Mapping[str, str]
    studies: Mapping[str, StudyHere]
    siblings: tuple[Sibling, ...]


class Exams:
    """The exams and what they are made of."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # -- intake

    def number_of(self, branch: str, exam_id: str, now: datetime) -> int:
        """The node's own number of an exam; made when it is new."""
        with self._engine.write():
            self._engine.run(Exam.insert(branch=branch, exam_id=exam_id, created=now).on_conflict_ignore())
            query = Exam.select(Exam.id).where((Exam.branch == branch) & (Exam.exam_id == exam_id)).tuples()
            return int(self._engine.run(query)[0][0])

    def next_revision(self, exam: int) -> int:
        """A new intake revision of the exam; never given twice."""
        with self._engine.write():
            self._engine.run(Exam.update(revisions=Exam.revisions + 1).where(Exam.id == exam))
            return int(self._engine.run(Exam.select(Exam.revisions).where(Exam.id == exam).tuples())[0][0])

    def next_document(self) -> int:
        """A number for the folder of an unpaired document."""
        query = Document.select(fn.COALESCE(fn.MAX(Document.id), 0)).tuples()
        return int(self._engine.run(query)[0][0]) + 1

    def seen(self, kind: str, stem: str, digest: str, file_time: datetime) -> bool:
        """Whether this very file was taken before: same name and content, and not written again since."""
        same = (Document.kind == kind) & (Document.stem == stem) & (Document.digest == digest)
        query = Document.select(Document.id).where(same & (Document.file_time >= file_time)).limit(1).tuples()
        return bool(self._engine.run(query))

    def latest(self, exam: int, kind: str) -> str | None:
        """The digest of the exam's last document of a kind; None when it has none."""
        mine = (Document.exam == exam) & (Document.kind == kind)
        query = Document.select(Document.digest).where(mine).order_by(Document.id.desc()).limit(1).tuples()
        return next((row[0] for row in self._engine.run(query)), None)

    def last_pdf_place(self, exam: int, stem: str) -> str | None:
        """Where the last PDF of this name that serves the exam lies."""
        mine = (Document.kind == "pdf") & (Document.stem == stem) & (Document.exam == exam)
        query = Document.select(Document.place).where(mine).order_by(Document.id.desc()).limit(1).tuples()
        return next((row[0] for row in self._engine.run(query)), None)

    def words_of(self, exam: int) -> list[str]:
        """What a report of the exam would name: ExamId, accession number, patient's name."""
        columns = (Exam.exam_id, Exam.accession_number, Exam.patient_name)
        return list(self._engine.run(Exam.select(*columns).where(Exam.id == exam).tuples())[0])

    def exam_of_stem(self, stem: str) -> int | None:
        """The exam of the last JSON under this name."""
        mine = (Document.kind == "json") & (Document.stem == stem)
        query = Document.select(Document.exam).where(mine).order_by(Document.id.desc()).limit(1).tuples()
        return next((row[0] for row in self._engine.run(query)), None)

    def exam_named(self, exam_id: str = "", accession: str = "", study_uid: str = "") -> int | None:
        """The one exam with this ExamId, accession number or listed study; None when there is none or more than one."""
        linked = ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid == study_uid)
        for value, condition in (
            (exam_id, Exam.exam_id == exam_id),
            (study_uid, Exam.id.in_(linked)),
            (accession, Exam.accession_number == accession),
        ):
            found = self._engine.run(Exam.select(Exam.id).where(condition).limit(2).tuples()) if value else []
            if len(found) == 1:
                return int(found[0][0])
        return None

    def unpaired(self, stem: str) -> list[Waiting]:
        """PDFs of this name that have no exam yet."""
        mine = (Document.kind == "pdf") & (Document.stem == stem) & Document.exam.is_null()
        rows = self._engine.run(Document.select(Document.id, Document.place).where(mine).tuples())
        return [Waiting(document, place) for document, place in rows]

    def add(self, document: TakenDocument, place: str, exam: int | None, revision: int | None, now: datetime) -> int:
        """Enter a document whose copy is durable at `place`, and have its exam evaluated."""
        row: dict[str, Any] = {
            "kind": document.kind, "stem": document.stem, "digest": document.digest, "place": place, "exam": exam,
            "revision": revision, "file_time": document.file_time, "arrived": document.arrived,
            "content": document.content, "reported": document.reported,
        }  # fmt: skip
        if document.key is not None:
            times = {"submit_time": document.key.submit_time, "approve_time": document.key.approve_time}
            row |= {"approved": approved(document.key), **times}
        with self._engine.write():
            number = self._engine.run(Document.insert(**row).returning(Document.id))[0].id
            if exam is not None:
                self.touch([exam], now)
        return int(number)

    def restate(self, document: int, key: ExamKey, content: str, reported: str) -> bool:
        """Replace what a JSON is known to say of approval, times and report; whether that is new."""
        values: dict[str, Any] = {
            "approved": approved(key), "submit_time": key.submit_time, "approve_time": key.approve_time,
            "content": content, "reported": reported,
        }  # fmt: skip
        columns = [getattr(Document, column) for column in values]
        with self._engine.write():
            known = self._engine.run(Document.select(*columns).where(Document.id == document).tuples())
            if known[0] == tuple(values.values()):
                return False
            self._engine.run(Document.update(**values).where(Document.id == document))
        return True

    def bind(self, document: int, exam: int, revision: int, place: str, now: datetime) -> None:
        """Give an unpaired PDF its exam."""
        with self._engine.write():
            changes = {"exam": exam, "revision": revision, "place": place}
            self._engine.run(Document.update(**changes).where(Document.id == document))
            self.touch([exam], now)

    # -- evaluation

    def touch(self, exams: Iterable[int], now: datetime) -> None:
        """Have these exams evaluated."""
        with self._engine.write():
            for portion in portions(sorted(exams)):
                where = Exam.id.in_(portion)
                self._engine.run(Exam.update(touched=Exam.touched + 1, check_at=now).where(where))

    def to_check(self, now: datetime, limit: int) -> list[int]:
        """Exams whose time to be evaluated has come, the longest waiting first."""
        query = Exam.select(Exam.id).where(Exam.check_at <= now).order_by(Exam.check_at).limit(limit).tuples()
        return [row[0] for row in self._engine.run(query)]

    def next_check(self) -> datetime | None:
        """When the next exam is to be evaluated."""
        query = Exam.select(Exam.check_at).where(Exam.check_at.is_null(False)).order_by(Exam.check_at).limit(1)
        return next((row[0] for row in self._engine.run(query.tuples())), None)

    def checked(self, case: Case, check_at: datetime | None, approved_at: datetime | None, doubt: str) -> bool:
        """Close an evaluation; False when the exam was touched meanwhile and must be evaluated again."""
        where = (Exam.id == case.exam) & (Exam.touched == case.touched)
        changes = {"check_at": check_at, "approved_at": approved_at, "doubt": doubt}
        with self._engine.write():
            return bool(self._engine.run(Exam.update(**changes).where(where)))

    def describe(self, exam: int, key: ExamKey) -> bool:
        """Keep what joining looks for, accession number and patient of the JSON that counts; whether it is new."""
        values = {"accession_number": key.accession_number, "patient_name": key.patient.name}
        values["patient_id"] = key.patient.patient_ids.get("Patient.PatientId", "")
        same = [getattr(Exam, column) == value for column, value in values.items()]
        with self._engine.write():
            where = (Exam.id == exam) & ~(same[0] & same[1] & same[2])
            return bool(self._engine.run(Exam.update(**values).where(where)))

    def postpone(self, exam: int, until: datetime) -> None:
        """Evaluate the exam again, not before `until`, whatever has touched it."""
        with self._engine.write():
            self._engine.run(Exam.update(check_at=until).where(Exam.id == exam))

    def mark_stale(self, documents: Sequence[int]) -> list[int]:
        """Mark older versions that came late; those that were not marked before are returned."""
        if not documents:
            return []
        with self._engine.write():
            mine = Document.id.in_(list(documents)) & ~Document.stale
            fresh = [row[0] for row in self._engine.run(Document.select(Document.id).where(mine).tuples())]
            if fresh:
                self._engine.run(Document.update(stale=True).where(Document.id.in_(fresh)))
        return fresh

    def link(self, exam: int, study_uids: Iterable[str], joined_by: str, now: datetime) -> list[str]:
        """Join studies to an exam; the newly joined UIDs are returned. A key that joined before stays."""
        with self._engine.write():
            have = {r[0] for r in self._engine.run(
                ExamStudy.select(ExamStudy.study_uid).where(ExamStudy.exam == exam).tuples())}  # fmt: skip
            new = [uid for uid in dict.fromkeys(study_uids) if uid not in have]
            for portion in portions(new):
                rows = [{"exam": exam, "study_uid": uid, "joined_by": joined_by, "since": now} for uid in portion]
                self._engine.run(ExamStudy.insert_many(rows).on_conflict_ignore())
                shared = ExamStudy.study_uid.in_(portion) & (ExamStudy.exam != exam)
                others = ExamStudy.select(ExamStudy.exam).where(shared).distinct().tuples()
                self.touch([row[0] for row in self._engine.run(others)], now)
        return new

    def unlink(self, exam: int, study_uids: Iterable[str]) -> None:
        """Take studies from an exam, because the JSON that counts no longer names them."""
        with self._engine.write():
            for portion in portions(list(study_uids)):
                mine = (ExamStudy.exam == exam) & ExamStudy.study_uid.in_(portion)
                self._engine.run(ExamStudy.delete().where(mine))

    def candidates(self, accession_number: str, known: Mapping[str, StudyHere] = {}) -> list[StudyHere]:
        """Studies that name this accession number, as their own or in RequestAttributesSequence.

        Those of `known`, which were read before, are not read again.
        """
        if not accession_number:
            return []
        named = StudyAccession.accession_number == accession_number
        query = Study.select(Study.uid).join(StudyAccession).where(named).order_by(Study.id).tuples()
        uids = [row[0] for row in self._engine.run(query)]
        found = {**self.studies(uid for uid in uids if uid not in known), **known}
        return [found[uid] for uid in uids]

    def case(self, exam: int) -> Case:
        """Everything about an exam, in one view."""
        with self._engine.read():
            row = self._engine.run(Exam.select().where(Exam.id == exam))[0]
            documents = self._engine.run(Document.select().where(Document.exam == exam).order_by(Document.id))
            links = {
                r.study_uid: r.joined_by for r in self._engine.run(ExamStudy.select().where(ExamStudy.exam == exam))
            }
            return Case(
                exam, row.branch, row.exam_id, row.touched, row.doubt,
                tuple(_json(d) for d in documents if d.kind == "json"),
                tuple(PdfVersion(d.id, d.arrived, d.file_time) for d in documents if d.kind == "pdf"),
                {d.id: d.place for d in documents}, links, self.studies(links), self._siblings(exam, links),
            )  # fmt: skip

    def studies(self, uids: Iterable[str]) -> dict[str, StudyHere]:
        """Those of the studies that are here."""
        return {study.uid: study for portion in portions(list(uids)) for study in self._studies(portion)}

    def _studies(self, uids: Sequence[str]) -> list[StudyHere]:
        rows = self._engine.run(Study.select().where(Study.uid.in_(uids)).order_by(Study.id))
        ids = [row.id for row in rows]
        counts: dict[int, list[tuple[str, int]]] = defaultdict(list)
        borne: set[int] = set()
        columns = (Instance.study, Instance.modality, Instance.identity)
        query = Instance.select(*columns, fn.COUNT(Instance.id)).where(Instance.study.in_(ids) & Instance.newest)
        for study, modality, identity, n in self._engine.run(query.group_by(*columns).tuples()):
            counts[study].append((modality, n))
            borne.add(identity)
        identities: dict[int, list[Identity]] = defaultdict(list)
        mine = StudyIdentity.study.in_(ids)
        for i in self._engine.run(StudyIdentity.select().where(mine).order_by(StudyIdentity.id)):
            if i.id in borne:
                identities[i.study_id].append(identity_of(i))
        return [_study(row, identities[row.id], counts[row.id]) for row in rows]

    def _siblings(self, exam: int, links: Iterable[str]) -> tuple[Sibling, ...]:
        columns = (Exam.id, Exam.accession_number, Exam.patient_id, Exam.patient_name, ExamStudy.study_uid)
        query = Exam.select(*columns).join(ExamStudy, on=ExamStudy.exam == Exam.id).where(Exam.id != exam).tuples()
        found = (self._engine.run(query.where(ExamStudy.study_uid.in_(uids))) for uids in portions(list(links)))
        return tuple(Sibling(*row) for rows in found for row in rows)

    # -- for people

    def names(self, exams: Iterable[int]) -> dict[int, str]:
        """The ExamIds of these exams."""
        query = Exam.select(Exam.id, Exam.exam_id).where(Exam.id.in_(list(exams))).tuples()
        return dict(self._engine.run(query))

    def find(self, text: str) -> list[int]:
        """Exams with this ExamId, study UID or file name."""
        linked = ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid == text)
        stem = text.rsplit(".", 1)[0] if text.lower().endswith((".json", ".pdf")) else text
        named = Document.select(Document.exam).where((Document.stem == stem) | Document.stem.endswith("/" + stem))
        where = (Exam.exam_id == text) | Exam.id.in_(linked) | Exam.id.in_(named.where(Document.exam.is_null(False)))
        return [row[0] for row in self._engine.run(Exam.select(Exam.id).where(where).tuples())]


def _json(row: Any) -> JsonVersion:
    return JsonVersion(
        row.id, row.arrived, row.file_time, row.submit_time, row.approve_time, row.approved, row.content, row.reported
    )


def identity_of(row: Any) -> Identity:
    """What a row of StudyIdentity says."""
    patient = Patient(row.patient_id, row.name, row.birth_date, row.sex)
    return Identity(patient, row.accession_number, tuple(json.loads(row.other_accession_numbers)))


def _study(row: Any, identities: Sequence[Identity], counts: Sequence[tuple[str, int]]) -> StudyHere:
    return StudyHere(
        row.uid, tuple(identities), row.accession_number, row.study_date, row.study_time, row.description,
        row.manufacturer, row.model, row.station_name, row.serial_number, row.sending_ae,
        tuple(sorted({m for m, _ in counts if m})), sum(n for _, n in counts), row.doubt, row.last_received,
    )  # fmt: skip
