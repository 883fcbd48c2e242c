"""Provenance of exams, of studies that no exam has, and of files without an exam: what came when and from where."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from router.catalogue.db.engine import Engine
from router.catalogue.db.tables.exams import Document, Exam, ExamStudy
from router.catalogue.db.tables.images import Instance, Study, StudyAccession, StudyIdentity
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

    `date` is the study's DA; of an exam "", and `came` when it was first known.
    """

    name: str
    exam: int | None
    accessions: frozenset[str]
    patients: frozenset[str]
    date: str
    came: datetime


class Arrivals:
    """Read for people only."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def files(self, exam: int) -> list[File]:
        """The files taken for an exam, as they came."""
        return self._files(Document.exam == exam)

    def unpaired(self, name: str) -> list[File]:
        """Files of this name, with or without folder and ending, that have no exam."""
        stem = name.rsplit(".", 1)[0] if name.lower().endswith((".json", ".xml", ".pdf")) else name
        named = (Document.stem == stem) | Document.stem.endswith("/" + stem)
        return self._files(named & Document.exam.is_null())

    def _files(self, where: Any) -> list[File]:
        rows: Any = self._engine.run(Document.select().where(where).order_by(Document.arrived, Document.id))
        return [
            File(kind=r.kind, name=r.stem, arrived=r.arrived, exam=r.exam_id, approved=r.approved, stale=r.stale)
            for r in rows
        ]

    def next_look(self, exam: int) -> datetime | None:
        """The next evaluation of the exam, if nothing comes before."""
        rows: Any = self._engine.run(Exam.select(Exam.check_at).where(Exam.id == exam).tuples())
        return next((row[0] for row in rows), None)

    def arrivals(self, uids: list[str]) -> list[Arrival]:
        """The senders of these studies, and when they sent."""
        columns = (Study.uid, Instance.sending_ae)
        times = (fn.COUNT(Instance.id), fn.MIN(Instance.received), fn.MAX(Instance.received))
        query = Instance.select(*columns, *times).join(Study).where(Study.uid.in_(uids)).group_by(*columns)
        found = [_arrival(*row) for row in self._engine.run(query.tuples())]
        names = dict(self._engine.run(Study.select(Study.id, Study.uid).where(Study.uid.in_(uids)).tuples()))
        for gone in summaries(self._engine, list(names)):
            found += [_arrival(names[gone.study], ae, *came) for ae, came in gone.arrivals.items()]
        by_sender: dict[tuple[str, str], list[Arrival]] = defaultdict(list)
        for one in found:
            by_sender[one.study_uid, one.sending_ae].append(one)
        whole = [
            _arrival(*who, sum(a.instances for a in some), min(a.first for a in some), max(a.last for a in some))
            for who, some in by_sender.items()
        ]
        return sorted(whole, key=lambda a: (a.first, a.study_uid))

    def exam(self, exam: int) -> Neighbour:
        """The exam as its neighbours see it."""
        return next(self._exam(row) for row in self._engine.run(Exam.select().where(Exam.id == exam)))

    def study(self, uid: str) -> Neighbour | None:
        """The study as its neighbours see it; None when it is not here."""
        return next(iter(self._studies(Study.uid == uid)), None)

    def exams_about(self, since: datetime, until: datetime) -> list[Neighbour]:
        """The exams that were first known in this time."""
        query = Exam.select().where(Exam.created.between(since, until)).limit(_AT_MOST)
        return [self._exam(row) for row in self._engine.run(query)]

    def strays_about(self, since: datetime, until: datetime) -> list[Neighbour]:
        """The studies of this time that no exam has."""
        named = ExamStudy.select(ExamStudy.study_uid)
        return self._studies(Study.last_received.between(since, until) & Study.uid.not_in(named))

    def _exam(self, row: Any) -> Neighbour:
        return Neighbour(
            name=row.exam_id, exam=row.id, accessions=frozenset({row.accession_number}),
            patients=frozenset({row.patient_id}), date="", came=row.created,
        )  # fmt: skip

    def _studies(self, where: Any) -> list[Neighbour]:
        columns = (Study.id, Study.uid, Study.study_date, Study.first_received)
        rows: Any = self._engine.run(Study.select(*columns).where(where).limit(_AT_MOST).tuples())
        numbers = self._of_studies(StudyAccession.study, StudyAccession.accession_number, where)
        patients = self._of_studies(StudyIdentity.study, StudyIdentity.patient_id, where)
        none: frozenset[str] = frozenset()
        return [
            Neighbour(
                name=uid, exam=None, accessions=numbers.get(number, none), patients=patients.get(number, none),
                date=date, came=came,
            )
            for number, uid, date, came in rows
        ]  # fmt: skip

    def _of_studies(self, study: Any, column: Any, where: Any) -> dict[int, frozenset[str]]:
        found: dict[int, set[str]] = {}
        query = study.model.select(study, column).join(Study).where(where).tuples()
        for number, value in self._engine.run(query):
            found.setdefault(number, set()).add(value)
        return {number: frozenset(values) for number, values in found.items()}


def _arrival(study_uid: str, sending_ae: str, instances: int, first: datetime, last: datetime) -> Arrival:
    return Arrival(study_uid=study_uid, sending_ae=sending_ae, instances=instances, first=first, last=last)
