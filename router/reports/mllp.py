"""HL7 over MLLP (Minimal Lower Layer Protocol, release 1): a message between <VT> and <FS><CR>, each answered in turn.

A message is answered AA only when `take` has returned; AE when it is wrong, AR when it is of another kind or cannot be
kept now. A connection holds the place of one sender; what is wrong with the framing ends it.
"""

import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from router.clock import Clock
from router.config import Hl7Listener
from router.errors import InvalidData, TransientError, traceback_of
from router.quantities import is_within
from router.reports.hl7v2 import Reply, Unsupported, acknowledgement

START, END = b"\x0b", b"\x1c\r"
_CHUNK = 2**16
_BETWEEN = 64  # bytes that may lie between two messages: line ends of those who write some
_LOOK_SECONDS = 0.5
_SEND_SECONDS = 10.0
_DRAIN_SECONDS = 2.0
_HEAD = 4096
_BACKLOG = 16
_SMALL = 2**18  # bytes that each connection may hold
_LARGE_AT_ONCE = 2  # connections that may hold more, up to a whole message each

Take = Callable[[bytes], None]
Refuse = Callable[[str, str], None]
"""Called with the sender's address and what was wrong, for the journal."""


class _Broken(Exception):
    """The connection cannot go on; what to tell of it, and the message's beginning where it can be answered."""

    def __init__(self, why: str, head: bytes = b"") -> None:
        super().__init__(why)
        self.head = head


class MllpServer:
    """Listens while it is started. `take` keeps a message durably, or raises InvalidData, TransientError or OSError.

    `refused` is told of what is not taken; `ended` runs at the end of each connection's thread.
    """

    def __init__(
        self, config: Hl7Listener, take: Take, refused: Refuse, ended: Callable[[], None], clock: Clock,
        context: ssl.SSLContext | None = None,
    ) -> None:  # fmt: skip
        self._config = config
        self._take = take
        self._refused = refused
        self._ended = ended
        self._clock = clock
        self._context = context
        self._stopping = threading.Event()
        self._free = threading.BoundedSemaphore(config.max_connections)
        self._large = threading.BoundedSemaphore(_LARGE_AT_ONCE)
        self._socket: socket.socket | None = None
        self._threads: set[threading.Thread] = set()
        self._changing = threading.Lock()

    def start(self, host: str, port: int) -> int:
        """Listen; the real port. OSError when that cannot be."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._socket = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        self._socket.settimeout(_LOOK_SECONDS)
        self._begin(lambda: self._accept(self._socket), "hl7 listener")
        return int(self._socket.getsockname()[1])

    def renew(self, context: ssl.SSLContext | None) -> None:
        """Show this certificate from the next connection on."""
        self._context = context

    def stop(self, seconds: float) -> None:
        """Take nothing new; the message at hand is answered, within so many seconds."""
        self._stopping.set()
        until = time.monotonic() + seconds
        while (running := self._running()) and time.monotonic() < until:
            running[0].join(max(until - time.monotonic(), 0.01))
        if self._socket is not None:
            self._socket.close()

    def _begin(self, work: Callable[[], None], name: str) -> None:
        """RuntimeError when the system gives no thread; nothing is done then."""

        def run() -> None:
            try:
                work()
            finally:
                with self._changing:
                    self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name=name, daemon=True)
        with self._changing:
            thread.start()
            self._threads.add(thread)

    def _running(self) -> list[threading.Thread]:
        """Threads that can be joined: each began under the lock."""
        with self._changing:
            return list(self._threads)

    def _accept(self, listening: socket.socket | None) -> None:
        while listening is not None and not self._stopping.is_set():
            try:
                connection, (address, *_) = listening.accept()
            except TimeoutError:
                continue
            except OSError:  # of this connection, or no descriptor is left: neither ends the listener
                self._stopping.wait(_LOOK_SECONDS)
                continue
            if self._config.senders and not is_within(address, self._config.senders):
                self._refuse(connection, address, "the sender's address is not among [reports.hl7] senders")
            elif not self._free.acquire(blocking=False):
                self._refuse(connection, address, "too many HL7 connections")
            else:
                self._receive(connection, address)

    def _receive(self, connection: socket.socket, address: str) -> None:
        try:
            self._begin(lambda: self._serve(connection, address), "hl7 sender")
        except RuntimeError:
            self._free.release()
            self._refuse(connection, address, "the system gives no thread for a further HL7 connection")

    def _refuse(self, connection: socket.socket, address: str, why: str) -> None:
        connection.close()
        self._refused(address, why)

    # -- one connection

    def _serve(self, connection: socket.socket, address: str) -> None:
        try:
            with connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                connection.settimeout(_SEND_SECONDS)
                with self._secured(connection) as channel:
                    self._converse(channel, address)
        except _Broken as broken:
            self._refused(address, str(broken))
        except ssl.SSLError as error:
            self._refused(address, f"no TLS connection: {(error.reason or 'broken').replace('_', ' ').lower()}")
        except OSError:
            pass  # the sender is gone; what it got no answer for it sends again
        finally:
            self._free.release()
            self._ended()

    def _secured(self, connection: socket.socket) -> socket.socket:
        return connection if self._context is None else self._context.wrap_socket(connection, server_side=True)

    def _converse(self, channel: socket.socket, address: str) -> None:
        stream = _Stream(channel, self._config, self._stopping, self._large)
        try:
            while (message := stream.message()) is not None:
                reply = self._answer(message)
                self._reply(channel, message, reply)
                if reply.code != "AA":
                    self._refused(address, f"an HL7 message was answered {reply.code}: {reply.text}")
        except _Broken as broken:
            if broken.head:
                self._reply(channel, broken.head, Reply("AR", 207, str(broken)))
                _drain(channel)
            raise
        finally:
            stream.release()

    def _reply(self, channel: socket.socket, message: bytes, reply: Reply) -> None:
        channel.settimeout(_SEND_SECONDS)
        channel.sendall(START + acknowledgement(message, reply, self._clock.now()) + END)

    def _answer(self, message: bytes) -> Reply:
        """Error codes of table 0357."""
        try:
            self._take(message)
        except Unsupported as error:
            return Reply("AR", 200, error.message)
        except InvalidData as error:
            return Reply("AE", 207, error.message)
        except (OSError, TransientError) as error:
            why = error.message if isinstance(error, TransientError) else error.strerror
            return Reply("AR", 207, f"the message cannot be kept now, send it again: {why}")
        except Exception as error:  # noqa: BLE001  # a thread's top: the sender must hear that nothing was kept
            return Reply("AR", 207, f"the message cannot be kept: {type(error).__name__} {traceback_of(error)}")
        return Reply("AA")


def _drain(channel: socket.socket) -> None:
    """Read on for a moment: closing on unread bytes would take the answer back (RFC 1122 4.2.2.13)."""
    until = time.monotonic() + _DRAIN_SECONDS
    channel.settimeout(_LOOK_SECONDS)
    while time.monotonic() < until and channel.recv(_CHUNK):
        pass


class _Stream:
    """Cuts what comes into messages. Only a holder of `large` keeps a large one, from its reading to its answer."""

    def __init__(
        self, channel: socket.socket, config: Hl7Listener, stopping: threading.Event, large: threading.Semaphore
    ) -> None:
        self._channel = channel
        self._largest = config.max_message
        self._within = config.message_within.total_seconds()
        self._stopping = stopping
        self._held = bytearray()
        self._large = large
        self._is_large = False

    def release(self) -> None:
        """The message at hand is answered: let another connection have a large one."""
        if self._is_large:
            self._is_large = False
            self._large.release()

    def message(self) -> bytes | None:
        """The next one; None at the connection's end, or when the node stops. _Broken when it cannot be one."""
        self.release()
        if not self._begin():
            return None
        until, looked = time.monotonic() + self._within, 0
        while (end := self._held.find(END, looked)) < 0:
            if len(self._held) > self._largest:
                why = f"an HL7 message larger than {self._largest} bytes (max_message)"
                raise _Broken(why, bytes(self._held[:_HEAD]))
            self._wait_for_room(until)
            looked = max(len(self._held) - 1, 0)
            if not self._more(until):
                raise _Broken("the connection ended within an HL7 message")
        with memoryview(self._held) as held:
            message = bytes(held[:end])
        del self._held[: end + len(END)]
        return message

    def _wait_for_room(self, until: float) -> None:
        while len(self._held) > _SMALL and not (self._is_large or self._stopping.is_set()):
            self._is_large = self._large.acquire(timeout=_LOOK_SECONDS)
            if not self._is_large and time.monotonic() > until:
                raise _Broken("too many large HL7 messages at once, send it again", bytes(self._held[:_HEAD]))

    def _begin(self) -> bool:
        """Pass to behind the next <VT>; a sender may take any time between two messages."""
        while (start := self._held.find(START)) < 0 and len(self._held) <= _BETWEEN:
            if not self._more(None):
                return False
        if not 0 <= start <= _BETWEEN or self._held[:start].strip():
            raise _Broken("what came is not HL7 over MLLP")
        del self._held[: start + 1]
        return True

    def _more(self, until: float | None) -> bool:
        """Read on; False at the connection's end, or when the node stops."""
        while not self._stopping.is_set():
            self._channel.settimeout(_LOOK_SECONDS)
            with suppress(TimeoutError):
                part = self._channel.recv(_CHUNK)
                self._held += part
                return bool(part)
            if until is not None and time.monotonic() > until:
                raise _Broken("an HL7 message did not come to its end in time (message_within)")
        return False
