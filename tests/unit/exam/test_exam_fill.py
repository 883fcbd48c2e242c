"""Gaps filled from what is known, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest

from router.config.sections import Hospital
from router.exam.fields import FIELDS
from router.exam.fill import Filled, Sources, fill
from router.exam.offers import StudyFacts
from support.sample_exam import exam_document, holder_of

HOSPITAL = Hospital(USCI="121100004000000001", HospitalCode="H0001", HospitalName="示范医院", HospitalBranchCode="01")
CT = StudyFacts(
    uid="1.2.826.0.1.3680043.2.1125.1",
    accession_number="A9",
    study_date="20240506090000.000",
    description="CHEST",
    modality="CT",
    manufacturer="SIEMENS",
    model="Force",
    station_name="CTROOM1",
)
SR = StudyFacts(uid="1.2.3.9", study_date="20240506080000", modality="SR", manufacturer="WORKSTATION", model="W")


def filled(
    document: dict[str, Any], *studies: StudyFacts, image_count: int | None = None, branch: str = "02"
) -> Filled:
    return fill(document, Sources(hospital=HOSPITAL, branch=branch, studies=studies, image_count=image_count))


def without(*paths: str) -> dict[str, Any]:
    document = exam_document()
    for path in paths:
        holder, key = holder_of(document, path)
        del holder[key]
    return document


def at(result: Filled, path: str) -> object:
    holder, key = holder_of(result.document, path)
    return holder.get(key)


def test_a_whole_exam_stays_as_it_is() -> None:
    result = filled(exam_document(), replace(CT, accession_number="A0001", model="somatom force"))
    assert result == Filled(exam_document(), ())


def test_the_document_given_is_not_changed() -> None:
    given = without("USCI")
    filled(given, CT, image_count=9)
    assert given == without("USCI")


def test_the_hospitals_constants_fill_their_gaps() -> None:
    result = filled(without("USCI", "HospitalCode", "HospitalName", "HospitalBranchCode"))
    assert [at(result, key) for key in ("USCI", "HospitalCode", "HospitalName", "HospitalBranchCode")] == [
        "121100004000000001", "H0001", "示范医院", "02",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Order.AccessionNumber", "A9"),
        ("Order.DeviceName", "CTROOM1"),
        ("Order.DeviceManufacturer", "SIEMENS"),
        ("Order.DeviceModel", "Force"),
        ("Order.ModalityCode", "CT"),
        ("Study.StudyDescription", "CHEST"),
        ("Study.StudyDate", "2024-05-06 09:00:00"),
        ("Study.StudyInstanceUIDs", ["1.2.826.0.1.3680043.2.1125.1"]),
        ("Patient.AgeDisplay", "74岁"),
    ],
)
def test_a_joined_study_fills_a_gap_and_what_the_ris_gives_wins(path: str, value: object) -> None:
    assert at(filled(without(path), CT), path) == value
    kept: object = ["1.2.3"] if path.endswith("UIDs") else "kept"
    given = at(filled(exam_document({path: kept}), CT), path)
    assert given == kept or (isinstance(given, list) and given[0] == "1.2.3")


def test_a_structured_report_decides_neither_modality_nor_device() -> None:
    gaps = ("Order.ModalityCode", "Order.DeviceManufacturer", "Order.DeviceModel")
    assert [at(filled(without(*gaps), SR, CT), path) for path in gaps] == ["CT", "SIEMENS", "Force"]
    assert [at(filled(without(*gaps), SR), path) for path in gaps] == ["", "", ""]


@pytest.mark.parametrize(("modality", "code"), [("SR\\CT", "CT"), ("KO\\PR\\SR", ""), ("", "")])
def test_of_several_modalities_the_images_decide(modality: str, code: str) -> None:
    study = StudyFacts(uid="1.2.3", modality=modality)
    assert at(filled(without("Order.ModalityCode"), study), "Order.ModalityCode") == code


def test_the_order_of_arrival_does_not_matter() -> None:
    mr = StudyFacts(uid="1.2.4", study_date="20240506100000", modality="MR")
    gaps = without("Order.ModalityCode", "Study.StudyInstanceUIDs", "Study.StudyDate")
    assert filled(gaps, CT, mr) == filled(gaps, mr, CT)
    assert at(filled(gaps, mr, CT), "Order.ModalityCode") == "CT"
    assert "differ" in filled(gaps, mr, CT).notes[0].message


def test_a_day_without_a_time_is_no_study_date() -> None:
    study = StudyFacts(uid="1.2.3", study_date="20240506")
    assert at(filled(without("Study.StudyDate"), study), "Study.StudyDate") == ""


def test_joined_studies_are_listed_after_those_of_the_ris_and_noted() -> None:
    ct = StudyFacts(uid=CT.uid)
    result = filled(exam_document({"Study.StudyInstanceUIDs": ["1.2.3 ", "1.2.3", ""]}), ct)
    assert at(result, "Study.StudyInstanceUIDs") == ["1.2.3", CT.uid]
    assert [note.path for note in result.notes] == ["Study.StudyInstanceUIDs"]
    assert CT.uid in result.notes[0].message


@pytest.mark.parametrize(
    ("given", "ours", "sent"), [(3, 7, 7), (3, 0, 0), (3, None, 3), ("3", None, 3), (None, None, 0)]
)
def test_the_image_count_is_ours_when_known(given: object, ours: int | None, sent: int) -> None:
    assert at(filled(exam_document({"Study.ImageCount": given}), image_count=ours), "Study.ImageCount") == sent


@pytest.mark.parametrize(
    ("gap", "source"), [("Order.RegisterTime", "Order.CheckInTime"), ("Order.CheckInTime", "Order.RegisterTime")]
)
def test_register_and_check_in_time_fill_each_other_with_a_note(gap: str, source: str) -> None:
    result = filled(without(gap))
    assert at(result, gap) == at(result, source)
    assert [note.path for note in result.notes] == [gap]


@pytest.mark.parametrize("written", [" Reported ", "Reported\r\n", "\u3000Reported", "Reported\0"])
def test_blanks_around_the_status_are_left_out_as_where_it_is_judged(written: str) -> None:
    document = exam_document({"Order.Status": written})
    assert at(filled(document), "Order.Status") == "Reported"


def test_an_absent_positive_status_is_unknown_with_a_note() -> None:
    result = filled(without("Report.PositiveStatus"))
    assert at(result, "Report.PositiveStatus") == -1
    assert [(note.path, note.name) for note in result.notes] == [("Report.PositiveStatus", "阴阳性")]


def test_an_empty_document_gets_every_key_but_optional_times_and_is_critical() -> None:
    result = filled({}, branch="")
    left_out = {"Order.ApplyTime", "Report.IsCritical"}
    for field in FIELDS:
        if "[]" not in field.path:
            holder, key = holder_of(result.document, field.path)
            assert (key in holder) == (field.path not in left_out), field.path
    assert result.document["HospitalBranchCode"] == "01"
    assert at(result, "Patient.Name") == ""
    assert at(result, "Order.Procedures") == []


@pytest.mark.parametrize(
    ("path", "given", "sent"),
    [
        ("Patient.PatientId", 4711, "4711"),
        ("Order.Procedures[0].BodyPartCode", 12, "12"),
        ("Report.PositiveStatus", "1", 1),
        ("Study.ImageCount", 3.0, 3),
        ("Report.IsCritical", "false", False),
        ("Report.IsCritical", 1, True),
        ("Report.ApproveTime", "2024-05-06T03:00:00Z", "2024-05-06 11:00:00"),
        ("Order.ApplyTime", "20240506080000", "2024-05-06 08:00:00"),
        ("Patient.DateOfBirth", "19491231", "1949-12-31"),
        ("Patient.DateOfBirth", "1949-12-31 00:00:00", "1949-12-31"),
        ("Report.Findings", "a\0b", "ab"),
        ("Report.Findings", " kept as is ", " kept as is "),
        ("Patient.Name", ["no", "name"], ["no", "name"]),
        ("Report.ApproveTime", "yesterday", "yesterday"),
        ("Report.PositiveStatus", "阳性", "阳性"),
    ],
)
def test_values_take_the_standards_type_where_they_can(path: str, given: object, sent: object) -> None:
    result = filled(exam_document({path: given}))
    assert at(result, path) == sent
    assert type(at(result, path)) is type(sent)


@pytest.mark.parametrize("path", ["Order.ApplyTime", "Report.IsCritical"])
@pytest.mark.parametrize("empty", ["", None])
def test_an_empty_optional_time_is_left_out(path: str, empty: object) -> None:
    holder, key = holder_of(filled(exam_document({path: empty})).document, path)
    assert key not in holder


def test_what_the_standard_does_not_list_never_leaves_and_is_noted() -> None:
    extra = exam_document({"Extra": {"a": 1}, "Patient.Ward": "x", "Order.Procedures[0].Price": 9, "Visit.张三": 1})
    result = filled(extra)
    assert result.document == exam_document()
    assert [note.path for note in result.notes] == ["Extra", "Visit.?", "Patient.Ward", "Order.Procedures[0].Price"]


def test_a_section_that_is_no_object_is_left_out_and_noted() -> None:
    result = filled({**exam_document(), "Visit": "outpatient"})
    assert at(result, "Visit.PatientType") == ""
    assert [(note.path, note.name) for note in result.notes] == [("Visit", "就诊信息")]


@pytest.mark.parametrize("born", ["", "soon", "2030-01-01"])
def test_an_age_is_never_invented(born: str) -> None:
    document = exam_document({"Patient.AgeDisplay": "", "Patient.DateOfBirth": born})
    assert at(filled(document), "Patient.AgeDisplay") == ""
