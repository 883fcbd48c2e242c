"""Withdrawals: when one goes, and how many of a source are too many."""

from datetime import UTC, datetime, timedelta

import pytest

from router.policy.withdrawal import Withdrawal, number_in, too_many

AT, TEN = datetime(2026, 3, 9, tzinfo=UTC), timedelta(minutes=10)


def test_a_word_of_the_ris_goes_after_its_time_and_a_persons_at_once() -> None:
    word = Withdrawal(id=7, delivery=1, document=3, n=2, asked=AT, why="w")
    person = Withdrawal(id=8, delivery=1, document=3, n=2, asked=AT, why="w", who="wang")
    assert (word.due_from(TEN), word.due_from(None)) == (AT + TEN, None)
    assert (person.due_from(TEN), person.due_from(None)) == (AT, AT)


def test_what_a_delivery_wants_tells_a_withdrawal_from_a_report() -> None:
    word = Withdrawal(id=7, delivery=1, document=3, n=2, asked=AT, why="w")
    assert number_in(word.wanted) == 7
    assert number_in("json=1 pdf=2 images=3 studies=x") is None
    assert number_in("") is None


@pytest.mark.parametrize(
    ("hour", "day", "delivered", "stops"),
    [
        (5, 5, 3000, False), (6, 6, 3000, True), (5, 30, 3000, False), (5, 31, 3000, True),
        (1, 6, 100, True), (1, 5, 100, False), (0, 0, 0, False),
    ],
)  # fmt: skip
def test_more_than_five_an_hour_or_one_in_a_hundred_of_a_day_are_too_many(
    hour: int, day: int, delivered: int, stops: bool
) -> None:
    assert too_many(hour=hour, day=day, delivered=delivered, at_most=5) is stops
