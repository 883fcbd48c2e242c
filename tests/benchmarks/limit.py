"""The machine's limit: the bytes of the same files through loopback into one file, by the simplest loop."""

import os
import socket
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from measure import Case, Run, Timing
from processes import fresh

LIMIT = "limit: loopback, one file"
DURABLE_LIMIT = f"{LIMIT}, one fsync"
RELAYED_LIMIT = f"{DURABLE_LIMIT}, and on through loopback into another"
_CHUNK = 2**18  # bytes; they stay in the processor's cache, which is why this is faster than sendfile


def limit(run: Run, groups: Sequence[Path], *, durable: bool = False, relayed: bool = False) -> Case:
    """A connection and a file for each folder, all at once.

    `durable`: with an fsync at the end; `relayed`: each piece also goes on, into a second file that is not synced.
    """

    @contextmanager
    def case() -> Iterator[Timing]:
        with fresh(run.folder) as folder:
            yield lambda: _through(groups, folder, durable=durable, relayed=relayed)

    return case


def _through(groups: Sequence[Path], folder: Path, *, durable: bool, relayed: bool) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(3 * len(groups)) as pool:
        working: list[Future[None]] = []
        for number, group in enumerate(groups):
            sender, receiver = _connection()
            onward, cloud = _connection() if relayed else (None, None)
            working.append(pool.submit(_send, sender, group))
            working.append(pool.submit(_receive, receiver, folder / str(number), onward, durable=durable))
            if cloud:
                working.append(pool.submit(_receive, cloud, folder / f"{number} sent", None, durable=False))
        for each in working:
            each.result()
    seconds = time.perf_counter() - began
    if sum(map(_size, folder.iterdir())) != (1 + relayed) * sum(_size(path) for at in groups for path in at.iterdir()):
        raise RuntimeError("not every byte has arrived")
    return seconds


def _connection() -> tuple[socket.socket, socket.socket]:
    """Both ends of a connection through loopback."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        here = socket.create_connection(server.getsockname())
        return here, server.accept()[0]


def _size(path: Path) -> int:
    return path.stat().st_size


def _send(connection: socket.socket, group: Path) -> None:
    room = memoryview(bytearray(_CHUNK))
    with connection:
        for path in group.iterdir():
            with path.open("rb", buffering=0) as file:
                while got := file.readinto(room):
                    connection.sendall(room[:got])


def _receive(connection: socket.socket, path: Path, onward: socket.socket | None, *, durable: bool) -> None:
    room = memoryview(bytearray(_CHUNK))
    with connection, path.open("wb", buffering=0) as file:
        while got := connection.recv_into(room):
            file.write(room[:got])
            if onward:
                onward.sendall(room[:got])
        if onward:
            onward.close()
        if durable:
            os.fsync(file.fileno())
