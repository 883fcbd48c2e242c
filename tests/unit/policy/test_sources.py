"""A source that fell silent: noticed in time, and not where nothing is wrong, in a hospital's months made otherwise."""

import bisect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import pairwise

import pytest

from router.policy.sources import Habit, Source, missed, silent
from router.policy.workdays import WorkClock, Workdays
from support.hospital_year import MACHINES, ZONE, arrivals, calendar

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START, DAYS = date(2026, 3, 1), 72
CALENDAR = calendar()
LONG_AGO = datetime(2020, 1, 1, tzinfo=ZONE)


def hour_of(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


@dataclass
class Months:
    """Twenty machines' months, and the detector asked at any instant of them."""

    came: Mapping[str, Sequence[datetime]]
    counts: Mapping[str, Counter[datetime]]
    known: dict[date, dict[str, Habit]] = field(default_factory=dict)

    def habits(self, day: date) -> dict[str, Habit]:
        if day not in self.known:
            end = datetime.combine(day + DAY, time(), ZONE)
            self.known[day] = {
                name: Habit(
                    source=Source(name=name, hours={h: n for h, n in counts.items() if end - 30 * DAY <= h < end},
                                  last=end), days=CALENDAR, zone=ZONE, until=end - timedelta(seconds=1),
                )
                for name, counts in self.counts.items()
            }  # fmt: skip
        return self.known[day]

    def is_silent(self, name: str, last: datetime, now: datetime) -> bool:
        habits = self.habits(now.date())
        others = [habit for other, habit in habits.items() if other != name]
        return missed(habits[name], last, others, WorkClock(days=CALENDAR, zone=ZONE, now=now)) is not None

    def gaps(self) -> Iterator[tuple[datetime, datetime, str]]:
        """Pauses of more than an hour once four weeks are known."""
        first = datetime.combine(START + 28 * DAY, time(), ZONE)
        for name, times in self.came.items():
            for before, after in pairwise(times):
                if after - before > HOUR and before >= first:
                    yield before, after, name


@pytest.fixture(scope="module")
def months() -> Months:
    came = {one.name: arrivals(one, START, DAYS, CALENDAR, seed=11) for one in MACHINES}
    return Months(came, {name: Counter(map(hour_of, times)) for name, times in came.items()})


def test_twenty_sources_raise_at_most_one_false_alarm_a_month_over_weekends_and_holidays(months: Months) -> None:
    false = []
    for before, after, name in sorted(months.gaps()):
        looks = [before + n * HOUR for n in range(1, int((after - before) / HOUR) + 1)]
        # What is expected grows while nothing comes: most pauses are none at their end, and need one look.
        if any(months.is_silent(name, before, look) for look in looks[-1:] + looks[:-1:2]):
            false.append((name, before, after))
    assert len(false) <= 1, false  # in 44 days, with two holidays


def silenced(months: Months, name: str, at: datetime, within: timedelta) -> datetime | None:
    """When it is noticed, looking eighteen times an interval, that nothing comes from then on."""
    times = months.came[name]
    last = times[bisect.bisect(times, at) - 1]
    looks = (at + n * within / 18 for n in range(1, 19))
    return next((now for now in looks if months.is_silent(name, last, now)), None)


@pytest.mark.parametrize("name", ["CT1", "CT2", "DR1", "DR2", "US1", "US2"])
@pytest.mark.parametrize("day", [date(2026, 4, 7), date(2026, 4, 15), date(2026, 5, 8), date(2026, 4, 29)])
def test_a_source_of_three_an_hour_is_missed_within_three_hours(months: Months, name: str, day: date) -> None:
    at = datetime.combine(day, time(8, 40), ZONE)
    assert silenced(months, name, at, 3 * HOUR) is not None


@pytest.mark.parametrize("name", ["MR2", "MG1", "NM1", "PORT1"])
@pytest.mark.parametrize("day", [date(2026, 4, 8), date(2026, 4, 24), date(2026, 5, 6)])
def test_a_slower_source_is_missed_within_two_working_days(months: Months, name: str, day: date) -> None:
    at = datetime.combine(day, time(10), ZONE)
    assert silenced(months, name, at, _latest(at)) is not None


def _latest(at: datetime) -> timedelta:
    """Two working days later."""
    days = [at + n * DAY for n in range(1, 9)]
    worked = [day for day in days if CALENDAR.has(day.date())]
    return worked[1] - at


# -- by hand


def steady(name: str = "CT1", *, an_hour: int = 6, until: datetime, hours: range = range(8, 17)) -> Source:
    """So many in each hour of every day of five weeks."""
    start = hour_of(until) - 35 * DAY
    all_hours = (start + n * HOUR for n in range(36 * 24))
    counts = {hour: an_hour for hour in all_hours if hour.hour in hours and hour < until}
    return Source(name=name, hours=counts, last=max(counts) + HOUR)


NOON = datetime(2026, 4, 15, 12, tzinfo=ZONE)  # a Wednesday


def asked(*sources: Source, now: datetime, since: datetime = LONG_AGO, days: Workdays = CALENDAR) -> list[str]:
    return [one.name for one in silent(sources, WorkClock(days=days, zone=ZONE, now=now), since)]


def test_what_has_sent_fifty_by_now_and_nothing_today_is_silent() -> None:
    ct1 = steady(until=NOON - 14 * HOUR)
    assert asked(ct1, now=NOON - 3 * HOUR) == []
    assert asked(ct1, now=NOON) == ["CT1"]


def test_nothing_is_missed_before_the_node_began_to_listen() -> None:
    ct1 = steady(until=NOON - 14 * HOUR)
    assert asked(ct1, now=NOON, since=NOON - 2 * HOUR) == []
    assert asked(ct1, now=NOON + 3 * HOUR, since=NOON - 2 * HOUR) == ["CT1"]


def test_a_source_that_is_new_or_was_never_regular_is_not_missed() -> None:
    ct1 = steady(until=NOON - 14 * HOUR)
    new = Source(name="NEW", hours={h: n for h, n in ct1.hours.items() if h > NOON - 4 * DAY}, last=ct1.last)
    mobile = Source(name="MOBILE", hours={h: n for h, n in ct1.hours.items() if h.day % 7 == 0}, last=ct1.last)
    assert asked(new, mobile, now=NOON) == []


def test_one_that_works_on_two_weekdays_is_missed_on_those_alone() -> None:
    ct1 = steady(until=NOON - 2 * DAY)
    tuesdays = {hour: n for hour, n in ct1.hours.items() if hour.weekday() in (1, 3)}
    twice = Source(name="BMD", hours=tuesdays, last=max(tuesdays))
    assert asked(twice, now=datetime(2026, 4, 13, 18, tzinfo=ZONE)) == []
    assert asked(twice, now=datetime(2026, 4, 14, 11, tzinfo=ZONE)) == ["BMD"]


def test_a_public_holiday_is_no_silence_and_a_worked_weekend_day_is_none_by_its_weekday() -> None:
    at = datetime(2026, 4, 30, 17, tzinfo=ZONE)
    weekly = {hour: n for hour, n in steady(until=at).hours.items() if CALENDAR.has(hour.date())}
    ct1 = Source(name="CT1", hours=weekly, last=at)
    assert asked(ct1, now=datetime(2026, 5, 5, 20, tzinfo=ZONE)) == []
    assert asked(ct1, now=datetime(2026, 5, 5, 20, tzinfo=ZONE), days=Workdays()) == ["CT1"]
    assert asked(ct1, now=datetime(2026, 5, 6, 13, tzinfo=ZONE)) == ["CT1"]
    worked = datetime(2026, 5, 9, 14, tzinfo=ZONE)  # a Saturday in exchange
    until = worked.replace(hour=0)
    ordinary = {hour: n for hour, n in steady(until=until).hours.items() if CALENDAR.has(hour.date())}
    assert asked(Source(name="CT1", hours=ordinary, last=max(ordinary)), now=worked) == ["CT1"]


def test_where_others_send_half_of_the_usual_less_is_missed_and_where_nobody_does_all_are() -> None:
    ct1, ct2, ct3 = (steady(name, an_hour=4, until=NOON - 14 * HOUR) for name in ("CT1", "CT2", "CT3"))
    today = {NOON.replace(hour=hour): 2 for hour in (8, 9, 10, 11)}
    slow = [Source(name=one.name, hours={**one.hours, **today}, last=NOON) for one in (ct2, ct3)]
    now = NOON - HOUR
    assert asked(ct1, now=now) == ["CT1"]
    assert asked(ct1, ct2, ct3, now=now) == ["CT1", "CT2", "CT3"]
    assert asked(ct1, *slow, now=now) == []


def test_one_that_sends_in_bursts_has_to_be_silent_for_longer() -> None:
    ct1 = steady(until=NOON - 14 * HOUR)
    bursts = {hour: 18 for hour in ct1.hours if hour.hour in (8, 11, 14)}
    shifted = {hour + (hour.day % 3) * HOUR: n for hour, n in bursts.items()}
    now = NOON - HOUR
    assert asked(ct1, now=now) == ["CT1"]
    assert asked(Source(name="PACS", hours=shifted, last=max(shifted)), now=now) == []
