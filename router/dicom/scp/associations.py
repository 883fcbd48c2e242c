"""Association threads: each connection is pending until its request is whole, then has a thread of its own."""

import logging
import socket
import threading
import time
from dataclasses import replace

from router.dicom import libraries
from router.dicom.scp.acceptor import Acceptor, AssociationEvents, Service, Settings
from router.dicom.scp.pending import PendingConnection, PendingConnections
from router.dicom.scp.store import Refused, Sink
from router.dicom.ul.socket import PeerSocket
from router.dicom.ul.tls import NO_TLS, names_of
from router.errors import traceback_of
from router.refusals import Why

_MOST_THREADS = 512  # also rejected peers keep one until they close, or for Limits.linger

_log = logging.getLogger(__name__)


class AssociationThreads:
    """The Storage SCP of one process. Each connection that it takes ends with `events.ended`."""

    def __init__(self, sink: Sink, events: AssociationEvents, settings: Settings) -> None:
        """Raises as `Settings.context` does."""
        self._service = Service(sink, events, settings, threading.Event())
        self._pending = PendingConnections(
            settings.limits, settings.context(), ready=self._begin, dropped=self._dropped
        )
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, tuple[Acceptor, PeerSocket]] = {}

    def start(self) -> None:
        """Be ready for connections."""
        libraries.settle()
        self._pending.open()

    def take(self, connection: socket.socket, number: int, address: str) -> None:
        """Serve the connection, and close it at its end."""
        self._pending.add(connection, number, address)

    def serving(self) -> int:
        """One: this process itself."""
        return 1

    def renew(self, settings: Settings) -> None:
        """Serve by these from the next connection on. Raises as `Settings.context` does, and then changes nothing."""
        self._pending.tls = settings.context()
        self._service = replace(self._service, settings=settings)

    def stop(self, grace_seconds: float) -> None:
        """Let messages in progress end within the grace, abort the rest; returns when every thread has ended."""
        self._pending.close()
        self._service.stopping.set()
        until = time.monotonic() + grace_seconds
        with self._lock:
            serving = dict(self._open)
        for _, peer_socket in serving.values():
            peer_socket.wake()
        for thread, (_, peer_socket) in serving.items():
            thread.join(max(0.0, until - time.monotonic()))
            if thread.is_alive():
                peer_socket.sever()
        for thread in serving:
            thread.join(self._service.settings.limits.linger)

    def _begin(self, pending: PendingConnection) -> None:
        if len(self._open) >= _MOST_THREADS:
            self._refuse(pending)
            return
        peer_socket = PeerSocket(pending.connection, self._service.settings.limits)
        shown = names_of(pending.connection)
        acceptor = Acceptor(
            self._service, peer_socket, number=pending.number, address=pending.address, certificate=shown
        )
        thread = threading.Thread(
            target=self._serve, args=(acceptor, bytes(pending.request)), name="dicom-association", daemon=True
        )
        with self._lock:  # `stop` joins every thread that is open, so it must have begun
            try:
                thread.start()
            except RuntimeError:  # the system gives none; others are served
                self._refuse(pending)
                return
            self._open[thread] = acceptor, peer_socket

    def _refuse(self, pending: PendingConnection) -> None:
        pending.connection.close()
        self._service.events.ended(pending.number)

    def _dropped(self, pending: PendingConnection, reason: str) -> None:
        if reason:
            why = Why.TLS if reason.startswith(NO_TLS) else Why.PROTOCOL
            self._service.events.record(Refused(calling_ae="", address=pending.address, reason=reason, why=why))
        self._service.events.ended(pending.number)

    def _serve(self, acceptor: Acceptor, request_pdu: bytes) -> None:
        try:
            acceptor.serve(request_pdu)
        except Exception as error:  # noqa: BLE001 the thread's top: a defect ends this association only
            _log.error("an association ended by a defect: %s at %s", type(error).__name__, traceback_of(error))
        finally:
            with self._lock:
                del self._open[threading.current_thread()]
