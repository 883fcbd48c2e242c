"""Links of exams to studies, and the exams and studies that share them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.catalogue.db.engine import Engine, Rows, portions
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.exams import Exam, ExamStudy, ForeignStudy, SeparatedStudy
from router.catalogue.db.tables.images import Study, StudyAccession
from router.catalogue.exams.exam_rows import ExamRows
from router.catalogue.images.hospitals import hospitals_by_uid, joinable
from router.catalogue.images.studies import StudyHere, studies_here
from router.matching.images.hospital import may_join

_OF_EXAM = Prepared(
    lambda exam: ExamStudy.select(ExamStudy.study_uid, ExamStudy.joined_by).where(ExamStudy.exam == exam)
)
# of all hospitals: an exam of another one may claim the study
_OTHERS = Prepared(
    lambda exam, uids: Exam.select(
        Exam.id, Exam.hospital, Exam.accession_number, Exam.patient_id, Exam.patient_name, ExamStudy.study_uid,
        Exam.approved_at.is_null(False),
    ).join(ExamStudy, on=ExamStudy.exam == Exam.id).where((Exam.id != exam) & ExamStudy.study_uid.in_(uids))
)  # fmt: skip
_APART = Prepared(lambda exam: SeparatedStudy.select(SeparatedStudy.study_uid).where(SeparatedStudy.exam == exam))
_FOREIGN = Prepared(lambda exam: ForeignStudy.select(ForeignStudy.study_uid).where(ForeignStudy.exam == exam))
_NAMED = Prepared(
    lambda number, hospital: (
        Study.select(Study.uid)
        .join(StudyAccession)
        .where((StudyAccession.accession_number == number) & joinable(hospital))
        .order_by(Study.id)
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverlappingExam:
    """Another exam that has a study in common with this one; `approved` as it was last evaluated.

    One of another `hospital` only claims the study.
    """

    exam: int
    hospital: str = ""
    accession_number: str
    patient_id: str
    patient_name: str
    study_uid: str
    approved: bool


class Links(Rows):
    """Studies by UID, whether they are here or still to come; a link keeps the key that joined it.

    No link joins a study of other hospitals than the exam's.
    """

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._exams = ExamRows(engine)

    def of(self, exam: int) -> dict[str, str]:
        """The exam's studies, each with the key that joined it."""
        return dict(self._engine.rows(_OF_EXAM(exam)))

    def link(self, exam: int, study_uids: Iterable[str], joined_by: str, now: datetime) -> list[str]:
        """Join studies to an exam; the newly joined UIDs are returned. A key that joined before stays.

        Those of other hospitals are kept as foreign. A cataloguer or a purge of these studies has ended before, and is
        seen, or begins after it, and sees the exam.
        """
        study_uids = list(study_uids)
        with self._engine.lock_names(study_uids), self._engine.write():
            have = self.of(exam)
            new = self._own(exam, [uid for uid in dict.fromkeys(study_uids) if uid not in have])
            for portion in portions(new):
                rows = [{"exam": exam, "study_uid": uid, "joined_by": joined_by, "since": now} for uid in portion]
                self._engine.run(ExamStudy.insert_many(rows).on_conflict_ignore())
                # of all hospitals: an exam of another one may claim the study
                shared = ExamStudy.study_uid.in_(portion) & (ExamStudy.exam != exam)
                others = ExamStudy.select(ExamStudy.exam).where(shared).distinct()
                self._exams.request_evaluation(self._engine.column(others), now)
        return new

    def _own(self, exam: int, uids: Sequence[str]) -> list[str]:
        """Those of the studies that may join the exam, after the others are kept as foreign."""
        hospital, known = self.hospital_of(exam), hospitals_by_uid(self._engine, uids)
        own = [uid for uid in uids if may_join(hospital, known.get(uid, frozenset()))]
        for portion in portions([uid for uid in uids if uid not in own]):
            rows = [{"exam": exam, "study_uid": uid} for uid in portion]
            self._engine.run(ForeignStudy.insert_many(rows).on_conflict_ignore())
        self._forget_foreign(exam, own)
        return own

    def hospital_of(self, exam: int) -> str:
        """The hospital that the exam is filed under."""
        return str(self._engine.value(Exam.select(Exam.hospital).where(Exam.id == exam)))

    def unlink(self, exam: int, study_uids: Iterable[str]) -> None:
        """Take studies from an exam, because the JSON that counts no longer names them."""
        with self._engine.write():
            mine = ExamStudy.delete().where(ExamStudy.exam == exam)
            for portion in portions(list(study_uids)):
                self._engine.run(mine.where(ExamStudy.study_uid.in_(portion)))
            self._forget_foreign(exam, list(study_uids))

    def _forget_foreign(self, exam: int, study_uids: Sequence[str]) -> None:
        mine = ForeignStudy.delete().where(ForeignStudy.exam == exam)
        for portion in portions(study_uids):
            self._engine.run(mine.where(ForeignStudy.study_uid.in_(portion)))

    def foreign(self, exam: int) -> frozenset[str]:
        """Studies of other hospitals that the exam lists."""
        return frozenset(self._engine.column(_FOREIGN(exam)))

    def studies(self, uids: Iterable[str]) -> dict[str, StudyHere]:
        """The studies of these UIDs that are here."""
        return studies_here(self._engine, uids)

    def candidates(
        self, accession_number: str, hospital: str = "", known: Mapping[str, StudyHere] = {}
    ) -> list[StudyHere]:
        """Studies that name this accession number, also in RequestAttributesSequence; `known` are not read again.

        None of them is of other hospitals than `hospital`.
        """
        if not accession_number:
            return []
        uids = self._engine.column(_NAMED(accession_number, hospital))
        found = {**self.studies(uid for uid in uids if uid not in known), **known}
        return [found[uid] for uid in uids]

    def overlapping(self, exam: int, uids: Iterable[str]) -> tuple[OverlappingExam, ...]:
        """The other exams of these studies, of all hospitals, once for each study."""
        found = (self._engine.rows(_OTHERS(exam, some)) for some in portions(list(uids)))
        return tuple(
            OverlappingExam(
                exam=other, hospital=hospital, accession_number=accession_number, patient_id=patient_id,
                patient_name=name, study_uid=uid, approved=bool(approved),
            )
            for rows in found for other, hospital, accession_number, patient_id, name, uid, approved in rows
        )  # fmt: skip

    def apart(self, exam: int) -> frozenset[str]:
        """The studies that a person keeps apart from the exam."""
        return frozenset(self._engine.column(_APART(exam)))


def told_apart(
    hospital: str, others: Iterable[OverlappingExam], of_studies: Mapping[str, frozenset[str]]
) -> tuple[tuple[OverlappingExam, ...], tuple[OverlappingExam, ...]]:
    """Other exams of a hospital's exam's studies: those of the hospital, and others' that claim what is nobody's.

    A study that two hospitals sent (`of_studies`, by UID) is each one's own: their exams have nothing in common.
    """
    others = list(others)
    own = (one for one in others if one.hospital == hospital)
    rivals = (one for one in others if one.hospital != hospital and not of_studies.get(one.study_uid))
    return tuple(own), tuple(rivals)
