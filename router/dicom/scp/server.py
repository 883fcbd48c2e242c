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

from router.config.sections import Tls
from router.dicom.scp.acceptor import Settings
from router.dicom.scp.admission import Admission, Ask, Rejection, judge
from router.dicom.scp.associations import AssociationThreads
from router.dicom.scp.store import Received, Refused, Sink
from router.dicom.scp.worker_pool import WorkerCommands, WorkerPool
from router.dicom.ul import dimse
from router.dicom.ul.commitment import TakeReport
from router.dicom.ul.socket import Limits
from router.errors import ConfigurationError

_BACKLOG = 256
_PAUSE = 0.2  # seconds, when the system has no descriptor left
_LATELY = 1.0  # seconds: a failure to accept so long ago may be over, and is seen again at once where it is not

_log = logging.getLogger(__name__)


AssociationHandler = AssociationThreads | WorkerPool


class StorageServer:
    """Listens until stopped.

    With a Sink the associations are served by threads of this process, with WorkerCommands by processes. `record` gets
    each outcome, and `take_report` each report on storage commitment while `reports` is true; both are called from
    several threads, and `record` must not raise. With `tls` every connection must be TLS; ConfigurationError when its
    files cannot be used.
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
        self._settings = Settings(limits or Limits(), admission.ae_title, tls, reports and take_report is not None)
        self._settings.context()  # raises as it does when it is used
        take_report = take_report or (lambda _: dimse.INVALID_ARGUMENT_VALUE)
        self._register = AdmissionRegister(admission, record, take_report)
        self._numbers = itertools.count(1)
        self._handler: AssociationHandler | None = None
        self._listener: socket.socket | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._failed = float("-inf")

    @property
    def accepts(self) -> bool:
        """Whether connections are accepted at the moment."""
        thread = self._thread
        if thread is None or not thread.is_alive() or self._stopping.is_set():
            return False
        return time.monotonic() - self._failed >= _LATELY

    @property
    def workers(self) -> tuple[int, int]:
        """Workers that serve associations and answer, and how many there should be."""
        handler = self._handler
        whole = len(self._sink.commands) if isinstance(self._sink, WorkerCommands) else 1
        return (0 if handler is None else handler.serving()), whole

    def start(self, host: str, port: int) -> int:
        """Listen; the real port. OSError when it is taken, ConfigurationError when the workers do not come up."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
        try:
            if isinstance(self._sink, WorkerCommands):
                handler: AssociationHandler = WorkerPool(self._sink, self._register, self._settings)
            else:
                handler = AssociationThreads(self._sink, self._register, self._settings)
            self._handler = handler
            handler.start()
        except ConfigurationError:
            self._listener.close()
            raise
        self._thread = threading.Thread(
            target=self._listen, args=(self._listener, handler), name="dicom-listener", daemon=True
        )
        self._thread.start()
        return int(self._listener.getsockname()[1])

    def admit_by(self, admission: Admission) -> None:
        """Apply these rules from the next association on, except the called AE title, which workers know already."""
        self._register.admit_by(admission)

    def renew(self, tls: Tls | None, *, reports: bool) -> None:
        """Apply these from the next connection on. Raises as the constructor does, and then changes nothing."""
        settings = replace(self._settings, tls=tls, reports=reports)
        settings.context()
        self._settings = settings
        if self._handler is not None:
            self._handler.renew(settings)

    def stop(self, grace_seconds: float) -> None:
        """Stop listening, let messages in progress end within the grace, then abort what is open."""
        if self._listener is None or self._thread is None or self._handler is None:
            return
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the listening thread
        self._thread.join()
        self._listener.close()
        self._handler.stop(grace_seconds)
        self._handler = self._listener = self._thread = None

    def _listen(self, listener: socket.socket, handler: AssociationHandler) -> None:
        while not self._stopping.is_set():
            try:
                connection, address = listener.accept()
            except OSError as error:
                self._failed = time.monotonic()
                if not self._stopping.wait(_PAUSE):
                    _log.error("cannot accept a connection: %s", error.strerror)
                continue
            handler.take(connection, next(self._numbers), str(address[0]))


class AdmissionRegister:
    """The association events of the main process: open associations, counted by sender."""

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

    def admit(self, ask: Ask) -> Rejection | None:
        with self._lock:
            sender, others = (ask.calling, ask.address), list(self._senders.values())
            rejection = judge(self._admission, ask, in_all=len(others), from_sender=others.count(sender))
            if rejection is None:
                self._senders[ask.number] = sender
        return rejection

    def ended(self, number: int) -> None:
        with self._lock:
            self._senders.pop(number, None)
