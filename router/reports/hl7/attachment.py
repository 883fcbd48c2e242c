"""The report PDF within an HL7 message: Base64 or hexadecimal, in one observation (OBX) or over several."""

import base64
import binascii
import functools
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from router.errors import InvalidData

# Lines within Base64 come as \.br\, \X0D\ or as they are.
_BREAKS = re.compile(r"\\(?:\.br|X[0-9A-Fa-f]+)\\|\s")
_BASE64, _HEXADECIMAL = "JVBERi", "25504446"  # both %PDF
_ENCODED = re.compile(r"[A-Za-z0-9+/=]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A value of an OBX that may be a PDF or a part of one.

    `kind` is its type (OBX-2), `code` OBX-3 and `number` OBX-4 as written, `described` the words before the data of one
    of type ED (2.A.24). `data` has no line breaks.
    """

    kind: str
    code: str
    number: str
    described: frozenset[str]
    data: str

    @property
    def begins(self) -> bool:
        """Whether a PDF begins here."""
        if self.kind == "ED":
            return self.data.startswith((_BASE64, _HEXADECIMAL))
        return self.data.startswith(f"{_BASE64}0")


def without_breaks(data: str) -> str:
    """Encoded data in one line."""
    return _BREAKS.sub("", data)


def joined(parts: Iterable[Part]) -> Iterator[bytes]:
    """The PDFs; parts of one code with one beginning are one, by OBX-4. InvalidData: undecodable, or a part lacks."""
    groups: dict[tuple[bool, str], list[Part]] = {}
    for part in parts:
        if part.kind != "ED" and not _ENCODED.fullmatch(part.data):
            continue
        groups.setdefault((part.kind == "ED", part.code), []).append(part)
    for (encapsulated, _), group in groups.items():
        heads = [part for part in group if part.begins]
        alike = all(part.described in (frozenset(), head.described) for head in heads for part in group)
        if len(heads) == 1 and len(group) > 1 and alike:
            yield _of_parts(_in_order(group), heads[0])
        else:
            pdfs = [part for part in group if part in heads or (encapsulated and "PDF" in part.described)]
            yield from (_of_parts([part], part) for part in pdfs)


def _in_order(group: Sequence[Part]) -> list[Part]:
    numbers = [part.number for part in group]
    if len(set(numbers)) == 1:
        return list(group)
    if not all(number.isdecimal() for number in numbers):
        raise InvalidData("a PDF over several OBX that are not numbered (OBX-4)")
    placed = sorted(group, key=lambda part: int(part.number))
    first = int(placed[0].number)
    if [int(part.number) for part in placed] != list(range(first, first + len(placed))) or not placed[0].begins:
        raise InvalidData("a PDF over several OBX of which one is missing or there twice (OBX-4)")
    return placed


def _of_parts(parts: Sequence[Part], head: Part) -> bytes:
    """Parts may be encoded each by itself, or be cut from one encoding."""
    texts = [part.data for part in parts]
    hexadecimal = "HEX" in head.described or texts[0].startswith(_HEXADECIMAL)
    if not hexadecimal and not any(text.endswith("=") for text in texts[:-1]):
        texts = ["".join(texts)]
    try:
        decode = bytes.fromhex if hexadecimal else functools.partial(base64.b64decode, validate=True)
        return b"".join(map(decode, texts))
    except (binascii.Error, ValueError) as error:
        raise InvalidData("the PDF in OBX-5 is not Base64") from error
