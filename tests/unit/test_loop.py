"""A loop's thread: that it leaves time to others."""

import time

from router.clock import SystemClock
from router.events import Journal
from router.flow.loop import Loop

_STEP_SECONDS = 0.01
_SECONDS = 0.3


def _time_at_work(share: float) -> float:
    """The part of the time that steps have which never rest and are woken all the time."""
    steps: list[float] = []

    def step() -> float:
        began = time.monotonic()
        time.sleep(_STEP_SECONDS)
        loop.wake()
        steps.append(time.monotonic() - began)
        return 0.0

    loop = Loop("busy", step, Journal(), SystemClock(), share=share)
    began = time.monotonic()
    loop.start()
    time.sleep(_SECONDS)
    loop.stop()
    assert loop.join(5)
    return sum(steps) / (time.monotonic() - began)


def test_a_loop_that_is_woken_all_the_time_has_no_more_than_its_share() -> None:
    assert _time_at_work(1.0) > 0.5
    assert _time_at_work(0.25) < 0.25 + 2 * _STEP_SECONDS / _SECONDS


def test_a_loop_that_rests_because_of_its_share_stops_at_once() -> None:
    def step() -> float:
        time.sleep(0.1)
        return 0.0

    loop = Loop("busy", step, Journal(), SystemClock(), share=0.1)
    loop.start()
    time.sleep(0.12)
    loop.stop()
    assert loop.join(0.2)
