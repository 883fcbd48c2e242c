"""The history that `explain` prints: a subscriber that keeps events as rows."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from router.alarms import Alarm
from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.statement import Insert
from router.catalogue.db.tables.node import EventRow
from router.events import Event, Kind

# Instances come by the hundred thousand a day, and their story is in the ledger; what was refused belongs to no exam.
_NOT_KEPT = frozenset({Kind.RECEIVED, Kind.DUPLICATE, Kind.SELECTED, Kind.SENT, Kind.REFUSED})

_INSERT = Insert(EventRow)


class History(Rows):
    """Event rows. Inside an `Engine.write()` the row is part of that transaction."""

    def keep(self, event: Event) -> None:
        """The subscriber."""
        if event.kind in _NOT_KEPT:
            return
        row = {"at": event.at, "kind": event.kind, "exam": event.exam, "delivery": event.delivery,
               "study_uid": event.study_uid, "text": event.text, "who": event.who,
               "alarm": event.alarm or "", "subject": event.subject}  # fmt: skip
        with self._engine.write():
            _INSERT.run(self._engine, **row)

    def of(self, exams: list[int], studies: list[str]) -> list[tuple[datetime, Event]]:
        """Events of these exams and studies, in order."""
        query = EventRow.select().where(EventRow.exam.in_(exams) | EventRow.study_uid.in_(studies))
        rows: Any = self._engine.run(query.order_by(EventRow.at, EventRow.id))
        return [
            (r.at, Event(r.at, Kind(r.kind), r.text, who=r.who, exam=r.exam, delivery=r.delivery, study_uid=r.study_uid,
                         alarm=Alarm(r.alarm) if r.alarm else None, subject=r.subject))
            for r in rows
        ]  # fmt: skip

    def decided(self, exams: Iterable[int]) -> dict[int, Event]:
        """The last decision of a person about each of these exams."""
        found: dict[int, Event] = {}
        for some in portions(list(dict.fromkeys(exams))):
            query = EventRow.select().where(EventRow.exam.in_(some) & (EventRow.kind == Kind.DECIDED))
            rows: Any = self._engine.run(query.order_by(EventRow.at, EventRow.id))
            found |= {row.exam: Event(row.at, Kind.DECIDED, row.text, who=row.who, exam=row.exam) for row in rows}
        return found
