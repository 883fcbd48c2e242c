"""Text in the character sets of DICOM (PS3.3 C.12.1.1.2, PS3.5 6.1), decoded without exceptions or warnings."""

import re
from collections.abc import Sequence

from pydicom.charset import CODES_TO_ENCODINGS, python_encoding

from router.text import decoding

_ESCAPE = re.compile(rb"\x1b\$?[()-]?[A-Z]")
_ESCAPED_ASCII = "iso8859"  # pydicom's name for it
_KOREAN = b"\x1b$)C"  # no device writes it before Chinese
_WITHIN_ITS_ESCAPE = frozenset({"iso2022_jp", "iso2022_jp_2"})  # Python's codec needs the escape


def decode(value: bytes, charsets: Sequence[str]) -> str:
    """The text of a whole `value` under the declared defined terms of Specific Character Set.

    Bytes in another set than the declared one are read in that other one; UNREADABLE stands for bytes without a
    certain reading.
    """
    declared = _codec(charsets[0]) if charsets else "ascii"
    return _with_escapes(value, declared) if b"\x1b" in value else decoding.decode(value, declared)


def _codec(term: str) -> str:
    """The codec of a defined term as devices write it (`ISO IR 100`, `ISO-IR 100`, `iso_ir 100`); ASCII if unknown."""
    normal = re.sub(r"^ISO[ _-]?IR[ _-]", "ISO_IR ", term.strip().upper())
    if normal in {"", "ISO_IR 6", "ISO 2022 IR 6"}:
        return "ascii"
    return python_encoding.get(normal, "ascii")


def _with_escapes(value: bytes, first: str) -> str:
    """Decode code extensions (PS3.5 6.1.2.5): an escape applies up to the next one.

    The standard returns to the first set at each delimiter. Not doing so reads also devices right that do not escape
    again, and changes nothing for the others: the sets that follow an escape contain ASCII.
    """
    parts, codec, start, escape = [], first, 0, b""
    for match in [*_ESCAPE.finditer(value), None]:
        end = match.start() if match else len(value)
        parts.append(_fragment(value[start:end], codec, escape))
        if match:
            escape, start = match.group(), match.end()
            codec = CODES_TO_ENCODINGS.get(escape, first)
    return "".join(parts)


def _fragment(fragment: bytes, codec: str, escape: bytes) -> str:
    if codec in _WITHIN_ITS_ESCAPE:
        return (escape + fragment).decode(codec, "replace")
    if escape == _KOREAN:
        return fragment.decode(codec, "replace")
    return decoding.decode(fragment, "ascii" if codec == _ESCAPED_ASCII else codec)
