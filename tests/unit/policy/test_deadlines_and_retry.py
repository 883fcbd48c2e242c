"""Due times of the standard, and the pauses between tries."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.policy.deadlines import approval_instant, deadline, slack
from router.policy.retry import CAP, FIRST, backoff, next_pause

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("cause", "working"),
    [
        (None, NOON + HOUR),  # the first delivery: the legal due time
        (NOON - HOUR, NOON + HOUR),  # a cause before the approval never shortens it
        (NOON, NOON + HOUR),
        (NOON + 3 * HOUR, NOON + 4 * HOUR),  # late images: a budget of their own
    ],
)
def test_the_legal_due_time_stays_and_the_working_one_follows_the_last_cause(
    cause: datetime | None, working: datetime
) -> None:
    due = deadline(NOON, HOUR, cause)
    assert due.legal == NOON + HOUR
    assert due.working == working
    assert due.half == working - HOUR / 2


def test_a_due_time_of_an_approval_in_chinese_time_is_the_same_instant() -> None:
    shanghai = NOON.astimezone(ZoneInfo("Asia/Shanghai"))
    assert deadline(shanghai, HOUR).legal == NOON + HOUR


@pytest.mark.parametrize(
    ("approved", "arrived", "now", "counts_from"),
    [
        (NOON, NOON, NOON, NOON),
        (NOON - 9 * HOUR, NOON, NOON, NOON - 9 * HOUR),  # arrived late: the approval counts all the same
        (NOON + SECOND, NOON, NOON, NOON),  # a clock a little ahead: from arrival
        (NOON + 10 * MINUTE, NOON, NOON, NOON),  # the tolerance itself is still within it
        (NOON + 10 * MINUTE + SECOND, NOON, NOON, None),  # beyond: held
        (NOON + HOUR, NOON, NOON + HOUR - SECOND, None),
        (NOON + HOUR, NOON, NOON + HOUR, NOON + HOUR),  # until its time has come
    ],
)
def test_an_approval_in_the_future_counts_from_arrival_or_not_yet(
    approved: datetime, arrived: datetime, now: datetime, counts_from: datetime | None
) -> None:
    assert approval_instant(approved, arrived, 10 * MINUTE, now) == counts_from


def test_a_time_without_a_zone_is_refused() -> None:
    naive = datetime(2026, 3, 2, 12)  # noqa: DTZ001  # that is the point
    with pytest.raises(ValueError, match="time zone"):
        deadline(naive, HOUR)
    with pytest.raises(ValueError, match="time zone"):
        approval_instant(naive, NOON, MINUTE, NOON)
    with pytest.raises(ValueError, match="time zone"):
        approval_instant(NOON, naive, MINUTE, NOON)


def test_slack_is_negative_once_the_due_time_is_missed() -> None:
    assert slack(NOON, NOON - MINUTE) == MINUTE
    assert slack(NOON, NOON + MINUTE) == -MINUTE


# The policy at no jitter: the pause in seconds after the attempt, by the time that is left.
_POLICY = [
    # attempt  left            pause
    (1,        6 * HOUR,       5),    # first retry within 5 s
    (2,        6 * HOUR,       10),   # doubling
    (3,        6 * HOUR,       20),
    (6,        6 * HOUR,       160),
    (7,        6 * HOUR,       300),  # capped at 5 min
    (40,       6 * HOUR,       300),
    (10**6,    6 * HOUR,       300),  # and never overflows
    (7,        20 * MINUTE,    120),  # capped at a tenth of the slack
    (7,        MINUTE,         6),
    (7,        10 * SECOND,    5),    # but no busy loop when the due time is near
    (1,        SECOND,         5),
    (7,        timedelta(0),   300),  # missed: tried on after it
    (7,        -9 * HOUR,      300),
    (1,        -HOUR,          5),
]  # fmt: skip


@pytest.mark.parametrize(("attempt", "left", "seconds"), _POLICY)
def test_the_pause_doubles_within_its_caps(attempt: int, left: timedelta, seconds: float) -> None:
    assert backoff(attempt, left, 0.0).total_seconds() == pytest.approx(seconds)


_ATTEMPTS = st.integers(1, 10**9)
_SLACKS = st.timedeltas(timedelta(days=-30), timedelta(days=30))
_JITTERS = st.floats(0, 1, exclude_max=True)


@settings(max_examples=150, deadline=None)
@given(_ATTEMPTS, _SLACKS, _JITTERS)
def test_no_jitter_takes_a_pause_beyond_its_caps(attempt: int, left: timedelta, jitter: float) -> None:
    pause = backoff(attempt, left, jitter)
    assert FIRST * 0.8 <= pause <= CAP == timedelta(minutes=5)
    assert backoff(1, left, jitter) <= timedelta(seconds=5)
    if left > 10 * FIRST:
        assert pause <= left / 10


def test_jitter_spreads_what_would_all_come_at_once() -> None:
    pauses = [backoff(7, 6 * HOUR, jitter / 10).total_seconds() for jitter in range(10)]
    assert len(set(pauses)) == 10
    assert max(pauses) - min(pauses) > 50


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [(None, 10), (0, 10), (-5, 10), (3, 10), (60, 60), (300, 300), (86400, 300), (float("inf"), 300)],
)
def test_a_peer_may_ask_for_a_longer_pause_but_not_beyond_the_cap(asked: float | None, seconds: float) -> None:
    assert next_pause(2, 6 * HOUR, 0.0, asked).total_seconds() == pytest.approx(seconds)
