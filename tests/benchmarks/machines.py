"""A machine for each node on one: a processor or a share of it, a network, and a disk for what the nodes share.

Each is taken where it can be had, which needs Linux and root; `survey` finds out, and says for the table what it is.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from processes import fresh

_OLD_GROUPS, _GROUPS = Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup")
_PERIOD = 10_000  # microseconds: short, so that a limited processor is a slow one rather than one that stands still
_NICENESS = -5
_EMPTY_SECONDS = 10.0
_PROGRAM = str(Path(__file__).with_name("apart.py"))
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """One node's. It listens at `address` and meets all others at `outside`; Python runs `there`, then a command."""

    address: str
    outside: str
    there: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The processors, and why a network, a limit or a disk cannot be had; "" where it can."""

    processors: tuple[int, ...]
    network: str
    limit: str
    disk: str

    def lines(self, nodes: int) -> list[str]:
        """A sentence for each part, for so many nodes."""
        return [
            _processors_line(len(self.processors), nodes),
            f"No share of a processor could be limited ({self.limit}): such cases are left out."
            if self.limit
            else "A share of a processor is a limit of a cgroup on the node alone, which has it before other work.",
            f"No network namespace ({self.network}): the nodes share loopback."
            if self.network
            else "Each node has a network namespace of its own; PostgreSQL is reached by a socket, not over a network.",
            f"No loop device ({self.disk}): the shared data folder lies on the disk of all else."
            if self.disk
            else "The shared data folder is a file system of its own, a loop device on the disk of all else.",
            "A node has nothing on a disk of its own: all that it keeps is in the shared data folder.",
        ]


def survey(folder: Path) -> Survey:
    """Try each part once; `folder` is on the disk to measure."""
    return Survey(
        processors=tuple(sorted(os.sched_getaffinity(0))),
        network=_obstacle(network(0)),
        limit=_obstacle(limit(0, 0.5)),
        disk=_obstacle(disk(folder, 2**26)),
    )


@contextmanager
def machines(count: int, found: Survey) -> Iterator[list[Machine]]:
    """So many, each with a processor and a network of its own as far as they go."""
    processors = found.processors
    with ExitStack() as stack:
        made = []
        for number in range(count):
            name, outside, address = "-", _LOOPBACK, _LOOPBACK
            if not found.network:
                name, outside, address = stack.enter_context(network(number))
            there = (_PROGRAM, str(processors[number % len(processors)]), name)
            made.append(Machine(address=address, outside=outside, there=there))
        yield made


@contextmanager
def aside(nodes: int, found: Survey) -> Iterator[None]:
    """This program, and what it starts, off the processors of so many nodes, where there are others; and before other
    work of the machine, where that is allowed."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICENESS)
    os.sched_setaffinity(0, found.processors[nodes:] or found.processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, found.processors)
        with suppress(PermissionError):
            os.setpriority(os.PRIO_PROCESS, 0, 0)


@contextmanager
def network(number: int) -> Iterator[tuple[str, str, str]]:
    """A namespace with one line to this one: its name, the address here, the address there."""
    name, here, there = (f"bench{os.getpid()}{letter}{number}" for letter in "nht")
    outside, address = (f"198.18.{os.getpid() % 256}.{4 * number + end}" for end in (1, 2))
    with ExitStack() as stack:
        _ip("netns", "add", name)
        stack.callback(_ip, "netns", "del", name)
        _ip("link", "add", here, "type", "veth", "peer", "name", there, "netns", name)
        stack.callback(_ip, "link", "del", here)
        _ip("addr", "add", f"{outside}/30", "dev", here)
        _ip("link", "set", here, "up")
        _ip("-n", name, "addr", "add", f"{address}/30", "dev", there)
        _ip("-n", name, "link", "set", there, "up")
        _ip("-n", name, "link", "set", "lo", "up")
        yield name, outside, address


@contextmanager
def limit(number: int, processors: float) -> Iterator[Path]:
    """A control group whose processes get so much of one processor, before others; they are written into the file."""
    quota = round(processors * _PERIOD)
    if (_OLD_GROUPS / "cpu.cfs_quota_us").exists():
        group = _OLD_GROUPS / f"bench-{os.getpid()}-{number}"
        settings = {"cpu.cfs_period_us": str(_PERIOD), "cpu.cfs_quota_us": str(quota), "cpu.shares": "102400"}
    else:
        (_GROUPS / "cgroup.subtree_control").write_text("+cpu", encoding="ascii")
        group = _GROUPS / f"bench-{os.getpid()}-{number}"
        settings = {"cpu.max": f"{quota} {_PERIOD}", "cpu.weight": "10000"}
    group.mkdir()
    try:
        for file, value in settings.items():
            (group / file).write_text(value, encoding="ascii")
        yield group / "cgroup.procs"
    finally:
        _remove(group)


@contextmanager
def disk(folder: Path, size: int) -> Iterator[Path]:
    """An empty ext4 of its own, in a file in `folder`: where it is mounted."""
    with fresh(folder) as own, ExitStack() as stack:
        image, place = own / "disk", own / "mounted"
        with image.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, size)
        place.mkdir()
        _call("mkfs.ext4", "-q", str(image))
        _call("mount", "-o", "loop", str(image), str(place))
        stack.callback(_call, "umount", str(place))
        yield place


def into(group: Path, processes: Sequence[int]) -> None:
    """Have the control group's limit apply to these processes."""
    for process in processes:
        group.write_text(str(process), encoding="ascii")


def _processors_line(processors: int, nodes: int) -> str:
    if processors > nodes:
        return f"{processors} processors: one for each node, the rest for senders, receiver and PostgreSQL."
    return f"{processors} processor(s): senders, receiver and PostgreSQL share them with the nodes."


def _obstacle(part: AbstractContextManager[object]) -> str:
    try:
        with part:
            return ""
    except subprocess.CalledProcessError as error:
        return (error.stderr.strip() or f"{error.cmd[0]} failed").splitlines()[0]
    except OSError as error:
        return f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)


def _remove(group: Path) -> None:
    """A group with processes in it, also such that are ending, cannot go yet."""
    until = time.monotonic() + _EMPTY_SECONDS
    while True:
        try:
            group.rmdir()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def _ip(*arguments: str) -> None:
    _call("ip", *arguments)


def _call(*command: str) -> None:
    subprocess.run(command, capture_output=True, text=True, check=True)
