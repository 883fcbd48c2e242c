"""Data sets: elements as positions in the bytes, decoded only when they are asked for (PS3.5 7).

Lenient on purpose: a wrong or an overlong value is absent, and so is everything behind an element that does not end.
"""

import struct
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from io import SEEK_END, BytesIO
from typing import BinaryIO

from router.dicom.dataset.charset import decode
from router.dicom.dataset.elements import (
    DEFLATED,
    EXPLICIT_BIG_ENDIAN,
    IMPLICIT_LITTLE_ENDIAN,
    Encoding,
    encoding_of,
    inflated_through,
)
from router.dicom.dataset.follower import TooMany, Window, window_of
from router.dicom.dataset.irregular import Followed, certain, follow
from router.dicom.dataset.part10 import FileMeta, dataset_offset
from router.dicom.dataset.tags import (
    DELIMITERS,
    FIRST_PIXELS,
    ITEM,
    ITEM_END,
    SEQUENCE_END,
    SPECIFIC_CHARACTER_SET,
    UIDS,
    UNDEFINED,
)
from router.dicom.dataset.vr import LONG_VRS, VRS
from router.errors import InvalidData
from router.remembered import remembered

_FIRST_READ, LONGEST_HEADER, LONGEST_INFLATED = 2**16, 2**28, 2**26  # bytes
_LONGEST_TEXT = 2**16  # bytes; the longest that is read, an LT, has 10,240 characters
_MOST_ELEMENTS = 2**14  # of a data set or an item; the standard knows 5,000
_MOST_ITEMS = 2**16
_SHORT = {"<": struct.Struct("<HH2sH").unpack_from, ">": struct.Struct(">HH2sH").unpack_from}
_LONG = {"<": struct.Struct("<L").unpack_from, ">": struct.Struct(">L").unpack_from}
_UN_ENCODING = Encoding(explicit=False, order="<")  # PS3.5 6.2.2 note 2

Span = tuple[bytes, int, int]


class _Irregular(Exception):
    """The data set is not written by PS3.5 7; reading on would be guessing."""


def read_elements(file: BinaryIO, longest: int = LONGEST_HEADER) -> "DataSet":
    """The elements before the pixel data. Reads only as much of the file as needed, and at most `longest` bytes.

    A data set that is irregular, or lacks a UID of an instance, is read again by the rules for irregular ones. Raises
    InvalidData when the file is no DICOM, has more elements than any real one, or two values of one UID; OSError when
    it cannot be read.
    """
    meta = dataset_offset(file)
    read: DataSet | None = None
    with suppress(_Irregular):
        read = _regular(file, meta, longest)
    if read is not None and all(tag in read.spans for tag in UIDS):
        return read
    try:
        second = _irregular(file, meta, longest)
    except TooMany as error:
        if read is None:
            raise InvalidData(error.message) from error
        return read
    return second if read is None or _uids_of(second.spans) > _uids_of(read.spans) else read


def _uids_of(spans: Collection[int]) -> int:
    return sum(tag in spans for tag in UIDS)


def _regular(file: BinaryIO, meta: FileMeta, longest: int) -> "DataSet":
    """Raises _Irregular."""
    limit = longest if meta.transfer_syntax in DEFLATED else _FIRST_READ
    while True:
        file.seek(meta.offset)
        stored = file.read(limit)
        whole = len(stored) < limit or limit >= longest
        deflated = meta.transfer_syntax in DEFLATED
        data, breaks_off = inflated_through(stored, LONGEST_INFLATED) if deflated else (stored, False)
        encoding = encoding_of(data, meta.transfer_syntax)
        sequences: list[int] = []
        found, position = _index(data, 0, len(data), encoding, sequences)
        if whole or position < len(data):
            return DataSet(
                data, encoding, found, meta=meta, stopped=min(position, len(data)), end=file.seek(0, SEEK_END),
                breaks_off=breaks_off and len(stored) < limit, sequences=sequences,
            )  # fmt: skip
        limit = min(limit * 16, longest)


def _irregular(file: BinaryIO, meta: FileMeta, longest: int) -> "DataSet":
    """The elements of an irregular data set. Raises InvalidData for two values of one UID."""
    end, start, breaks_off = file.seek(0, SEEK_END), meta.offset, False
    if meta.transfer_syntax in DEFLATED:
        file.seek(start)
        inflated, breaks_off = inflated_through(file.read(longest), LONGEST_INFLATED)
        file, start = BytesIO(inflated), 0
    window, size = window_of(file, start), file.seek(0, SEEK_END) - start
    order = ">" if meta.transfer_syntax == EXPLICIT_BIG_ENDIAN else "<"
    found = _followed(window, size, order, explicit=meta.transfer_syntax != IMPLICIT_LITTLE_ENDIAN)
    last = max([found.stopped, *(stop for _, _, stop in found.spans.values())])
    data = window(0, min(last + 1, longest))
    found.spans = {tag: span for tag, span in found.spans.items() if span[2] <= len(data)}
    certain(found, UIDS, data, order)
    return DataSet(
        data, Encoding(found.explicit, order), found.spans, meta=meta, stopped=min(found.stopped, len(data)), end=end,
        breaks_off=breaks_off, sequences=found.sequences, faults=tuple(found.faults), broken=found.broken,
    )  # fmt: skip


def _followed(window: Window, size: int, order: str, *, explicit: bool) -> Followed:
    """Follow the elements in the encoding in which the UIDs are found; the announced one is tried first."""
    found = follow(window, size, order, UIDS, explicit=explicit)
    if all(tag in found.spans for tag in UIDS):
        return found
    other = follow(window, size, order, UIDS, explicit=not explicit)
    return max(found, other, key=lambda one: (_uids_of(one.spans), len(one.spans)))


class Elements:
    """The elements of a data set or of a sequence item.

    `spans` are VR (b"" without one) of each element, and begin and end of its value in `data`. Of a long data set
    `data` may be the beginning only; that of a deflated one is inflated.
    """

    __slots__ = ("_charsets", "data", "encoding", "spans")

    def __init__(self, data: bytes, encoding: Encoding, spans: dict[int, Span], charsets: Sequence[str] = ()) -> None:
        self.data = data
        self.encoding = encoding
        self.spans = spans
        self._charsets = charsets
        if own := self.text(SPECIFIC_CHARACTER_SET):
            self._charsets = _terms(own)

    def text(self, tag: int) -> str:
        """The decoded value without padding, its values joined by backslash; "" when absent."""
        span = self.spans.get(tag)
        if span is None or span[2] - span[1] > _LONGEST_TEXT:
            return ""
        value = self.data[span[1] : span[2]]
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii").strip("\0 \r\n\t")
        return decode(value, () if tag == SPECIFIC_CHARACTER_SET else self._charsets).strip("\0 \r\n\t")

    def stored(self, tags: Iterable[int]) -> bytes:
        """The values of these elements as stored, each after its tag and length; absent ones are left out."""
        spans = ((tag, self.spans[tag]) for tag in tags if tag in self.spans)
        return b"".join(struct.pack(">LL", tag, end - start) + self.data[start:end] for tag, (_, start, end) in spans)

    def unsigned(self, tag: int) -> int | None:
        """A US value (two bytes in the data set's byte order)."""
        span = self.spans.get(tag)
        if span is None or span[2] - span[1] < 2:
            return None
        return int.from_bytes(self.data[span[1] : span[1] + 2], "little" if self.encoding.order == "<" else "big")

    def items(self, tag: int, limit: int | None = None) -> list["Elements"]:
        """The items of a sequence, at most `limit`; none without one. InvalidData for more than any real one has."""
        span = self.spans.get(tag)
        items: list[Elements] = []
        if span is None:
            return items
        vr, position, end = span
        encoding = _UN_ENCODING if vr == b"UN" else self.encoding
        while position + 8 <= end and (limit is None or len(items) < limit):
            group, element, _, _ = _SHORT[encoding.order](self.data, position)
            length = _LONG[encoding.order](self.data, position + 4)[0]
            if group << 16 | element != ITEM:
                break
            if len(items) >= _MOST_ITEMS:
                raise InvalidData("a sequence of more items than any real one", tag=f"{tag:08X}")
            stop = end if length == UNDEFINED else min(position + 8 + length, end)
            found, after = _index(self.data, position + 8, stop, encoding)
            items.append(Elements(self.data, encoding, found, self._charsets))
            position = after if length == UNDEFINED else stop
        return items


class DataSet(Elements):
    """The elements of a whole data set.

    `stopped` is the position in `data` at which reading ended: the pixel data, or the end. `end` is the file's.
    `breaks_off`: the data set is deflated and does not inflate to an end. `sequences` are the tags with VR SQ. `faults`
    say how it is irregular; `broken` names an element that is longer than the rest of the data set.
    """

    __slots__ = ("breaks_off", "broken", "end", "faults", "meta", "sequences", "stopped")

    def __init__(
        self, data: bytes, encoding: Encoding, spans: dict[int, Span], *, meta: FileMeta, stopped: int, end: int,
        breaks_off: bool, sequences: Sequence[int], faults: tuple[str, ...] = (), broken: str = "",
    ) -> None:  # fmt: skip
        super().__init__(data, encoding, spans)
        self.meta = meta
        self.stopped = stopped
        self.end = end
        self.breaks_off = breaks_off
        self.sequences = sequences
        self.faults = faults
        self.broken = broken

    @property
    def pixels_at(self) -> int:
        """The position of the pixel data in the file; its end without pixel data, and for a deflated data set."""
        here = self.stopped < len(self.data) and self.meta.transfer_syntax not in DEFLATED
        return self.meta.offset + self.stopped if here else self.end


@remembered(64, 2**10)  # texts; characters
def _terms(text: str) -> tuple[str, ...]:
    return tuple(term.strip() for term in text.split("\\"))


def _index(  # noqa: C901, PLR0912  # one loop on purpose
    data: bytes, position: int, end: int, encoding: Encoding, sequences: list[int] | None = None
) -> tuple[dict[int, Span], int]:
    """VR and position of each element from `position`, and the position at which reading stopped.

    That is `end`, or the position behind the item's delimiter, or one beyond `end` when a sequence of undefined length
    does not end. With `sequences`, which collects tags of VR SQ, this is the top level: reading stops at the pixel
    data, and raises _Irregular. One tight loop, since it sees every element of every instance.
    """
    top, before = sequences is not None, 7 << 16  # nothing of a lower group belongs into a data set
    found: dict[int, Span] = {}
    explicit, order = encoding.explicit, encoding.order
    short, long = _SHORT[order], _LONG[order]
    while position + 8 <= end:
        group, number, vr, length = short(data, position)
        tag = group << 16 | number
        position += 8
        if top and tag >= FIRST_PIXELS and group != DELIMITERS:
            return found, position - 8
        if not explicit or vr not in VRS or group == DELIMITERS:
            if explicit and top:
                raise _Irregular
            vr, length = b"", long(data, position - 4)[0]
        elif vr in LONG_VRS:
            if position + 4 > end:
                break
            length = long(data, position)[0]
            position += 4
            if sequences is not None and vr == b"SQ":
                sequences.append(tag)
        if tag == ITEM_END:
            return found, position
        if length == UNDEFINED:
            stop, after = _past_undefined(data, position, end, Encoding(explicit and vr != b"UN", order))
        else:
            stop = after = position + length
        if after > end:
            return found, end + (length == UNDEFINED)
        if tag <= before and top:
            raise _Irregular
        before = tag
        found[tag] = vr, position, stop
        if len(found) > _MOST_ELEMENTS:
            raise InvalidData("a data set of more elements than any real one")
        position = after
    return found, end


def _past_undefined(data: bytes, position: int, end: int, encoding: Encoding) -> tuple[int, int]:
    """The end of the content of a sequence of undefined length, and the position behind it; beyond `end` without one.

    Does not recurse: deep nesting cannot exhaust the stack.
    """
    nested = [encoding.explicit]
    order = encoding.order
    while position + 8 <= end:
        group, number, vr, length = _SHORT[order](data, position)
        tag = group << 16 | number
        position += 8
        explicit = nested[-1]
        if not explicit or vr not in VRS or group == DELIMITERS:
            vr, length = b"", _LONG[order](data, position - 4)[0]
        elif vr in LONG_VRS:
            if position + 4 > end:
                break
            length = _LONG[order](data, position)[0]
            position += 4
        if tag in {ITEM_END, SEQUENCE_END}:
            nested.pop()
            if not nested:
                return position - 8, position
        elif length == UNDEFINED:
            nested.append(explicit and vr != b"UN")
        else:
            position += length
    return end, end + 1
