"""Renaming of a destination: its deliveries and ledger rows go on under another name."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from peewee import fn

from router.catalogue.db.engine import Rows
from router.catalogue.db.tables.exams import Document, Exam, ExamStudy
from router.catalogue.db.tables.images import LedgerRow, Study
from router.catalogue.db.tables.queue import Delivery
from router.catalogue.exams.evaluation import evaluate
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
        rows = self._engine.rows(query.group_by(Delivery.state))
        return Counter({State(state): int(count) for state, count in rows if state in Delivery.state.known()})

    def rename(self, old: str, new: str, now: datetime) -> Renamed:
        """Rename the deliveries and ledger rows of `old`, some exams a transaction.

        Exams that are not delivered, or that something came of after their delivery, are evaluated again.
        """
        mine = Delivery.select(Delivery.exam).where(Delivery.destination == old).distinct().order_by(Delivery.exam)
        moved = last = 0
        while exams := self._engine.column(mine.where(Delivery.exam > last).limit(_EXAMS_AT_ONCE)):
            last = exams[-1]
            with self._engine.write():
                self._rename_ledger(exams, old, new)
                moved += self._rename_deliveries(exams, old, new, now)
        return Renamed(deliveries=moved, left=sum(self.counts(old).values()))

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
        self._engine.run(Delivery.update(destination=new).where(Delivery.id.in_([row.id for row in chosen])))
        evaluate(self._engine, Exam.id.in_(self._to_evaluate(chosen)), now)
        return len(chosen)

    def _to_evaluate(self, rows: Sequence[Any]) -> list[int]:
        """Exams with a delivery that is not at its end, or was before something of the exam came."""
        exams = sorted({row.exam_id for row in rows})
        papers = Document.select(Document.exam, fn.MAX(Document.arrived)).where(Document.exam.in_(exams))
        images = ExamStudy.select(ExamStudy.exam, fn.MAX(Study.last_received)).where(ExamStudy.exam.in_(exams))
        images = images.join(Study, on=(Study.uid == ExamStudy.study_uid))
        came: dict[int, datetime] = {}
        for query, exam in ((papers, Document.exam), (images, ExamStudy.exam)):
            for number, at in self._engine.rows(query.group_by(exam)):
                came[number] = max(at, came.get(number, at))
        found = set()
        for row in rows:
            ended = row.delivered_at if row.state == State.DELIVERED else row.changed
            if row.state not in CLOSED or ended is None or came.get(row.exam_id, ended) > ended:
                found.add(row.exam_id)
        return sorted(found)
