"""incoming/: instances that were acknowledged and are not yet catalogued.

A file is written as `<name>.part` and gets its name when its bytes are durable. Whatever still
ends in `.part` at start was never acknowledged and is swept away.
"""

import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path

from router.model import InstanceUids
from router.storage.durable import FILE_MODE, make_folder, sync_folder


class IncomingFile:
    """One instance being received (the `IncomingFile` protocol of the Storage SCP)."""

    def __init__(self, path: Path, filed: Callable[[], None]) -> None:
        self._path = path
        self._part = path.with_suffix(".part")
        self._filed = filed
        self._file = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE), "wb", buffering=0)

    def write(self, data: bytes) -> None:
        """Append `data`; OSError when the disk is full."""
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]

    def commit(self, uids: InstanceUids) -> None:
        """Return when bytes and name survive power loss. `uids` are not part of the name: the cataloguer reads them."""
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.rename(self._path)
        sync_folder(self._path.parent)
        self._filed()

    def discard(self) -> None:
        """Forget the instance: nothing stays behind."""
        self._file.close()
        self._part.unlink(missing_ok=True)


class Incoming:
    """The folder of one worker: where the Storage SCP writes and the cataloguer reads (its `Sink`)."""

    def __init__(self, folder: Path, min_free: int) -> None:
        self._folder = folder
        self._min_free = min_free
        self._numbers = itertools.count(1)
        self._run = f"{time.time_ns():x}"
        self._arrived = threading.Event()
        make_folder(folder)
        for part in folder.glob("*.part"):
            part.unlink()

    def has_room(self) -> bool:
        """Whether the disk has more than the configured floor free."""
        return shutil.disk_usage(self._folder).free > self._min_free

    def create(self) -> IncomingFile:
        """A new file to receive into."""
        return IncomingFile(self._folder / f"{self._run}-{next(self._numbers):08d}.dcm", self._arrived.set)

    def files(self, limit: int) -> list[Path]:
        """Up to `limit` acknowledged files, the oldest first."""
        with os.scandir(self._folder) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(".dcm"))
        return [self._folder / name for name in names[:limit]]

    def wait(self, seconds: float) -> None:
        """Return when something has arrived since the last call, or after `seconds`."""
        self._arrived.wait(seconds)
        self._arrived.clear()

    def wake(self) -> None:
        """Make `wait` return."""
        self._arrived.set()
