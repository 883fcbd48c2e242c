"""How the node stands, as one value: what `status` shows."""

import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.attention import Attention
from router.catalogue import Catalogue
from router.catalogue.alarms import Standing
from router.catalogue.breakers import Tripped
from router.catalogue.survey import Place, Pressing, Reload, Sign
from router.config import Config
from router.flow.attention import look as attention_of
from router.flow.attention import places_of, quarantined
from router.states import State

_SOON = timedelta(minutes=30)  # half of the report's budget (DB11 5.3.2)
_LISTED = 10
_LISTEN_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener of the configuration; `up` is None where the system picks the port, which only the node knows."""

    name: str
    host: str
    port: int
    up: bool | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """Everything that `status` shows. `pressing` holds the first of `pressing_count`, by due time."""

    at: datetime
    listeners: Sequence[Listener]
    free: int
    size: int
    min_free: int
    places: Sequence[Place]
    tripped: Sequence[Tripped]
    pressing: Sequence[Pressing]
    pressing_count: int
    held: int
    failed: int
    quarantined: int
    alarms: Sequence[Standing]
    nodes: Sequence[Sign]
    reloads: Sequence[Reload]
    attention: Sequence[Attention] = ()

    @property
    def receiving(self) -> bool:
        """Whether there is room for images."""
        return self.free > self.min_free


def look(config: Config, catalogue: Catalogue, now: datetime) -> Outlook:
    """Ask the database, the disk and the listeners."""
    with catalogue.engine.read():
        places, tripped = catalogue.survey.places(now), catalogue.breakers.tripped()
        count, pressing = catalogue.survey.pressing(now + _SOON, _LISTED)
        attention = attention_of(catalogue, places_of(config), config.node.data / "quarantine", now)
        alarms, nodes = catalogue.alarms.standing(), catalogue.survey.nodes()
        reloads = catalogue.survey.reloads([sign.node for sign in nodes])
    disk, quarantine = shutil.disk_usage(config.node.data), config.node.data / "quarantine"
    return Outlook(
        now, _listeners(config), disk.free, disk.total, config.receive.min_free, places, tripped,
        pressing, count,
        _counted(places, State.HELD), _counted(places, State.FAILED),
        len(quarantined(quarantine)), alarms, nodes, reloads, attention,
    )  # fmt: skip


def _counted(places: Sequence[Place], state: State) -> int:
    return sum(place.states.get(state, 0) for place in places)


def _listeners(config: Config) -> list[Listener]:
    receive, admin, hl7 = config.receive, config.admin, config.reports.hl7
    found = [("DICOM", receive.host, receive.port), ("admin", admin.host, admin.port)]
    found += [("HL7", hl7.host, hl7.port)] if hl7 else []
    return [Listener(name, host, port, _listens(host, port) if port else None) for name, host, port in found]


def _listens(host: str, port: int) -> bool:
    """A connection to the wildcard address is one to this machine."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 compared, not bound
    try:
        socket.create_connection((address, port), _LISTEN_SECONDS).close()
    except OSError:
        return False
    return True
