"""Takeover of a dead node's incoming/: instances that were acknowledged and are not catalogued.

A folder goes as a whole, by one rename, into that of the node that takes it over. Both locks of the dead node must be
had for it: its own, which it holds as long as it lives, and that of its workers, which may outlive it for a moment.
"""

import time
from pathlib import Path

from router.storage.durable import sync_folder
from router.storage.incoming import sweep
from router.storage.journal import discard
from router.storage.lock import NODE, WORKERS, take


class Takeover:
    """incoming/ of all nodes, as `owner` sees it."""

    def __init__(self, incoming: Path, owner: str) -> None:
        self._incoming = incoming
        self._owner = owner

    def others(self) -> set[str]:
        """Names of the other nodes that have a folder here."""
        return {path.name for path in self._incoming.iterdir() if path.is_dir()} - {self._owner}

    def is_left_by(self, name: str) -> bool:
        """Whether the node has left folders of workers; without any its lock need not be tried."""
        return bool(self._folders(name))

    def take_over(self, name: str) -> int | None:
        """Make the node's folders ours; how many instances they hold, None when it, or a worker of its, still runs."""
        with take(self._incoming / name / NODE) as node, take(self._incoming / name / WORKERS) as workers:
            if not (node and workers):
                return None
            return sum(self._move(folder, name) for folder in self._folders(name))

    def _folders(self, name: str) -> list[Path]:
        return sorted(path for path in (self._incoming / name).iterdir() if path.is_dir())

    def _move(self, folder: Path, name: str) -> int:
        sweep(folder)
        discard(folder)
        mine = self._incoming / self._owner
        if found := len(list(folder.glob("*.dcm"))):
            folder.rename(mine / f"{name}-{folder.name}-{time.time_ns()}")
            sync_folder(mine)
            sync_folder(folder.parent)
        else:
            folder.rmdir()
        return found
