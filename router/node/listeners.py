"""Listeners of a node: for images, for HL7 messages, and for its administrator."""

import functools
import ssl
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from router.admin.console.console import Console
from router.admin.console.context import ConsoleContext
from router.admin.http.health import health
from router.admin.http.hosts import names_of
from router.admin.http.server import AdminServer
from router.admin.http.session import token_in
from router.admin.status.vitals import ALARMS_OUT, Degradation, of_reception, of_work
from router.cluster.membership import DROP_FOLDER
from router.config.folders import Hl7Port, hl7_ports
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
_END_SECONDS = 5.0  # for the message at hand of a listener that ends at a reload


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the node listens: `hl7` is the common listener's port, `own` are those of hospitals by their names."""

    dicom: int
    admin: int
    hl7: int | None = None
    own: Mapping[str, int] = field(default_factory=dict)


class Listeners:
    """The listeners, each started and stopped by itself, and what is done with all that they take."""

    def __init__(self, parts: Parts, duties: Duties) -> None:
        self._parts = parts
        self._duties = duties
        self._found: dict[str, Listener] = {}
        self.dicom = self._make_dicom()
        self._hl7: dict[str, tuple[Hl7Port, MllpServer]] = {}
        self.console = self._make_console()
        self.admin = self._make_admin()

    def ports(self) -> Ports:
        """The real ports, once every listener is started."""
        hl7 = self._found.get(_HL7)
        own = {port.hospital: self._found[name].port for name, (port, _) in self._hl7.items() if port.hospital}
        return Ports(self._found[_DICOM].port, self._found[ADMIN].port, None if hl7 is None else hl7.port, own)

    def found(self) -> list[Listener]:
        """The listeners that were started, with their real ports."""
        return [self._found[name] for name in (_DICOM, ADMIN, *self._hl7) if name in self._found]

    def fit(self, config: Config) -> Callable[[], None]:
        """Read this configuration's certificates; the call that shows them, and listens where hospitals' HL7 comes now.

        A ConfigurationError changes nothing.
        """
        admin, names = _context(config.admin.tls), names_of(config.admin)
        wanted = {port.name: port for port in hl7_ports(config)}
        contexts = {name: _context(port.at.tls) for name, port in wanted.items()}
        ready = self._listen_ahead(wanted, contexts)

        def use() -> None:
            self._use_hl7(wanted, contexts, ready)
            self.dicom.renew(config.receive.tls, reports=_asks_for_commitment(config))
            self.dicom.admit_by(_admission(config))
            self.admin.renew(admin, names)

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
            commands, admission=_admission(parts.config), record=self._note_received, limits=limits_of(receive),
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
        for port in hl7_ports(self._parts.config):
            self._begin_hl7(port, _context(port.at.tls))

    def stop_hl7(self, seconds: float) -> None:
        """Take no further messages; those at hand are answered, within so many seconds in all."""
        until = time.monotonic() + seconds
        for _, server in self._hl7.values():
            server.stop(max(until - time.monotonic(), 0.1))

    def _begin_hl7(self, port: Hl7Port, context: ssl.SSLContext | None) -> None:
        parts = self._parts
        server = MllpServer(
            config=port.at, take=functools.partial(self._take_message, port.hospital),
            refused=lambda address, why: self._record_refusal(why, {"address": address}),
            ended=parts.catalogue.engine.close_thread, clock=parts.clock, context=context,
        )  # fmt: skip
        self._listen(port.name, port.section, port.at, server.start)
        self._hl7[port.name] = port, server

    def _take_message(self, port: str | None, message: bytes) -> None:
        self._parts.intake.take_message(message, port)
        self._duties.evaluate()

    def _listen_ahead(self, wanted: Mapping[str, Hl7Port], contexts: Mapping[str, ssl.SSLContext | None]) -> set[str]:
        """Listen where nobody of ours does yet, before anything is changed; what was begun, or ConfigurationError."""
        taken = {(port.at.host, port.at.port) for port, _ in self._hl7.values()}
        begun = set[str]()
        try:
            for name, port in wanted.items():
                if name not in self._hl7 and (port.at.host, port.at.port) not in taken:
                    self._begin_hl7(port, contexts[name])
                    begun.add(name)
        except ConfigurationError:
            self._end_hl7(begun)
            raise
        return begun

    def _use_hl7(
        self, wanted: Mapping[str, Hl7Port], contexts: Mapping[str, ssl.SSLContext | None], ready: Collection[str]
    ) -> None:
        """End the listeners whose configuration is another by now; begin what waits for their ports."""
        ended = [name for name, (port, _) in self._hl7.items() if not _is_same(wanted.get(name), port)]
        self._end_hl7(ended)
        for name, port in wanted.items():
            if name not in self._hl7:
                self._begin_hl7(port, contexts[name])
            elif name not in ready:
                self._hl7[name][1].renew(contexts[name])

    def _end_hl7(self, names: Collection[str]) -> None:
        for name in names:
            self._hl7.pop(name)[1].stop(_END_SECONDS)
            self._found.pop(name, None)

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
            report=parts.vitals.report, file=parts.life.configuration, pictures=parts.pictures,
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
        gone = {pickup.at: pickup.trouble for pickup in self._duties.pickups()}
        troubles = [f"{at.name}: {text}" if at.hospital else text for at, text in gone.items() if text]
        if troubles and parts.membership.has(DROP_FOLDER):
            yield Degradation(what="drop-folder", text="; ".join(troubles))
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


def _admission(config: Config) -> Admission:
    receive = config.receive
    return Admission(receive.ae_title, config.senders, receive.max_associations, receive.max_associations_per_sender)


def _is_same(wanted: Hl7Port | None, port: Hl7Port) -> bool:
    """Whether a listener may stay as it is: its certificate is renewed while it listens."""
    return wanted is not None and wanted.at.model_copy(update={"tls": port.at.tls}) == port.at


def _context(tls: Tls | None) -> ssl.SSLContext | None:
    return None if tls is None else server_context(tls)


def _asks_for_commitment(config: Config) -> bool:
    return any(d.dicom is not None and d.dicom.commitment for d in config.destination)
