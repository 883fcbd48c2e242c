"""The one way to tell what happened. Whoever wants to know (log, metrics, alarms, audit) subscribes.

Moves of a delivery are also rows, written by the catalogue in the transaction of the move itself.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from router.clock import require_aware


class Kind(StrEnum):
    """What can happen."""

    STARTED = "started"
    CONFIGURED = "configured"
    STOPPED = "stopped"
    RELOADED = "reloaded"
    RECEIVED = "received"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    QUARANTINED = "quarantined"
    DOCUMENT = "document"
    STALE = "stale"
    JOINED = "joined"
    DOUBT = "doubt"
    MOVED = "moved"
    SENT = "sent"
    CONFIRMED = "confirmed"
    PINNED = "pinned"
    ALARM = "alarm"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened: when, what, to which thing of ours, why, by whom.

    `fields` holds UIDs, numbers and the node's own ids, never patient data.
    """

    at: datetime
    kind: Kind
    text: str
    who: str = "node"
    exam: int | None = None
    delivery: int | None = None
    study_uid: str | None = None
    fields: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_aware(self.at)


Subscriber = Callable[[Event], None]


class Journal:
    """Hands each event to every subscriber, in the order of subscription."""

    def __init__(self, *subscribers: Subscriber) -> None:
        self._subscribers = list(subscribers)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Add a subscriber; it must not raise."""
        self._subscribers.append(subscriber)

    def record(self, event: Event) -> None:
        """Tell everybody."""
        for subscriber in self._subscribers:
            subscriber(event)


_LEVELS = {Kind.ALARM: logging.ERROR, Kind.DOUBT: logging.WARNING, Kind.REFUSED: logging.WARNING,
           Kind.QUARANTINED: logging.WARNING, Kind.RECEIVED: logging.DEBUG, Kind.DUPLICATE: logging.DEBUG}  # fmt: skip


def log_event(event: Event) -> None:
    """A subscriber that writes the event to the log, one line."""
    names = {"exam": event.exam, "delivery": event.delivery, "study": event.study_uid, **event.fields}
    tail = " ".join(f"{key}={value}" for key, value in names.items() if value is not None)
    level = _LEVELS.get(event.kind, logging.INFO)
    logging.getLogger("router").log(level, "%s: %s %s", event.kind, event.text, tail)
