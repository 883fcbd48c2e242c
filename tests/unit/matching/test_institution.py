"""An exam of another hospital is told from ours; a branch, a blank and another way of writing are ours."""

from zoneinfo import ZoneInfo

import pytest

from router.config.sections import Branch, Hospital
from router.exam.key import key_of
from router.matching.exam.institution import another_hospital
from support.sample_exam import exam_document, shipped_tables

HOSPITAL = Hospital(
    USCI="12110000400000000A", HospitalCode="H0001", HospitalName="示范医院", HospitalBranchCode="01",
    branch=(Branch(code="02"),),
)  # fmt: skip


def found(usci: object, code: object, branch: object = "01") -> str:
    document = exam_document({"USCI": usci, "HospitalCode": code, "HospitalBranchCode": branch})
    key = key_of(
        document, zone=ZoneInfo("Asia/Shanghai"), hospital="", default_branch="01", sexes=shipped_tables()["sex"]
    )
    doubt = another_hospital(key, HOSPITAL)
    assert doubt is None or (doubt.rule, doubt.since) == ("another hospital", 1)
    return doubt.text if doubt else ""


@pytest.mark.parametrize(("usci", "code", "branch"), [
    ("12110000400000000A", "H0001", "01"), ("12110000400000000a", "h0001", "02"),
    (" 12110000400000000A ", "Ｈ0001", "09"),
    ("", "", ""), (None, "H0001", None), ("12110000400000000A", " ", "01"), ("12110000400000000A", "02", "02"),
    ("12110000400000000A", "01", "01"),
])  # fmt: skip
def test_the_hospital_its_branches_and_blanks_are_ours(usci: object, code: object, branch: object) -> None:
    assert found(usci, code, branch) == ""


@pytest.mark.parametrize(("usci", "code", "named"), [
    ("12110000400000000B", "H0001", "USCI (统一社会信用代码) in"),
    ("12110000400000000A", "H0002", "HospitalCode (医疗机构编码) in"),
    ("12110000400000000B", "H0002", " and "), ("12110000400000000B", "", "USCI"), ("", "H0002", "HospitalCode"),
    ("12110000400000000A", 10001, "HospitalCode"), ("H0001", "H0001", "USCI"),
])  # fmt: skip
def test_another_code_is_another_hospital_and_its_value_is_not_told(usci: object, code: object, named: str) -> None:
    text = found(usci, code)
    assert text.startswith("hospital: ")
    assert named in text
    assert "H0002" not in text
