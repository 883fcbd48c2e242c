"""A loop's thread: that it leaves time to others, and outlives a defect."""

import threading
import time

import pytest

from catalogue_rows import NOW
from router.alarms import Alarm
from router.clock import FakeClock
from router.errors import TransientError
from router.events import Event, EventBus, Kind
from router.loop import Loop, Untried

_STEP_SECONDS = 0.02
_SECONDS = 0.3


def _steps(share: float) -> int:
    """How many steps of 20 ms a loop makes in so many seconds that is woken all the time."""
    clock, steps = FakeClock(NOW), 0

    def step() -> float:
        nonlocal steps
        steps += 1
        clock.advance(_STEP_SECONDS)
        loop.wake()
        return 0.0

    loop = Loop("busy", step, EventBus(), clock, share=share)
    began = time.monotonic()
    loop.start()
    time.sleep(_SECONDS)
    loop.stop()
    assert loop.join(5)
    return round(steps * _SECONDS / (time.monotonic() - began))


def test_a_loop_that_is_woken_all_the_time_has_no_more_than_its_share() -> None:
    assert _steps(1.0) > 50
    assert _steps(0.25) <= _SECONDS / (3 * _STEP_SECONDS) + 1  # it rests three times as long as a step takes


def test_a_loop_that_rests_because_of_its_share_stops_at_once() -> None:
    clock = FakeClock(NOW)

    def step() -> float:
        clock.advance(1)
        return 0.0

    loop = Loop("busy", step, EventBus(), clock, share=0.01)
    loop.start()
    began = time.monotonic()
    loop.stop()
    assert loop.join(5)
    assert time.monotonic() - began < 4


def test_a_loop_goes_on_when_even_telling_of_its_trouble_is_a_defect(caplog: pytest.LogCaptureFixture) -> None:
    done, went = threading.Event(), []

    def step() -> float:
        went.append(1)
        if len(went) > 1:
            done.set()
            return 60.0
        raise KeyError

    def broken(_event: Event) -> None:
        raise LookupError("a subscriber's defect")

    loop = Loop("cataloguer", step, EventBus(broken), FakeClock(NOW), wait=lambda _seconds: None)
    loop.start()
    assert done.wait(5)
    loop.stop()
    assert loop.join(5)
    assert "cataloguer: a defect: KeyError" in caplog.text


@pytest.mark.ends("defect")
@pytest.mark.fires("defect")
def test_a_defect_is_an_alarm_until_the_step_works_again() -> None:
    told: list[Event] = []
    steps = iter([True, False])
    over = threading.Event()

    def step() -> float:
        if next(steps, False):
            raise ZeroDivisionError
        over.set()
        return 0.0

    loop = Loop("busy", step, EventBus(told.append), FakeClock(NOW), wait=lambda _: None)
    loop.start()
    assert over.wait(5)
    loop.stop()
    assert loop.join(5)
    assert [(one.kind, one.alarm) for one in told] == [(Kind.ALARM, Alarm.DEFECT), (Kind.CLEARED, Alarm.DEFECT)]
    assert "ZeroDivisionError" in told[0].text


def _told_by(*steps: float | None) -> list[Kind]:
    """What is told of so many steps; None is one that fails."""
    told: list[Kind] = []
    left, over = list(steps), threading.Event()

    def step() -> float:
        if not left:
            over.set()
            return Untried(0.0)
        rest = left.pop(0)
        if rest is None:
            raise TransientError("the database did not answer")
        return rest

    bus = EventBus(lambda event: told.append(event.kind))
    loop = Loop("drop folder", step, bus, FakeClock(NOW), wait=lambda _: None)
    loop.start()
    assert over.wait(5)
    loop.stop()
    assert loop.join(5)
    return told


def test_work_that_is_another_node_s_does_not_work_again_here() -> None:
    assert _told_by(Untried(1.0)) == []
    assert _told_by(None, Untried(1.0)) == [Kind.ALARM]
    assert _told_by(None, Untried(1.0), 1.0) == [Kind.ALARM, Kind.CLEARED]
    again = [Kind.CLEARED, Kind.CLEARED]  # the other node may have raised it meanwhile
    assert _told_by(1.0, Untried(1.0), 1.0) == again


def test_what_cannot_be_told_to_work_again_is_not_said_in_the_log_either(caplog: pytest.LogCaptureFixture) -> None:
    over, tries = threading.Event(), list[int]()

    def step() -> float:
        if len(tries) > 3:
            over.set()
        return 1.0

    def down(_event: Event) -> None:
        tries.append(1)
        raise TransientError("the database did not answer")

    loop = Loop("drop folder", step, EventBus(down), FakeClock(NOW), wait=lambda _: None)
    loop.start()
    assert over.wait(5)
    loop.stop()
    assert loop.join(5)
    assert "works again" not in caplog.text
