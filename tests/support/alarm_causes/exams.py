"""Troubles of exams and of their deliveries."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from router.alarms import Alarm
from router.catalogue.images.ledger import Fate, Outcome
from router.clock import SystemClock
from router.delivery.senders import SendResult
from router.images.rulebook import books_of
from router.model import Channel
from router.policy.attention import LEDGER_LOST
from router.policy.states import State
from router.reports.pdf.reader import Readers
from router.review.decisions import OperatorReason
from router.review.dismissals import Dismissals
from router.upkeep.rebuild import Rebuild
from support.alarm_causes.causes import CORRECTED, ELSEWHERE, LISTS, NOW_APPROVED, STUDY, Trouble, of
from support.intake_folder import E1, another, exam, printed
from support.node_without_sockets import Node, slice_of
from support.two_exams import DAY, HOUR, PATIENT, QUIET, S1, pacs, ris, wait
from support.two_exams import E1 as N1
from support.two_exams import E2 as N2

DONE = SendResult(State.DELIVERED, "receipt for revision 1")
WANG = OperatorReason("wang", "told their operator")


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
        ledger, delivery = self.house.catalogue.ledger, self.house.delivery()
        refused = ledger.to_send(delivery.exam, delivery.destination, 9)
        ledger.record(
            [Outcome(key=one.key, fate=Fate.REFUSED, status=0xA900, association="a") for one in refused], self.now
        )
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
        house = self.house
        known = (house.config, house.catalogue, house.storage, books_of(house.config))
        assert Rebuild(*known, bus=house.bus, clock=SystemClock()).run(iter).held
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
        (ended,) = Dismissals(self.house.catalogue, self.house.bus, self.house.clock).dismiss_exam("e1", WANG)
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
        (ended,) = Dismissals(self.house.catalogue, self.house.bus, self.house.clock).dismiss_exam("e1", WANG)
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
        self.house.catalogue.exams.request_evaluation([1], self.now)

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
        (ended,) = Dismissals(self.house.catalogue, self.house.bus, self.house.clock).dismiss_exam(N1, WANG)
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
