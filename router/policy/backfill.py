"""A backfill (历史补传): exams that were approved before sharing began, shared after all, behind today's work."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

_EVENING, _MORNING = 22, 6  # hours of the hospital's clock, between which it is night
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """Of exams approved from `first` on and before `last`; begun by a person (`who`) at `since`.

    It stands while `until` is None. `at_night`: only then anything of it goes; `per_hour` exams at most to each
    destination, None for any number.
    """

    first: datetime
    last: datetime
    since: datetime
    who: str
    at_night: bool = False
    per_hour: int | None = None
    until: datetime | None = None

    def covers(self, approved_at: datetime) -> bool:
        """Whether an exam approved then belongs to it."""
        return self.first <= approved_at < self.last

    def last_day(self, zone: tzinfo) -> date:
        """The last day of approval of what belongs to it, by the hospital's clock."""
        return (self.last.astimezone(zone) - timedelta(microseconds=1)).date()

    def gap(self, now: datetime, zone: tzinfo) -> timedelta | None:
        """The least time between two of its deliveries at one place; None while none of them goes."""
        if self.until is not None or (self.at_night and not is_night(now, zone)):
            return None
        return _HOUR / self.per_hour if self.per_hour else timedelta(0)


def is_night(now: datetime, zone: tzinfo) -> bool:
    """From 22:00 to 06:00 by the hospital's clock."""
    hour = now.astimezone(zone).hour
    return hour >= _EVENING or hour < _MORNING


def standing(backfills: Iterable[Backfill]) -> Backfill | None:
    """The one that has not been stopped."""
    return next((one for one in backfills if one.until is None), None)


def covered(backfills: Iterable[Backfill], approved_at: datetime) -> bool:
    """Whether an exam approved then belongs to any of them, also to one that was stopped."""
    return any(one.covers(approved_at) for one in backfills)
