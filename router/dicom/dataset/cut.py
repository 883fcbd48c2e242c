"""Data sets that are cut off: shorter than their lengths and headers say (PS3.5 7, 8.1.1, 8.2, A.4).

Only lengths are compared: of the pixel data only the head is read, and the heads of its fragments. Behind an element
that is malformed and cannot be followed, the head of the pixel data is searched for. A data set that cannot be followed
at all does not count as cut off.
"""

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

from router.dicom.dataset import tags
from router.dicom.dataset.dataset import LONGEST_INFLATED, DataSet, Elements
from router.dicom.dataset.elements import (
    DEFLATED,
    EXPLICIT_BIG_ENDIAN,
    EXPLICIT_LITTLE_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    head,
)
from router.dicom.dataset.follower import Window, window_of
from router.errors import InvalidData

_END = {"<": b"\xfe\xff\xdd\xe0\0\0\0\0", ">": b"\xff\xfe\xe0\xdd\0\0\0\0"}
_ITEM_HEAD = {"<": b"\xfe\xff\x00\xe0", ">": b"\xff\xfe\xe0\x00"}
_LENGTH = {"<": struct.Struct("<L").unpack_from, ">": struct.Struct(">L").unpack_from}
_LONGEST_HEAD = 12
_NOWHERE = b"", 0, 0
_USUAL = (b"\xe0\x7f\x10\0OW\0\0", b"\xe0\x7f\x10\0OB\0\0")
_PIXEL_HEAD = {"<": b"\xe0\x7f\x10\0", ">": b"\x7f\xe0\0\x10"}
_PIXEL_VRS = frozenset({b"OW\0\0", b"OB\0\0", b"UN\0\0"})
_SIGNATURES = 0xFFFA  # group
_PIXELS = frozenset({tags.PIXEL_DATA, tags.FLOAT_PIXELS, tags.DOUBLE_PIXELS})
_PADDING = 0xFFFCFFFC
_PROVIDER_URL = 0x00287FE0  # the pixel data is elsewhere (PS3.3 C.7.6.3.1)
_NATIVE = (
    frozenset({EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN, "1.2.840.113619.5.2"}) | DEFLATED
)
# Sixths of the full size: two or four pixels share their chroma (PS3.3 C.7.6.3.1.2).
_SUBSAMPLED = {"YBR_FULL_422": 4, "YBR_PARTIAL_422": 4, "YBR_PARTIAL_420": 3}
# Syntaxes whose frames have one fragment or more each: JPEG, JPEG-LS, JPEG 2000, JPEG XL, HTJ2K, RLE (PS3.5 A.4).
_FRAMEWISE = frozenset(
    {f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 110, 111, 112, 201, 202, 203)}
    | {"1.2.840.10008.1.2.5"}
)
_LOOKED_THROUGH = 2**12  # bytes at the end of fragments that cannot be followed
_SEARCHED = 2**20  # bytes at a time


class _Unclear(Exception):
    """The end of an element is not known."""


class _Cut(Exception):
    """The data set breaks off; the message says where."""


def cut_off(read: DataSet, file: BinaryIO) -> str:
    """Say where the data set breaks off; "" when it is whole, or when that is not known."""
    if read.breaks_off:
        return "the deflated data set breaks off"
    if read.broken:
        return read.broken
    deflated = read.meta.transfer_syntax in DEFLATED
    if deflated and len(read.data) >= LONGEST_INFLATED:
        return ""
    start, end = (0, len(read.data)) if deflated else (read.meta.offset, read.end)
    try:
        _require_items(read, end - start)
        if not _ends_with_pixels(read):
            _Following(read, window_of(BytesIO(read.data) if deflated else file), end).run(start)
    except _Unclear:
        return ""
    except _Cut as error:
        return str(error)
    return ""


def pixel_bytes(read: Elements, tag: int = tags.PIXEL_DATA) -> int:
    """The least size of native pixel data in bytes; 0 when the header does not tell (PS3.5 8.1.1, 8.2)."""
    frames = read.text(tags.NUMBER_OF_FRAMES) or "1"
    if read.text(_PROVIDER_URL) or not frames.isdecimal():
        return 0
    bits = {tags.FLOAT_PIXELS: 32, tags.DOUBLE_PIXELS: 64}.get(tag) or read.unsigned(tags.BITS_ALLOCATED) or 0
    samples = read.unsigned(tags.SAMPLES_PER_PIXEL) or 1
    total = (read.unsigned(tags.ROWS) or 0) * (read.unsigned(tags.COLUMNS) or 0) * samples * bits * int(frames)
    parts = _SUBSAMPLED.get(read.text(tags.PHOTOMETRIC), 6) if samples == 3 else 6
    return (total * parts // 6 + 7) // 8


def _ends_with_pixels(read: DataSet) -> bool:
    """Whether this is the usual image: native little endian pixel data, long enough, at the end of the data set."""
    explicit = read.encoding.explicit
    if read.meta.transfer_syntax != (EXPLICIT_LITTLE_ENDIAN if explicit else IMPLICIT_LITTLE_ENDIAN):
        return False
    if not read.data.startswith(_USUAL if explicit else _PIXEL_HEAD["<"], read.stopped):
        return False
    value_at = read.stopped + (_LONGEST_HEAD if explicit else 8)
    length = int.from_bytes(read.data[value_at - 4 : value_at], "little")
    return read.meta.offset + value_at + length == read.end and pixel_bytes(read) <= length


def _require_items(read: DataSet, size: int) -> None:
    """Raise _Cut when an item of a sequence of defined length reaches beyond the data set."""
    data, item, end = read.data, _ITEM_HEAD[read.encoding.order], _END[read.encoding.order]
    length_at = _LENGTH[read.encoding.order]
    for tag in read.sequences if read.encoding.explicit else _perhaps_sequences(read, size):
        _, start, stop = read.spans.get(tag, _NOWHERE)
        if not data.startswith(item, start, stop) or data.startswith(end, stop):
            continue  # one of undefined length was followed to its end
        at = start
        while at + 8 <= stop and data.startswith(item, at):
            (length,) = length_at(data, at + 4)
            if length == tags.UNDEFINED:
                break
            at += 8 + length
            if at > size:
                raise _Cut(f"an item of the sequence {tags.named(tag)} is longer than the rest of the data set")


def _perhaps_sequences(read: DataSet, size: int) -> Iterable[int]:
    """The tags that may be sequences, without VRs: all when anything looks like an overlong item, which is rare."""
    data, item, length_at = read.data, _ITEM_HEAD[read.encoding.order], _LENGTH[read.encoding.order]
    at = data.find(item, 0, read.stopped)
    while 0 <= at <= len(data) - 8:
        if size < at + 8 + length_at(data, at + 4)[0] < tags.UNDEFINED:
            return read.spans
        at = data.find(item, at + 4, read.stopped)
    return ()


@dataclass(frozen=True, slots=True)
class _Following:
    """Follows elements to the end of the data set. Raises _Cut where one of them breaks off."""

    read: DataSet
    window: Window
    end: int

    def run(self, start: int) -> None:
        """Follow a data set that begins at `start`, from the position at which reading stopped."""
        position, before = self._stopped(start)
        pixels = False
        while position + 8 <= self.end:
            tag, vr, length, value = self._head(position, explicit=self.read.encoding.explicit)
            if tag >> 16 == tags.DELIMITERS:
                position = value
                continue
            if not self._goes_on(tag, vr, before):
                if not pixels:
                    self._require_pixels(position)
                return
            pixels = pixels or tag in _PIXELS
            position = self._past_pixels(tag, length, value) if tag in _PIXELS else self._past(tag, vr, length, value)
            before = tag
        if not pixels and position + 8 > self.end and self.window(position, self.end - position).strip(b"\0"):
            raise _Cut("it ends inside the head of an element")

    def _stopped(self, start: int) -> tuple[int, int]:
        """The end of the part that is known to be whole, and the last tag in it."""
        read = self.read
        if read.stopped < len(read.data):
            return start + read.stopped, -1
        stop, tag = max(((stop, tag) for tag, (_, _, stop) in read.spans.items()), default=(0, -1))
        return start + stop + (8 if read.data.startswith(_END[read.encoding.order], stop) else 0), tag

    def _head(self, position: int, *, explicit: bool) -> tuple[int, bytes, int, int]:
        """As `elements.head`, with the value's position in the whole."""
        try:
            found = head(self.window(position, _LONGEST_HEAD), 0, self.read.encoding.order, explicit=explicit)
        except InvalidData as error:
            raise _Cut("it ends inside the head of an element") from error
        tag, vr, length, size = found
        return tag, vr, length, position + size

    def _goes_on(self, tag: int, vr: bytes, before: int) -> bool:
        """Whether this is the next element. Behind the pixels, and among zeros that fill up, there may be anything."""
        if tag > before and tag >> 16 != 0xFFFF and (vr or not self.read.encoding.explicit):
            return before < tags.FIRST_PIXELS or bool(tag >> 16 & 1) or tag >> 16 == _SIGNATURES or tag in _PIXELS
        return False

    def _require_pixels(self, start: int) -> None:
        """Raise _Cut when there are heads of pixel data from `start` on, but none with a whole value."""
        cut = None
        for length, value in self._perhaps_pixels(start):
            try:
                self._past_pixels(tags.PIXEL_DATA, length, value)
            except _Cut as error:
                cut = error
            else:
                return
        if cut is not None:
            raise cut

    def _perhaps_pixels(self, start: int) -> Iterator[tuple[int, int]]:
        """Length and position of each value behind a head of pixel data, be it an icon's or other bytes."""
        order, explicit = self.read.encoding.order, self.read.encoding.explicit
        size = _LONGEST_HEAD if explicit else 8
        for found in self._positions(_PIXEL_HEAD[order], start):
            written = self.window(found, size + 8)
            if len(written) < size or (explicit and written[4:8] not in _PIXEL_VRS):
                continue
            (length,) = _LENGTH[order](written, size - 4)
            if length == tags.UNDEFINED:
                if _ITEM_HEAD[order].startswith(written[size : size + 4]):
                    yield length, found + size
            elif explicit or pixel_bytes(self.read) > 0:
                yield length, found + size

    def _positions(self, pattern: bytes, start: int) -> Iterator[int]:
        for begin in range(start, self.end, _SEARCHED):
            part = self.window(begin, min(_SEARCHED + len(pattern) - 1, self.end - begin))
            at = part.find(pattern)
            while at >= 0:
                yield begin + at
                at = part.find(pattern, at + 1)

    def _past(self, tag: int, vr: bytes, length: int, value: int) -> int:
        if tag == _PADDING:
            return self.end
        if length == tags.UNDEFINED:
            return self._past_nested(tag, value, explicit=self.read.encoding.explicit and vr != b"UN")
        if length > self.end - value:
            raise _Cut(f"element {tags.named(tag)} says {length} bytes, and {self.end - value} are there")
        return value + length

    def _past_nested(self, of: int, position: int, *, explicit: bool) -> int:
        nested = [explicit]
        while position + 8 <= self.end:
            tag, vr, length, position = self._head(position, explicit=nested[-1])
            if tag in (tags.ITEM_END, tags.SEQUENCE_END):
                nested.pop()
                if not nested:
                    return position
            elif length == tags.UNDEFINED:
                nested.append(nested[-1] and vr != b"UN")
            elif nested[-1] and not vr and tag != tags.ITEM:
                self._require_pixels(position)
                raise _Unclear
            else:
                position += length
        raise _Cut(f"the sequence {tags.named(of)} does not end")

    def _past_pixels(self, tag: int, length: int, value: int) -> int:
        if length == tags.UNDEFINED:
            return self._past_fragments(value)
        left = self.end - value
        needed = pixel_bytes(self.read, tag) if self.read.meta.transfer_syntax in _NATIVE else 0
        if needed > min(length, left):
            raise _Cut(f"the pixel data has {min(length, left)} of {needed} bytes")
        if length > left + 1:  # a missing padding byte is no loss
            raise _Cut(f"the pixel data says {length} bytes, and {left} are there")
        return value + length

    def _past_fragments(self, position: int) -> int:
        fragments = -1  # the first item is the offset table
        while position + 8 <= self.end:
            tag, _, length, value = self._head(position, explicit=False)
            if tag == tags.SEQUENCE_END:
                frames = self.read.text(tags.NUMBER_OF_FRAMES) or "1"
                framewise = self.read.meta.transfer_syntax in _FRAMEWISE and frames.isdecimal()
                if framewise and fragments < int(frames):
                    raise _Cut(f"the pixel data has {max(fragments, 0)} of {int(frames)} frames")
                return value
            if tag != tags.ITEM:
                return self._past_muddle(position)
            fragments += 1
            position = value + length
        left = "a fragment is longer than the rest" if position > self.end else "its delimiter is missing"
        raise _Cut(f"the pixel data does not end: {left}")

    def _past_muddle(self, position: int) -> int:
        """Fragments that cannot be followed are cut off unless the delimiter is among the last bytes."""
        tail = max(position, self.end - _LOOKED_THROUGH)
        if _END[self.read.encoding.order] in self.window(tail, self.end - tail):
            raise _Unclear
        raise _Cut("the pixel data does not end: its delimiter is missing")
