"""The node's status as one value: its own answer, its data folder, and its database."""

import shutil
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from router.admin.status.finder import FoundNode, Presence, find_node
from router.admin.status.patience import within
from router.catalogue import open_catalogue
from router.catalogue.node.restore import has_database
from router.clock import SharedClock, SystemClock
from router.config.file import ConfigFile, load
from router.config.salvage import salvage
from router.config.sections import Config
from router.errors import ConfigurationError, RouterError, TransientError
from router.events import EventBus
from router.review.database_status import DatabaseStatus, look
from router.storage.incoming import count_in as incoming_in
from router.storage.quarantine import count_in as quarantined_in

_LISTEN_SECONDS = 0.2
_DATABASE_SECONDS = 5.0
_FOLDER_SECONDS = 2.0
_NODE_SECONDS = 8.0
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Listening:
    """A listener; `up` is None if the system picks the port and no node says which."""

    name: str
    host: str
    port: int
    up: bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """The data folder: `free` and `size` of its volume in bytes; files in incoming/ and quarantine/."""

    free: int
    size: int
    incoming: int
    quarantined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A configuration file as a command reads it; with `faults`, as much of it as is readable."""

    file: ConfigFile
    config: Config
    faults: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeStatus:
    """Everything that `status` shows. `folder` or `database` may be None; `notes` then say why."""

    at: datetime
    node: FoundNode
    listeners: Sequence[Listening]
    min_free: int
    folder: Folder | None
    database: DatabaseStatus | None
    notes: Sequence[str]


def read_configuration(path: Path) -> Asked:
    """The file as it is, faults or not."""
    file = ConfigFile.of(path)
    try:
        return Asked(file=file, config=load(path))
    except ConfigurationError as error:
        return Asked(file=file, config=salvage(path), faults=" ".join(str(error).split()))


def node_status(asked: Asked, now: datetime, hospital: str | None = None) -> NodeStatus:
    """Ask the node, its data folder and the database, each within some seconds; for one hospital what is its."""
    config = asked.config
    notes: list[str] = []
    node = _noted(notes, lambda: within(_NODE_SECONDS, "the node", lambda: find_node(config, asked.file.path)))
    node = node or FoundNode(name=config.node.owner, presence=Presence.UNKNOWN)
    notes += _on_the_file(asked, node)
    folder = _noted(notes, lambda: within(_FOLDER_SECONDS, "the data folder", lambda: _folder(config.node.data)))
    database = _noted(
        notes, lambda: within(_DATABASE_SECONDS, "the database", lambda: _database(config, now, hospital))
    )
    if hospital is not None and folder is not None and database is not None:
        folder = replace(folder, quarantined=database.quarantined)  # those of the hospital
    given = node.health.get("min_free_bytes")
    return NodeStatus(
        at=now, node=node, listeners=_listeners(config, node), folder=folder, database=database, notes=notes,
        min_free=given if isinstance(given, int) else config.receive.min_free,
    )  # fmt: skip


def waits_for_a_person(found: NodeStatus) -> bool:
    """Whether something waits that only a person can settle; true if the database does not answer."""
    return found.database is None or bool(found.database.attention)


def _on_the_file(asked: Asked, node: FoundNode) -> list[str]:
    if asked.faults and node.runs:
        return [f"The configuration has faults; the node goes on with what it read before: {asked.faults}"]
    if asked.faults:
        return [f"The configuration has faults; the node cannot start with it: {asked.faults}"]
    read_by = node.running if node.presence == Presence.RUNS else None
    if read_by is None or not read_by.digest or read_by.digest == asked.file.digest:
        return []
    if Path(read_by.configuration).resolve() != asked.file.path.resolve():
        return [f"The node reads another configuration file: {read_by.configuration}"]
    text = "The configuration file was changed since the node read it: `systemctl reload imaging-cloud-router` applies"
    return [f"{text} what can be applied while the node runs"]


def _noted(notes: list[str], ask: Callable[[], _T]) -> _T | None:
    """The answer; None if there is none, with the reason in the notes."""
    try:
        return ask()
    except RouterError as error:
        notes.append(" ".join(str(error).split()))
    return None


def _database(config: Config, now: datetime, hospital: str | None) -> DatabaseStatus:
    if not config.database.url and not has_database(config.node.data):
        raise TransientError(f"the database is missing: {config.node.data / 'router.db'} is not there, or is empty")
    catalogue = open_catalogue(config.database.url, config.node.data, EventBus())
    try:
        clock = SharedClock(SystemClock())
        catalogue.nodes.set_clock(clock)
        return look(config, catalogue, now - clock.ahead, hospital)
    finally:
        catalogue.engine.close_thread()


def _folder(data: Path) -> Folder:
    disk = shutil.disk_usage(data)
    return Folder(
        free=disk.free, size=disk.total, incoming=incoming_in(data / "incoming"),
        quarantined=quarantined_in(data / "quarantine"),
    )  # fmt: skip


def _listeners(config: Config, node: FoundNode) -> list[Listening]:
    if node.running is not None:
        found = [(one.name, one.host, one.port) for one in node.running.listeners]
    else:
        receive, admin, hl7 = config.receive, config.admin, config.reports.hl7
        found = [("DICOM", receive.host, receive.port), ("admin", admin.host, admin.port)]
        found += [("HL7", hl7.host, hl7.port)] if hl7 else []
    return [Listening(name, host, port, _listens(host, port) if port else None) for name, host, port in found]


def _listens(host: str, port: int) -> bool:
    """Whether something listens there; a wildcard address is asked on loopback."""
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 compared, not bound
    try:
        socket.create_connection((address, port), _LISTEN_SECONDS).close()
    except OSError:
        return False
    return True
