"""Troubles of exams and of their deliveries."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, cast

from desk import E1, another, exam, printed
from histories import Node, slice_of
from router.alarms import Alarm
from router.attention import LEDGER_LOST
from router.catalogue.ledger import Fate, Outcome
from router.catalogue.queue import Delivery
from router.clock import SystemClock
from router.config import DicomDestination
from router.dicom.asking import Asking
from router.dicom.client import StorageClient
from router.dicom.commitment import Reference, Report
from router.errors import DestinationDown, IntegrityError, UnprovedRefusal, Unproven
from router.flow.commitment import Asker, CommitmentReports
from router.flow.decisions import Verdict
from router.flow.dismissals import Dismissals
from router.flow.dispatcher import Dispatcher
from router.flow.gate import Lane
from router.flow.rebuild import Rebuild
from router.flow.rules import rulebook
from router.flow.sending import Ending
from router.model import Channel
from router.reports.reader import Readers
from router.states import PENDING, State
from scenario import DAY, HOUR, PATIENT, QUIET, S1, pacs, ris, wait
from scenario import E1 as N1
from scenario import E2 as N2
from troubles import CORRECTED, ELSEWHERE, LISTS, NOW_APPROVED, STUDY, Trouble, of

DONE = Ending(State.DELIVERED, "receipt for revision 1")
WANG = Verdict("wang", "told their operator")


# -- time


class Late(Trouble):
    """A report that is not delivered so many minutes after its approval, of 60."""

    minutes: ClassVar[int]

    def cause(self) -> None:
        self.house.ris(E1, **NOW_APPROVED)
        self.house.later(minutes=self.minutes)

    def mend(self) -> None:
        self.cancel(Channel.REPORT)


@of(Alarm.HALF_TIME)
class HalfTime(Late):
    minutes = 31


@of(Alarm.AT_RISK)
class AtRisk(Late):
    minutes = 49


@of(Alarm.MISSED)
class Missed(Late):
    minutes = 61


# -- what a person must see to, by the list


@of(Alarm.APPROVAL)
class UnknownWord(Trouble):
    def cause(self) -> None:
        self.house.ris(E1, **NOW_APPROVED, Order__Status="已审核")

    def mend(self) -> None:
        self.house.ris(E1, **CORRECTED)


@of(Alarm.EXAM_JSON)
class FaultyJson(Trouble):
    def cause(self) -> None:
        self.house.ris(E1, **NOW_APPROVED, Report__ApproveDoctorName="")

    def mend(self) -> None:
        self.house.ris(E1, **CORRECTED)


@of(Alarm.FAILED)
class Failed(Trouble):
    def cause(self) -> None:
        self.ready_images()
        self.moved(State.SENDING)
        self.moved(State.FAILED, error="1 of 1 refused")

    def mend(self) -> None:
        self.cancel(Channel.IMAGES)


@of(Alarm.HELD)
class LateImages(Trouble):
    def cause(self) -> None:
        self.ready_images()
        self.moved(State.HELD, held_by="late images", error="late images: 1 new image(s)")

    def mend(self) -> None:
        assert self.review.release(self.house.delivery(), "asked the ward", "wang")


@of(Alarm.LEDGER)
class LostRows(Trouble):
    """The database is gone while the node is down, and there is no copy."""

    def cause(self) -> None:
        self.ready_images()
        self.house.close()
        for path in self.house.config.node.data.glob("router.db*"):
            path.unlink()
        self.restart()
        known = (self.house.catalogue, self.house.storage, rulebook(self.house.config.series), self.house.journal)
        assert Rebuild(self.house.config, *known, SystemClock()).run(iter).held
        assert {one.error[:11] for one in self.house.catalogue.queue.in_state([State.HELD])} == {LEDGER_LOST}

    def mend(self) -> None:
        self.cancel(*Channel)


@of(Alarm.NOT_CONFIGURED)
class GoneFromTheFile(Trouble):
    def cause(self) -> None:
        self.ready_images()
        self.known = self.house.config
        self.go(ELSEWHERE)
        self.restart()

    def mend(self) -> None:
        self.house.config = self.known


# -- patients and images


@of(Alarm.DOUBT)
class AnotherPatient(Trouble):
    def cause(self) -> None:
        self.house.ris(**LISTS)
        self.house.pacs(STUDY, patient_id="P9", name="李^四")

    def mend(self) -> None:
        self.house.decisions.resolve(E1, WANG)


@of(Alarm.DOUBT)
class AnotherPatientCancelled(AnotherPatient):
    def mend(self) -> None:
        self.cancel(*Channel)


@of(Alarm.DELIVERED_IN_DOUBT)
class DoubtedLater(Trouble):
    """Images were delivered, and the RIS says then that they are of another patient."""

    def cause(self) -> None:
        self.ready_images()
        self.moved(State.SENDING)
        self.moved(State.DELIVERED, delivered="instances=1")
        self.house.ris(E1, **CORRECTED, Patient__PatientId="P9", Patient__Name="李四")

    def mend(self) -> None:
        (ended,) = Dismissals(self.house.catalogue, self.house.journal, self.house.clock).dismiss_exam("e1", WANG)
        assert ended.alarm == Alarm.DELIVERED_IN_DOUBT


@of(Alarm.DELIVERED_IN_DOUBT)
class DoubtedAndCorrected(DoubtedLater):
    def mend(self) -> None:
        self.house.ris(E1, **(CORRECTED | {"Report__SubmitTime": "2026-03-02 17:59:30"}))


@of(Alarm.DELIVERED_IN_DOUBT)
class AnothersPdf(Trouble):
    """A name that the RIS used twice: the PDF that went with an exam names another one, whose JSON comes later."""

    def cause(self) -> None:
        self.house.drop("r.json", exam(E1, **NOW_APPROVED))
        self.house.drop("r.pdf", printed("No. A0002"))
        self.house.settle()
        report = self.house.delivery(channel=Channel.REPORT)
        case = self.house.case()
        (pdf,) = [place for place in case.places.values() if place.endswith(".pdf")]
        self.house.catalogue.uploads.freeze(
            report.id, 1, "i", "w", exam_place="x", pdf_place=pdf, now=self.now, exam_checksum="", pdf_checksum=""
        )  # fmt: skip
        self.house.drop("r.json", another())

    def mend(self) -> None:
        (ended,) = Dismissals(self.house.catalogue, self.house.journal, self.house.clock).dismiss_exam("e1", WANG)
        assert ended.destination == "cloud"


@of(Alarm.DELIVERED_IN_DOUBT)
class AnothersPdfCancelled(AnothersPdf):
    def mend(self) -> None:
        self.cancel(Channel.REPORT)


@of(Alarm.IMAGES_MISSING)
class NoImages(Trouble):
    def cause(self) -> None:
        self.house.ris(E1, **NOW_APPROVED, Study__ImageCount=1)
        self.house.later(hours=4)

    def mend(self) -> None:
        self.house.pacs(STUDY)


@of(Alarm.IMAGES_MISSING)
class NoImagesCancelled(NoImages):
    def mend(self) -> None:
        self.cancel(Channel.IMAGES)


@of(Alarm.DAMAGED)
class DamagedJson(Trouble):
    def cause(self) -> None:
        self.house.ris(E1, **NOW_APPROVED)
        (self.place,) = self.house.config.node.data.rglob("exam.json")
        self.whole = self.place.read_bytes()
        self.place.write_bytes(self.whole.replace(b"P0001", b"P0009"))
        self.restart()
        self.house.catalogue.exams.touch([1], self.now)

    def mend(self) -> None:
        self.house.drop("again.json", self.whole)


class OfHistories(Trouble):
    """On a node that sends to a destination that takes everything."""

    def made(self, folder: Path, readers: Readers) -> Node:
        del readers
        return Node(folder, self.settings)

    def look(self) -> None:
        self.house.wait(60)

    def cancel_exam(self, exam_id: str) -> None:
        number = self.house.delivery(exam_id, Channel.IMAGES).exam
        for one in self.house.catalogue.queue.of_exam(number):
            self.review.cancel(one, "not needed", "wang")


@of(Alarm.SHARED_STUDY)
class WaitsForAnother(OfHistories):
    settings = '[share]\nshared_study = "all"\nshared_study_then = "hold"\n'

    def cause(self) -> None:
        for step in (pacs(S1, 1, 2), ris(N2, S1, accession="A2", status="Examined"), ris(N1, S1), wait(3 * DAY + HOUR)):
            step(self.house)

    def mend(self) -> None:
        self.cancel_exam(N2)


@of(Alarm.SHARED_STUDY)
class WaitsForAnotherInVain(WaitsForAnother):
    def mend(self) -> None:
        self.cancel_exam(N1)


@of(Alarm.REJECTED_AFTER_DELIVERY)
class RejectedLater(OfHistories):
    def cause(self) -> None:
        for step in (pacs(S1, 1, 2), ris(N1, S1), wait(HOUR)):
            step(self.house)
        self.house.receive(slice_of(S1, 9, PATIENT, "A1", references=(f"{S1}.1.2",)))
        self.house.wait(QUIET)

    def mend(self) -> None:
        (ended,) = Dismissals(self.house.catalogue, self.house.journal, self.house.clock).dismiss_exam(N1, WANG)
        assert ended.destination == "cloud"


@of(Alarm.CUT_OFF)
class CutOff(OfHistories):
    def cause(self) -> None:
        self.part = replace(slice_of(S1, 1, PATIENT, "A1"), sending_ae="CT1", cut="the pixel data has 16 of 32 bytes")
        self.house.receive(self.part)
        for step in (ris(N1, S1), wait()):
            step(self.house)

    def mend(self) -> None:
        self.cancel_exam(N1)


@of(Alarm.CUT_OFF)
class CutOffAndReleased(CutOff):
    def mend(self) -> None:
        assert self.review.release(self.house.delivery(N1, Channel.IMAGES), "the console shows it whole", "wang")


# -- sending


class Sending(Trouble):
    """A ready report, and a sender that fails while `fails` is its error; `probe` asks whether the destination is there."""

    channel: ClassVar[Channel] = Channel.REPORT
    fails: Exception | None

    def open(self) -> None:
        self.dispatcher = Dispatcher(self.house.catalogue, "node-1", self.house.journal, self.house.clock)
        self.lane = Lane("cloud", self.channel, 1, self, self.probe)

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> Ending:
        del delivery, stop
        if self.fails is not None:
            raise self.fails
        return DONE

    def probe(self) -> None:
        if isinstance(self.fails, DestinationDown):
            raise self.fails

    def cause(self) -> None:
        catalogue = self.house.catalogue
        number = catalogue.exams.number_of("01", E1, self.now)
        catalogue.queue.make(number, [("cloud", self.channel)], self.now)
        self.moved_report(State.READY)

    def moved_report(self, to: State) -> None:
        (one,) = self.house.catalogue.queue.of_exam(1)
        assert self.house.catalogue.queue.move(one, to, self.now, "on the way")

    def look(self) -> None:
        self.house.clock.advance(3700)
        self.dispatcher.keep_leases()
        self.dispatcher.run_one(self.lane)
        self.house.lookout.step()

    def mend(self) -> None:
        self.fails = None


@of(Alarm.BREAKER)
class Down(Sending):
    fails = DestinationDown("cannot connect")


@of(Alarm.BREAKER)
class DownAndRemoved(Down):
    def mend(self) -> None:
        self.go(ELSEWHERE)
        self.look = super(Sending, self).look  # type: ignore[method-assign]  # nothing is sent there


@of(Alarm.CRYPTO)
class AnswersUnproved(Sending):
    fails = Unproven("the receipt's signature does not verify")


@of(Alarm.CRYPTO)
class AnswersUnprovedAndRemoved(AnswersUnproved):
    def mend(self) -> None:
        self.go(ELSEWHERE)
        self.look = super(Sending, self).look  # type: ignore[method-assign]  # nothing is sent there


@of(Alarm.UNPROVED)
class RefusalUnproved(Sending):
    fails = UnprovedRefusal("not accepted")

    def mend(self) -> None:
        (one,) = self.house.catalogue.queue.of_exam(1)
        assert self.review.fail(one, "their operator says so", "wang")


@of(Alarm.INTEGRITY)
class FileGone(Sending):
    fails = IntegrityError("the report file of the upload is gone")


@of(Alarm.INTEGRITY)
class FileGoneAndCancelled(FileGone):
    def mend(self) -> None:
        (one,) = self.house.catalogue.queue.of_exam(1)
        assert self.review.cancel(one, "cannot come", "wang")


@of(Alarm.DEFECT)
class DefectInSending(FileGoneAndCancelled):
    fails = ZeroDivisionError()


class Peer:
    """A destination that is asked for storage commitment; it reports at once, or not at all."""

    reports: Callable[[str, Sequence[Reference]], object] | None = None

    @contextmanager
    def asking(self, take: object, stop: object) -> Iterator[Asking]:
        del take, stop
        yield cast(Asking, self)

    def request(self, transaction: str, references: Sequence[Reference]) -> int:
        if self.reports is not None:
            self.reports(transaction, references)
        return 0

    def await_reports(self, seconds: float, settled: object) -> None:
        """It has reported by now, or will not."""


class Committing(Trouble):
    """An image that the destination has stored, and is asked to commit to."""

    def open(self) -> None:
        house, self.peer = self.house, Peer()
        self.takes = CommitmentReports(house.catalogue, house.journal, house.clock, lambda: 0.0)
        settings = DicomDestination.model_validate({"port": 1, "commitment": True})
        self.asker = Asker(
            settings, house.catalogue, cast(StorageClient, self.peer), self.takes, house.journal, house.clock, os.urandom
        )  # fmt: skip

    def cause(self) -> None:
        self.ready_images()
        accounts = self.house.catalogue.accounts
        stored = [Outcome(one.key, Fate.STORED, 0, "a", ask_at=self.now) for one in accounts.to_send(1, "cloud", 9)]
        accounts.record(stored, self.now)
        self.moved(State.SENDING, State.WAITING)

    def look(self) -> None:
        self.house.clock.advance(3700)
        if self.house.delivery().state in PENDING:
            self.asker.ask(self.house.delivery(), lambda: False)
        self.house.lookout.step()


@of(Alarm.COMMITMENT)
class Uncommitted(Committing):
    def open(self) -> None:
        super().open()
        self.peer.reports = self.report

    def report(self, transaction: str, references: Sequence[Reference]) -> None:
        failed = tuple((one.sop_instance, 0x0110) for one in references)
        assert self.takes.take(Report(transaction, (), failed)) == 0

    def mend(self) -> None:
        self.cancel(Channel.IMAGES)


@of(Alarm.COMMITMENT_SILENCE)
class Silent(Committing):
    answers = False

    def cause(self) -> None:
        super().cause()
        self.look()

    def open(self) -> None:
        super().open()
        self.peer.reports = self.report if self.answers else None

    def report(self, transaction: str, references: Sequence[Reference]) -> None:
        assert self.takes.take(Report(transaction, tuple(one.sop_instance for one in references))) == 0

    def mend(self) -> None:
        self.answers = True


@of(Alarm.COMMITMENT_SILENCE)
class SilentAndCancelled(Silent):
    def mend(self) -> None:
        self.cancel(Channel.IMAGES)
