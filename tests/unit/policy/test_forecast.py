"""When the backlog will be done, and what a delivery's time calls for."""

from datetime import UTC, datetime, timedelta

import pytest

from router.alarms import Alarm
from router.policy.deadlines import Deadline, Punctuality, punctuality, stage
from router.policy.forecast import Job, Throughput, finish

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)


def seconds(jobs: list[Job], rate: float) -> dict[int, float]:
    return {number: (at - NOW).total_seconds() for number, at in finish(jobs, rate, NOW).items()}


def test_each_waits_for_what_is_due_before_it() -> None:
    jobs = [Job(1, NOW + 3 * HOUR, 100), Job(2, NOW + HOUR, 50), Job(3, NOW + HOUR, 10)]
    assert seconds(jobs, 10) == {2: 5, 3: 6, 1: 16}


def test_what_is_missed_has_a_quarter_of_the_rate_and_then_all_of_it() -> None:
    jobs = [Job(1, NOW - HOUR, 10), Job(2, NOW - MINUTE, 20), Job(3, NOW + HOUR, 60)]
    assert seconds(jobs, 10) == {3: 8, 1: 4, 2: 9}
    assert seconds(jobs[:2], 10) == {1: 1, 2: 3}
    assert seconds([], 10) == {}


def test_the_rate_is_that_of_late() -> None:
    assert Throughput().rate is None
    pace = Throughput()
    for _ in range(100):
        pace = pace.and_then(100, 10)
    assert pace.rate == pytest.approx(10)
    for _ in range(300):
        pace = pace.and_then(20, 10)
    assert pace.rate == pytest.approx(2, rel=0.05)
    assert pace.seconds < 700
    assert Throughput(5, 5).and_then(10, 5000).rate == pytest.approx(10 / 5000)


@pytest.mark.parametrize(
    ("left", "late", "alarm"),
    [
        (timedelta(minutes=31), False, None),
        (timedelta(minutes=30), False, Alarm.HALF_TIME),
        (timedelta(minutes=13), False, Alarm.HALF_TIME),
        (timedelta(minutes=12), False, Alarm.AT_RISK),
        (timedelta(minutes=59), True, Alarm.AT_RISK),
        (timedelta(0), False, Alarm.MISSED),
        (timedelta(hours=-3), True, Alarm.MISSED),
    ],
)
def test_half_of_the_time_four_fifths_and_the_miss(left: timedelta, late: bool, alarm: Alarm | None) -> None:
    due = NOW + left
    assert stage(due, HOUR, due + MINUTE if late else due - MINUTE, NOW) == alarm
    assert stage(due, HOUR, None, NOW) == (alarm if not late or left < timedelta(0) else None)


DUE = Deadline(NOW, NOW, HOUR)


@pytest.mark.parametrize(
    ("complete", "delivered", "now", "verdict"),
    [
        (-30, -1, 0, Punctuality.MET),
        (-30, None, -1, Punctuality.PENDING),
        (-30, None, 1, Punctuality.MISSED),
        (-30, 5, 9, Punctuality.MISSED),
        (-5, 5, 9, Punctuality.LATE),
        (None, None, 9, Punctuality.LATE),
        (40, 99, 120, Punctuality.LATE),
        (40, 101, 120, Punctuality.MISSED),
        (40, None, 99, Punctuality.LATE),
        (40, None, 101, Punctuality.MISSED),
    ],
)
def test_a_miss_is_ours_unless_the_last_part_came_too_late(
    complete: int | None, delivered: int | None, now: int, verdict: Punctuality
) -> None:
    came, went = (None if n is None else NOW + n * MINUTE for n in (complete, delivered))
    assert punctuality(DUE, complete=came, delivered=went, now=NOW + now * MINUTE) == verdict
