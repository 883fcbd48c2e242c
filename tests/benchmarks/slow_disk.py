"""A disk whose every synchronous write takes long: slowed down in the process that asks for it."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from router.node import receive_worker

_WORKER = """
sys.path.insert(0, {folder!r})
import slow_disk
slow_disk.slow({seconds})
sys.path.pop(0)
"""


def slow(seconds: float) -> None:
    """In this process each fsync, fdatasync and write with RWF_DSYNC takes at least `seconds` from now on.

    Several at once do not wait for each other.
    """
    fsync, fdatasync, pwritev = os.fsync, os.fdatasync, os.pwritev

    def slowed(sync: Callable[[int], None]) -> Callable[[int], None]:
        def synced(handle: int) -> None:
            with _lasting(seconds):
                sync(handle)

        return synced

    def written(handle: int, parts: Sequence[bytes], offset: int, flags: int = 0) -> int:
        with _lasting(seconds if flags & os.RWF_DSYNC else 0):
            return pwritev(handle, parts, offset, flags)

    os.fsync, os.fdatasync, os.pwritev = slowed(fsync), slowed(fdatasync), written  # type: ignore[assignment]


def slow_workers(seconds: float) -> None:
    """The same in the receive workers that are started from now on."""
    first, path, rest = receive_worker._PROGRAM.split("\n", 3)[1:]
    patch = _WORKER.format(folder=str(Path(__file__).parent), seconds=seconds)
    receive_worker._PROGRAM = f"\n{first}\n{path}\n{patch}\n{rest}"


@contextmanager
def _lasting(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    time.sleep(max(began + seconds - time.monotonic(), 0))
