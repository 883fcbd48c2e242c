"""Provenance of exams, of studies that no exam has, and of files without an exam: what came when and from where."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import Expression, fn

from router.catalogue.db.engine import Rows
from router.catalogue.db.tables.exams import Document, Exam, ExamStudy
from router.catalogue.db.tables.images import Instance, Study, StudyAccession, StudyIdentity
from router.catalogue.images.hospitals import hospitals_of
from router.catalogue.images.tombstones import summaries

_AT_MOST = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file of the drop folder; `name` is its path without ending."""

    kind: str
    name: str
    arrived: datetime
    exam: int | None
    approved: bool
    stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The instances of a study that one AE has sent, first to last; versions are counted, too."""

    study_uid: str
    sending_ae: str
    instances: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """An exam (its own number and ExamId) or a study (its UID), with what keys are compared by.

    `date` is the study's DA; of an exam "", and `came` when it was first known. `hospital` is the exam's, `hospitals`
    brought the study, as far as that is known.
    """

    name: str
    exam: int | None
    accessions: frozenset[str]
    patients: frozenset[str]
    date: str
    came: datetime
    hospital: str = ""
    hospitals: frozenset[str] = frozenset()


class Arrivals(Rows):
    """Read for people only."""

    def files(self, exam: int) -> list[File]:
        """The files taken for an exam, as they came."""
        return self._files(Document.exam == exam)

    def unpaired(self, name: str) -> list[File]:
        """Files of this name, with or without folder and ending, that have no exam."""
        stem = name.rsplit(".", 1)[0] if name.lower().endswith((".json", ".xml", ".pdf")) else name
        named = (Document.stem == stem) | Document.stem.endswith("/" + stem)
        return self._files(named & Document.exam.is_null())

    def _files(self, where: Expression) -> list[File]:
        rows: Any = self._engine.run(Document.select().where(where).order_by(Document.arrived, Document.id))
        return [
            File(kind=r.kind, name=r.stem, arrived=r.arrived, exam=r.exam_id, approved=r.approved, stale=r.stale)
            for r in rows
        ]

    def next_look(self, exam: int) -> datetime | None:
        """The next evaluation of the exam, if nothing comes before."""
        at: datetime | None = self._engine.value(Exam.select(Exam.check_at).where(Exam.id == exam))
        return at

    def arrivals(self, uids: list[str]) -> list[Arrival]:
        """The senders of these studies, and when they sent."""
        columns = (Study.uid, Instance.sending_ae)
        times = (fn.COUNT(Instance.id), fn.MIN(Instance.received), fn.MAX(Instance.received))
        query = Instance.select(*columns, *times).join(Study).where(Study.uid.in_(uids)).group_by(*columns)
        came: dict[tuple[str, str], list[tuple[int, datetime, datetime]]] = defaultdict(list)
        for uid, ae, *span in self._engine.rows(query):
            came[uid, ae].append((span[0], span[1], span[2]))
        names = dict(self._engine.rows(Study.select(Study.id, Study.uid).where(Study.uid.in_(uids))))
        for gone in summaries(self._engine, list(names)):
            for ae, packed in gone.arrivals.items():
                came[names[gone.study], ae].append(packed)
        found = [
            Arrival(study_uid=uid, sending_ae=ae, instances=sum(n for n, _, _ in spans),
                    first=min(first for _, first, _ in spans), last=max(last for _, _, last in spans))
            for (uid, ae), spans in came.items()
        ]  # fmt: skip
        return sorted(found, key=lambda a: (a.first, a.study_uid))

    def exam(self, exam: int) -> Neighbour:
        """The exam as its neighbours see it."""
        return self._exams(Exam.id == exam)[0]

    def study(self, uid: str) -> Neighbour | None:
        """The study as its neighbours see it; None when it is not here."""
        return next(iter(self._studies(Study.uid == uid)), None)

    def exams_about(self, since: datetime, until: datetime) -> list[Neighbour]:
        """The exams that were first known in this time."""
        return self._exams(Exam.created.between(since, until))

    def strays_about(self, since: datetime, until: datetime) -> list[Neighbour]:
        """The studies of this time that no exam has."""
        # of all hospitals: the near match asks for its hospital
        named = ExamStudy.select(ExamStudy.study_uid)
        return self._studies(Study.last_received.between(since, until) & Study.uid.not_in(named))

    def _exams(self, where: Expression) -> list[Neighbour]:
        return [
            Neighbour(name=row.exam_id, exam=row.id, accessions=frozenset({row.accession_number}),
                      patients=frozenset({row.patient_id}), date="", came=row.created, hospital=row.hospital)
            for row in self._engine.run(Exam.select().where(where).limit(_AT_MOST))
        ]  # fmt: skip

    def _studies(self, where: Expression) -> list[Neighbour]:
        columns = (Study.id, Study.uid, Study.study_date, Study.first_received)
        rows = self._engine.rows(Study.select(*columns).where(where).limit(_AT_MOST))
        numbers = self._of_studies(StudyAccession.study, StudyAccession.accession_number, where)
        patients = self._of_studies(StudyIdentity.study, StudyIdentity.patient_id, where)
        hospitals = hospitals_of(self._engine, [row[0] for row in rows])
        none: frozenset[str] = frozenset()
        return [
            Neighbour(name=uid, exam=None, accessions=numbers.get(number, none),
                      patients=patients.get(number, none), date=date, came=came, hospitals=hospitals.get(number, none))
            for number, uid, date, came in rows
        ]  # fmt: skip

    def _of_studies(self, study: Any, column: Any, where: Any) -> dict[int, frozenset[str]]:
        # of all hospitals: of the same studies
        found: dict[int, set[str]] = defaultdict(set)
        for number, value in self._engine.rows(study.model.select(study, column).join(Study).where(where)):
            found[number].add(value)
        return {number: frozenset(values) for number, values in found.items()}
