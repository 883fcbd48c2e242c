"""Troubles of the node itself, and of its disk."""

import shutil
import threading
from datetime import timedelta
from typing import ClassVar

import pytest
from click.testing import CliRunner

from router.admin.audit.audit import Audit, Guard
from router.admin.audit.seals import seals_of
from router.alarms import Alarm
from router.cli import quarantine
from router.cluster.absence import AbsenceWatch
from router.correlator.correlator import Correlator
from router.crypto.keys import certificates_in
from router.crypto.symmetric import sm3
from router.errors import TransientError
from router.events import Event, EventBus, Kind
from router.images import cataloguer
from router.images.cataloguer import Cataloguer
from router.images.rulebook import rulebook
from router.intake.exam_reader import ExamReader
from router.loop import Loop
from router.model import Channel, InstanceUids
from router.review.reconcile import Reconciliation
from router.storage.incoming import IncomingFolder
from router.storage.trail import Trail
from router.upkeep.backup import BackupJob
from router.upkeep.certificates import CertificateWatch
from router.upkeep.clock_watch import JumpWatch
from router.upkeep.daily import Daily
from router.upkeep.retention import Retention
from router.upkeep.silence import SilenceWatch
from support.alarm_causes.causes import ELSEWHERE, NOW_APPROVED, Trouble, of
from support.catalogue_rows import driver
from support.exam_workflow import CLOUD
from support.intake_folder import CONFIG, E1
from support.sm2_authority import Sm2Authority

GIB = 2**30


# -- the node


@of(Alarm.CLOCK)
class ClockJumped(Trouble):
    def open(self) -> None:
        self.keeper = JumpWatch(self.house.catalogue, self.house.bus, self.house.clock)

    def cause(self) -> None:
        self.house.clock.wrong = timedelta(hours=2)

    def look(self) -> None:
        for _ in range(2):
            self.keeper.look()
            self.house.clock.advance(60)

    def mend(self) -> None:
        """Ten minutes go by after the start."""
        self.look = self.look_for_long  # type: ignore[method-assign]

    def look_for_long(self) -> None:
        for _ in range(11):
            self.keeper.look()
            self.house.clock.advance(60)


@of(Alarm.NODE_SILENT)
class NodeSilent(Trouble):
    def open(self) -> None:
        known = self.house.catalogue, timedelta(seconds=30), self.house.bus, self.house.clock
        self.watch = AbsenceWatch(*known)

    def cause(self) -> None:
        self.house.catalogue.nodes.beat("node2")
        driver(self.house.catalogue).execute_sql("UPDATE node SET seen = seen - 90000000")

    def look(self) -> None:
        self.watch.look()

    def mend(self) -> None:
        self.house.catalogue.nodes.beat("node2")


@of(Alarm.DEFECT)
class DefectInAPart(Trouble):
    """A loop whose step fails."""

    fails = True

    def turn(self) -> None:
        """The step of the loop, once, on a thread as the node has it."""
        close = self.house.catalogue.engine.close_thread
        loop = Loop("query/retrieve", self.step, self.house.bus, self.house.clock, wait=lambda _: None, close=close)
        self.stop = loop.stop
        loop.start()
        assert loop.join(20)

    def step(self) -> float:
        self.stop()
        if self.fails:
            raise ZeroDivisionError
        return 0.0

    def look(self) -> None:
        self.turn()
        self.house.works = ["query/retrieve"]
        self.house.lookout.step()

    def mend(self) -> None:
        self.fails = False


@of(Alarm.DEFECT)
class DefectInAPartThatIsGone(DefectInAPart):
    def look(self) -> None:
        if self.fails:
            super().look()
        else:
            self.house.lookout.step()

    def mend(self) -> None:
        self.fails, self.house.works = False, ["cataloguer"]


@of(Alarm.DEFECT)
class DefectInAnEvaluation(Trouble):
    def cause(self) -> None:
        def broken(*_: object) -> None:
            raise ZeroDivisionError

        self.evaluate = Correlator.evaluate
        self.patch.setattr(Correlator, "evaluate", broken)
        self.house.ris(E1, **NOW_APPROVED)

    def look(self) -> None:
        self.house.clock.advance(61)
        super().look()

    def mend(self) -> None:
        self.patch.setattr(Correlator, "evaluate", self.evaluate)


@of(Alarm.SETTINGS)
class FaultyHolidays(Trouble):
    def open(self) -> None:
        self.file = self.folder / "holidays.txt"
        study = self.house.config.study.model_copy(update={"holidays": self.file})
        config = self.house.config.model_copy(update={"study": study})
        self.watch = SilenceWatch(config, self.house.catalogue, self.house.bus, self.house.clock)

    def cause(self) -> None:
        self.file.write_text("soon\n")

    def look(self) -> None:
        self.watch.step()

    def mend(self) -> None:
        self.file.write_text("2026-05-01\n")


@of(Alarm.AUDIT)
class CutTrail(Trouble):
    def open(self) -> None:
        data, house = self.house.config.node.data, self.house
        seals = seals_of(data, "node-1")
        self.trail = Trail(data / "audit" / "node-1", sm3, seals.key)
        self.audit = Audit(self.trail, "node-1", house.clock, timedelta(days=1095))
        self.guard = Guard(seals=seals, heads=house.catalogue.audit_heads, bus=house.bus, close=lambda: None)
        self.audit.guard(self.guard)

    def cause(self) -> None:
        told = EventBus(self.audit.take)
        for n in range(5):
            told.record(Event(self.now, Kind.DECIDED, f"released {n}", who="wang", exam=n))
        self.audit.write()
        self.audit._look(self.guard, sign=True)
        (self.path,) = self.trail.folder.glob("*.jsonl")
        self.whole = self.path.read_bytes()
        self.path.write_bytes(b"".join(self.whole.splitlines(keepends=True)[:2]))

    def look(self) -> None:
        self.audit._look(self.guard, sign=False)

    def mend(self) -> None:
        self.path.write_bytes(self.whole)


@of(Alarm.PAUSED)
class Paused(Trouble):
    def cause(self) -> None:
        self.house.catalogue.pauses.begin("cloud", "wang", "moves house", self.now)

    def mend(self) -> None:
        self.house.catalogue.pauses.end("cloud", "li", "", self.now)


@of(Alarm.GAPS)
class Gap(Trouble):
    def cause(self) -> None:
        self.house.ris(E1, **(NOW_APPROVED | {"Report__ApproveTime": "2026-03-02 17:59:00"}))

    def look(self) -> None:
        house = self.house
        house.later(days=1)
        accounts = Reconciliation(house.catalogue, ExamReader(house.config), house.storage.reports.read)
        known = (house.config, house.catalogue, house.bus, house.clock)
        Daily(*known, reconciliation=accounts, dailies=house.storage.dailies).step()

    def mend(self) -> None:
        self.cancel(*Channel)


# -- the disk


class OfRoom(Trouble):
    settings = '[receive]\nmin_free = "1 GiB"\n'
    short: ClassVar[int]
    free = 100 * GIB

    def cause(self) -> None:
        self.free = self.short

    def look(self) -> None:
        house = self.house
        retention = Retention(
            config=house.config, purge=house.catalogue.purge, expiry=house.catalogue.expiry, storage=house.storage,
            bus=house.bus, clock=house.clock, free=lambda: self.free, filing=threading.Lock(),
        )  # fmt: skip
        while not retention.step():
            pass

    def mend(self) -> None:
        self.free = 100 * GIB


@of(Alarm.DISK)
class NoRoom(OfRoom):
    short = GIB // 2


@of(Alarm.RETENTION)
class LittleRoom(OfRoom):
    short = GIB + GIB // 4


@of(Alarm.BACKUP)
class NoCopy(Trouble):
    full = False

    def look(self) -> None:
        self.house.clock.advance(3600)
        backing = BackupJob(self.house.config, self.house.bus, self.house.clock, lambda: False)
        room = shutil.disk_usage(self.folder)
        with pytest.MonkeyPatch.context() as disk:
            disk.setattr(shutil, "disk_usage", lambda _: room._replace(free=0) if self.full else room)
            try:
                backing.step()
            except TransientError:
                assert self.full
        backing.close()

    def cause(self) -> None:
        self.full = True

    def mend(self) -> None:
        self.full = False


@of(Alarm.DATABASE)
class ReplacedDatabase(Trouble):
    """Put back is the file that the node still has open, as a person does with the copy: the next process has it."""

    ends_with_process = True

    def open(self) -> None:
        self.backing = BackupJob(self.house.config, self.house.bus, self.house.clock, lambda: False)
        self.backing.step()

    def cause(self) -> None:
        self.file = self.house.config.node.data / "router.db"
        self.file.rename(self.file.with_suffix(".away"))
        shutil.copyfile(self.file.with_suffix(".away"), self.file)

    def look(self) -> None:
        self.backing.step()

    def restart(self) -> None:
        self.backing.close()
        if (away := self.file.with_suffix(".away")).exists():
            self.house.catalogue.engine.database.execute_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            away.replace(self.file)
        super().restart()


@of(Alarm.QUARANTINE)
class Unreadable(Trouble):
    def cause(self) -> None:
        self.kept = self.house.storage.quarantine.keep("x", b"x", self.now, "unreadable", "why")

    def mend(self) -> None:
        shutil.rmtree(self.kept)


@of(Alarm.POISON)
class Poison(Trouble):
    """A file whose reading takes all the memory, twice."""

    def open(self) -> None:
        house = self.house
        book = rulebook(house.config.series)
        self.cataloguer = Cataloguer(
            house.storage, house.catalogue.instances, lambda _: book, lambda _: None, house.bus, house.clock
        )  # fmt: skip

    def cause(self) -> None:
        def no_memory(_: object) -> None:
            raise MemoryError

        incoming = IncomingFolder(self.house.storage.incoming.worker_folder(1), 0).create()
        incoming.write([bytes(200)])
        incoming.commit(InstanceUids("1", "1", "1"))
        with self.patch.context() as memory:
            memory.setattr(cataloguer, "read_instance", no_memory)
            for _ in range(2):
                with pytest.raises(MemoryError):
                    self.cataloguer.run_batch()

    def look(self) -> None:
        self.cataloguer.run_batch()
        super().look()

    def mend(self) -> None:
        (self.folder / "router.toml").write_text(CONFIG + CLOUD, encoding="utf-8")
        (kept,) = self.house.storage.quarantine.listed()
        call = ["delete", "--config", str(self.folder / "router.toml"), kept.name, "--why", "seen by its maker"]
        assert CliRunner().invoke(quarantine.command, call).exit_code == 0
        self.house.events.append(Event(self.now, Kind.CLEARED, "told by the command", alarm=Alarm.POISON))


@of(Alarm.POISON)
class PoisonRemovedByHand(Poison):
    def mend(self) -> None:
        (kept,) = (self.house.config.node.data / "quarantine").iterdir()
        shutil.rmtree(kept)


class OfCertificate(Trouble):
    """The platform's signing key has a certificate."""

    def open(self) -> None:
        self.watch = CertificateWatch(self.house.config, self.house.catalogue, self.house.bus, self.house.clock)

    def look(self) -> None:
        self.watch.step()

    def cause(self) -> None:
        self.authority = Sm2Authority(self.folder)
        self.certificate = self.authority.issue("platform")
        text = CLOUD.replace('platform_signing_key_file = "k"', f'platform_signing_key_file = "{self.certificate}"')
        self.go(CONFIG + text + f'key_ca_file = "{self.authority.certificate}"\n')
        self.house.clock.advance(
            (certificates_in(self.certificate)[0].validity.ends - self.now).total_seconds() - 86400
        )
        self.restart()


@of(Alarm.CERTIFICATE)
class CertificateNearItsEnd(OfCertificate):
    def mend(self) -> None:
        self.authority.issue("platform", days=900)


@of(Alarm.CERTIFICATE)
class CertificateOfADestinationThatIsGone(OfCertificate):
    def mend(self) -> None:
        self.go(ELSEWHERE)
