"""running/<node>.json: where a running node listens, for the commands on its data folder.

A crash leaves the file behind, so it proves nothing: a reader asks the node at the address that it names.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from router.storage.durable import write

ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Listener:
    """A listener and the real address that it has."""

    name: str
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A node in one life, from its start to its end. `pid` and `started` tell one life from another.

    `listeners` have the real ports; `admin` among them answers by `scheme`, http or https. `digest` is of the bytes
    of the file `configuration` as the node last read them, in hex digits; both are "" where there was no file. `host`
    is the name of the machine, on which that file is; "" where a former version left the word.
    """

    node: str
    pid: int
    started: str
    listeners: Sequence[Listener]
    scheme: str
    configuration: str
    digest: str
    host: str = ""

    @property
    def admin(self) -> Listener | None:
        """The administrator's listener, which answers GET /health."""
        return next((one for one in self.listeners if one.name == ADMIN), None)


class RunningFiles:
    """The files of all nodes on this data folder."""

    def __init__(self, data: Path) -> None:
        self._folder = data / "running"

    def write(self, running: Running) -> None:
        """Leave the file, in the place of a former one; OSError when the disk does not take it."""
        write(self._path(running.node), json.dumps(asdict(running), ensure_ascii=False, indent=1).encode())

    def remove(self, node: str) -> None:
        """Remove the node's file, also one that another process left."""
        self._path(node).unlink(missing_ok=True)

    def read(self, node: str) -> Running | None:
        """The file of the node; None where there is none, or none that reads."""
        return _read(self._path(node))

    def all(self) -> list[Running]:
        """Every file that reads, by the node's name."""
        found = (_read(path) for path in sorted(self._folder.glob("*.json")))
        return [one for one in found if one is not None]

    def _path(self, node: str) -> Path:
        return self._folder / f"{node}.json"


def _read(path: Path) -> Running | None:
    try:
        found = json.loads(path.read_bytes())
        listeners = tuple(Listener(str(one["name"]), str(one["host"]), int(one["port"])) for one in found["listeners"])
        texts = {name: str(found[name]) for name in ("node", "started", "scheme", "configuration", "digest")}
        return Running(pid=int(found["pid"]), listeners=listeners, host=str(found.get("host", "")), **texts)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None
