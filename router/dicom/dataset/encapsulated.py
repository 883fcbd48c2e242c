"""The document in an Encapsulated PDF instance (PS3.3 A.45.1, C.24.2)."""

from pathlib import Path

from router.dicom.dataset.parsed import parsed
from router.errors import InvalidData

SOP_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"
_LARGEST = 2**27  # bytes; a report has half of it at most
_TAGS = ["EncapsulatedDocument", "EncapsulatedDocumentLength", "MIMETypeOfEncapsulatedDocument"]


def document_of(path: Path) -> bytes:
    """The document's bytes without padding. InvalidData when there is no PDF, OSError when the file cannot be read."""
    if path.stat().st_size > _LARGEST:
        raise InvalidData("the instance is larger than any report")
    try:
        found = parsed(path, _TAGS)
        data = bytes(found.get("EncapsulatedDocument") or b"")
        length = int(found.get("EncapsulatedDocumentLength") or 0)
        kind = str(found.get("MIMETypeOfEncapsulatedDocument") or "application/pdf")
    except Exception as error:  # a parser of foreign files may raise anything: then there is no document
        if isinstance(error, OSError) and error.errno is not None:  # the disk's; the parser's own has no number
            raise
        raise InvalidData(f"the encapsulated document does not read ({type(error).__name__})") from error
    if not data or kind.strip().lower() != "application/pdf":
        raise InvalidData("the instance of class Encapsulated PDF holds no PDF")
    return data[:length] if 0 < length <= len(data) else data.removesuffix(b"\0")
