"""Storage commitment (PS3.4 J): asking a destination for it, and taking what destinations report, whenever they do."""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate
from router.catalogue.queue.commitments import Settled, Uncommitted
from router.catalogue.queue.queue import Delivery
from router.clock import Clock
from router.config.sections import DicomDestination
from router.dicom.dataset.uid import random_uid
from router.dicom.scu.client import StorageClient
from router.dicom.scu.commitment import CommitmentScu
from router.dicom.ul import dimse
from router.dicom.ul.commitment import MOST, Reference, Report
from router.dicom.ul.status import NO_SUCH_INSTANCE, Verdict, classify, failure_reason, uncommitted
from router.errors import DestinationDown, Outage, RouterError, TransientError
from router.events import Event, EventBus, Kind
from router.model import Channel
from router.policy.retry import backoff
from router.policy.states import PENDING

_log = logging.getLogger(__name__)


def settled_by(report: Report, asked: Sequence[Uncommitted], now: datetime, jitter: float) -> list[Settled]:
    """The fate of each instance of a transaction by the destination's report; other instances in it change nothing.

    An instance that the destination may yet commit to is asked for again, or sent again where it was lost, after a
    pause that grows with each request.
    """
    committed, failed = frozenset(report.committed), dict(report.failed)
    settled = [Settled(one.key, Fate.SENT, dimse.SUCCESS) for one in asked if one.sop_instance in committed]
    for one in asked:
        reason = failed.get(one.sop_instance)
        if reason is not None and uncommitted(reason) is Verdict.REFUSED:
            settled.append(Settled(one.key, Fate.REFUSED, reason))
        elif reason is not None:
            settled.append(Settled(one.key, Fate.STORED, reason, now + backoff(one.asked, timedelta(0), jitter)))
    return settled


@dataclass(frozen=True, slots=True)
class CommitmentReports:
    """Takes the reports of all destinations, over whichever association they come. `jitter` gives [0, 1)."""

    catalogue: Catalogue
    bus: EventBus
    clock: Clock
    jitter: Callable[[], float]

    def take(self, report: Report) -> int:
        """The status to answer with: Success once the ledger has it, 0115 when the transaction is not one of ours."""
        try:
            asked = self.catalogue.commitments.asked_under(report.transaction)
            if asked is None:
                return dimse.INVALID_ARGUMENT_VALUE
            now = self.clock.now()
            settled = settled_by(report, asked, now, self.jitter())
            exams = self.catalogue.commitments.settle(report.transaction, settled, now, report.reasons)
            concerned = self._concerned(exams, self.catalogue.commitments.destination(report.transaction))
            for one in concerned:
                self.bus.record(_event(Kind.CLEARED, Alarm.COMMITMENT_SILENCE, one, "the destination reports", now))
            self._tell_failures(concerned, settled, now)
        except RouterError as error:
            _log.error("a storage commitment report cannot be kept, the destination is asked again: %s", error)
            return dimse.PROCESSING_FAILURE
        return dimse.SUCCESS

    def _concerned(self, exams: Sequence[int], destination: str) -> list[Delivery]:
        return [
            one
            for exam in exams
            for one in self.catalogue.queue.of_exam(exam)
            if (one.destination, one.channel) == (destination, Channel.IMAGES) and one.state in PENDING
        ]

    def _tell_failures(self, concerned: Sequence[Delivery], settled: Sequence[Settled], now: datetime) -> None:
        reasons = Counter(one.status for one in settled if one.fate != Fate.SENT)
        words = "; ".join(f"{count} instance(s): {failure_reason(status)}" for status, count in reasons.items())
        for one in concerned if reasons else ():
            text = f"the destination does not commit to {words}"
            self.bus.record(_event(Kind.ALARM, Alarm.COMMITMENT, one, text, now))


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks one destination for the commitment of what it has stored. `random` gives so many random bytes."""

    destination: DicomDestination
    catalogue: Catalogue
    client: StorageClient
    reports: CommitmentReports
    bus: EventBus
    clock: Clock
    random: Callable[[int], bytes]

    def send_again(self, delivery: Delivery) -> None:
        """Select again what the destination has said that it does not have."""
        now = self.clock.now()
        self.catalogue.commitments.send_again(delivery.exam, delivery.destination, NO_SUCH_INSTANCE, now)

    def ask(self, delivery: Delivery, stop: Callable[[], bool]) -> None:
        """Ask for what is due, then wait a moment for reports. DestinationDown where it does none; TransientError."""
        if not self._batch(delivery):
            return
        with self.client.asking(self.reports.take, stop) as asking:
            if asking is None:
                return
            while not stop() and (batch := self._batch(delivery)):
                transaction = self._request(asking, delivery, batch)
                # Peers exist that do not bear the next request while they report on this one.
                self._await_report(asking, transaction, stop)

    def _await_report(self, asking: CommitmentScu, transaction: str, stop: Callable[[], bool]) -> None:
        seconds = self.destination.commitment_wait.total_seconds()
        asking.await_reports(seconds, lambda: stop() or self.catalogue.commitments.reported(transaction))

    def _batch(self, delivery: Delivery) -> list[Uncommitted]:
        return self.catalogue.commitments.to_ask(delivery.exam, delivery.destination, self.clock.now(), MOST)

    def _request(self, asking: CommitmentScu, delivery: Delivery, batch: Sequence[Uncommitted]) -> str:
        """One request, which the catalogue knows before the destination does."""
        transaction, now = random_uid(self.random(16)), self.clock.now()
        silent = sum(1 for one in batch if one.unanswered)
        if silent:
            text = f"no report on the storage commitment of {silent} instance(s): it is asked for again"
            self.bus.record(_event(Kind.ALARM, Alarm.COMMITMENT_SILENCE, delivery, text, now))
        self.catalogue.commitments.ask(transaction, delivery.destination, [one.key for one in batch], now)
        status = asking.request(transaction, [Reference(one.sop_class, one.sop_instance) for one in batch])
        if (verdict := classify(status)) is not Verdict.STORED:
            self.catalogue.commitments.withdraw(transaction)
            text = f"the destination refuses to be asked for storage commitment, status {status:04X}"
            if verdict is Verdict.REFUSED:
                hint = "ask its operator, or set commitment = false in [destination.dicom]"
                raise DestinationDown(text, outage=Outage.SERVICE, hint=hint)
            raise TransientError(text)
        self.catalogue.commitments.accepted(transaction, now, now + self.destination.commitment_within)
        return transaction


def _event(kind: Kind, alarm: Alarm, delivery: Delivery, text: str, now: datetime) -> Event:
    fields, subject = {"destination": delivery.destination}, f"d{delivery.id}"
    return Event(
        now, kind, text, exam=delivery.exam, delivery=delivery.id, fields=fields, alarm=alarm, subject=subject
    )  # fmt: skip
