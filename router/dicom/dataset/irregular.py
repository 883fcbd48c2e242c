"""Irregular data sets: not written by PS3.5 7, and read as far as the position of their elements is certain."""

import re
import struct
from collections.abc import Collection
from dataclasses import dataclass, field

from router.dicom.dataset.follower import Follower, Head, TooMany, Window
from router.dicom.dataset.tags import DELIMITERS, FIRST_PIXELS, ITEM, SERIES, STUDY, UNDEFINED, named
from router.dicom.dataset.vr import VRS
from router.errors import InvalidData

_MOST_LOST = 16  # positions behind which the next element is searched for
_SEARCHED, _PIECE = 2**22, 2**16  # bytes
_HEAD = re.compile(rb"(?s)(?=.{4}(?:" + b"|".join(sorted(VRS)) + rb"))")


@dataclass(slots=True, kw_only=True)
class Followed:
    """Elements outside sequences in their order: VR, begin and end of each value.

    `stopped` is the position of the pixel data, or the end; `lost` the first position at which the next element had to
    be searched for, or -1. `faults` say how the data set is irregular; `broken` names an element longer than the rest.
    `twice` are tags with several values, none of which counts; `misplaced` are tags out of order. `closed`: the last
    element was a sequence.
    """

    spans: dict[int, tuple[bytes, int, int]] = field(default_factory=dict)
    sequences: list[int] = field(default_factory=list)
    faults: dict[str, None] = field(default_factory=dict)
    twice: set[int] = field(default_factory=set)
    misplaced: set[int] = field(default_factory=set)
    closed: bool = True
    stopped: int = -1
    lost: int = -1
    broken: str = ""
    explicit: bool = True


def follow(window: Window, end: int, order: str, wanted: Collection[int], *, explicit: bool) -> Followed:
    """The elements before the pixel data, and behind it while `wanted` ones are missing. Raises TooMany."""
    return _Reading(window, end, order, explicit=explicit).run(wanted)


def certain(found: Followed, wanted: Collection[int], data: bytes, order: str) -> None:
    """Remove UIDs that are not certain: behind a position that was lost, or out of order, they may be nested ones.

    A UID there is certain if the data set has no other value of it anywhere. Study and series UIDs out of order are
    certain, too, if they are adjacent, which they hardly are in any sequence; behind a lost position they must be.
    InvalidData for two values of one UID outside sequences.
    """
    if double := [tag for tag in wanted if tag in found.twice]:
        raise InvalidData(f"the data set has two different values of {', '.join(map(named, double))}")
    for tag in found.twice:
        del found.spans[tag]
    study, series = (found.spans.get(tag, (b"", 0, 0)) for tag in (STUDY, SERIES))
    beside = 8 in (series[1] - study[2], study[1] - series[2])
    for tag in [tag for tag in wanted if tag in found.spans]:
        lost = 0 <= found.lost < found.spans[tag][1]
        nested = tag in (STUDY, SERIES) and not beside
        alone = len(_values(data, tag, order)) == 1 if lost or (nested and tag in found.misplaced) else True
        if not alone or (lost and nested):
            del found.spans[tag]


def _values(data: bytes, tag: int, order: str) -> set[bytes]:
    """All values behind this tag and VR UI, wherever they are."""
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF) + b"UI"
    starts = (match.start() for match in re.finditer(re.escape(head), data))
    lengths = ((at + 8, struct.unpack_from(order + "H", data, at + 6)[0]) for at in starts if at + 8 <= len(data))
    return {data[at : at + length].strip(b"\0 ") for at, length in lengths}


class _Reading:
    def __init__(self, window: Window, end: int, order: str, *, explicit: bool) -> None:
        self._window = window
        self._end = end
        self._follower = Follower(window, end, order)
        self._explicit = explicit
        self._losses = 0
        self.found = Followed(explicit=explicit)

    def run(self, wanted: Collection[int]) -> Followed:
        """As `follow`."""
        found, position, before = self.found, 0, -1
        while 0 <= position <= self._end - 8:
            head = self._follower.head(position, self._end, before, explicit=self._explicit)
            if head is not None and FIRST_PIXELS <= head.tag < ITEM:
                found.stopped = position if found.stopped < 0 else found.stopped
                if all(tag in found.spans for tag in wanted) or head.length == UNDEFINED:
                    break
            after = -1 if head is None else self._take(head, before)
            if head is not None and after >= 0:
                before = before if head.tag >> 16 == DELIMITERS else head.tag
            elif found.stopped >= 0:
                break
            else:
                after = self._lost(position, before)
            position = after
        if found.stopped < 0:
            found.stopped = self._end
        found.faults.update(self._follower.faults)
        return found

    def _take(self, head: Head, before: int) -> int:
        """Enter an element; returns the position of the next one, or -1 when that is not known."""
        found = self.found
        if head.tag >> 16 == DELIMITERS:
            found.faults["delimiters outside any sequence"] = None
            if not found.closed:  # perhaps of a sequence that a nested one has ended too early
                found.lost = 0
            return head.stop if head.tag == ITEM else head.at
        stop = after = head.stop
        try:
            if head.length == UNDEFINED:
                explicit = self._explicit and head.vr not in (b"UN", b"")
                stop, after = self._follower.past(head, self._end, explicit=explicit)
        except TooMany:
            raise
        except InvalidData:
            return -1
        if stop > self._end:
            return -1
        self._note(head, before)
        found.closed = head.vr == b"SQ" or self._follower.delimiter(head.at)[0] == ITEM
        if head.tag < FIRST_PIXELS:
            self._enter(head, stop)
        return after

    def _enter(self, head: Head, stop: int) -> None:
        former = self.found.spans.get(head.tag)
        if former is not None:
            self.found.faults["elements that stand there twice"] = None
            if self._window(former[1], former[2] - former[1]) != self._window(head.at, stop - head.at):
                self.found.twice.add(head.tag)
            return
        if head.vr == b"SQ":
            self.found.sequences.append(head.tag)
        self.found.spans[head.tag] = head.vr, head.at, stop

    def _note(self, head: Head, before: int) -> None:
        if head.tag >> 16 == 0:
            self.found.faults["elements of group 0000"] = None
        elif head.tag < before:
            self.found.faults["tags out of order"] = None
            self.found.misplaced.add(head.tag)
        if head.fault and head.tag >> 16:
            self.found.faults[head.fault] = None

    def _lost(self, position: int, before: int) -> int:
        """The position of the next element behind one that cannot be followed; -1 when there is none."""
        self._losses += 1
        after = self._next_place(position, before) if self._explicit and self._losses <= _MOST_LOST else -1
        if not self._window(position, _PIECE).strip(b"\0"):
            self.found.faults["zeros behind the last element"] = None
            return after
        self.found.lost = position if self.found.lost < 0 else self.found.lost
        self.found.faults["elements that cannot be followed"] = None
        overrun = self._follower.overrun(position, explicit=self._explicit)
        if after >= 0 and overrun is not None:
            left = self._end - overrun.at
            self.found.broken = f"element {named(overrun.tag)} says {overrun.length} bytes, and {left} are there"
        return after

    def _next_place(self, position: int, before: int) -> int:
        """The next position of regular elements; -1 when there is none, or none near."""
        for begin in range(position + 1, min(self._end, position + _SEARCHED), _PIECE):
            part = self._window(begin, _PIECE + 6)
            for match in _HEAD.finditer(part):
                if match.start() < _PIECE and self._follower.begins(begin + match.start(), before):
                    return begin + match.start()
        return -1
