"""Storage commitment (PS3.4 J): requests to destinations, and their reports.

An instance that is `stored` in the ledger has been taken by the destination and is not committed yet. A request is a
row before it is sent, and its Transaction UID is known for ever: a report is honoured however late it comes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import Select, fn

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.exams import Exam, ExamStudy
from router.catalogue.db.tables.images import Instance, LedgerRow, Study
from router.catalogue.db.tables.queue import Commitment, CommitmentItem
from router.catalogue.exams.evaluation import evaluate
from router.catalogue.images.ledger import Fate, outdone


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncommitted:
    """A stored instance; `key` is the ledger row's. `asked` counts its requests, `unanswered` those not reported on."""

    key: int
    sop_class: str
    sop_instance: str
    asked: int
    unanswered: int


@dataclass(frozen=True, slots=True)
class Settled:
    """New state of a ledger row by a report; one that stays `stored` is asked for again at `ask_at`."""

    key: int
    fate: Fate
    status: int
    ask_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A request that the destination has not reported on, as `explain` shows it."""

    transaction: str
    asked: datetime
    instances: int


class Commitments(Rows):
    """Requests for storage commitment at all destinations."""

    # -- asking

    def next_ask(self, exam: int, destination: str) -> datetime | None:
        """When the first of the exam's stored instances is to be asked for; None when none is stored."""
        first: datetime | None = self._engine.value(_stored(exam, destination, fn.MIN(LedgerRow.ask_at)))
        return first

    def to_ask(self, exam: int, destination: str, now: datetime, limit: int) -> list[Uncommitted]:
        """The exam's stored instances whose time to be asked for has come, in the order in which they came."""
        query = _stored(exam, destination, *_columns()).where(LedgerRow.ask_at <= now).order_by(Instance.id)
        return _uncommitted(self._engine.rows(query.limit(limit)))

    def ask(self, transaction: str, destination: str, keys: Sequence[int], now: datetime) -> None:
        """Enter a request that is about to be sent."""
        with self._engine.write():
            number = self._engine.run(Commitment.insert(uid=transaction, destination=destination, asked=now))
            for some in portions([{"commitment": number, "ledger": key} for key in keys]):
                self._engine.run(CommitmentItem.insert_many(some))

    def accepted(self, transaction: str, asked: datetime, ask_at: datetime) -> None:
        """Note that the destination has taken the request of `asked`: without a report it is asked again at `ask_at`.

        An instance that an earlier report has put off keeps its time.
        """
        items = CommitmentItem.select(CommitmentItem.ledger).join(Commitment).where(Commitment.uid == transaction)
        with self._engine.write():
            mine = (LedgerRow.state == Fate.STORED) & (LedgerRow.ask_at <= asked) & LedgerRow.id.in_(items)
            self._engine.run(LedgerRow.update(ask_at=ask_at).where(mine))

    def withdraw(self, transaction: str) -> None:
        """Remove a request that the destination has refused as a whole: no report will come."""
        mine = Commitment.select(Commitment.id).where(Commitment.uid == transaction)
        with self._engine.write():
            self._engine.run(CommitmentItem.delete().where(CommitmentItem.commitment.in_(mine)))
            self._engine.run(Commitment.delete().where(Commitment.uid == transaction))

    def send_again(self, exam: int, destination: str, status: int, now: datetime) -> None:
        """Send again the instances that the destination last answered `status` for, where their time has come."""
        missing = _stored(exam, destination, LedgerRow.id).where(LedgerRow.ask_at <= now, LedgerRow.status == status)
        self._change(missing, Fate.SELECTED, now)

    def waive(self, exam: int, destination: str, now: datetime) -> None:
        """Count stored instances as sent: their commitment is not asked for."""
        if self._engine.rows(_ANY_STORED(exam, destination)):  # else the database is not locked for nothing
            self._change(_stored(exam, destination, LedgerRow.id), Fate.SENT, now)

    def _change(self, rows: Any, fate: Fate, now: datetime) -> None:
        with self._engine.write():
            self._engine.run(LedgerRow.update(state=fate, at=now, ask_at=None).where(LedgerRow.id.in_(rows)))

    # -- reports

    def asked_under(self, transaction: str) -> list[Uncommitted] | None:
        """The transaction's instances that are not settled, none once it is reported on; None when it is not ours."""
        if not self._engine.has(Commitment.select(Commitment.id).where(Commitment.uid == transaction)):
            return None
        query = (
            LedgerRow.select(*_columns())
            .join(Instance)
            .join(CommitmentItem, on=CommitmentItem.ledger == LedgerRow.id)
            .join(Commitment)
            .where((Commitment.uid == transaction) & Commitment.reported.is_null() & (LedgerRow.state == Fate.STORED))
        )
        return _uncommitted(self._engine.rows(query))

    def settle(
        self, transaction: str, settled: Sequence[Settled], now: datetime, said: Mapping[str, int] | None = None
    ) -> list[int]:  # fmt: skip
        """Write down a report in one transaction; the exams that it concerns, which are evaluated.

        `said` are the reasons by SOP instance UID, 0 for committed; kept of those that counted as sent before.
        """
        alike: dict[tuple[Fate, int, datetime | None], list[int]] = defaultdict(list)
        for one in settled:
            alike[one.fate, one.status, one.ask_at].append(one.key)
        with self._engine.write():
            mine = (Commitment.uid == transaction) & Commitment.reported.is_null()
            self._keep_reasons(mine, said or {})
            self._engine.run(Commitment.update(reported=now).where(mine))
            for (fate, status, ask_at), keys in alike.items():
                changes = {"state": fate, "status": status, "ask_at": ask_at, "at": now}
                for some in portions(keys):
                    # A row that was settled meanwhile, by the report of another request, stays as it is.
                    open_ones = (LedgerRow.state == Fate.STORED) & LedgerRow.id.in_(some)
                    self._engine.run(LedgerRow.update(changes).where(open_ones))
                    if fate != Fate.STORED:
                        self._engine.run(CommitmentItem.delete().where(CommitmentItem.ledger.in_(some)))
            return self._evaluate([one.key for one in settled], now)

    def _keep_reasons(self, mine: Any, said: Mapping[str, int]) -> None:
        query: Any = CommitmentItem.select(CommitmentItem.id, Instance.sop_uid).join(Commitment)
        query = query.join(LedgerRow, on=CommitmentItem.ledger == LedgerRow.id).join(Instance)
        alike: dict[int, list[int]] = defaultdict(list)
        for key, sop in self._engine.rows(query.where(mine & (LedgerRow.state == Fate.SENT))):
            if sop in said:
                alike[said[sop]].append(key)
        for reason, keys in alike.items():
            for some in portions(keys):
                self._engine.run(CommitmentItem.update(reason=reason).where(CommitmentItem.id.in_(some)))

    def _evaluate(self, keys: Sequence[int], now: datetime) -> list[int]:
        query = ExamStudy.select(ExamStudy.exam).distinct().join(Study, on=Study.uid == ExamStudy.study_uid)
        query = query.join(Instance).join(LedgerRow)
        found = {exam for some in portions(keys) for exam in self._engine.column(query.where(LedgerRow.id.in_(some)))}
        for some in portions(sorted(found)):
            evaluate(self._engine, Exam.id.in_(some), now)
        return sorted(found)

    def destination(self, transaction: str) -> str:
        """The destination of a request; "" where the request is not ours."""
        query = Commitment.select(Commitment.destination).where(Commitment.uid == transaction)
        return str(self._engine.value(query) or "")

    def reported(self, transaction: str) -> bool:
        """Whether the destination has reported on it."""
        mine = (Commitment.uid == transaction) & Commitment.reported.is_null(False)
        return self._engine.has(Commitment.select(Commitment.id).where(mine))

    # -- comparison

    def reasons(self, transactions: Sequence[str]) -> dict[int, int]:
        """Reasons that the reports on these requests gave for instances that counted as sent, by ledger row."""
        found = dict[int, int]()
        for some in portions(transactions):
            query = CommitmentItem.select(CommitmentItem.ledger, CommitmentItem.reason).join(Commitment)
            query = query.where(Commitment.uid.in_(some) & CommitmentItem.reason.is_null(False))
            found |= dict(self._engine.rows(query))
        return found

    def forget(self, transactions: Iterable[str]) -> None:
        """Forget what these requests asked for; a report that comes later is answered, and changes nothing."""
        with self._engine.write():
            for some in portions(list(transactions)):
                mine = Commitment.select(Commitment.id).where(Commitment.uid.in_(some))
                self._engine.run(CommitmentItem.delete().where(CommitmentItem.commitment.in_(mine)))

    # -- for people

    def waiting(self) -> int:
        """How many rows of all destinations are stored and not committed."""
        query = LedgerRow.select(fn.COUNT(LedgerRow.id)).where(LedgerRow.state == Fate.STORED)
        return int(self._engine.value(query))

    def requests(self, exam: int, destination: str) -> list[Request]:
        """The requests for instances of the exam that are not reported on, oldest first."""
        columns = (Commitment.uid, Commitment.asked, fn.COUNT(LedgerRow.id))
        query = (
            _stored(exam, destination, *columns)
            .join(CommitmentItem, on=CommitmentItem.ledger == LedgerRow.id)
            .join(Commitment)
            .where(Commitment.reported.is_null())
            .group_by(Commitment.id, Commitment.uid, Commitment.asked)
            .order_by(Commitment.id)
        )
        return [Request(*row) for row in self._engine.rows(query)]


def _columns() -> tuple[Any, ...]:
    """Columns of `Uncommitted`, for the outer query's ledger row."""
    item, request = CommitmentItem.alias(), Commitment.alias()
    asked = item.select(fn.COUNT(item.id)).where(item.ledger == LedgerRow.id)
    unanswered = asked.join(request, on=item.commitment == request.id).where(request.reported.is_null())
    return LedgerRow.id, Instance.sop_class, Instance.sop_uid, asked, unanswered


def _uncommitted(rows: Iterable[Any]) -> list[Uncommitted]:
    """Records of rows of `_columns`."""
    return [
        Uncommitted(key=key, sop_class=sop_class, sop_instance=sop, asked=asked, unanswered=unanswered)
        for key, sop_class, sop, asked, unanswered in rows
    ]


def _stored(exam: int, destination: str, *columns: object) -> Select:
    """Rows that are stored and not committed; an instance counts once, by its latest version that was not left out."""
    query = LedgerRow.select(*columns).join(Instance).join(Study, on=LedgerRow.study == Study.id)
    query = query.join(ExamStudy, on=(ExamStudy.study_uid == Study.uid) & (ExamStudy.exam == exam))
    stored = (LedgerRow.destination == destination) & (LedgerRow.state == Fate.STORED)
    return query.where(stored & (Instance.newest | ~fn.EXISTS(outdone())))


_ANY_STORED = Prepared(lambda exam, destination: _stored(exam, destination, LedgerRow.id).limit(1))
