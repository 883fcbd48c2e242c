"""No character of a report is lost on its way out of an HL7 message: the message is read whole, or refused."""

import base64
import itertools
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.config.file import parse as parse_config
from router.errors import InvalidData
from router.exam import hl7_paths
from router.intake.exam_reader import ExamReader
from router.reports.hl7.hl7v2 import Message, Reply, acknowledgement
from router.reports.hl7.narrative import Repeat
from support.hl7_messages import oru

CASES = Path(__file__).parents[2] / "cases" / "field" / "reports"
HOSPITAL = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
"""
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
FINDINGS = "OBX[影像所见]-5"
PDF = b"%PDF-1.4 " + bytes(range(256)) * 3


def references(more: str = "") -> ExamReader:
    return ExamReader(parse_config(HOSPITAL + more, base=Path()))


def report(message: bytes, more: str = "") -> tuple[object, object]:
    document = references(more).read(message)["Report"]
    assert isinstance(document, dict)
    return document.get("Findings"), document.get("Impression")


def findings(message: str | bytes, repeat: Repeat = "auto") -> str:
    data = message.encode() if isinstance(message, str) else message
    return Message(data, repeat).value(hl7_paths.parse(FINDINGS))


def solid(text: object) -> str:
    return "".join(str(text).split())


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (
            "04-ampersand",
            (
                "两肺纹理增多 & 右肺上叶见结节，大小约8mm，边缘毛刺，考虑恶性。",
                "右上肺结节 & 纵隔淋巴结肿大，考虑肺癌。",
            ),
        ),
        ("05-backslash", ("C4\\5椎间盘突出，L4\\5椎间盘膨出。", "C4\\5、L4\\5椎间盘突出。")),
        (
            "07-linefeed",
            (
                "颅内未见异常信号。\nMRA：左侧大脑中动脉M1段重度狭窄。\nDWI：右侧基底节急性梗死。",
                "1.未见明显异常。\nMRA：左侧大脑中动脉重度狭窄，建议DSA。",
            ),
        ),
        ("08-latin1-declared-gb18030-sent", ("双肺纹理清晰。", "未见异常。")),
        ("09-batch-of-one", ("双肺清晰。", "未见异常。")),
        ("20-pdf-over-three-obx", ("双肺清晰。", "未见异常。")),
    ],
)
def test_messages_of_the_field_arrive_whole_with_their_pdf(case: str, expected: tuple[str, str]) -> None:
    data = (CASES / f"{case}.hl7").read_bytes()
    assert report(data) == expected
    pdf = Message(data).pdf()
    assert pdf is not None
    assert pdf.startswith(b"%PDF")
    assert pdf.rstrip().endswith(b"%%EOF")
    assert b"MSA|AA|M" in acknowledgement(data, Reply("AA"), NOW)


_TEXTS = st.lists(
    st.sampled_from(
        [
            "&",
            "^",
            "~",
            "\\",
            "3",
            "5",
            ".",
            "mm",
            "cm",
            " ",
            "\n",
            "\r\n",
            "\n\n",
            "右肺",
            "结节，",
            "未见异常。",
            "C4",
            "L4\\5",
            "MRA：",
            "DWI|",
            "|",
            "(+)",
            "\\.br\\",
            "\\T\\",
            "Z",
            "X0",
            "OB",
            '""',
            "乗",
            "H",
            "N",
            "\u3000",
            "é",
            "β",
        ]
    ),
    min_size=1,
    max_size=14,
).map("".join)
_SEQUENCE = re.compile(r"\\(?:[A-Z]|X[0-9A-F]+|\.[a-z]+)\\")
_ESCAPED = str.maketrans({"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"})
_LINE = str.maketrans({"\r": "\\X0D\\", "\n": "\\.br\\"})


@given(
    _TEXTS.filter(lambda text: text.strip() not in ("", '""')),
    st.sampled_from(["auto", "line", "text"]),
    st.sampled_from(["TX", "FT", "ST", ""]),
)
def test_escaped_text_arrives_character_by_character(
    text: str, repeat: Literal["auto", "line", "text"], kind: str
) -> None:
    message = oru(findings=text.translate(_ESCAPED).translate(_LINE)).replace("OBX|1|TX", f"OBX|1|{kind}")
    assert solid(findings(message, repeat)) == solid(text)


@given(_TEXTS.filter(str.strip), st.sampled_from(["auto", "line", "text"]), st.sampled_from(["\r", "\n", "\r\n"]))
def test_raw_text_arrives_whole_or_the_message_is_refused(
    text: str, repeat: Literal["auto", "line", "text"], ends: str
) -> None:
    if _SEQUENCE.search(text.replace("\\.br\\", "\\").replace("\\T\\", "")) or text.strip() == '""':
        return  # by chance an escape sequence, or HL7's null
    message = oru(findings=text).replace("\r\n", "\n").replace("\r", ends)
    try:
        found = findings(message, repeat)
    except InvalidData:
        assert "|" in text
        return
    expected = text.replace("\\.br\\", "\n").replace("\\T\\", "&")
    assert solid(found.replace("~", "")) == solid(expected.replace("~", ""))


@pytest.mark.parametrize(
    ("written", "repeat", "read"),
    [
        ("大小约3~5mm", "auto", "大小约3~5mm"),
        ("约3mm~5mm", "auto", "约3mm~5mm"),
        ("3 cm ~ 5 cm", "auto", "3 cm ~ 5 cm"),
        ("C3~C5椎间盘", "auto", "C3~C5椎间盘"),
        ("L4/5~L5/S1", "auto", "L4/5~L5/S1"),
        ("CT值30HU~约45HU", "auto", "CT值30HU~约45HU"),
        ("右肺清晰。~左肺清晰。", "auto", "右肺清晰。\n左肺清晰。"),
        ("右肺~~左肺", "auto", "右肺\n\n左肺"),
        ("50%~60%", "auto", "50%~60%"),
        ("3~5mm", "line", "3\n5mm"),
        ("右肺。~左肺。", "text", "右肺。~左肺。"),
        ("2岁~3岁", "auto", "2岁~3岁"),
        ("1.5~2.0cm~2.左肺", "auto", "1.5~2.0cm~2.左肺"),
        ("见结节3~右肺", "auto", "见结节3\n右肺"),
    ],
)
def test_the_repetition_mark_is_text_between_numbers_and_after_a_unit(written: str, repeat: Repeat, read: str) -> None:
    assert findings(oru(findings=written), repeat) == read


def test_how_repetitions_are_read_is_configured_for_files_and_listener_alike() -> None:
    message = oru(findings="右肺。~左肺。").encode()
    assert report(message)[0] == "右肺。\n左肺。"
    assert report(message, '[reports]\nhl7_repeat = "text"\n')[0] == "右肺。~左肺。"


def test_several_study_uids_are_a_list_whatever_the_repetition_mark_is_within_text() -> None:
    message = oru(study="1.2.826.0.1.1~1.2.826.0.1.2").encode()
    for more in ("", '[reports]\nhl7_repeat = "text"\n'):
        read_by = references(more)
        assert read_by.key(read_by.read(message), "", "01").study_uids == ("1.2.826.0.1.1", "1.2.826.0.1.2")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (r"C4\5\.br\第二行", "C4\\5\n第二行"),
        ("右肺\\", "右肺\\"),
        (r"\X41", r"\X41"),
        (r"a\XZZ\b", r"a\XZZ\b"),
        (r"\XCBAB\ 清晰", "双 清晰"),
        (r"\XCB\\XAB\清晰", "双清晰"),
        (r"\.in+4\正文\.fi\。", "正文。"),
        ("T1WI\\T2WI\\FLAIR", "T1WI\\T2WI\\FLAIR"),
    ],
)
def test_what_is_no_escape_sequence_stays_text(written: str, read: str) -> None:
    assert findings(oru(findings=written, charset="GB 18030-2000").encode("gb18030")) == read


def test_an_escape_sequence_of_bytes_that_are_no_text_refuses_the_message() -> None:
    with pytest.raises(InvalidData, match="no text"):
        findings(oru(findings=r"\XFF\ 清晰"))


def test_other_delimiters_are_those_of_the_message() -> None:
    other = str.maketrans({"^": "*", "~": "!", "\\": "@", "&": "%"})
    message = oru(findings="长3~5mm & 宽 ^ 高", name="ZHANG^SAN").translate(other)
    assert findings(message) == "长3!5mm % 宽 * 高"
    assert Message(message.encode()).value(hl7_paths.parse("PID-5.1-2")) == "ZHANG SAN"
    assert findings(oru(findings="a\\F\\b").replace("|^~\\&|", "|^~|")) == "a\\F\\b"


@pytest.mark.parametrize(
    "more", ["右|左", "右|左|上", "MRA|左侧", "x" + "|" * 6 + "F", "a||b", "a" + "|" * 7 + "b", "a|b|c|d|e|f|g"]
)
def test_a_field_separator_within_text_refuses_the_message(more: str) -> None:
    with pytest.raises(InvalidData, match="separator"):
        report(oru(findings=more).encode())


# Names of segments that words of radiology are as well: vessels, sinuses, bones, scores.
_WORDS = ["IVC", "PES", "PAC", "LAN", "SCD", "FAC", "NTE", "OBX", "ORC", "DG1", "CTI", "PRT", "PID", "SAC", "RF1"]


@pytest.mark.parametrize("word", _WORDS)
@pytest.mark.parametrize("kind", ["TX", "FT", "ST", ""])
@pytest.mark.parametrize("rest", ["||||||F", "||||||P", "", "|||||"])
def test_a_line_of_text_that_begins_like_a_segment_is_text_or_refuses_the_message(
    word: str, kind: str, rest: str
) -> None:
    message = oru(findings="@", impression="").replace("OBX|1|TX", f"OBX|1|{kind}")
    start, end = message.index("@"), message.index("\r", message.index("@"))
    for more in ("直径20mm，增宽", "阴性", "20mm", "约20mm|其余"):
        written = f"双肺清晰。\r{word}|{more}"
        try:
            found = findings(message[:start] + written + rest + message[end:])
        except InvalidData:
            continue
        assert solid(found) == solid(written).rstrip("|") + ("|" if found.endswith("|") else "")


@pytest.mark.parametrize("line", ["右肺下叶见结节。", "  续", "MRA：血管狭窄", "IVC|直径20mm", "DWI|高信号", "20mm"])
def test_text_behind_a_complete_observation_refuses_the_message(line: str) -> None:
    message = oru(impression="")
    end = message.index("\r", message.index("双肺清晰。"))
    with pytest.raises(InvalidData, match="behind an observation"):
        Message((message[:end] + "\r" + line + message[end:]).encode())
    assert findings(message[:end] + "\r\r \r" + message[end:]) == "双肺清晰。"


@pytest.mark.parametrize("segment", [
    "NTE|1|L|附注", "NTE||L|附注", "DG1|1||R91", "PV1|1|O", "SPM|1|^S1", "ORC|RE|1", "FT1|1", "CTI||S-1", "ZXX|甲",
    "DSC|", "PRT||UC", "TQ1|1", "AL1|1|DA",
])  # fmt: skip
@pytest.mark.parametrize("rest", ["||||||F", ""])
def test_segments_that_follow_an_observation_are_no_text_of_it(segment: str, rest: str) -> None:
    message = oru(impression="")
    start = message.index("双肺清晰。") + len("双肺清晰。")
    end = message.index("\r", start)
    read = findings(message[:start] + rest + "\r" + segment + message[end:])
    assert read.removesuffix("\n附注") == "双肺清晰。"


def test_a_field_separator_within_a_note_refuses_the_message() -> None:
    message = oru(impression="").replace("OBX|2", "NTE|1|L|附注|其余\rOBX|2")
    with pytest.raises(InvalidData, match="NTE"):
        report(message.encode())
    assert report(message.replace("|其余", "|RE^Remark").encode())[0] == "双肺清晰。\n附注"


def test_units_behind_a_value_are_no_reason_to_refuse_it() -> None:
    assert findings(oru(more="OBX|7|NM|影像所见||72|bpm|60-90|N|||F\r")).endswith("72")
    assert findings(oru(more="OBX|7|ST|影像所见||72|bpm\r")).endswith("72")
    assert findings(oru(more="OBX|7|NM|影像所见||72|次/分\r")).endswith("72")


@pytest.mark.parametrize("status", ["Final", "已审核", "1"])
def test_a_status_of_the_sites_own_is_no_reason_to_refuse_a_message_and_approves_nothing(status: str) -> None:
    document = references().read(oru().replace("||||||F|||", f"||||||{status}|||").encode())
    assert (document["Order"], document["Report"]) != ({}, {})
    assert isinstance(document["Order"], dict)
    assert document["Order"]["Status"] == "Submitted"


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        ("NM", "5^6", "5^6"),
        ("DT", "20260101", "20260101"),
        ("ID", "a&b", "a&b"),
        ("XX", "a^b", "a^b"),
        ("", "a^b&c", "a^b&c"),
        ("CE", "R91^肺结节^ICD10", "肺结节"),
        ("CWE", "^^^^^^^^原文", "原文"),
        ("CE", "R91", "R91"),
        ("CE", "A^甲~B^乙", "甲\n乙"),
    ],
)
def test_a_value_is_cut_only_where_its_type_has_components(kind: str, value: str, read: str) -> None:
    assert findings(oru(findings=value).replace("OBX|1|TX", f"OBX|1|{kind}")) == read


def test_text_over_many_observations_keeps_its_paragraphs_and_its_notes() -> None:
    rows = (
        "OBX|2|TX|影像所见||||||||F\rOBX|3|TX|||第二段。||||||F\rNTE|1|L|附：对比&增强\rNTE|2|L|补充\r"
        "OBX|4|TX|其他||不属于||||||F\rOBX|5|TX|||也不属于||||||F\rNTE|1||别处\r"
    )
    message = oru(findings="第一段。", impression="").replace(
        "OBX|2|TX|诊断意见^诊断意见||||||||F|||20240506103000\r", rows
    )
    assert findings(message) == "第一段。\n\n第二段。\n附：对比&增强\n补充"
    assert Message(message.encode()).value(hl7_paths.parse("OBX-5")) == "第一段。\n\n第二段。\n附：对比&增强\n补充"
    assert Message(message.encode()).value(hl7_paths.parse("NTE-3")) == "附：对比&增强\n补充\n别处"


def test_clinical_information_and_own_segments_are_text() -> None:
    message = oru(more="ZRP|1|高血压 & 糖尿病^3年\r").replace("|20240506091000|", "|20240506091000|", 1)
    assert Message(message.encode()).value(hl7_paths.parse("ZRP-2")) == "高血压 & 糖尿病^3年"
    assert Message(message.encode()).value(hl7_paths.parse("ZRP-2.1")) == "高血压"


def test_text_that_goes_on_in_a_further_segment_is_read_and_in_a_further_message_refused() -> None:
    assert findings(oru().replace("双肺清晰。||||||F|||20240506103000\r", "双肺\rADD|清晰。||||||F\r")) == "双肺清晰。"
    with pytest.raises(InvalidData, match="goes on"):
        Message(oru(more="DSC|7\r").encode())


def test_wrappers_of_a_batch_are_left_out_and_a_batch_of_two_is_refused() -> None:
    for wrapped in (f"BHS|^~\\&|A\r{oru()}BTS|1|all\r", f"FHS|^~\\&\nBHS|^~\\&\n{oru()}BTS\nFTS\n\n"):
        assert findings(wrapped) == "双肺清晰。"
    with pytest.raises(InvalidData, match="several"):
        Message(f"BHS|^~\\&|A\r{oru()}{oru()}BTS|2\r".encode())
    with pytest.raises(InvalidData, match="not an HL7"):
        Message(f"something\r{oru()}".encode())


# -- character sets


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("8859/1", "gb18030"),
        ("8859/1", "utf-8"),
        ("8859/15", "gb18030"),
        ("ISO-8859-1", "gb18030"),
        ("ISO_IR 100", "utf-8"),
        ("8859/12", "gb18030"),
        ("WINDOWS-1252", "gb18030"),
        ("ASCII", "gb18030"),
        ("GB 18030-2000", "utf-8"),
        ("GB2312", "utf-8"),
        ("UNICODE UTF-8", "gb18030"),
        ("BIG-5", "utf-8"),
        ("BIG-5", "big5hkscs"),
    ],
)
def test_the_declared_set_is_checked_against_the_bytes(declared: str, encoding: str) -> None:
    text = "兩肺紋理清晰，未見結節。" if encoding == "big5hkscs" else "双肺纹理清晰，未见结节 MR增强T2呈高信号。"
    message = oru(name="張三", findings=text, impression="", charset=declared)
    if encoding == "big5hkscs":
        message = (
            message.replace("影像所见", "影像所見").replace("诊断意见", "x").replace("胸部平扫", "").replace("赵", "")
        )
        message = message.replace("钱医", "").replace("王申请", "").replace("张", "張")
        assert Message(message.encode("big5hkscs")).value(hl7_paths.parse("OBX[影像所見]-5")) == text
    else:
        assert findings(message.encode(encoding)) == text


def test_a_short_name_in_gb18030_is_not_taken_for_utf_8() -> None:
    message = oru(name="@", findings="ok", impression="ok", charset="GB 18030-2000")
    other = message.encode("ascii", "ignore")
    for name in ("路", "郑伟"):
        assert Message(other.replace(b"@", name.encode("gb18030"))).value(hl7_paths.parse("PID-5.1")) == name


@pytest.mark.parametrize("declared", ["8859/1", "ISO-8859-1", "ISO_IR 100", "WINDOWS-1252"])
def test_latin_1_that_is_latin_1_stays_so(declared: str) -> None:
    message = f"MSH|^~\\&|A|B|C|D|20240506||ORU^R01|1|P|2.5.1||||||{declared}\rPID|1||P1||Müller^Jürgen\rOBR|1||E1\r"
    message += "OBX|1|TX|F||Größe für créée naïve||||||F\r"
    assert Message(message.encode("latin-1")).value(hl7_paths.parse("OBX[F]-5")) == "Größe für créée naïve"
    assert Message(message.encode()).value(hl7_paths.parse("PID-5.1")) == "Müller"


def test_a_message_that_changes_its_character_set_on_the_way_is_refused() -> None:
    with pytest.raises(InvalidData, match="UTF-8"):
        Message(oru(findings="\x1b$B4A;z\x1b(B", charset="ISO IR87").encode())


@pytest.mark.parametrize("declared", ["", "UNICODE UTF-8", "8859/1", "GB 18030-2000"])
@pytest.mark.parametrize("damage", [b"\xe5", b"\xb6", b"\xff", b"\xe5\x8f"])
def test_utf_8_with_a_damaged_character_is_refused_and_not_read_as_something_else(declared: str, damage: bytes) -> None:
    data = oru(findings="双肺纹理清晰@，未见结节。", charset=declared).encode().replace(b"@", damage)
    with pytest.raises(InvalidData, match="UTF-8"):
        findings(data)


# -- the PDF over several observations


def _row(number: str, data: str, told: str = "RIS^Application^PDF^Base64^", kind: str = "ED") -> str:
    return f"OBX|9|{kind}|PDF^Report|{number}|{told}{data}||||||F\r"


def _pieces(text: str, *at: int) -> list[str]:
    places = [0, *at, len(text)]
    return [text[a:b] for a, b in itertools.pairwise(places)]


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("RIS^Application^PDF^Base64^", "ED"),
        ("^AP^^^", "ED"),
        ("^TEXT^PDF^Hex^", "ED"),
        ("", "ST"),
        ("", "TX"),
    ],
)
@pytest.mark.parametrize(
    ("numbers", "order"), [("123", (0, 1, 2)), ("231", (1, 2, 0)), ("111", (0, 1, 2)), ("", (0, 1, 2))]
)
def test_a_pdf_over_several_observations_is_joined_in_the_order_of_their_numbers(
    told: str, kind: str, numbers: str, order: tuple[int, ...]
) -> None:
    whole = PDF.hex() if "Hex" in told else base64.b64encode(PDF).decode()
    pieces = _pieces(whole, 302, 606)
    rows = [_row(numbers[i] if numbers else "", pieces[place], told, kind) for i, place in enumerate(order)]
    assert Message(oru(more="".join(rows)).encode()).pdf() == PDF


def test_parts_that_are_encoded_each_by_itself_are_joined_as_bytes() -> None:
    pieces = [base64.b64encode(part).decode() for part in (PDF[:100], PDF[100:301], PDF[301:])]
    rows = "".join(_row(str(number), piece) for number, piece in enumerate(pieces, 1))
    assert Message(oru(more=rows).encode()).pdf() == PDF


@pytest.mark.parametrize("numbers", ["13", "11x", "122", "23"])
def test_a_pdf_of_which_a_part_is_missing_is_refused(numbers: str) -> None:
    pieces = _pieces(base64.b64encode(PDF).decode(), 300, 600)
    pieces = pieces[1:] + pieces[:1] if numbers == "23" else pieces
    rows = "".join(_row(number, piece) for number, piece in zip(numbers, pieces, strict=False))
    with pytest.raises(InvalidData):
        Message(oru(more=rows).encode()).pdf()


def test_a_part_of_a_pdf_that_was_taken_back_is_no_part() -> None:
    first, second = _pieces(base64.b64encode(PDF).decode(), 400)
    rows = _row("1", first) + _row("2", "AAAA").replace("|F\r", "|D\r") + _row("2", second)
    assert Message(oru(more=rows).encode()).pdf() == PDF
