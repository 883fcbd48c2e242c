"""Locks in a node's incoming/ folder: the node's own, and the one that its receive workers share.

The system gives them back when the process dies. On NFS a lock is known to every host that mounts it.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from router.errors import ConfigurationError
from router.storage.durable import FILE_MODE, opened

NODE, WORKERS = ".lock", ".workers"
_PATIENCE = 2.0  # seconds: another node may look whether this one left something
_WORKERS_PATIENCE = 10.0  # seconds until the workers of a former life have ended
_PAUSE = 0.05


def lock(folder: Path, owner: str) -> int:
    """Hold the node's lock until the process ends: two would share leases. ConfigurationError if it is held."""
    handle = os.open(folder / NODE, os.O_RDWR | os.O_CREAT, FILE_MODE)
    if not _locked(handle, fcntl.LOCK_EX, _PATIENCE):
        os.close(handle)
        raise ConfigurationError(
            f"a node named {owner!r} already runs on this data folder", hint="stop it, or set another [node] name"
        )
    return handle


def is_held(folder: Path) -> bool:
    """Whether a process holds the node's lock; nothing is made. OSError where this account may not look."""
    with suppress(FileNotFoundError), opened(folder / NODE, os.O_RDONLY) as handle:
        return not _locked(handle, fcntl.LOCK_SH, 0.0)
    return False


def share(folder: Path) -> int:
    """A worker's part of the lock in its node's folder, until the process ends."""
    handle = os.open(folder / WORKERS, os.O_RDWR | os.O_CREAT, FILE_MODE)
    fcntl.flock(handle, fcntl.LOCK_SH)
    return handle


@contextmanager
def no_workers(folder: Path) -> Iterator[None]:
    """While no worker of the node runs; ConfigurationError when those of a former life do not end."""
    with take(folder / WORKERS, _WORKERS_PATIENCE) as alone:
        if not alone:
            raise ConfigurationError(
                "receive workers of a former life of this node still run", hint="end them: kill -9 their processes"
            )
        yield


@contextmanager
def take(path: Path, patience: float = 0.0) -> Iterator[bool]:
    """Hold a lock for a while; False when somebody else had it for so many seconds."""
    with opened(path, os.O_RDWR | os.O_CREAT) as handle:
        yield _locked(handle, fcntl.LOCK_EX, patience)


def _locked(handle: int, kind: int, patience: float) -> bool:
    until = time.monotonic() + patience
    while True:
        try:
            fcntl.flock(handle, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(_PAUSE)
        else:
            return True
