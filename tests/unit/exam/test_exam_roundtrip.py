"""Properties: any valid exam survives reading, filling and writing; any single gap is named."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.config.sections import Hospital
from router.exam.faults import name_of
from router.exam.fields import FIELDS, Field
from router.exam.fill import Sources, fill
from router.exam.read import read
from router.exam.schema import schema
from router.exam.validate import validate
from router.exam.write import dump
from router.trial.platform import requirements
from support.sample_exam import exam_document, holder_of, shipped_tables
from support.schema_reader import breaches, fits

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ZONE = ZoneInfo("Asia/Shanghai")
TABLES = shipped_tables()
SCHEMA = schema(TABLES)
SOURCES = Sources(
    hospital=Hospital(USCI="121100004000000001", HospitalCode="H", HospitalName="H", HospitalBranchCode="1"), branch="1"
)

_RULED = {
    "USCI": st.sampled_from(["91350100M000100Y43", "91110000600037341L"]),
    "Order.Status": st.just("Reported"),
    "Visit.PatientType": st.sampled_from(["1", "2", "3", "9"]),
    "Patient.AgeDisplay": st.sampled_from(["74岁", "1岁3月", "10月3周4天", "8小时"]),
    "Patient.IdNoType": st.sampled_from(["03", "99"]),
    "Report.PositiveStatus": st.sampled_from([-1, 0, 1]),
    "Study.StudyInstanceUIDs": st.lists(
        st.from_regex(r"1\.2\.[1-9][0-9]{0,20}", fullmatch=True), min_size=1, unique=True
    ),
}
_OF_KIND: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(
        lambda text: text.strip(" \t\r\n\u3000")
    ),
    "datetime": st.datetimes(*map(datetime.fromisoformat, ("1971-01-01", "2199-12-31"))).map(
        lambda moment: moment.replace(microsecond=0).isoformat(sep=" ")
    ),
    "date": st.dates().map(str),
    "integer": st.integers(0, 2**31),
    "boolean": st.booleans(),
}


def _values(field: Field) -> st.SearchStrategy[Any]:
    return _RULED[field.path] if field.path in _RULED else _OF_KIND[field.kind]


_CHANGES = st.fixed_dictionaries(
    {}, optional={f.path.replace("[]", "[0]"): _values(f) for f in FIELDS if f.path != "Order.Procedures"}
)
_SHELL: dict[str, object] = {"Patient.IdNo": "E1", "Patient.IdNoType": "03", "Visit.InpatientNumber": "Z1"}
_REQUIRED = [field.path.replace("[]", "[0]") for field in FIELDS if field.required == "always"]


@given(
    changes=_CHANGES, missing=st.sampled_from(_REQUIRED), encoding=st.sampled_from(["utf-8", "utf-8-sig", "gb18030"])
)
@settings(max_examples=80, deadline=None, database=None)
def test_a_valid_exam_survives_and_any_single_gap_is_named(
    changes: dict[str, object], missing: str, encoding: str
) -> None:
    document = exam_document({**_SHELL, **changes})
    assert validate(document, zone=ZONE, tables=TABLES).errors == ()

    given_bytes = json.dumps(document, ensure_ascii=False).encode(encoding)
    sent = dump(fill(read(given_bytes), SOURCES).document)
    assert read(sent) == document
    assert fits(SCHEMA, document)
    assert dump(fill(read(sent), SOURCES).document) == sent

    holder, key = holder_of(document, missing)
    del holder[key]
    assert [fault.path for fault in validate(document, zone=ZONE, tables=TABLES).errors] == [missing]


_WRONG_OF_KIND: dict[str, list[object]] = {
    "string": [1, 1.5, True, ["x"], {"a": 1}],
    "datetime": ["2024-02-30 08:00:00", "2024-05-06T08:00:00", "20240506080000", "2024-05-06", 1, [1]],
    "date": ["2024-02-30", "20240506", "2024-05-06 00:00:00", "2024-5-6", 20240506, {"a": 1}],
    "integer": ["0", 0.5, True, [0], "阴性"],
    "boolean": [0, 1, "true", "否", [True]],
    "array": ["1.2.3", 1, {"a": 1}, True],
}
_WRONG_VALUES: dict[str, list[object]] = {
    "USCI": [f"12110000400000000{check}" for check in "023456789ABCDEF"],
    "Order.Status": ["reported", "Draft", "已审核"],
    "Patient.AgeDisplay": ["45", "45Y", "3月1岁", "四十五岁"],
    "Patient.IdNo": [f"11010519491231002{check}" for check in "0123456789"],
    "Report.PositiveStatus": [-2, 2, 2**40, -(2**40)],
    "Report.ApproveTime": ["2027-05-06 11:00:00", "2099-05-06 11:00:00"],
    "Study.ImageCount": [-1, -(2**40)],
}
_EMPTY: list[object] = [None, "", " \t", [], {}]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.path)
def test_any_single_fault_is_found_and_named_by_both_sides(field: Field) -> None:
    path = field.path.replace("[]", "[0]")
    empty = _EMPTY if field.required == "always" else []
    for value in (*_WRONG_OF_KIND[field.kind], *empty, *_WRONG_VALUES.get(path, ())):
        document = exam_document({path: value})
        found = validate(document, tables=TABLES, zone=ZONE, now=NOW)
        assert [(fault.path, fault.name) for fault in found.errors] == [(path, name_of(path))], value
        assert [path for path, _ in requirements.faults(document, NOW)] == [path], value
        assert fits(SCHEMA, document) == _beyond_a_schema(path, value), value


def _beyond_a_schema(path: str, value: Any) -> bool:
    """A fault in check digits, the calendar, or against the clock."""
    if path in {"USCI", "Patient.IdNo"}:
        return isinstance(value, str) and value.strip() != ""
    return value in ("2024-02-30", "2024-02-30 08:00:00") or (
        path == "Report.ApproveTime" and str(value).endswith("-05-06 11:00:00")
    )


@given(uids=st.lists(st.sampled_from(["1.2.3", "1.2.4", "x", "1..2", 7, "1." + "2" * 63]), min_size=1, max_size=5))
@settings(max_examples=60, deadline=None, database=None)
def test_both_sides_name_the_same_uids(uids: list[object]) -> None:
    document = exam_document({"Study.StudyInstanceUIDs": uids})
    ours = [fault.path for fault in validate(document, tables=TABLES, zone=ZONE, now=NOW).errors]
    assert ours == [path for path, _ in requirements.faults(document, NOW)]
    assert len(ours) == sum(uid not in {"1.2.3", "1.2.4"} or uid in uids[:place] for place, uid in enumerate(uids))


_OTHER_FORMS: dict[str, list[object]] = {
    "Patient.PatientId": [4711], "Order.Procedures[0].BodyPartCode": [12], "Report.PositiveStatus": ["0", "1", "-1"],
    "Study.ImageCount": ["3", 3.0], "Report.IsCritical": [0, 1, "true", "0"], "Patient.DateOfBirth": ["19491231"],
    "Report.ApproveTime": ["20240506110000", "2024-05-06T11:00:00+08:00", "2024/5/6 11:00:00", "20240506 110000.000"],
    "Order.ApplyTime": ["", None], "Order.Note": [None], "Study.StudyInstanceUIDs": ["1.2.3", "1.2.3\\1.2.4"],
    "Visit.ClinicalDiagnosis": [None], "Patient.Gender": ["女", "F"], "Order.ModalityCode": ["MRI"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("path", "value"), [(path, value) for path, values in _OTHER_FORMS.items() for value in values]
)
def test_what_a_ris_writes_in_another_form_is_sent_in_the_standards(path: str, value: object) -> None:
    sent = fill(exam_document({path: value}), replace(SOURCES, tables=TABLES)).document
    assert validate(sent, tables=TABLES, zone=ZONE).errors == ()
    assert breaches(SCHEMA, sent) == []


def test_ten_thousand_exams_are_read_and_checked_within_ten_seconds() -> None:
    data = dump(exam_document())
    begun = time.process_time()
    for _ in range(500):
        validate(read(data), tables=TABLES, zone=ZONE, now=NOW)
    assert time.process_time() - begun < 0.5  # a twentieth of them in a twentieth of the time


def test_the_order_of_keys_in_the_source_does_not_change_the_bytes() -> None:
    def reversed_keys(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: reversed_keys(value[key]) for key in reversed(value)}
        return [reversed_keys(one) for one in value] if isinstance(value, list) else value

    assert dump(reversed_keys(exam_document())) == dump(exam_document())
    assert json.dumps(json.loads(dump(exam_document()))) == json.dumps(exam_document())


def test_written_text_is_utf_8_and_not_escaped() -> None:
    assert "双肺未见明显异常。".encode() in dump(exam_document())


def test_what_the_standard_does_not_list_is_not_written() -> None:
    extra = exam_document({"Extra": 1, "Patient.Ward": 2, "Order.Procedures[0].Price": 3})
    assert dump(extra) == dump(exam_document())


@pytest.mark.parametrize("text", ["\x85", "\xa0", " ", "\u3000\t", "", "A"])
def test_the_schema_takes_the_same_text_for_blank_as_the_validator(text: str) -> None:
    document = exam_document({**_SHELL, "HospitalCode": text})
    assert fits(SCHEMA, document) == (validate(document, zone=ZONE, tables=TABLES).errors == ())
