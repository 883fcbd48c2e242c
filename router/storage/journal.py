"""The journal of a receive worker: small instances are durable here first, and filed behind the acknowledgement."""

import logging
import os
import secrets
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from router.storage.durable import FILE_MODE, opened, side_by_side, sync_folder
from router.storage.segment import Bytes, Record, Segment, slots

LARGEST = 2**20  # bytes of an instance; what is larger costs more to write twice than its own file costs
SEGMENT_BYTES = 2**23
_SUFFIX = ".journal"
_OLDEST = "oldest"
_ARRIVAL = struct.Struct("<Q")
_BATCH = 64
_SMALL = 2**17  # bytes
_QUIET = 0.02  # seconds without an instance: a good time to file
_LONGEST = 0.5  # seconds that an instance waits for such a time
_RETRY = 1.0  # seconds, when the disk takes nothing

_log = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Use:
    """A segment in use: where the next record goes, and the offsets of those that are not filed yet."""

    segment: Segment
    end: int
    unfiled: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _Waiting:
    use: _Use
    place: int
    record: Record


class Journal:
    """Segments of one folder and the thread that files what they hold. `name` gives a time its file's name."""

    def __init__(self, folder: Path, size: int, name: Callable[[int], str]) -> None:
        """`size` in bytes. The segments are made in the background; until then instances go past them."""
        self._folder = folder
        self._name = name
        self._wanted = size // SEGMENT_BYTES
        self._lock = threading.Lock()
        self._segments: list[Segment] = []
        self._free: list[Segment] = []
        self._use: _Use | None = None
        self._waiting: deque[_Waiting] = deque()
        self._unfiled: dict[int, None] = {}  # times of arrival, in order
        self._oldest = os.open(folder / _OLDEST, os.O_WRONLY | os.O_CREAT, FILE_MODE)
        self._tell_oldest()
        self._came = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dicom-filing", daemon=True)
        self._thread.start()

    def append(self, parts: Sequence[Bytes], clock: Callable[[], int]) -> bool:
        """Make an instance durable; False when there is no place for it. `clock` gives each its time of arrival."""
        with self._lock:
            reserved = self._reserve(slots(sum(map(len, parts))))
            if reserved is None:
                return False
            use, place = reserved
            arrived = clock()
            if not self._announce(arrived):
                use.unfiled.discard(place)
                return False
        try:
            record = use.segment.write(place, parts, arrived)
        except OSError as error:
            self._give_up(use, arrived, error)
            return False
        self._waiting.append(_Waiting(use, place, record))
        self._came.set()
        return True

    def close(self) -> None:
        """File what waits, and end."""
        self._closing.set()
        self._came.set()
        self._thread.join()
        for segment in self._segments:
            segment.close()
        os.close(self._oldest)

    def _reserve(self, room: int) -> tuple[_Use, int] | None:
        use = self._use
        if use is None or use.end + room > use.segment.size:
            if use is not None and not use.unfiled:
                self._free.append(use.segment)  # else it becomes free when all of it is filed
            self._use = use = self._begin(self._free.pop()) if self._free else None
        if use is None:
            return None
        place, use.end = use.end, use.end + room
        use.unfiled.add(place)
        return use, place

    @staticmethod
    def _begin(segment: Segment) -> _Use | None:
        try:
            return _Use(segment, segment.begin(secrets.token_bytes(16)))
        except OSError as error:  # this segment is not used again
            _log.error("the journal cannot be written, a file is used instead: %s", error.strerror)
            return None

    def _announce(self, arrived: int) -> bool:
        """Announce an arrival before it is durable: until it is filed, nobody takes later ones. False if that fails."""
        self._unfiled[arrived] = None
        try:
            if len(self._unfiled) == 1:
                self._tell_oldest()
        except OSError as error:
            _log.error("the journal cannot be written, a file is used instead: %s", error.strerror)
            del self._unfiled[arrived]
            return False
        return True

    def _give_up(self, use: _Use, arrived: int, error: OSError) -> None:
        """A segment that cannot be written is not used again: the place stays taken, so it never becomes free."""
        _log.error("the journal cannot be written, files are used instead: %s", error.strerror)
        with self._lock:
            self._forget(arrived)
            if self._use is use:
                self._use = None

    def _forget(self, arrived: int) -> None:
        del self._unfiled[arrived]
        self._tell_oldest()

    def _tell_oldest(self) -> None:
        os.pwrite(self._oldest, _ARRIVAL.pack(next(iter(self._unfiled), 0)), 0)

    # -- the thread that files

    def _run(self) -> None:
        try:
            self._prepare()
        except OSError as error:
            _log.error("the journal's segments cannot be put in order: %s", error.strerror)
        trouble = ""
        while not self._closing.is_set() or self._waiting:
            self._came.wait()
            self._came.clear()
            try:
                while self._waiting:
                    self._await_quiet()
                    self._file([self._waiting[n] for n in range(min(len(self._waiting), _BATCH))])
                trouble = ""
            except OSError as error:
                if trouble != (trouble := str(error.strerror)):
                    _log.error("what the journal holds cannot be filed yet: %s", trouble)
                if self._closing.wait(_RETRY):
                    return  # the next start files it
                self._came.set()

    def _prepare(self) -> None:
        wanted = [self._folder / f"{number}{_SUFFIX}" for number in range(self._wanted)]
        discard(self._folder, keep=wanted)
        for path in sorted(wanted, key=Path.exists, reverse=True):
            try:
                segment = Segment(path) if path.exists() else Segment.prepare(path, SEGMENT_BYTES)
            except OSError as error:
                _log.error("the journal has %d of %d segments: %s", len(self._segments), self._wanted, error.strerror)
                path.unlink(missing_ok=True)
                return
            with self._lock:
                self._segments.append(segment)
                self._free.append(segment)
            if self._closing.is_set():
                return

    def _await_quiet(self) -> None:
        latest = self._waiting[0].record.arrived + _LONGEST * 1e9
        while not self._closing.is_set() and self._free and time.time_ns() < latest:
            before = len(self._waiting)
            self._closing.wait(_QUIET)
            if len(self._waiting) == before:
                return

    def _file(self, batch: Sequence[_Waiting]) -> None:
        if self._spares(batch):
            for one in batch:
                self._file_one(one)
        else:
            side_by_side(self._file_one, batch)
        sync_folder(self._folder)
        with self._lock:
            for one in batch:
                self._waiting.popleft()
                one.use.unfiled.discard(one.place)
                self._forget(one.record.arrived)
            for use in {one.use for one in batch}:
                use.segment.filed(min(use.unfiled, default=use.end))
                if use is not self._use and not use.unfiled:
                    self._free.append(use.segment)

    def _file_one(self, one: _Waiting) -> None:
        file(one.use.segment, one.record, self._folder / self._name(one.record.arrived))

    def _spares(self, batch: Sequence[_Waiting]) -> bool:
        """Whether to file one by one: while small instances arrive and the journal has room.

        Several threads share the disk's commits, but with small instances they take the processor from receiving.
        """
        arriving = time.time_ns() < self._waiting[-1].record.arrived + _QUIET * 1e9
        return bool(self._free) and arriving and sum(one.record.size for one in batch) < _SMALL * len(batch)


def oldest_unfiled(folder: Path) -> int | None:
    """Arrival (ns since 1970) of the oldest instance in a worker's journal, or None; later ones must wait for it."""
    with suppress(FileNotFoundError, NotADirectoryError, struct.error):
        return _ARRIVAL.unpack((folder / _OLDEST).read_bytes())[0] or None
    return None


def file(segment: Segment, record: Record, path: Path) -> None:
    """Give a record a file of its own, its bytes durable; its name is the caller's to sync."""
    part = path.with_suffix(".part")
    with opened(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as handle:
        segment.copy(record, handle)
        os.fsync(handle)
    part.rename(path)


def recover(folder: Path, name: Callable[[int], str]) -> None:
    """File what a former run has acknowledged and not filed. No worker may be running."""
    segments = [Segment(path) for path in sorted(folder.glob(f"*{_SUFFIX}"))]
    try:
        found = [(segment, record) for segment in segments for record in segment.records()]
        side_by_side(lambda one: file(*one, folder / name(one[1].arrived)), found)
        sync_folder(folder)
        for segment in segments:
            segment.begin(secrets.token_bytes(16))
    finally:
        for segment in segments:
            segment.close()
    (folder / _OLDEST).unlink(missing_ok=True)


def discard(folder: Path, keep: Sequence[Path] = ()) -> None:
    """Remove segments that hold nothing, but those to keep that have the right size."""
    for path in folder.glob(f"*{_SUFFIX}"):
        if path not in keep or path.stat().st_size != SEGMENT_BYTES:
            path.unlink()
