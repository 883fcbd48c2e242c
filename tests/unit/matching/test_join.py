"""Which studies belong to an exam beyond those it lists."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from router.exam.key import ExamPatient
from router.matching.images.join import Candidate, ExamSide, by_accession
from router.matching.patient.identity import IdentityPolicy, StudyIdentity
from router.model import Patient

DAY = datetime(2026, 3, 2)  # noqa: DTZ001  # local days, as DICOM has them
MONTH = timedelta(days=30)
EXAM = ExamSide(("1.2.1",), "A1", ExamPatient({"Patient.PatientId": "P1"}, "张三", "1949-12-31", "F"), DAY)
SAME = StudyIdentity(Patient("P1", "张^三", "19491231", "F"), "A1")
STUDY = Candidate("1.2.2", (SAME,), DAY)


def joined(*candidates: Candidate, exam: ExamSide = EXAM) -> list[str]:
    return by_accession(exam, candidates, IdentityPolicy(), MONTH)


def identity(accession: str = "A1", other: tuple[str, ...] = (), **changes: str) -> Candidate:
    return replace(STUDY, identities=(StudyIdentity(replace(SAME.patient, **changes), accession, other),))


def test_a_study_of_the_same_accession_number_and_patient_joins() -> None:
    assert joined(STUDY) == ["1.2.2"]


def test_a_listed_study_is_not_joined_a_second_time() -> None:
    assert joined(replace(STUDY, uid="1.2.1"), STUDY) == ["1.2.2"]


@pytest.mark.parametrize(
    ("candidate", "joins"),
    [
        (identity("A2"), False),
        (identity(""), False),
        (identity("A2", ("A1",)), True),  # RequestAttributesSequence
        (identity(patient_id="P2"), False),
        (identity(name="李^四"), False),
        (identity(sex="M"), False),
        (identity(birth_date="19500505"), False),
        (identity(patient_id=""), True),  # the name agrees
        (identity(name=""), True),  # the number agrees
        (identity(patient_id="", name=""), False),  # nothing says whose images these are
        (identity(patient_id="UNKNOWN", name="Zhang^San"), True),  # its pinyin
        (identity(patient_id="UNKNOWN", name="Li^Si"), False),
        (identity(patient_id="UNKNOWN", name="\ufffd\ufffd"), False),  # what cannot be read agrees with nothing
        (identity(patient_id="000000", name="Zhang^San^^^F"), True),
        (replace(STUDY, identities=()), False),
        (replace(STUDY, identities=(SAME, SAME)), True),
        (replace(STUDY, identities=(SAME, StudyIdentity(Patient("P2"), "A1"))), False),  # one contradiction is enough
        (replace(STUDY, identities=(SAME, StudyIdentity(SAME.patient, ""))), False),
    ],
)
def test_it_joins_only_when_patient_and_accession_agree_and_nothing_differs(candidate: Candidate, joins: bool) -> None:
    assert joined(candidate) == (["1.2.2"] if joins else [])


@pytest.mark.parametrize(
    ("exam_day", "study_day", "joins"),
    [
        (DAY, DAY + MONTH, True),
        (DAY, DAY - MONTH, True),
        (DAY, DAY + MONTH + timedelta(days=1), False),  # an accession number that is used again
        (DAY, DAY - MONTH - timedelta(days=1), False),
        (None, DAY, True),
        (DAY, None, True),
    ],
)
def test_the_study_dates_must_be_near(exam_day: datetime | None, study_day: datetime | None, joins: bool) -> None:
    assert bool(joined(replace(STUDY, date=study_day), exam=replace(EXAM, date=exam_day))) == joins


def test_an_exam_without_accession_number_joins_nothing_by_it() -> None:
    exam = replace(EXAM, accession_number="")
    assert joined(identity(""), STUDY, exam=exam) == []


def test_an_exam_without_patient_joins_nothing_by_accession_number() -> None:
    assert joined(STUDY, exam=replace(EXAM, patient=ExamPatient({}))) == []
