"""What an exam JSON says under the names that rules of [[share.exclude]] use."""

from pathlib import Path
from typing import Any

import pytest

from router.config.file import parse
from router.config.sections import EXCLUDE_FIELDS, OF_EXAM
from router.errors import ConfigurationError
from router.exam.fields import FIELDS
from router.exam.sayings import misnamed, sayings
from router.intake.exam_reader import ExamReader
from support.hl7_messages import oru
from support.sample_exam import exam_document, shipped_tables

HOSPITAL = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[[share.exclude]]
name = "x"
"""
SENT = HOSPITAL.partition("[[share")[0] + '[[destination]]\nname = "cloud"\n[[destination.accept]]\n'
RIS: dict[str, Any] = {
    "拒绝共享": "是",
    "VIP": True,
    "data": {"vip": 1, "tags": ["体检", {"x": "职工"}], "a.b": "dot"},
    "Visit": {"VisitType": "体检"},
}


def said(name: str, **changes: object) -> tuple[str, ...]:
    document = exam_document({path.replace("__", "."): value for path, value in changes.items()})
    given = {**RIS, "Visit": {**RIS["Visit"], **document["Visit"]}}
    return sayings(name, {**document, "Visit": {**document["Visit"], "VisitType": "体检"}}, given, shipped_tables())


@pytest.mark.parametrize(("name", "expected"), [
    ("Patient.Name", ("张三",)), ("Visit.VisitType", ("体检",)), ("拒绝共享", ("是",)),
    ("$.VIP", ("true",)), ("VIP", ("true",)), ("vip", ("1",)),
    ("$.data.vip", ("1",)), ("data.vip", ("1",)), ("data.tags[]", ("体检", "职工")),
    ("tags", ("体检", "职工")),
    ("$.data['a.b']", ("dot",)), ("ExamId", ("V20240001_CT001",)), ("$.nowhere", ()), ("无", ()),
    ("Order.Procedures[].CheckItemCode", ("CT001",)),
])  # fmt: skip
def test_fields_and_keys_of_the_ris_are_found(name: str, expected: tuple[str, ...]) -> None:
    assert said(name) == expected


@pytest.mark.parametrize(
    ("written", "expected"), [("体检", {"体检", "9", "其他"}), ("1", {"1", "门诊"}), ("门诊", {"门诊", "1"})]
)
def test_a_coded_field_is_found_by_what_the_ris_writes_and_by_the_code_of_the_standard(
    written: str, expected: set[str]
) -> None:
    assert set(said("Visit.PatientType", Visit__PatientType=written)) == expected


@pytest.mark.parametrize(
    "name", ["Patient.Name", "Visit.VisitType", "$.Vip", "VIP", "拒绝共享", "data.x[].y", "ExamId"]
)
def test_names_of_the_standard_and_of_a_ris_are_taken(name: str) -> None:
    assert misnamed(name) == ""
    ExamReader(parse(f"{HOSPITAL}'{name}' = '1'\n", base=Path()))


@pytest.mark.parametrize(("name", "told"), [
    ("Patient.Nmae", "Patient.Name"), ("Visit.PatientTyp", "Visit.PatientType"),
    ("visit.patienttype", "Visit.PatientType"),
    ("Order.Acessionnumber", "Order.AccessionNumber"), ("a..b", "expected a path"),
])  # fmt: skip
def test_a_misspelt_field_is_an_error_that_says_what_is_meant(name: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ExamReader(parse(f"{HOSPITAL}'{name}' = '1'\n", base=Path()))
    (fault,) = refused.value.faults
    assert name in fault
    assert told in fault


def test_a_path_needs_no_quotes() -> None:
    (rule,) = parse(f"{HOSPITAL}Visit.PatientType = '^4$'\nPatientID = '^T'\n", base=Path()).share.exclude
    assert rule.model_extra == {"Visit.PatientType": "^4$", "PatientID": "^T"}


def test_the_names_at_the_top_of_an_exam_are_those_of_the_standard() -> None:
    assert {one.path for one in FIELDS if not one.parent} == OF_EXAM
    assert not EXCLUDE_FIELDS & OF_EXAM


def test_a_key_that_is_mapped_away_is_found_under_its_own_name_and_where_it_went(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_text('[fields]\n"data.refused" = "Order.Note"\n"no" = "ExamId"\n', encoding="utf-8")
    found = ExamReader(parse(f"{HOSPITAL}VIP = '1'\n[reports]\nmapping = 'm.toml'\n", base=tmp_path))
    data = '{"no": "E1", "data": {"refused": "拒绝"}}'.encode()
    names = ("$.data.refused", "refused", "Order.Note", "ExamId", "no")
    assert found.said(data, names) == dict(zip(names, [("拒绝",)] * 3 + [("E1",)] * 2, strict=True))


def test_of_an_hl7_message_the_fields_are_found_that_it_is_mapped_to() -> None:
    found = ExamReader(parse(f"{HOSPITAL}VIP = '1'\n", base=Path()))
    assert found.said(oru(findings="健康体检").encode(), ["Report.Findings", "VIP"]) == {
        "Report.Findings": ("健康体检",), "VIP": (),
    }  # fmt: skip


@pytest.mark.parametrize("name", ["branch", "modality", "Order.Note", "$.Vip", "VIP", "ExamId"])
def test_a_rule_of_a_destination_takes_names_of_the_standard_of_a_ris_and_short_ones(name: str) -> None:
    ExamReader(parse(f"{SENT}'{name}' = '1'\n", base=Path()))


@pytest.mark.parametrize(("name", "told"), [
    ("Order.Nte", "Order.Note"), ("modalty", "modality"), ("a..b", "expected a path"),
    ("hospital", "hospitals = [...]"),
])  # fmt: skip
def test_a_misspelt_name_of_a_rule_of_a_destination_is_an_error_that_says_what_is_meant(name: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        ExamReader(parse(f"{SENT}'{name}' = '1'\n", base=Path()))
    (fault,) = refused.value.faults
    assert fault.startswith(f"destination cloud: accept: {name!r}: ")
    assert told in fault
