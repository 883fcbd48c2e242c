"""The breaker as a pure state machine."""

from datetime import UTC, datetime, timedelta

from router.policy.breaker import (
    CLOSED,
    LONGEST,
    Breaker,
    Position,
    answered,
    down,
    probe_due,
    probed_in_vain,
    probing,
    went,
)
from router.policy.breaker import width as width_of

NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
OPEN = down(CLOSED, NOW, "cannot connect", 0.0)


def test_it_opens_with_the_first_finding_and_lets_nothing_through() -> None:
    assert (OPEN.position, OPEN.failures, OPEN.since, OPEN.why) == (Position.OPEN, 1, NOW, "cannot connect")
    assert width_of(OPEN, 4) == 0
    assert width_of(CLOSED, 4) == 4


def test_what_was_under_way_when_it_opened_changes_nothing() -> None:
    assert down(OPEN, NOW + timedelta(seconds=3), "another word", 0.0) == OPEN


def test_probes_come_at_a_growing_pause_that_has_an_end() -> None:
    found, pauses, now = OPEN, [], NOW
    for _ in range(8):
        assert found.probe_at is not None
        pauses.append((found.probe_at - now).total_seconds())
        now = found.probe_at
        assert probe_due(found, now)
        assert not probe_due(found, now - timedelta(seconds=1))
        found = probed_in_vain(found, now, "still down", 0.0)
    assert pauses == [5, 10, 20, 40, 60, 60, 60, 60]
    assert found.since == NOW


def test_of_several_that_would_probe_one_does() -> None:
    due = NOW + timedelta(seconds=5)
    assert probe_due(OPEN, due)
    assert not probe_due(probing(OPEN, due), due)


def test_a_clock_that_jumped_back_does_not_put_the_probe_off() -> None:
    assert probe_due(OPEN, NOW - timedelta(hours=3))
    assert not probe_due(OPEN, NOW + timedelta(seconds=5) - LONGEST)


def test_it_starts_slowly_with_one_then_two_until_nothing_bounds_it() -> None:
    found, widths = answered(OPEN), []
    while found != CLOSED:
        widths.append(width_of(found, 3))
        found = went(found, 3)
    assert widths == [1, 2, 3]


def test_trouble_while_it_starts_opens_it_again_for_longer_than_before() -> None:
    again = down(went(answered(OPEN), 3), NOW + timedelta(minutes=1), "down again", 0.0)
    assert (again.position, again.failures, again.since) == (Position.OPEN, 2, NOW)
    assert again.probe_at == NOW + timedelta(minutes=1, seconds=10)


def test_what_goes_while_it_is_open_or_closed_changes_nothing() -> None:
    assert went(OPEN, 2) == OPEN
    assert went(CLOSED, 2) == answered(CLOSED) == CLOSED
    assert isinstance(OPEN, Breaker)
