"""Pauses as pure values: whom they concern, what time they took, and whose fault a miss then is."""

from datetime import UTC, datetime, timedelta

import pytest

from router.policy.deadlines import Deadline, Punctuality, punctuality
from router.policy.pause import EVERY, Pause, pause_of, taken, within

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def pause(start: int, end: int | None, destination: str = "cloud", who: str = "wang") -> Pause:
    """From and to so many minutes after noon."""
    until = None if end is None else NOON + end * MINUTE
    return Pause(destination=destination, since=NOON + start * MINUTE, who=who, why="", until=until)


def test_a_pause_of_all_concerns_every_destination_and_one_of_another_none() -> None:
    of_all, of_other, over = pause(5, None, EVERY), pause(0, None, "other"), pause(0, 1)
    assert pause_of([of_other, over, of_all], "cloud") == of_all
    assert pause_of([of_other, over], "cloud") is None
    assert pause_of([of_all, of_other], "other") == of_other


def test_a_pause_of_one_hospital_concerns_its_exams_alone_and_says_how_it_ends() -> None:
    of_a = Pause(destination="cloud", hospital="a", since=NOON, who="wang", why="")
    assert pause_of([of_a], "cloud", "a") == of_a
    assert [pause_of([of_a], *place) for place in (("cloud", "b"), ("cloud", ""), ("other", "a"))] == [None] * 3
    assert (of_a.place, of_a.ends) == ("cloud for a", "scripts/queue resume --destination cloud --hospital a")
    everywhere = Pause(destination=EVERY, hospital="a", since=NOON, who="wang", why="")
    assert pause_of([everywhere], "other", "a") == everywhere
    assert (everywhere.place, everywhere.ends) == ("all destinations for a", "scripts/queue resume --hospital a")
    assert within([of_a], "cloud", NOON, NOON + HOUR, "a") == [of_a]
    assert within([of_a], "cloud", NOON, NOON + HOUR, "b") == []


@pytest.mark.parametrize(
    ("pauses", "minutes"),
    [
        ([], 0),
        ([pause(10, 20)], 10),
        ([pause(-30, 20)], 20),
        ([pause(50, None)], 10),
        ([pause(-30, -10)], 0),
        ([pause(70, 80)], 0),
        ([pause(10, 30), pause(20, 40, EVERY)], 30),
        ([pause(10, 40), pause(20, 30, EVERY)], 30),
        ([pause(10, 20), pause(20, 30)], 20),
        ([pause(10, 20, "other")], 0),
    ],
)
def test_the_time_that_pauses_took_counts_each_minute_once(pauses: list[Pause], minutes: int) -> None:
    mine = within(pauses, "cloud", NOON, NOON + HOUR)
    assert taken(mine, NOON, NOON + HOUR) == minutes * MINUTE


@pytest.mark.parametrize(
    ("complete", "delivered", "paused", "verdict"),
    [
        (0, 50, 40, Punctuality.MET),
        (0, 80, 40, Punctuality.PAUSED),
        (0, 80, 10, Punctuality.MISSED),
        (0, None, 80, Punctuality.PAUSED),
        (0, None, 0, Punctuality.MISSED),
        (58, 100, 0, Punctuality.LATE),
        (58, 140, 40, Punctuality.PAUSED),
        (58, 140, 10, Punctuality.MISSED),
        (None, None, 90, Punctuality.LATE),
    ],
)
def test_what_is_in_time_but_for_the_pause_is_missed_by_it(
    complete: int | None, delivered: int | None, paused: int, verdict: Punctuality
) -> None:
    def at(minute: int | None) -> datetime | None:
        return None if minute is None else NOON + minute * MINUTE

    due = Deadline(NOON + HOUR, NOON + HOUR, HOUR)
    now = NOON + 90 * MINUTE
    found = punctuality(due, complete=at(complete), delivered=at(delivered), now=now, paused=paused * MINUTE)
    assert found == verdict
