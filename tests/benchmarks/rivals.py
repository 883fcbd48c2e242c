"""Receivers and senders to compare: ours, DCMTK, Orthanc, pynetdicom. Each starts anew, with an empty folder."""

import itertools
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

HERE = Path(__file__).parent
LARGE_PDU = 131072

Receiver = Callable[[Path], AbstractContextManager[int]]
_folders = itertools.count(1)


def have(program: str) -> str | None:
    """The path of a program, also where Debian puts daemons."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin")


@contextmanager
def running(command: Sequence[str], port: int, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """The program, once it answers on `port`; ended with everything that it started."""
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, **environment}
    )
    try:
        _await(port)
        yield process
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


def fresh(folder: Path) -> Path:
    """A new, empty folder in `folder`."""
    path = folder / f"run{next(_folders)}"
    path.mkdir(parents=True)
    return path


def ours(workers: int, max_pdu: int = LARGE_PDU) -> Receiver:
    """This node's Storage SCP with so many worker processes; 0: threads of one process."""

    @contextmanager
    def start(folder: Path) -> Iterator[int]:
        port = free_port()
        with running(_program("ours", folder, port, workers, max_pdu), port):
            time.sleep(1.5 if workers else 0)  # until every worker is up
            yield port

    return start


def storescp(*options: str) -> Receiver:
    """DCMTK's; it never syncs."""

    @contextmanager
    def start(folder: Path) -> Iterator[int]:
        port = free_port()
        environment = {"TCP_NODELAY": "1"} if options else {}
        with running(["storescp", "-od", str(folder), *options, str(port)], port, **environment):
            yield port

    return start


def orthanc(*, sync: bool) -> Receiver:
    """Orthanc with or without SyncStorageArea."""

    @contextmanager
    def start(folder: Path) -> Iterator[int]:
        port = free_port()
        configuration = {
            "StorageDirectory": str(folder), "IndexDirectory": str(folder), "DicomPort": port, "HttpPort": free_port(),
            "SyncStorageArea": sync, "DicomAlwaysAllowStore": True, "DicomCheckCalledAet": False, "Plugins": [],
            "UnknownSopClassAccepted": True,
        }  # fmt: skip
        file = folder / "orthanc.json"
        file.write_text(json.dumps(configuration), encoding="utf-8")
        with running([have("Orthanc") or "Orthanc", str(file)], port):
            yield port

    return start


def pynetdicom(*, durable: bool, max_pdu: int) -> Receiver:
    """pynetdicom's own service loop; the raw bytes to a file, synced or not."""

    @contextmanager
    def start(folder: Path) -> Iterator[int]:
        port = free_port()
        name = "durable" if durable else "unsynced"
        with running(_program(name, folder, port, 0, max_pdu), port):
            yield port

    return start


def storescu(port: int, groups: Sequence[Path], *, nagle: bool = False, pdu: int = LARGE_PDU) -> float:
    """Send each folder over an association of its own, all at once; the seconds until the last has ended."""
    environment = {**os.environ, "TCP_NODELAY": "0"} if nagle else {**os.environ, "TCP_NODELAY": "1"}
    if nagle:
        del environment["TCP_NODELAY"]
    began = time.perf_counter()
    processes = [
        subprocess.Popen(
            ["storescu", "-R", "+sd", "--max-pdu", str(pdu), "-aec", "ANY-SCP", "127.0.0.1", str(port), str(group)],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment,
        )
        for group in groups
    ]  # fmt: skip
    errors = [process.communicate()[1] for process in processes]
    seconds = time.perf_counter() - began
    if any(process.returncode for process in processes) or any(b"Error" in error for error in errors):
        raise RuntimeError(f"sending failed: {errors}")
    return seconds


def _program(*arguments: object) -> list[str]:
    return [sys.executable, str(HERE / "receiver.py"), *map(str, arguments)]


def _await(port: int) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port}")
