"""Parts of a node, built from its configuration."""

import os
import random
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from router.admin.audit.audit import Audit, Guard
from router.admin.audit.seals import Seals, seals_of, trail_of
from router.admin.audit.syslog import Syslog
from router.admin.http.metrics import Gauges, Metrics
from router.admin.notify.notifier import AlarmNotifier
from router.admin.status.hospitals import HospitalCounts
from router.admin.status.vitals import ALARMS_OUT, DiskLook, DiskProbe, Vitals
from router.alarms import Alarm
from router.catalogue import open_catalogue
from router.catalogue.db.backup import unfinished
from router.catalogue.db.sessions import limits_of as limits_of_sessions
from router.catalogue.node.restore import has_database
from router.catalogue.queue.backlog import Place
from router.clock import Clock, SharedClock
from router.cluster.membership import DROP_FOLDER, Membership
from router.config.changes import stamps
from router.config.file import ConfigFile
from router.config.folders import DropFolder, drop_folders, hl7_ports
from router.config.hospitals import several_of
from router.config.sections import Config
from router.correlator.checks import resolved
from router.correlator.correlator import Correlator
from router.crypto import selftest
from router.crypto.keys import read_secret
from router.delivery.commitment import CommitmentReports
from router.delivery.dispatcher import Dispatcher
from router.delivery.routes import RouteFactory
from router.delivery.sharing import Sharing
from router.delivery.unwritten import Unwritten
from router.dicom.preview.pictures import Pictures
from router.errors import ConfigurationError, UnknownWord
from router.events import Event, EventBus, Kind, log_event
from router.images.cataloguer import Cataloguer
from router.images.rulebook import SeriesRules
from router.images.selection import Selection
from router.intake.exam_reader import ExamReader
from router.intake.intake import Intake
from router.intake.pickup import Pickup
from router.loop import LONGEST_PAUSE, Loop, Step
from router.node.life import Life
from router.policy.attention import Attention
from router.reports.pdf.reader import Readers
from router.review.attention import look, look_by_hospital, places_of, tallied
from router.review.refusal_owners import quarantine_owners
from router.series.classify import Rulebook
from router.storage import Storage, open_storage
from router.storage.lock import lock
from router.storage.takeover import Takeover
from router.text.language import N_
from router.upkeep.backup import BackupJob
from router.upkeep.clock_watch import ClockWatch
from router.upkeep.refusals import RefusalRecorder
from router.upkeep.upgrade import adopt_former, bring_up_to_date

CONFIGURATION, CODE_TABLES = N_(("configuration", "code tables"))  # subjects of the alarm about settings


class Parts:
    """Parts that work together as a node, each built from those before it.

    ConfigurationError when keys, rules or folders are not as they must be. `file` is the file that the configuration
    comes from. `config` is the configuration in use, and `files` are its stamps: a reload replaces both.
    """

    def __init__(self, config: Config, clock: Clock, file: ConfigFile | None) -> None:
        selftest.run()
        self.config = config
        self.clock = SharedClock(clock)
        self.owner = config.node.owner
        self.workers = config.receive.workers or len(os.sched_getaffinity(0))
        seals = seals_of(config.node.data, self.owner)
        trail = trail_of(config, self.owner, seals)
        self.audit = Audit(trail, self.owner, self.clock, config.retention.audit)
        self.syslog = Syslog(config.audit.syslog, trail, self.owner) if config.audit.syslog else None
        self.bus = EventBus(log_event, self.audit.take)
        self.exam_reader = ExamReader(config)
        self.storage = open_storage(config.node.data, self.owner)
        self.lock = lock(config.node.data / "incoming" / self.owner, self.owner)
        self.life = Life(config, self.clock.now(), file)
        if (common := drop_folders(config)[0]).used:
            with suppress(OSError):  # a share that does not answer is an alarm of the scan; images go on without it
                common.path.mkdir(parents=True, exist_ok=True)
        require_private_keys(config)
        self._open_database(seals)
        self.stopping = threading.Event()
        self.unpaired = threading.Event()  # PDFs of DICOM instances may find their exams
        self._build_flow()
        self._build_delivery()
        self._build_reporting()

    def _open_database(self, seals: Seals) -> None:
        """Open the database, converted where it is of a former version, and take its clock and its settings."""
        config = self.config
        _require_database(config, self.storage)
        self.catalogue = open_catalogue(
            config.database.url, config.node.data, self.bus,
            lambda database: bring_up_to_date(database, config, self.bus, self.clock.now()),
            limits=limits_of_sessions(config.node.lease),
        )  # fmt: skip
        self.bus.name_hospitals(self._whose)
        self.clock_watch = ClockWatch(self.catalogue, self.owner, self.bus, self.clock)
        self.set_clock()
        close = self.catalogue.engine.close_thread
        self.audit.guard(Guard(seals=seals, heads=self.catalogue.audit_heads, bus=self.bus, close=close))
        adopt_former(config, self.catalogue, self.bus, self.clock.now())
        self.config = resolved(config, self.catalogue.settings)
        self.files = stamps(self.config)

    def _whose(self, exam: int) -> str:
        """The hospital that events about an exam name: none where the node serves one alone."""
        return self.catalogue.exams.hospital_of(exam) if several_of(self.config) else ""

    def _build_flow(self) -> None:
        """Parts on the way of images and reports to the queue."""
        config, catalogue, storage, bus, clock = self.config, self.catalogue, self.storage, self.bus, self.clock
        cut_off_goes = config.receive.irregular == "send"
        self.unwritten = Unwritten(storage.unwritten)
        takeover = Takeover(config.node.data / "incoming", self.owner)
        self.membership = Membership(
            catalogue, takeover, self.owner, lease=config.node.lease, bus=bus, clock=clock, unwritten=self.unwritten
        )  # fmt: skip
        self.rules = SeriesRules(config, bus, clock)
        self.selection = Selection(config, catalogue, self.rulebook, bus, cut_off_goes=cut_off_goes)
        self.readers, self.pictures, self.filing = Readers(), Pictures(), threading.Lock()
        self.intake = self.make_intake(drop_folders(config)[0])
        self.pickup = Pickup(self.intake, bus, clock, known=catalogue.exams.documents.any())
        self.cataloguer = Cataloguer(
            storage=storage, instances=catalogue.instances, book=self.rulebook, settle=self.selection.settle, bus=bus,
            clock=clock, hospitals=config.hospital, cut_off_goes=cut_off_goes,
        )  # fmt: skip
        self.take_pdfs(config)
        self.correlator = Correlator(
            config=config, references=self.exam_reader, catalogue=catalogue, storage=storage,
            selection=self.selection, bus=bus, clock=clock,
        )  # fmt: skip

    def _build_delivery(self) -> None:
        """Parts that send the queue to its destinations."""
        config, catalogue, bus, clock = self.config, self.catalogue, self.bus, self.clock
        node = config.node
        self.sharing = Sharing(catalogue, self.owner, node.lease, alone=not config.database.url)
        self.dispatcher = Dispatcher(
            catalogue=catalogue, owner=self.owner, bus=bus, clock=clock, zone=node.timezone, lease=node.lease,
            unwritten=self.unwritten, sharing=self.sharing,
        )  # fmt: skip
        self.commitment_reports = CommitmentReports(catalogue, bus, clock, random.random)
        self.route_factory = RouteFactory(
            references=self.exam_reader, catalogue=catalogue, storage=self.storage,
            commitment_reports=self.commitment_reports, bus=bus, clock=clock, objection=self.correlator.objection,
            unwritten=self.unwritten, sharing=self.sharing,
        )  # fmt: skip

    def _build_reporting(self) -> None:
        """Parts that tell people and programs how the node is."""
        config, catalogue, incoming = self.config, self.catalogue, self.storage.incoming
        min_free = config.receive.min_free
        self.backup = BackupJob(config, self.bus, self.clock, self.stopping.is_set)
        self.recorder = RefusalRecorder(catalogue.refusals, config.node.timezone, self.clock)
        gauges = Gauges(
            catalogue=catalogue, queues=self.places, owner=self.owner, free=self.free, clock=self.clock,
            attention=self.attention, hospitals=lambda: several_of(self.config),
            attention_by_hospital=self._attention_by_hospital,
        )  # fmt: skip
        self.metrics = Metrics(gauges, self.places)
        disk = DiskLook(
            data=config.node.data, min_free=min_free, audit=self.audit.folder,
            workers=[incoming.worker_folder(n + 1) for n in range(self.workers)], fate=lambda: self.backup.fate,
        )  # fmt: skip
        self.hospital_counts = HospitalCounts(lambda: self.config, catalogue, self.clock)
        self.vitals = Vitals(
            life=self.life.identity, min_free=min_free, probe=DiskProbe(disk), stopping=self.stopping.is_set,
            hospitals=self.hospital_counts.latest,
        )  # fmt: skip
        self.notifier = AlarmNotifier(
            config=config, catalogue=catalogue, membership=self.membership, clock=self.clock,
            loop=lambda name, step, share: self.loop(name, step, share=share), able=self._is_able,
        )  # fmt: skip

    def make_intake(self, at: DropFolder) -> Intake:
        """The intake of a drop folder; all of them file one after the other."""
        return Intake(
            config=self.config, exam_reader=self.exam_reader, exams=self.catalogue.exams, storage=self.storage,
            bus=self.bus, clock=self.clock, readers=self.readers, fence=lambda: self.membership.fence(DROP_FOLDER),
            at=at, filing=self.filing,
        )  # fmt: skip

    def set_clock(self) -> None:
        """Set the node's clock, and its files' times, by the database's."""
        self.clock_watch.look()
        self.storage.incoming.set_ahead(self.clock.ahead)

    def loop(
        self, name: str, step: Step, *, share: float = 1.0, patience: float | None = None,
        wait: Callable[[float], object] | None = None, wake: Callable[[], object] | None = None,
        longest: float = LONGEST_PAUSE, recovered: Callable[[], object] | None = None,
    ) -> Loop:  # fmt: skip
        """A loop as Loop says, whose thread closes its connection to the database at its end.

        A step that finds a row with a word that nothing writes there is taken again once what it is about is held.
        """

        def sound() -> float:
            try:
                return step()
            except UnknownWord as found:
                if not self.catalogue.unknown_words.hold(found, self.clock.now()):
                    raise
                return 0.0

        return Loop(
            name, sound, self.bus, self.clock,
            wait=wait, wake=wake, close=self.catalogue.engine.close_thread, share=share, patience=patience,
            longest=longest, recovered=recovered,
        )  # fmt: skip

    def places(self) -> list[Place]:
        """Every destination and channel of the configuration in use."""
        return places_of(self.config)

    def attention(self, hospitals: tuple[str, ...] = ()) -> Sequence[Attention]:
        """Everything that waits for a person, of these hospitals; where none is named, in all."""
        quarantine, now = self.config.node.data / "quarantine", self.clock.now()
        return look(self.catalogue, self.places(), quarantine, now, hospitals, self._folder_owners)

    def _attention_by_hospital(self) -> Mapping[str, Mapping[tuple[str, str], int]]:
        quarantine, now = self.config.node.data / "quarantine", self.clock.now()
        found = look_by_hospital(self.catalogue, self.places(), quarantine, now, self._folder_owners)
        return {name: tallied(entries) for name, entries in found.items()}

    def _folder_owners(self) -> Mapping[str, str]:
        return quarantine_owners(self.config, self.catalogue)

    def record_settings(self, kind: Kind, subject: str, text: str) -> None:
        """Raise or clear the alarm about files of settings; `subject` is CONFIGURATION or CODE_TABLES."""
        self.bus.record(Event(self.clock.now(), kind, text, alarm=Alarm.SETTINGS, subject=subject))

    def free(self) -> int:
        """Bytes left on the data folder's volume."""
        return shutil.disk_usage(self.config.node.data).free

    def rulebook(self, hospitals: frozenset[str]) -> Rulebook:
        """The rules of series in use for a study that these hospitals brought."""
        return self.rules.book(hospitals)

    def take_pdfs(self, config: Config) -> None:
        """Take reports that come by C-STORE, where any hospital's do."""
        self.cataloguer.takes_pdfs_of = self.intake.comes_by_study
        self.cataloguer.take_pdf = self._take_pdf if takes_encapsulated(config) else None

    def _take_pdf(self, study_uid: str, data: bytes, received: datetime) -> None:
        self.intake.take_encapsulated(study_uid, data, received)
        self.unpaired.set()

    def _is_able(self) -> bool:
        """Whether images are taken and every part works but the ways that alarms take, which the watcher is one of."""
        found = self.vitals.report()["degraded"]
        return isinstance(found, list) and all(one["what"] == ALARMS_OUT for one in found)


def takes_encapsulated(config: Config) -> bool:
    """Whether reports of any hospital come by C-STORE."""
    sections = (config.reports, *(one.reports for one in config.hospital if one.reports is not None))
    return any(reports.encapsulated_pdf for reports in sections)


def _require_database(config: Config, storage: Storage) -> None:
    """A data folder whose database is gone would send everything again: that is a person's decision."""
    if unfinished(config.node.data):
        raise ConfigurationError(
            "a rebuild of the database, or putting one back, was broken off",
            hint="stop every node on this data folder and run verify --rebuild",
        )
    gone = not config.database.url and not has_database(config.node.data)
    if gone and (next(storage.studies.walk(), None) or next(storage.reports.walk(), None)):
        raise ConfigurationError(
            "the data folder holds studies or reports, and its database is missing or empty",
            hint="put router.db back from a backup, or run verify --rebuild",
        )


def require_private_keys(config: Config) -> None:
    """ConfigurationError where others may read a TLS key, as for every secret; a certificate's file may hold one."""
    query, hl7 = config.query, [port.at.tls for port in hl7_ports(config)]
    destinations = [d.dicom.tls for d in config.destination if d.dicom is not None]
    ours = config.receive.tls, config.admin.tls, None if query is None else query.tls
    for tls in (*ours, *hl7, *destinations):
        if tls is not None and (secret := tls.key or tls.certificate):
            read_secret(secret)
