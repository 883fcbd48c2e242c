"""Troubles of the sending: the destination, its answers, its storage commitment."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, cast

from router.alarms import Alarm
from router.catalogue.images.ledger import Fate, Outcome
from router.catalogue.queue.queue import Delivery
from router.config.sections import DicomDestination
from router.delivery.breaker_gate import Route
from router.delivery.commitment import Asker, CommitmentReports
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import SendResult
from router.dicom.scu.client import StorageClient
from router.dicom.scu.commitment import CommitmentScu
from router.dicom.ul.commitment import Reference, Report
from router.errors import DestinationDown, IntegrityError, Outage, UnprovedRefusal, Unproven
from router.model import Channel
from router.policy.states import PENDING, State
from router.review.decisions import OperatorReason
from support.alarm_causes.causes import ELSEWHERE, Trouble, of
from support.intake_folder import E1

DONE = SendResult(State.DELIVERED, "receipt for revision 1", units=1)
WANG = OperatorReason("wang", "told their operator")


class Sending(Trouble):
    """A ready report, and a sender that fails while `fails` is its error; `probe` asks whether it is there."""

    channel: ClassVar[Channel] = Channel.REPORT
    fails: Exception | None

    def open(self) -> None:
        self.dispatcher = Dispatcher(self.house.catalogue, "node-1", self.house.bus, self.house.clock)
        self.lane = Route(destination="cloud", channel=self.channel, width=1, sender=self, probe=self.probe)

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        del delivery, stop
        if self.fails is not None:
            raise self.fails
        return DONE

    def probe(self) -> None:
        if isinstance(self.fails, DestinationDown):
            raise self.fails

    def cause(self) -> None:
        catalogue = self.house.catalogue
        number = catalogue.exams.number_of("", "01", E1, self.now)
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


@of(Alarm.PROFILE)
class ProfileFails(Sending):
    fails = DestinationDown("the profile raises KeyError at line 5", outage=Outage.PROFILE)


@of(Alarm.PROFILE)
class ProfileFailsAndIsRemoved(ProfileFails):
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
class DatabaseDamaged(Sending):
    fails: Exception | None = IntegrityError("the database is damaged")


@of(Alarm.INTEGRITY)
class DatabaseDamagedAndCancelled(DatabaseDamaged):
    def mend(self) -> None:
        (one,) = self.house.catalogue.queue.of_exam(1)
        assert self.review.cancel(one, "it is not to go", "wang")


@of(Alarm.DEFECT)
class DefectInSending(DatabaseDamagedAndCancelled):
    fails = ZeroDivisionError()


class Peer:
    """A destination that is asked for storage commitment; it reports at once, or not at all."""

    reports: Callable[[str, Sequence[Reference]], object] | None = None

    @contextmanager
    def asking(self, take: object, stop: object) -> Iterator[CommitmentScu]:
        del take, stop
        yield cast(CommitmentScu, self)

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
        self.takes = CommitmentReports(house.catalogue, house.bus, house.clock, lambda: 0.0)
        peer = cast(StorageClient, self.peer)
        settings = DicomDestination.model_validate({"port": 1, "commitment": True})
        self.asker = Asker(
            destination=settings, catalogue=house.catalogue, client=peer, reports=self.takes, bus=house.bus,
            clock=house.clock, random=os.urandom,
        )  # fmt: skip

    def cause(self) -> None:
        self.ready_images()
        accounts = self.house.catalogue.ledger
        stored = [
            Outcome(key=one.key, fate=Fate.STORED, status=0, association="a", ask_at=self.now)
            for one in accounts.to_send(1, "cloud", 9)
        ]
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
