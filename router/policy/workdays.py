"""Working time: the days that are worked, and the time between two instants that lies in them.

Weekends are free. Public holidays, and weekends that are worked in exchange (调休), come from a text of dates.
"""

import re
import unicodedata
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

_DAY = timedelta(days=1)
_SATURDAY = 5
_LONGEST = timedelta(days=3650)  # the furthest look back; older instants count as this old
_LOOKED_AHEAD = 60  # days; one of them is worked, whatever the text says
_LINE = re.compile(r"(\+?)\s*(\d{4})[-/.年]?(\d{1,2})[-/.月]?(\d{1,2})日?(?!\d)(?:[\s,;，；].*)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workdays:
    """The calendar: `free` are days off beside the weekends, `worked` the weekend days that are worked."""

    free: frozenset[date] = frozenset()
    worked: frozenset[date] = frozenset()

    def has(self, day: date) -> bool:
        """Whether the day is worked."""
        return day in self.worked or (day.weekday() < _SATURDAY and day not in self.free)

    def from_(self, day: date) -> date:
        """The first worked day from this day on."""
        ahead = (day + n * _DAY for n in range(_LOOKED_AHEAD))
        return next((one for one in ahead if self.has(one)), day)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Dates of a text; `faults` are the numbers, from 1, of lines that are no date and were left out."""

    days: Workdays = Workdays()
    faults: tuple[int, ...] = ()


def read(text: str) -> Reading:
    """Read one date a line, `+` before a worked weekend day, a comment after `#`; the last line of a day counts.

    Dates may be written as people do: full-width digits, 2026/10/1, 2026年10月1日, a word behind the date.
    """
    said: dict[date, bool] = {}
    faults = []
    for number, line in enumerate(text.splitlines(), 1):
        bare = unicodedata.normalize("NFKC", line).partition("#")[0].strip("\ufeff\0 \t")
        found = _LINE.fullmatch(bare)
        try:
            if found:
                said[date(int(found[2]), int(found[3]), int(found[4]))] = bool(found[1])
        except ValueError:
            found = None
        if bare and not found:
            faults.append(number)
    worked = frozenset(day for day, works in said.items() if works)
    return Reading(days=Workdays(free=frozenset(said) - worked, worked=worked), faults=tuple(faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkClock:
    """Working time by the hospital's clock up to `now`: all 24 hours of a worked day count, none of another."""

    days: Workdays
    zone: ZoneInfo
    now: datetime
    # Worked days between a day and that of `now`, neither counted.
    _between: dict[date, int] = field(default_factory=dict, compare=False, repr=False)

    def since(self, start: datetime) -> timedelta:
        """Working time from `start` to now; zero where `start` is later."""
        end = self.now.astimezone(self.zone)
        begin = max(start, self.now - _LONGEST).astimezone(self.zone)
        if begin >= end:
            return timedelta(0)
        if begin.date() == end.date():
            return end - begin if self.days.has(end.date()) else timedelta(0)
        first = _DAY - _time_of(begin) if self.days.has(begin.date()) else timedelta(0)
        last = _time_of(end) if self.days.has(end.date()) else timedelta(0)
        if begin.date() not in self._between:
            days = (begin.date() + n * _DAY for n in range(1, (end.date() - begin.date()).days))
            self._between[begin.date()] = sum(map(self.days.has, days))
        return first + self._between[begin.date()] * _DAY + last

    def until(self, end: datetime) -> "WorkClock":
        """The same clock at another instant."""
        return WorkClock(days=self.days, zone=self.zone, now=end)

    def local(self, instant: datetime) -> datetime:
        """The instant by the hospital's clock."""
        return instant.astimezone(self.zone)


def _time_of(local: datetime) -> timedelta:
    return timedelta(hours=local.hour, minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
