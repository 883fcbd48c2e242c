"""What a hostile HL7 message costs: memory and time grow with its bytes, whatever they are."""

import base64

import pytest

from router.errors import InvalidData
from router.exam.hl7_paths import parse
from router.reports.hl7.hl7v2 import Message
from support.hl7_messages import oru
from support.resource_costs import cost

_MESSAGE = """
    from support.hl7_messages import oru
    from router.exam.hl7_paths import parse
    from router.reports.hl7.hl7v2 import Message, Reply, acknowledgement
    from datetime import datetime
    head, count = oru().encode(), 2**20
    data = {data}
    paths = [parse(path) for path in ("PID-5", "OBR[]-4", "OBX[影像所见]-5", "OBX-5", "NTE-3", "OBX[113014]-5")] * 8
    def work():
        acknowledgement(data, Reply("AE", 207, "x"), datetime(2026, 1, 1))
        message = Message(data)
        message.document(paths)
        message.pdf()
"""


@pytest.mark.parametrize(
    "data",
    [
        "head + b'OBX|' + b'a|' * count",
        "head + b'OBX|1|TX|' + b'ab^' * count",
        "head + b'OBX|1|TX|x||' + b'ab~' * count",
        "head + b'OBX|1|CE|x||' + b'ab&' * count",
        "head + b'OBX|\\r' * count",
        "head + b'NTE|\\r' * count",
        "head + b'OBX|9|TX|x||a\\rNTE|\\r' * count",
        "head + b'ADD|x\\r' * count",
        "b'MSH|' + b'ab|' * count + head",
        "b'MSH|' + b'ab|' * count",
        r"oru().replace('双肺清晰。', 'ab\\F\\' * 2**20).encode()",
        r"oru().replace('双肺清晰。', '\\XE5\\' * 2**20).encode()",
    ],
)
def test_a_message_with_more_separators_than_a_report_has_is_refused_before_it_is_cut(data: str) -> None:
    found = cost(_MESSAGE.format(data=data))
    assert found.said.startswith("InvalidData"), found
    assert (found.memory < 120, found.seconds < 5) == (True, True), found


@pytest.mark.parametrize(
    "data",
    [
        "b'\\n' * 2**24 + head",
        "head + b'\\r' * 2**24 + head[:2]",
        "head + b'BTS\\r' * 2**22",
        "head + b'\\tx\\r' * 2**22",
        "head + b'OBX|1|ED|PDF||^^^^' + (b'A' * 76 + b'\\r') * 2**18",
        "head + b'OBX|3|TX|x||' + b'9~ab' * 4500",
        "head + b'OBX|3|TX|x||' + (b'9' * 1000 + b'~') * 15000",
        "head + b'OBX|9|TX|x||a\\rNTE|1||b\\r' * 2200",
        "head + b'OBX|9\\r' * 19000",
        "head + b'NTE|9\\r' * 19000",
    ],
)
def test_what_a_message_may_hold_costs_a_few_times_its_size(data: str) -> None:
    found = cost(_MESSAGE.format(data=data))
    assert (found.memory < 330, found.seconds < 20) == (True, True), found


@pytest.mark.parametrize("text", ["oru().replace('双肺清晰。', '双' * 2**24).encode()", "('é' * 2**23).encode()"])
def test_more_text_than_any_report_has_is_refused_before_it_is_read(text: str) -> None:
    found = cost(_MESSAGE.format(data=text))
    assert found.said.startswith("InvalidData"), found
    assert found.memory < 120, found


def test_a_large_pdf_in_short_lines_is_taken_whatever_breaks_them() -> None:
    pdf = b"%PDF-1.4" + bytes(range(256)) * 8000
    encoded = base64.b64encode(pdf).decode()
    for broken in ("\r", "\r\n", "\\.br\\", "\\X0D\\\\X0A\\"):
        lines = broken.join(encoded[at : at + 76] for at in range(0, len(encoded), 76))
        more = f"OBX|4|ED|PDF^Report||RIS^Application^PDF^Base64^{lines}||||||F\r"
        assert Message(oru(more=more).encode()).pdf() == pdf


def test_a_long_report_in_chinese_with_its_marks_is_taken_whole() -> None:
    text = "双肺纹理增多，约3~5mm。" * 5000
    message = Message(oru(findings=text).encode("gb18030"))
    assert message.value(parse("OBX[影像所见]-5")) == text


def test_a_message_of_no_separators_but_its_own_names_what_was_wrong() -> None:
    with pytest.raises(InvalidData, match="more than 20000 separators"):
        Message(oru(findings="a&" * 20001).encode())
