"""Sessions of the console: how long they last, how many there are, and what ends them; tries by address."""

from collections.abc import Callable

import pytest

from router.admin.http.session import IDLE_SECONDS, LONGEST_SECONDS, MOST_OF_ONE, Attempts, Person, Sessions, is_genuine
from router.clock import FakeClock
from router.policy.roles import Role
from support.catalogue_rows import NOW

WANG = Person(who="wang", role=Role.OPERATOR, changed=NOW)
SCRIPT = Person(who="token", role=Role.ADMINISTRATOR)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(NOW)


def test_a_session_ends_a_quarter_of_an_hour_after_the_last_request_and_after_half_a_day(clock: FakeClock) -> None:
    assert (IDLE_SECONDS, LONGEST_SECONDS) == (15 * 60, 12 * 3600)
    sessions = Sessions(clock)
    session = sessions.begin(WANG)
    for _ in range(48):
        clock.advance(LONGEST_SECONDS / 48)
        assert sessions.of(session.key) == session
    clock.advance(1)
    assert sessions.of(session.key) is None
    session = sessions.begin(WANG)
    clock.advance(IDLE_SECONDS + 1)
    assert sessions.of(session.key) is None


def test_what_a_page_asks_by_itself_keeps_no_session_open(clock: FakeClock) -> None:
    sessions = Sessions(clock)
    session = sessions.begin(WANG)
    for _ in range(15):
        clock.advance(60)
        assert sessions.of(session.key, prolong=False) == session
    clock.advance(1)
    assert sessions.of(session.key, prolong=False) is None


def test_a_person_has_three_sessions_and_a_fourth_ends_the_oldest(clock: FakeClock) -> None:
    sessions = Sessions(clock)
    script, mine = sessions.begin(SCRIPT), [sessions.begin(WANG) for _ in range(MOST_OF_ONE + 1)]
    assert [sessions.of(one.key) is not None for one in mine] == [False, True, True, True]
    assert sessions.of(script.key) is not None, "another's goes on"
    assert len({one.key for one in mine} | {one.csrf for one in mine}) == 2 * len(mine)


@pytest.mark.parametrize("person", [lambda n: Person(who=f"u{n}", role=Role.VIEWER, changed=NOW), lambda _: SCRIPT])
def test_a_hundred_sessions_are_open_at_most(clock: FakeClock, person: Callable[[int], Person]) -> None:
    sessions = Sessions(clock)
    opened = [sessions.begin(person(n)) for n in range(103)]
    assert [sessions.of(one.key) is not None for one in opened] == [False] * 3 + [True] * 100


def test_a_session_that_was_ended_is_over_and_a_form_is_of_one_session(clock: FakeClock) -> None:
    sessions = Sessions(clock)
    one, other = sessions.begin(WANG), sessions.begin(WANG)
    assert is_genuine(one, one.csrf)
    assert not is_genuine(one, other.csrf)
    sessions.end(one.key)
    sessions.end("never begun")
    assert (sessions.of(one.key), sessions.of(other.key)) == (None, other)


def test_after_ten_failures_nobody_tries_from_that_address_for_a_minute(clock: FakeClock) -> None:
    attempts = Attempts(clock)
    assert [attempts.begin("10.9.9.9") for _ in range(12)] == [True] * 10 + [False] * 2
    assert attempts.begin("10.1.1.1")
    clock.advance(61)
    assert attempts.begin("10.9.9.9")


def test_good_logins_count_against_no_address(clock: FakeClock) -> None:
    attempts = Attempts(clock)
    for _ in range(30):
        assert attempts.begin("10.1.1.1")
        attempts.end("10.1.1.1")


def test_the_addresses_that_are_remembered_are_bounded(clock: FakeClock) -> None:
    attempts = Attempts(clock)
    for n in range(5000):
        assert attempts.begin(f"10.8.{n >> 8}.{n & 255}")
    assert len(attempts._failures) <= 1000
