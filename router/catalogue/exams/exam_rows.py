"""Rows of exams: their numbers, intake revisions and descriptions, and the request to evaluate them."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from router.catalogue.db.engine import Engine, Rows
from router.catalogue.db.statement import Insert, Statement
from router.catalogue.db.tables.exams import Alias, Exam, ExamStudy, MergeRow
from router.catalogue.db.tables.node import FORMER, Setting
from router.catalogue.db.tables.queue import BackfillRow, ComparisonRow, Delivery, WithdrawalStopRow
from router.catalogue.exams.pdf_names import PdfNames
from router.catalogue.images.hospitals import adopt_studies
from router.exam.key import ExamKey
from router.matching.report_pdf.naming import identifiers

# The number of an exam.
_KNOWN = Statement(
    "SELECT id FROM exam WHERE hospital = ? AND branch = ? AND exam_id = ?", Exam.hospital, Exam.branch, Exam.exam_id
)
_NEW = Insert(Exam)
# The exam's next intake revision.
_REVISE = Statement("UPDATE exam SET revisions = revisions + 1 WHERE id = ? RETURNING revisions", Exam.id)
# Asks for an evaluation of the exam at a time.
_REQUEST = Statement("UPDATE exam SET touched = touched + 1, check_at = ? WHERE id = ?", Exam.check_at, Exam.id)
_DESCRIPTION = (Exam.accession_number, Exam.patient_name, Exam.patient_id)
_IS_OTHERWISE = Statement(
    "SELECT id FROM exam WHERE id = ? AND (accession_number <> ? OR patient_name <> ? OR patient_id <> ?)",
    Exam.id, *_DESCRIPTION,
)  # fmt: skip
# Changes an exam's description; no row where it says the same.
_DESCRIBE = Statement(
    "UPDATE exam SET accession_number = ?, patient_name = ?, patient_id = ? WHERE id = ?"
    " AND (accession_number <> ? OR patient_name <> ? OR patient_id <> ?) RETURNING id",
    *_DESCRIPTION, Exam.id, *_DESCRIPTION,
)  # fmt: skip
# of all hospitals: a PDF on a shared way may be of any of them; otherwise `within` one
_NAMING = {
    "exam_id": ("SELECT id FROM exam WHERE exam_id = ? AND id <> ?", Exam.exam_id),
    "study_uid": (
        "SELECT id FROM exam WHERE id IN (SELECT exam_id FROM exam_study WHERE study_uid = ?) AND id <> ?",
        ExamStudy.study_uid,
    ),
    "accession": ("SELECT id FROM exam WHERE accession_number = ? AND id <> ?", Exam.accession_number),
}  # fmt: skip
# Two of the other exams of a name, by the kind of name; in the order in which the kinds decide.
_NAMED = {kind: Statement(f"{sql} LIMIT 2", field, Exam.id) for kind, (sql, field) in _NAMING.items()}
_NAMED_IN = {
    kind: Statement(f"{sql} AND hospital = ? LIMIT 2", field, Exam.id, Exam.hospital)
    for kind, (sql, field) in _NAMING.items()
}


class Description(NamedTuple):
    """Accession number and patient of the JSON that counts: joining and the texts of PDFs are compared with them."""

    accession_number: str
    patient_name: str
    patient_id: str


UNDESCRIBED = Description("", "", "")
"""The description of an exam of which no JSON is entered yet."""


def description(key: ExamKey) -> Description:
    """The description that a JSON gives of its exam."""
    return Description(key.accession_number, key.patient.name, key.patient.patient_ids.get("Patient.PatientId", ""))


class ExamRows(Rows):
    """Changes to exams' rows that the other tables of this package cause."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.pdf_names = PdfNames(engine)

    def known(self, hospital: str, branch: str, exam_id: str) -> int | None:
        """The node's own number of an exam; None for one that is not known."""
        return next((int(row[0]) for row in _KNOWN.run(self._engine, hospital, branch, exam_id)), None)

    def number_of(
        self, hospital: str, branch: str, exam_id: str, now: datetime, described: Description = UNDESCRIBED
    ) -> int:
        """The node's own number of an exam; an exam that is not known is made, with this description."""
        if number := self.known(hospital, branch, exam_id):
            return number
        with self._engine.write():
            made = _NEW.run(
                self._engine, hospital=hospital, branch=branch, exam_id=exam_id, created=now, **described._asdict()
            )
            if made is None:  # another node was quicker
                return self.number_of(hospital, branch, exam_id, now, described)
            words = identifiers(exam_id, described.accession_number, described.patient_name)
            self.pdf_names.answer(made, words, new=True)
            return made

    def next_revision(self, exam: int) -> int:
        """A new intake revision of the exam; never given twice."""
        with self._engine.write():
            return int(_REVISE.run(self._engine, exam)[0][0])

    def describe(self, exam: int, key: ExamKey) -> bool:
        """Keep the description that the JSON that counts gives; whether it is another one than before."""
        given = description(key)
        if not _IS_OTHERWISE.run(self._engine, exam, *given):  # as a rule: no wait for others who write
            return False
        with self._engine.write():
            if not _DESCRIBE.run(self._engine, *given, exam, *given):
                return False
            self.pdf_names.answer(exam, identifiers(key.exam_id, key.accession_number, key.patient.name))
            return True

    def named_by(
        self, names: Mapping[str, str], other_than: int = 0, within: str | None = None
    ) -> dict[str, list[int]]:  # fmt: skip
        """Exams by each name, at most two: `exam_id`, `study_uid` (listed), `accession`, in the order that decides.

        Of the hospital `within`, or of any.
        """
        statements, hospital = (_NAMED, ()) if within is None else (_NAMED_IN, (within,))
        return {
            kind: [int(row[0]) for row in statement.run(self._engine, names[kind], other_than, *hospital)]
            for kind, statement in statements.items()
            if names.get(kind)
        }

    def any_of(self, hospital: str) -> bool:
        """Whether there is an exam of this hospital, "" for the only one of before."""
        return self._engine.has(Exam.select(Exam.id).where(Exam.hospital == hospital))

    def of_hospital(self, hospital: str) -> list[int]:
        """The exams that are filed under this hospital."""
        return self._engine.column(Exam.select(Exam.id).where(Exam.hospital == hospital).order_by(Exam.id))

    def refile(self, exam: int, hospital: str, branch: str, exam_id: str) -> bool:
        """File an exam under a hospital and branch; False where that one has an exam of this ExamId."""
        with self._engine.write():
            if self.known(hospital, branch, exam_id) is not None:
                return False
            self._engine.run(Exam.update(hospital=hospital, branch=branch).where(Exam.id == exam))
            self._engine.run(Delivery.update(hospital=hospital).where(Delivery.exam == exam))
            return True

    def adopt_former(self, hospital: str) -> int:
        """File everything under the hospital that was filed when there was one alone; how many exams that were.

        Studies that are here are of it, too, and so are numbers of one patient, decided or proposed, backfills, stops
        of withdrawals, and comparisons.
        """
        with self._engine.write():
            exams = int(self._engine.run(Exam.update(hospital=hospital).where(Exam.hospital == "")))
            if exams:
                for table in (Alias, MergeRow, WithdrawalStopRow, ComparisonRow):
                    self._engine.run(table.update(hospital=hospital).where(table.hospital == ""))
                self._engine.run(BackfillRow.update(hospital=hospital).where(BackfillRow.hospital.is_null()))
                adopt_studies(self._engine, hospital)
                self._engine.run(Setting.insert(name=FORMER, value=hospital).on_conflict_ignore())
        return exams

    def request_evaluation(self, exams: Iterable[int], now: datetime) -> None:
        """Have these exams evaluated."""
        if not (ordered := sorted(exams)):
            return
        with self._engine.write():
            for exam in ordered:
                _REQUEST.run(self._engine, now, exam)
