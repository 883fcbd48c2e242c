"""Elements of data sets that are not written by PS3.5 7, followed from one to the next, without decoding values.

An element's head is read in the usual way if another element follows it there. Otherwise each way in which devices are
known to write heads and lengths is tried, and the one from which the elements go on best is used.
"""

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

from router.dicom.dataset.tags import DELIMITERS, FIRST_PIXELS, ITEM, ITEM_END, SEQUENCE_END, UNDEFINED, named
from router.dicom.dataset.vr import LONG_VRS, VRS
from router.errors import InvalidData

Window = Callable[[int, int], bytes]
"""Up to so many bytes of the data set from a position on; fewer at its end."""

_NO_END = "sequences or items without their end"
_REGULAR, _MISPLACED, _ODD = 4, 2, 1  # points of an element: correct, out of order, in another form
_AHEAD = 3  # elements that are read behind one in an odd form
_ENOUGH = 3  # regular elements in a row, at which reading can start again
_MOST_STEPS = 2**17  # elements that are read in one data set
_LONGEST_COMMAND = 128  # bytes of a value of group 0000
# Groups of the standard in data sets, besides private ones, overlays and curves; implicit VR has no other evidence.
_GROUPS = frozenset(
    {0x04, 0x08, 0x10, 0x12, 0x14, 0x16, 0x18, 0x20, 0x22, 0x24, 0x28, 0x32, 0x34, 0x38, 0x3A, 0x40, 0x42, 0x44, 0x46,
     0x48, 0x50, 0x52, 0x54, 0x60, 0x62, 0x64, 0x66, 0x68, 0x6A, 0x70, 0x72, 0x74, 0x76, 0x78, 0x80, 0x82, 0x88, 0x100,
     0x400, 0x2000, 0x2010, 0x2020, 0x2030, 0x2040, 0x2050, 0x2100, 0x2110, 0x2120, 0x2130, 0x2200, 0x3002, 0x3004,
     0x3006, 0x3008, 0x300A, 0x300C, 0x300E, 0x3010, 0x4000, 0x4008, 0x4010, 0x4FFE, 0x5200, 0x5400, 0x5600, 0x7FE0}
)  # fmt: skip


def window_of(file: BinaryIO, offset: int = 0) -> Window:
    """The bytes of a file from `offset` on."""

    def window(position: int, size: int) -> bytes:
        file.seek(offset + position)
        return file.read(size)

    return window


class TooMany(InvalidData):
    """The data set has more elements than any real irregular one."""


class Head(NamedTuple):
    """An element's head: tag, VR (b"" without a known one), position and length of its value, and how it is odd."""

    tag: int
    vr: bytes
    at: int
    length: int
    fault: str = ""

    @property
    def stop(self) -> int:
        """The end of the value; its beginning when the length is undefined."""
        return self.at if self.length == UNDEFINED else self.at + self.length


class Follower:
    """Follows one data set of `end` bytes. Raises TooMany."""

    def __init__(self, window: Window, end: int, order: str, most: int = _MOST_STEPS) -> None:
        """At most `most` elements are read."""
        self._most = most
        self._window = window
        self._end = end
        self._short, self._long = struct.Struct(order + "H"), struct.Struct(order + "L")
        self._order = order
        self._steps = 0
        self.faults: dict[str, None] = {}  # in nested elements
        self._scores: dict[tuple[int, int, bool], int] = {}

    # -- heads

    def head(self, position: int, end: int, before: int, *, explicit: bool) -> Head | None:
        """The head at `position`, behind the element with tag `before`, before `end`; None where none can be."""
        ways = self._ways(position, explicit=explicit)
        if not ways:
            return None
        usual = ways[0]
        if not usual.fault and usual.tag > before and self._is_followed(usual, end, explicit=explicit):
            return usual
        best, most = None, 0
        for way in (*ways, *self._by_items(usual, end, explicit=explicit)):
            score = self._score(way, end, before, _AHEAD, explicit=explicit)
            if score > most:
                best, most = way, score
        return best

    def _ways(self, position: int, *, explicit: bool) -> list[Head]:
        """The ways to read the head at a position, the usual one first."""
        self._step()
        raw = self._window(position, 12)
        if len(raw) < 8:
            return []
        group, vr = self._short.unpack_from(raw)[0], raw[4:6]
        tag = group << 16 | self._short.unpack_from(raw, 2)[0]
        short, plain = self._short.unpack_from(raw, 6)[0], self._long.unpack_from(raw, 4)[0]
        if group == DELIMITERS:
            return [Head(tag, b"", position + 8, plain)]
        implicit = Head(
            tag=tag, vr=b"", at=position + 8, length=plain, fault="elements without a VR" if explicit else ""
        )
        in_short = Head(tag, vr, position + 8, short)
        in_long = [Head(tag, vr, position + 12, self._long.unpack_from(raw, 8)[0])] if len(raw) == 12 else []
        if vr in LONG_VRS:
            found = [*in_long, *([in_short._replace(fault="a VR with a length of another size")] if short else [])]
        elif vr in VRS:
            found = [in_short, *(one._replace(fault="a VR with a length of another size") for one in in_long)]
        elif explicit:
            fault = "VRs that do not exist"
            odd = [one._replace(vr=b"", fault=fault) for one in in_long if raw[6:8] == b"\0\0"]
            found = [in_short._replace(vr=b"", fault=fault), *odd]
        else:
            return [implicit]
        if not explicit:
            return [implicit, *(one._replace(fault="elements with a VR") for one in found)]
        return [*found, implicit] if vr not in VRS else found

    def is_sequence(self, head: Head) -> bool:
        """Whether the value is made of items, or is empty."""
        return head.length == 0 or self.delimiter(head.at)[0] in (ITEM, SEQUENCE_END)

    def trouble(self, position: int, end: int, *, explicit: bool) -> str:
        """Say why no element can be read at a position."""
        ways = self._ways(position, explicit=explicit)
        if not ways:
            return f"it ends inside the head of an element, at byte {position}"
        usual = ways[0]
        if not usual.fault and usual.length != UNDEFINED and usual.stop > end:
            left = end - usual.at
            return f"element {named(usual.tag)} at byte {position} says {usual.length} bytes, and {left} are left"
        return f"what stands at byte {position} is no element"

    def _by_items(self, head: Head, end: int, *, explicit: bool) -> Iterator[Head]:
        """The head with the length of the sequence's items, when its own length differs."""
        if head.length == UNDEFINED or (explicit and head.vr != b"SQ") or head.tag >> 16 == DELIMITERS:
            return
        stop = self._past_items(head.at, end)
        if stop > head.at and stop != head.stop:
            yield head._replace(length=stop - head.at, fault="a sequence of another length than its items")

    def _past_items(self, position: int, end: int) -> int:
        """The position behind the items that begin here, by their lengths."""
        while position + 8 <= end:
            tag, length = self.delimiter(position)
            if tag == SEQUENCE_END:
                return position + 8
            if tag != ITEM or length == UNDEFINED or length > end - position - 8:
                return position
            self._step()
            position += 8 + length
        return position

    def _step(self) -> None:
        self._steps += 1
        if self._steps > self._most:
            raise TooMany("an irregular data set of more elements than can be followed")

    def delimiter(self, position: int) -> tuple[int, int]:
        """Tag and length of the item or delimiter at a position; meaningless for anything else."""
        raw = self._window(position, 8)
        if len(raw) < 8:
            return 0, 0
        group, element = self._short.unpack_from(raw)[0], self._short.unpack_from(raw, 2)[0]
        return group << 16 | element, self._long.unpack_from(raw, 4)[0]

    # -- evidence that this is an element

    def _is_followed(self, head: Head, end: int, *, explicit: bool) -> bool:
        """Whether a regular element follows a regular head."""
        if head.length == UNDEFINED:
            return self.delimiter(head.at)[0] in (ITEM, SEQUENCE_END)
        if head.stop >= end:
            return head.stop == end or head.tag >= FIRST_PIXELS
        if head.vr == b"SQ" and head.length and self._past_items(head.at, end) != head.stop:
            # the end of an item of undefined length is not compared with the sequence's
            return self.delimiter(head.at) == (ITEM, UNDEFINED)
        ways = self._ways(head.stop, explicit=explicit)
        return bool(ways) and self._points(ways[0], end, head.tag, explicit=explicit) == _REGULAR

    def _points(self, head: Head, end: int, before: int, *, explicit: bool) -> int:
        """How well it looks like an element behind `before`, in points."""
        group = head.tag >> 16
        if group == DELIMITERS:
            return _REGULAR if head.length == 0 or head.tag == ITEM else 0
        if not self._fits(head, end, explicit=explicit):
            return 0
        if group == 0:
            return _ODD if (head.length or head.vr) and head.length <= _LONGEST_COMMAND else 0
        if (head.fault or not explicit) and not _is_known(group):
            return 0
        if head.tag > before:
            return _ODD if head.fault else _REGULAR
        return 0 if head.fault else _MISPLACED

    def _fits(self, head: Head, end: int, *, explicit: bool) -> bool:
        """Whether its value fits."""
        if head.length == UNDEFINED:
            return self.delimiter(head.at)[0] in (ITEM, SEQUENCE_END)
        if head.fault and head.vr == b"SQ" and self.delimiter(head.at)[0] != ITEM:
            return False
        return head.stop <= end or (head.tag >= FIRST_PIXELS and not head.fault and explicit)

    def _score(self, head: Head, end: int, before: int, ahead: int, *, explicit: bool) -> int:
        """How well the elements go on from here, in points. An odd head has points only if they go on."""
        points = self._points(head, end, before, explicit=explicit)
        if not points:
            return 0
        if head.length == UNDEFINED or head.stop >= end or head.tag >= FIRST_PIXELS:
            return points + ahead * _REGULAR
        if not ahead:
            return points
        key = head.stop, ahead, explicit
        if key not in self._scores:
            ways = self._ways(head.stop, explicit=explicit)
            self._scores[key] = max(
                (self._score(way, end, head.tag, ahead - 1, explicit=explicit) for way in ways), default=0
            )
        onward = self._scores[key]
        if onward:
            return points + onward
        return 1 if not head.fault else 0

    # -- sequences

    def inside(self, head: Head, end: int, *, explicit: bool) -> Iterator[tuple[int, int, int]]:
        """Begin, end and next position of each item; last -1, -1 and the end. InvalidData if it cannot be followed."""
        open_ended = head.length == UNDEFINED
        position, stop = head.at, end if open_ended else head.stop
        while position + 8 <= stop:
            self._step()
            tag, length = self.delimiter(position)
            if tag == SEQUENCE_END:
                if open_ended:
                    yield -1, -1, position + 8
                    return
                position += 8
            elif tag == ITEM_END:
                position += 8
            elif tag == ITEM:
                last, after = self._past_item(position + 8, length, stop, explicit=explicit)
                yield position + 8, last, after
                position = after
            elif open_ended:
                self.faults[_NO_END] = None
                break
            else:
                raise InvalidData(f"the sequence {named(head.tag)} holds something else than items")
        if open_ended and position + 8 > end:
            raise InvalidData(f"the sequence {named(head.tag)} does not end")
        yield -1, -1, position if open_ended else stop

    def past(self, head: Head, end: int, *, explicit: bool) -> tuple[int, int]:
        """The end of a value of undefined length, and the position behind it; InvalidData if it cannot be followed."""
        stop = after = head.at
        for _, last, after in self.inside(head, end, explicit=explicit):
            stop = after if last >= 0 else stop
        return stop, after

    def _past_item(self, position: int, length: int, end: int, *, explicit: bool) -> tuple[int, int]:
        stop = position + length
        if length != UNDEFINED and stop <= end and (stop == end or self.delimiter(stop)[0] >> 16 == DELIMITERS):
            return stop, stop
        return self._past_elements(position, end, explicit=explicit)

    def _past_elements(  # noqa: C901, PLR0912  # one loop on purpose
        self, position: int, end: int, *, explicit: bool
    ) -> tuple[int, int]:
        """The end of an item without a usable length, and the position behind it; does not recurse."""
        opened = [explicit]  # for each open item, whether it is in explicit VR
        before = [-1]
        while position + 8 <= end:
            tag, length = self.delimiter(position)
            if tag >> 16 == DELIMITERS:
                self._step()
                if tag == ITEM and length == UNDEFINED and len(opened) > 1:
                    position += 8
                elif tag == ITEM and len(opened) > 1:
                    position += 8 + length
                elif tag == ITEM or (tag == SEQUENCE_END and len(opened) == 1):
                    self.faults[_NO_END] = None
                    return position, position
                elif tag == SEQUENCE_END:
                    position += 8
                    opened.pop()
                    before.pop()
                elif len(opened) == 1:
                    return position, position + 8
                else:
                    position += 8
                continue
            head = self.head(position, end, -1, explicit=opened[-1])
            if head is None:
                break
            if head.fault:
                self.faults[head.fault] = None
            if head.length == UNDEFINED:
                opened.append(opened[-1] and head.vr not in (b"UN", b""))
                before.append(-1)
            position = head.stop
        else:
            if position == end and len(opened) == 1:
                return end, end
        raise InvalidData("an item does not end")

    # -- finding the next element

    def begins(self, position: int, before: int) -> bool:
        """Whether regular elements, with VRs and in order, begin at a position."""
        for _ in range(_ENOUGH):
            ways = self._ways(position, explicit=True)
            if not ways or ways[0].fault or ways[0].tag >> 16 in (0, DELIMITERS):
                return False
            if self._points(ways[0], self._end, before, explicit=True) != _REGULAR:
                return False
            if ways[0].length == UNDEFINED or ways[0].stop >= self._end or ways[0].tag >= FIRST_PIXELS:
                return True
            position, before = ways[0].stop, ways[0].tag
        return True

    def overrun(self, position: int, *, explicit: bool) -> Head | None:
        """The head at a position if its value is longer than the rest of the data set, else None."""
        ways = self._ways(position, explicit=explicit)
        usual = ways[0] if ways else None
        if usual is None or usual.fault or usual.length == UNDEFINED or usual.stop <= self._end:
            return None
        return usual


def _is_known(group: int) -> bool:
    return group in _GROUPS or (group & 1 and group > 8) or 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF
