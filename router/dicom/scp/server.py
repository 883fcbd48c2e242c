"""Storage SCP and Verification SCP (PS3.4 B and A): acknowledged only when the sink has made the instance durable.

The process that starts the server accepts and admits; the associations are served by its own threads or by workers.
"""

import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from router.config.sections import Tls
from router.dicom.scp.acceptor import AssociationEvents
from router.dicom.scp.admission import Admission, Rejection, judge
from router.dicom.scp.associations import AssociationThreads
from router.dicom.scp.store import Received, Refused, Sink
from router.dicom.scp.worker_pool import WorkerCommands, WorkerPool
from router.dicom.ul import dimse
from router.dicom.ul.commitment import Report, TakeReport
from router.dicom.ul.socket import Limits
from router.dicom.ul.tls import server_context
from router.errors import ConfigurationError

_BACKLOG = 256
_PAUSE = 0.2  # seconds, when the system has no descriptor left
_LATELY = 1.0  # seconds: a failure to accept so long ago may be over, and is seen again at once where it is not

_log = logging.getLogger(__name__)


class _Hall(Protocol):
    """Where connections are served: a Receiver or Workers."""

    def start(self) -> None: ...

    def take(self, connection: socket.socket, number: int, address: str) -> None: ...

    def serving(self) -> int: ...

    def renew(self, tls: Tls | None, *, reports: bool) -> None: ...

    def stop(self, grace_seconds: float) -> None: ...


class StorageServer:
    """Listens until stopped. `record` is told what happened, from several threads; it must not raise.

    With a Sink the associations are served by threads of this process, with WorkerCommands by processes. With `tls`
    every connection must be TLS; ConfigurationError when its files do not serve. With `take_report` destinations may
    report on storage commitment, as long as `reports` says so; it is called from several threads.
    """

    def __init__(
        self,
        sink: Sink | WorkerCommands,
        *,
        admission: Admission,
        record: Callable[[Received | Refused], None],
        limits: Limits | None = None,
        tls: Tls | None = None,
        take_report: TakeReport | None = None,
        reports: bool = True,
    ) -> None:
        self._sink = sink
        self._reports = reports and take_report is not None
        self._register = _Register(admission, record, take_report or _not_asked)
        self._limits = limits or Limits()
        self._tls = tls
        self._context = None if tls is None else server_context(tls)
        self._receiving_ae = admission.ae_title
        self._numbers = itertools.count(1)
        self._hall: _Hall | None = None
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._failed = float("-inf")

    @property
    def accepts(self) -> bool:
        """Whether connections are accepted."""
        thread = self._thread
        if thread is None or not thread.is_alive() or self._stopping.is_set():
            return False
        return time.monotonic() - self._failed >= _LATELY

    @property
    def workers(self) -> tuple[int, int]:
        """How many serve associations and answer, and how many there should be."""
        hall = self._hall
        whole = len(self._sink.commands) if isinstance(self._sink, WorkerCommands) else 1
        return (0 if hall is None else hall.serving()), whole

    def start(self, host: str, port: int) -> int:
        """Listen; returns the real port once connections are answered. Raises OSError when the port is taken,
        ConfigurationError when the workers do not come up."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        hall = self._hall = self._open_hall(self._register)
        try:
            hall.start()
        except ConfigurationError:
            self._listener.close()
            raise
        self._thread = threading.Thread(
            target=self._listen, args=(self._listener, hall), name="dicom-listener", daemon=True
        )
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def admit_by(self, admission: Admission) -> None:
        """Judge by these rules from the next association on, but for the called AE title: workers know that one."""
        self._register.admit_by(admission)

    def renew(self, tls: Tls | None, *, reports: bool) -> None:
        """Receive by these from the next connection on; raises as the constructor, and changes nothing then."""
        self._context = None if tls is None else server_context(tls)
        self._tls, self._reports = tls, reports
        if self._hall is not None:
            self._hall.renew(tls, reports=reports)

    def stop(self, grace_seconds: float) -> None:
        """Stop listening, let instances at hand be finished within the grace, then abort what is open."""
        if self._listener is None or self._thread is None or self._hall is None:
            return
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the listening thread
        self._thread.join()
        self._listener.close()
        self._hall.stop(grace_seconds)
        self._hall = self._listener = self._thread = None

    def _open_hall(self, desk: AssociationEvents) -> _Hall:
        if isinstance(self._sink, WorkerCommands):
            return WorkerPool(self._sink, desk, self._limits, self._receiving_ae, self._tls, reports=self._reports)
        return AssociationThreads(
            self._sink, desk, self._limits, self._receiving_ae, self._context, reports=self._reports
        )

    def _listen(self, listener: socket.socket, hall: _Hall) -> None:
        while not self._stopping.is_set():
            try:
                connection, address = listener.accept()
            except OSError as error:
                self._failed = time.monotonic()
                if not self._stopping.wait(_PAUSE):
                    _log.error("cannot accept a connection: %s", error.strerror)
                continue
            number = next(self._numbers)
            hall.take(connection, number, str(address[0]))


def _not_asked(report: Report) -> int:
    return dimse.INVALID_ARGUMENT_VALUE


class _Register:
    """The desk of the main process: who is in, counted by sender."""

    def __init__(
        self, admission: Admission, record: Callable[[Received | Refused], None], take_report: TakeReport
    ) -> None:
        self._admission = admission
        self.record = record
        self.report = take_report
        self._lock = threading.Lock()
        self._senders: dict[int, tuple[str, str]] = {}

    def admit_by(self, admission: Admission) -> None:
        with self._lock:
            self._admission = replace(admission, ae_title=self._admission.ae_title)

    def admit(
        self, number: int, called: str, calling: str, address: str, certificate: tuple[str, ...]
    ) -> Rejection | None:
        with self._lock:
            sender = calling, address
            others = list(self._senders.values())
            rejection = judge(
                self._admission,
                called=called,
                calling=calling,
                address=sender[1],
                in_all=len(others),
                from_sender=others.count(sender),
                certificate=frozenset(certificate),
            )
            if rejection is None:
                self._senders[number] = sender
        return rejection

    def ended(self, number: int) -> None:
        with self._lock:
            self._senders.pop(number, None)
