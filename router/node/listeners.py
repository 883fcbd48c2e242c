"""Listeners of a node: for images, for HL7 messages, and for its administrator."""

import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from router.admin.console.console import Console, ConsoleContext
from router.admin.http.health import health
from router.admin.http.hosts import names_of
from router.admin.http.server import AdminServer
from router.admin.http.session import token_in
from router.admin.status.vitals import ALARMS_OUT, Degradation, of_reception, of_work
from router.cluster.membership import DROP_FOLDER
from router.config.sections import Admin, Config, Hl7Listener, Receive, Tls
from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.ul.commitment import Report
from router.dicom.ul.socket import Limits
from router.dicom.ul.tls import server_context
from router.errors import ConfigurationError
from router.events import Event, Kind
from router.node import receive_worker
from router.node.build import Parts
from router.node.duties import Duties
from router.reports.hl7.mllp import MllpServer
from router.storage.running import ADMIN, Listener

_DICOM, _HL7 = "DICOM", "HL7"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the node listens."""

    dicom: int
    admin: int
    hl7: int | None = None


class Listeners:
    """The listeners, each started and stopped by itself, and what is done with all that they take."""

    def __init__(self, parts: Parts, duties: Duties) -> None:
        self._parts = parts
        self._duties = duties
        self._found: dict[str, Listener] = {}
        self.dicom = self._make_dicom()
        self.hl7 = self._make_hl7()
        self.console = self._make_console()
        self.admin = self._make_admin()

    def ports(self) -> Ports:
        """The real ports, once every listener is started."""
        hl7 = self._found.get(_HL7)
        return Ports(self._found[_DICOM].port, self._found[ADMIN].port, None if hl7 is None else hl7.port)

    def found(self) -> list[Listener]:
        """The listeners that were started, with their real ports."""
        return [self._found[name] for name in (_DICOM, ADMIN, _HL7) if name in self._found]

    def fit(self, config: Config) -> Callable[[], None]:
        """Read this configuration's certificates; the call that shows them. A ConfigurationError changes nothing."""
        hl7_tls = None if config.reports.hl7 is None else config.reports.hl7.tls
        admin, hl7, names = _context(config.admin.tls), _context(hl7_tls), names_of(config.admin)

        def use() -> None:
            self.dicom.renew(config.receive.tls, reports=_asks_for_commitment(config))
            self.dicom.admit_by(_admission(config.receive))
            self.admin.renew(admin, names)
            if self.hl7 is not None:
                self.hl7.renew(hl7)

        return use

    # -- images

    def start_dicom(self) -> None:
        """Listen for images."""
        self._listen(_DICOM, "[receive]", self._parts.config.receive, self.dicom.start)

    def _make_dicom(self) -> StorageServer:
        parts, receive = self._parts, self._parts.config.receive
        commands = receive_worker.commands(
            parts.storage.incoming, parts.workers, receive.min_free, receive.journal // parts.workers,
            whole_only=receive.irregular == "refuse",
        )  # fmt: skip
        return StorageServer(
            commands, admission=_admission(receive), record=self._note_received, limits=limits_of(receive),
            tls=receive.tls, take_report=self._take_report, reports=_asks_for_commitment(parts.config),
        )  # fmt: skip

    def _note_received(self, outcome: Received | Refused) -> None:
        parts = self._parts
        if isinstance(outcome, Received):
            parts.audit.count(outcome)
            parts.storage.incoming.wake()
            parts.metrics.note_durable(outcome.size)
            parts.recorder.stored(outcome)
        else:
            parts.metrics.note_refused(outcome.status)
            parts.recorder.refused(outcome)
            fields = {"calling_ae": outcome.calling_ae, "address": outcome.address}
            self._record_refusal(outcome.reason, fields, outcome.study or None)

    def _take_report(self, report: Report) -> int:
        """On a thread of the server's, which keeps no connection to the database."""
        try:
            return self._parts.commitment_reports.take(report)
        finally:
            self._parts.catalogue.engine.close_thread()
            self._duties.evaluate()

    # -- HL7 messages

    def start_hl7(self) -> None:
        """Listen for HL7 messages, where that is configured."""
        hl7 = self._parts.config.reports.hl7
        if hl7 is not None and self.hl7 is not None:
            self._listen(_HL7, "[reports.hl7]", hl7, self.hl7.start)

    def _make_hl7(self) -> MllpServer | None:
        parts, hl7 = self._parts, self._parts.config.reports.hl7
        if hl7 is None:
            return None
        return MllpServer(
            config=hl7, take=self._take_message,
            refused=lambda address, why: self._record_refusal(why, {"address": address}),
            ended=parts.catalogue.engine.close_thread, clock=parts.clock, context=_context(hl7.tls),
        )  # fmt: skip

    def _take_message(self, message: bytes) -> None:
        self._parts.intake.take_message(message)
        self._duties.evaluate()

    def _record_refusal(self, why: str, fields: dict[str, str], study_uid: str | None = None) -> None:
        now = self._parts.clock.now()
        self._parts.bus.record(Event(now, Kind.REFUSED, why, study_uid=study_uid, fields=fields))

    # -- administrator

    def start_admin(self) -> None:
        """Listen for the administrator."""
        self._listen(ADMIN, "[admin]", self._parts.config.admin, self.admin.start)

    def _make_console(self) -> Console:
        parts, config = self._parts, self._parts.config
        file = config.admin.token_file or config.node.data / "console-token"
        context = ConsoleContext(
            config=config, catalogue=parts.catalogue, bus=parts.bus, clock=parts.clock, rules=parts.rulebook,
            queues=parts.places(), free=parts.free, token_file=file, seal=parts.audit.seal, attention=parts.attention,
        )  # fmt: skip
        return Console(context, token_in(file))

    def _make_admin(self) -> AdminServer:
        parts, admin = self._parts, self._parts.config.admin
        parts.vitals.sources.append(self._degraded)
        routes = {"/health": health(parts.vitals.report), "/metrics": parts.metrics.answer, **self.console.routes()}
        close = parts.catalogue.engine.close_thread
        return AdminServer(
            routes, close, context=_context(admin.tls), is_ours=names_of(admin), prompt=("/health",)
        )  # fmt: skip

    def _degraded(self) -> Iterator[Degradation]:
        """Parts of the node that do not work; the drop folder counts at the one node that takes reports there."""
        parts = self._parts
        yield from of_reception(self.dicom.accepts, *self.dicom.workers)
        yield from of_work(self._duties.loops())
        if trouble := parts.audit.trouble:
            yield Degradation(what="audit", text=f"nothing that a person asks for is done: {trouble}")
        if (trouble := parts.pickup.trouble) and parts.membership.has(DROP_FOLDER):
            yield Degradation(what="drop-folder", text=trouble)
        yield from (Degradation(what=ALARMS_OUT, text=text) for text in parts.notifier.degraded())

    def _listen(
        self, name: str, section: str, at: Receive | Admin | Hl7Listener, start: Callable[[str, int], int]
    ) -> None:
        try:
            self._found[name] = Listener(name, at.host, start(at.host, at.port))
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {at.host} port {at.port}: {error.strerror}", hint=f"see host and port in {section}"
            ) from error


def limits_of(receive: Receive) -> Limits:
    """The limits of an association, as configured."""
    return Limits(idle=receive.idle.total_seconds(), max_pdu=receive.max_pdu, proxies=receive.proxies)


def _admission(receive: Receive) -> Admission:
    return Admission(receive.ae_title, receive.senders, receive.max_associations, receive.max_associations_per_sender)


def _context(tls: Tls | None) -> ssl.SSLContext | None:
    return None if tls is None else server_context(tls)


def _asks_for_commitment(config: Config) -> bool:
    return any(d.dicom is not None and d.dicom.commitment for d in config.destination)
