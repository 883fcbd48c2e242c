"""The part of `status` that comes from the database, as one value."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.catalogue import Catalogue
from router.catalogue.exams.files import FileKind
from router.catalogue.node.alarms import Standing
from router.catalogue.node.nodes import Absence
from router.catalogue.node.notifications import Undelivered
from router.catalogue.queue.breakers import OpenBreaker
from router.catalogue.queue.comparisons import Compared
from router.catalogue.queue.survey import SOON, DueSoon, Heartbeat, HospitalCount, Place, Reload
from router.config.hospitals import UNREGISTERED
from router.config.sections import Config
from router.policy.attention import Attention
from router.policy.pause import ALL, Pause
from router.policy.states import State
from router.review.attention import look as attention_of
from router.review.attention import of_hospitals, places_of, quarantined
from router.review.refusal_owners import quarantine_owners
from router.review.unreported import Counted, counted

_LISTED = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseStatus:
    """Destinations, deliveries at risk (of `pressing_count` the first to be due), what waits for a person, alarms.

    `hospitals` are the counts of each, the worst first; of one hospital alone where the whole is.
    """

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
    hospitals: Sequence[HospitalCount] = ()
    compared: Sequence[Compared] = ()


def look(config: Config, catalogue: Catalogue, now: datetime, hospital: str | None = None) -> DatabaseStatus:
    """Read the status from the database; of one hospital what is its alone, and what they have in common."""
    quarantine = config.node.data / "quarantine"
    owners = functools.cache(lambda: quarantine_owners(config, catalogue))
    with catalogue.engine.read():
        places, nodes = catalogue.survey.places(now, hospital), catalogue.survey.nodes()
        count, pressing = catalogue.survey.due_soon(now + SOON, _LISTED, hospital)
        tripped = [one for one in catalogue.breakers.tripped() if hospital is None or one.account in ("", hospital)]
        only = () if hospital is None else (hospital,)
        pauses = [one for one in catalogue.pauses.standing() if not only or one.hospital in (ALL, *only)]
        counts = catalogue.survey.hospitals(now, [one.name for one in config.hospital])
        return DatabaseStatus(
            at=now, places=places, tripped=tripped, pressing=pressing, pressing_count=count,
            held=_counted(places, State.HELD), failed=_counted(places, State.FAILED),
            quarantined=sum(
                hospital is None or hospital == owners().get(name, UNREGISTERED) for name in quarantined(quarantine)
            ),
            alarms=of_hospitals(catalogue, only), nodes=nodes,
            reloads=catalogue.survey.reloads([one.node for one in nodes]),
            undelivered=catalogue.notifications.undelivered(now), unreported=counted(config, catalogue, now, hospital),
            files=catalogue.exams.files.counts(), pauses=pauses,
            attention=attention_of(catalogue, places_of(config), quarantine, now, only, owners),
            absent=catalogue.nodes.absent(), hospitals=[one for one in counts if hospital in (None, one.hospital)],
            compared=[
                one for one in catalogue.comparisons.last()
                if config.destination_named(one.destination) and hospital in (None, one.hospital)
            ],
        )  # fmt: skip


def _counted(places: Sequence[Place], state: State) -> int:
    return sum(place.states.get(state, 0) for place in places)
