"""HL7 v2 ORU^R01 read as a RIS writes it: character sets, escapes, repeated OBX, the PDF, the answer."""

import base64
from datetime import UTC, datetime
from pathlib import Path

import pytest

from router.config.file import parse as parse_config
from router.errors import ConfigurationError, InvalidData
from router.exam import hl7_paths, mapping
from router.intake.exam_reader import ExamReader
from router.reports.hl7.hl7v2 import Message, Reply, Unsupported, acknowledgement, is_message
from support.hl7_messages import oru

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
HOSPITAL = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
"""


def value(message: bytes, path: str) -> str:
    return Message(message).value(hl7_paths.parse(path))


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [("UNICODE UTF-8", "utf-8"), ("GB 18030-2000", "gb18030"), ("GB18030", "gb18030"), ("", "gbk"), ("", "utf-8"),
     ("UNICODE UTF-8", "gb18030"), ("", "utf-8-sig")],
)  # fmt: skip
def test_chinese_is_read_by_the_declared_set_or_as_it_shows_itself(declared: str, encoding: str) -> None:
    # 韡's second byte in GBK is |, 乗's is ^: the text must be decoded before it is split.
    message = oru(name="韡乗", findings="双肺纹理清晰", charset=declared).encode(encoding)
    assert value(message, "PID-5.1") == "韡乗"
    assert value(message, "OBX[影像所见]-5") == "双肺纹理清晰"


@pytest.mark.parametrize(
    ("written", "read"),
    [(r"a\F\b\S\c\T\d\R\e\E\f", "a|b^c&d~e\\f"), (r"one\.br\two", "one\ntwo"), (r"\H\bold\N\ text", "bold text"),
     (r"\X41\\X0A\B", "A\nB"), (r"\Zown\x", r"\Zown\x"), ("one~two", "one\ntwo"), (r"\XCBAB\ 3mm", "双 3mm")],
)  # fmt: skip
def test_escape_sequences_and_repetitions_become_text(written: str, read: str) -> None:
    assert value(oru(findings=written, charset="GB 18030-2000").encode("gb18030"), "OBX[影像所见]-5") == read


def test_repeated_observations_of_one_code_are_lines_and_deleted_ones_are_left_out() -> None:
    rows = (
        "OBX|7|TX|59776-5^FINDINGS^LN||第二行|||||| F\rOBX|8|TX|59776-5||gone||||||D\rOBX|9|TX|CT&GDT^x||third||||||F\r"
    )
    assert value(oru(findings="第一行", more=rows).encode(), "OBX[影像所见|59776-5|GDT]-5") == "第一行\n第二行\nthird"


@pytest.mark.parametrize("ends", ["\r", "\n", "\r\n"])
def test_segments_may_end_as_files_of_any_system_do(ends: str) -> None:
    assert value(oru().replace("\r", ends).encode(), "OBR-3.1") == "E1"


@pytest.mark.parametrize(
    "field",
    ["ED|PDF||RIS^Application^PDF^Base64^{}", "ED|PDF||^application/pdf^^Base64^{}", "ED|PDF||^AP^^^{}",
     "ED|PDF||^TEXT^PDF^Hex^{hex}", "ST|PDF||{}"],
)  # fmt: skip
def test_the_pdf_is_found_in_every_usual_form(field: str) -> None:
    content = b"%PDF-1.4 some report"
    row = "OBX|9|" + field.format(base64.b64encode(content).decode(), hex=content.hex()) + "||||||F\r"
    assert Message(oru(more=row).encode()).pdf() == content
    assert Message(oru(more=row.replace("JVBE", "JVBE\r\n")).encode()).pdf() == content


def test_other_attachments_are_no_pdf_and_damaged_base64_is_refused() -> None:
    assert Message(oru(more="OBX|9|ED|x||^IM^JPEG^Base64^/9j/||||||F\r").encode()).pdf() is None
    with pytest.raises(InvalidData, match="Base64"):
        Message(oru(more="OBX|9|ED|x||^AP^PDF^Base64^JVB*||||||F\r").encode()).pdf()


@pytest.mark.parametrize(
    ("message", "why"),
    [(oru() + oru(), "several HL7"), (oru() + "PID|2||P2\r", "several"), (oru() + "OBR|2||E2\r", "several exams"),
     ("MSH|^~\\&|A\r", "another kind"), ("MSH", "not an HL7"), ("MSH|", "not an HL7"), ("rubbish", "not an HL7"),
     ("MSH|^~\\&|a|b|c|d|||ORU^R01\rPID|||1", "OBR")],
)  # fmt: skip
def test_what_is_not_one_exam_of_one_patient_is_refused(message: str, why: str) -> None:
    with pytest.raises(InvalidData, match=why):
        Message(message.encode())


def test_another_kind_of_message_is_told_from_a_wrong_one() -> None:
    with pytest.raises(Unsupported):
        Message(oru().replace("ORU^R01", "ADT^A01").encode())


@pytest.mark.parametrize(("more", "status"), [
    ("", "Reported"),
    ("OBX|7|TX|59776-5||第二行||||||C\r", "Reported"),
    ("OBX|7|TX|59776-5||第二行||||||U\r", "Reported"),
    ("OBX|7|TX|59776-5||第二行||||||\r", "Reported"),
    ("OBX|7|TX|59776-5||gone||||||D\r", "Reported"),
    ("OBX|7|TX|59776-5||第二行||||||P\r", "Submitted"),
    ("OBX|7|TX|59776-5||第二行||||||R\r", "Submitted"),
    ("OBX|7|ST|other||1||||||I\r", "Submitted"),
    ("OBR|2|H1|E1|CT002^b|||||||||||||||||||||P\r", "Submitted"),
    ("OBR|2|H1|E1|CT002^b|||||||||||||||||||||C\r", "Reported"),
])  # fmt: skip
def test_a_message_with_a_result_that_is_not_final_approves_nothing(more: str, status: str) -> None:
    references = ExamReader(parse_config(HOSPITAL, base=Path()))
    document = references.read(oru(more=more).encode())
    assert isinstance(document["Order"], dict)
    assert document["Order"]["Status"] == status


@pytest.mark.parametrize("code", ["F", "C", "P", "I", "D", "W", "X"])
def test_the_shipped_mapping_reads_status_times_and_report(code: str, tmp_path: Path) -> None:
    document = ExamReader(parse_config(HOSPITAL, base=tmp_path)).read(oru(status=code).encode())
    order, report = document["Order"], document["Report"]
    assert isinstance(order, dict)
    assert isinstance(report, dict)
    expected = {"F": "Reported", "C": "Reported", "P": "Submitted", "I": "Submitted"}.get(code, "Withdrawn")
    assert order["Status"] == expected
    assert report["ApproveTime"] == "20240506110000"
    assert (report["Findings"], report["Impression"]) == ("双肺清晰。", "未见异常。")
    assert order["Procedures"] == [{"CheckItemCode": "CT001", "CheckItemName": "胸部平扫"}]
    assert document["Patient"] == {
        "PatientId": "P0001", "Name": "张三", "DateOfBirth": "19491231", "Gender": "2", "IdNo": "11010519491231002X",
        "Telephone": "13800000000",
    }  # fmt: skip
    assert document["Visit"] == {"PatientType": "1", "VisitSerialNumber": "V20240001"}
    assert not [key for key in document if "-" in key]


def test_a_wrong_path_in_the_mapping_file_is_named() -> None:
    with pytest.raises(ConfigurationError) as refused:
        mapping.parse({"fields": {"PID3": "ExamId", "PID-3": "Nothing", "OBR[]-4": "ExamId"}}, source="x", of_hl7=True)
    assert len(refused.value.faults) == 3


def test_the_acknowledgement_names_the_message_and_turns_the_parties_round() -> None:
    answer = acknowledgement(oru(charset="UNICODE UTF-8").encode(), Reply("AE", 207, "no | room"), NOW).decode()
    msh, msa, err = (line.split("|") for line in answer.strip("\r").split("\r"))
    assert msh[2:6] == ["NODE", "CLOUD", "RIS", "HOSPITAL"]
    assert (msh[8], msh[17]) == ("ACK^R01^ACK", "UNICODE UTF-8")
    assert msa == ["MSA", "AE", "M1", "no   room"]
    assert err[3:5] == ["207^^HL70357", "E"]


def test_anything_at_all_gets_an_acknowledgement() -> None:
    for junk in (b"", b"MSH", b"MSH|", b"\xff\xfe\x81", b"MSH|^~\\&|" + b"x" * 5000):
        assert b"MSA|AR" in acknowledgement(junk, Reply("AR", 100, "x"), NOW)


def test_json_is_not_taken_for_hl7() -> None:
    assert is_message(b"\xef\xbb\xbf\x0bMSH|")
    assert not is_message(b'{"MSH": 1}')
