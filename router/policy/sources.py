"""Sources (a CT, a RIS): whether one fell silent, by what it has sent in four weeks, hour by hour.

Expected is a number of arrivals: those of the same hour on days of the same kind, by weekday where weekdays differ. So
many arrivals that did not come in a row are a silence; how many it takes is the source's own: one that sends in bursts
has had longer gaps before.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from zoneinfo import ZoneInfo

from router.policy.workdays import WorkClock, Workdays

HISTORY = timedelta(days=28)
FAST = 3.0
"""Arrivals an hour from which on a silence is noticed within three hours."""
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)
_SATURDAY = 5
_PARTS = (range(7), range(7, 12), range(12, 18), range(18, 24))  # of a day: night, morning, afternoon, evening
_DIFFERS, _DIFFERS_BY_WEEKDAY = 2.5, 2.0  # standard deviations of a count
_KNOWN_DAYS = 5  # worked days since its first arrival, from which on a source is known
_FAST_AS_COUNTED = 0.8 * FAST  # a rate is only estimated: by 60 arrivals where it is three an hour
_WITHIN, _WITHIN_WORKED = timedelta(hours=2, minutes=45), timedelta(days=2) - timedelta(minutes=30)
_SHORTEST = timedelta(hours=1)  # whatever was expected: senders have their pauses
# Expected arrivals that did not come: at once; after three hours of a fast source; of a slow one at once, and after two
# working days.
_CERTAIN, _LIKELY, _CERTAIN_SLOW, _LIKELY_SLOW = 13.0, 7.2, 9.0, 5.0
_OF_GAP = 1.25  # of the third longest gap of the four weeks: the two longest may have been silences
_MOST = 25.0
# Of an ordinary free day's on a public holiday, and of a worked day's on a weekend that is worked in exchange.
_ON_HOLIDAY, _ON_EXCHANGED = 0.5, 0.7
_LEAST_ACTIVITY, _SOME = 0.5, 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source by its arrivals: how many in which hour (its beginning, aware) of the four weeks, and the last one."""

    name: str
    hours: Mapping[datetime, int]
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentSource:
    """A source that fell silent, with the number of arrivals that were to be expected since its last one."""

    name: str
    last: datetime
    expected: float


@dataclass(frozen=True, kw_only=True)
class Habit:
    """The usual numbers of a source, by the four weeks before `until`."""

    source: Source
    days: Workdays
    zone: ZoneInfo
    until: datetime
    _rates: dict[tuple[date, int], float] = field(default_factory=dict, compare=False, repr=False)
    _by_part: dict[tuple[bool, int], Mapping[date, int]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def _counts(self) -> Mapping[tuple[date, int], int]:
        counts: dict[tuple[date, int], int] = {}
        for hour, count in self.source.hours.items():
            local = hour.astimezone(self.zone)
            counts[local.date(), local.hour] = counts.get((local.date(), local.hour), 0) + count
        return counts

    @cached_property
    def first(self) -> date:
        """The day of its first arrival."""
        return min((day for day, _ in self._counts), default=self.until.astimezone(self.zone).date())

    @cached_property
    def _past(self) -> Sequence[date]:
        """The days to learn from: whole ones, from its first arrival on."""
        today = self.until.astimezone(self.zone).date()
        start = max(self.first + _DAY, today - HISTORY)
        return [start + n * _DAY for n in range((today - start).days)]

    @property
    def known(self) -> bool:
        """Whether it was here for long enough to be missed."""
        return sum(map(self.days.has, self._past)) >= _KNOWN_DAYS

    @property
    def usual(self) -> float:
        """Arrivals on a worked day, on average."""
        total = sum(sum(self._totals(self._worked, part).values()) for part in _PARTS)
        return total / len(self._worked) if self._worked else 0.0

    def rate(self, day: date, hour: int) -> float:
        """Arrivals to expect in that hour."""
        if (day, hour) not in self._rates:
            self._rates[day, hour] = self._rate(day, hour)
        return self._rates[day, hour]

    def _rate(self, day: date, hour: int) -> float:
        worked, weekday = self.days.has(day), day.weekday()
        alike = self._free if not worked else self._worked
        part = next(one for one in _PARTS if hour in one)
        in_part = self._totals(alike, part)
        if not in_part or not (whole := sum(in_part.values())):
            return 0.0
        share = sum(self._counts.get((past, hour), 0) for past in alike) / whole
        level = _level(in_part, weekday, whole / len(in_part), worked=worked)
        if not worked and weekday < _SATURDAY:
            level *= _ON_HOLIDAY
        return share * level * (_ON_EXCHANGED if worked and weekday >= _SATURDAY else 1.0)

    @cached_property
    def _worked(self) -> Sequence[date]:
        """Worked days to learn from; those that are worked by exception are no example of any other."""
        return [day for day in self._past if self.days.has(day) and day.weekday() < _SATURDAY]

    @cached_property
    def _free(self) -> Sequence[date]:
        """Free weekend days, likewise."""
        return [day for day in self._past if not self.days.has(day) and day.weekday() >= _SATURDAY]

    def _totals(self, days: Sequence[date], part: range) -> Mapping[date, int]:
        """Arrivals in a part of each of the days."""
        key = (days is self._free, part.start)
        if key not in self._by_part:
            self._by_part[key] = {day: sum(self._counts.get((day, hour), 0) for hour in part) for day in days}
        return self._by_part[key]

    def between(self, start: datetime, end: datetime) -> Iterator[tuple[float, float]]:
        """Hour by hour: the rate, and the part of the hour that lies between the two."""
        at = max(start, end - HISTORY).astimezone(self.zone)
        stop = end.astimezone(self.zone)
        while at < stop:
            following = min(at.replace(minute=0, second=0, microsecond=0) + _HOUR, stop)
            yield self.rate(at.date(), at.hour), (following - at) / _HOUR
            at = following

    def expected(self, start: datetime, end: datetime) -> float:
        """Arrivals to expect between the two."""
        return sum(rate * part for rate, part in self.between(start, end))

    def came(self, start: datetime, end: datetime) -> int:
        """Arrivals in the hours between the two."""
        return sum(count for hour, count in self.source.hours.items() if start - _HOUR < hour < end)

    @cached_property
    def longest_gap(self) -> float:
        """Arrivals that did not come in the third longest gap of the four weeks."""
        gaps, gap, before = [0.0, 0.0, 0.0], 0.0, 0.0
        for day in self._past:
            for hour in range(24):
                rate = self.rate(day, hour)
                if self._counts.get((day, hour), 0):
                    gaps.append(gap + (before + rate) / 2 if gap else 0.0)
                    gap, before = 0.0, rate
                else:
                    gap += rate
        return sorted(gaps)[-3]


def _level(totals: Mapping[date, int], weekday: int, mean: float, *, worked: bool) -> float:
    """Arrivals to expect in a part of a day, by those of like days.

    A weekday that differs from the others for certain has its own mean. Where the source has left out such a part
    before, or nearly so, only as much is expected as came then: one that works every other Saturday is not missed on
    one. Of worked days the lowest may have been a silence; free days, of which there are few, have to agree all.
    """
    same = sorted(total for day, total in totals.items() if day.weekday() == weekday)
    level = mean
    if same and abs(sum(same) - mean * len(same)) > _DIFFERS_BY_WEEKDAY * (mean * len(same)) ** 0.5:
        level = sum(same) / len(same)
    low = min(totals.values()) if not worked else same[min(1, len(same) - 1)] if same else level
    if not worked and not low:
        return 0.0
    return level if low >= level - _DIFFERS * level**0.5 else float(low)


def silent(sources: Sequence[Source], clock: WorkClock, since: datetime) -> list[SilentSource]:
    """The sources that fell silent by now; `since` is when the node began to listen: nothing is missed before."""
    habits = [Habit(source=one, days=clock.days, zone=clock.zone, until=clock.now) for one in sources]
    return [
        SilentSource(name=one.source.name, last=one.source.last, expected=expected)
        for one in habits
        for others in [[other for other in habits if other is not one]]
        if (expected := missed(one, max(one.source.last, since), others, clock)) is not None
    ]


def missed(one: Habit, start: datetime, others: Sequence[Habit], clock: WorkClock) -> float | None:
    """The number of arrivals that were missed since `start`, when nothing came any more; None where it is no silence.

    On a day on which `others` send less than usual less is expected of each; where nobody sends anything at all, that
    is a silence of all.
    """
    now = clock.now
    if not one.known or now - start < _SHORTEST:
        return None
    hours = list(one.between(start, now))
    expected = sum(rate * part for rate, part in hours)
    if expected < _LIKELY_SLOW:
        return None
    expected *= _activity(others, start, now)
    fast = sum((part * _HOUR for rate, part in hours if rate >= _FAST_AS_COUNTED), timedelta(0))
    is_fast = max(rate for rate, _ in hours) >= _FAST_AS_COUNTED
    long = clock.since(start) >= _WITHIN_WORKED
    needed = _LIKELY_SLOW if long else _CERTAIN_SLOW
    if is_fast:
        needed = _LIKELY if fast >= _WITHIN or long else _CERTAIN
    return expected if expected >= max(needed, min(_OF_GAP * one.longest_gap, _MOST)) else None


def _activity(others: Sequence[Habit], start: datetime, now: datetime) -> float:
    """The share of what others usually send that has come from them since then, one at most."""
    expected = sum(other.expected(start, now) for other in others)
    came = sum(other.came(start, now) for other in others)
    if not came or expected <= _SOME:
        return 1.0
    return max(min((came + _SOME) / (expected + _SOME), 1.0), _LEAST_ACTIVITY)
