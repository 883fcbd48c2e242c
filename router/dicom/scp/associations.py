"""Serves the connections given to it: the lobby first, then a thread for each association."""

import logging
import socket
import ssl
import threading
import time
from dataclasses import replace

from router.config.sections import Tls
from router.dicom import libraries
from router.dicom.scp.acceptor import Acceptor, AssociationEvents, Service
from router.dicom.scp.pending import PendingConnection, PendingConnections
from router.dicom.scp.store import Refused, Sink
from router.dicom.ul.socket import Limits, PeerSocket
from router.dicom.ul.tls import NO_TLS, names_of, server_context
from router.errors import traceback_of
from router.refusals import Why

_MOST_THREADS = 512  # also rejected peers keep one until they close, or for Limits.linger

_log = logging.getLogger(__name__)


class AssociationThreads:
    """The Storage SCP of one process. Every `take` is answered, sooner or later, by `desk.ended`.

    `tls` as `tls.server_context` makes it; None: plain connections. With `reports` storage commitment is reported here.
    """

    def __init__(
        self,
        sink: Sink,
        desk: AssociationEvents,
        limits: Limits,
        receiving_ae: str | None,
        tls: ssl.SSLContext | None,
        *,
        reports: bool,
    ) -> None:
        self._service = Service(
            sink=sink, desk=desk, limits=limits, receiving_ae=receiving_ae, reports=reports, stopping=threading.Event()
        )
        self._lobby = PendingConnections(limits.association_request, tls, self._begin, self._turned_out, limits.proxies)
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, tuple[Acceptor, PeerSocket]] = {}

    def start(self) -> None:
        """Ready for connections."""
        libraries.settle()
        self._lobby.open()

    def take(self, connection: socket.socket, number: int, address: str) -> None:
        """Serve the connection; it is ours from now on."""
        self._lobby.enter(connection, number, address)

    def serving(self) -> int:
        """One: this process itself."""
        return 1

    def renew(self, tls: Tls | None, *, reports: bool) -> None:
        """As when it is made, from the next connection on; raises as `server_context`, and changes nothing then."""
        self._lobby.renew(None if tls is None else server_context(tls))
        self._service = replace(self._service, reports=reports)

    def stop(self, grace_seconds: float) -> None:
        """Let messages at hand be finished within the grace, abort the rest; returns when every thread has ended."""
        self._lobby.close()
        self._service.stopping.set()
        until = time.monotonic() + grace_seconds
        with self._lock:
            serving = dict(self._open)
        for _, wire in serving.values():
            wire.wake()
        for thread, (_, wire) in serving.items():
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                wire.sever()
        for thread in serving:
            thread.join(self._service.limits.linger)

    def _begin(self, guest: PendingConnection) -> None:
        if len(self._open) >= _MOST_THREADS:
            self._send_away(guest)
            return
        wire = PeerSocket(guest.connection, self._service.limits)
        shown = names_of(guest.connection)
        acceptor = Acceptor(self._service, wire, guest.number, guest.address, shown)
        thread = threading.Thread(
            target=self._serve, args=(acceptor, bytes(guest.request)), name="dicom-association", daemon=True
        )
        with self._lock:  # whoever stops us joins what is open: a thread that has begun
            try:
                thread.start()
            except RuntimeError:  # the system gives none; the lobby goes on
                self._send_away(guest)
                return
            self._open[thread] = acceptor, wire

    def _send_away(self, guest: PendingConnection) -> None:
        guest.connection.close()
        self._service.desk.ended(guest.number)

    def _turned_out(self, guest: PendingConnection, reason: str) -> None:
        if reason:
            why = Why.TLS if reason.startswith(NO_TLS) else Why.PROTOCOL
            self._service.desk.record(Refused(calling_ae="", address=guest.address, reason=reason, why=why))
        self._service.desk.ended(guest.number)

    def _serve(self, acceptor: Acceptor, request_pdu: bytes) -> None:
        try:
            acceptor.serve(request_pdu)
        except Exception as error:  # noqa: BLE001 the thread's top: a defect ends this association only
            _log.error("an association ended by a defect: %s at %s", type(error).__name__, traceback_of(error))
        finally:
            with self._lock:
                del self._open[threading.current_thread()]
