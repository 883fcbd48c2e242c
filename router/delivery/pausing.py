"""Pauses as those who send see them, and the alarm that stands while one does."""

from collections.abc import Sequence
from datetime import datetime

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.events import Event, EventBus, Kind
from router.policy.pause import ALL, EVERYWHERE, Pause, pause_of

_FRESH_SECONDS = 1.0
_ABOUT = "sending to "


class Pausing:
    """The pauses that stand, as they were at most a second ago: everybody who sends asks often."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._pauses = catalogue.pauses
        self._clock = clock
        self._known: tuple[float, Sequence[Pause]] | None = None

    def of(self, destination: str, hospital: str = ALL) -> Pause | None:
        """The pause that keeps everything of the hospital from this destination."""
        now, known = self._clock.monotonic(), self._known
        if known is None or now - known[0] >= _FRESH_SECONDS:
            self._known = known = (now, self._pauses.standing())
        return pause_of(known[1], destination, hospital)


def remind(catalogue: Catalogue, bus: EventBus, now: datetime) -> Sequence[Pause]:
    """Have an alarm stand for each pause that stands, and for no other; those that do."""
    pauses = catalogue.pauses.standing()
    about = {f"{_ABOUT}{one.place}" for one in pauses}
    for one in pauses:
        bus.record(_event(Kind.ALARM, one.place, f"{_ABOUT}{one.place} is paused by {one.who}: {one.why}", now))
    for gone in catalogue.alarms.of([Alarm.PAUSED]):
        if gone.subject not in about:
            bus.record(_event(Kind.CLEARED, gone.subject.removeprefix(_ABOUT), "sending goes on", now))
    return pauses


def _event(kind: Kind, place: str, text: str, now: datetime) -> Event:
    destination, _, hospital = place.partition(" for ")  # no name holds a space
    fields = {"destination": "" if destination == EVERYWHERE else destination, "hospital": hospital}
    fields = {name: value for name, value in fields.items() if value}
    return Event(now, kind, text, fields=fields, alarm=Alarm.PAUSED, subject=f"{_ABOUT}{place}")
