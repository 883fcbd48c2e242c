"""An exam as XML: read as safely as a JSON, by the same mapping, taken from the drop folder."""

import json
from typing import Any

import pytest

from router.errors import InvalidData
from router.exam.mapping import parse
from router.exam.xml_document import is_xml, read, standard
from support.intake_folder import E1, IntakeFolder, printed
from support.sample_exam import exam_document


def element(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return f"<{name}>{''.join(element(key, inner) for key, inner in value.items())}</{name}>"
    if isinstance(value, list):
        return "".join(element(name, inner) for inner in value)
    written = str(value).lower() if isinstance(value, bool) else str(value)
    return f"<{name}>{written.replace('&', '&amp;').replace('<', '&lt;')}</{name}>"


def xml(document: dict[str, Any], encoding: str = "utf-8") -> bytes:
    return f'<?xml version="1.0" encoding="{encoding}"?>\n{element("exam", document)}'.encode(encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_the_standards_structure_as_xml_is_the_exam_json(encoding: str) -> None:
    data = xml(exam_document(), encoding)
    assert is_xml(data)
    assert standard(read(data)) == exam_document()


def test_bytes_count_not_what_is_declared() -> None:
    data = b'<?xml version="1.0" encoding="GB2312"?><e><n>' + "测试甲".encode() + b"</n></e>"
    assert read(data) == {"n": "测试甲"}


def test_several_of_everything_are_arrays_with_or_without_a_wrapper() -> None:
    procedure = exam_document()["Order"]["Procedures"][0]
    two = exam_document({"Order.Procedures": [procedure, procedure], "Study.StudyInstanceUIDs": ["1.2.3", "1.2.4"]})
    assert standard(read(xml(two))) == two
    uids = {"UID": ["1.2.3", "1.2.4"]}
    wrapped = exam_document({
        "Order.Procedures": {"Procedure": [procedure, procedure]}, "Study.StudyInstanceUIDs": uids,
    })  # fmt: skip
    assert standard(read(xml(wrapped))) == two
    alone = exam_document({"Order.Procedures": {"Procedure": procedure}})
    assert standard(read(xml(alone))) == exam_document()


def test_attributes_namespaces_and_text_beside_them_are_reached_by_the_mapping() -> None:
    data = b"""<r:report xmlns:r="urn:x"><r:pid type="MR">P1</r:pid><visit no="V7"/><i code="CT1"/><i code="CT2"/>
        <ExamId kind="a">E9</ExamId></r:report>"""
    fields = {
        "pid": "Patient.PatientId", "pid.@type": "Patient.Note", "visit.@no": "Visit.VisitSerialNumber",
        "i[].@code": "Order.Procedures[].CheckItemCode",
    }  # fmt: skip
    result = standard(parse({"fields": fields}, source="ris.toml").apply(read(data)))
    assert result["Patient"] == {"PatientId": "P1", "Note": "MR"}
    assert result["Visit"] == {"VisitSerialNumber": "V7"}
    assert result["Order"] == {"Procedures": [{"CheckItemCode": "CT1"}, {"CheckItemCode": "CT2"}]}
    assert result["ExamId"] == "E9"


def test_no_text_is_lost_where_elements_stand_within_it() -> None:
    data = "<e><f>右肺<br/>未见<b>异常</b>。</f><g><![CDATA[a < b & c]]></g><h a='1'>x<i/>y</h></e>".encode()
    assert read(data) == {"f": "右肺\n未见异常。", "g": "a < b & c", "h": {"@a": "1", "#text": "xy"}}


@pytest.mark.parametrize(
    "data",
    [
        b"<e><a></e>",
        b"<e>text</e>",
        b"<e/>",
        b"<?xml version='1.0'?>",
        b"<e><a>1</a></e><e/>",
        b'<!DOCTYPE e [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><e><n>&b;</n></e>',
        b'<!DOCTYPE e [<!ENTITY x SYSTEM "file:///etc/hostname">]><e><n>&x;</n></e>',
        b'<!DOCTYPE e SYSTEM "http://127.0.0.1:1/e.dtd"><e><n>1</n></e>',
        b"<!DOCTYPE e><e><n>1</n></e>",
        b"<e>" + b"<a>" * 40 + b"1" + b"</a>" * 40 + b"</e>",
        b"<a>" * 50_000 + b"</a>" * 50_000,
        b"<e>" + b"<a/>" * 100_001 + b"</e>",
        b"<e><n>" + b"x" * (8 * 2**20) + b"</n></e>",
        b"<e><n>\x81\xff\xff</n></e>",
        b"\xff\xfe<\x00e",
        b"<e><n>&#0;</n></e>",
        b"<e><n>&undefined;</n></e>",
    ],
    ids=range(17),
)
def test_hostile_or_broken_xml_is_refused_without_a_word_of_it(data: bytes) -> None:
    assert is_xml(data)
    with pytest.raises(InvalidData) as caught:
        read(data)
    assert "aaaa" not in str(caught.value)


@pytest.mark.parametrize("data", [b"{}", b"[1]", b"MSH|^~\\&|", b"", b"<", b"< e", b"\xef\xbb\xbf{}"])
def test_other_documents_are_no_xml(data: bytes) -> None:
    assert not is_xml(data)


def test_an_xml_file_is_the_exam_of_its_pdf(desk: IntakeFolder) -> None:
    report = printed(f"report of {E1}")
    document = exam_document({"ExamId": E1})
    desk.drop("m1.xml", xml(document, "gb18030"))
    desk.drop("m1.pdf", report)
    assert desk.counts() == (1, 1)
    assert desk.pdf_of() == report
    assert desk.case().jsons[0].approved
    (kept,) = (desk.config.node.data / "reports").glob("*/*/exam.xml")
    assert kept.read_bytes() == xml(document, "gb18030")
    desk.drop("m1.xml", xml(document, "gb18030"))
    assert desk.counts() == (1, 1)


def test_a_file_is_refused_that_is_not_what_its_ending_says(desk: IntakeFolder) -> None:
    desk.drop("a.xml", json.dumps(exam_document()).encode())
    desk.drop("b.json", xml(exam_document()))
    assert desk.exams.find(exam_document()["ExamId"]) == []
    assert {name for name in desk.left() if not name.endswith(".txt")} == {"rejected/a.xml", "rejected/b.json"}
