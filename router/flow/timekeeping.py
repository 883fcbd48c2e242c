"""A clock that jumps: what was put off by the wrong time is not left waiting for it."""

from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.events import Event, Journal, Kind

_JUMP = timedelta(seconds=5)  # time synchronisation slews by less than this between two looks
_STEADY = 600.0  # seconds after which a jump is an old story


class Timekeeper:
    """Compares the clock with the monotonic one, which never jumps; `look` is called every second or so."""

    def __init__(self, catalogue: Catalogue, journal: Journal, clock: Clock) -> None:
        self._catalogue = catalogue
        self._journal = journal
        self._clock = clock
        self._began = self._beginning()
        self._jumped = clock.monotonic()

    def look(self) -> None:
        """Where the clock has jumped, tell it and look at everything anew."""
        began = self._beginning()
        jump, self._began = began - self._began, began
        if abs(jump) >= _JUMP:
            self._jumped = self._clock.monotonic()
            self._record(Kind.ALARM, f"the clock jumped by {jump.total_seconds():+.0f} s")
            self.start_anew()
        elif self._clock.monotonic() - self._jumped >= _STEADY:
            self._jumped = self._clock.monotonic()
            self._record(Kind.CLEARED, "the clock goes steadily")

    def start_anew(self) -> None:
        """Evaluate and try now what was put off; also at start, since nobody knows what the clock did before."""
        now = self._clock.now()
        self._catalogue.exams.put_off_no_longer(now)
        self._catalogue.queue.put_off_no_longer(now)
        self._catalogue.breakers.probe_now(now)

    def _beginning(self) -> datetime:
        return self._clock.now() - timedelta(seconds=self._clock.monotonic())

    def _record(self, kind: Kind, text: str) -> None:
        self._journal.record(Event(self._clock.now(), kind, text, alarm=Alarm.CLOCK, subject="clock"))
