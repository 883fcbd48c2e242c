"""The byte stream of one connection, both ways, with a time limit; cheroot reads and writes it as two files."""

import socket
import time
from contextlib import suppress

_CHUNK = 2**16
_FORGOTTEN = 2**20


class Stream:
    """`held` has come and is not read yet. `until` is when the request at hand must be over, `whole_at` when it could
    be passed on, in monotonic seconds.

    TimeoutError from then on, and OSError if the connection is lost. `blocked_since`: since when a thread waits for the
    peer to send or to take; None while none waits.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.held = bytearray()
        self.until = float("inf")
        self.whole_at = 0.0
        self.blocked_since: float | None = None
        self.closed = False
        self.bytes_read = self.bytes_written = 0

    def take(self, most: int) -> bool:
        """Read what has come, without waiting, while less than `most` is held; False at the peer's end.

        BlockingIOError, or ssl's SSLWantReadError or SSLWantWriteError, when more may come.
        """
        self._connection.setblocking(False)
        while len(self.held) < most:
            part = self._connection.recv(_CHUNK)
            if not part:
                return False
            self.held += part
        return True

    def has_data(self) -> bool:
        """Whether something is held."""
        return bool(self.held)

    def read(self, size: int) -> bytes:
        """At most this many bytes, as soon as there are any; b"" at the peer's end."""
        if not self.held and size:
            self._fill()
        return self._pop(size)

    def readline(self, size: int) -> bytes:
        """A line with its end, cut at this many bytes."""
        looked = 0
        while (end := self.held.find(b"\n", looked, size)) < 0 and len(self.held) < size:
            looked = len(self.held)
            if not self._fill():
                break
        return self._pop(end + 1 if end >= 0 else size)

    def write(self, data: bytes) -> int:
        """Write all of it."""
        left = memoryview(data)
        while left:
            self._wait()
            try:
                left = left[self._connection.send(left) :]
            finally:
                self.blocked_since = None
        self.bytes_written += len(data)
        return len(data)

    def end(self) -> None:
        """Close our direction, as the peer learns."""
        with suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_WR)  # whatever TLS says of it

    def forget(self) -> bool:
        """Read and discard what has come, up to a limit so that others have their turn; else as `take`."""
        self.held.clear()
        return self.take(_FORGOTTEN)

    def sever(self) -> None:
        """Make a thread's reading or writing fail at once."""
        with suppress(OSError):
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)  # TLS would change what that thread uses

    def close(self) -> None:
        """Read nothing more."""
        self.closed = True
        self.held.clear()

    def _pop(self, size: int) -> bytes:
        data = bytes(self.held[:size])
        del self.held[:size]
        self.bytes_read += len(data)
        return data

    def _fill(self) -> bool:
        self._wait()
        try:
            part = self._connection.recv(_CHUNK)
        finally:
            self.blocked_since = None
        self.held += part
        return bool(part)

    def _wait(self) -> None:
        now = time.monotonic()
        if now >= self.until:
            raise TimeoutError("timed out")  # by these words cheroot answers 408
        self._connection.settimeout(min(self.until - now, 3600.0))
        self.blocked_since = now
