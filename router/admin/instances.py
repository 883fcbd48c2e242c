"""Instances: the nodes that are installed on this machine, found by their commands on PATH.

Each has program, configuration, data, account and ports of its own. The command of the node without a name is
`imaging-cloud-router`, that of instance NAME `imaging-cloud-router@NAME`.
"""

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from router.admin.installation import COMMAND, ON_PATH, Site, below, configured
from router.config.file import shipped
from router.config.folders import drop_folders, hl7_ports
from router.config.salvage import salvage, salvaged
from router.config.sections import Config
from router.errors import ConfigurationError

_CONFIG = re.compile(r"\bROUTER_CONFIG=(?P<path>[^\n]+)$", re.MULTILINE)  # as `install` writes it
_LAST = 65535


@dataclass(frozen=True, slots=True)
class Instance:
    """A node of this machine: `name` is "" for the one without; `command` is its file on PATH."""

    name: str
    command: Path
    config: Path


def installed(root: Path = Path("/")) -> list[Instance]:
    """The nodes of the machine whose files are below `root`, the one without a name first."""
    found = (_instance(path, root) for path in sorted(below(root, ON_PATH.parent).glob(f"{COMMAND}*")))
    return [one for one in found if one is not None]


def _instance(command: Path, root: Path) -> Instance | None:
    name = command.name.removeprefix(COMMAND)
    with suppress(OSError, ValueError):  # not a command that `install` wrote
        written = _CONFIG.search(command.read_text(encoding="utf-8"))
        if written is not None and (not name or name.startswith("@")):
            return Instance(name[1:], command, below(root, Path(shlex.split(written["path"])[0])))
    return None


def ports_of(config: Config) -> dict[int, str]:
    """The ports that a node takes, each with what it is for; those that the system picks are left out."""
    receive, admin = ("[receive]", config.receive.port), ("[admin]", config.admin.port)
    own = ((one.section, one.at.port) for one in hl7_ports(config))
    return {port: section for section, port in (receive, admin, *own) if port}


def require_apart(site: Site, root: Path = Path("/")) -> None:
    """ConfigurationError where the site's configuration, there or to be written, has a port or folder of another
    instance."""
    mine, others = _of_site(site, root), _others(site, root)
    folders, ports = dict(_folders(mine)), ports_of(mine)
    for name, other in others.items():
        for folder, key in _folders(other):
            if folder in folders:
                raise ConfigurationError(
                    f"{folder} is {key} of {name} on this machine", hint="give each instance a folder of its own"
                )
    taken = {port: name for name, other in others.items() for port in ports_of(other)}
    for port, section in ports.items():
        if port in taken:
            free = next(one for one in range(port + 1, _LAST) if one not in taken and one not in ports)
            raise ConfigurationError(
                f"port {port} of {section} is taken by {taken[port]} on this machine",
                hint=f"choose another, for instance {free}: --port for images, --admin-port for the console",
            )


def free_port(usual: int, root: Path = Path("/")) -> int:
    """The first port from the usual one on that no node of this machine has."""
    taken = {port for one in installed(root) if one.config.exists() for port in ports_of(salvage(one.config))}
    return next(port for port in range(usual, _LAST) if port not in taken)


def _folders(config: Config) -> Iterator[tuple[Path, str]]:
    """Folders that belong to one node alone, each with its key."""
    yield config.node.data, "[node] data"
    yield from ((at.path, "[reports] folder") for at in drop_folders(config) if at.used)


def _of_site(site: Site, root: Path) -> Config:
    """The site's configuration as it is there, else as it will be written."""
    there = below(root, site.config)
    if there.exists():
        return salvage(there)
    return salvaged(configured(shipped("router.toml").read_text(encoding="utf-8"), site), base=site.settings)


def _others(site: Site, root: Path) -> dict[str, Config]:
    """The configurations of the other instances by their commands."""
    found = (one for one in installed(root) if one.command.name != site.on_path.name)
    return {one.command.name: salvage(one.config) for one in found if one.config.exists()}
