"""What was put off by a clock that went wrong, and how the jump is told."""

from datetime import datetime, timedelta

import pytest

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import FakeClock
from router.events import Event, EventBus
from router.policy.states import State
from router.upkeep.clock_watch import JumpWatch
from support.catalogue_rows import MINUTE, NOW, delivery, exam, instance

DAY = timedelta(days=1)


class Jumping(FakeClock):
    """Can be set wrong; the monotonic one goes on."""

    wrong = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.wrong


def deferred(catalogue: Catalogue, number: int, until: datetime) -> None:
    sending = delivery(catalogue, number, State.READY, State.SENDING)
    assert catalogue.queue.move(sending, State.DEFERRED, NOW, "busy", changes={"next_try": until})


@pytest.mark.fires("clock")
def test_what_a_clock_that_was_ahead_put_off_is_evaluated_and_tried_once_it_goes_right(catalogue: Catalogue) -> None:
    clock, told = Jumping(NOW), list[Event]()
    number = exam(catalogue)
    timekeeper = JumpWatch(catalogue, EventBus(told.append), clock)
    clock.wrong = 2 * DAY
    timekeeper.look()
    deferred(catalogue, number, clock.now() + MINUTE)
    case = catalogue.exams.case(number)
    assert catalogue.exams.checked(case, clock.now() + MINUTE, None, "")
    clock.wrong = timedelta(0)
    clock.advance(1)
    assert (catalogue.exams.to_check(clock.now(), 10), catalogue.queue.promote(clock.now())) == ([], 0)
    timekeeper.look()
    assert catalogue.exams.to_check(clock.now(), 10) == [number]
    assert not catalogue.exams.checked(case, clock.now() + 2 * DAY, None, "")
    assert catalogue.queue.promote(clock.now()) == 1
    assert [(one.alarm, one.text) for one in told] == [
        (Alarm.CLOCK, "the clock jumped by +172800 s"), (Alarm.CLOCK, "the clock jumped by -172800 s"),
    ]  # fmt: skip


@pytest.mark.ends("clock")
def test_the_alarm_of_a_jump_ends_after_ten_minutes_without_one_also_over_a_restart(catalogue: Catalogue) -> None:
    clock, told = Jumping(NOW), list[Event]()
    bus = EventBus(told.append)
    bus.guard(catalogue.alarms.is_news)
    before = JumpWatch(catalogue, bus, clock)
    clock.wrong = DAY
    before.look()
    clock.advance(300)
    after = JumpWatch(catalogue, bus, clock)
    for _ in range(599):
        clock.advance(1)
        after.look()
    assert catalogue.alarms.stands(Alarm.CLOCK, "clock")
    clock.advance(1)
    after.look()
    assert not catalogue.alarms.stands(Alarm.CLOCK, "clock")
    assert [one.text for one in told] == ["the clock jumped by +86400 s", "the clock goes steadily"]


def test_a_clock_that_is_slewed_has_not_jumped_and_puts_nothing_forward(catalogue: Catalogue) -> None:
    clock, told = Jumping(NOW), list[Event]()
    timekeeper = JumpWatch(catalogue, EventBus(told.append), clock)
    deferred(catalogue, exam(catalogue), NOW + DAY)
    for _ in range(10):
        clock.wrong += timedelta(seconds=4)
        clock.advance(1)
        timekeeper.look()
    assert told == []
    assert catalogue.queue.promote(clock.now()) == 0


def test_a_study_that_came_while_the_clock_was_ahead_is_quiet_once_it_goes_right(catalogue: Catalogue) -> None:
    catalogue.instances.add([instance(1, received=NOW + DAY)])
    JumpWatch(catalogue, EventBus(), FakeClock(NOW)).try_again()
    assert catalogue.exams.links.studies(["1.2"])["1.2"].last_received == NOW
