"""Renaming of a destination: its deliveries and ledger rows go on under another name."""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from router.catalogue.db.engine import Rows
from router.catalogue.db.tables.exams import Document, Exam, ExamStudy
from router.catalogue.db.tables.images import LedgerRow, Study
from router.catalogue.db.tables.queue import Delivery
from router.catalogue.images.ledger import Fate
from router.policy.states import CLOSED, State

_EXAMS_AT_ONCE = 200
_ANSWERED = (Fate.SENT, Fate.STORED, Fate.REFUSED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """How many deliveries were renamed, and how many stay: of their exam the other name has one of its own."""

    deliveries: int
    left: int


class Renaming(Rows):
    """Every step is safe to repeat: one that was cut short is finished by doing it again."""

    def counts(self, destination: str) -> Counter[State]:
        """How many deliveries go there, by state."""
        query = Delivery.select(Delivery.state, fn.COUNT(Delivery.id)).where(Delivery.destination == destination)
        found = self._engine.rows(query.group_by(Delivery.state))
        return Counter({State(state): int(count) for state, count in found})

    def rename(self, old: str, new: str, now: datetime) -> Renamed:
        """Rename the deliveries and ledger rows of `old`, some exams a transaction.

        Exams that are not delivered, or that something came of after their delivery, are evaluated again.
        """
        moved = 0
        for exams in self._portions(old):
            with self._engine.write():
                self._rename_ledger(exams, old, new)
                moved += self._rename_deliveries(exams, old, new, now)
        return Renamed(deliveries=moved, left=sum(self.counts(old).values()))

    def _portions(self, destination: str) -> Iterator[Sequence[int]]:
        """The exams with a delivery there, by number."""
        last = 0
        while True:
            mine = (Delivery.destination == destination) & (Delivery.exam > last)
            query = Delivery.select(Delivery.exam).where(mine).distinct().order_by(Delivery.exam)
            exams = self._engine.column(query.limit(_EXAMS_AT_ONCE))
            if not exams:
                return
            yield exams
            last = exams[-1]

    def _rename_ledger(self, exams: Collection[int], old: str, new: str) -> None:
        """Keep, of two rows, the one that the receiver answered, rather than one that was only decided."""
        other = LedgerRow.alias()
        studies = Study.select(Study.id).join(ExamStudy, on=(ExamStudy.study_uid == Study.uid))
        here = LedgerRow.study.in_(studies.where(ExamStudy.exam.in_(exams)))
        same = other.select(other.id).where(other.instance == LedgerRow.instance)
        answered = same.where((other.destination == old) & other.state.in_(_ANSWERED))
        decided = (LedgerRow.destination == new) & LedgerRow.state.not_in(_ANSWERED)
        self._engine.run(LedgerRow.delete().where(here & decided & fn.EXISTS(answered)))
        free = ~fn.EXISTS(same.where(other.destination == new))
        self._engine.run(LedgerRow.update(destination=new).where(here & (LedgerRow.destination == old) & free))

    def _rename_deliveries(self, exams: Collection[int], old: str, new: str, now: datetime) -> int:
        columns = Delivery.id, Delivery.exam, Delivery.destination, Delivery.channel, Delivery.state, Delivery.changed
        both = (Delivery.exam.in_(exams)) & Delivery.destination.in_([old, new])
        rows: Any = self._engine.run(Delivery.select(*columns, Delivery.delivered_at).where(both))
        taken = {(row.exam_id, row.channel) for row in rows if row.destination == new}
        chosen = [row for row in rows if row.destination == old and (row.exam_id, row.channel) not in taken]
        numbers = [row.id for row in chosen]
        self._engine.run(Delivery.update(destination=new).where(Delivery.id.in_(numbers)))
        if evaluated := self._to_evaluate(chosen):
            again = Exam.update(touched=Exam.touched + 1, check_at=now)
            self._engine.run(again.where(Exam.id.in_(sorted(evaluated))))
        return len(chosen)

    def _to_evaluate(self, rows: Sequence[Any]) -> Collection[int]:
        """Exams with a delivery that is not at its end, or was before something of the exam came."""
        exams = sorted({row.exam_id for row in rows})
        papers = Document.select(Document.exam, fn.MAX(Document.arrived)).where(Document.exam.in_(exams))
        images = ExamStudy.select(ExamStudy.exam, fn.MAX(Study.last_received)).where(ExamStudy.exam.in_(exams))
        images = images.join(Study, on=(Study.uid == ExamStudy.study_uid))
        came: dict[int, datetime] = {}
        for query, exam in ((papers, Document.exam), (images, ExamStudy.exam)):
            for number, at in self._engine.rows(query.group_by(exam)):
                came[number] = max(at, came.get(number, at))
        return {row.exam_id for row in rows if not _is_settled(row, came.get(row.exam_id))}


def _is_settled(row: Any, came: datetime | None) -> bool:
    """Whether the delivery has ended, and nothing of its exam came after that."""
    ended = row.delivered_at if row.state == State.DELIVERED else row.changed
    return row.state in CLOSED and ended is not None and (came is None or came <= ended)
