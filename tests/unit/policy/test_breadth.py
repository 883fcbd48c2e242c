"""How many associations one exam is sent over."""

from dataclasses import replace

import pytest

from router.policy.breadth import Breadth, Exchange, Measured, first, judged, refused

ROUND_TRIP, RATE = 0.02, 12_500_000.0


def over_a_line(associations: int, size: int) -> Measured:
    """What is measured where the associations share a line: an exchange takes its bytes' time and a round trip, or
    longer when the line is full."""
    alone = size / RATE + ROUND_TRIP
    took = max(alone, associations * size / RATE)
    found = Measured(associations=associations)
    while not found.is_enough:
        found = found.after(Exchange(size, took, took - size / RATE))
    return found


def settled(limit: int, size: int) -> Breadth:
    found = first(limit)
    for _ in range(8):
        found = judged(found, over_a_line(found.number, size))
    return found


@pytest.mark.parametrize("limit", [1, 2, 3, 4])
def test_a_few_are_used_at_once_and_never_more_than_the_limit(limit: int) -> None:
    assert first(limit).number == limit
    assert settled(limit, 20_000).number == limit


@pytest.mark.parametrize("limit", [5, 8, 12, 16])
def test_small_instances_over_a_long_line_get_every_association_that_there_may_be(limit: int) -> None:
    assert settled(limit, 20_000).number == limit


def test_more_are_tried_and_given_up_where_the_line_is_full() -> None:
    tried = judged(first(16), over_a_line(4, 500_000))
    assert tried.number == 8, "answers take longer than bytes: it may pay"
    given_up = judged(tried, over_a_line(8, 500_000))
    assert given_up.number == 4
    assert settled(16, 500_000).number == 4
    for _ in range(given_up.rest):
        assert given_up.number == 4
        given_up = judged(given_up, over_a_line(4, 500_000))
    assert judged(given_up, over_a_line(4, 500_000)).number == 8, "the line may be another one by then"


def test_nothing_is_tried_where_bytes_take_the_time() -> None:
    writing = Measured(associations=4, answers=16, work=16 * 2**20, seconds=16.0, awaited=7.9)
    assert judged(first(16), writing) == first(16)
    assert judged(first(16), replace(writing, awaited=8.0)).number == 8


def test_associations_that_do_not_wait_any_more_are_given_up() -> None:
    wide = settled(16, 20_000)
    assert wide.number == 16
    busy = Measured(associations=16, answers=64, work=64 * 2**20, seconds=64.0, awaited=3.0)
    assert [(wide := judged(wide, busy)).number for _ in range(3)] == [8, 4, 4]


def test_a_destination_that_refuses_more_gets_what_it_takes_and_is_asked_again_later() -> None:
    narrow = refused(first(4), 2)
    assert narrow.number == 2
    asked = 0
    while narrow.number == 2:
        narrow, asked = judged(narrow, over_a_line(2, 20_000)), asked + 1
    assert asked > 16
    assert narrow == first(4)


def test_a_refusal_while_more_are_tried_ends_the_trial() -> None:
    tried = judged(first(16), over_a_line(4, 20_000))
    assert refused(tried, 5) == replace(refused(first(16), 4), number=5)
    assert refused(first(16), 0).number == 1


def test_instances_of_other_sizes_are_no_gain() -> None:
    tried = judged(first(16), over_a_line(4, 500_000))
    assert judged(tried, over_a_line(8, 400_000)).number == 4
