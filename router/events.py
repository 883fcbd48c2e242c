"""Events, and the bus that hands them to subscribers: log, metrics, alarms, audit.

Moves of a delivery are also rows, written by the catalogue in the transaction of the move itself.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from router.alarms import REMEDY, Alarm
from router.clock import require_aware
from router.refusals import Refusal, Refusals


class Kind(StrEnum):
    """Kinds of events."""

    STARTED = "started"
    CONFIGURED = "configured"
    STOPPED = "stopped"
    RELOADED = "reloaded"
    RECEIVED = "received"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    IRREGULAR = "irregular"
    DOCUMENT = "document"
    STALE = "stale"
    JOINED = "joined"
    DECIDED = "decided"
    VIEWED = "viewed"
    LOGGED_IN = "logged in"
    LOGGED_OUT = "logged out"
    USER = "user"
    DOUBT = "doubt"
    MOVED = "moved"
    SELECTED = "selected"
    SENT = "sent"
    CONFIRMED = "confirmed"
    ASKED = "asked"
    PURGED = "purged"
    PINNED = "pinned"
    REPORTED = "reported"
    ALARM = "alarm"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its time, kind, text and author, and the exam, delivery or study that it concerns.

    `fields` holds UIDs, numbers and the node's own ids, never patient data: `hospital` is the name of the one whose it
    is, where there are several. An event that raises or clears an alarm
    has its kind (`alarm`) and its subject ("destination beijing", "e12").
    """

    at: datetime
    kind: Kind
    text: str
    _: KW_ONLY
    who: str = "node"
    exam: int | None = None
    delivery: int | None = None
    study_uid: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)
    alarm: Alarm | None = None
    subject: str = ""

    def __post_init__(self) -> None:
        require_aware(self.at)
        if (self.kind in (Kind.ALARM, Kind.CLEARED)) != (self.alarm is not None):
            raise ValueError(f"an event of kind {self.kind} with the alarm {self.alarm}")


Subscriber = Callable[[Event], None]


class EventBus:
    """Hands each event to every subscriber, in the order of subscription.

    An alarm may be recorded as often as its cause is seen: subscribers get it once, until it is cleared. They get the
    first refusal of a peer; `tell_counted` hands over the number of further ones, once a minute.
    """

    def __init__(self, *subscribers: Subscriber) -> None:
        self._subscribers = list(subscribers)
        self._is_news: Callable[[Event], bool] = lambda _: True
        self._whose: Callable[[int], str] = lambda _: ""
        self._refusals = Refusals()

    def guard(self, is_news: Callable[[Event], bool]) -> None:
        """Hand over an event that raises or clears an alarm only where `is_news` says so."""
        self._is_news = is_news

    def name_hospitals(self, whose: Callable[[int], str]) -> None:
        """Give events about an exam the field `hospital`: `whose` says which by its number, "" for no field."""
        self._whose = whose

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber; it must not raise."""
        self._subscribers.append(subscriber)

    def record(self, event: Event) -> None:
        """Hand the event to every subscriber, unless it is no news."""
        if event.exam is not None and "hospital" not in event.fields and (name := self._whose(event.exam)):
            event = replace(event, fields={**event.fields, "hospital": name})
        if event.alarm is not None and not self._is_news(event):
            return
        address = event.fields.get("address")
        if event.kind == Kind.REFUSED and address:  # a peer is refused, not a file of the drop folder
            refusal = Refusal(str(address), str(event.fields.get("calling_ae", "")), event.text)
            if not self._refusals.is_news(refusal, event.at):
                return
        self._tell(event)

    def tell_counted(self, now: datetime, *, all_of_them: bool = False) -> None:
        """Hand over the number of refusals of each peer in the minute that is over, or with `all_of_them` so far."""
        for flood in self._refusals.over(now, all_of_them=all_of_them):
            name: dict[str, object] = {"calling_ae": flood.name} if flood.name else {}
            fields = {**name, "address": flood.address, "count": flood.count}
            self._tell(Event(now, Kind.REFUSED, str(flood), fields=fields))

    def _tell(self, event: Event) -> None:
        for subscriber in self._subscribers:
            subscriber(event)


_LEVELS = {
    Kind.ALARM: logging.ERROR,
    **dict.fromkeys((Kind.CLEARED, Kind.DOUBT, Kind.REFUSED, Kind.QUARANTINED, Kind.IRREGULAR), logging.WARNING),
    **dict.fromkeys((Kind.RECEIVED, Kind.DUPLICATE, Kind.SELECTED, Kind.SENT), logging.DEBUG),
}


def log_event(event: Event) -> None:
    """Subscriber that writes the event to the log, one line."""
    names = {
        "alarm": event.alarm,
        "of": event.subject or None,
        "exam": None if event.exam is None else f"e{event.exam}",
        "delivery": None if event.delivery is None else f"d{event.delivery}",
        "study": event.study_uid,
        **event.fields,
    }
    todo = f" ({REMEDY[event.alarm]})" if event.alarm and event.kind == Kind.ALARM else ""
    tail = "".join(f" {key}={value}" for key, value in names.items() if value is not None)
    level = _LEVELS.get(event.kind, logging.INFO)
    logging.getLogger("router").log(level, "%s: %s%s%s", event.kind, event.text, todo, tail)
