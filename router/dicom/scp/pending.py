"""Connections before their association request (PS3.8 Sta2): one thread for all of them, a time limit for each (ARTIM).

With TLS the handshake comes first, within the same time.
"""

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from router.config.types import is_within
from router.dicom.scp import negotiation
from router.dicom.ul import pdu, proxy
from router.dicom.ul.pdu import AbortReason, AbortSource, PduType, Violation
from router.dicom.ul.socket import Limits
from router.dicom.ul.tls import close_notify, refusal
from router.errors import InvalidData

MOST = 256  # when full, the oldest pending connection is dropped: a real sender is not pending for long


@dataclass(eq=False, slots=True, kw_only=True)
class PendingConnection:
    """A connection and what has arrived of its A-ASSOCIATE-RQ.

    `header` is what has arrived of a PROXY header while that is due, else None.
    """

    connection: socket.socket
    number: int
    address: str
    until: float
    request: bytearray = field(default_factory=bytearray)
    header: bytearray | None = None

    def read_proxy_header(self, header: bytearray) -> None:
        """Read a PROXY header and set `address` by it. Raises as `advance` does, and InvalidData when it is none."""
        self._read(header, proxy.missing)
        self.address, self.header = proxy.source(header) or self.address, None

    def advance(self) -> None:
        """Read what has arrived; returns when the request is whole.

        Raises BlockingIOError or ssl's SSLWantReadError and SSLWantWriteError when more is to come, Violation, OSError
        when the connection is lost or TLS fails, EOFError when the peer closed it.
        """
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.do_handshake()
        self._read(self.request, _missing)

    def _read(self, into: bytearray, missing: Callable[[bytearray], int]) -> None:
        while wanted := missing(into):  # to the end: the selector does not know what TLS has read and kept
            data = self.connection.recv(wanted)
            if not data:
                raise EOFError
            into += data


def _missing(request: bytearray) -> int:
    """How many bytes are still missing: no more is ever read. Violation when this will be no association request."""
    if len(request) < pdu.HEADER_BYTES:
        return pdu.HEADER_BYTES - len(request)
    kind, length = pdu.read_header(request)
    if kind is not PduType.ASSOCIATE_RQ:
        raise Violation(AbortReason.UNEXPECTED_PDU, "not an association request")
    pdu.check_length(kind, length, negotiation.LONGEST_REQUEST)
    return pdu.HEADER_BYTES + length - len(request)


class PendingConnections:
    """Calls `ready` with each connection whose request is whole, `dropped` with each other one and the reason, if any.

    With `tls`, which may be replaced, every connection begins with a handshake. Before that a connection from one of
    the proxies names its source by the PROXY protocol.
    """

    def __init__(
        self,
        limits: Limits,
        tls: ssl.SSLContext | None,
        *,
        ready: Callable[[PendingConnection], None],
        dropped: Callable[[PendingConnection, str], None],
    ) -> None:
        self.tls = tls
        self._limits = limits
        self._ready = ready
        self._dropped = dropped
        self._open: list[PendingConnection] = []  # the oldest first
        self._arriving: list[PendingConnection] = []
        self._lock = threading.Lock()
        self._wakeup, self._woken = socket.socketpair()
        self._wakeup.setblocking(False)
        self._woken.setblocking(False)
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="dicom-pending", daemon=True)

    def open(self) -> None:
        """Start the thread."""
        self._selector.register(self._woken, selectors.EVENT_READ)
        self._thread.start()

    def add(self, connection: socket.socket, number: int, address: str) -> None:
        """Take over a new connection."""
        until, proxies = time.monotonic() + self._limits.association_request, self._limits.proxies
        pending = PendingConnection(connection=connection, number=number, address=address, until=until)
        pending.header = bytearray() if proxies and is_within(address, proxies) else None
        with self._lock:
            self._arriving.append(pending)
        self._wake()

    def close(self) -> None:
        """Drop every connection and end the thread."""
        self._closing = True
        self._wake()
        self._thread.join()
        self._wakeup.close()
        self._woken.close()
        self._selector.close()

    def _wake(self) -> None:
        with contextlib.suppress(BlockingIOError):  # it is awake already
            self._wakeup.send(b"\0")

    def _run(self) -> None:
        while not self._closing:
            pause = max(0.0, self._open[0].until - time.monotonic()) if self._open else None
            for key, _ in self._selector.select(pause):
                if key.fileobj is self._woken:
                    self._admit_arrivals()
                else:
                    self._advance(key.data)
            now = time.monotonic()
            while self._open and self._open[0].until <= now:
                self._drop(self._open[0])
        self._admit_arrivals()
        for pending in list(self._open):
            self._drop(pending)

    def _admit_arrivals(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(4096)
        with self._lock:
            arriving, self._arriving = self._arriving, []
        for pending in arriving:
            pending.connection.setblocking(False)
            try:
                if pending.header is None:
                    pending.connection = self._wrapped(pending.connection)
            except OSError:  # lost already
                pending.connection.close()
                self._dropped(pending, "")
                continue
            self._open.append(pending)
            self._selector.register(pending.connection, selectors.EVENT_READ, pending)
            if len(self._open) > MOST:
                self._drop(self._open[0])

    def _wrapped(self, connection: socket.socket) -> socket.socket:
        tls = self.tls
        if tls is None:
            return connection
        return tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def _advance(self, pending: PendingConnection) -> None:
        if pending not in self._open:
            return  # dropped in this same round
        try:
            if pending.header is not None:
                pending.read_proxy_header(pending.header)
                pending.connection = self._wrapped(pending.connection)
            pending.advance()
        except (BlockingIOError, ssl.SSLWantReadError):
            self._selector.modify(pending.connection, selectors.EVENT_READ, pending)
        except ssl.SSLWantWriteError:
            self._selector.modify(pending.connection, selectors.EVENT_WRITE, pending)
        except ssl.SSLError as error:
            self._drop(pending, refusal(error))
        except (OSError, EOFError):
            self._drop(pending)
        except Violation as error:
            self._drop(pending, f"aborted: {error}", pdu.abort(AbortSource.SERVICE_PROVIDER, error.reason))
        except InvalidData as error:  # perhaps before TLS: no answer of ours would be understood
            self._drop(pending, error.message)
        else:
            self._remove(pending)
            self._ready(pending)

    def _drop(self, pending: PendingConnection, reason: str = "", answer: bytes = b"") -> None:
        self._remove(pending)
        if answer:
            with contextlib.suppress(OSError):
                pending.connection.send(answer)
            close_notify(pending.connection)
        pending.connection.close()
        self._dropped(pending, reason)

    def _remove(self, pending: PendingConnection) -> None:
        self._open.remove(pending)
        self._selector.unregister(pending.connection)
