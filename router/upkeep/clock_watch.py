"""Watch over the clock: one that jumps, one that differs from the database's. Work put off by it is tried again."""

from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock, SharedClock
from router.events import Event, EventBus, Kind

FAR = timedelta(seconds=5)
_JUMP = timedelta(seconds=5)  # time synchronisation slews by less than this between two looks
_STEADY = 600.0  # seconds after a jump, until the clock counts as steady


class ClockWatch:
    """Sets the clock that the nodes share; raises an alarm while this machine's own is far from it."""

    def __init__(self, catalogue: Catalogue, node: str, bus: EventBus, clock: SharedClock) -> None:
        self._catalogue = catalogue
        self._node = node
        self._bus = bus
        self._clock = clock
        self._right = False  # an alarm may stand from a former life

    def look(self) -> None:
        """Compare the clocks. Called before anything is stored, and as often as the node gives a sign of life."""
        if not self._catalogue.engine.is_shared:
            return
        self._catalogue.nodes.set_clock(self._clock)
        ahead = self._clock.ahead
        if abs(ahead) > FAR:
            text = f"the clock of the node {self._node} is {gap(ahead)}; the node goes by the database's"
            self._record(Kind.ALARM, text)
        elif not self._right:
            self._record(Kind.CLEARED, f"the clock of the node {self._node} is right")
        self._right = abs(ahead) <= FAR

    def _record(self, kind: Kind, text: str) -> None:
        event = Event(self._clock.now(), kind, text, alarm=Alarm.CLOCK, subject=clock_of(self._node))
        self._bus.record(event)


def clock_of(node: str) -> str:
    """The subject of the alarm about a node's clock."""
    return f"clock of {node}"


def gap(ahead: timedelta) -> str:
    """How far a machine's clock is from the database's, in words."""
    seconds = f"{abs(ahead).total_seconds():.1f}"
    return f"{seconds} s ahead of the database's" if ahead > timedelta(0) else f"{seconds} s behind the database's"


def beginning(clock: Clock) -> datetime:
    """The time at which the monotonic clock began: it moves only where the clock jumps."""
    return clock.now() - timedelta(seconds=clock.monotonic())


class JumpWatch:
    """Compares the clock with the monotonic one, which never jumps; `look` is called every second or so."""

    def __init__(self, catalogue: Catalogue, bus: EventBus, clock: Clock) -> None:
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self._began = beginning(clock)
        self._jumped = clock.monotonic()

    def look(self) -> None:
        """Where the clock has jumped, raise the alarm and try at once what was put off."""
        began = beginning(self._clock)
        jump, self._began = began - self._began, began
        if abs(jump) >= _JUMP:
            self._jumped = self._clock.monotonic()
            self._record(Kind.ALARM, f"the clock jumped by {jump.total_seconds():+.0f} s")
            self.try_again()
        elif self._clock.monotonic() - self._jumped >= _STEADY:
            self._jumped = self._clock.monotonic()
            self._record(Kind.CLEARED, "the clock goes steadily")

    def try_again(self) -> None:
        """Evaluate and try now what was put off; also at start, since the clock may have jumped before."""
        now = self._clock.now()
        self._catalogue.exams.put_off_no_longer(now)
        self._catalogue.queue.put_off_no_longer(now)
        self._catalogue.breakers.probe_now(now)

    def _record(self, kind: Kind, text: str) -> None:
        self._bus.record(Event(self._clock.now(), kind, text, alarm=Alarm.CLOCK, subject="clock"))
