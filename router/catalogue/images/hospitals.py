"""Hospitals of studies: which of them brought images of a study, and the links that this leaves to exams.

No link joins an exam to a study of other hospitals (`matching.images.hospital.may_join`): where one is listed all the
same, a ForeignStudy says so. What finds studies by the links of an exam, or exams by the links of a study, need not ask
for the hospital again.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from peewee import Expression, fn

from router.catalogue.db.engine import Engine, portions
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import Exam, ExamStudy, ForeignStudy
from router.catalogue.db.tables.images import Study, StudyHospital
from router.catalogue.exams.evaluation import evaluate, exams_of

# A hospital brought images of this study; no row where that is known.
_NEW = Statement(
    "INSERT INTO study_hospital (study_id, hospital) SELECT id, ? FROM study WHERE uid = ?"
    " ON CONFLICT DO NOTHING RETURNING study_id", StudyHospital.hospital, Study.uid,
)  # fmt: skip
# Studies that no hospital is known of, as one hospital's.
_REST = Statement(
    "INSERT INTO study_hospital (study_id, hospital) SELECT id, ? FROM study"
    " WHERE id NOT IN (SELECT study_id FROM study_hospital)",
    StudyHospital.hospital,
)
_BROUGHT = Prepared(
    lambda studies: StudyHospital.select(StudyHospital.study, StudyHospital.hospital).where(
        StudyHospital.study.in_(studies)
    )
)
_BROUGHT_BY_UID = Prepared(
    lambda uids: StudyHospital.select(Study.uid, StudyHospital.hospital).join(Study).where(Study.uid.in_(uids))
)


def hospitals_of(engine: Engine, studies: Collection[int]) -> dict[int, frozenset[str]]:
    """The hospitals that brought images of these studies, by their numbers; those that none is known of are left out.

    The hospital of an exam decides afterwards, by `may_join`.
    """
    found: dict[int, set[str]] = defaultdict(set)
    for some in portions(list(studies)):
        for study, hospital in engine.rows(_BROUGHT(list(some))):
            found[study].add(hospital)
    return {study: frozenset(names) for study, names in found.items()}


def hospitals_by_uid(engine: Engine, uids: Iterable[str]) -> dict[str, frozenset[str]]:
    """The same by UID."""
    found: dict[str, set[str]] = defaultdict(set)
    for some in portions(list(uids)):
        for uid, hospital in engine.rows(_BROUGHT_BY_UID(list(some))):
            found[uid].add(hospital)
    return {uid: frozenset(names) for uid, names in found.items()}


def joinable(hospital: str) -> Expression:
    """`may_join` for an exam of this hospital and the outer query's study."""
    rows = StudyHospital.select(StudyHospital.study).where(StudyHospital.study == Study.id)
    may: Expression = ~fn.EXISTS(rows) | fn.EXISTS(rows.where(StudyHospital.hospital == hospital))
    return may


def note_hospitals(engine: Engine, brought: Mapping[str, Collection[str]], now: datetime) -> None:
    """Note the hospitals that brought images of studies that are here, by UID. Inside a transaction.

    Where it is news, links of other hospitals' exams end, and everyone's exams that name the study are evaluated.
    """
    named = [(uid, name) for uid, names in sorted(brought.items()) for name in sorted(names) if name]
    made = [uid for uid, name in named if _NEW.run(engine, name, uid)]
    news = list(dict.fromkeys(made))
    if not news:
        return
    for uid, hospitals in hospitals_by_uid(engine, news).items():
        _part(engine, uid, hospitals)
    listing = ForeignStudy.select(ForeignStudy.exam).where(ForeignStudy.study_uid.in_(news))
    evaluate(engine, Exam.id.in_(exams_of(news)) | Exam.id.in_(listing), now)


def _part(engine: Engine, uid: str, hospitals: frozenset[str]) -> None:
    """End the links of the study to exams of others than these hospitals."""
    theirs = (ExamStudy.study_uid == uid) & Exam.hospital.not_in(sorted(hospitals))
    exams = engine.column(ExamStudy.select(ExamStudy.exam).join(Exam).where(theirs))
    for some in portions(exams):
        foreign = [{"exam": exam, "study_uid": uid} for exam in some]
        engine.run(ForeignStudy.insert_many(foreign).on_conflict_ignore())
        engine.run(ExamStudy.delete().where((ExamStudy.study_uid == uid) & ExamStudy.exam.in_(some)))


def adopt_studies(engine: Engine, hospital: str) -> None:
    """Have the studies that no hospital is known of be of this one. Inside a transaction."""
    _REST.run(engine, hospital)
