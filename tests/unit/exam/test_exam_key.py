"""The key of an exam JSON: lenient, and never an exception but for a missing ExamId."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.errors import InvalidData
from router.exam.fields import FIELDS, SECTION_NAMES
from router.exam.key import ExamKey, approved, key_of
from support.sample_exam import exam_document, shipped_tables

ZONE = ZoneInfo("Asia/Shanghai")


def key(changes: dict[str, object] | None = None) -> ExamKey:
    return key_of(exam_document(changes), zone=ZONE, hospital="", default_branch="09", sexes=shipped_tables()["sex"])


def test_the_key_of_a_whole_exam() -> None:
    got = key()
    assert (got.branch, got.exam_id, got.accession_number, got.modality) == ("01", "V20240001_CT001", "A0001", "CT")
    assert got.study_uids == ("1.2.826.0.1.3680043.2.1125.1",)
    assert got.approve_time == datetime(2024, 5, 6, 11, tzinfo=ZONE)
    assert got.submit_time == datetime(2024, 5, 6, 10, 30, tzinfo=ZONE)
    assert got.study_date == datetime(2024, 5, 6, 9, tzinfo=ZONE)
    assert got.image_count == 3
    assert got.reported == ("双肺纹理清晰，未见异常密度影。", "双肺未见明显异常。")
    assert (got.patient.name, got.patient.birth_date, got.patient.sex) == ("张三", "1949-12-31", "F")
    assert got.patient.patient_ids == {
        "Patient.PatientId": "P0001",
        "Visit.ClinicalNumber": "C0001",
        "Visit.InpatientNumber": "",
        "Visit.MedicalRecordNumber": "M0001",
    }
    assert approved(got)


@pytest.mark.parametrize("exam_id", [None, "", "  ", "\0", [], True])
def test_without_an_exam_id_there_is_no_key(exam_id: object) -> None:
    with pytest.raises(InvalidData, match="ExamId"):
        key({"ExamId": exam_id})


@pytest.mark.parametrize("branch", [None, "", " "])
def test_a_branch_that_the_ris_does_not_give_is_the_default(branch: object) -> None:
    assert key({"HospitalBranchCode": branch}).branch == "09"


def test_numbers_serve_as_identifiers() -> None:
    got = key({"ExamId": 17, "Order.AccessionNumber": 4711, "Study.ImageCount": "12"})
    assert (got.exam_id, got.accession_number, got.image_count) == ("17", "4711", 12)


def test_uids_are_stripped_told_apart_and_listed_once() -> None:
    got = key({"Study.StudyInstanceUIDs": [" 1.2.3\0", "1.2.3", "../etc", "", None, {}, "1.2.04"]})
    assert got.study_uids == ("1.2.3", "1.2.04")


@pytest.mark.parametrize(
    ("gender", "sex"), [("1", "M"), (2, "F"), ("0", ""), ("9", ""), ("男", "M"), ("f", "F"), ("O", "O"), ([], "")]
)
def test_sex_is_told_as_dicom_does(gender: object, sex: str) -> None:
    assert key({"Patient.Gender": gender}).patient.sex == sex


@pytest.mark.parametrize(
    "written",
    [
        "2024-05-06 11:00:00",
        "2024/5/6 11:00:00",
        "2024-05-06T11:00",
        "2024-05-06T11:00:00.000+08:00",
        "2024-05-06T03:00:00Z",
        "20240506110000",
        20240506110000,
        "20240506 110000.5",
    ],
)
def test_every_usual_form_of_a_time_is_the_same_instant(written: object) -> None:
    assert key({"Report.ApproveTime": written}).approve_time == datetime(2024, 5, 6, 11, tzinfo=ZONE)


@pytest.mark.parametrize(
    "written", ["2024-05-06", "20240506", "2024-02-30 11:00:00", "soon", "", None, {}, True, 1e300]
)
def test_what_is_no_time_is_none(written: object) -> None:
    got = key({"Report.ApproveTime": written})
    assert got.approve_time is None
    assert not approved(got)


@pytest.mark.parametrize("status", ["", None, "reported", "Draft", "Registered", 1])
def test_only_reported_is_approved(status: object) -> None:
    assert not approved(key({"Order.Status": status}))


_JUNK = st.one_of(
    st.sampled_from([None, True, 0, -1.5, 1e300, float("inf"), float("nan"), [], [None, "1.2"], {}, {"a": None}]),
    st.text(max_size=4),
)


@given(junk=st.lists(_JUNK, min_size=7, max_size=7))
@settings(max_examples=100, deadline=None, database=None)
def test_any_wrong_type_anywhere_is_no_exception(junk: list[object]) -> None:
    paths = [field.path for field in FIELDS if "[]" not in field.path and field.path != "ExamId"]
    assert key({path: junk[place % 7] for place, path in enumerate(paths)}).exam_id == "V20240001_CT001"
    assert key(dict(zip(SECTION_NAMES, junk, strict=False))).exam_id == "V20240001_CT001"
