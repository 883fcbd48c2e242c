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
    # as devices write it: `ISO IR 100`, `ISO-IR 100`, `iso_ir 100`
    term = re.sub(r"^ISO[ _-]?IR[ _-]", "ISO_IR ", charsets[0].strip().upper()) if charsets else ""
    declared = "ascii" if term in {"", "ISO_IR 6", "ISO 2022 IR 6"} else python_encoding.get(term, "ascii")
    return _with_escapes(value, declared) if b"\x1b" in value else decoding.decode(value, declared)


def _with_escapes(value: bytes, first: str) -> str:
    """Decode code extensions (PS3.5 6.1.2.5): an escape applies up to the next one.

    The standard returns to the first set at each delimiter. Not doing so reads also devices right that do not escape
    again, and changes nothing for the others: the sets that follow an escape contain ASCII.
    """
    parts, codec, start, escape = [], first, 0, b""
    for match in [*_ESCAPE.finditer(value), None]:
        fragment = value[start : match.start() if match else len(value)]
        if codec in _WITHIN_ITS_ESCAPE:
            parts.append((escape + fragment).decode(codec, "replace"))
        elif escape == _KOREAN:
            parts.append(fragment.decode(codec, "replace"))
        else:
            parts.append(decoding.decode(fragment, "ascii" if codec == _ESCAPED_ASCII else codec))
        if match:
            escape, start = match.group(), match.end()
            codec = CODES_TO_ENCODINGS.get(escape, first)
    return "".join(parts)
