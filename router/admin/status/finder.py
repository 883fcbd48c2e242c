"""The finder of the running node: it asks the address in the file that the node left."""

import http.client
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from router.config.sections import Admin, Config
from router.storage.lock import is_held
from router.storage.running import ADMIN, Listener, Running, RunningFiles

_CONNECT_SECONDS = 2.0
_LARGEST = 2**20
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 compared, not bound


class Presence(StrEnum):
    """Whether the node runs."""

    RUNS = "runs"
    SILENT = "silent"
    """Its process lives and does not answer."""
    STARTS = "starts"
    """Its process lives and does not listen yet."""
    STOPPED = "stopped"
    CRASHED = "crashed"
    """It ended and left its file behind."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundNode:
    """A node as it was found. `health` is its answer to GET /health; `running` the file of its last life, if any."""

    name: str
    presence: Presence
    running: Running | None = None
    health: Mapping[str, Any] = field(default_factory=dict)

    @property
    def runs(self) -> bool:
        """Whether its process lives."""
        return self.presence in (Presence.RUNS, Presence.SILENT, Presence.STARTS)

    @property
    def receives(self) -> bool:
        """Whether it says that images can be taken."""
        return self.presence == Presence.RUNS and self.health.get("receiving") is True

    @property
    def degraded(self) -> Sequence[Mapping[str, Any]]:
        """Parts that do not work, in the node's words."""
        found = self.health.get("degraded")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    @property
    def why_not(self) -> Sequence[str]:
        """Why it takes no images, in its own words."""
        return [str(one.get("text", "")) for one in self.degraded if one.get("stops_images")]


def find_node(config: Config, config_file: Path | None = None) -> FoundNode:
    """The configuration's own node; within some seconds.

    If the file names another node by now: the node of this machine that read this file. On a shared data folder every
    machine may have its file at the same path.
    """
    running = _own_file(config, config_file)
    name = config.node.owner if running is None else running.node
    health = _ask(running, config.admin)
    if health is not None and _is_of(health, name, running):
        return FoundNode(name=name, presence=Presence.RUNS, running=running, health=health)
    lives = False
    with suppress(OSError):  # an account that may not look sees what the file says
        lives = is_held(config.node.data / "incoming" / name)
    if lives:
        presence = Presence.STARTS if running is None else Presence.SILENT
    else:
        presence = Presence.STOPPED if running is None else Presence.CRASHED
    return FoundNode(name=name, presence=presence, running=running)


def _own_file(config: Config, config_file: Path | None) -> Running | None:
    files = RunningFiles(config.node.data)
    if (own := files.read(config.node.owner)) is not None or config_file is None:
        return own
    mine, host = config_file.resolve(), socket.gethostname()
    here = (one for one in files.all() if one.configuration and one.host == host)
    return next((one for one in here if Path(one.configuration).resolve() == mine), None)


def _is_of(health: Mapping[str, Any], name: str, running: Running | None) -> bool:
    """Whether the answer comes from that node, in the life that left the file: another may have the port by now."""
    if health.get("node") != name:
        return False
    return running is None or (health.get("pid"), health.get("started")) == (running.pid, running.started)


def _ask(running: Running | None, admin: Admin) -> Mapping[str, Any] | None:
    """The answer to GET /health; None if there is none, or it is unreadable."""
    given = Listener(ADMIN, admin.host, admin.port) if running is None else running.admin
    if given is None or not given.port:
        return None
    scheme = ("https" if admin.tls else "http") if running is None else running.scheme
    connection = _connection(_LOOPBACK.get(given.host, given.host), given.port, scheme, admin)
    try:
        # By this name it answers wherever it listens.
        connection.request("GET", "/health", headers={"Host": "localhost", "Connection": "close"})
        answer = json.loads(connection.getresponse().read(_LARGEST))
    except (OSError, http.client.HTTPException, ValueError, RecursionError):
        return None
    finally:
        connection.close()
    return answer if isinstance(answer, dict) else None


def _connection(host: str, port: int, scheme: str, admin: Admin) -> http.client.HTTPConnection:
    if scheme != "https":
        return http.client.HTTPConnection(host, port, timeout=_CONNECT_SECONDS)
    # The certificate is for the names that people use. The request holds nothing secret.
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if admin.tls is not None and admin.tls.certificate is not None:
        with suppress(OSError):  # a listener with `ca` wants one
            context.load_cert_chain(admin.tls.certificate, admin.tls.key, password="")
    return http.client.HTTPSConnection(host, port, timeout=_CONNECT_SECONDS, context=context)
