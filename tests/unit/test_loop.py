"""A loop's thread: that it leaves time to others, and outlives a defect."""

import threading
import time

import pytest

from router.alarms import Alarm
from router.clock import FakeClock
from router.errors import DutyLost, TransientError
from router.events import Event, EventBus, Kind
from router.loop import Loop, Untried
from support.catalogue_rows import NOW

_WORK = "drop folder"
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
    assert time.monotonic() - began < 20


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


def _told_by(*steps: float | TransientError | None) -> list[str]:
    """What is told of so many steps; None is one that fails, an error is raised."""
    told: list[str] = []
    left, over = list(steps), threading.Event()

    def step() -> float:
        if not left:
            over.set()
            return Untried(0.0)
        rest = left.pop(0)
        if rest is None:
            raise TransientError("the database did not answer")
        if isinstance(rest, TransientError):
            raise rest
        return rest

    bus = EventBus(lambda event: told.append(event.text))
    loop = Loop(_WORK, step, bus, FakeClock(NOW), wait=lambda _: None)
    loop.start()
    assert over.wait(5)
    loop.stop()
    assert loop.join(5)
    return told


def test_work_that_is_another_node_s_does_not_work_again_here() -> None:
    assert _told_by(Untried(1.0)) == []
    again = f"{_WORK}: works again"
    assert _told_by(1.0, Untried(1.0), 1.0) == [again, again]  # the other node may have raised it meanwhile


def test_an_alarm_about_work_that_another_node_has_by_now_ends_there_or_here() -> None:
    down, theirs, again = (
        f"{_WORK}: the database did not answer", f"{_WORK}: is another node's work by now", f"{_WORK}: works again",
    )  # fmt: skip
    assert _told_by(None, Untried(1.0), Untried(1.0)) == [down, theirs]
    assert _told_by(None, Untried(1.0), 1.0) == [down, theirs, again]
    assert _told_by(None, 1.0, Untried(1.0)) == [down, again]


def test_a_step_that_loses_its_duty_to_another_node_is_no_defect() -> None:
    lost = DutyLost("another node has the duty 'drop folder' by now")
    assert _told_by(lost, lost) == []
    assert _told_by(None, lost)[1:] == [f"{_WORK}: is another node's work by now"]


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


def test_a_loop_that_fails_rests_ever_longer_up_to_its_longest_pause() -> None:
    rests, over = list[float](), threading.Event()

    def step() -> float:
        if len(rests) == 6:
            over.set()
            return 0.0
        raise TransientError("the database did not answer")

    loop = Loop("leases", step, EventBus(), FakeClock(NOW), wait=rests.append, longest=3.0)
    loop.start()
    assert over.wait(5)
    loop.stop()
    assert loop.join(5)
    assert rests == [0.5, 1.0, 2.0, 3.0, 3.0, 3.0]


def test_a_loop_that_works_again_has_another_one_that_fails_tried_at_once() -> None:
    well, done, failed = threading.Event(), threading.Event(), threading.Event()
    first = iter([True])

    def catalogue() -> float:
        if not well.is_set():
            failed.set()
            raise TransientError("the database did not answer")
        done.set()
        return 60.0

    def keep_leases() -> float:
        if next(first, False):
            raise TransientError("the database did not answer")
        assert failed.wait(20)
        well.set()
        return 60.0

    bus, clock = EventBus(), FakeClock(NOW)

    def never(seconds: float) -> None:
        bell.wait(60)
        bell.clear()

    bell = threading.Event()
    cataloguer = Loop("cataloguer", catalogue, bus, clock, wait=never, wake=bell.set)
    leases = Loop("leases", keep_leases, bus, clock, wait=lambda _: None, recovered=cataloguer.wake)
    for loop in (cataloguer, leases):
        loop.start()
    assert done.wait(20), "it is tried before its pause of a minute is over"
    for loop in (cataloguer, leases):
        loop.stop()
        assert loop.join(5)
