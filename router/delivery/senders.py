"""Carrying out one claimed delivery: freeze and upload a report, or send the images that are selected."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.exams.documents import Proof
from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.ledger import Fate, Outcome, Tally, ToSend
from router.catalogue.queue.late import LateReceipt
from router.catalogue.queue.queue import Delivery
from router.catalogue.queue.uploads import Frozen
from router.clock import Clock
from router.config.sections import Config, Hospital, HospitalConfig
from router.correlator.assess import damaged_hold, images_of, without
from router.correlator.document import fill_for, json_warnings, keep_apart, listed
from router.crypto.envelope import idem
from router.crypto.symmetric import sm3, sm3_of
from router.delivery.abort_tracker import AbortTracker
from router.delivery.commitment import Asker
from router.delivery.ledger_writer import LedgerWriter, ResultBatches
from router.delivery.unwritten import Unwritten
from router.dicom.scu.client import Outgoing, Result, StorageClient
from router.dicom.scu.session import Session
from router.dicom.ul.status import DUPLICATE, Verdict, classify
from router.errors import Damaged, IntegrityError, PermanentError, RouterError, TransientError
from router.events import Event, EventBus, Kind
from router.exam.fill import Filled
from router.exam.write import dump
from router.forward.credentials import Credentials
from router.forward.report import Receipt, ReportAgent, Upload
from router.images.damage import Damage
from router.intake.exam_reader import ExamReader
from router.intake.intake import intact
from router.matching.exam.readiness import DAMAGED
from router.matching.images.renewal import set_aside
from router.model import SeriesClass
from router.policy.retry import given_up
from router.policy.states import State
from router.storage import Storage

# As many are judged at a time: what comes meanwhile, or is decided, stops the next ones.
_READ_AT_ONCE = 250
_UNREGISTERED = "its hospital is not registered any more"
_ASKED_FOR = (SeriesClass.THIN, SeriesClass.KEY, SeriesClass.SCOUT, SeriesClass.DOSE)


@dataclass(frozen=True, slots=True)
class SendResult:
    """State of a delivery after `sending`, and why; `units`: instances or reports sent; `by`: account and keys used."""

    to: State
    why: str
    changes: Mapping[str, object] = field(default_factory=dict)
    units: int = field(default=0, compare=False)
    by: Mapping[str, str] = field(default_factory=dict, compare=False)


Objection = Callable[[Delivery], str]
"""Why nothing of a delivery may go by what is known now; "" when nothing speaks against it."""


def _objected(delivery: Delivery, why: str) -> SendResult:
    """The exam is evaluated anew, which finds the same."""
    return SendResult(State.WAITING, f"not sent: {why}", {"attempts": delivery.attempts - 1})


class Sender(Protocol):
    """Carries out a delivery; raises the error that the peer's answer stands for."""

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        """Send until done, or until `stop` says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportSender:
    """Report and exam JSON to one destination by HTTP, by one account; each under the USCI of its own hospital."""

    config: Config
    references: ExamReader
    catalogue: Catalogue
    storage: Storage
    agent: ReportAgent
    credentials: Callable[[], Credentials]
    bus: EventBus
    clock: Clock
    objection: Objection
    unwritten: Unwritten = field(default_factory=Unwritten)

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        """Upload what the delivery wants; done when the receipt is verified and kept. An upload is never stopped."""
        own = self.config.for_hospital(delivery.hospital)
        if own is None:
            return _objected(delivery, _UNREGISTERED)
        if why := self.objection(delivery):
            return _objected(delivery, why)
        self.unwritten.write_down(self.catalogue.late, self.bus, self.clock)
        try:
            upload = self._frozen(delivery, own)
            units = int(upload.confirmed is None)
            by = self._upload(delivery, upload, own.own) if units else {}
        except Damaged as damaged:
            return self._hold(delivery, damaged)
        lost = {"delivered_at": delivery.delivered_at} if units and upload.receipt else {}  # it was delivered before
        changes: dict[str, object] = {"delivered": upload.wanted, **lost}
        return SendResult(State.DELIVERED, f"receipt for revision {upload.n}", changes, units, by)

    def _hold(self, delivery: Delivery, damaged: Damaged) -> SendResult:
        """Until the document comes again: what was frozen with it is not to be sent."""
        kind = "json" if damaged.fields["part"] == "exam" else "pdf"
        document, now = int(_sources(delivery)[kind]), self.clock.now()
        why = f"{damaged.message} ({kind}, document {document})"
        place = self.catalogue.exams.case(delivery.exam).places[document]
        self.catalogue.exams.documents.damage(document, str(damaged.fields.get("place", place)), why, now)
        for upload in self.catalogue.uploads.of(delivery.id)[-1:]:
            if upload.confirmed is None:
                self.catalogue.uploads.refuse(upload.id)
        text, subject = f"a report is held, its stored documents are damaged: {why}", f"e{delivery.exam}"
        self.bus.record(Event(now, Kind.ALARM, text, exam=delivery.exam, alarm=Alarm.DAMAGED, subject=subject))
        return SendResult(State.HELD, damaged_hold(why), {"held_by": DAMAGED, "error": damaged_hold(why)})

    def _frozen(self, delivery: Delivery, own: HospitalConfig) -> Frozen:
        """The upload of what is wanted: the one begun, else one filled anew: the configuration may have been fixed."""
        known = self.catalogue.uploads.of(delivery.id)
        if known and known[-1].wanted == delivery.wanted and not known[-1].refused:
            return known[-1]
        self._freeze(delivery, len(known) + 1, own)
        return self.catalogue.uploads.of(delivery.id)[-1]

    def _freeze(self, delivery: Delivery, n: int, own: HospitalConfig) -> None:
        wanted = _sources(delivery)
        case = keep_apart(self._case(delivery), without(delivery.wanted))
        count = None if wanted["images"] == "-" else int(wanted["images"])
        given = self.references.of(case.hospital).read(self._stored(case, int(wanted["json"]), "exam"))
        pdf, pdf_place = self._stored(case, int(wanted["pdf"]), "report"), case.places[int(wanted["pdf"])]
        filled = fill_for(own, self.references.of(case.hospital).tables, case, given, count)
        if listed(filled) != wanted["studies"]:
            raise TransientError("the exam's studies have changed since it was evaluated")
        self._warn(delivery, filled, own)
        exam = dump(filled.document)
        place = self.storage.reports.sent_place(delivery.exam, delivery.destination, n, "exam.json")
        place = self.storage.reports.write(place, exam, delivery.lease)
        content = (self.credentials().api_key, delivery.destination, case.exam_id, sm3(exam), sm3(pdf))
        name = self._name(delivery, content, n)
        self.catalogue.uploads.freeze(
            delivery.id, n, name, delivery.wanted, exam_place=place, pdf_place=pdf_place, now=self.clock.now(),
            exam_checksum=hashlib.sha256(exam).hexdigest(), pdf_checksum=hashlib.sha256(pdf).hexdigest(),
        )  # fmt: skip

    def _name(self, delivery: Delivery, content: tuple[bytes, str, str, bytes, bytes], n: int) -> str:
        """The content's own idem; another one where it went before, and another content, or its withdrawal, since."""
        own, known = idem(*content), self.catalogue.uploads.of(delivery.id)
        again = own in {one.idem for one in known} and (own != known[-1].idem or known[-1].withdrawn)
        return idem(*content, again=n) if again else own

    def _case(self, delivery: Delivery) -> ExamSnapshot:
        """The exam, which is of the hospital by whose account it goes."""
        case = self.catalogue.exams.case(delivery.exam)
        if case.hospital != delivery.hospital:
            raise TransientError("the exam's hospital has changed since it was evaluated")
        return case

    def _stored(self, case: ExamSnapshot, document: int, part: str) -> bytes:
        """A document's copy; Damaged when it is gone or is not what came."""
        try:
            data = self.storage.reports.read(case.places[document])
        except FileNotFoundError as error:
            raise Damaged(f"the stored {part} file is gone", part=part, place=case.places[document]) from error
        if not intact(data, case.proofs.get(document, Proof())):
            raise Damaged(f"the stored {part} file is not what came", part=part, place=case.places[document])
        return data

    def _warn(self, delivery: Delivery, filled: Filled, own: HospitalConfig) -> None:
        """Warnings do not stop a report; the exam's story keeps them, by field and without values."""
        warned = json_warnings(own, self.references.tables, filled)
        if warned:
            text, now = f"the exam JSON goes with warnings: {'; '.join(warned)}", self.clock.now()
            self.bus.record(Event(now, Kind.DOCUMENT, text, exam=delivery.exam, delivery=delivery.id))

    def _upload(self, delivery: Delivery, upload: Frozen, hospital: Hospital) -> dict[str, str]:
        """Send it and keep the receipt; by which app and keys it went."""
        path, known = self.storage.reports.path, upload.pdf_checksum
        if not known:  # one that was frozen before there were checksums is compared with what came
            known = self._case(delivery).proofs.get(int(_sources(delivery)["pdf"]), Proof()).checksum
        frozen = Upload(
            org=hospital.USCI, idem=upload.idem, revision=upload.n, exam_file=path(upload.exam_place),
            report_file=path(upload.pdf_place), exam_checksum=upload.exam_checksum, report_checksum=known,
            progress=path(upload.exam_place).with_name("progress.json"),
        )  # fmt: skip
        try:
            receipt = self.agent.send(frozen)
        except Damaged as damaged:
            if damaged.fields["part"] == "exam":
                raise
            raise Damaged(damaged.message, part="report", place=upload.pdf_place) from damaged
        except PermanentError:
            self.catalogue.uploads.refuse(upload.id)
            raise
        self._confirm(delivery, upload, receipt, hospital)
        return {
            "app": self._app(delivery),
            "keys": ", ".join(f"{p} {i}" for p, i in receipt.proof.request_keys.items()),
        }

    def _confirm(self, delivery: Delivery, upload: Frozen, receipt: Receipt, hospital: Hospital) -> None:
        """Keep the receipt with its hospital, the data's level, agreement and purpose (GB/T 39725)."""
        own, now = self.config.for_hospital(hospital.name), self.clock.now()
        destination = self.config.destination_named(delivery.destination)
        document = receipt.to_document() | {
            "destination": delivery.destination,
            "hospital": hospital.name,
            "org": hospital.USCI,
            "app": self._app(delivery),
            "revision": upload.n,
            "exam_sm3": self._sm3(upload.exam_place).hex(),
            "report_sm3": self._sm3(upload.pdf_place).hex(),
            "data_level": (own or self.config).share.level,
            "agreement": destination.agreement if destination else "",
            "purpose": destination.purpose if destination else "",
        }
        place = self.storage.reports.sent_place(delivery.exam, delivery.destination, upload.n, upload.next_receipt)
        text = json.dumps(document, ensure_ascii=False, indent=2)
        place = self.storage.reports.write(place, text.encode(), delivery.lease)
        try:
            self.catalogue.uploads.confirm(upload.id, receipt.receipt, place, now)
        except RouterError:
            self.unwritten.keep([LateReceipt(
                delivery=delivery.id, n=upload.n, idem=upload.idem, receipt=receipt.receipt, place=place, at=now
            )])  # fmt: skip
            raise

    def _app(self, delivery: Delivery) -> str:
        """The name of the account at the platform."""
        destination = self.config.destination_named(delivery.destination)
        http = destination.http_of(delivery.hospital) if destination is not None else None
        return http.app if http is not None else ""

    def _sm3(self, place: str) -> bytes:
        with self.storage.reports.path(place).open("rb") as file:
            return sm3_of(file)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagesSender:
    """Selected instances to one destination by C-STORE; with `asker` they count as sent once they are committed."""

    config: Config
    catalogue: Catalogue
    storage: Storage
    client: StorageClient
    clock: Clock
    asker: Asker | None
    objection: Objection
    suspects: AbortTracker = field(default_factory=AbortTracker)
    bus: EventBus = field(default_factory=EventBus)
    unwritten: Unwritten = field(default_factory=Unwritten)

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        """Send every selected instance once; what the destination takes later makes the whole delivery wait.

        Each batch is read before it is judged, so that nothing goes that nobody has looked at.
        """
        later: dict[int, str] = {}
        self._take_up(delivery)
        to_go = self._tally(delivery).unsent
        with self.client.session() as session:
            while not stop() and (batch := self._batch(delivery, later)):
                if why := self.objection(delivery):
                    return _objected(delivery, why)
                later |= self._send_batch(session, delivery, batch, stop)
        if self.asker is not None and not stop():
            self.asker.ask(delivery, stop)
        if stop():
            return SendResult(State.READY, "given back")
        if later:
            raise TransientError(f"{len(later)} instance(s) to be tried again: {next(iter(later.values()))}")
        ending = self._ending(delivery)
        return replace(ending, units=max(to_go - self._tally(delivery).unsent, 0))

    def _take_up(self, delivery: Delivery) -> None:
        """Send again what the destination has lost; without commitment, wait for none any more."""
        if self.asker is not None:
            self.asker.send_again(delivery)
        else:
            self.catalogue.commitments.waive(delivery.exam, delivery.destination, self.clock.now())

    def _batch(self, delivery: Delivery, later: Mapping[int, str]) -> list[ToSend]:
        """Instances that are to go by the ledger, which must know all that went."""
        self.unwritten.write_down(self.catalogue.late, self.bus, self.clock)
        waiting = self.catalogue.ledger.to_send(delivery.exam, delivery.destination, _READ_AT_ONCE + len(later))
        return [one for one in waiting if one.key not in later]

    def _send_batch(
        self, session: Session, delivery: Delivery, batch: list[ToSend], stop: Callable[[], bool]
    ) -> dict[int, str]:
        """Send a batch; what is to be tried again later, and why."""
        outgoing = [
            Outgoing(
                key=one.key, path=self.storage.studies.path(one.uids, one.version), sop_class=one.sop_class,
                sop_instance=one.uids.sop, transfer_syntax=one.transfer_syntax, checksum=one.checksum,
                tried=one.tries > 0, sole=one.version == 1,
            )
            for one in batch
        ]  # fmt: skip
        later: dict[int, str] = {}
        taken = Fate.STORED if self.asker is not None else Fate.SENT
        write = LedgerWriter(self.catalogue.ledger, self.unwritten, delivery.destination, batch)
        book = ResultBatches(write, self.clock, taken, partial(self._record_sent, delivery.destination))
        try:
            for result in session.send(outgoing, lambda: self.unwritten.pending or stop()):
                judged = self._judged(delivery, batch, result)
                if judged.verdict in (Verdict.STORED, Verdict.REFUSED):
                    self.suspects.answered()
                    book.add(judged)
                elif judged.verdict == Verdict.LATER or not self._set_aside(delivery, judged, book):
                    later[judged.key] = judged.why
        except IntegrityError as error:
            self._note_damage(batch, error)
        finally:
            book.close()
        return later

    def _judged(self, delivery: Delivery, batch: Sequence[ToSend], result: Result) -> Result:
        """A duplicate (0111) of what went when nobody could write down that it did is stored."""
        if (result.status, result.verdict) != (DUPLICATE, Verdict.REFUSED):
            return result
        (sent,) = (one for one in batch if one.key == result.key)
        try:
            interrupted = self.catalogue.queue.interrupted(delivery)
        except TransientError:  # asked again, it says so again
            return replace(result, verdict=Verdict.LATER)
        may = interrupted is not None and (sent.since <= interrupted or sent.refused not in (None, DUPLICATE))
        return replace(result, verdict=classify(DUPLICATE, again=sent.version == 1 and may))

    def _note_damage(self, batch: Sequence[ToSend], error: IntegrityError) -> None:
        damaged = next((one for one in batch if one.key == error.fields.get("key")), None)
        if damaged is None:
            raise error
        damage = Damage(damages=self.catalogue.damages, bus=self.bus, clock=self.clock)
        damage.found(damaged.instance, damaged.uids, error.message)

    def _record_sent(self, destination: str, outcomes: Sequence[Outcome]) -> None:
        fields = {"destination": destination, **Counter(str(outcome.fate) for outcome in outcomes)}
        self.bus.record(Event(self.clock.now(), Kind.SENT, "instances sent", fields=fields))

    def _set_aside(self, delivery: Delivery, lost: Result, book: ResultBatches) -> bool:
        """Note that an association was lost with this instance; whether it is refused, being the cause itself."""
        book.close()
        counts = self.suspects.lost(lost.key)
        try:
            losses, tally = self.catalogue.ledger.lost(lost.key, counts), self._tally(delivery)
            if not counts or not given_up(losses, others_went=tally.sent + tally.stored > 0):
                return False
            reason = f"the destination aborts on it: {losses} associations were lost with it under way"
            outcome = Outcome(key=lost.key, fate=Fate.REFUSED, status=None, association=lost.association, reason=reason)
            self.catalogue.ledger.record([outcome], self.clock.now())
        except TransientError:  # others have theirs under way, whose results are worth more than this count
            return False
        return True

    def _ending(self, delivery: Delivery) -> SendResult:
        tally = self.catalogue.instances.returns.counted(self._tally(delivery), delivery.exam, delivery.destination)
        behind, case = self.storage.incoming.oldest(), self.catalogue.exams.case(delivery.exam)
        if images_of(case, behind).needs(self.config.study.stable_after, self.clock.now()):
            return SendResult(State.WAITING, f"{tally.sent} of {tally.selected} sent; more may come", {"attempts": 0})
        if tally.stored:
            why = f"{tally.stored} of {tally.selected} stored, not committed"
            return SendResult(State.WAITING, why, {"attempts": 0})
        kinds = ((tally.damaged, "damaged"), (tally.refused, "refused"), (tally.gone, "removed before they were sent"))
        if failed := [f"{n} of {tally.selected} {what}" for n, what in kinds if n]:
            unanswered = self.catalogue.ledger.unanswered(delivery.exam, delivery.destination).items()
            why = "; ".join([", ".join(failed), *(f"{n} instance(s): {reason}" for reason, n in unanswered)])
            return SendResult(State.FAILED, why, {"error": why})
        if tally.cut:
            aside = set_aside(tally.cut, tally.selected + tally.cut)
            return SendResult(State.WAITING, f"{tally.sent} instances sent; {aside}", {"attempts": 0})
        why = f"{tally.sent} instances sent{self._absent(delivery)}"
        return SendResult(State.DELIVERED, why, {"delivered": f"instances={tally.sent}"})

    def _absent(self, delivery: Delivery) -> str:
        """The classes that the destination wants and the study does not have (DB11 6.2), in words."""
        destination = self.config.destination_named(delivery.destination)
        asked = [one for one in _ASKED_FOR if destination is not None and one in destination.classes]
        there = self.catalogue.ledger.classes(delivery.exam, delivery.destination)
        absent = [one for one in asked if one not in there]
        return f"; wanted and not there: {', '.join(absent)}" if absent else ""

    def _tally(self, delivery: Delivery) -> Tally:
        return self.catalogue.ledger.tallies([delivery.exam]).get((delivery.exam, delivery.destination), Tally())


def _sources(delivery: Delivery) -> dict[str, str]:
    """Sources of a report delivery, by kind: json and pdf (documents), images, studies."""
    return dict(part.split("=") for part in delivery.wanted.split())
