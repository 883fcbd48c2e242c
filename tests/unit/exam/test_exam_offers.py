"""Devices, departments, senders and code tables as sources, and what is said when they contradict the RIS."""

from dataclasses import replace
from typing import Any

import pytest

from router.config.sections import Branch, Department, Device, Hospital
from router.exam.codes import Tables, parse
from router.exam.fields import FIELDS
from router.exam.fill import Filled, Sources, fill
from router.exam.offers import StudyFacts, image_modality
from support.sample_exam import exam_document, holder_of, shipped_tables

HOSPITAL = Hospital(
    USCI="121100004000000001", HospitalCode="H0001", HospitalName="示范医院", HospitalBranchCode="01",
    branch=(Branch(code="02"),),
)  # fmt: skip
CT = StudyFacts(
    uid="1.2.826.0.1.3680043.2.1125.1", accession_number="A0001", study_date="20240506090000", modality="CT",
    manufacturer="SIEMENS", station_name="CTROOM1", serial_number="S1", sending_ae="CT01",
)  # fmt: skip
RADIOLOGY = Department(name="放射科", code="3202", code_std="32", name_std="医学影像科", modalities=("CT", "MR"))
CHEST = Department(name="呼吸内科门诊", code="0301", code_std="03.01", name_std="呼吸内科专业")
DEVICE = Device(station_name="CTROOM1", DeviceAETitle="CT_A", DeviceCode="D1", ExamRoom="一号机房", department="放射科")
BY_SERIAL = Device(serial_number="S1", DeviceAETitle="CT_B")
SOURCES = Sources(hospital=HOSPITAL, branch="01", studies=(CT,), tables=shipped_tables())
EXEC = ("ExecDepartmentCode", "ExecDepartmentName", "ExecDepartmentCodeStd", "ExecDepartmentNameStd")


def empty(*keys: str, **changes: object) -> dict[str, Any]:
    gaps: dict[str, object] = dict.fromkeys((key if "." in key else f"Order.{key}" for key in keys), "")
    return exam_document(gaps | {f"Order.{key}": value for key, value in changes.items()})


def filled(document: dict[str, Any], **changes: Any) -> Filled:
    return fill(document, replace(SOURCES, **changes))


def order(result: Filled, *keys: str) -> list[object]:
    section = result.document["Order"]
    assert isinstance(section, dict)
    return [section[key] for key in keys]


def tables(name: str, rows: str) -> Tables:
    return {**shipped_tables(), name: parse("own_code,own_name,code,name\n" + rows, name)}


@pytest.mark.parametrize(
    ("devices", "aes", "sent"),
    [
        ((DEVICE,), {"CT01"}, "CT_A"),
        ((DEVICE, BY_SERIAL), {"CT01"}, "CT_B"),
        ((Device(station_name="CTROOM1", serial_number="S2", DeviceAETitle="X"),), set(), ""),
        ((), {"CT01"}, "CT01"),
        ((), {"MR01"}, ""),
        ((), set(), ""),
    ],
    ids=["device", "serial number first", "another device of that name", "modality", "other modality", "nothing"],
)
def test_the_devices_ae_title_comes_from_the_device_table_or_a_modality_that_called(
    devices: tuple[Device, ...], aes: set[str], sent: str
) -> None:
    gap = empty("DeviceAETitle")
    assert order(filled(gap, devices=devices, modality_aes=frozenset(aes)), "DeviceAETitle") == [sent]


def test_a_workstation_that_sent_a_structured_report_names_no_device() -> None:
    report = replace(CT, modality="SR")
    result = filled(empty("DeviceAETitle"), studies=(report,), devices=(DEVICE,), modality_aes=frozenset({"CT01"}))
    assert order(result, "DeviceAETitle") == [""]


def test_what_the_ris_gives_wins_and_a_contradiction_names_both() -> None:
    result = filled(exam_document(), devices=(DEVICE,))
    assert order(result, "DeviceAETitle", "DeviceCode") == ["CT01", "D01"]
    notes = {note.path: note.message for note in result.notes}
    assert notes.keys() == {"Order.DeviceAETitle", "Order.DeviceCode"}
    assert '"CT01"' in notes["Order.DeviceAETitle"]
    assert '"CT_A"' in notes["Order.DeviceAETitle"]


def test_a_contradiction_in_personal_data_shows_shapes_only() -> None:
    (note,) = filled(exam_document(), studies=(replace(CT, accession_number="B77"),)).notes
    assert (note.path, note.name) == ("Order.AccessionNumber", "检查号")
    assert "A0001" not in note.message
    assert '"x9999"' in note.message
    assert '"x99"' in note.message


@pytest.mark.parametrize(
    ("path", "value", "told"),
    [
        ("HospitalName", "另一医院", True),
        ("HospitalBranchCode", "02", False),
        ("HospitalBranchCode", "77", True),
        ("Order.ModalityCode", "MR", True),
        ("Order.DeviceManufacturer", "西门子", False),
        ("Order.DeviceManufacturer", "Siemens Healthineers", False),
        ("Order.DeviceManufacturer", "GE", True),
        ("Order.DeviceName", "ANOTHER", False),
        ("Study.StudyDate", "2024-05-06 23:00:00", False),
        ("Study.StudyDate", "2024-05-07 09:00:00", True),
    ],
)
def test_only_what_cannot_both_be_right_is_a_contradiction(path: str, value: str, told: bool) -> None:
    result = filled(exam_document({path: value}))
    assert [note.path for note in result.notes] == [path] * told
    holder, key = holder_of(result.document, path)
    assert holder[key] == value


@pytest.mark.parametrize(
    ("modality", "said"),
    [("CT\\PT", "PT"), ("CT\\NM", "NM"), ("CT\\SR", "CT"), ("KO\\PR\\SEG\\RTSTRUCT", ""), ("OT\\US", "OT")],
)
def test_images_decide_the_modality(modality: str, said: str) -> None:
    assert image_modality(modality) == said


def test_the_executing_department_comes_by_device_or_modality() -> None:
    sent = ["3202", "放射科", "32", "医学影像科"]
    assert order(filled(empty(*EXEC), departments=(CHEST, RADIOLOGY)), *EXEC) == sent
    ultrasound = replace(CT, modality="US")
    gap = empty(*EXEC, ModalityCode="US")
    assert order(filled(gap, studies=(ultrasound,), departments=(CHEST, RADIOLOGY)), *EXEC) == [""] * 4
    by_device = filled(gap, studies=(ultrasound,), departments=(CHEST, RADIOLOGY), devices=(DEVICE,))
    assert order(by_device, *EXEC) == sent


def test_a_department_that_the_ris_names_is_completed_and_never_mixed_with_another() -> None:
    gaps = empty("ExecDepartmentCodeStd", "ExecDepartmentNameStd", "ExecDepartmentCode", ExecDepartmentName="超声科")
    assert order(filled(gaps, departments=(RADIOLOGY,)), *EXEC) == ["", "超声科", "", ""]
    gaps = empty("ApplyDepartmentCodeStd", "ApplyDepartmentNameStd", "ApplyDepartmentCode")
    result = filled(gaps, departments=(RADIOLOGY, CHEST))
    assert order(result, "ApplyDepartmentCode", "ApplyDepartmentCodeStd") == ["0301", "03.01"]


def test_a_department_of_another_branch_does_not_count() -> None:
    other = Department(name="东院放射科", code="9", modalities=("CT",), branch="02")
    result = filled(empty(*EXEC), departments=(other, RADIOLOGY))
    assert order(result, "ExecDepartmentName") == ["放射科"]


def test_the_code_table_fills_standard_codes_and_names() -> None:
    known = tables("departments", "0301,,03.01,呼吸内科专业\n,放射科,32,医学影像科\n")
    gaps = empty("ApplyDepartmentCodeStd", "ApplyDepartmentNameStd", "ExecDepartmentCodeStd", "ExecDepartmentNameStd")
    result = filled(gaps, tables=known)
    assert order(result, "ApplyDepartmentCodeStd", "ApplyDepartmentNameStd") == ["03.01", "呼吸内科专业"]
    assert order(result, "ExecDepartmentCodeStd", "ExecDepartmentNameStd") == ["32", "医学影像科"]


@pytest.mark.parametrize(("code", "name"), [("03", ""), ("", "内科"), ("03", "内科")])
def test_half_of_a_standard_pair_is_completed(code: str, name: str) -> None:
    document = empty(ApplyDepartmentCodeStd=code, ApplyDepartmentNameStd=name)
    assert order(filled(document), "ApplyDepartmentCodeStd", "ApplyDepartmentNameStd") == ["03", "内科"]


def test_procedures_are_standardised_one_by_one_and_contradictions_named_there() -> None:
    known = tables("items", "CT001,,S9,CT胸部\nCT002,,S2,CT腹部\n")
    first = exam_document()["Order"]["Procedures"][0]
    second = {**first, "CheckItemCode": "CT002", "CheckItemCodeStd": "", "CheckItemNameStd": ""}
    result = filled(exam_document({"Order.Procedures": [first, second, "x"]}), tables=known)
    (procedures,) = order(result, "Procedures")
    assert isinstance(procedures, list)
    assert [p["CheckItemCodeStd"] for p in procedures[:2]] == ["S001", "S2"]
    assert procedures[1]["CheckItemNameStd"] == "CT腹部"
    assert [note.path for note in result.notes] == ["Order.Procedures[0].CheckItemCodeStd"]
    assert '"S9"' in result.notes[0].message
    assert '"S001"' in result.notes[0].message


@pytest.mark.parametrize(
    ("path", "given", "sent"),
    [
        ("Patient.Gender", "女", "2"),
        ("Patient.IdNoType", "身份证", "01"),
        ("Order.ModalityCode", "DSA", "XA"),
        ("Visit.PatientType", "门诊", "1"),
        ("Patient.Gender", "O", "O"),
        ("Order.ModalityCode", "DR", "DR"),
    ],
)
def test_own_values_become_the_standards_codes_and_unknown_ones_stay(path: str, given: str, sent: str) -> None:
    result = filled(exam_document({path: given}), studies=())
    holder, key = holder_of(result.document, path)
    assert holder[key] == sent


def test_the_count_of_the_ris_is_what_to_expect() -> None:
    (note,) = filled(exam_document({"Study.ImageCount": 300}), image_count=297).notes
    assert note.path == "Study.ImageCount"
    assert "300" in note.message
    assert "297" in note.message


def test_every_gap_that_a_field_declares_a_source_for_is_filled() -> None:
    known = tables("items", "CT001,,S001,CT胸部平扫\n")
    known = {**known, "body_parts": parse("own_code,own_name,code,name\nB01,,P01,胸部\n", "body_parts")}
    whole_device = Device(
        station_name="CTROOM1", DeviceAETitle="CT_A", DeviceCode="D1", DeviceName="N", DeviceManufacturer="M",
        DeviceModel="O", ExamRoom="R",
    )  # fmt: skip
    for field in FIELDS:
        if not field.sources or field.path in {"Order.ApplyDepartmentName", "Order.ApplyDepartmentCode"}:
            continue
        gap = exam_document({field.path.replace("[]", "[0]"): ""})
        result = filled(
            gap, tables=known, devices=(whole_device,), departments=(RADIOLOGY, CHEST), image_count=3,
            studies=(replace(CT, description="CHEST"),),
        )  # fmt: skip
        holder, key = holder_of(result.document, field.path.replace("[]", "[0]"))
        assert holder[key] not in ("", []), field.path
