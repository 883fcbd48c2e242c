"""Pauses of all sending, to one destination or to every one, and how much time they took."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

EVERY = ""  # the destination of a pause that concerns all of them
EVERYWHERE = "all destinations"  # the same in words


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause that a person (`who`) began at `since` for a reason; it stands while `until` is None."""

    destination: str
    since: datetime
    who: str
    why: str
    until: datetime | None = None

    @property
    def place(self) -> str:
        """The destination in words, or all of them."""
        return self.destination or EVERYWHERE

    @property
    def ends(self) -> str:
        """The command that ends it."""
        return f"scripts/queue resume --destination {self.destination}" if self.destination else "scripts/queue resume"

    def concerns(self, destination: str) -> bool:
        """Whether it stops sending to this destination."""
        return self.destination in (EVERY, destination)


def pause_of(pauses: Iterable[Pause], destination: str) -> Pause | None:
    """The pause that stops sending to this destination now, of several the first."""
    mine = [one for one in pauses if one.until is None and one.concerns(destination)]
    return min(mine, key=lambda one: one.since, default=None)


def within(pauses: Iterable[Pause], destination: str, start: datetime, end: datetime) -> Sequence[Pause]:
    """The pauses of this destination between `start` and `end`, in order."""
    mine = (one for one in pauses if one.concerns(destination) and one.since < end)
    return sorted((one for one in mine if one.until is None or one.until > start), key=lambda one: one.since)


def taken(pauses: Sequence[Pause], start: datetime, end: datetime) -> timedelta:
    """The time between `start` and `end` that these pauses took; they are in order, and no instant counts twice."""
    total, reached = timedelta(0), start
    for one in pauses:
        until = min(one.until or end, end)
        total += max(until - max(one.since, reached), timedelta(0))
        reached = max(reached, until)
    return total
