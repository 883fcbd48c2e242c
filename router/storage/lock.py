"""One running node per name and data folder: two would take back each other's leases."""

import fcntl
import os
from pathlib import Path

from router.errors import ConfigurationError
from router.storage.durable import FILE_MODE


def lock(folder: Path, owner: str) -> int:
    """Hold the node's lock until the process ends; ConfigurationError when another process holds it."""
    handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, FILE_MODE)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise ConfigurationError(
            f"a node named {owner!r} already runs on this data folder", hint="stop it, or set another [node] name"
        ) from error
    return handle
