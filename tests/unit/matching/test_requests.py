from datetime import UTC, datetime, timedelta

import pytest

from router.matching.images.requests import Companion, Order, awaited, goes_without, held_for, looks_for, withheld
from router.policy.deadlines import Deadline

NOW = datetime(2026, 3, 2, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DUE = Deadline(NOW + 10 * HOUR, NOW + 10 * HOUR, 10 * HOUR)


def companion(*, approved: bool = False, closed: bool = False, ago: timedelta = HOUR) -> Companion:
    return Companion(exam=7, deliveries=(13, 14), approved=approved, closed=closed, changed=NOW - ago)


@pytest.mark.parametrize(
    ("named", "orders", "waits"),
    [
        ({"A2"}, [("A1", True), ("A2", False)], True),
        ({"A2", "A9"}, [("A1", True), ("A2", False)], True),
        ({"A2", "A3"}, [("A1", True), ("A2", False), ("A3", False)], True),
        ({"A1", "A2"}, [("A1", True), ("A2", False)], False),
        ({"A2", "A3"}, [("A1", True), ("A2", False), ("A3", True)], False),
        ({"A2"}, [("A1", True), ("A2", True)], False),
        ({"A2"}, [("A1", False), ("A2", False)], False),
        ({"A9"}, [("A1", True), ("A2", False)], False),
        (set(), [("A1", True), ("A2", False)], False),
        (set(), [("A1", True), ("", False)], False),
        ({"A1"}, [("A1", True), ("A1", False)], False),
    ],
)
def test_an_instance_waits_that_names_only_exams_that_are_not_approved(
    named: set[str], orders: list[tuple[str, bool]], waits: bool
) -> None:
    assert withheld(frozenset(named), [Order(*each) for each in orders]) == waits


@pytest.mark.parametrize(
    ("other", "waits"),
    [
        (companion(), True),
        (companion(approved=True), False),
        (companion(closed=True), False),
        (companion(ago=7 * DAY), False),
        (companion(ago=7 * DAY - HOUR), True),
    ],
)
def test_an_exam_is_waited_for_while_its_approval_can_come(other: Companion, waits: bool) -> None:
    assert bool(awaited([other], NOW)) == waits


@pytest.mark.parametrize(("hours", "over"), [(7.9, False), (8, True), (11, True)])
def test_images_go_or_are_held_at_four_fifths_of_their_time(hours: float, over: bool) -> None:
    at = NOW + hours * HOUR
    assert goes_without("send", DUE, at) == over
    assert not goes_without("hold", DUE, at)
    assert bool(held_for([companion()], DUE, at)) == over
    assert held_for([], DUE, at) == ""


def test_without_an_approval_nothing_goes_and_nothing_is_held() -> None:
    assert not goes_without("send", None, NOW)
    assert held_for([companion()], None, NOW) == ""


def test_it_is_looked_at_again_when_time_changes_something() -> None:
    assert looks_for([companion()], DUE) == [NOW - HOUR + 7 * DAY, NOW + 5 * HOUR, NOW + 8 * HOUR]
    assert looks_for([], DUE) == []


def test_what_holds_it_is_said_with_the_command_and_without_patient_data() -> None:
    text = held_for([companion()], DUE, NOW + 9 * HOUR)
    assert text.startswith("others: the images wait for the approval of exam e7")
    assert "`queue cancel d13 d14 --why ...`" in text
