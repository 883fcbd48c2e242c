"""Settling of files in the drop folder: size and time still for long enough, seen twice at least."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as a scan found it. `mtime` in nanoseconds since 1970."""

    path: Path
    size: int
    mtime: int


class Settling:
    """Remembers the files of the last scan, and those that were dealt with and lie there unchanged."""

    def __init__(self, settle_seconds: float) -> None:
        self._settle = settle_seconds
        self._since: dict[Seen, float] = {}
        self._done: set[Seen] = set()

    def settled(self, scan: Iterable[Seen], now: float) -> list[Seen]:
        """The files that may be taken, oldest first. `now` in seconds of the monotonic clock."""
        listing = set(scan)
        self._done &= listing
        self._since = {seen: self._since.get(seen, now) for seen in listing - self._done}
        ripe = [seen for seen, since in self._since.items() if now - since >= self._settle]
        return sorted(ripe, key=lambda seen: (seen.mtime, str(seen.path)))

    def still_for(self, seen: Seen, now: float) -> float:
        """For how many seconds the file has been seen unchanged."""
        return now - self._since.get(seen, now)

    def done(self, seen: Seen) -> None:
        """Leave a file alone that was dealt with, until its size or time changes."""
        self._done.add(seen)
        self._since.pop(seen, None)

    def settle_again(self, seen: Seen) -> None:
        """Let a file settle once more that was gone or had changed when it was to be taken."""
        self._since.pop(seen, None)

    @property
    def pending(self) -> frozenset[Seen]:
        """The files that are still settling, or could not be taken."""
        return frozenset(self._since)
