"""Backfill (历史补传): sharing exams that were approved before sharing began, behind today's work."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo

_EVENING, _MORNING = 22, 6  # o'clock in the hospital: the night is between them
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backfill:
    """A backfill of the exams approved from `first` on and before `last`; a person (`who`) began it at `since`.

    `hospital` is the one whose exams it shares, None for those of all.
    It runs while `until` is None. `at_night`: it sends at night only. `per_hour`: the most exams an hour to each
    destination, None for any number.
    """

    first: datetime
    last: datetime
    since: datetime
    who: str
    at_night: bool = False
    per_hour: int | None = None
    until: datetime | None = None
    hospital: str | None = None

    def covers(self, approved_at: datetime, hospital: str) -> bool:
        """Whether an exam of the hospital with this approval belongs to it."""
        return self.hospital in (None, hospital) and self.first <= approved_at < self.last

    def last_day(self, zone: tzinfo) -> date:
        """The last day of approval that it covers, by the hospital's clock."""
        return (self.last.astimezone(zone) - timedelta(microseconds=1)).date()

    def gap(self, now: datetime, zone: tzinfo) -> timedelta | None:
        """The least time between two of its deliveries to one destination; None while it sends nothing."""
        if self.until is not None or (self.at_night and not is_night(now, zone)):
            return None
        return _HOUR / self.per_hour if self.per_hour else timedelta(0)


def is_night(now: datetime, zone: tzinfo) -> bool:
    """Whether it is between 22:00 and 06:00 by the hospital's clock."""
    hour = now.astimezone(zone).hour
    return hour >= _EVENING or hour < _MORNING


def standing(backfills: Iterable[Backfill]) -> Backfill | None:
    """The backfill that has not been stopped; None when there is none."""
    return next((one for one in backfills if one.until is None), None)


def covered(backfills: Iterable[Backfill], approved_at: datetime, hospital: str) -> bool:
    """Whether an exam of the hospital with this approval belongs to any of them, stopped ones too."""
    return any(one.covers(approved_at, hospital) for one in backfills)
