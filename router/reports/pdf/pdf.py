"""Whether a file is a PDF that a person can open, what its text says and when it was made (DB11 6.3)."""

import io
import logging
import re
from datetime import UTC, datetime, timedelta

from pypdf import PdfReader

from router.errors import InvalidData

MAX_SIZE = 64 * 2**20
_TEXT_PAGES = 5
_LONGEST_TEXT = 200_000
PAGE = "\f"
"""Stands between the texts of two pages."""
_END, _FILLING = b"%%EOF", b"\0\t\n\f\r "
# What follows an end is filling or a mail program's line; another update of the file begins with an object.
_UPDATE = re.compile(rb"^\s*\d|\d+\s+\d+\s+obj|xref|trailer|stream")
# PDF 7.9.4
_DATE = re.compile(r"(?:D:)?(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)?(?:Z|([+-])(\d\d)'?(\d\d)?'?)?")
_EARLIEST, _LATEST = 1990, 2200
# pypdf reports every oddity of a file at length; ours are the errors below.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def check(data: bytes) -> PdfReader:
    """The opened PDF. InvalidData unless it is whole, opens, has a page and is not encrypted."""
    require_size(len(data))
    if b"%PDF-" not in data[:1024]:
        raise InvalidData("the file does not begin as a PDF does")
    # NULs and blanks after the end are filling. Without the last update's end a former state of the report would go.
    whole = data.rstrip(_FILLING)
    end = whole.rfind(_END, max(0, len(whole) - 2048))
    if end < 0:
        raise InvalidData("the PDF is cut off: its end is missing")
    if _UPDATE.search(whole[end + len(_END) :]):
        raise InvalidData("the PDF is cut off: the end of its last update is missing")
    try:
        reader = PdfReader(io.BytesIO(data))
        encrypted, pages = reader.is_encrypted, 0 if reader.is_encrypted else len(reader.pages)
    except Exception as error:  # a parser of foreign files may raise anything: whatever it is, the PDF does not open
        raise InvalidData(f"the PDF does not open ({type(error).__name__})") from error
    if encrypted:
        raise InvalidData("the PDF is encrypted")
    if not pages:
        raise InvalidData("the PDF has no page")
    return reader


def require_size(size: int) -> None:
    """InvalidData for more bytes than a report has."""
    if size > MAX_SIZE:
        raise InvalidData(f"the PDF is larger than {MAX_SIZE // 2**20} MiB")


def text(reader: PdfReader) -> str:
    """The text of the first pages, form feeds between; "" without any, or a faulty one. May raise MemoryError."""
    try:
        return PAGE.join(page.extract_text() for page in reader.pages[:_TEXT_PAGES])[:_LONGEST_TEXT]
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # as above: then there is no text to go by
        return ""


def made(reader: PdfReader) -> datetime | None:
    """Time of making by the program's clock, without a zone as if in UTC; None where no report has such a time."""
    try:
        said = _DATE.match(str(reader.trailer["/Info"]["/CreationDate"]))  # type: ignore[index]  # else as below
        if said is None or not _EARLIEST < int(said[1]) < _LATEST:
            return None
        *parts, sign, hours, minutes = said.groups(default="")
        year, month, day, hour, minute, second = (int(part or 0) for part in parts)
        at = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        zone = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
        return at + zone if sign == "-" else at - zone
    except Exception:  # noqa: BLE001  # as above
        return None
