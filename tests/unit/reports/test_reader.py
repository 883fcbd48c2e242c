"""PDFs are read in programs of their own: what hostile ones cost, and what the rest of them notice."""

import os
import select
import signal
import socket
import subprocess
import sys
import zlib
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest

from router.errors import InvalidData
from router.matching.report_pdf.naming import identifiers, words
from router.reports.pdf.reader import _PROGRAM, PdfText, Readers
from support.intake_folder import printed


def with_content(stream: bytes) -> bytes:
    """A sound PDF of one page that draws this compressed stream."""
    packed = zlib.compress(stream, 9)
    parts = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (len(packed), packed),
    ]
    parts.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    out, offsets = BytesIO(), []
    out.write(b"%PDF-1.4\n")
    for number, part in enumerate(parts, 1):
        offsets.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, part))
    start = out.tell()
    out.write(b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offset for offset in offsets))
    out.write(b"trailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % start)
    return out.getvalue()


_TYPE0 = (
    b"/Type0 /BaseFont /SimSun /DescendantFonts [<< /Type /Font /Subtype /CIDFontType0 /BaseFont /SimSun"
    b" /CIDSystemInfo << /Registry (Adobe) /Ordering (GB1) /Supplement 2 >> >>] /Encoding "
)


def shown(text: str) -> bytes:
    return f"BT /F1 12 Tf 60 740 Td ({text}) Tj ET\n".encode()


def answers(readers: Readers, *pdfs: bytes) -> list[str]:
    found = readers.read(pdfs)
    return [answer.message if isinstance(answer, InvalidData) else answer.text.strip() for answer in found]


def test_each_pdf_gets_its_own_answer_in_order(readers: Readers) -> None:
    pdfs = [printed(f"report {number}") for number in range(5)]
    assert answers(readers, *pdfs) == [f"report {number}" for number in range(5)]
    found = answers(readers, pdfs[0], b"no PDF", pdfs[1][:-40], with_content(shown("whole")))
    assert found == [
        "report 0",
        "the file does not begin as a PDF does",
        "the PDF is cut off: its end is missing",
        "whole",
    ]
    assert readers.read([]) == []


@pytest.mark.parametrize(
    ("encoding", "glyphs", "found"),
    [
        (b"/GBK-EUC-H", "姓名:张三 检查号:A0001".encode("gbk"), {"张三", "A0001"}),
        (b"/UniGB-UCS2-H", "姓名:张三 检查号:A0001".encode("utf-16-be"), {"张三", "A0001"}),
        (b"/Identity-H", b"\x0f\xe1\x05\x13\x11\x22\x01\x02", set()),  # a subset that does not say what its glyphs are
    ],
    ids=["GBK", "UCS-2", "no mapping"],
)
def test_chinese_fonts_are_read_where_they_say_what_they_show(
    readers: Readers, encoding: bytes, glyphs: bytes, found: set[str]
) -> None:
    plain = with_content(b"BT /F1 12 Tf 60 740 Td <" + glyphs.hex().encode() + b"> Tj ET")
    (text,) = answers(readers, plain.replace(b"/Type1 /BaseFont /Helvetica", _TYPE0 + encoding))
    assert words(text) & identifiers("", "A0001", "张三") == found


@pytest.mark.parametrize(
    ("stream", "limits"),
    [(shown("x") * 400_000, ((30.0, 0.3), 2**30)), (b" " * 70_000_000 + shown("x"), ((30.0, 30.0), 160 * 2**20))],
    ids=["time", "memory"],
)
def test_a_pdf_whose_text_costs_too_much_has_none_and_the_next_is_read(
    stream: bytes, limits: tuple[tuple[float, float], int]
) -> None:
    bomb = with_content(stream)
    assert len(bomb) < 100_000
    readers = Readers(1, *limits)
    try:
        assert answers(readers, bomb, printed("next"), bomb, printed("last")) == ["", "next", "", "last"]
    finally:
        readers.close()


def test_a_pdf_that_cannot_be_opened_within_the_limits_is_refused_and_the_next_is_read() -> None:
    readers = Readers(1, patience=(1.0, 1.0), memory=2**30)
    nested = b"[" * 3_000_000
    hostile = with_content(b"").replace(b"/Kids [3 0 R]", b"/Kids " + nested)
    try:
        assert answers(readers, hostile)[0].startswith("the PDF does not open")
        assert answers(readers, printed("next")) == ["next"]
    finally:
        readers.close()


def test_a_program_that_was_ended_from_outside_costs_no_pdf_its_place() -> None:
    others, readers = _children(), Readers(1)
    try:
        assert answers(readers, printed("one")) == ["one"]
        (program,) = _children() - others
        os.kill(program, signal.SIGKILL)
        assert answers(readers, printed("two")) == ["two"]
        assert program not in _children()
    finally:
        readers.close()
    assert _children() == others


def test_a_program_whose_node_was_killed_before_it_took_the_answer_ends_quietly() -> None:
    program = (sys.executable, "-P", "-c", _PROGRAM, os.pathsep.join(sys.path), str(2**30), "10", "10")
    ours, theirs = socket.socketpair()
    end = theirs.fileno()
    with theirs, subprocess.Popen(program, stdin=end, stdout=end, stderr=subprocess.PIPE) as process:
        ours.sendall((1).to_bytes(8) + b"x")
        assert select.select([ours], [], [], 30)[0], "there is an answer, which nobody takes"
        ours.close()
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, b"")


def _children() -> set[int]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            if int(path.read_text().rsplit(")", 1)[1].split()[1]) == os.getpid():
                found.add(int(path.parent.name))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def test_a_text_that_takes_more_than_its_processor_time_is_unread_and_costs_nobody_else_his() -> None:
    readers = Readers(1, patience=(30.0, 0.3))
    try:
        slow = with_content(b"BT /F1 12 Tf " + b"1 0 0 1 60 740 Tm (a) Tj\n" * 400_000 + b"ET")
        found = readers.read([slow, printed("next")])
    finally:
        readers.close()
    assert found[0] == PdfText(unread=True)
    assert isinstance(found[1], PdfText)
    assert found[1].text.strip() == "next"


def test_a_pdf_says_when_it_was_made(readers: Readers) -> None:
    dated = printed("x").replace(b"D:20000101000000+00'00'", b"D:20261129103000+08'00'")
    told = [
        one.made for one in readers.read([dated, printed("x"), with_content(shown("x"))]) if isinstance(one, PdfText)
    ]
    assert told == [datetime(2026, 11, 29, 2, 30, tzinfo=UTC), datetime(2000, 1, 1, tzinfo=UTC), None]


def test_a_time_that_no_report_was_made_at_is_none(readers: Readers) -> None:
    for wrong in (b"D:00010101000000+00'00'", b"D:99991231235959-23'00'", b"D:20261332000000+00'00'"):
        (found,) = readers.read([printed("x").replace(b"D:20000101000000+00'00'", wrong)])
        assert isinstance(found, PdfText)
        assert (found.text.strip(), found.made) == ("x", None)
