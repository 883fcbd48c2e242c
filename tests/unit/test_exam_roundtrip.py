"""Properties: any valid exam survives reading, filling and writing; any single gap is named."""

import json
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from router.config import Hospital
from router.exam.fields import FIELDS, Field
from router.exam.fill import Sources, fill
from router.exam.read import read
from router.exam.validate import validate
from router.exam.write import dump
from samples import exam_document, holder_of, shipped_tables

ZONE = ZoneInfo("Asia/Shanghai")
TABLES = shipped_tables()
SOURCES = Sources(
    Hospital(USCI="121100004000000001", HospitalCode="H", HospitalName="H", HospitalBranchCode="1"), branch="1"
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
    "datetime": st.datetimes().map(lambda moment: moment.replace(microsecond=0).isoformat(sep=" ")),
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
    assert dump(fill(read(sent), SOURCES).document) == sent

    holder, key = holder_of(document, missing)
    del holder[key]
    assert [fault.path for fault in validate(document, zone=ZONE, tables=TABLES).errors] == [missing]


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
