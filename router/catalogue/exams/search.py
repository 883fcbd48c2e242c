"""The search that people do for exams: by a name of the exam or its patient, by a study's UID, by sender and day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from peewee import Select

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.tables.exams import Exam, ExamStudy
from router.catalogue.db.tables.images import Study, StudyAccession, StudyHospital

_MOST = 1000  # looked at
_TEXT = 3  # characters that a part of a name has at least


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A search; "" and None leave a field open. The day begins at `day` and ends a day later.

    `patient`: whether `text` may be a patient's number or name, too. `hospitals` are those of the exams; where none is
    named, all.
    """

    text: str = ""
    patient: bool = False
    sender: str = ""
    day: datetime | None = None
    hospitals: tuple[str, ...] = ()


class Search(Rows):
    """Exact names are found by their indexes; a part of one by reading the exams, and only where no exact one fits."""

    def exams(self, wanted: Wanted, most: int) -> list[int]:
        """Numbers of the exams, the newest first, `most` of them at most."""
        found = set(self._named(wanted)) if wanted.text else None
        if wanted.day is not None or wanted.sender:
            dated = set(self._dated(wanted, found))
            found = dated if found is None else found & dated
        return sorted(self._of_hospitals(found or (), wanted.hospitals), reverse=True)[:most]

    def senders(self, since: datetime, hospitals: tuple[str, ...] = ()) -> list[str]:
        """AE titles that have sent a study since then, for these hospitals or for whichever, by name."""
        recent = Study.select(Study.sending_ae).where(Study.last_received >= since).distinct()
        if hospitals:
            recent = recent.join(StudyHospital).where(StudyHospital.hospital.in_(hospitals))
        return sorted(filter(None, self._engine.column(recent)))

    def _named(self, wanted: Wanted) -> Iterable[int]:
        # of all hospitals: `exams` leaves out the others
        text = wanted.text
        names: Any = (Exam.exam_id == text) | (Exam.accession_number == text)
        if wanted.patient:
            names = names | (Exam.patient_id == text)
        exact = self._engine.column(Exam.select(Exam.id).where(names).limit(_MOST))
        exact += self._engine.column(ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid == text).limit(_MOST))
        uids = Study.select(Study.uid).join(StudyAccession).where(StudyAccession.accession_number == text)
        exact += self._engine.column(ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid.in_(uids)).limit(_MOST))
        return exact or self._partly(wanted)

    def _partly(self, wanted: Wanted) -> Iterable[int]:
        # of all hospitals: `exams` leaves out the others
        text = wanted.text
        if len(text) < (2 if not text.isascii() else _TEXT):
            return []
        names: Any = Exam.exam_id.contains(text) | Exam.accession_number.contains(text)
        if wanted.patient:
            names = names | Exam.patient_name.contains(text) | Exam.patient_id.contains(text)
        found = self._engine.column(Exam.select(Exam.id).where(names).limit(_MOST))
        linked = ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid.contains(text)).limit(_MOST)
        return found + (self._engine.column(linked) if text.replace(".", "").isdecimal() else [])

    def _dated(self, wanted: Wanted, among: set[int] | None) -> Iterable[int]:
        """Exams approved on the day, and those of which images came then from the sender."""
        # of all hospitals: `exams` leaves out the others
        studies: Any = Study.select(Study.uid).order_by(Study.last_received.desc())
        if wanted.day is not None:
            end = wanted.day + timedelta(days=1)
            studies = studies.where((Study.last_received >= wanted.day) & (Study.last_received < end))
        if wanted.sender:
            studies = studies.where(Study.sending_ae == wanted.sender)
        found = self._of_studies(studies.limit(None if wanted.day else _MOST))
        if wanted.day is not None and not wanted.sender:
            approved = (Exam.approved_at >= wanted.day) & (Exam.approved_at < wanted.day + timedelta(days=1))
            found += self._engine.column(Exam.select(Exam.id).where(approved))
        if among and wanted.sender:
            mine = Study.select(Study.uid).where(Study.sending_ae == wanted.sender)
            for some in portions(sorted(among)):
                link = ExamStudy.exam.in_(some) & ExamStudy.study_uid.in_(mine)
                found += self._engine.column(ExamStudy.select(ExamStudy.exam).where(link))
        return found

    def _of_studies(self, studies: Select) -> list[int]:
        found: list[int] = []
        for some in portions(self._engine.column(studies)):
            found += self._engine.column(ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid.in_(some)))
        return found

    def _of_hospitals(self, exams: Iterable[int], hospitals: tuple[str, ...]) -> Iterable[int]:
        if not hospitals:
            return exams
        found: list[int] = []
        for some in portions(sorted(exams)):
            query = Exam.select(Exam.id).where(Exam.id.in_(some) & Exam.hospital.in_(hospitals))
            found += self._engine.column(query)
        return found
