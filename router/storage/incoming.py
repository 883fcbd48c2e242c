"""incoming/<node>/<worker>/: instances that were acknowledged and are not yet catalogued.

A file is written as `<n>.part` and gets its name, which begins with the time, when its bytes are durable. Whatever
ends in `.part` at start was never acknowledged and is swept away. Each receive worker writes into a folder of its own;
the cataloguer reads them all, also those of workers that are no more.
"""

import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from router.model import InstanceUids
from router.storage.durable import FILE_MODE, make_folder

_MOST_PARTS = 512  # of one writev; the system's own limit is 1,024


class IncomingFile:
    """One instance being received (the `IncomingFile` protocol of the Storage SCP)."""

    def __init__(self, folder: int, part: str, final: Callable[[], str]) -> None:
        self._folder = folder
        self._part = part
        self._final = final
        self._handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE, dir_fd=folder)

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        """Append the parts; OSError when the disk is full."""
        for first in range(0, len(parts), _MOST_PARTS):
            some = parts[first : first + _MOST_PARTS]
            written = os.writev(self._handle, some)
            if written < sum(map(len, some)):
                self._write_rest(b"".join(some)[written:])

    def commit(self, uids: InstanceUids) -> None:
        """Return when bytes and name survive power loss. `uids` are not part of the name: the cataloguer reads them."""
        os.fsync(self._handle)
        self._close()
        os.rename(self._part, self._final(), src_dir_fd=self._folder, dst_dir_fd=self._folder)
        os.fsync(self._folder)

    def discard(self) -> None:
        """Forget the instance: nothing stays behind."""
        self._close()
        with suppress(FileNotFoundError):
            os.unlink(self._part, dir_fd=self._folder)

    def _write_rest(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._handle, view) :]

    def _close(self) -> None:
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


class IncomingFolder:
    """The folder of one worker, for one process to write to (the `Sink` of the Storage SCP). `min_free` in bytes."""

    def __init__(self, folder: Path, min_free: int) -> None:
        self._folder = folder
        self._min_free = min_free
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._latest = 0
        make_folder(folder)
        sweep(folder)
        self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)  # as long as the process lives

    def has_room(self) -> bool:
        """Whether the disk has more than the configured floor free."""
        return shutil.disk_usage(self._folder).free > self._min_free

    def create(self) -> IncomingFile:
        """A new file to receive into."""
        return IncomingFile(self._handle, f"{next(self._numbers)}.part", self._name)

    def _name(self) -> str:
        """By the time of arrival, so that the names of all workers sort by it; never one twice."""
        with self._lock:
            self._latest = max(self._latest + 1, time.time_ns())
            return f"{self._latest:020d}.dcm"


class Incoming:
    """The folders of all workers, as the cataloguer reads them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._arrived = threading.Event()
        make_folder(folder)

    def worker_folder(self, worker: int) -> Path:
        """Where the worker of that number writes, counted from 1."""
        return self._folder / str(worker)

    def sweep(self) -> None:
        """Remove what was never acknowledged, in every folder. No worker may be running."""
        for folder in self._folders():
            sweep(folder)

    def files(self, limit: int) -> list[Path]:
        """Up to `limit` acknowledged files, the oldest first."""
        found = [
            (entry.name, folder)
            for folder in self._folders()
            for entry in os.scandir(folder)
            if entry.name.endswith(".dcm")
        ]
        found.sort()
        return [folder / name for name, folder in found[:limit]]

    def wait(self, seconds: float) -> None:
        """Return when something has arrived since the last call, or after `seconds`."""
        self._arrived.wait(seconds)
        self._arrived.clear()

    def wake(self) -> None:
        """Something has arrived: make `wait` return."""
        self._arrived.set()

    def _folders(self) -> list[Path]:
        return [path for path in self._folder.iterdir() if path.is_dir()]


def waiting_in(incoming: Path) -> Callable[[Path], bool]:
    """Whether a file has a name below `incoming`, the folder of all nodes, as of now."""
    known = {path.stat().st_ino for path in incoming.glob("*/*/*.dcm")}
    return lambda path: path.stat().st_ino in known


def sweep(folder: Path) -> None:
    """Remove what was never acknowledged."""
    for part in folder.glob("*.part"):
        part.unlink()
