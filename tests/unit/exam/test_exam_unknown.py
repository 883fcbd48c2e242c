"""The values that no code table knows."""

from router.exam.codes import parse
from router.exam.unknown import Unknown, unknown
from support.sample_exam import exam_document, shipped_tables

TABLES = shipped_tables()
GAPS: dict[str, object] = {"Order.ApplyDepartmentCodeStd": "", "Order.ApplyDepartmentNameStd": ""}


def found(changes: dict[str, object]) -> list[Unknown]:
    return list(unknown(exam_document(changes), TABLES))


def test_a_document_of_known_values_has_none() -> None:
    assert found({}) == []


def test_an_own_code_without_a_row_is_told_with_its_name() -> None:
    assert found(GAPS) == [Unknown("departments", "own", "0301", "呼吸内科门诊")]
    rows = "own_code,own_name,code,name\n0301,,03,内科\n,,32,医学影像科\n"
    known = {**TABLES, "departments": parse(rows, "departments")}
    assert list(unknown(exam_document(GAPS), known)) == []


def test_a_standard_code_that_the_table_lacks_is_told() -> None:
    assert found({"Order.ApplyDepartmentCodeStd": "77"}) == [Unknown("departments", "standard", "77", "内科")]


def test_a_value_in_a_field_of_its_own_is_told() -> None:
    assert found({"Order.ModalityCode": "DR", "Patient.Gender": "男"}) == [Unknown("device_types", "own", "DR", "")]


def test_a_table_without_rows_still_tells_what_the_hospital_writes() -> None:
    changes: dict[str, object] = {
        "Order.Procedures[0].CheckItemCodeStd": "", "Order.Procedures[0].CheckItemNameStd": None,
    }  # fmt: skip
    assert found(changes) == [Unknown("items", "own", "CT001", "胸部CT平扫")]


def test_any_junk_is_no_exception() -> None:
    junk: list[object] = [None, 1, "x", [], ["x"], {"Procedures": "x"}, {"Procedures": [1]}]
    for value in junk:
        assert isinstance(list(unknown({"Order": value, "Patient": value, "Visit": value}, TABLES)), list)
