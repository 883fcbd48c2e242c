"""HL7 over MLLP (Minimal Lower Layer Protocol, release 1): a message between <VT> and <FS><CR>, each answered in turn.

A message is answered AA only when `take` has returned; AE when it is wrong, AR when it is of another kind or cannot be
kept now; as CA, CE, CR, both, or not at all where its MSH-15 and MSH-16 say so. A connection holds the place of one
sender; what is wrong with the framing ends it, and so do silence (`idle`) and a peer that answers no probe.
"""

import functools
import re
import select
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from router.clock import Clock
from router.config.sections import Hl7Listener
from router.config.types import is_within
from router.errors import InvalidData, TransientError, traceback_of
from router.reports.hl7.acknowledgement import codes, is_answer
from router.reports.hl7.hl7v2 import Reply, Unsupported, acknowledgement

START, END = b"\x0b", b"\x1c\r"
_LAST = re.compile(rb"\x1c(?P<certain>\r|(?=[\0\r\n\t ]{0,64}\x0b))?(?(certain)|(?=[\0\r\n\t ]{0,64}\Z))")
_CHUNK = 2**16
_FILLING = b"\0\r\n\t "  # what some senders write between messages: line ends, NULs to keep the line open
_LAST_SECONDS = 0.2  # within which <CR> follows <FS> where a sender writes it
# Probes of a silent line (RFC 1122 4.2.3.6): a peer that is gone is noticed within two minutes.
_PROBES = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 15), (socket.TCP_KEEPCNT, 4))
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
    """The connection cannot go on: why, and the message's beginning where it can be answered."""

    def __init__(self, why: str, head: bytes = b"") -> None:
        super().__init__(why)
        self.head = head


class MllpServer:
    """Listens while it is started. `take` keeps a message durably, or raises InvalidData, TransientError or OSError.

    `refused` is called for each message that is not taken; `ended` runs at the end of each connection's thread.
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
        self._places = _Places(config.max_connections, config.max_connections_per_sender)
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
        while time.monotonic() < until:
            with self._changing:  # each of the threads began under the lock, and so can be joined
                running = next(iter(self._threads), None)
            if running is None:
                break
            running.join(max(until - time.monotonic(), 0.01))
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
            elif why := self._places.take(address):
                self._refuse(connection, address, why)
            else:
                try:
                    self._begin(functools.partial(self._serve, connection, address), "hl7 sender")
                except RuntimeError:
                    self._places.free(address)
                    self._refuse(connection, address, "the system gives no thread for a further HL7 connection")

    def _refuse(self, connection: socket.socket, address: str, why: str) -> None:
        connection.close()
        self._refused(address, why)

    # -- one connection

    def _serve(self, connection: socket.socket, address: str) -> None:
        try:
            with connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                for option, value in _PROBES:
                    connection.setsockopt(socket.IPPROTO_TCP, option, value)
                with self._secured(connection) as channel:
                    self._converse(channel, address)
        except _Broken as broken:
            self._refused(address, str(broken))
        except ssl.SSLError as error:
            self._refused(address, f"no TLS connection: {(error.reason or 'broken').replace('_', ' ').lower()}")
        except OSError:
            pass  # the sender is gone; what it got no answer for it sends again
        finally:
            self._places.free(address)
            self._ended()

    def _secured(self, connection: socket.socket) -> socket.socket:
        context = self._context
        if context is None:
            return connection
        secured = context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        try:
            _shake_hands(secured, time.monotonic() + _SEND_SECONDS)
        except OSError:
            secured.close()
            raise
        return secured

    def _converse(self, channel: socket.socket, address: str) -> None:
        stream = _Stream(channel, self._config, self._stopping, self._large)
        try:
            while (message := stream.message()) is not None:
                if is_answer(message):
                    continue
                reply = self._answer(message)
                self._reply(channel, message, reply)
                if reply.code != "AA":
                    self._refused(address, f"an HL7 message was answered {reply.code}: {reply.text}")
        except _Broken as broken:
            if broken.head:
                self._reply(channel, broken.head, Reply("AR", 207, str(broken)))
                # Closing on unread bytes would take the answer back (RFC 1122 4.2.2.13).
                until = time.monotonic() + _DRAIN_SECONDS
                channel.settimeout(_LOOK_SECONDS)
                while time.monotonic() < until and channel.recv(_CHUNK):
                    pass
            raise
        finally:
            stream.release()

    def _reply(self, channel: socket.socket, message: bytes, reply: Reply) -> None:
        channel.settimeout(_SEND_SECONDS)
        for code in codes(message, reply.code):
            answer = acknowledgement(message, replace(reply, code=code), self._clock.now())
            channel.sendall(START + answer + END)

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


class _Places:
    """Connections held, by address."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, address: str) -> str:
        """Why there is no place for a further one; "" when it has one."""
        with self._lock:
            if self._held.total() >= self._most:
                return "too many HL7 connections (max_connections)"
            if self._held[address] >= self._most_of_one:
                return "too many HL7 connections of this sender (max_connections_per_sender)"
            self._held[address] += 1
            return ""

    def free(self, address: str) -> None:
        """One of them is over."""
        with self._lock:
            self._held -= Counter((address,))


def _shake_hands(secured: ssl.SSLSocket, until: float) -> None:
    """The TLS handshake as a whole within its time; OSError as the handshake's, TimeoutError after it."""
    secured.setblocking(False)
    while True:
        try:
            secured.do_handshake()
        except ssl.SSLWantReadError:
            ready = select.select([secured], [], [], max(until - time.monotonic(), 0))[0]
        except ssl.SSLWantWriteError:
            ready = select.select([], [secured], [], max(until - time.monotonic(), 0))[1]
        else:
            return
        if not ready:
            raise TimeoutError


class _Stream:
    """Cuts what comes into messages. Only a holder of `large` keeps a large one, from its reading to its answer."""

    def __init__(
        self, channel: socket.socket, config: Hl7Listener, stopping: threading.Event, large: threading.Semaphore
    ) -> None:
        self._channel = channel
        self._largest = config.max_message
        self._within = config.message_within.total_seconds()
        self._idle = config.idle.total_seconds()
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
        """The next one; None at the end, after long silence, or when the node stops. _Broken: it cannot be one."""
        self.release()
        if not self._begin():
            return None
        until, looked = time.monotonic() + self._within, 0
        while True:
            end, certain = _end(self._held, looked)
            if certain or (end >= 0 and self._is_silent()):
                break
            if len(self._held) > self._largest:
                why = f"an HL7 message larger than {self._largest} bytes (max_message)"
                raise _Broken(why, bytes(self._held[:_HEAD]))
            self._wait_for_room(until)
            looked = end if end >= 0 else len(self._held)
            _require_in_time(until)
            if end < 0 and not self._more(until):
                raise _Broken("the connection ended within an HL7 message")
        with memoryview(self._held) as held:
            message = bytes(held[:end])
        del self._held[: end + 1]
        return message

    def _wait_for_room(self, until: float) -> None:
        while len(self._held) > _SMALL and not (self._is_large or self._stopping.is_set()):
            self._is_large = self._large.acquire(timeout=_LOOK_SECONDS)
            if not self._is_large and time.monotonic() > until:
                raise _Broken("too many large HL7 messages at once, send it again", bytes(self._held[:_HEAD]))

    def _begin(self) -> bool:
        """Go on after the next <VT>. Bytes between messages only fill the time."""
        until = time.monotonic() + self._idle
        while not (held := self._held.lstrip(_FILLING)):
            self._held.clear()
            if time.monotonic() > until or not self._more(None, until):
                return False
        if held[:1] != START:
            raise _Broken("what came is not HL7 over MLLP")
        self._held = held[1:]
        return True

    def _is_silent(self) -> bool:
        """Whether nothing follows for a moment, or for good."""
        self._channel.settimeout(_LAST_SECONDS)
        try:
            part = self._channel.recv(_CHUNK)
        except TimeoutError:
            return True
        self._held += part
        return not part

    def _more(self, until: float | None, idle_until: float | None = None) -> bool:
        """Read on; False at the connection's end, after too long a silence, or when the node stops."""
        while not self._stopping.is_set():
            self._channel.settimeout(_LOOK_SECONDS)
            with suppress(TimeoutError):
                part = self._channel.recv(_CHUNK)
                self._held += part
                return bool(part)
            if until is not None:
                _require_in_time(until)
            if idle_until is not None and time.monotonic() > idle_until:
                return False
        return False


def _end(held: bytearray, looked: int) -> tuple[int, bool]:
    """Position from `looked` on of the <FS> that ends the message, -1 for none, and whether that is certain.

    It does when <CR> or a further message follows, and when nothing does: else it is a character of the text, at which
    a finding would be cut.
    """
    found = _LAST.search(held, looked)
    return (-1, False) if found is None else (found.start(), found["certain"] is not None)


def _require_in_time(until: float) -> None:
    if time.monotonic() > until:
        raise _Broken("an HL7 message did not come to its end in time (message_within)")
