"""A connection of the acceptor, plain or TLS: read in large pieces into one buffer, with a limit on every wait."""

import socket
import time
from contextlib import suppress
from dataclasses import dataclass

from router.dicom.ul.tls import close_notify
from router.errors import TransientError

BUFFER_BYTES = 2**18
_LAST_READ = 2**24  # bytes that are ignored after our last PDU
_LONGEST_NAP = 1.0  # seconds between two looks at the clock while nothing comes


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds that the server waits for a peer, and the longest P-DATA variable field that it asks for, in bytes.

    A request may take `message` seconds, and a second more for each `slowest` bytes of it. Connections from `proxies`
    (addresses and networks) must begin with a PROXY header.
    """

    association_request: float = 10.0
    idle: float = 60.0
    message: float = 60.0
    slowest: int = 8192
    write: float = 30.0
    linger: float = 2.0
    max_pdu: int = 131072
    proxies: tuple[str, ...] = ()


class ConnectionLost(TransientError):
    """The peer closed the connection, or it broke."""


class TooSlow(TransientError):
    """The peer did not send or read in time."""


class PeerSocket:
    """Buffered reading and bounded writing. For one thread, except `wake` and `sever`."""

    def __init__(self, connection: socket.socket, limits: Limits) -> None:
        self._socket = connection
        self._limits = limits
        self._buffer = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._since, self._seconds, self._came = time.monotonic(), limits.idle, 0
        self._idle = False
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        shortest = min(limits.idle, limits.message, limits.write, limits.linger)
        connection.settimeout(min(_LONGEST_NAP, shortest / 4))

    @property
    def buffered(self) -> int:
        """Bytes in the buffer."""
        return self._end - self._start

    def allow(self, seconds: float) -> None:
        """Restart the time limit: further bytes must arrive within `seconds`, extended by `slowest` for each byte."""
        self._since, self._seconds, self._came = time.monotonic(), seconds, 0

    def await_more(self) -> None:
        """Wait for the next byte, as long as the connection may be idle."""
        self.allow(self._limits.idle)
        self._idle = True
        try:
            self.fill()
        finally:
            self._idle = False

    def need(self, count: int) -> memoryview:
        """The next `count` bytes, which stay in the buffer; the view is valid until the next read."""
        while self._end - self._start < count:
            self.fill()
        return self._view[self._start : self._start + count]

    def take(self, most: int) -> memoryview:
        """Take up to `most` bytes out of the buffer; the view is valid until the next read."""
        start = self._start
        self._start = min(start + most, self._end)
        return self._view[start : self._start]

    def fill(self) -> None:
        """Read at least one more byte. Raises ConnectionLost, TooSlow."""
        rest = bytes(self._view[self._start : self._end])  # part of a header at most: need() is for those
        self._view[: len(rest)] = rest
        self._start, self._end = 0, len(rest)
        while not (count := self._receive(self._view[self._end :])):
            self._check_time()
        self._end += count
        self._came += count
        self._check_time()

    def send(self, data: bytes) -> None:
        """Send all of the bytes. Raises ConnectionLost, TooSlow."""
        until = time.monotonic() + self._limits.write
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except TimeoutError:
                if time.monotonic() > until:
                    raise TooSlow("the peer takes no answer") from None
            except OSError as error:
                raise ConnectionLost("the connection broke") from error

    def wake(self) -> None:
        """End the wait for a new message, as if the peer had closed."""
        if self._idle:
            self._shut(socket.SHUT_RD)

    def sever(self) -> None:
        """End every wait."""
        self._shut(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let the peer read our last PDU and close first (PS3.8 9.2, Sta13), within limits; then close.

        The connection is not half-closed before: some peers would then not read our last PDU.
        """
        until = time.monotonic() + self._limits.linger
        with suppress(ConnectionLost):
            left = _LAST_READ
            while left > 0 and time.monotonic() < until:
                left -= self._receive(self._view)
        close_notify(self._socket)
        self._socket.close()

    def _receive(self, into: memoryview) -> int:
        """Bytes read; 0 when none arrived for a while."""
        try:
            count = self._socket.recv_into(into)
            # each time, the kernel forgets it; a sender with Nagle's algorithm waits 40 ms for a late acknowledgement
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except TimeoutError:
            return 0
        except OSError as error:
            raise ConnectionLost("the connection broke") from error
        if count == 0:
            raise ConnectionLost("the peer closed the connection")
        return count

    def _check_time(self) -> None:
        if time.monotonic() - self._since > self._seconds + self._came / self._limits.slowest:
            raise TooSlow("the peer is too slow")

    def _shut(self, how: int) -> None:
        with suppress(OSError):  # closed already
            # a TLS socket's own shutdown would end the session under the thread that reads and writes
            socket.socket.shutdown(self._socket, how)
