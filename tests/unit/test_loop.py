"""A loop's thread: that it leaves time to others, and outlives a defect."""

import threading
import time

import pytest

from catalogue_rows import NOW
from router.alarms import Alarm
from router.clock import FakeClock
from router.events import Event, Journal, Kind
from router.flow.loop import Loop

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

    loop = Loop("busy", step, Journal(), clock, share=share)
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

    loop = Loop("busy", step, Journal(), clock, share=0.01)
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

    loop = Loop("cataloguer", step, Journal(broken), FakeClock(NOW), wait=lambda _seconds: None)
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

    loop = Loop("busy", step, Journal(told.append), FakeClock(NOW), wait=lambda _: None)
    loop.start()
    assert over.wait(5)
    loop.stop()
    assert loop.join(5)
    assert [(one.kind, one.alarm) for one in told] == [(Kind.ALARM, Alarm.DEFECT), (Kind.CLEARED, Alarm.DEFECT)]
    assert "ZeroDivisionError" in told[0].text
