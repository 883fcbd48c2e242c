"""Comparison with a destination: what differs, and when it is small enough to go again by itself."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from router.policy.comparison import (
    BASELINE,
    CLOCK,
    CUT,
    MANY,
    SHRUNK,
    Answered,
    Ours,
    Theirs,
    by_day,
    compare,
    hindrance,
    unexplained,
    windows,
)

AT = datetime(2026, 3, 9, 15, 59, tzinfo=UTC)
TODAY = date(2026, 3, 9)


def ours(idem: str, at: datetime = AT, *, withdrawn: bool = False) -> Ours:
    return Ours(upload=1, delivery=1, exam=1, revision=1, idem=idem, confirmed=at, withdrawn=withdrawn)


def theirs(idem: str, state: str = "current") -> Theirs:
    return Theirs(idem=idem, revision=1, receipt="r", state=state)


def answered(
    *, ours: int = 1000, missing: int = 0, whole: bool = True, ahead: timedelta = timedelta(0),
    before: int | None = 1000, held: int = 1000,
) -> Answered:  # fmt: skip
    return Answered(days={TODAY: (ours, missing)}, whole=whole, ahead=ahead, before=before, held=held)


def test_what_is_not_there_is_missing_and_what_is_not_ours_is_strange() -> None:
    found = compare([ours("a"), ours("b")], [theirs("b"), theirs("c"), theirs("d")], {"b", "d"})
    assert [one.idem for one in found.missing if isinstance(one, Ours)] == ["a"]
    assert (found.strange, found.otherwise) == (1, ())


@pytest.mark.parametrize(
    ("withdrawn", "state", "otherwise"),
    [
        (False, "current", False), (False, "withdrawn", True), (False, "superseded", True),
        (True, "withdrawn", False), (True, "current", True),
    ],
)  # fmt: skip
def test_what_is_there_in_another_state_is_told(withdrawn: bool, state: str, otherwise: bool) -> None:
    found = compare([ours("a", withdrawn=withdrawn)], [theirs("a", state)], {"a"})
    assert (bool(found.otherwise), found.missing) == (otherwise, ())


def test_what_was_withdrawn_need_not_be_there() -> None:
    assert compare([ours("a", withdrawn=True)], [], set()).missing == ()


def test_days_are_the_hospitals() -> None:
    later = AT + timedelta(minutes=2)
    found = by_day([ours("a"), ours("b", later)], [ours("b", later)], ZoneInfo("Asia/Shanghai"))
    assert found == {date(2026, 3, 9): (1, 0), date(2026, 3, 10): (1, 1)}


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (answered(), ""),
        (answered(missing=9), ""),
        (answered(missing=10), MANY),
        (answered(ours=100_000, missing=49), ""),
        (answered(ours=100_000, missing=50), MANY),
        (answered(ours=1, missing=1), MANY),
        (answered(whole=False), CUT),
        (answered(ahead=timedelta(hours=1)), CLOCK),
        (answered(ahead=timedelta(hours=-1)), CLOCK),
        (answered(ahead=timedelta(minutes=5)), ""),
        (answered(held=950), ""),
        (answered(held=949), SHRUNK),
        (answered(held=0, missing=1000), SHRUNK),
        (answered(before=None), BASELINE),
        (answered(before=None, whole=False), CUT),
        (answered(before=0, held=0), ""),
    ],
)
def test_only_a_small_loss_in_an_answer_beyond_doubt_goes_again_by_itself(found: Answered, why: str) -> None:
    assert hindrance(found) == why


def test_one_bad_day_among_good_ones_stops_all() -> None:
    days = {TODAY: (1000, 1), date(2026, 3, 8): (1000, 10)}
    assert hindrance(Answered(days=days, whole=True, ahead=timedelta(0), before=10, held=10)) == MANY


def test_another_sender_explains_as_many_as_it_had_at_first() -> None:
    assert [unexplained(n, 5) for n in (0, 5, 8)] == [0, 0, 3]


def test_a_time_is_asked_for_in_pieces_of_one_day_each() -> None:
    begin, hour = datetime(2026, 3, 1, tzinfo=UTC), timedelta(hours=1)
    pieces = windows(begin, begin + 49 * hour, ZoneInfo("Asia/Shanghai"))
    assert [stop - start for start, stop in pieces] == [16 * hour, 24 * hour, 9 * hour]
    assert (pieces[0][0], pieces[-1][1]) == (begin, begin + 49 * hour)
    assert windows(begin, begin, UTC) == []


def test_a_day_of_25_hours_has_two_pieces() -> None:
    begin, zone = datetime(2026, 10, 24, 22, tzinfo=UTC), ZoneInfo("Europe/Berlin")
    pieces = windows(begin, begin + timedelta(hours=25), zone)
    assert [stop - start for start, stop in pieces] == [timedelta(hours=24), timedelta(hours=1)]
    assert {start.astimezone(zone).date() for start, _ in pieces} == {date(2026, 10, 25)}
