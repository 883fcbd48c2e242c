"""The part of `status` that comes from the database, as one value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.catalogue import Catalogue
from router.catalogue.exams.files import FileKind
from router.catalogue.node.alarms import Standing
from router.catalogue.node.nodes import Absence
from router.catalogue.node.notifications import Undelivered
from router.catalogue.queue.breakers import OpenBreaker
from router.catalogue.queue.comparisons import Compared
from router.catalogue.queue.survey import DueSoon, Heartbeat, Place, Reload
from router.config.sections import Config
from router.policy.attention import Attention
from router.policy.pause import Pause
from router.policy.states import State
from router.review.attention import look as attention_of
from router.review.attention import places_of, quarantined
from router.review.unreported import Counted, counted

_SOON = timedelta(minutes=30)  # half of the report's budget (DB11 5.3.2)
_LISTED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStatus:
    """Destinations, deliveries at risk (of `pressing_count` the first to be due), what waits for a person, alarms."""

    at: datetime
    places: Sequence[Place]
    tripped: Sequence[OpenBreaker]
    pressing: Sequence[DueSoon]
    pressing_count: int
    held: int
    failed: int
    quarantined: int
    alarms: Sequence[Standing]
    nodes: Sequence[Heartbeat]
    reloads: Sequence[Reload]
    undelivered: Sequence[Undelivered]
    unreported: Counted
    files: Mapping[FileKind, int]
    pauses: Sequence[Pause] = ()
    attention: Sequence[Attention] = ()
    absent: Sequence[Absence] = ()
    compared: Sequence[Compared] = ()


def look(config: Config, catalogue: Catalogue, now: datetime) -> DatabaseStatus:
    """Read the status from the database."""
    quarantine = config.node.data / "quarantine"
    with catalogue.engine.read():
        places, nodes = catalogue.survey.places(now), catalogue.survey.nodes()
        count, pressing = catalogue.survey.due_soon(now + _SOON, _LISTED)
        return DatabaseStatus(
            at=now, places=places, tripped=catalogue.breakers.tripped(), pressing=pressing, pressing_count=count,
            held=_counted(places, State.HELD), failed=_counted(places, State.FAILED),
            quarantined=len(quarantined(quarantine)), alarms=catalogue.alarms.standing(), nodes=nodes,
            reloads=catalogue.survey.reloads([one.node for one in nodes]),
            undelivered=catalogue.notifications.undelivered(now), unreported=counted(config, catalogue, now),
            files=catalogue.exams.files.counts(), pauses=catalogue.pauses.standing(),
            attention=attention_of(catalogue, places_of(config), quarantine, now), absent=catalogue.nodes.absent(),
            compared=[one for one in catalogue.comparisons.last() if config.destination_named(one.destination)],
        )  # fmt: skip


def _counted(places: Sequence[Place], state: State) -> int:
    return sum(place.states.get(state, 0) for place in places)
