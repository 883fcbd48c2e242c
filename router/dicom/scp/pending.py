"""Connections before their association request (PS3.8 Sta2): one thread for all of them, each within ARTIM's time.

Where it is TLS, the handshake comes first, within the same time.
"""

import contextlib
import selectors
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from router.config.types import is_within
from router.dicom.scp import negotiation
from router.dicom.ul import pdu, proxy
from router.dicom.ul.pdu import AbortReason, AbortSource, PduType, Violation
from router.dicom.ul.tls import close_notify, refusal
from router.errors import InvalidData

MOST = 256  # further ones push out the oldest: who means well does not stay long


@dataclass(eq=False, slots=True, kw_only=True)
class PendingConnection:
    """A connection and what has come of its A-ASSOCIATE-RQ; `header` is what came of a proxy's while that is due."""

    connection: socket.socket
    number: int
    address: str
    until: float
    request: bytearray = field(default_factory=bytearray)
    header: bytearray | None = None

    def introduce(self, header: bytearray) -> None:
        """Read the PROXY header, which ends up in `address`; raises as `advance`, and InvalidData when it is none."""
        while wanted := proxy.missing(header):
            data = self.connection.recv(wanted)
            if not data:
                raise EOFError
            header += data
        self.address, self.header = proxy.source(header) or self.address, None

    def advance(self) -> None:
        """Take what has come; returns when the request is whole.

        Raises BlockingIOError or ssl's SSLWantReadError and SSLWantWriteError when more is to come, Violation, OSError
        when the connection is lost or TLS fails, EOFError when the peer closed it.
        """
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.do_handshake()
        while wanted := self._wanted():  # to the end: the selector does not know what TLS has read and kept
            data = self.connection.recv(wanted)
            if not data:
                raise EOFError
            self.request += data

    def _wanted(self) -> int:
        """Bytes still to come: no more is ever read. Violation when this will be no association request."""
        if len(self.request) < pdu.HEADER_BYTES:
            return pdu.HEADER_BYTES - len(self.request)
        kind, length = pdu.read_header(self.request)
        if kind is not PduType.ASSOCIATE_RQ:
            raise Violation(AbortReason.UNEXPECTED_PDU, "not an association request")
        pdu.check_length(kind, length, negotiation.LONGEST_REQUEST)
        return pdu.HEADER_BYTES + length - len(self.request)


class PendingConnections:
    """`ready` gets each guest whose request is whole, `gone` each that is turned out, with the reason if there is one.

    With `tls` every guest must come through its handshake; before it a proxy, which is one of `proxies` (addresses or
    networks), says by the PROXY protocol who it is.
    """

    def __init__(
        self,
        seconds: float,
        tls: ssl.SSLContext | None,
        ready: Callable[[PendingConnection], None],
        gone: Callable[[PendingConnection, str], None],
        proxies: Sequence[str] = (),
    ) -> None:
        self._proxies = proxies
        self._seconds = seconds
        self._tls = tls
        self._ready = ready
        self._gone = gone
        self._guests: list[PendingConnection] = []  # the oldest first
        self._arriving: list[PendingConnection] = []
        self._lock = threading.Lock()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._thread = threading.Thread(target=self._run, name="dicom-lobby", daemon=True)

    def open(self) -> None:
        """Begin."""
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread.start()

    def enter(self, connection: socket.socket, number: int, address: str) -> None:
        """A new connection; it is the lobby's from now on."""
        with self._lock:
            guest = PendingConnection(
                connection=connection, number=number, address=address, until=time.monotonic() + self._seconds
            )
            guest.header = bytearray() if self._proxies and is_within(address, self._proxies) else None
            self._arriving.append(guest)
        self._ring()

    def renew(self, tls: ssl.SSLContext | None) -> None:
        """Show this certificate, or none, from the next connection on."""
        self._tls = tls

    def close(self) -> None:
        """Turn everybody out and end."""
        self._closing = True
        self._ring()
        self._thread.join()
        self._bell.close()
        self._ear.close()
        self._selector.close()

    def _ring(self) -> None:
        with contextlib.suppress(BlockingIOError):  # full of rings that are not heard yet
            self._bell.send(b"\0")

    def _run(self) -> None:
        while not self._closing:
            for key, _ in self._selector.select(self._pause()):
                if key.fileobj is self._ear:
                    self._seat()
                else:
                    self._attend(key.data)
            self._turn_out_late()
        self._seat()
        for guest in list(self._guests):
            self._turn_out(guest)

    def _pause(self) -> float | None:
        return max(0.0, self._guests[0].until - time.monotonic()) if self._guests else None

    def _seat(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._ear.recv(4096)
        with self._lock:
            arriving, self._arriving = self._arriving, []
        for guest in arriving:
            guest.connection.setblocking(False)
            try:
                if guest.header is None:
                    guest.connection = self._wrapped(guest.connection)
            except OSError:  # lost already
                guest.connection.close()
                self._gone(guest, "")
                continue
            self._guests.append(guest)
            self._selector.register(guest.connection, selectors.EVENT_READ, guest)
            if len(self._guests) > MOST:
                self._turn_out(self._guests[0])

    def _wrapped(self, connection: socket.socket) -> socket.socket:
        tls = self._tls
        if tls is None:
            return connection
        return tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)

    def _attend(self, guest: PendingConnection) -> None:
        if guest not in self._guests:
            return  # turned out in this same round
        try:
            if guest.header is not None:
                guest.introduce(guest.header)
                guest.connection = self._wrapped(guest.connection)
            guest.advance()
        except (BlockingIOError, ssl.SSLWantReadError):
            self._selector.modify(guest.connection, selectors.EVENT_READ, guest)
        except ssl.SSLWantWriteError:
            self._selector.modify(guest.connection, selectors.EVENT_WRITE, guest)
        except ssl.SSLError as error:
            self._turn_out(guest, refusal(error))
        except (OSError, EOFError):
            self._turn_out(guest)
        except Violation as error:
            self._turn_out(guest, f"aborted: {error}", pdu.abort(AbortSource.SERVICE_PROVIDER, error.reason))
        except InvalidData as error:  # before TLS, if there is any: no word of ours would be understood
            self._turn_out(guest, error.message)
        else:
            self._leave(guest)
            self._ready(guest)

    def _turn_out_late(self) -> None:
        now = time.monotonic()
        while self._guests and self._guests[0].until <= now:
            self._turn_out(self._guests[0])

    def _turn_out(self, guest: PendingConnection, reason: str = "", word: bytes = b"") -> None:
        self._leave(guest)
        if word:
            with contextlib.suppress(OSError):
                guest.connection.send(word)
            close_notify(guest.connection)
        guest.connection.close()
        self._gone(guest, reason)

    def _leave(self, guest: PendingConnection) -> None:
        self._guests.remove(guest)
        self._selector.unregister(guest.connection)
