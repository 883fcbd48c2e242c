"""incoming/<node>/<worker>/: instances that were acknowledged and are not yet catalogued.

A file is written as `<n>.part` and gets its name, which begins with the time, when its bytes are durable. Whatever
ends in `.part` at start was never acknowledged and is swept away. Each receive worker writes into a folder of its own;
the cataloguer reads them all, also those of workers that are no more.

A small instance is kept in memory until it is whole, made durable in the worker's journal, and gets its file after.
"""

import functools
import itertools
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from router.model import InstanceUids
from router.storage.attempts import Attempts
from router.storage.durable import FILE_MODE, make_folder
from router.storage.journal import LARGEST, SEGMENT_BYTES, Journal, discard, oldest_unfiled, recover
from router.storage.lock import no_workers

_MOST_PARTS = 512  # of one writev; the system's own limit is 1,024
_SOON = 0.1  # seconds: an instance that a worker reported has its file by then, unless more and more come
_LATELY = 1.0
_AHEAD = ".ahead"
_TOLD_NS = 10**9
_NEVER = 2**63 - 1


class IncomingFile:
    """One instance being received (the `IncomingFile` protocol of the Storage SCP), in memory or in a `.part` file."""

    def __init__(self, folder: "IncomingFolder", part: str, largest_in_memory: int) -> None:
        self._folder = folder
        self._part = part
        self._handle = -1
        self._held: list[bytes] = []
        self._size = 0
        self._largest = largest_in_memory
        if not largest_in_memory:
            self._open()

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        """Append the parts; OSError when the disk is full."""
        if self._handle < 0:
            self._size += sum(map(len, parts))
            if self._size <= self._largest:
                self._held += map(bytes, parts)
                return
            self._open()
        self._write(parts)

    def written(self) -> BinaryIO:
        """Bytes written so far, to be read before `commit`."""
        return BytesIO(b"".join(self._held)) if self._handle < 0 else self._folder.reader(self._part)

    def commit(self, uids: InstanceUids) -> None:
        """Return when bytes and name survive power loss. `uids` are not part of the name: the cataloguer reads them."""
        if self._handle < 0:
            if self._folder.append(self._held):
                return
            self._open()
        os.fsync(self._handle)
        self._close()
        self._folder.rename(self._part)

    def discard(self) -> None:
        """Forget the instance: nothing stays behind."""
        self._held.clear()
        if self._handle >= 0:
            self._close()
            self._folder.unlink(self._part)

    def _open(self) -> None:
        self._handle = self._folder.open(self._part)
        held, self._held = self._held, []
        self._write(held)

    def _write(self, parts: Sequence[bytes | memoryview]) -> None:
        for first in range(0, len(parts), _MOST_PARTS):
            some = parts[first : first + _MOST_PARTS]
            written = os.writev(self._handle, some)
            if written < sum(map(len, some)):
                rest = memoryview(b"".join(some))[written:]
                while rest:
                    rest = rest[os.write(self._handle, rest) :]

    def _close(self) -> None:
        handle, self._handle = self._handle, -1
        os.close(handle)


class IncomingFolder:
    """The folder of one worker, for one process to write to (the `Sink` of the Storage SCP)."""

    def __init__(self, folder: Path, min_free: int, journal: int = 0) -> None:
        """`min_free` and `journal` in bytes; less journal than a segment is none: each instance is a file at once."""
        self._folder = folder
        self._min_free = min_free
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._latest = 0
        make_folder(folder)
        sweep(folder)
        self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # as long as the process lives
        self._journal = Journal(folder, journal, name_of) if journal >= SEGMENT_BYTES else None

    def has_room(self) -> bool:
        """Whether the disk has more than the configured floor free."""
        return shutil.disk_usage(self._folder).free > self._min_free

    def create(self) -> IncomingFile:
        """A new instance to receive."""
        return IncomingFile(self, f"{next(self._numbers)}.part", LARGEST if self._journal else 0)

    def append(self, parts: Sequence[bytes]) -> bool:
        """Make a whole instance durable in the journal; False when it must be a file at once."""
        return self._journal is not None and self._journal.append(parts, self._arrival)

    def open(self, part: str) -> int:
        """A descriptor to write a new file with."""
        return os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE, dir_fd=self._handle)

    def reader(self, part: str) -> BinaryIO:
        """A file that has no name yet, to be read."""
        return open(part, "rb", opener=lambda name, flags: os.open(name, flags, dir_fd=self._handle))

    def rename(self, part: str) -> None:
        """Give a file whose bytes are durable its name, durably. OSError when it is not: the file is gone then."""
        name = name_of(self._arrival())
        os.rename(part, name, src_dir_fd=self._handle, dst_dir_fd=self._handle)
        try:
            os.fsync(self._handle)
        except OSError:
            self.unlink(name)
            raise

    def unlink(self, part: str) -> None:
        """Remove a file that was never acknowledged."""
        with suppress(FileNotFoundError):
            os.unlink(part, dir_fd=self._handle)

    def close(self) -> None:
        """File what the journal holds, once nothing is being received."""
        if self._journal is not None:
            self._journal.close()

    def _arrival(self) -> int:
        """Nanoseconds since 1970, so that the names of all workers sort by it; never one twice."""
        with self._lock:
            self._latest = max(self._latest + 1, time.time_ns())
            return self._latest


class Incoming:
    """The folders of all workers, as the cataloguer reads them."""

    def __init__(self, folder: Path, nodes: Path | None = None) -> None:
        """`nodes` is the folder of all nodes on this data folder, where there may be others."""
        self._folder = folder
        self._nodes = nodes
        self._elsewhere: tuple[float, list[int]] = (float("-inf"), [])
        self._ahead = 0
        self._arrived = threading.Event()
        self._woken = 0.0
        self._listed: deque[Path] = deque()
        make_folder(folder)

    @functools.cached_property
    def attempts(self) -> Attempts:
        """At its files; for the cataloguer alone."""
        return Attempts(self._folder / "attempt")

    @functools.cached_property
    def dropped(self) -> Attempts:
        """At files of the drop folder, by keys of theirs; for the one thread that reads them."""
        return Attempts(self._folder / "dropped")

    def set_ahead(self, ahead: timedelta) -> None:
        """Set how far this clock, which names files, is ahead of the shared one; other nodes read it, to the second."""
        former, self._ahead = self._ahead, ahead // timedelta(microseconds=1) * 1000
        if abs(self._ahead - former) > _TOLD_NS:
            part = self._folder / f"{_AHEAD}.part"
            part.write_text(str(self._ahead), encoding="ascii")
            part.replace(self._folder / _AHEAD)

    def arrived(self, path: Path) -> datetime:
        """When an incoming file was acknowledged, by the clock that the nodes share."""
        return _instant(int(path.stem) - self._ahead)

    def worker_folder(self, worker: int) -> Path:
        """The folder of the worker of that number, counted from 1."""
        return self._folder / str(worker)

    def sweep(self, workers: int) -> None:
        """Like `sweep`, for every folder, also those of more workers than there will be. None may be running."""
        mine = [self.worker_folder(n + 1) for n in range(workers)]
        with no_workers(self._folder):
            for folder in _folders_in(self._folder):
                sweep(folder)
                if folder not in mine:
                    discard(folder)
                    with suppress(OSError):  # what is in it is still to be catalogued
                        folder.rmdir()

    def files(self, limit: int) -> list[Path]:
        """Up to `limit` acknowledged files by arrival, the same until they are gone; none is later than a journal's."""
        while self._listed and not self._listed[0].exists():
            self._listed.popleft()
        if len(self._listed) < limit:
            folders = _folders_in(self._folder)
            latest = max((name for name, _ in _files_in(folders)), default="")
            oldest = min((at for at in map(oldest_unfiled, folders) if at is not None), default=_NEVER)
            # What came before `latest` has its file by the second look, or was in a journal in between.
            found = (one for one in _files_in(folders) if one[0] <= latest and one[0] < name_of(oldest))
            self._listed = deque(folder / name for name, folder in sorted(found))
        return list(itertools.islice(self._listed, limit))

    def oldest(self) -> datetime | None:
        """Arrival of the oldest instance of any node not released yet, or None; other nodes are read now and then."""
        try:
            at = [int(self._listed[0].stem)]
        except IndexError:
            at = _arrivals(_folders_in(self._folder))
        looked, found = self._elsewhere
        if self._nodes is not None and time.monotonic() - looked > _LATELY:
            others = [path for path in self._nodes.iterdir() if path.is_dir() and path != self._folder]
            found = [min(at) - _ahead_in(other) for other in others if (at := _arrivals(_folders_in(other)))]
            self._elsewhere = time.monotonic(), found
        at = [one - self._ahead for one in at] + found
        return _instant(min(at)) if at else None

    def wait(self, seconds: float) -> None:
        """Return when something has arrived since the last call, or after `seconds`."""
        lately = time.monotonic() - self._woken < _LATELY
        self._arrived.wait(min(seconds, _SOON) if lately else seconds)
        self._arrived.clear()

    def wake(self) -> None:
        """Something has arrived: make `wait` return."""
        self._woken = time.monotonic()
        self._arrived.set()


def waiting_in(incoming: Path) -> Callable[[Path], bool]:
    """Whether a file has a name below `incoming`, the folder of all nodes, as of now."""
    known = {path.stat().st_ino for path in incoming.glob("*/*/*.dcm")}
    return lambda path: path.stat().st_ino in known


def count_in(incoming: Path) -> int:
    """How many acknowledged files lie below `incoming`, the folder of all nodes."""
    return sum(1 for _ in incoming.glob("*/*/*.dcm"))


def unfiled_in(incoming: Path) -> bool:
    """Whether a journal below `incoming`, the folder of all nodes, holds what has no file: a node ended in a crash."""
    return any(oldest_unfiled(folder) for folder in incoming.glob("*/*"))


def sweep(folder: Path) -> None:
    """Remove what was never acknowledged, and file what was acknowledged in the journal only."""
    for part in folder.glob("*.part"):
        part.unlink()
    recover(folder, name_of)


def _folders_in(node: Path) -> list[Path]:
    with suppress(FileNotFoundError):
        return [path for path in node.iterdir() if path.is_dir()]
    return []


def _ahead_in(node: Path) -> int:
    """By how many nanoseconds the clock of a node is ahead, as it has said last."""
    try:
        return int((node / _AHEAD).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _files_in(folders: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    for folder in folders:
        with suppress(FileNotFoundError):  # another node has taken it over
            for entry in os.scandir(folder):
                if entry.name.endswith(".dcm"):
                    yield entry.name, folder


def _arrivals(folders: Sequence[Path]) -> list[int]:
    """Arrival times that can be the oldest in these folders."""
    at = [at for at in map(oldest_unfiled, folders) if at is not None]
    return at + [int(Path(name).stem) for name, _ in _files_in(folders)]


def name_of(arrival: int) -> str:
    """The file name of an instance that arrived at that time, in nanoseconds since 1970."""
    return f"{arrival:020d}.dcm"


def _instant(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)
