"""Programs that a benchmark starts, what they cost in memory and processor time, and folders for them."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_START_SECONDS = 30.0
_LOOK_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that listens."""

    port: int
    process: int


def have(program: str) -> str | None:
    """The path of a program, also where Debian puts daemons."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin")


def ours(program: str, *arguments: object) -> list[str]:
    """The command line of a program beside this file."""
    return [sys.executable, str(Path(__file__).parent / program), *map(str, arguments)]


@contextmanager
def running(command: Sequence[str], port: int, **environment: str) -> Iterator[Peer]:
    """The program, once it answers on `port`; ended with everything that it started."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    try:
        _await(port, process)
        yield Peer(port, process.pid)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def fresh(folder: Path) -> Iterator[Path]:
    """A new, empty folder in `folder`, for a time."""
    path = Path(tempfile.mkdtemp(dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path)


def family(process: int) -> list[int]:
    """The process and all that it has started, itself first."""
    found = [process]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, task.read_text(encoding="ascii").split())
    return found


def resident(processes: Sequence[int]) -> int:
    """Bytes in memory."""
    pages = [int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) for process in processes]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def busy(process: int) -> float:
    """Seconds of processor time of the process, and of those that it started, saw end and nobody else counts."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def connections(port: int) -> int:
    """How many established connections `port` of this machine has."""
    here, established = f":{port:04X}", "01"
    lines = Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return sum(1 for line in map(str.split, lines) if line[1].endswith(here) and line[3] == established)


@contextmanager
def watching(value: Callable[[], int]) -> Iterator[list[int]]:
    """The values seen meanwhile, many a second."""
    seen = [value()]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(_LOOK_SECONDS):
            seen.append(value())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


def _await(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise RuntimeError(f"nothing listens on port {port}")
