"""Troubles of what comes: the drop folder, senders, studies without a report."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

from router.alarms import Alarm
from router.dicom.scp.store import Refused
from router.refusals import Why
from router.reports.folder import originals
from router.reports.folder.settle import Seen
from router.reports.pdf.reader import Readers
from router.upkeep.refusals import RefusalRecorder, RefusalWatch
from router.upkeep.silence import SilenceWatch
from router.upkeep.sources import SourceWatch
from support.alarm_causes.causes import House, Trouble, of
from support.catalogue_rows import instance, studies_at
from support.intake_folder import E1, another, exam, printed

GIB = 2**30


# -- the drop folder


class OfTheDropFolder(Trouble):
    seconds: ClassVar[float] = 31

    def open(self) -> None:
        self.loop = self.house.pickup()

    def look(self) -> None:
        for _ in range(4):
            self.house.clock.advance(self.seconds)
            self.loop.step()


@of(Alarm.DROP_FOLDER)
class ShareAway(OfTheDropFolder):
    def cause(self) -> None:
        inbox = self.house.inbox
        self.house.put("r.json", exam())
        self.look()
        self.share = inbox.rename(inbox.with_name("share"))
        inbox.mkdir()

    def mend(self) -> None:
        self.house.inbox.rmdir()
        self.share.rename(self.house.inbox)


@of(Alarm.DROPPED_FILE)
class LockedFile(OfTheDropFolder):
    def cause(self) -> None:
        locked, self.real = self.house.put("张三.json", another()), originals.read_still

        def refused(folder: Path, seen: Seen) -> bytes | None:
            if seen.path == locked:
                raise PermissionError(13, "Permission denied", str(seen.path))
            return self.real(folder, seen)

        self.patch.setattr(originals, "read_still", refused)

    def mend(self) -> None:
        self.patch.setattr(originals, "read_still", self.real)


@of(Alarm.DROPPED_FILE)
class LockedFileRemoved(LockedFile):
    def mend(self) -> None:
        (self.house.inbox / "张三.json").unlink()
        self.house.put("r.json", exam())


@of(Alarm.REJECTED_FILE)
class BrokenFile(OfTheDropFolder):
    def cause(self) -> None:
        self.house.put("a.json", b"{")

    def mend(self) -> None:
        for path in (self.house.inbox / "rejected").rglob("a.json*"):
            path.unlink()


@of(Alarm.UNCLAIMED_PDF)
class PdfAlone(OfTheDropFolder):
    seconds = 300

    def cause(self) -> None:
        self.house.put("a.pdf", printed(f"report of {E1}"))

    def mend(self) -> None:
        self.house.put("a.json", exam())


# -- peers


class Refusing(Trouble):
    what: ClassVar[Refused]

    def open(self) -> None:
        house = self.house
        self.recorder = RefusalRecorder(house.catalogue.refusals, house.config.node.timezone, house.clock)
        self.watch = RefusalWatch(house.config, house.catalogue, house.bus, house.clock)

    def cause(self) -> None:
        self.recorder.refused(self.what)

    def look(self) -> None:
        self.house.clock.advance(11)
        self.watch.step(news=self.recorder.write())

    def mend(self) -> None:
        (one,) = self.house.catalogue.refusals.senders()
        self.house.catalogue.refusals.dismiss(one, "li: a phantom", self.now)


@of(Alarm.REFUSED_SENDER)
class WrongTitle(Refusing):
    what = Refused(
        calling_ae="PACS2",
        address="10.1.2.4",
        reason="called AE title not recognised",
        why=Why.CALLED,
        called_ae="ROUTR",
    )


@of(Alarm.REFUSED_IMAGES)
class WithoutStudy(Refusing):
    what = Refused(
        calling_ae="CT01",
        address="10.1.2.3",
        reason="the data set lacks (0020,000D)",
        status=0xA900,
        called_ae="ROUTER",
        sop="1.2.1.1",
    )


class EarlyHouse(House):
    start = datetime(2026, 3, 2, tzinfo=UTC)  # Monday, 08:00 by the hospital's clock


@of(Alarm.UNREPORTED)
class SenderWithoutReports(Trouble):
    def made(self, folder: Path, readers: Readers) -> House:
        return EarlyHouse(folder, readers, self.settings)

    def open(self) -> None:
        house = self.house
        self.watch: SilenceWatch | SourceWatch = SilenceWatch(house.config, house.catalogue, house.bus, house.clock)

    def cause(self) -> None:
        for n in range(3):
            for number, ae in ((1, "CT1"), (2, "CT2")):
                self.comes(f"1.{number}.{n}", ae)
        self.house.later(hours=2)
        for n in range(3):
            self.is_named(f"1.1.{n}")
        self.house.later(hours=17)

    def comes(self, uid: str, ae: str) -> None:
        self.house.clock.advance(1)
        new = instance(1, uid, accession=f"A{uid}", received=self.now)
        header = replace(new.header, sending_ae=ae, sending_address="10.1.2.3", study_date="20260302")
        self.house.catalogue.instances.add([replace(new, header=header)])

    def is_named(self, uid: str) -> None:
        number = self.house.catalogue.exams.number_of("", "01", f"X{uid}", self.now)
        self.house.catalogue.exams.links.link(number, [uid], "listed", self.now)

    def look(self) -> None:
        self.watch.step()

    def mend(self) -> None:
        self.is_named("1.2.1")


@of(Alarm.SILENT_SOURCE)
class SilentScanner(SenderWithoutReports):
    """CT1 and CT2 send every ten minutes by day for ten days; then CT1 does not."""

    def open(self) -> None:
        house = self.house
        self.watch = SourceWatch(house.config, house.catalogue, house.bus, house.clock)

    def cause(self) -> None:
        start = self.now
        usual = [start + timedelta(days=day, minutes=10 * n) for day in range(10) for n in range(54)]
        today = [start + timedelta(days=10, minutes=10 * n) for n in range(24)]
        studies_at(self.house.catalogue, "CT1", usual)
        studies_at(self.house.catalogue, "CT2", usual + today)
        self.house.clock.advance(timedelta(days=10, hours=4).total_seconds())

    def mend(self) -> None:
        self.house.clock.advance(60)
        studies_at(self.house.catalogue, "CT1", [self.now])
