"""The node: everything built from the configuration, started and stopped in order."""

import logging
import os
import random
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from router.admin.audit.audit import Audit, Guard
from router.admin.audit.seals import Seals, seals_of, trail_of
from router.admin.audit.syslog import Syslog
from router.admin.console.console import Console, ConsoleContext
from router.admin.http.health import health
from router.admin.http.hosts import names_of
from router.admin.http.metrics import Gauges, Metrics
from router.admin.http.server import AdminServer
from router.admin.http.session import token_in
from router.admin.notify.notifier import AlarmNotifier
from router.admin.status.vitals import (
    ALARMS_OUT,
    Degradation,
    Degradations,
    DiskLook,
    DiskProbe,
    Vitals,
    of_reception,
    of_work,
)
from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.db.backup import unfinished
from router.catalogue.db.sessions import limits_of as limits_of_sessions
from router.catalogue.node.restore import has_database
from router.catalogue.queue.backlog import Place
from router.clock import Clock, SharedClock
from router.cluster.absence import AbsenceWatch
from router.cluster.membership import CORRELATOR, DAILY, DROP_FOLDER, LOOKOUT, RETENTION, SCRUB, Membership
from router.config.changes import Changes, Stamps, compare, renewed, stamps
from router.config.sections import Config, ConfigFile, Destination, Receive, Tls, load
from router.correlator.backfilling import Admission as BackfillAdmission
from router.correlator.checks import resolved
from router.correlator.correlator import Correlator, delivery_places
from router.crypto import selftest
from router.crypto.keys import read_secret
from router.delivery.breaker_gate import Route
from router.delivery.commitment import CommitmentReports
from router.delivery.deadline_monitor import DeadlineMonitor
from router.delivery.dispatcher import Dispatcher
from router.delivery.routes import RouteFactory, Routes
from router.delivery.sharing import Sharing
from router.delivery.unwritten import Unwritten
from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.scu import decoders
from router.dicom.scu.query import QueryClient
from router.dicom.ul.commitment import Report
from router.dicom.ul.socket import Limits
from router.dicom.ul.tls import server_context
from router.errors import ConfigurationError, RouterError
from router.events import Event, EventBus, Kind, log_event
from router.images.cataloguer import Cataloguer
from router.images.retrieval import Retrieval
from router.images.rulebook import SeriesRules
from router.images.selection import Selection
from router.intake.exam_reader import ExamReader
from router.intake.intake import Intake
from router.intake.pickup import Pickup
from router.loop import Loop, Step, Untried
from router.model import Channel
from router.node import receive_worker
from router.node.life import Life
from router.policy.attention import Attention
from router.policy.states import State
from router.reports.hl7.mllp import MllpServer
from router.review.attention import look, places_of
from router.review.reconcile import Reconciliation
from router.storage import open_storage
from router.storage.lock import lock
from router.storage.running import ADMIN, Listener
from router.storage.takeover import Takeover
from router.upkeep.backup import BackupJob
from router.upkeep.clock_watch import ClockWatch, JumpWatch
from router.upkeep.daily import Daily
from router.upkeep.refusals import RefusalRecorder, RefusalWatch
from router.upkeep.retention import Retention
from router.upkeep.scrub import Quiet, Scrub
from router.upkeep.silence import SilenceWatch
from router.upkeep.upgrade import bring_up_to_date

_GRACE_SECONDS = 25.0
_ANSWER_SECONDS = 6.0  # that a stopping node waits for the database's answer
_DRAIN_SECONDS = 10.0
_IDLE_SECONDS = 1.0
_NOT_OURS = Untried(_IDLE_SECONDS)  # the duty is another node's
_CATCHING_UP_SECONDS = 900.0  # at most, until images without a report are looked at
_CORRELATING = 1 / 5  # of the time
_PURGING = 1 / 4  # of the time
_LAST_SECONDS = 2.0
_SHORT_STEP, _LONG_STEP = 20.0, 300.0  # seconds, after which a loop stands still
_OPEN = (State.WAITING, State.READY, State.DEFERRED, State.HELD, State.FAILED)
_log = logging.getLogger("router")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the node listens."""

    dicom: int
    admin: int
    hl7: int | None = None


class Node:
    """One node. ConfigurationError on building it when keys, rules or folders are not as they must be.

    `file` is where the configuration comes from, for those who compare.
    """

    def __init__(self, config: Config, clock: Clock, file: ConfigFile | None = None) -> None:
        selftest.run()
        self._config = config
        clock = self._clock = SharedClock(clock)
        self._began = clock.monotonic()
        self._owner = config.node.owner
        self._workers = config.receive.workers or len(os.sched_getaffinity(0))
        seals, self._audit, self._syslog = self._make_audit()
        self._bus = EventBus(log_event, self._audit.take)
        self._references = ExamReader(config)
        self._read_by: tuple[object, ...] = ()  # what waits may have been read by another version of this program
        self._storage = open_storage(config.node.data, self._owner)
        self._lock = lock(config.node.data / "incoming" / self._owner, self._owner)
        self._life = Life(config, clock.now(), file)
        _make_drop_folder(config)
        _require_private_tls_keys(config)
        self._catalogue: Catalogue = self._open_catalogue()
        self._audit.guard(self._make_guard(seals))
        self._config = config = resolved(config, self._catalogue.settings)
        self._rules = SeriesRules(config, self._bus, clock)
        self._selection = Selection(
            config.identity, self._catalogue, lambda: self._rules.book, self._bus,
            cut_off_goes=config.receive.irregular == "send",
        )  # fmt: skip
        self._unwritten, self._sharing, self._dispatcher = self._make_dispatcher()
        self._lookout = DeadlineMonitor(config, self._catalogue, self._bus, clock, self._works)
        self._recorder, self._refusal_watch = (
            RefusalRecorder(self._catalogue.refusals, config.node.timezone, clock),
            RefusalWatch(config, self._catalogue, self._bus, clock),
        )
        self._daily = self._make_daily()
        self._timekeeper = JumpWatch(self._catalogue, self._bus, clock)
        self._cataloguer = self._make_cataloguer()
        self._filing, self._stopping = threading.Lock(), threading.Event()
        self._unpaired, self._failed = threading.Event(), threading.Event()
        self._retention = self._make_retention()
        self._metrics = self._make_metrics()
        self._bus.subscribe(self._metrics.on_event)
        known = (self._catalogue, self._storage, self._selection, self._bus, clock)
        self._correlator = Correlator(config, self._references, *known)
        self._backfill = BackfillAdmission(self._catalogue, clock)
        self._membership = self._make_membership()
        self._notifier = self._make_notifier()
        self._bus.subscribe(self._notifier.on_event)
        self._intake = self._make_intake()
        self._pickup = Pickup(config.reports, self._intake, self._bus, clock,
                              known=self._catalogue.exams.any_document())  # fmt: skip
        self._commitment_reports = CommitmentReports(self._catalogue, self._bus, clock, random.random)
        self._server = self._make_server()
        self._hl7 = self._make_hl7()
        self._console = self._make_console()
        self._admin = self._make_admin()
        self._evaluating = threading.Lock()
        # Each batch of a study's images touches its exam; that must not leave the sending without processor.
        self._correlating = self._loop("correlator", self._correlate, share=_CORRELATING, patience=_LONG_STEP)
        self._files = stamps(config)
        self._lanes = Routes(self._make_outfitter(), lambda name, lane: self._loop(name, lambda: self._send(lane)))
        self._lanes.use(self._lanes.fit(config, lambda one: _files_of(one, self._files)))
        self._loops = self._make_loops()

    def start(self) -> Ports:
        """Take back what a former life left, then listen. Returns when every listener is up."""
        now = self._clock.now()
        self._storage.incoming.sweep(self._workers)
        self._unwritten.take_up()
        self._unwritten.write_down(self._catalogue.late, self._bus, self._clock)
        self._catalogue.queue.take_back(self._owner, now)
        self._sharing.start()
        self._membership.beat()
        self._reread()
        self._timekeeper.start_anew()
        self._correlator.reconsider()
        self._drain_incoming()
        self._bus.subscribe(self._wake_lanes)
        self._bus.subscribe(self._note_joined)
        self._bus.subscribe(self._note_failed)
        self._notifier.start()
        self._audit.start()
        if self._syslog is not None:
            self._syslog.start()
        self._pickup.watch.start()
        for loop in self._loops:
            loop.start()
        self._lanes.start()
        receive, admin = self._config.receive, self._config.admin
        try:
            ports = Ports(
                _listening("[receive]", receive.host, receive.port, self._server.start),
                _listening("[admin]", admin.host, admin.port, self._admin.start),
                self._listen_for_hl7(),
            )
        except ConfigurationError:
            self.stop()
            raise
        self._life.listens(self._listeners(ports))
        self._bus.record(Event(self._clock.now(), Kind.STARTED, f"node {self._owner} listens", subject=self._owner))
        self._settings_read()
        return ports

    def reload(self, file: Path) -> None:
        """Take up from the configuration file what can be while the node runs, and tell what waits for a restart.

        A file with faults changes nothing but is an alarm; the rule files are read again in any case. Not to be called
        by two threads at once.
        """
        try:
            told = self._read_again(file)
            self._rules.reload(self._config.series)
            text = f"configuration read again; {told}"
            self._bus.record(Event(self._clock.now(), Kind.RELOADED, text, subject=self._owner))
        except RouterError as error:  # the database: the node goes on, as it does in everything else
            _log.error("the configuration was not read again to the end, ask for it once more: %s", error)

    def _read_again(self, file: Path) -> str:
        try:
            read = ConfigFile.of(file)
            decoders.look_again()
            told = self._take_up(resolved(load(file), self._catalogue.settings))
        except ConfigurationError as error:
            self._record_configuration(Kind.ALARM, f"the configuration has faults, the former stays in use: {error}")
            return f"it has faults and changes nothing: {' '.join(str(error).split())}"
        self._record_configuration(Kind.CLEARED, "the configuration can be read")
        self._life.read(read)
        return told

    def _take_up(self, wanted: Config) -> str:
        """Everything is made ready before anything is used, so that a fault changes nothing. What was done, in words.

        What is being sent goes on as it was begun.
        """
        changes = compare(self._config, wanted)
        config, files = changes.config, stamps(changes.config)
        others = renewed(self._files, files)
        _require_private_tls_keys(config)
        references = ExamReader(config)
        contexts, names = [_context(tls) for tls in _listening_with(config)], names_of(config.admin)
        lanes = self._lanes.fit(config, lambda one: _files_of(one, files))
        notifying = self._notifier.fit(config)
        self._server.renew(config.receive.tls, reports=_asks_for_commitment(config))
        self._server.admit_by(_admission(config.receive))
        self._admin.renew(contexts[0], names)
        if self._hl7 is not None:
            self._hl7.renew(contexts[1])
        with self._evaluating:
            self._config, self._files = config, files
            self._references.adopt(references)
            parts = (self._correlator, self._lookout, self._refusal_watch, self._intake, self._daily, self._silence)
            for part in parts:
                part.reconfigure(config)
            self._selection.reconfigure(config.identity)
        self._console.reconfigure(config, self._places())
        self._lanes.use(lanes)
        self._notifier.use(notifying)
        self._look_again(changes)
        return _told(changes, others, self._stranded())

    def _look_again(self, changes: Changes) -> None:
        """Evaluate what waits: it may go now, or be due then; a destination that was down may be elsewhere."""
        queue, now = self._catalogue.queue, self._clock.now()
        self._catalogue.breakers.probe_now(now)
        concerned = [one for name in changes.added for one in queue.in_state(_OPEN, name)]
        if any(key.endswith("_within") for key in changes.taken):
            concerned += queue.with_due()
        self._catalogue.exams.request_evaluation({one.exam for one in concerned}, now)
        self._correlator.reconsider()
        self._pickup.watch.wake()
        self._correlating.wake()

    def _stranded(self) -> int:
        """How many open deliveries go where nothing is configured any more: they are kept, and nothing sends them."""
        configured = set(delivery_places(self._config))
        gone = [
            place for place in self._catalogue.survey.places(self._clock.now())
            if (place.destination, place.channel) not in configured
        ]  # fmt: skip
        return sum(place.states.get(state, 0) for place in gone for state in (*_OPEN, State.SENDING))

    def _settings_read(self) -> None:
        """End the alarms about files that were faulty in a former life: no node starts with one that is."""
        self._record_configuration(Kind.CLEARED, "the configuration can be read")
        self._record_references(Kind.CLEARED, "code tables and mapping file can be read")
        self._rules.told_read()

    def _record_configuration(self, kind: Kind, text: str) -> None:
        event = Event(self._clock.now(), kind, text, alarm=Alarm.SETTINGS, subject="configuration")
        self._bus.record(event)

    def stop(self) -> None:
        """Stop accepting, finish what is in flight, give leases back; within 30 s."""
        until = time.monotonic() + _GRACE_SECONDS
        self._stopping.set()
        self._catalogue.engine.hurry(_ANSWER_SECONDS)
        self._dispatcher.stop()
        self._pickup.stop()
        self._server.stop(_GRACE_SECONDS / 2)
        if self._hl7 is not None:
            self._hl7.stop(_GRACE_SECONDS / 4)
        for loop in self._loops:
            loop.stop()
        self._lanes.stop()
        unfinished = sum(not loop.join(max(until - time.monotonic(), 0.1)) for loop in self._loops)
        unfinished += self._lanes.unfinished(until)
        self._intake.close()
        self._backing.close()
        self._life.end()
        self._admin.stop()
        self._catalogue.engine.hurry(_LAST_SECONDS)
        self._say_goodbye()
        self._notifier.stop()
        unfinished += self._notifier.unfinished(_LAST_SECONDS)
        self._audit.stop()
        if self._syslog is not None:
            self._syslog.stop()
        if unfinished:
            _log.warning("%d unfinished piece(s) of work are taken up at the next start", unfinished)
        self._catalogue.engine.close_thread()

    def _say_goodbye(self) -> None:
        """Leave the other nodes, with the last seconds of refusals. Without the database they see that it is silent,
        and what it could not write stays in its file until the next start."""
        try:
            self._membership.leave()
            self._bus.tell_counted(self._clock.now(), all_of_them=True)
            self._recorder.write()
            self._unwritten.write_down(self._catalogue.late, self._bus, self._clock)
            self._bus.record(Event(self._clock.now(), Kind.STOPPED, f"node {self._owner} stops"))
        except RouterError as error:
            _log.warning("the node stops, and its database does not hear of it: %s", error)

    # -- parts

    def _open_catalogue(self) -> Catalogue:
        """Open, and the node's clock set by it."""
        self._require_database()
        catalogue = open_catalogue(
            self._config.database.url, self._config.node.data, self._bus,
            lambda engine: bring_up_to_date(engine, self._config, self._bus, self._clock.now()),
            limits=limits_of_sessions(self._config.node.lease),
        )  # fmt: skip
        self._clock_watch = ClockWatch(catalogue, self._owner, self._bus, self._clock)
        self._set_clock()
        return catalogue

    def _require_database(self) -> None:
        """A data folder whose database is gone would send everything again: that is a person's decision."""
        if unfinished(self._config.node.data):
            raise ConfigurationError(
                "a rebuild of the database, or putting one back, was broken off",
                hint="stop every node on this data folder and run verify --rebuild",
            )
        gone = not self._config.database.url and not has_database(self._config.node.data)
        if gone and (next(self._storage.studies.walk(), None) or next(self._storage.reports.walk(), None)):
            raise ConfigurationError(
                "the data folder holds studies or reports, and its database is missing or empty",
                hint="put router.db back from a backup, or run verify --rebuild",
            )

    def _make_audit(self) -> tuple[Seals, Audit, Syslog | None]:
        config = self._config
        seals = seals_of(config.node.data, self._owner)
        trail = trail_of(config, self._owner, seals)
        audit = Audit(trail, self._owner, self._clock, config.retention.audit)
        return seals, audit, Syslog(config.audit.syslog, trail, self._owner) if config.audit.syslog else None

    def _make_guard(self, seals: Seals) -> Guard:
        close = self._catalogue.engine.close_thread
        return Guard(seals=seals, heads=self._catalogue.audit_heads, bus=self._bus, close=close)

    def _make_retention(self) -> Retention:
        return Retention(
            self._config, self._catalogue.purge, self._catalogue.expiry, self._storage, self._bus, self._clock,
            self._free, self._filing,
        )  # fmt: skip

    def _make_intake(self) -> Intake:
        return Intake(
            self._config, self._references, self._catalogue.exams, self._storage, self._bus, self._clock,
            fence=lambda: self._membership.fence(DROP_FOLDER),
        )  # fmt: skip

    def _make_metrics(self) -> Metrics:
        gauges = Gauges(self._catalogue, self._places, self._owner, self._free, self._clock, self._waiting)
        return Metrics(gauges, self._places)

    def _make_dispatcher(self) -> tuple[Unwritten, Sharing, Dispatcher]:
        catalogue, owner, lease = self._catalogue, self._owner, self._config.node.lease
        unwritten = Unwritten(self._storage.unwritten)
        sharing = Sharing(catalogue, owner, lease, alone=not self._config.database.url)
        known = (catalogue, owner, self._bus, self._clock)
        return unwritten, sharing, Dispatcher(
            *known, self._config.node.timezone, lease=lease, unwritten=unwritten, sharing=sharing
        )  # fmt: skip

    def _make_membership(self) -> Membership:
        node, estate = self._config.node, Takeover(self._config.node.data / "incoming", self._owner)
        known = (self._catalogue, estate, self._owner, node.lease, self._bus, self._clock)
        return Membership(*known, self._unwritten)

    def _make_outfitter(self) -> RouteFactory:
        return RouteFactory(
            self._references, self._catalogue, self._storage, self._commitment_reports, self._bus, self._clock,
            self._correlator.objection, self._unwritten, self._sharing,
        )  # fmt: skip

    def _make_daily(self) -> Daily:
        accounts = Reconciliation(self._catalogue, self._references, self._storage.reports.read)
        return Daily(self._config, self._catalogue, accounts, self._storage.dailies, self._bus, self._clock)

    def _make_cataloguer(self) -> Cataloguer:
        return Cataloguer(
            self._storage, self._catalogue.instances, lambda: self._rules.book, self._selection.settle,
            self._bus, self._clock, self._take_pdf if self._config.reports.encapsulated_pdf else None,
            cut_off_goes=self._config.receive.irregular == "send",
        )  # fmt: skip

    def _make_notifier(self) -> AlarmNotifier:
        return AlarmNotifier(
            self._config, self._catalogue, self._membership, self._clock,
            lambda name, step, share: self._loop(name, step, share=share), self._is_able,
        )  # fmt: skip

    def _is_able(self) -> bool:
        """Whether images are taken and every part works but the ways that alarms take, which the watcher is one of."""
        found = self._vitals.report()["degraded"]
        return isinstance(found, list) and all(one["what"] == ALARMS_OUT for one in found)

    def _make_server(self) -> StorageServer:
        receive = self._config.receive
        return StorageServer(
            receive_worker.commands(
                self._storage.incoming,
                self._workers,
                receive.min_free,
                receive.journal // self._workers,
                whole_only=receive.irregular == "refuse",
            ),
            admission=_admission(receive),
            record=self._note_received,
            limits=limits_of(receive),
            tls=receive.tls,
            take_report=self._take_report,
            reports=_asks_for_commitment(self._config),
        )

    def _make_console(self) -> Console:
        config = self._config
        file = config.admin.token_file or config.node.data / "console-token"
        context = ConsoleContext(
            config=config, catalogue=self._catalogue, bus=self._bus, clock=self._clock,
            rules=lambda: self._rules.book, queues=self._places(), free=self._free, token_file=file,
            seal=self._audit.seal, attention=self._waiting,
        )  # fmt: skip
        return Console(context, token_in(file))

    def _make_admin(self) -> AdminServer:
        self._vitals = self._make_vitals()
        routes = {"/health": health(self._vitals.report), "/metrics": self._metrics.answer, **self._console.routes()}
        admin = self._config.admin
        return AdminServer(
            routes, self._catalogue.engine.close_thread, _context(admin.tls), names_of(admin), prompt=("/health",)
        )

    def _make_vitals(self) -> Vitals:
        """Whoever knows of a further part that may fail adds it to `sources`."""
        receive, incoming = self._config.receive, self._storage.incoming
        look = DiskLook(
            data=self._config.node.data, min_free=receive.min_free, audit=self._audit.folder,
            workers=[incoming.worker_folder(n + 1) for n in range(self._workers)], fate=lambda: self._backing.fate,
        )  # fmt: skip
        sources: list[Degradations] = [
            lambda: of_reception(self._server.accepts, *self._server.workers),
            lambda: of_work([*self._loops, *self._lanes.loops()]), self._of_audit, self._of_drop_folder,
            self._of_alarms,
        ]  # fmt: skip
        return Vitals(life=self._life.identity, min_free=receive.min_free, probe=DiskProbe(look),
                      stopping=self._stopping.is_set, sources=sources)  # fmt: skip

    def _make_hl7(self) -> MllpServer | None:
        hl7 = self._config.reports.hl7
        if hl7 is None:
            return None
        close = self._catalogue.engine.close_thread
        return MllpServer(hl7, self._take_message, self._note_hl7, close, self._clock, _context(hl7.tls))

    def _listeners(self, ports: Ports) -> list[Listener]:
        receive, admin, hl7 = self._config.receive, self._config.admin, self._config.reports.hl7
        found = [Listener("DICOM", receive.host, ports.dicom), Listener(ADMIN, admin.host, ports.admin)]
        return found if hl7 is None or ports.hl7 is None else [*found, Listener("HL7", hl7.host, ports.hl7)]

    def _listen_for_hl7(self) -> int | None:
        hl7 = self._config.reports.hl7
        if hl7 is None or self._hl7 is None:
            return None
        return _listening("[reports.hl7]", hl7.host, hl7.port, self._hl7.start)

    def _works(self) -> list[str]:
        """The loops that run, by name."""
        return [*(loop.name for loop in (*self._loops, *self._lanes.loops())), *self._notifier.works]

    def _make_loops(self) -> list[Loop]:
        incoming, watch = self._storage.incoming, self._pickup.watch
        backing = self._backing = BackupJob(self._config, self._bus, self._clock, self._stopping.is_set)
        self._absence = AbsenceWatch(self._catalogue, self._config.node.lease, self._bus, self._clock)
        self._silence = SilenceWatch(self._config, self._catalogue, self._bus, self._clock)
        self._looking_ahead = self._loop("lookout", self._look_ahead, patience=_LONG_STEP)
        backups = [] if self._config.database.url else [self._loop("backup", backing.step)]
        return [
            *backups,
            *self._asking(),
            self._loop("cataloguer", self._catalogue_step, incoming.wait, incoming.wake, patience=_LONG_STEP),
            self._loop("drop folder", self._pick_up, watch.wait, watch.wake),
            self._correlating,
            self._loop("leases", self._keep_leases, patience=_SHORT_STEP),
            self._loop("retention", self._purge, share=_PURGING),
            self._looking_ahead,
            self._loop("images without a report", self._look_for_silence, share=_PURGING),
            self._loop("daily report", self._report_day, share=_PURGING),
            self._scrubbing(),
            self._loop("nodes", self._live, patience=_LONG_STEP),
            self._loop("refusals", self._tell_counted),
            self._loop("refused senders", self._keep_refusals),
        ]

    def _asking(self) -> list[Loop]:
        """The loop that asks the PACS for what is missing, where one is configured."""
        query, own = self._config.query, self._config.receive.ae_title
        if query is None:
            return []
        retrieval = Retrieval(
            query, query.move_destination or own, self._config.receive.port, self._catalogue,
            QueryClient(query.peer(own)), self._bus, self._clock, self._stopping.is_set,
        )  # fmt: skip

        def step() -> float:
            if not self._membership.has(CORRELATOR):
                return _NOT_OURS
            if not retrieval.step():
                return _IDLE_SECONDS
            self._correlating.wake()
            return 0.0

        return [self._loop("query/retrieve", step)]

    def _scrubbing(self) -> Loop:
        """The loop that reads what no destination has confirmed yet."""
        quiet = Quiet(busy=lambda: self._dispatcher.busy, wait=self._stopping.wait)
        every = self._config.retention.scrub
        scrub = Scrub(every, self._catalogue, self._storage, self._bus, self._clock, quiet)

        def step() -> float:
            return scrub.step() if self._membership.has(SCRUB) else _NOT_OURS

        return self._loop("scrub", step, share=_PURGING)

    def _loop(
        self, name: str, step: Step, wait: Callable[[float], None] | None = None,
        wake: Callable[[], None] | None = None, share: float = 1.0, patience: float | None = None,
    ) -> Loop:  # fmt: skip
        close = self._catalogue.engine.close_thread
        return Loop(name, step, self._bus, self._clock, wait, wake, close, share, patience)

    # -- steps: each returns the seconds to rest

    def _catalogue_step(self) -> float:
        with self._filing:
            found = self._cataloguer.run_batch()
        if found:
            self._correlating.wake()
        self._pair_studies()
        return 0.0 if found else _IDLE_SECONDS

    def _pair_studies(self) -> None:
        """Give PDFs of DICOM instances to the exams of their studies, where either has come or was joined since.

        Between transactions: what a batch has entered is to be seen.
        """
        if self._unpaired.is_set() and self._membership.has(DROP_FOLDER):
            self._unpaired.clear()
            self._intake.pair_studies()
            self._correlating.wake()

    def _note_joined(self, event: Event) -> None:
        if event.kind == Kind.JOINED and self._config.reports.encapsulated_pdf:
            self._unpaired.set()

    def _tell_counted(self) -> float:
        self._bus.tell_counted(self._clock.now())
        return _IDLE_SECONDS

    def _keep_refusals(self) -> float:
        news = self._recorder.write()
        return self._refusal_watch.step(news=news) if self._membership.has(LOOKOUT) else _IDLE_SECONDS

    def _live(self) -> float:
        if self._membership.beat():
            self._storage.incoming.wake()
        self._set_clock()
        if self._membership.has(LOOKOUT):
            self._absence.look()
        return self._membership.pause

    def _set_clock(self) -> None:
        self._clock_watch.look()
        self._storage.incoming.set_ahead(self._clock.ahead)

    def _pick_up(self) -> float:
        if not self._membership.has(DROP_FOLDER):
            return _NOT_OURS
        self._reread()
        rest = self._pickup.step()
        if self._config.reports.encapsulated_pdf:
            self._intake.pair_studies()
        self._intake.read_again()
        self._intake.recover()
        self._correlating.wake()
        return rest

    def _reread(self) -> None:
        """At the start, and where a mapping file or [reports] hl7_repeat has changed, what waits says something else.

        A step of the drop folder's own: what was read by the former one is entered by then.
        """
        if self._mappings() != self._read_by:
            read_by = self._mappings()
            self._intake.reread({delivery.exam for delivery in self._catalogue.queue.in_state(_OPEN)})
            self._read_by = read_by

    def _mappings(self) -> tuple[object, ...]:
        return self._references.mapping, self._references.hl7.rules, self._config.reports.hl7_repeat

    def _purge(self) -> float:
        if not self._membership.has(RETENTION):
            return _NOT_OURS
        with self._catalogue.engine.patient():
            return self._retention.step()

    def _report_day(self) -> float:
        if not self._membership.has(DAILY):
            return _NOT_OURS
        with self._catalogue.engine.patient():
            return self._daily.step()

    def _look_ahead(self) -> float:
        return self._lookout.step() if self._membership.has(LOOKOUT) else _NOT_OURS

    def _look_for_silence(self) -> float:
        """Not before what came while the node was down is taken: its reports may lie in the drop folder."""
        if not self._membership.has(LOOKOUT):
            return _NOT_OURS
        return self._silence.step() if self._caught_up() else _IDLE_SECONDS

    def _caught_up(self) -> bool:
        following = self._catalogue.exams.next_check()
        idle = self._pickup.idle and (following is None or following > self._clock.now())
        return idle or self._clock.monotonic() - self._began > _CATCHING_UP_SECONDS

    def _correlate(self) -> float:
        with self._evaluating:
            self._refresh_references()
        if not self._membership.has(CORRELATOR):
            return _NOT_OURS
        with self._evaluating:
            done = self._correlator.run_due() or self._backfill.step()
        self._pair_studies()
        if done:
            return 0.0
        following = self._catalogue.exams.next_check()
        now = self._clock.now()
        return _IDLE_SECONDS if following is None else min(max((following - now).total_seconds(), 0.01), _IDLE_SECONDS)

    def _refresh_references(self) -> None:
        try:
            if self._references.refresh():
                self._record_references(Kind.CLEARED, "code tables and mapping file can be read")
                text = "changed code tables or a changed mapping file are in use"
                self._bus.record(Event(self._clock.now(), Kind.CONFIGURED, text))
                self._correlator.reconsider()
                self._pickup.watch.wake()
        except ConfigurationError as error:
            text = "changed code tables or mapping file have faults, the former stay in use: " + "; ".join(error.faults)
            self._record_references(Kind.ALARM, text)

    def _record_references(self, kind: Kind, text: str) -> None:
        event = Event(self._clock.now(), kind, text, alarm=Alarm.SETTINGS, subject="code tables")
        self._bus.record(event)

    def _send(self, lane: Route) -> float:
        if self._dispatcher.run_one(lane):
            self._correlating.wake()
            if self._failed.is_set():
                self._failed.clear()
                self._looking_ahead.wake()
            return 0.0
        return _IDLE_SECONDS

    def _keep_leases(self) -> float:
        self._timekeeper.look()
        self._dispatcher.keep_leases()
        return min(_IDLE_SECONDS, self._membership.pause)

    # -- listening

    def _drain_incoming(self) -> None:
        """Catalogue what was acknowledged in a former life; senders do not wait long for the rest of it."""
        until = time.monotonic() + _DRAIN_SECONDS
        with suppress(MemoryError):  # its loop tries again, and sets apart what cannot be read
            while time.monotonic() < until and self._cataloguer.run_batch():
                pass

    def _note_received(self, outcome: Received | Refused) -> None:
        if isinstance(outcome, Received):
            self._audit.count(outcome)
            self._storage.incoming.wake()
            self._metrics.note_durable(outcome.size)
            self._recorder.stored(outcome)
        else:
            self._metrics.note_refused(outcome.status)
            self._recorder.refused(outcome)
            fields = {"calling_ae": outcome.calling_ae, "address": outcome.address}
            study = outcome.study or None
            self._bus.record(Event(self._clock.now(), Kind.REFUSED, outcome.reason, study_uid=study, fields=fields))

    def _take_pdf(self, study_uid: str, data: bytes, received: datetime) -> None:
        self._intake.take_encapsulated(study_uid, data, received)
        self._unpaired.set()

    def _take_message(self, message: bytes) -> None:
        self._intake.take_message(message)
        self._correlating.wake()

    def _note_hl7(self, address: str, why: str) -> None:
        self._bus.record(Event(self._clock.now(), Kind.REFUSED, why, fields={"address": address}))

    def _take_report(self, report: Report) -> int:
        """On a thread of the server's, which keeps no connection to the database."""
        try:
            return self._commitment_reports.take(report)
        finally:
            self._catalogue.engine.close_thread()
            self._correlating.wake()

    def _note_failed(self, event: Event) -> None:
        """Raise the alarm of a failure at once."""
        if event.kind == Kind.MOVED and event.fields.get("to") == State.FAILED:
            self._failed.set()

    def _wake_lanes(self, event: Event) -> None:
        if event.kind == Kind.MOVED and event.fields.get("to") == State.READY:
            place = event.fields["destination"], event.fields["channel"]
            self._lanes.wake(*place)

    def _places(self) -> list[Place]:
        return _places(self._config)

    def _waiting(self) -> Sequence[Attention]:
        """Everything that waits for a person."""
        quarantine = self._config.node.data / "quarantine"
        return look(self._catalogue, places_of(self._config), quarantine, self._clock.now())

    def _free(self) -> int:
        return shutil.disk_usage(self._config.node.data).free

    def _of_audit(self) -> Iterator[Degradation]:
        if trouble := self._audit.trouble:
            yield Degradation(what="audit", text=f"nothing that a person asks for is done: {trouble}")

    def _of_alarms(self) -> Iterator[Degradation]:
        yield from (Degradation(what=ALARMS_OUT, text=text) for text in self._notifier.degraded())

    def _of_drop_folder(self) -> Iterator[Degradation]:
        """Of the one node that takes reports from there."""
        if (trouble := self._pickup.trouble) and self._membership.has(DROP_FOLDER):
            yield Degradation(what="drop-folder", text=trouble)


def _places(config: Config) -> list[Place]:
    reports = [Place(d.name, Channel.REPORT, d.report_within) for d in config.destination if d.http is not None]
    images = [Place(d.name, Channel.IMAGES, d.images_within) for d in config.destination if d.dicom is not None]
    return reports + images


def limits_of(receive: Receive) -> Limits:
    """The limits of an association, as configured."""
    return Limits(idle=receive.idle.total_seconds(), max_pdu=receive.max_pdu, proxies=receive.proxies)


def _admission(receive: Receive) -> Admission:
    return Admission(receive.ae_title, receive.senders, receive.max_associations, receive.max_associations_per_sender)


def _make_drop_folder(config: Config) -> None:
    with suppress(OSError):  # a share that does not answer is an alarm of the scan; images go on without it
        config.reports.folder.mkdir(parents=True, exist_ok=True)


def _require_private_tls_keys(config: Config) -> None:
    """As every secret file; a certificate's file may hold the key too."""
    destinations = [d.dicom.tls for d in config.destination if d.dicom is not None]
    query = config.query
    for tls in (config.receive.tls, *_listening_with(config), None if query is None else query.tls, *destinations):
        if tls is not None and (secret := tls.key or tls.certificate):
            read_secret(secret)


def _listening_with(config: Config) -> tuple[Tls | None, Tls | None]:
    """What the listeners of the administrator and for HL7 show."""
    hl7 = config.reports.hl7
    return config.admin.tls, None if hl7 is None else hl7.tls


def _context(tls: Tls | None) -> ssl.SSLContext | None:
    return None if tls is None else server_context(tls)


def _asks_for_commitment(config: Config) -> bool:
    return any(d.dicom is not None and d.dicom.commitment for d in config.destination)


def _files_of(destination: Destination, found: Stamps) -> object:
    return {place: stamp for place, stamp in found.items() if place.startswith(f"destination {destination.name}.")}


def _told(changes: Changes, others: Sequence[str], stranded: int) -> str:
    """What a reload did, in words."""
    text = f"taken up: {', '.join(changes.taken) or 'no change'}"
    text += f"; renewed certificates: {', '.join(others)}" if others else ""
    text += f"; wants a restart: {', '.join(changes.waiting) or 'nothing'}"
    if stranded:
        text += f"; {stranded} open deliveries to destinations that are gone are kept and not sent: `queue list`"
    return text


def _listening(section: str, host: str, port: int, start: Callable[[str, int], int]) -> int:
    """The real port once `start` listens."""
    try:
        return start(host, port)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host} port {port}: {error.strerror}", hint=f"see host and port in {section}"
        ) from error
