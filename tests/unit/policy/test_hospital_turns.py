"""Hospitals that send by the same way: due time first, and none starves."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.policy.turns import TURN_EVERY, Turns

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def claimed(turns: Turns, due: dict[str, datetime]) -> tuple[str, Turns]:
    first = turns.order(due)[0]
    return first, turns.after(first)


def test_one_that_floods_keeps_another_waiting_for_no_more_than_a_few_claims() -> None:
    turns, waited = Turns(), []
    for hour in range(20):  # one report an hour beside ten thousand that are all due before it
        waits = 0
        while True:
            first, turns = claimed(turns, {"floods": NOW, "small": NOW + (hour + 1) * 60 * MINUTE})
            if first == "small":
                break
            waits += 1
        waited.append(waits)
        for _ in range(500 + hour):
            _, turns = claimed(turns, {"floods": NOW})
    assert max(waited) < TURN_EVERY


def flooded(others: int, every: int) -> list[int]:
    """Claims that each delivery of the others waited: one hospital has 2,000 waiting that are all due before theirs,
    each of the others gets a delivery about every so many claims."""
    chance, turns, left, since, waited, claims = Random(1), Turns(), 2000, dict[str, int](), list[int](), 0
    while left:
        came = [f"h{n}" for n in range(others) if chance.random() < 1 / every]
        since |= {name: claims for name in came if name not in since}
        first, turns = claimed(turns, {"floods": NOW} | {name: NOW + at * MINUTE for name, at in since.items()})
        if first == "floods":
            left -= 1
        else:
            waited.append(claims - since.pop(first))
        claims += 1
    return sorted(waited)


@pytest.mark.parametrize(
    ("others", "every", "worst"),
    # As in router/docs/hospitals.md.
    [(1, 200, 3), (29, 500, 30), (29, 200, 60), (29, 1, 115)],
)
def test_a_flood_of_one_hospital_costs_the_others_no_more_than_is_written(others: int, every: int, worst: int) -> None:
    waited = flooded(others, every)
    assert max(waited) <= worst < TURN_EVERY * (others + 1)
    assert others == 29 or waited[len(waited) // 2] <= 2


def test_what_is_due_first_goes_first_in_three_claims_of_four() -> None:
    turns, firsts = Turns(), []
    for _ in range(12):
        first, turns = claimed(turns, {"a": NOW + MINUTE, "b": NOW, "c": NOW + 2 * MINUTE})
        firsts.append(first)
    assert firsts == ["b", "b", "b", "a", "b", "b", "b", "c", "b", "b", "b", "a"]


def test_hospitals_with_the_same_due_time_have_it_in_turn() -> None:
    turns, firsts = Turns(), []
    for _ in range(9):
        first, turns = claimed(turns, dict.fromkeys("abc", NOW))
        firsts.append(first)
    assert firsts == list("abcabcabc")


@settings(max_examples=40)
@given(st.integers(2, 30), st.integers(0, 2**32))
def test_each_that_has_something_is_claimed_from_within_its_bound_whatever_the_others_have(
    number: int, seed: int
) -> None:
    names = [f"h{n}" for n in range(number)]
    random = Random(seed)
    turns, since, by_due, claims = Turns(), dict.fromkeys(names, 0), 0, 2 * TURN_EVERY * number
    for _ in range(claims):
        due = {name: NOW + random.randrange(100) ** 2 * MINUTE for name in names}
        first, turns = claimed(turns, due)
        by_due += due[first] == min(due.values())
        since = {name: 0 if name == first else n + 1 for name, n in since.items()}
        assert max(since.values()) < TURN_EVERY * number
    assert by_due >= claims * (TURN_EVERY - 1) // TURN_EVERY


@pytest.mark.parametrize("claims", range(TURN_EVERY))
def test_of_one_hospital_it_is_always_the_turn(claims: int) -> None:
    assert Turns(claims).order({"": NOW}) == [""]
    assert Turns(claims).order({}) == []
