"""What belongs to a backfill, and when something of it may go."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from router.policy.backfill import Backfill, covered, is_night, standing

BEIJING = ZoneInfo("Asia/Shanghai")
FIRST, LAST = datetime(2026, 1, 1, tzinfo=BEIJING), datetime(2026, 2, 1, tzinfo=BEIJING)


def backfill(**more: object) -> Backfill:
    values: dict[str, object] = {"first": FIRST, "last": LAST, "since": LAST, "who": "wang"}
    return Backfill(**values | more)  # type: ignore[arg-type]


@pytest.mark.parametrize(("local", "night"), [
    ("21:59", False), ("22:00", True), ("23:59", True), ("00:00", True), ("05:59", True), ("06:00", False),
    ("13:00", False),
])  # fmt: skip
def test_it_is_night_from_22_to_6_by_the_hospitals_clock(local: str, night: bool) -> None:
    now = datetime.fromisoformat(f"2026-03-02T{local}").replace(tzinfo=BEIJING).astimezone(UTC)
    assert is_night(now, BEIJING) == night
    assert (backfill(at_night=True).gap(now, BEIJING) is not None) == night
    assert backfill().gap(now, BEIJING) == timedelta(0)


def test_so_many_an_hour_are_as_far_apart_and_none_of_a_stopped_one_goes() -> None:
    assert backfill(per_hour=120).gap(LAST, BEIJING) == timedelta(seconds=30)
    assert backfill(until=LAST).gap(LAST, BEIJING) is None


def test_its_first_instant_belongs_to_it_and_its_last_does_not() -> None:
    one = backfill()
    edges = [FIRST - timedelta(microseconds=1), FIRST, LAST - timedelta(microseconds=1), LAST]
    assert [one.covers(at, "") for at in edges] == [False, True, True, False]
    assert one.last_day(BEIJING) == date(2026, 1, 31)
    assert backfill(last=LAST + timedelta(hours=9)).last_day(BEIJING) == date(2026, 2, 1)


def test_what_a_stopped_one_covered_stays_without_due_time_and_only_one_stands() -> None:
    stopped, current = backfill(until=LAST), backfill(first=LAST, last=LAST + timedelta(days=1))
    assert standing([stopped]) is None
    assert standing([stopped, current]) is current
    assert covered([stopped, current], FIRST, "renmin")
    assert not covered([stopped], LAST, "renmin")


def test_a_backfill_of_one_hospital_covers_no_exam_of_another() -> None:
    one = backfill(hospital="renmin")
    assert one.covers(FIRST, "renmin")
    assert not any(one.covers(FIRST, other) for other in ("xiehe", "", "?"))
    assert all(backfill().covers(FIRST, any_) for any_ in ("renmin", "xiehe", ""))
