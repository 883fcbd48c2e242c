"""What was written to a disk, in its order, and the states in which a power cut may leave it.

At a point of the log the disk has everything that was written before the last flush; of what was written since, any
part, in pieces of 512 bytes. A later write of a piece never stands without being the last one taken of it.
"""

import json
import mmap
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import xxhash
from recorder import FLUSH, HEAD, MARK, WRITE

SECTOR = 512
_CHUNK = 2**16
NONE, ALL, SOME = "none", "all", "some"
Overlay = Mapping[int, memoryview]  # what a state has beyond what was flushed, by sector


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset; `data` is a view into the log."""

    offset: int
    data: memoryview

    def sectors(self) -> Iterator[tuple[int, memoryview]]:
        """Its pieces by number."""
        for at in range(0, len(self.data), SECTOR):
            yield (self.offset + at) // SECTOR, self.data[at : at + SECTOR]


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A disk after a power cut: everything of the first `epoch` flushes, and of the `writes` since what `kind` says.

    That is none, all, or some by chance, which `seed` repeats.

    `marks` says how many events had happened: what held then must hold now.
    """

    number: int
    epoch: int
    writes: int
    marks: int
    kind: str
    seed: str = ""


class History:
    """The log of a run: epochs of writes, each ended by a flush, and marks."""

    def __init__(self, log: Path) -> None:
        self.epochs: list[list[Write]] = [[]]
        self.marks: list[Mapping[str, Any]] = []
        self.points: list[tuple[int, int, int]] = []  # epoch, writes of it, marks
        with log.open("rb") as file:
            self._read(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))

    @property
    def flushes(self) -> int:
        return len(self.epochs) - 1

    def _read(self, log: memoryview) -> None:
        at = 0
        while at < len(log):
            kind, offset, size = HEAD.unpack_from(log, at)
            at += HEAD.size
            data = log[at : at + size]
            at += size
            if kind == WRITE:
                self.epochs[-1].append(Write(offset, data))
                continue
            if kind == FLUSH:
                self._point()  # just before it, when the most is at stake
                self.epochs.append([])
            elif kind == MARK:
                self.marks.append(json.loads(bytes(data)))
            self._point()
        self._point()

    def _point(self) -> None:
        self.points.append((len(self.epochs) - 1, len(self.epochs[-1]), len(self.marks)))

    def before(self, epoch: int) -> int:
        """How many events had been seen when that epoch began."""
        return next(marks for at, _, marks in self.points if at == epoch)

    def states(self, first: Path, seed: int, wanted: int) -> list[State]:
        """Different states, at least one at each point, and further ones by chance until there are `wanted`."""
        found: dict[int, State] = {}
        content = _Content(first)
        extra = 1 + max(0, wanted - len(self.points)) // len(self.points)
        at = 0
        for epoch, writes, marks in self.points:
            while at < epoch:
                content.take(self.epochs[at])
                at += 1
            for state in _variants(epoch, writes, marks, seed, extra):
                found[content.digest(self.overlay(state))] = state  # the latest: the most had happened
        ordered = sorted(found.values(), key=lambda state: (state.epoch, state.marks))
        return [replace(one, number=number) for number, one in enumerate(ordered)]

    def overlay(self, state: State) -> Overlay:
        """What the state has beyond what was flushed, by sector."""
        pending = self.epochs[state.epoch][: state.writes]
        if state.kind == SOME:
            return _some(pending, random.Random(state.seed))
        return {} if state.kind == NONE else {n: data for write in pending for n, data in write.sectors()}


class _Content:
    """Digest of a disk's content, kept up as sectors change."""

    def __init__(self, first: Path) -> None:
        self._sectors: dict[int, int] = {}
        self._first = memoryview(first.read_bytes())
        self._total = 0

    def digest(self, overlay: Overlay) -> int:
        total = self._total
        for number, data in overlay.items():
            total ^= self._of(number) ^ _hash(number, data)
        return total

    def take(self, writes: Sequence[Write]) -> None:
        for write in writes:
            for number, data in write.sectors():
                new = _hash(number, data)
                self._total ^= self._of(number) ^ new
                self._sectors[number] = new

    def _of(self, number: int) -> int:
        found = self._sectors.get(number)
        return _hash(number, self._first[number * SECTOR :][:SECTOR]) if found is None else found


def _hash(number: int, data: bytes | memoryview) -> int:
    return xxhash.xxh3_64_intdigest(data, number)


def _variants(epoch: int, writes: int, marks: int, seed: int, extra: int) -> Iterator[State]:
    yield State(number=0, epoch=epoch, writes=0, marks=marks, kind=NONE)
    if writes:
        yield State(number=0, epoch=epoch, writes=writes, marks=marks, kind=ALL)
        for n in range(extra):
            chance = f"{seed}-{epoch}-{writes}-{n}"
            yield State(number=0, epoch=epoch, writes=writes, marks=marks, kind=SOME, seed=chance)


def _some(pending: Sequence[Write], dice: random.Random) -> Overlay:
    """Each write whole, in part or not at all; how often differs from state to state."""
    share = dice.random()
    overlay: dict[int, memoryview] = {}
    for write in pending:
        chance = dice.random()
        torn = dice.random() < 0.25
        taken = (each for each in write.sectors() if (dice.random() if torn else chance) < share)
        overlay.update(taken)
    return overlay


class Base:
    """The image with what the first flushes made durable; it only goes on. `write` writes one state out."""

    def __init__(self, first: Path, history: History) -> None:
        self._image = bytearray(first.read_bytes())
        self._history = history
        self._epoch = 0
        zeros = bytes(_CHUNK)
        self._used = {at for at in range(0, len(self._image), _CHUNK) if self._image[at : at + _CHUNK] != zeros}

    def write(self, state: State, image: Path) -> None:
        """The state's image, whole. States come in their order."""
        while self._epoch < state.epoch:
            for write in self._history.epochs[self._epoch]:
                self._image[write.offset : write.offset + len(write.data)] = write.data
                last = write.offset + len(write.data) - 1
                self._used.update(range(write.offset // _CHUNK * _CHUNK, last + 1, _CHUNK))
            self._epoch += 1
        view = memoryview(self._image)
        with image.open("wb", buffering=0) as file:  # what is empty stays a hole
            file.truncate(len(self._image))
            for at in sorted(self._used):
                os.pwrite(file.fileno(), view[at : at + _CHUNK], at)
            for number, data in self._history.overlay(state).items():
                os.pwrite(file.fileno(), data, number * SECTOR)
