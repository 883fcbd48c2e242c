"""Duties of a node: its recurring work, each with its holder and its rhythm, done by a loop of its own."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

from router.admin.status.hospitals import EVERY_SECONDS
from router.cluster.absence import AbsenceWatch
from router.cluster.membership import CORRELATOR, DAILY, DROP_FOLDER, LOOKOUT, RETENTION, SCRUB
from router.config.changes import Stamps
from router.config.folders import DropFolder, drop_folders
from router.config.sections import Config, Destination
from router.correlator.backfilling import Admission as BackfillAdmission
from router.delivery.breaker_gate import Route
from router.delivery.deadline_monitor import DeadlineMonitor
from router.delivery.routes import ActiveRoute, Routes
from router.dicom.scu.query import QueryClient
from router.errors import ConfigurationError
from router.events import Event, Kind
from router.images.retrieval import Retrieval
from router.intake.pickup import Pickup
from router.loop import Loop
from router.node.build import CODE_TABLES, Parts, takes_encapsulated
from router.node.duty import IDLE_SECONDS, Duty
from router.node.folders import Folder, OwnFolders
from router.policy.states import PENDING, State
from router.review.reconcile import Reconciliation
from router.upkeep import counting
from router.upkeep.certificates import CertificateWatch
from router.upkeep.clock_watch import JumpWatch
from router.upkeep.comparison import ComparisonWatch
from router.upkeep.daily import Daily
from router.upkeep.refusals import RefusalWatch
from router.upkeep.retention import Retention
from router.upkeep.scrub import Scrub
from router.upkeep.silence import SilenceWatch
from router.upkeep.sources import SourceWatch

_CATCHING_UP_SECONDS = 900.0  # at most, until images without a report are looked at
_DRAIN_SECONDS = 10.0
_RETRY_SECONDS = 3.0  # at most, until an outage of the database is seen to be over
_SHORT_STEP, _LONG_STEP = 20.0, 300.0  # seconds, after which a step stands still
# Shares of the time. Each batch of a study's images has its exam evaluated; sending needs the processor, too.
_EVALUATING, _BACKGROUND = 1 / 5, 1 / 4


class Duties:
    """The duties of a node and its routes, with their loops. A reload holds `evaluating`: no exam is evaluated then."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._began = parts.clock.monotonic()
        self.evaluating, self._filing, self._failed = threading.Lock(), threading.Lock(), threading.Event()
        self._read_by: tuple[object, ...] = ()  # what waits may have been read by another version of this program
        self.folders = OwnFolders(parts, self._folder_loop)
        known = (parts.config, parts.catalogue, parts.bus, parts.clock)
        self._monitor = DeadlineMonitor(
            *known, works=lambda: [*(loop.name for loop in self.loops()), *parts.notifier.works]
        )  # fmt: skip
        self._silence, self._refusals = SilenceWatch(*known), RefusalWatch(*known)
        self._certificates, self._sources = CertificateWatch(*known), SourceWatch(*known)
        self._comparison = ComparisonWatch(*known, pins=parts.storage.pins, stop=parts.stopping.is_set)
        self._daily = Daily(
            parts.config, parts.catalogue, parts.bus, parts.clock,
            reconciliation=Reconciliation(parts.catalogue, parts.exam_reader, parts.storage.reports.read),
            dailies=parts.storage.dailies,
        )  # fmt: skip
        read, stop = parts.storage.reports.read, parts.stopping.is_set
        self._counting = counting.build(*known, reader=parts.exam_reader, read=read, stop=stop)
        self._backfill = BackfillAdmission(parts.catalogue, parts.clock)
        self._absence = AbsenceWatch(parts.catalogue, parts.config.node.lease, parts.bus, parts.clock)
        self.jumps = JumpWatch(parts.catalogue, parts.bus, parts.clock)
        self.all = self._all()
        self._loops = {duty.name: self._loop(duty) for duty in self.all}
        self.routes = Routes(
            parts.route_factory,
            lambda name, route: parts.loop(name, lambda: self._send(route), recovered=self._retry),
        )
        self.routes.use(self.fit(parts.config, parts.files))

    def _all(self) -> list[Duty]:
        """Every duty, in the order in which they start."""
        parts = self._parts
        incoming, watch, pause = parts.storage.incoming, parts.pickup.watch, parts.membership.pause
        # A database server is its administrator's to copy.
        backup = [] if parts.config.database.url else [Duty(name="backup", every=20.0, step=parts.backup.step)]
        return [
            *backup,
            *self._retrieval(),
            Duty(name="cataloguer", step=self._catalogue_images, patience=_LONG_STEP,
                 wait=incoming.wait, wake=incoming.wake),
            Duty(name="drop folder", held_as=DROP_FOLDER, step=self._pick_up, wait=watch.wait, wake=watch.wake),
            Duty(name="correlator", held_as=CORRELATOR, step=self._correlate, everywhere=self._refresh_exam_reader,
                 share=_EVALUATING, patience=_LONG_STEP),
            Duty(name="leases", every=min(IDLE_SECONDS, pause), step=self._keep_leases, patience=_SHORT_STEP,
                 longest=_RETRY_SECONDS),
            Duty(name="retention", held_as=RETENTION, step=self._patient(self._retention().step), share=_BACKGROUND),
            Duty(name="lookout", held_as=LOOKOUT, step=self._monitor.step, patience=_LONG_STEP),
            Duty(name="images without a report", held_as=LOOKOUT, step=self._look_for_silence, share=_BACKGROUND),
            Duty(name="silent sources", held_as=LOOKOUT, step=lambda: self._caught_up(self._sources.step),
                 share=_BACKGROUND),
            Duty(name="daily report", held_as=DAILY, every=60.0, step=self._patient(self._daily.step),
                 share=_BACKGROUND),
            Duty(name="statistics", held_as=DAILY, every=counting.EVERY, step=self._patient(self._counting.step),
                 share=_BACKGROUND),
            Duty(name="comparison", held_as=DAILY, every=60.0, step=self._patient(self._comparison.step),
                 share=_BACKGROUND),
            Duty(name="certificates", held_as=LOOKOUT, every=60.0, step=self._certificates.step),
            Duty(name="scrub", held_as=SCRUB, step=self._scrub().step, share=_BACKGROUND),
            Duty(name="nodes", every=pause, step=self._live, patience=_LONG_STEP),
            Duty(name="refusals", step=lambda: parts.bus.tell_counted(parts.clock.now())),
            Duty(name="refused senders", step=self._write_refusals),
            Duty(name="counts by hospital", every=EVERY_SECONDS, step=parts.hospital_counts.step, share=_BACKGROUND),
        ]  # fmt: skip

    def _loop(self, duty: Duty) -> Loop:
        return self._parts.loop(
            duty.name, lambda: duty.run(self._parts.membership.has),
            share=duty.share, patience=duty.patience, wait=duty.wait, wake=duty.wake, longest=duty.longest,
            recovered=self._retry,
        )  # fmt: skip

    def _retry(self) -> None:
        """Try whatever failed at once: the database, say, answers again."""
        for loop in self.loops():
            if loop.trouble:
                loop.wake()

    def loops(self) -> list[Loop]:
        """The loops of the duties and of the routes in use."""
        return [*self._loops.values(), *self.folders.loops(), *self.routes.loops()]

    def start(self) -> None:
        """Begin."""
        self._parts.pickup.watch.start()
        for loop in self._loops.values():
            loop.start()
        self.folders.start()
        self.routes.start()

    def stop(self) -> None:
        """Ask every loop to end after the step at hand."""
        for loop in self._loops.values():
            loop.stop()
        self.folders.stop()
        self.routes.stop()

    def unfinished(self, until: float) -> int:
        """After `stop`: the number of loops still at work at that time of time.monotonic()."""
        left = sum(not loop.join(max(until - time.monotonic(), 0.1)) for loop in self._loops.values())
        return left + self.folders.unfinished(until) + self.routes.unfinished(until)

    def fit(self, config: Config, files: Stamps) -> Mapping[str, ActiveRoute]:
        """The routes by this configuration, not in use yet; `files` are its stamps. ConfigurationError as Routes."""

        def files_of(one: Destination) -> object:
            return {key: stamp for key, stamp in files.items() if key.startswith(f"destination {one.name}.")}

        return self.routes.fit(config, files_of)

    def evaluate(self) -> None:
        """Wake the correlator: an exam may be due."""
        self._loops["correlator"].wake()

    def look_into_folders(self) -> None:
        """Scan every drop folder now."""
        for pickup in self.pickups():
            pickup.watch.wake()

    def pickups(self) -> list[Pickup]:
        """Those of all drop folders in use, the common one first."""
        return [self._parts.pickup, *(folder.pickup for folder in self.folders.all())]

    def reconfigure(self, config: Config) -> None:
        """Work by this configuration from the next steps on."""
        parts = self._parts
        watches = (self._monitor, self._refusals, self._daily, self._silence, self._certificates, self._comparison)
        for part in (parts.correlator, parts.intake, self._counting, self._sources, *watches):
            part.reconfigure(config)
        parts.selection.reconfigure(config)
        parts.cataloguer.reconfigure(config.hospital)
        parts.take_pdfs(config)
        parts.pickup.use(drop_folders(config)[0])
        self.folders.use(config)

    def on_event(self, event: Event) -> None:
        """The bus's subscriber: wake the work that an event makes."""
        if event.kind == Kind.JOINED and takes_encapsulated(self._parts.config):
            self._parts.unpaired.set()
        elif event.kind == Kind.MOVED and event.fields.get("to") == State.FAILED:
            self._failed.set()  # its alarm is raised at once
        elif event.kind == Kind.MOVED and event.fields.get("to") == State.READY:
            place = event.fields["destination"], event.fields["channel"], event.fields.get("hospital", "")
            self.routes.wake(*place)

    # -- images

    def drain_incoming(self) -> None:
        """Catalogue what was acknowledged in a former life; senders do not wait long for the rest of it."""
        until = time.monotonic() + _DRAIN_SECONDS
        with suppress(MemoryError):  # its loop tries again, and sets apart what cannot be read
            while time.monotonic() < until and self._parts.cataloguer.run_batch():
                pass

    def _catalogue_images(self) -> float:
        with self._filing:
            found = self._parts.cataloguer.run_batch()
        if found:
            self.evaluate()
        self._pair_studies()
        return 0.0 if found else IDLE_SECONDS

    def _pair_studies(self) -> None:
        """Give PDFs of DICOM instances to their studies' exams, between transactions: a batch's rows are to be seen."""
        parts = self._parts
        if parts.unpaired.is_set() and parts.membership.has(DROP_FOLDER):
            parts.unpaired.clear()
            parts.intake.pair_studies()
            self.evaluate()

    def _retrieval(self) -> Iterator[Duty]:
        """The duty to ask the PACS for what is missing, where one is configured."""
        parts, query, own = self._parts, self._parts.config.query, self._parts.config.receive.ae_title
        if query is None:
            return
        retrieval = Retrieval(
            query=query, to=query.move_destination or own, port=parts.config.receive.port, catalogue=parts.catalogue,
            client=QueryClient(query.peer(own)), bus=parts.bus, clock=parts.clock, stop=parts.stopping.is_set,
        )  # fmt: skip

        def step() -> float:
            if not retrieval.step():
                return IDLE_SECONDS
            self.evaluate()
            return 0.0

        yield Duty(name="query/retrieve", held_as=CORRELATOR, step=step)

    # -- reports and exams

    def _pick_up(self) -> float:
        self.reread()
        intake = self._parts.intake
        rest = self._parts.pickup.step()
        if takes_encapsulated(self._parts.config):
            intake.pair_studies()
        intake.read_again()
        intake.recover()
        self.evaluate()
        return rest

    def _folder_loop(self, folder: Folder) -> Loop:
        watch = folder.pickup.watch
        return self._loop(Duty(
            name=folder.at.name, held_as=DROP_FOLDER, step=lambda: self._pick_up_own(folder), wait=watch.wait,
            wake=watch.wake,
        ))  # fmt: skip

    def _pick_up_own(self, folder: Folder) -> float:
        folder.begin()
        folder.read_by = self._reread_by(folder.read_by)
        rest = folder.pickup.step()
        folder.intake.read_again()
        folder.intake.recover()
        self.evaluate()
        return rest

    def reread(self) -> None:
        """Read documents again that wait: at the start, and where a mapping file or [reports] hl7_repeat has changed.

        It is a drop folder's step that does so: all that was read by the former one is entered by then.
        """
        self._read_by = self._reread_by(self._read_by)

    def _reread_by(self, former: tuple[object, ...]) -> tuple[object, ...]:
        parts = self._parts
        if (read_by := parts.exam_reader.read_by) != former:
            parts.intake.refile()
            parts.intake.reread(
                {delivery.exam for delivery in parts.catalogue.queue.in_state(PENDING - {State.SENDING})}
            )
        return read_by

    def _refresh_exam_reader(self) -> None:
        parts = self._parts
        try:
            with self.evaluating:
                if parts.exam_reader.refresh():
                    parts.record_settings(Kind.CLEARED, CODE_TABLES, "code tables and mapping file can be read")
                    text = "changed code tables or a changed mapping file are in use"
                    parts.bus.record(Event(parts.clock.now(), Kind.CONFIGURED, text))
                    parts.correlator.reconsider()
                    self.look_into_folders()
        except ConfigurationError as error:
            text = "changed code tables or mapping file have faults, the former stay in use: " + "; ".join(error.faults)
            parts.record_settings(Kind.ALARM, CODE_TABLES, text)

    def _correlate(self) -> float:
        with self.evaluating:
            done = self._parts.correlator.run_due() or self._backfill.step()
        self._pair_studies()
        if done:
            return 0.0
        following = self._parts.catalogue.exams.next_check()
        if following is None:
            return IDLE_SECONDS
        return min(max((following - self._parts.clock.now()).total_seconds(), 0.01), IDLE_SECONDS)

    # -- deliveries

    def _send(self, route: Route) -> float:
        if not self._parts.dispatcher.run_one(route):
            return IDLE_SECONDS
        self.evaluate()
        if self._failed.is_set():
            self._failed.clear()
            self._loops["lookout"].wake()
        return 0.0

    def _keep_leases(self) -> None:
        self.jumps.look()
        self._parts.dispatcher.keep_leases()

    # -- upkeep

    def _patient(self, step: Callable[[], float | None]) -> Callable[[], float | None]:
        """A step that asks the database what takes long by design."""

        def patient() -> float | None:
            with self._parts.catalogue.engine.patient():
                return step()

        return patient

    def _retention(self) -> Retention:
        parts = self._parts
        return Retention(
            config=parts.config, purge=parts.catalogue.purge, expiry=parts.catalogue.expiry, storage=parts.storage,
            bus=parts.bus, clock=parts.clock, free=parts.free, filing=self._filing,
            folders=self._answering,
        )  # fmt: skip

    def _answering(self) -> list[DropFolder]:
        """Drop folders that can be looked at."""
        return [pickup.at for pickup in self.pickups() if pickup.at.used and not pickup.trouble]

    def _scrub(self) -> Scrub:
        parts = self._parts
        return Scrub(
            every=parts.config.retention.scrub, catalogue=parts.catalogue, storage=parts.storage, bus=parts.bus,
            clock=parts.clock, busy=lambda: parts.dispatcher.busy, wait=parts.stopping.wait,
        )  # fmt: skip

    def _look_for_silence(self) -> float:
        return self._caught_up(self._silence.step)

    def _caught_up(self, step: Callable[[], float]) -> float:
        """A step, not before what came while the node was down is taken: reports may lie in the drop folder."""
        clock = self._parts.clock
        following = self._parts.catalogue.exams.next_check()
        caught_up = all(pickup.idle for pickup in self.pickups()) and (following is None or following > clock.now())
        if caught_up or clock.monotonic() - self._began > _CATCHING_UP_SECONDS:
            return step()
        return IDLE_SECONDS

    def _live(self) -> None:
        """Give a sign of life; the node that looks ahead misses the others."""
        parts = self._parts
        if parts.membership.beat():
            parts.storage.incoming.wake()
        parts.set_clock()
        if parts.membership.has(LOOKOUT):
            self._absence.look()

    def _write_refusals(self) -> float | None:
        """Write what this node refused; the node that looks ahead raises the alarms."""
        news = self._parts.recorder.write()
        return self._refusals.step(news=news) if self._parts.membership.has(LOOKOUT) else None
