"""The clock that the nodes of a database share: the database's, kept by the monotonic one."""

from datetime import datetime, timedelta

from router.clock import FakeClock, SharedClock
from support.catalogue_rows import NOW

SECOND = timedelta(seconds=1)


class Machine(FakeClock):
    """Can be set wrong; the monotonic one goes on."""

    wrong = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.wrong


def test_until_it_is_set_it_is_the_machines() -> None:
    machine = Machine(NOW)
    clock = SharedClock(machine)
    machine.advance(3)
    machine.wrong = SECOND
    assert (clock.now(), clock.ahead, clock.monotonic()) == (NOW + 4 * SECOND, timedelta(0), 3)


def test_once_it_is_set_no_jump_of_the_machines_clock_is_seen_in_it() -> None:
    machine = Machine(NOW)
    clock = SharedClock(machine)
    clock.set_to(NOW - 1200 * SECOND, 0.0, 0.0)
    machine.advance(2)
    assert clock.now() == NOW - 1198 * SECOND
    assert clock.ahead == 1200 * SECOND
    machine.wrong = -3600 * SECOND
    assert clock.now() == NOW - 1198 * SECOND
    assert clock.ahead == -2400 * SECOND


def test_what_the_time_for_the_answer_explains_is_no_difference() -> None:
    machine = Machine(NOW)
    clock = SharedClock(machine)
    clock.set_to(NOW, 0.0, 0.0)
    clock.set_to(NOW + 3 * SECOND, 0.0, 8.0)  # as of 4 s after 0
    assert clock.now() == NOW
    clock.set_to(NOW + timedelta(milliseconds=40), 0.0, 0.0)
    assert clock.now() == NOW
    clock.set_to(NOW + timedelta(milliseconds=60), 0.0, 0.0)
    assert clock.now() == NOW + timedelta(milliseconds=60)


def test_a_first_answer_that_took_long_is_taken_and_the_next_one_betters_it() -> None:
    machine = Machine(NOW)
    clock = SharedClock(machine)
    clock.set_to(NOW - 100 * SECOND, 0.0, 8.0)
    machine.advance(8)
    assert clock.now() == NOW - 96 * SECOND
    clock.set_to(NOW - 90 * SECOND, 8.0, 8.002)
    assert abs(clock.now() - (NOW - 90 * SECOND)) < SECOND / 100
