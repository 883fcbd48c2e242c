"""The mapping file: what a RIS with other keys and values exports, in the standard's structure."""

import copy
import tomllib
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from router.config.sections import Hospital
from router.errors import ConfigurationError
from router.exam.fill import Sources, fill
from router.exam.key import key_of
from router.exam.mapping import parse, value_line
from router.exam.validate import validate
from router.exam.write import dump
from support.sample_exam import exam_document, shipped_tables

HOSPITAL = Hospital(USCI="121100004000000001", HospitalCode="H0001", HospitalName="示范医院", HospitalBranchCode="01")


def mapped(toml: str, document: dict[str, Any]) -> dict[str, Any]:
    before = copy.deepcopy(document)
    result = parse(tomllib.loads(toml), source="ris.toml").apply(document)
    assert document == before
    return result


def faults(toml: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse(tomllib.loads(toml), source="ris.toml")
    return caught.value.faults


@pytest.mark.parametrize(
    "word", ["已审核", 'a "quoted" word', "back\\slash", "tab\there", "3", "a.b", "\x7f", "\u0001", "=#[]"]
)
def test_the_line_for_a_word_reads_back_as_that_word(word: str) -> None:
    toml = f'[values."Order.Status"]\n{value_line(word, "Reported")}'
    assert mapped(toml, exam_document({"Order.Status": f" {word} "}))["Order"]["Status"] == "Reported"


def test_a_foreign_export_becomes_the_standards_document() -> None:
    toml = """
    [fields]
    "data.examNo" = "ExamId"
    "$.data.reg.time" = ["Order.RegisterTime", "Order.CheckInTime"]
    "data.items[].code" = "Order.Procedures[].CheckItemCode"
    "data.items[].name" = "Order.Procedures[].CheckItemName"
    "data.images[].uid" = "Study.StudyInstanceUIDs"
    "data.doctors[0]" = "Report.SubmitDoctorName"
    "data['a.b']" = "Order.Note"
    [values."Order.Status"]
    "已审核" = "Reported"
    """
    foreign = {
        "data": {
            "examNo": "E1", "reg": {"time": "20240506082000"}, "a.b": "note", "doctors": ["示例甲", "示例乙"],
            "items": [{"code": "CT001", "name": "胸"}, {"code": "CT002", "name": "腹"}],
            "images": [{"uid": "1.2.3"}, {"uid": "1.2.4"}],
        },
        "Order": {"Status": "已审核"},
    }  # fmt: skip
    assert mapped(toml, foreign) == {
        "data": {"doctors": ["示例甲", "示例乙"]},
        "ExamId": "E1",
        "Order": {
            "Status": "Reported", "RegisterTime": "20240506082000", "CheckInTime": "20240506082000", "Note": "note",
            "Procedures": [
                {"CheckItemCode": "CT001", "CheckItemName": "胸"}, {"CheckItemCode": "CT002", "CheckItemName": "腹"},
            ],
        },
        "Report": {"SubmitDoctorName": "示例甲"},
        "Study": {"StudyInstanceUIDs": ["1.2.3", "1.2.4"]},
    }  # fmt: skip


def test_what_is_taken_is_no_longer_an_unlisted_key() -> None:
    assert mapped('[fields]\n"pat.name" = "Patient.Name"', {"pat": {"name": "示例"}}) == {"Patient": {"Name": "示例"}}


def test_a_path_that_leads_nowhere_changes_nothing() -> None:
    toml = '[fields]\n"a.b[].c" = "Order.Procedures[].CheckItemCode"\n"x[3].y" = "ExamId"\n"Patient.z" = "Order.Note"'
    assert mapped(toml, exam_document()) == exam_document()
    assert mapped(toml, {"a": 1, "x": [{}]}) == {"a": 1, "x": [{}]}


def test_what_is_mapped_wins_over_the_standards_own_place() -> None:
    assert mapped('[fields]\n"no" = "ExamId"', {"ExamId": "old", "no": 7}) == {"ExamId": 7}


def test_two_fields_may_change_places() -> None:
    toml = '[fields]\n"Order.CheckInTime" = "Order.RegisterTime"\n"Order.RegisterTime" = "Order.CheckInTime"'
    assert mapped(toml, {"Order": {"CheckInTime": "a", "RegisterTime": "b"}}) == {
        "Order": {"RegisterTime": "a", "CheckInTime": "b"}
    }


@pytest.mark.parametrize(
    ("given", "sent"), [("阳性", 1), (" 阳性 ", 1), (2, 0), (True, -1), ("其他", "其他"), (None, None), ([], [])]
)
def test_values_are_looked_up_as_they_are_written(given: object, sent: object) -> None:
    toml = '[values."Report.PositiveStatus"]\n"阳性" = 1\n"2" = 0\n"true" = -1'
    assert mapped(toml, {"Report": {"PositiveStatus": given}}) == {"Report": {"PositiveStatus": sent}}


def test_values_of_every_procedure_are_looked_up() -> None:
    toml = '[values."Order.Procedures[].BodyPartCode"]\n"1" = "胸"'
    document = {"Order": {"Procedures": [{"BodyPartCode": "1"}, "x", {"BodyPartCode": 1}]}}
    procedures = [{"BodyPartCode": "胸"}, "x", {"BodyPartCode": "胸"}]
    assert mapped(toml, document) == {"Order": {"Procedures": procedures}}


def test_elements_stay_together_where_one_of_them_lacks_a_value() -> None:
    toml = '[fields]\n"i[].a" = "Order.Procedures[].CheckItemCode"\n"i[].b" = "Order.Procedures[].CheckItemName"'
    result = mapped(toml, {"i": [{"a": "1"}, {"a": "2", "b": "two"}]})
    assert result["Order"]["Procedures"][1] == {"CheckItemCode": "2", "CheckItemName": "two"}


def test_one_item_that_is_no_array_is_one_procedure() -> None:
    result = mapped('[fields]\n"item" = "Order.Procedures[].CheckItemCode"', {"item": "CT001"})
    assert result["Order"]["Procedures"] == [{"CheckItemCode": "CT001"}]


@pytest.mark.parametrize(
    ("day", "time", "joined"),
    [
        ("20240506", "090000", "20240506 090000"),
        (20240506, "", "20240506"),
        ("2024-05-06", "09:00:00", "2024-05-06 09:00:00"),
    ],
)
def test_a_day_and_a_time_in_two_keys_are_one_time(day: object, time: object, joined: str) -> None:
    result = mapped('[fields]\n"s.d + s.t" = "Study.StudyDate"', {"s": {"d": day, "t": time}})
    assert result == {"Study": {"StudyDate": joined}}


def test_half_of_what_belongs_together_changes_nothing() -> None:
    document = {"ExamId": "1", "s": {"d": "20240506"}}
    assert mapped('[fields]\n"s.d + s.t" = "Study.StudyDate"', document) == document


def test_an_array_of_uids_stays_one() -> None:
    assert mapped('[fields]\n"u" = "Study.StudyInstanceUIDs"', {"u": ["1.2", "1.3"]})["Study"] == {
        "StudyInstanceUIDs": ["1.2", "1.3"]
    }


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('[field]\n"a" = "ExamId"', "field: unknown table"),
        ("fields = 3", "fields: expected a table"),
        ('[fields]\n"a" = "Patient.Nmae"', "not a field of appendix B"),
        ('[fields]\n"a" = "Order.Procedures"', "not a field of appendix B that holds a value"),
        ('[fields]\n"a" = 3', "not a field"),
        ('[fields]\n"a[].b" = "ExamId"', "leads to many values"),
        ('[fields]\n"a[].b[].c" = "Order.Procedures[].CheckItemCode"', "leads to many values"),
        ('[fields]\n"a[x]" = "ExamId"', "expected a path"),
        ('[fields]\n"" = "ExamId"', "expected a path"),
        ('[values."Patient.Sex"]\n"a" = "b"', "not a field"),
        ('[values."Patient.Gender"]\n"a" = [1]', "expected values like"),
    ],
)
def test_a_fault_of_the_file_is_told(toml: str, told: str) -> None:
    (fault,) = faults(toml)
    assert told in fault


def test_every_fault_is_told_at_once() -> None:
    assert len(faults('x = 1\n[fields]\n"a" = "B"\n"a[].b" = "ExamId"\n[values.C]\n"a" = "b"')) == 4


def test_a_number_for_the_comparison_only_is_taken_into_the_key_and_never_sent() -> None:
    toml = '[fields]\n"data.imageNo" = "Local.PatientId"\n'
    document = mapped(toml, exam_document() | {"data": {"imageNo": "I4711"}})
    assert document["Local"] == {"PatientId": "I4711"}
    key = key_of(
        document, zone=ZoneInfo("Asia/Shanghai"), hospital="", default_branch="01", sexes=shipped_tables()["sex"]
    )
    assert key.patient.patient_ids["Local.PatientId"] == "I4711"
    tables = shipped_tables()
    plain = fill(exam_document(), Sources(hospital=HOSPITAL, branch="01", tables=tables))
    filled = fill(document, Sources(hospital=HOSPITAL, branch="01", tables=tables))
    assert filled == plain
    assert dump(document) == dump(exam_document())
    assert b"I4711" not in dump(filled.document)
    checked = validate(document, tables=tables, zone=ZoneInfo("Asia/Shanghai"))
    assert checked == validate(exam_document(), tables=tables, zone=ZoneInfo("Asia/Shanghai"))


def test_of_what_is_no_field_only_that_number_is_a_target() -> None:
    assert len(faults('[fields]\n"a" = "Local.Name"\n"b" = "Local"\n"c" = "Local."\n"d" = "PatientId"\n')) == 4
    assert faults('[values."Local.PatientId"]\n"a" = "b"\n') == ("values.Local.PatientId: not a field of appendix B",)
    taken = parse({"fields": {"PID-3.1": "Local.PatientId"}}, source="hl7.toml", of_hl7=True)
    assert taken.apply({"PID-3.1": "I1"})["Local"] == {"PatientId": "I1"}
