"""Pauses of all sending, to one destination or to every one, and how much time they took. A pause may be of one
hospital's exams alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.policy.account import at

EVERY = ""  # the destination of a pause that concerns all of them
EVERYWHERE = "all destinations"  # the same in words
ALL = ""  # the hospital of a pause that concerns those of all


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A pause that a person (`who`) began at `since` for a reason; it stands while `until` is None.

    `hospital`: that of its exams alone; ALL: of every one.
    """

    destination: str
    since: datetime
    who: str
    why: str
    until: datetime | None = None
    hospital: str = ALL

    @property
    def place(self) -> str:
        """The destination in words, or all of them: `cloud`, `cloud for renmin`."""
        return place_of(self.destination, self.hospital)

    @property
    def ends(self) -> str:
        """The command that ends it."""
        options = (("--destination", self.destination), ("--hospital", self.hospital))
        return " ".join(["scripts/queue resume", *(word for name, of in options if of for word in (name, of))])

    def concerns(self, destination: str, hospital: str) -> bool:
        """Whether it stops sending the hospital's exams to this destination; ALL: those of every hospital."""
        return self.destination in (EVERY, destination) and self.hospital in (ALL, hospital)


def place_of(destination: str, hospital: str) -> str:
    """The scope of a pause, in words."""
    return at(destination or EVERYWHERE, hospital)


def pause_of(pauses: Iterable[Pause], destination: str, hospital: str = ALL) -> Pause | None:
    """The pause that stops sending the hospital's exams to this destination now, of several the first."""
    mine = [one for one in pauses if one.until is None and one.concerns(destination, hospital)]
    return min(mine, key=lambda one: one.since, default=None)


def within(
    pauses: Iterable[Pause], destination: str, start: datetime, end: datetime, hospital: str = ALL
) -> Sequence[Pause]:
    """The pauses of this destination and hospital between `start` and `end`, in order."""
    mine = (one for one in pauses if one.concerns(destination, hospital) and one.since < end)
    return sorted((one for one in mine if one.until is None or one.until > start), key=lambda one: one.since)


def taken(pauses: Sequence[Pause], start: datetime, end: datetime) -> timedelta:
    """The time between `start` and `end` that these pauses took; they are in order, and no instant counts twice."""
    total, reached = timedelta(0), start
    for one in pauses:
        until = min(one.until or end, end)
        total += max(until - max(one.since, reached), timedelta(0))
        reached = max(reached, until)
    return total
