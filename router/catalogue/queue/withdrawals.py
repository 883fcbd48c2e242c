"""Withdrawals: asked for, frozen, and how they ended; stops of sources that ask for too many."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from router.catalogue.db.engine import RecordedRows
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.queue import Delivery, WithdrawalStopRow
from router.catalogue.db.tables.queue import WithdrawalRow as Row
from router.events import Event, Kind
from router.model import Channel
from router.policy.account import fields_of
from router.policy.withdrawal import Ended, Withdrawal

_OF_DELIVERY = Prepared(lambda delivery: Row.select().where(Row.delivery == delivery).order_by(Row.id))
_BY_PERSON = Prepared(
    lambda exam, document: Row.select(Row.why).join(Delivery).where(
        (Delivery.exam == exam) & (Row.document == document) & (Row.who != "") & (Row.ended != Ended.VOID)
    ).limit(1)
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source of withdrawals at a destination: a branch of a hospital."""

    destination: str
    hospital: str
    branch: str

    def __str__(self) -> str:
        return f"{self.hospital}, branch {self.branch}" if self.hospital else f"branch {self.branch}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """A stop of a source that stands since then, and the number of its withdrawals that wait."""

    source: Source
    since: datetime
    waiting: int


class Withdrawals(RecordedRows):
    """The withdrawals of report deliveries."""

    def of(self, delivery: int) -> list[Withdrawal]:
        """All withdrawals of a delivery, the first one first."""
        rows: Any = self._engine.run(_OF_DELIVERY(delivery))
        return [
            Withdrawal(
                id=row.id, delivery=row.delivery_id, document=row.document, n=row.n, asked=row.asked, why=row.why,
                who=row.who, idem=row.idem, notice_place=row.notice_place, notice_checksum=row.notice_checksum,
                receipt=row.receipt, receipt_place=row.receipt_place, ended=Ended(row.ended), ended_at=row.ended_at,
            )
            for row in rows
        ]  # fmt: skip

    def by_person(self, exam: int, document: int) -> str:
        """Why a person has withdrawn the exam in this version; "" where nobody has."""
        return str(self._engine.value(_BY_PERSON(exam, document)) or "")

    def ask(self, delivery: int, document: int, n: int, why: str, who: str, now: datetime) -> None:
        """Ask for a withdrawal of the revision `n` and those before it."""
        with self._engine.write():
            self._engine.run(Row.insert(delivery=delivery, document=document, n=n, why=why, who=who, asked=now))

    def take_over(self, one: Withdrawal, why: str, who: str) -> None:
        """Have an open withdrawal go by a person's word."""
        with self._engine.write():
            self._engine.run(Row.update(why=why, who=who).where(Row.id == one.id))

    def freeze(self, one: Withdrawal, idem: str, place: str, checksum: str) -> None:
        """Enter the notice, which is durable at `place`."""
        with self._engine.write():
            frozen = Row.update(idem=idem, notice_place=place, notice_checksum=checksum)
            self._engine.run(frozen.where((Row.id == one.id) & (Row.idem == "")))

    def end(self, one: Withdrawal, how: Ended, now: datetime, receipt: str = "", place: str = "") -> None:
        """Enter how it ended; its receipt is durable at `place`."""
        with self._engine.write():
            ended = Row.update(ended=how, ended_at=now, receipt=receipt, receipt_place=place)
            self._engine.run(ended.where(Row.id == one.id))

    # -- too many

    def asked_since(self, source: Source, since: datetime) -> int:
        """The number of the source's exams whose withdrawal its RIS has asked for since then."""
        # of all hospitals: the source names its own
        mine = (Row.asked > since) & (Row.who == "") & (Row.ended != Ended.VOID)
        count = Row.select(fn.COUNT(Delivery.exam.distinct())).join(Delivery).join(Exam)
        return int(self._engine.value(count.where(mine & _of(source))))

    def delivered_since(self, source: Source, since: datetime) -> int:
        """The number of the source's reports that were delivered since then."""
        # of all hospitals: the source names its own
        mine = (Delivery.channel == Channel.REPORT) & (Delivery.delivered_at > since)
        return int(self._engine.value(Delivery.select(fn.COUNT(Delivery.id)).join(Exam).where(mine & _of(source))))

    def stopped(self, source: Source) -> bool:
        """Whether a stop of the source stands."""
        return self._engine.has(WithdrawalStopRow.select().where(_stands(source)))

    def confirmed_at(self, source: Source) -> datetime | None:
        """When a person last confirmed withdrawals of the source; None if nobody ever did."""
        mine = _is(source) & WithdrawalStopRow.until.is_null(False)
        at: datetime | None = self._engine.value(
            WithdrawalStopRow.select(WithdrawalStopRow.until).where(mine).order_by(WithdrawalStopRow.until.desc())
            .limit(1)
        )  # fmt: skip
        return at

    def stop(self, source: Source, now: datetime) -> None:
        """Stop the source's withdrawals until a person confirms them."""
        row = {"destination": source.destination, "hospital": source.hospital, "branch": source.branch, "since": now}
        with self._engine.write():
            if not self.stopped(source):
                self._engine.run(WithdrawalStopRow.insert(row).on_conflict_ignore())

    def stops(self) -> list[Stop]:
        """Every stop that stands."""
        rows: Any = self._engine.run(WithdrawalStopRow.select().where(WithdrawalStopRow.until.is_null()))
        found = [
            (Source(destination=row.destination, hospital=row.hospital, branch=row.branch), row.since) for row in rows
        ]
        return [Stop(source=source, since=since, waiting=len(self.waiting(source))) for source, since in found]

    def waiting(self, source: Source) -> Sequence[int]:
        """The numbers of the source's exams that have an open withdrawal of its RIS."""
        # of all hospitals: the source names its own
        query = Row.select(Delivery.exam).distinct().join(Delivery).join(Exam)
        return self._engine.column(query.where((Row.ended == Ended.OPEN) & (Row.who == "") & _of(source)))

    def confirm(self, source: Source, who: str, why: str, now: datetime) -> None:
        """End the stop: a person confirms what the source has asked for."""
        with self._engine.write():
            self._engine.run(WithdrawalStopRow.update(until=now, who=who, why=why).where(_stands(source)))
            text = f"the withdrawals of {source} at {source.destination} are confirmed: {why}"
            fields = fields_of(source.destination, source.hospital)
            self._bus.record(Event(now, Kind.DECIDED, text, who=who, fields=fields))


def _of(source: Source) -> Any:
    of = (Exam.hospital == source.hospital) & (Exam.branch == source.branch)
    return (Delivery.destination == source.destination) & of


def _is(source: Source) -> Any:
    row = WithdrawalStopRow
    return (row.destination == source.destination) & (row.hospital == source.hospital) & (row.branch == source.branch)


def _stands(source: Source) -> Any:
    return _is(source) & WithdrawalStopRow.until.is_null()
