"""Whether a file is a PDF that a person can open, and what its text says (DB11 6.3)."""

import io
import logging
import re

from pypdf import PdfReader

from router.errors import InvalidData

MAX_SIZE = 64 * 2**20
_TEXT_PAGES = 5
# pypdf reports every oddity of a file at length; ours are the errors below.
logging.getLogger("pypdf").setLevel(logging.CRITICAL)


def check(data: bytes) -> None:
    """Raise InvalidData unless the PDF is whole, opens, has a page and is not encrypted."""
    if len(data) > MAX_SIZE:
        raise InvalidData(f"the PDF is larger than {MAX_SIZE // 2**20} MiB")
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


def text(data: bytes) -> str:
    """The text of the first pages without white space; "" where there is none or it cannot be read."""
    try:
        pages = PdfReader(io.BytesIO(data)).pages[:_TEXT_PAGES]
        return re.sub(r"\s+", "", "".join(page.extract_text() for page in pages))
    except Exception:  # noqa: BLE001  # as above: then there is no text to go by
        return ""
