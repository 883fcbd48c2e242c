"""Attempts at a file: the one that is being read is noted in a file, which outlives the process.

Of use after a crash only, not after power loss: nothing is synchronised.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from router.storage.durable import FILE_MODE

_WIDTH = 64  # bytes: a count, and the name of an incoming file
_NOTHING = b"".ljust(_WIDTH)


class Attempts:
    """Counts how often reading a file has ended the process, or its memory, before the reading did."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
        count, _, name = os.pread(self._handle, _WIDTH, 0).decode("ascii", "replace").strip().partition(" ")
        self._ended = {name: int(count)} if count.isdecimal() and name else {}
        with suppress(OSError):  # a full disk costs the count, not the reading
            os.pwrite(self._handle, _NOTHING, 0)

    def __del__(self) -> None:
        os.close(self._handle)

    def ended(self, path: Path) -> int:
        """How often an attempt at this file did not come to its end."""
        return self._ended.get(path.name, 0)

    @contextmanager
    def at(self, path: Path) -> Iterator[None]:
        """While it is being read."""
        with suppress(OSError):
            os.pwrite(self._handle, f"{self.ended(path) + 1} {path.name}".encode().ljust(_WIDTH), 0)
        try:
            yield
        except MemoryError:
            self._ended[path.name] = self.ended(path) + 1
            raise
        finally:
            with suppress(OSError):
                os.pwrite(self._handle, _NOTHING, 0)
