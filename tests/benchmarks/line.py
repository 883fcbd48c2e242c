"""A long line in user space: connections through it share its rate, and everything arrives after its delay."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Queue

ROUND_TRIP = 0.02
RATE = 100e6 / 8
"""Seconds, and bytes a second each way: 20 ms and 100 Mbit/s."""

_PIECE = 2**14
_UNDER_WAY = 64  # pieces of a connection that are on the line: more than its rate and delay need
_AHEAD = 0.004  # seconds: what waits at its entry, so that a late thread leaves no gap
_WINDOW = 2**18  # bytes that a sender may have sent and the line not taken yet


@dataclass(slots=True)
class _Way:
    """One direction; `free_at` is when all that was let in has gone, on the monotonic clock."""

    rate: float
    lock: threading.Lock
    free_at: float = 0.0

    def enter(self, size: int) -> float:
        """When the last of so many bytes goes."""
        with self.lock:
            self.free_at = max(self.free_at, time.monotonic()) + size / self.rate
            return self.free_at


@contextmanager
def line(target: int, round_trip: float = ROUND_TRIP, rate: float = RATE) -> Iterator[int]:
    """A port that leads to `target` over the line."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=64)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
    ways = [_Way(rate, threading.Lock()) for _ in range(2)]
    threading.Thread(target=_accept, args=(listener, target, round_trip / 2, ways), daemon=True).start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _accept(listener: socket.socket, target: int, delay: float, ways: list[_Way]) -> None:
    with suppress(OSError):
        while True:
            threading.Thread(target=_carry, args=(listener.accept()[0], target, delay, ways), daemon=True).start()


def _carry(near: socket.socket, target: int, delay: float, ways: list[_Way]) -> None:
    """Both directions of a connection, which is made after the round trip that it takes."""
    time.sleep(2 * delay)
    with near, socket.create_connection(("127.0.0.1", target)) as far:
        for end in (near, far):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        carrying = [
            threading.Thread(target=_one_way, args=(*ends, delay, way), daemon=True)
            for ends, way in zip(((near, far), (far, near)), ways, strict=True)
        ]
        for one in carrying:
            one.start()
        for one in carrying:
            one.join()


def _one_way(source: socket.socket, sink: socket.socket, delay: float, way: _Way) -> None:
    queue: Queue[tuple[float, bytes]] = Queue(_UNDER_WAY)
    arriving = threading.Thread(target=_arrive, args=(queue, sink), daemon=True)
    arriving.start()
    data = b"."
    while data:
        with suppress(OSError):
            source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        try:
            data = source.recv(_PIECE)
        except OSError:
            data = b""
        gone = way.enter(len(data))
        queue.put((gone + delay, data))
        time.sleep(max(gone - time.monotonic() - _AHEAD, 0))
    arriving.join()


def _arrive(queue: Queue[tuple[float, bytes]], sink: socket.socket) -> None:
    data = b"."
    while data:
        at, data = queue.get()
        time.sleep(max(at - time.monotonic(), 0))
        with suppress(OSError):
            sink.sendall(data) if data else sink.shutdown(socket.SHUT_WR)
