"""Pending connections, before a request: one thread for all, so that slow clients block none.

A request goes to a thread when its head, and its form if it is one, are whole. Until then the connection has a place;
the places of an address are limited. When none is free, the connection that has waited longest is dropped.
"""

import logging
import re
import selectors
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from router.errors import traceback_of
from router.web.stream import Stream

_LENGTH = re.compile(rb"^content-length:[ \t]*(\d{1,9})[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
_CHUNKED = re.compile(rb"^transfer-encoding:", re.IGNORECASE | re.MULTILINE)
_LINGER_SECONDS = 2.0
_LOOK_SECONDS = 0.25
_log = logging.getLogger("router")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a server. Times in seconds: `head` until a request's head has come (and its form, of `form` bytes
    at most), `request` for the rest of it, `idle` until the next one begins, `patience` for a peer that keeps a thread
    which others need. `places` is the number of connections in all, `places_of_one` of one address.
    """

    threads: int = 12
    head: float = 10.0
    request: float = 30.0
    idle: float = 15.0
    patience: float = 0.5
    places: int = 256
    places_of_one: int = 64
    largest_head: int = 16384
    form: int = 0


class PendingConnection(Protocol):
    """A connection: `used` after its first request; `over` when nothing more will be answered.

    Closing at once on that would lose the last answer (RFC 9112 9.6).
    """

    socket: socket.socket
    stream: Stream
    address: str
    used: bool
    over: bool

    def close(self) -> None:
        """End the connection; never raises."""


def is_whole(held: bytes | bytearray, limits: Limits) -> bool:
    """Whether a request can be answered by now, be it with an error."""
    end = held.find(b"\n\r\n")
    end = end + 3 if end >= 0 else held.find(b"\n\n") + 2  # bare line feeds are answered by what is wrong
    if end < 2:
        return len(held) >= limits.largest_head
    found = _LENGTH.search(held, 0, end)
    length = int(found[1]) if found is not None else 0
    return length > limits.form or _CHUNKED.search(held, 0, end) is not None or len(held) - end >= length


class PendingConnections:
    """`ready` gets each connection whose request is whole; `needed` tells whether requests wait for a thread."""

    def __init__(self, limits: Limits, ready: Callable[[PendingConnection], None], needed: Callable[[], bool]) -> None:
        self._limits = limits
        self._ready = ready
        self._needed = needed
        self._lock = threading.Lock()
        self._arriving: list[PendingConnection] = []
        self._waiting: dict[PendingConnection, float] = {}  # until when; the one that waits for longest first
        self._busy: set[PendingConnection] = set()
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="http-pending", daemon=True)

    def open(self) -> None:
        """Begin. RuntimeError if the system gives no thread."""
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread.start()

    def enter(self, connection: PendingConnection) -> None:
        """Add a connection from which a request is expected, the first or a further one."""
        with self._lock:
            self._busy.discard(connection)
            if not self._closing:
                self._arriving.append(connection)
        if self._closing:
            connection.close()
        else:
            self._ring()

    def leave(self, connection: PendingConnection) -> None:
        """Forget a connection that is over."""
        with self._lock:
            self._busy.discard(connection)

    def close(self) -> None:
        """End, with every connection that waits."""
        self._closing = True
        self._ring()
        self._thread.join()
        for connection in [*self._waiting, *self._arriving]:
            connection.close()
        self.discard()

    def discard(self) -> None:
        """Close its sockets if it never began."""
        for end in (self._bell, self._ear, self._selector):
            end.close()

    def abandon(self) -> None:
        """End also the connections that a thread works on."""
        for connection in self._in_work():
            connection.stream.sever()

    def _ring(self) -> None:
        with suppress(OSError):  # full of rings that are not heard yet, or closed
            self._bell.send(b"\0")

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(_LOOK_SECONDS):
                if key.fileobj is self._ear:
                    self._seat()
                elif key.data in self._waiting:  # else pushed out a moment ago
                    self._attend(key.data)
            now = time.monotonic()
            for connection in [connection for connection, until in self._waiting.items() if until <= now]:
                self._dismiss(connection)
            if self._needed():
                self._sever(self._in_work())

    def _seat(self) -> None:
        with suppress(BlockingIOError):
            self._ear.recv(4096)
        with self._lock:
            arrived, self._arriving = self._arriving, []
        for connection in arrived:
            if not self._has_room(connection.address):
                connection.close()
                continue
            limits = self._limits
            seconds = _LINGER_SECONDS if connection.over else limits.idle if connection.used else limits.head
            self._waiting[connection] = time.monotonic() + seconds
            self._selector.register(connection.socket, selectors.EVENT_READ, connection)
            self._attend(connection)

    def _has_room(self, address: str) -> bool:
        """Whether there is a place, free or taken from another."""
        with self._lock:
            everybody = [*self._waiting, *self._busy]
        held = Counter(connection.address for connection in everybody)
        if held[address] >= self._limits.places_of_one:
            return self._push_out(address)
        return len(everybody) < self._limits.places or self._push_out(held.most_common(1)[0][0])

    def _push_out(self, address: str) -> bool:
        """Take the place of a connection of this address that waits, or makes a thread wait."""
        for connection in self._waiting:
            if connection.address == address:
                self._dismiss(connection)
                return True
        return self._sever(connection for connection in self._in_work() if connection.address == address)

    def _attend(self, connection: PendingConnection) -> None:
        events = selectors.EVENT_READ
        try:
            if isinstance(connection.socket, ssl.SSLSocket) and not connection.used:
                connection.socket.setblocking(False)
                connection.socket.do_handshake()
            more = connection.stream.forget() if connection.over else self._read(connection)
        except (BlockingIOError, ssl.SSLWantReadError):
            more = True
        except ssl.SSLWantWriteError:
            more, events = True, selectors.EVENT_WRITE
        except OSError:
            more = False
        except Exception as error:  # noqa: BLE001  # a defect costs this connection, not the thread of all
            _log.error("a defect before an HTTP request: %s", traceback_of(error))
            more = False
        if not more:
            self._dismiss(connection)
        elif not connection.over and is_whole(connection.stream.held, self._limits):
            self._pass_on(connection)
        else:
            self._selector.modify(connection.socket, events, connection)

    def _read(self, connection: PendingConnection) -> bool:
        """Read until the request is whole or nothing is left; False at the peer's end."""
        while not is_whole(connection.stream.held, self._limits):
            if not connection.stream.take(len(connection.stream.held) + 1):
                return False
        return True

    def _pass_on(self, connection: PendingConnection) -> None:
        self._selector.unregister(connection.socket)
        del self._waiting[connection]
        connection.used = True
        connection.stream.whole_at = time.monotonic()
        connection.stream.until = connection.stream.whole_at + self._limits.request
        with self._lock:
            self._busy.add(connection)
        self._ready(connection)

    def _in_work(self) -> list[PendingConnection]:
        with self._lock:
            return list(self._busy)

    def _sever(self, connections: Iterable[PendingConnection]) -> bool:
        """End connections that have kept a thread waiting for too long; return whether there was one."""
        latest, severed = time.monotonic() - self._limits.patience, False
        for connection in connections:
            if (since := connection.stream.blocked_since) is not None and since <= latest:
                connection.stream.sever()
                severed = True
        return severed

    def _dismiss(self, connection: PendingConnection) -> None:
        del self._waiting[connection]
        self._selector.unregister(connection.socket)
        connection.close()
