"""A thread that repeats one step until it is stopped, and never dies in silence."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from router.alarms import Alarm
from router.clock import Clock
from router.errors import DutyLost, RouterError, traceback_of
from router.events import Event, EventBus, Kind

_FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
_LONGEST_BREATH = 0.5
_log = logging.getLogger("router")


class Untried(float):
    """Seconds to rest after a step that tried nothing, such as another node's work: its trouble may go on."""


class Step(Protocol):
    """Does some work; returns the seconds to rest before the next step, 0 when there is more to do, or Untried."""

    def __call__(self) -> float: ...


class Loop:
    """Repeats `step` in a thread of its own. `wait(seconds)` is how it pauses; `wake` ends a pause early.

    After each step it rests, for half a second at most, until its steps have had no more than `share` of the time:
    other threads have theirs however often it is woken. A step that takes longer than `patience` seconds is reported
    as standing still. After failures it rests ever longer, up to `longest` seconds, or until it is woken; `recovered`
    is called when a step works again. The thread calls `close` at its end.
    """

    def __init__(
        self, name: str, step: Step, bus: EventBus, clock: Clock, *,
        wait: Callable[[float], object] | None = None, wake: Callable[[], object] | None = None,
        close: Callable[[], object] | None = None, share: float = 1.0, patience: float | None = None,
        longest: float = LONGEST_PAUSE, recovered: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        self._bell = threading.Event()
        self._name = name
        self._step = step
        self._bus = bus
        self._clock = clock
        self._wait = wait or self._wait_for_bell
        self._ring = wake or self._bell.set
        self._close = close
        self._breath = 1 / share - 1
        self._stopping = threading.Event()
        self._well = self._raised = False
        self._patience = patience
        self._longest = longest
        self._recovered = recovered
        self._began: float | None = None  # the present step
        self._fault = ""
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def name(self) -> str:
        """Its work, in a word or two."""
        return self._name

    @property
    def trouble(self) -> str:
        """Why the last step failed, or how long the present one has been standing still; "" while it works."""
        if self._thread.ident is not None and not self._thread.is_alive() and not self._stopping.is_set():
            return "has ended"
        began = self._began
        if self._patience is not None and began is not None:
            seconds = self._clock.monotonic() - began
            if seconds >= self._patience:
                return f"has been standing still for {seconds:.0f} s"
        return self._fault

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """End a pause."""
        self._ring()

    def stop(self) -> None:
        """Ask it to end after the present step."""
        self._stopping.set()
        self.wake()

    def join(self, seconds: float) -> bool:
        """Wait for the end; False when it is still at work."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            began = self._began = self._clock.monotonic()
            try:
                rest = self._step()
                failed, pause, self._fault = bool(self._fault), _FIRST_PAUSE, ""
                if failed and self._recovered is not None:
                    self._recovered()
                self._record_well(tried=not isinstance(rest, Untried))
            except DutyLost:
                rest = Untried(_FIRST_PAUSE)
                self._record_well(tried=False)
            except (RouterError, OSError) as error:
                self._record_trouble(str(error) if isinstance(error, RouterError) else f"{error.strerror}")
                rest, pause = pause, min(pause * 2, self._longest)
            except Exception as error:  # noqa: BLE001  # the thread's top: a defect must not end it in silence
                self._record_trouble(f"a defect: {type(error).__name__} at {traceback_of(error)}")
                rest, pause = pause, min(pause * 2, self._longest)
            self._began = None
            self._stopping.wait(min((self._clock.monotonic() - began) * self._breath, _LONGEST_BREATH))
            if rest and not self._stopping.is_set():
                self._wait(rest)
        if self._close is not None:
            self._close()

    def _wait_for_bell(self, seconds: float) -> None:
        self._bell.wait(seconds)
        self._bell.clear()

    def _record_trouble(self, text: str) -> None:
        self._well, self._raised, self._fault = False, True, text
        self._record(Kind.ALARM, text)

    def _record_well(self, *, tried: bool) -> None:
        """End the alarm, which may be of a former life or another node. An alarm of this node may have come after the
        node that has the work found none, so this node ends it."""
        if tried and not self._well:
            self._well = self._record(Kind.CLEARED, "works again")
            self._raised &= not self._well
        elif not tried and self._raised:
            self._raised = not self._record(Kind.CLEARED, "is another node's work by now")
        self._well &= tried

    def _record(self, kind: Kind, text: str) -> bool:
        subject = f"work {self._name}"
        event = Event(self._clock.now(), kind, f"{self._name}: {text}", alarm=Alarm.DEFECT, subject=subject)
        try:
            self._bus.record(event)
        except Exception as error:  # noqa: BLE001  # as above: the thread goes on, even where nobody hears of it
            why = "the database does not answer" if isinstance(error, RouterError) else traceback_of(error)
            if kind is not Kind.CLEARED:  # its end is recorded after the next step
                _log.error("%s: %s (and it cannot be recorded: %s)", self._name, text, why)
            return False
        return True
