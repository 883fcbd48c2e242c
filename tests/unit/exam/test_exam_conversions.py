"""Conversions of a mapping file: separators, constants, patterns, lists, tables of values, dates, ages."""

import copy
import tomllib
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from router.errors import ConfigurationError
from router.exam.mapping import parse
from router.exam.validate import validate
from support.sample_exam import exam_document, shipped_tables


def mapped(fields: str, document: dict[str, Any]) -> dict[str, Any]:
    before = copy.deepcopy(document)
    result = parse(tomllib.loads(f"[fields]\n{fields}"), source="ris.toml").apply(document)
    assert document == before
    return result


def faults(toml: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse(tomllib.loads(toml), source="ris.toml")
    return caught.value.faults


@pytest.mark.parametrize(
    ("line", "joined"),
    [
        ("v.no + '_' + i[0].code", "V7_CT1"),
        ("'CT' + v.no", "CTV7"),
        ("v.no + '-' + '1'", "V7-1"),
        ("v.no + ' + ' + v.no", "V7 + V7"),
        ("v['a.b'] + '_' + v.no", "x_V7"),
    ],
)
def test_a_separator_stands_between_the_parts_of_a_join(line: str, joined: str) -> None:
    document = {"v": {"no": " V7 ", "a.b": "x"}, "i": [{"code": "CT1"}]}
    assert mapped(f'"{line}" = "ExamId"', document)["ExamId"] == joined


@pytest.mark.parametrize(
    "document", [{"v": "V7"}, {"v": "V7", "i": ""}, {"v": " ", "i": "CT1"}, {"v": None, "i": "CT1"}]
)
def test_a_join_with_a_separator_lacks_no_part(document: dict[str, Any]) -> None:
    assert mapped('"v + \'_\' + i" = "ExamId"', document | {"ExamId": "E1"})["ExamId"] == "E1"


def test_one_number_is_joined_with_each_of_a_list() -> None:
    line = '"v + \'.\' + i[].code" = "Order.Procedures[].CheckItemCode"'
    result = mapped(line, {"v": "V7", "i": [{"code": "1"}, {"code": ""}, {"code": "3"}]})
    assert [each["CheckItemCode"] for each in result["Order"]["Procedures"]] == ["V7.1", "", "V7.3"]


def test_a_pattern_takes_a_part_or_builds_a_text_and_gives_nothing_where_it_does_not_match() -> None:
    code = '{ to = "Report.ApproveDoctorCode", match = "\\\\|(\\\\w+)$" }'
    first = f'"d" = [{code}, {{ to = "Report.ApproveDoctorName", match = "^[^|]+" }}]'
    assert mapped(first, {"d": "示例甲|D001"})["Report"] == {"ApproveDoctorCode": "D001", "ApproveDoctorName": "示例甲"}
    build = '"n" = { to = "ExamId", match = "^(?P<day>\\\\d{8})-(\\\\d+)$", as = "\\\\g<day>_\\\\2" }'
    assert mapped(build, {"n": "20240506-77"}) == {"ExamId": "20240506_77"}
    assert mapped(build, {"n": "77", "ExamId": "E1"}) == {"n": "77", "ExamId": "E1"}
    assert mapped('"ExamId" = { to = "ExamId", match = "^RIS(.+)" }', {"ExamId": "7"}) == {"ExamId": "7"}


def test_a_pattern_with_an_optional_group_gives_what_there_is() -> None:
    assert mapped('"n" = { to = "Order.Note", match = "(a)?b", as = "[\\\\1]" }', {"n": "b"})["Order"] == {"Note": "[]"}


def test_a_text_that_is_a_list_is_split() -> None:
    lines = """
    "codes" = { to = "Order.Procedures[].CheckItemCode", split = "[,;]" }
    "names" = { to = "Order.Procedures[].CheckItemName", split = "[,;]" }
    "uids" = { to = "Study.StudyInstanceUIDs", split = "/" }
    """
    result = mapped(lines, {"codes": "CT1, CT2;CT3;", "names": "胸;;腹", "uids": "1.2/1.3"})
    procedures = [(each["CheckItemCode"], each["CheckItemName"]) for each in result["Order"]["Procedures"]]
    assert procedures == [("CT1", "胸"), ("CT2", ""), ("CT3", "腹")]
    assert result["Study"]["StudyInstanceUIDs"] == ["1.2", "1.3"]


@pytest.mark.parametrize(("given", "sent"), [("门", "1"), (" 住 ", "3"), (2, "2"), ("其他", "9"), (True, "9")])
def test_a_table_of_values_has_an_entry_for_every_other_value(given: object, sent: str) -> None:
    line = '"k" = { to = "Visit.PatientType", values = { "门" = "1", "住" = "3", "2" = "2", "*" = "9" } }'
    assert mapped(line, {"k": given})["Visit"]["PatientType"] == sent


def test_nothing_is_no_other_value() -> None:
    toml = '[values."Visit.PatientType"]\n"O" = "1"\n"*" = "9"\n'
    for given, sent in (("O", "1"), ("x", "9"), ("", ""), (None, None)):
        rules = parse(tomllib.loads(toml), source="ris.toml")
        assert rules.apply({"Visit": {"PatientType": given}}) == {"Visit": {"PatientType": sent}}


@pytest.mark.parametrize(
    ("form", "given", "sent"),
    [
        ("dd.MM.yyyy", "31.12.1970", "1970-12-31"),
        ("dd/MM/yyyy", "05/06/2024", "2024-06-05"),
        ("MM/dd/yyyy", "05/06/2024", "2024-05-06"),
        ("yyyyMMdd", 20240506, "2024-05-06"),
        ("yyyy年M月d日", "2024年5月6日", "2024-05-06"),
        ("d/M/yyyy", "31/2/2024", "31/2/2024"),
        ("dd.MM.yyyy", "1970-12-31", "1970-12-31"),
        ("dd.MM.yyyy", "31.12.1970 ", "1970-12-31"),
    ],
)
def test_a_date_is_read_by_its_form_and_stays_where_it_does_not_fit(form: str, given: object, sent: str) -> None:
    assert mapped(f'"b" = {{ to = "Patient.DateOfBirth", date = "{form}" }}', {"b": given}) == {
        "Patient": {"DateOfBirth": sent}
    }


@pytest.mark.parametrize(
    ("form", "given", "sent"),
    [
        ("dd/MM/yyyy HH:mm", "05/06/2024 09:30", "2024-06-05 09:30:00"),
        ("M/d/yyyy h:mm:ss a", "5/6/2024 12:05:09 PM", "2024-05-06 12:05:09"),
        ("M/d/yyyy h:mm a", "5/6/2024 12:05 am", "2024-05-06 00:05:00"),
        ("yyyy-MM-dd a hh:mm", "2024-05-06 下午 01:05", "2024-05-06 13:05:00"),
        ("yyyyMMddHHmmssSSS", "20240506093001123", "2024-05-06 09:30:01"),
        ("yyyy-MM-dd'T'HH:mm:ss", "2024-05-06T09:30:00", "2024-05-06 09:30:00"),
        ("M/d/yyyy h:mm a", "5/6/2024 13:05 PM", "5/6/2024 13:05 PM"),
    ],
)
def test_a_time_is_read_by_its_form(form: str, given: str, sent: str) -> None:
    line = f'"b" = {{ to = ["Order.RegisterTime", "Order.CheckInTime"], date = "{form}" }}'
    assert mapped(line, {"b": given})["Order"] == {"RegisterTime": sent, "CheckInTime": sent}


@pytest.mark.parametrize(
    ("age", "unit", "sent"),
    [
        (45, "Y", "45岁"), ("045", "岁", "45岁"), ("3", "个月", "3月"), ("12", "天", "12天"), ("5", "hours", "5小时"),
        ("2", "W", "2周"), ("045Y", "", "45岁"), ("1岁3个月", "", "1岁3月"), ("10月3周4天", "", "10月3周4天"),
        ("45", "", "45"), ("3月1岁", "", "3月1岁"), ("45", "X", "45 X"), ("成人", "", "成人"), ("1岁1岁", "", "1岁1岁"),
    ],
)  # fmt: skip
def test_an_age_and_its_unit_are_the_standards_age(age: object, unit: str, sent: str) -> None:
    result = mapped('"a + u" = { to = "Patient.AgeDisplay", age = true }', {"a": age, "u": unit})
    assert result["Patient"]["AgeDisplay"] == sent


def test_codes_for_units_of_age_are_named() -> None:
    line = '"a + u" = { to = "Patient.AgeDisplay", age = { "1" = "岁", "2" = "月", "周" = "周" } }'
    for unit, sent in (("1", "7岁"), ("2", "7月"), ("周", "7周"), ("3", "7 3"), ("D", "7天")):
        assert mapped(line, {"a": 7, "u": unit})["Patient"]["AgeDisplay"] == sent


def test_conversions_follow_each_other() -> None:
    values = '{ a = "胸", "*" = "腹" }'
    line = f'"x" = {{ to = "Order.Procedures[].BodyPartCode", split = ";", match = "^(.)", values = {values} }}'
    result = mapped(line, {"x": "abc;xyz"})
    assert [each["BodyPartCode"] for each in result["Order"]["Procedures"]] == ["胸", "腹"]


def test_a_constant_fills_what_the_ris_leaves_empty() -> None:
    toml = """
    [fields]
    "type" = "Patient.IdNoType"
    [constants]
    "Patient.IdNoType" = "01"
    "Order.Procedures[].BodyPartCodeStd" = "30"
    "Report.PositiveStatus" = -1
    "Report.IsCritical" = false
    """
    rules = parse(tomllib.loads(toml), source="ris.toml")
    document = {"Order": {"Procedures": [{"BodyPartCodeStd": ""}, {"BodyPartCodeStd": "5"}, "x"]}, "Patient": {}}
    assert rules.apply(document) == {
        "Patient": {"IdNoType": "01"},
        "Order": {"Procedures": [{"BodyPartCodeStd": "30"}, {"BodyPartCodeStd": "5"}, "x"]},
        "Report": {"PositiveStatus": -1, "IsCritical": False},
    }
    assert rules.apply({"type": "03"})["Patient"] == {"IdNoType": "03"}
    assert rules.apply({"Report": "text"})["Report"] == "text", "a fault stays to be told"
    assert rules.origins({"type": "03"})["Patient.IdNoType"] == "type"
    assert rules.origins({})["Patient.IdNoType"] == "[constants]"


def test_a_constant_is_no_other_value_of_a_table() -> None:
    toml = '[values."Patient.IdNoType"]\n"身份证" = "01"\n"*" = "99"\n[constants]\n"Patient.IdNoType" = "02"\n'
    rules = parse(tomllib.loads(toml), source="ris.toml")
    for given, sent in (("身份证", "01"), ("护照", "99"), ("", "02")):
        assert rules.apply({"Patient": {"IdNoType": given}}) == {"Patient": {"IdNoType": sent}}


def test_parts_of_an_hl7_message_are_joined_with_a_separator() -> None:
    fields = {"PV1-19.1 + '_' + OBR-4.1": "ExamId", "OBR[]-4.1": "Order.Procedures[].CheckItemCode"}
    rules = parse({"fields": fields}, source="hl7.toml", of_hl7=True)
    read = {"PV1-19.1": "V7", "OBR-4.1": "CT1", "OBR[]-4.1": ["CT1", "CT2"]}
    assert rules.apply(read)["ExamId"] == "V7_CT1"
    assert "ExamId" not in rules.apply({"OBR-4.1": "CT1"})


def test_an_element_that_stands_alone_is_a_list_of_one() -> None:
    line = '"i.item[].code" = "Order.Procedures[].CheckItemCode"'
    assert mapped(line, {"i": {"item": {"code": "CT1"}}}) == {"Order": {"Procedures": [{"CheckItemCode": "CT1"}]}}
    assert mapped('"u[]" = "Study.StudyInstanceUIDs"', {"u": "1.2"})["Study"] == {"StudyInstanceUIDs": ["1.2"]}


def test_of_an_export_with_other_keys_a_valid_exam_is_made() -> None:
    exam = exam_document()
    visit, item = exam["Visit"].pop("VisitSerialNumber"), exam["Order"]["Procedures"][0]["CheckItemCode"]
    del exam["ExamId"], exam["Patient"]["AgeDisplay"], exam["Patient"]["DateOfBirth"], exam["Patient"]["IdNoType"]
    foreign = {**exam, "v": {"no": visit}, "item": item, "p": {"age": 74, "unit": "Y", "born": "31.12.1949"}}
    toml = """
    [fields]
    "v.no" = "Visit.VisitSerialNumber"
    "v.no + '_' + item" = "ExamId"
    "p.age + p.unit" = { to = "Patient.AgeDisplay", age = true }
    "p.born" = { to = "Patient.DateOfBirth", date = "dd.MM.yyyy" }
    [constants]
    "Patient.IdNoType" = "01"
    """
    rules = parse(tomllib.loads(toml), source="ris.toml")
    result = rules.apply(foreign)
    assert result == exam_document()
    assert rules.origins(foreign) == {
        "Visit.VisitSerialNumber": "v.no", "ExamId": "v.no + '_' + item", "Patient.AgeDisplay": "p.age + p.unit",
        "Patient.DateOfBirth": "p.born", "Patient.IdNoType": "[constants]",
    }  # fmt: skip
    assert validate(result, tables=shipped_tables(), zone=ZoneInfo("Asia/Shanghai")).valid


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('[fields]\n"\'x\'" = "ExamId"', "expected a path"),
        ('[fields]\n"a + \'x" = "ExamId"', "expected a path"),
        ('[fields]\n"a" = { to = "ExamId", splitt = ";" }', "splitt: unknown"),
        ('[fields]\n"a" = { match = "x" }', "not a field"),
        ('[fields]\n"a" = { to = "ExamId", split = ";" }', "takes one"),
        ('[fields]\n"a" = { to = "Study.StudyInstanceUIDs", split = "" }', "matches something"),
        ('[fields]\n"a" = { to = "Study.StudyInstanceUIDs", split = ";*" }', "matches something"),
        ('[fields]\n"a" = { to = "ExamId", match = "(" }', "not a regular expression"),
        ('[fields]\n"a" = { to = "ExamId", match = 3 }', "expected a regular expression"),
        ('[fields]\n"a" = { to = "ExamId", match = "x", as = "\\\\1" }', "groups of the match"),
        ('[fields]\n"a" = { to = "ExamId", match = "x", as = "\\\\d" }', "groups of the match"),
        ('[fields]\n"a" = { to = "ExamId", match = "(x)", as = 3 }', "groups of the match"),
        ('[fields]\n"a" = { to = "ExamId", as = "x" }', "belongs to a match"),
        ('[fields]\n"a" = { to = "ExamId", values = ["x"] }', "expected values"),
        ('[fields]\n"a" = { to = "ExamId", date = "yyyyMMdd" }', "no date"),
        ('[fields]\n"a" = { to = "Patient.DateOfBirth", date = "yyMMdd" }', "expected a form"),
        ('[fields]\n"a" = { to = "Patient.DateOfBirth", date = "yyyy-MM" }', "lacks"),
        ('[fields]\n"a" = { to = "Patient.DateOfBirth", date = "yyyy-MM-dd-dd" }', "expected a form"),
        ('[fields]\n"a" = { to = "Patient.DateOfBirth", date = "yyyy-MM-ddT" }', "expected a form"),
        ('[fields]\n"a" = { to = "Study.StudyDate", date = "yyyyMMdd" }', "time of day"),
        ('[fields]\n"a" = { to = "Study.StudyDate", date = "yyyyMMdd hh:mm" }', "time of day"),
        ('[fields]\n"a" = { to = "ExamId", age = true }', "not Patient.AgeDisplay"),
        ('[fields]\n"a" = { to = "Patient.AgeDisplay", age = { "1" = "Jahr" } }', "expected true, or units"),
        ('[constants]\n"Patient.Name" = "x"', "a value of its own"),
        ('[constants]\n"ExamId" = "x"', "a value of its own"),
        ('[constants]\n"Order.Status" = "Reported"', "approved_only"),
        ('[constants]\n"Study.ImageCount" = 3', "a value of its own"),
        ('[constants]\n"Report.PositiveStatus" = "0"', "another type"),
        ('[constants]\n"Patient.IdNoTyp" = "01"', "not a field"),
    ],
)
def test_a_fault_of_a_conversion_is_told(toml: str, told: str) -> None:
    assert any(told in fault for fault in faults(toml))
    assert len(faults(toml)) == 1
