"""Whether a file is a PDF that a person can open, and what its text says (DB11 6.3)."""

import io
import logging

from pypdf import PdfReader

from router.errors import InvalidData

MAX_SIZE = 64 * 2**20
_TEXT_PAGES = 5
_LONGEST_TEXT = 200_000
# pypdf reports every oddity of a file at length; ours are the errors below.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def check(data: bytes) -> PdfReader:
    """The opened PDF. InvalidData unless it is whole, opens, has a page and is not encrypted."""
    require_size(len(data))
    if b"%PDF-" not in data[:1024]:
        raise InvalidData("the file does not begin as a PDF does")
    if b"%%EOF" not in data[-2048:]:
        raise InvalidData("the PDF is cut off: its end is missing")
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
    """The text of the first pages, one after the other; "" where there is none or it cannot be read."""
    try:
        return "\n".join(page.extract_text() for page in reader.pages[:_TEXT_PAGES])[:_LONGEST_TEXT]
    except Exception:  # noqa: BLE001  # as above: then there is no text to go by
        return ""
