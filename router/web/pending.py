"""Connections before a request: one thread for all of them, so that who is slow holds none.

A request goes on to a thread when its head is whole, and its form where it is one. Until then it has a place, of which
an address has a limited number; whoever comes when there is none pushes out the one that has been waiting for longest.
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
_WANTING = (BlockingIOError, ssl.SSLWantReadError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Of a server. Times in seconds: until a request's head has come (and its form, of up to `form` bytes), for the
    rest of it, and for the next one to begin; `patience` is how long a peer may keep a thread waiting that others need.
    `places` connections in all, and of one address.
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
    """A connection, as the lobby needs it: whether it was `used` for a request, and is `over` but for what still comes.

    Closing at once on that would lose the last answer (RFC 9112 9.6).
    """

    socket: socket.socket
    stream: Stream
    address: str
    used: bool
    over: bool

    def close(self) -> None:
        """End it; never raises."""


def is_whole(held: bytes | bytearray, limits: Limits) -> bool:
    """Whether a request can be answered from what is held, or must be because it will be none."""
    end = held.find(b"\n\r\n")
    end = end + 3 if end >= 0 else held.find(b"\n\n") + 2  # bare line feeds are answered by what is wrong
    if end < 2:
        return len(held) >= limits.largest_head
    found = _LENGTH.search(held, 0, end)
    length = int(found[1]) if found is not None else 0
    return length > limits.form or _CHUNKED.search(held, 0, end) is not None or len(held) - end >= length


class PendingConnections:
    """`ready` gets each guest whose request is whole; `needed` tells whether requests wait for a thread."""

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
        self._thread = threading.Thread(target=self._run, name="http-lobby", daemon=True)

    def open(self) -> None:
        """Begin. RuntimeError when the system gives no thread."""
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread.start()

    def enter(self, guest: PendingConnection) -> None:
        """A connection of which a request is expected, a first or a further one."""
        with self._lock:
            self._busy.discard(guest)
            if not self._closing:
                self._arriving.append(guest)
        if self._closing:
            guest.close()
        else:
            self._ring()

    def leave(self, guest: PendingConnection) -> None:
        """A connection is over."""
        with self._lock:
            self._busy.discard(guest)

    def close(self) -> None:
        """End, with every connection that waits."""
        self._closing = True
        self._ring()
        self._thread.join()
        for guest in [*self._waiting, *self._arriving]:
            guest.close()
        self.discard()

    def discard(self) -> None:
        """Give back what it holds, where it never began."""
        for end in (self._bell, self._ear, self._selector):
            end.close()

    def abandon(self) -> None:
        """End those that a thread works at, too."""
        for guest in self._in_work():
            guest.stream.sever()

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
            self._turn_out()

    def _seat(self) -> None:
        with suppress(BlockingIOError):
            self._ear.recv(4096)
        with self._lock:
            arrived, self._arriving = self._arriving, []
        for guest in arrived:
            if not self._has_room(guest.address):
                guest.close()
                continue
            limits = self._limits
            seconds = _LINGER_SECONDS if guest.over else limits.idle if guest.used else limits.head
            self._waiting[guest] = time.monotonic() + seconds
            self._selector.register(guest.socket, selectors.EVENT_READ, guest)
            self._attend(guest)

    def _has_room(self, address: str) -> bool:
        """Whether there is a place, which may have been another's."""
        with self._lock:
            everybody = [*self._waiting, *self._busy]
        held = Counter(guest.address for guest in everybody)
        if held[address] >= self._limits.places_of_one:
            return self._push_out(address)
        return len(everybody) < self._limits.places or self._push_out(held.most_common(1)[0][0])

    def _push_out(self, address: str) -> bool:
        """Take the place of a connection of this address that waits, or makes a thread wait."""
        for guest in self._waiting:
            if guest.address == address:
                self._dismiss(guest)
                return True
        return self._sever(guest for guest in self._in_work() if guest.address == address)

    def _attend(self, guest: PendingConnection) -> None:
        events = selectors.EVENT_READ
        try:
            if isinstance(guest.socket, ssl.SSLSocket) and not guest.used:
                guest.socket.setblocking(False)
                guest.socket.do_handshake()
            more = guest.stream.forget() if guest.over else self._read(guest)
        except _WANTING:
            more = True
        except ssl.SSLWantWriteError:
            more, events = True, selectors.EVENT_WRITE
        except OSError:
            more = False
        except Exception as error:  # noqa: BLE001  # a defect costs this connection, not the thread of all
            _log.error("a defect before an HTTP request: %s", traceback_of(error))
            more = False
        if not more:
            self._dismiss(guest)
        elif not guest.over and is_whole(guest.stream.held, self._limits):
            self._pass_on(guest)
        else:
            self._selector.modify(guest.socket, events, guest)

    def _read(self, guest: PendingConnection) -> bool:
        """Read until the request is whole or nothing is left; False at the peer's end."""
        while not is_whole(guest.stream.held, self._limits):
            if not guest.stream.take(len(guest.stream.held) + 1):
                return False
        return True

    def _pass_on(self, guest: PendingConnection) -> None:
        self._selector.unregister(guest.socket)
        del self._waiting[guest]
        guest.used = True
        guest.stream.whole_at = time.monotonic()
        guest.stream.until = guest.stream.whole_at + self._limits.request
        with self._lock:
            self._busy.add(guest)
        self._ready(guest)

    def _turn_out(self) -> None:
        """Late connections; where requests wait for a thread, also those that keep one waiting."""
        now = time.monotonic()
        for guest in [guest for guest, until in self._waiting.items() if until <= now]:
            self._dismiss(guest)
        if self._needed():
            self._sever(self._in_work())

    def _in_work(self) -> list[PendingConnection]:
        with self._lock:
            return list(self._busy)

    def _sever(self, guests: Iterable[PendingConnection]) -> bool:
        """End those that have kept a thread waiting for too long; whether there was one."""
        latest = time.monotonic() - self._limits.patience
        slow = [guest for guest in guests if (since := guest.stream.blocked_since) is not None and since <= latest]
        for guest in slow:
            guest.stream.sever()
        return bool(slow)

    def _dismiss(self, guest: PendingConnection) -> None:
        del self._waiting[guest]
        self._selector.unregister(guest.socket)
        guest.close()
