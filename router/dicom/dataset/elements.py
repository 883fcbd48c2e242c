"""Data elements in encoded bytes, read without decoding their values (PS3.5 7)."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from router.dicom.dataset.tags import DELIMITERS, ITEM, UNDEFINED
from router.dicom.dataset.vr import LONG_VRS, VRS
from router.errors import InvalidData

EXPLICIT_BIG_ENDIAN = "1.2.840.10008.1.2.2"
EXPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
IMPLICIT_LITTLE_ENDIAN = "1.2.840.10008.1.2"
DEFLATED = frozenset({"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"})

_PIECE, _LARGEST_PIECE, _LARGEST_INFLATED = 2**14, 2**20, 2**30  # bytes
_CERTAIN = 3  # elements in a row
_BEYOND = 0x7FE10000  # the first tag behind the pixel data
_GROUP_2 = {"<": b"\2\0", ">": b"\0\2"}


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a data set is written: with VRs or without, and the byte order as `struct` names it."""

    explicit: bool
    order: str


_ENCODINGS = {
    EXPLICIT_LITTLE_ENDIAN: Encoding(explicit=True, order="<"),
    IMPLICIT_LITTLE_ENDIAN: Encoding(explicit=False, order="<"),
    EXPLICIT_BIG_ENDIAN: Encoding(explicit=True, order=">"),
}


def encoding_of(data: bytes, transfer_syntax: str) -> Encoding:
    """The encoding as the first element shows it, in the syntax's byte order: devices announce one VR, send another."""
    order = ">" if transfer_syntax == EXPLICIT_BIG_ENDIAN else "<"
    return Encoding(data[4:6] in VRS, order)


def written_syntax(data: bytes, announced: str) -> str:
    """The uncompressed syntax that the first elements are written in; the announced one when they do not tell."""
    start = 0
    while data[start : start + 2] == b"\0\0":  # elements of group 0000
        try:
            _, _, length, value = head(data, start, "<", explicit=True)
        except InvalidData:
            break
        if length >= len(data):
            break
        start = value + length
    if announced in _ENCODINGS and _follow(data, start, _ENCODINGS[announced]):
        return announced
    others = (syntax for syntax, encoding in _ENCODINGS.items() if _follow(data, start, encoding) == _CERTAIN)
    return next(others, announced)


def _follow(data: bytes, position: int, encoding: Encoding) -> int:
    """How many elements follow each other in this form; no more than _CERTAIN are counted."""
    before = 7 << 16
    for number in range(_CERTAIN):
        try:
            tag, vr, length, value = head(data, position, encoding.order, explicit=encoding.explicit)
        except InvalidData:
            return number
        if not before < tag < _BEYOND or (encoding.explicit and not vr) or length > len(data) - value:
            return number
        before, position = tag, value + length
    return _CERTAIN


def leading_group_2(data: bytes, transfer_syntax: str) -> tuple[list[int], int]:
    """The elements of group 0002 at the beginning of a data set: their numbers, and their size in bytes.

    They may be copied from a file, so they may be in explicit VR little endian in any data set. A deflated data set
    shows none.
    """
    found: list[int] = []
    position = 0
    orders = "<>" if transfer_syntax == EXPLICIT_BIG_ENDIAN else "<"
    while order := next((one for one in orders if data[position : position + 2] == _GROUP_2[one]), ""):
        try:
            tag, _, length, value = head(data, position, order, explicit=True)
        except InvalidData:
            break
        if length > len(data) - value:
            break
        found.append(tag & 0xFFFF)
        position = value + length
    return found, position


def inflate(data: bytes, transfer_syntax: str, limit: int) -> bytes:
    """The first `limit` bytes of a deflated data set (PS3.5 A.5), or any other as it is. Raises InvalidData."""
    if transfer_syntax not in DEFLATED:
        return data
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, limit)
    except zlib.error as error:
        raise InvalidData("the deflated data set does not inflate") from error


def inflated_through(data: bytes, limit: int) -> tuple[bytes, bool]:
    """The first `limit` bytes of a deflated data set, and whether it breaks off before _LARGEST_INFLATED.

    It is inflated in pieces, so that memory holds `limit` bytes at most. Raises InvalidData.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    kept, size = bytearray(), 0
    try:
        for at in range(0, len(data), _PIECE):
            piece, found = data[at : at + _PIECE], b""
            # When the room is full more may follow, even if all of the piece is consumed.
            while (piece or len(found) == _LARGEST_PIECE) and not inflater.eof and size <= _LARGEST_INFLATED:
                found = inflater.decompress(piece, _LARGEST_PIECE)
                piece = inflater.unconsumed_tail
                size += len(found)
                kept += found[: limit - len(kept)]
    except zlib.error as error:
        if not kept:
            raise InvalidData("the deflated data set does not inflate") from error
        return bytes(kept), True
    return bytes(kept), not inflater.eof and size <= _LARGEST_INFLATED


def top_level(data: bytes, encoding: Encoding) -> Iterator[tuple[int, bytes]]:
    """Tag and value of each element outside sequences, in order; sequences of undefined length are skipped.

    Raises InvalidData when the bytes end inside an element. Does not recurse: deep nesting cannot exhaust the stack.
    """
    nested = [encoding.explicit]
    position = 0
    while position < len(data):
        tag, vr, length, position = head(data, position, encoding.order, explicit=nested[-1])
        if tag >> 16 == DELIMITERS and (tag != ITEM or length != UNDEFINED):
            if tag == ITEM:
                position += length
            elif len(nested) == 1:
                raise InvalidData("a delimiter outside any sequence", tag=f"{tag:08X}")
            else:
                nested.pop()
        elif length == UNDEFINED:
            nested.append(nested[-1] and vr != b"UN")  # inside UN all is implicit (PS3.5 6.2.2 note 4)
        else:
            end = position + length
            if end > len(data):
                raise InvalidData("the data set ends inside an element", tag=f"{tag:08X}")
            if len(nested) == 1:
                yield tag, data[position:end]
            position = end


def head(data: bytes, position: int, order: str, *, explicit: bool) -> tuple[int, bytes, int, int]:
    """Tag, VR (b"" without a known one), length, position of the value. InvalidData when the bytes end before it."""
    try:
        group, element = struct.unpack_from(order + "HH", data, position)
        tag = group << 16 | element
        vr = data[position + 4 : position + 6]
        if not explicit or group == DELIMITERS or vr not in VRS:
            return tag, b"", struct.unpack_from(order + "L", data, position + 4)[0], position + 8
        if vr in LONG_VRS:
            return tag, vr, struct.unpack_from(order + "L", data, position + 8)[0], position + 12
        return tag, vr, struct.unpack_from(order + "H", data, position + 6)[0], position + 8
    except struct.error as error:
        raise InvalidData("the data set ends inside an element") from error
