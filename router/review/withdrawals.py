"""Withdrawals by people: of one exam at once, or confirmed of a source whose own were too many."""

from collections.abc import Sequence
from dataclasses import dataclass

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.queue.queue import Delivery
from router.catalogue.queue.withdrawals import Stop
from router.clock import Clock
from router.correlator.withdrawing import subject_of
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.matching.exam.versions import successive
from router.model import Channel
from router.policy.account import fields_of
from router.policy.states import State
from router.policy.withdrawal import SETTLED, Ended
from router.review.decisions import OperatorReason
from router.review.lookup import Lookup


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A report that a destination has: its delivery, and the revision that it confirmed last."""

    delivery: Delivery
    revision: int


class WithdrawalsByHand:
    """The withdrawals, as the command line asks for them."""

    def __init__(self, catalogue: Catalogue, bus: EventBus, clock: Clock, hospital: str | None = None) -> None:
        """`hospital`: names mean its exams alone, stops are those of its sources; None: those of all."""
        self._hospital = hospital
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock

    def given(self, name: str) -> list[Given]:
        """Deliveries of the exam, or the one, of this name that destinations have. InvalidData where none has any."""
        found = [
            Given(delivery=one, revision=revision)
            for one in Lookup(self._catalogue, self._hospital).deliveries([name])
            if one.channel == Channel.REPORT and (revision := self._revision(one))
        ]
        if not found:
            hint = "only a report that a destination has confirmed can be withdrawn; see `scripts/queue show`"
            raise InvalidData("nothing of this exam is to be withdrawn", hint=hint)
        return found

    def withdraw(self, given: Sequence[Given], reason: OperatorReason) -> None:
        """Have these withdrawn at their destinations at once; nothing more of the exam goes in its present version."""
        now, exams = self._clock.now(), {one.delivery.exam for one in given}
        with self._catalogue.engine.write():
            for one in given:
                self._ask(one, reason)
            for exam in exams:
                text = f"withdrawn by a person: {reason.why}"
                self._bus.record(Event(now, Kind.DECIDED, text, who=reason.who, exam=exam))
            self._catalogue.exams.request_evaluation(exams, now)

    def stops(self) -> list[Stop]:
        """The sources whose withdrawals wait for a person."""
        stops = self._catalogue.withdrawals.stops()
        return [one for one in stops if self._hospital in (None, one.source.hospital)]

    def confirm(self, stops: Sequence[Stop], reason: OperatorReason) -> int:
        """Let the withdrawals of these sources go that wait, and later ones; the number of their exams."""
        now, exams = self._clock.now(), set[int]()
        with self._catalogue.engine.write():
            for one in stops:
                source = one.source
                exams |= set(self._catalogue.withdrawals.waiting(source))
                self._catalogue.withdrawals.confirm(source, reason.who, reason.why, now)
                fields = fields_of(source.destination, source.hospital)
                self._bus.record(Event(
                    now, Kind.CLEARED, f"confirmed by {reason.who}", fields=fields, alarm=Alarm.WITHDRAWALS,
                    subject=subject_of(source),
                ))  # fmt: skip
            self._catalogue.exams.request_evaluation(exams, now)
        return len(exams)

    def _revision(self, delivery: Delivery) -> int:
        """The last revision that the destination has; 0 where it has none that counts."""
        n = max((one.n for one in self._catalogue.uploads.of(delivery.id) if one.confirmed is not None), default=0)
        gone = any(one.n >= n and one.ended in SETTLED for one in self._catalogue.withdrawals.of(delivery.id))
        return 0 if gone or delivery.state in (State.CANCELLED, State.SENDING) else n

    def _ask(self, one: Given, reason: OperatorReason) -> None:
        kept, now = self._catalogue.withdrawals, self._clock.now()
        open_ = next((each for each in kept.of(one.delivery.id) if each.ended == Ended.OPEN), None)
        if open_ is not None:
            kept.take_over(open_, reason.why, reason.who)
            return
        document = successive(self._catalogue.exams.case(one.delivery.exam).jsons)[-1].document
        kept.ask(one.delivery.id, document, one.revision, reason.why, reason.who, now)
