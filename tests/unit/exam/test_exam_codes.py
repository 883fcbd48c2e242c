"""Code tables: parsing with every fault, and the ways from the hospital's own values to the standard's."""

import pytest

from router.config.file import shipped
from router.errors import ConfigurationError
from router.exam.codes import Entry, parse
from router.exam.fields import FIELDS, TABLE_NAMES
from support.sample_exam import shipped_tables

DEPARTMENTS = """# comment
own_code,own_name,code,name
0301,呼吸门诊,03.01,呼吸内科专业
0302,呼吸病房,03.01,呼吸内科专业
,,03,内科
,,88,同名科
,,89,同名科
"""


def faults(text: str, name: str = "departments") -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text, name)
    return caught.value.faults


@pytest.mark.parametrize(
    ("code", "name", "found"),
    [
        ("0301", "", Entry("03.01", "呼吸内科专业")),
        ("", "呼吸病房", Entry("03.01", "呼吸内科专业")),
        ("0302", "内科", Entry("03.01", "呼吸内科专业")),
        ("9999", "呼吸门诊", Entry("03.01", "呼吸内科专业")),
        ("", "内科", Entry("03", "内科")),
        ("03", "", None),
        ("", "同名科", None),
        ("", "", None),
    ],
    ids=["own code", "own name", "code before name", "unknown code", "standard name", "no standard code", "twice", "-"],
)
def test_an_own_code_or_name_leads_to_the_standards(code: str, name: str, found: Entry | None) -> None:
    assert parse(DEPARTMENTS, "departments").of_own(code, name) == found


@pytest.mark.parametrize(("value", "code"), [("1", "1"), ("M", "1"), ("女", "2"), ("男性", "1"), ("O", None)])
def test_a_field_with_one_code_takes_the_standards_or_the_hospitals(value: str, code: str | None) -> None:
    found = shipped_tables()["sex"].translated(value)
    assert (found.code if found else None) == code


def test_every_fault_of_a_table_is_told_with_its_line() -> None:
    text = "own_code,own_name,code,name\nA,,1,one\nA,,2,two\n,,1,another\n,,3,\n"
    assert [fault.split(":")[0] for fault in faults(text)] == ["line 3", "line 4", "line 5"]


@pytest.mark.parametrize("text", ["", "code;name\n1;one\n", "own_code,own_name,code\n"])
def test_a_table_without_its_columns_is_refused(text: str) -> None:
    assert "columns" in faults(text)[0]


def test_visit_types_need_a_known_kind() -> None:
    head = "own_code,own_name,code,name,kind\n"
    assert "expected one of outpatient" in faults(head + ",,1,门诊,ambulant\n", "visit_types")[0]
    assert "kind" in faults(head + ",,1,门诊,outpatient\nx,,1,门诊,inpatient\n", "visit_types")[0]
    assert parse(head + ",,5,体检,health_check\n", "visit_types").kinds == {"5": "health_check"}


def test_cells_may_be_quoted_and_columns_in_any_order() -> None:
    table = parse('name,code,own_name,own_code\n"胸部,正侧位",P1," 胸 ",B1\n', "body_parts")
    assert table.of_own("", "胸") == table.of_own("B1", "") == Entry("P1", "胸部,正侧位")


def test_there_is_a_shipped_table_for_each_one_that_a_field_names() -> None:
    assert {field.table for field in FIELDS if field.table} == set(TABLE_NAMES)
    assert {path.stem for path in shipped("codes").glob("*.csv")} == set(TABLE_NAMES)
    assert shipped_tables()["sex"].names.keys() == {"0", "1", "2", "9"}
    assert not shipped_tables()["items"].names
