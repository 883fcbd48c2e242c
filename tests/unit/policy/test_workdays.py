"""Working time: weekends, holidays and the weekends that are worked in exchange."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from router.config.file import shipped
from router.policy.workdays import Reading, WorkClock, Workdays, read

ZONE = ZoneInfo("Asia/Shanghai")
FRIDAY, SATURDAY, SUNDAY, MONDAY = (date(2026, 3, 6 + n) for n in range(4))


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


def worked(start: str, end: str, text: str = "") -> timedelta:
    return WorkClock(days=read(text).days, zone=ZONE, now=at(end)).since(at(start))


@pytest.mark.parametrize(("start", "end", "hours"), [
    ("2026-03-03 09:00", "2026-03-03 17:00", 8),
    ("2026-03-03 09:00", "2026-03-05 09:00", 48),
    ("2026-03-06 18:00", "2026-03-09 06:00", 12),
    ("2026-03-07 09:00", "2026-03-08 23:00", 0),
    ("2026-03-07 09:00", "2026-03-09 08:00", 8),
    ("2026-03-06 18:00", "2026-03-11 18:00", 72),
    ("2026-03-03 09:00", "2026-03-03 08:00", 0),
    ("2026-03-03 09:00", "2026-03-17 09:00", 240),
])  # fmt: skip
def test_weekends_are_no_working_time(start: str, end: str, hours: int) -> None:
    assert worked(start, end) == timedelta(hours=hours)


def test_a_holiday_is_no_working_time_and_a_weekend_worked_in_exchange_is() -> None:
    text = "2026-03-09\n+2026-03-07\n"
    assert worked("2026-03-06 12:00", "2026-03-10 12:00", text) == timedelta(hours=12 + 24 + 12)


def test_the_hospitals_clock_counts_and_not_utc() -> None:
    friday_evening_in_utc = datetime.fromisoformat("2026-03-06T20:00:00+00:00")  # Saturday morning there
    assert WorkClock(days=Workdays(), zone=ZONE, now=at("2026-03-09 02:00")).since(friday_evening_in_utc) == timedelta(
        hours=2
    )


def test_what_is_older_than_ten_years_is_no_older_than_that() -> None:
    ancient = datetime(2, 1, 1, tzinfo=ZONE)
    assert WorkClock(days=Workdays(), zone=ZONE, now=at("2026-03-09 02:00")).since(ancient) < timedelta(days=3650)


@pytest.mark.parametrize("line", [
    "2026-03-06", "2026-03-06  # 元旦", "\ufeff2026-03-06", " 2026-03-06\t", "2026/3/6", "2026.03.06", "20260306",
    "2026年3月6日", "２０２６-０３-０６", "2026-03-06 国庆节", "2026-03-06,国庆节", "2026-03-06\r",
])  # fmt: skip
def test_a_date_is_read_as_people_write_it(line: str) -> None:
    found = read(line)
    assert found == Reading(days=Workdays(free=frozenset({FRIDAY})))


@pytest.mark.parametrize("line", ["+2026-03-07", "+ 2026-03-07 上班", "＋2026-03-07"])
def test_a_plus_says_that_a_weekend_is_worked(line: str) -> None:
    days = read(line).days
    assert days.has(SATURDAY)
    assert not days.has(SUNDAY)


def test_a_line_that_is_no_date_is_left_out_and_named() -> None:
    found = read("# remark\n\nnext week\n2026-02-30\n2026-03-06\n2026-03-061\n")
    assert found.faults == (3, 4, 6)
    assert found.days.free == {FRIDAY}


def test_the_last_word_on_a_day_counts() -> None:
    assert read("+2026-03-07\n2026-03-07").days.has(SATURDAY) is False
    assert read("2026-03-06\n+2026-03-06").days.has(FRIDAY)


def test_the_next_worked_day_is_found_also_where_the_text_leaves_none() -> None:
    assert Workdays().from_(FRIDAY) == FRIDAY
    assert Workdays().from_(SATURDAY) == MONDAY
    never = Workdays(free=frozenset(FRIDAY + timedelta(days=n) for n in range(100)))
    assert never.from_(FRIDAY) == FRIDAY


def test_the_shipped_holidays_are_those_of_2026() -> None:
    found = read(shipped("holidays.txt").read_text(encoding="utf-8"))
    assert found.faults == ()
    assert len(found.days.free) == 33
    assert len(found.days.worked) == 6
    assert all(day.weekday() >= 5 for day in found.days.worked)
    assert not found.days.has(date(2026, 10, 7))
    assert found.days.has(date(2026, 10, 10))
    assert found.days.has(date(2026, 10, 8))
