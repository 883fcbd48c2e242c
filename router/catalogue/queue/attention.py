"""Deliveries that are not done with, as they are judged, and the exams whose approval cannot be read."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from peewee import Expression

from router.catalogue.db.engine import Rows
from router.catalogue.db.fields import instant
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.queue import Delivery, UnreadRow
from router.clock import require_aware
from router.matching.exam.approval import Part, UnreadApproval
from router.model import Channel
from router.policy.attention import Stuck
from router.policy.states import PENDING, Needs

_NEEDS = frozenset(Needs)
_ERROR, _FAILURE = 60, 1000  # characters of a reason that is judged, and of one that is shown
# of all hospitals: each is shown with its own
_COLUMNS = (
    f"SELECT d.id, d.exam_id, d.destination, d.channel, d.state, d.changed, d.waiting_for, d.held_by,"  # noqa: S608 our own text
    f" substr(d.error, 1, CASE d.state WHEN 'failed' THEN {_FAILURE} ELSE {_ERROR} END),"
    " d.due, d.next_try, d.lease_until, e.approved_at, e.check_at"
    " FROM delivery d JOIN exam e ON e.id = d.exam_id WHERE "
)
# Whether the exam is known to have an approval that cannot be read.
_KEPT = Statement("SELECT 1 FROM unread_approval WHERE exam_id = ?", Exam.id)
# Deliveries that may wait for a person, wherever they go. An approved one that waits has a due time, which the index
# (state, due) knows.
_STILL = tuple(
    Statement(f"{_COLUMNS}{where}")
    for where in (
        "d.state IN ('held', 'failed')",
        "d.state = 'waiting' AND d.due IS NOT NULL",
        "d.state = 'deferred' AND d.next_try IS NULL",
        "d.state = 'sending' AND d.lease_until IS NULL",
    )
)
# Approved deliveries to a place that are not done with.
_OF_PLACE = Statement(
    f"{_COLUMNS}d.destination = ? AND d.channel = ? AND e.approved_at IS NOT NULL"
    " AND d.state IN ('waiting', 'ready', 'sending', 'deferred')", Delivery.destination, Delivery.channel,
)  # fmt: skip
# The next destination by name that there are deliveries to.
_NEXT = Statement("SELECT MIN(destination) FROM delivery WHERE destination > ?", Delivery.destination)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """An exam whose approval cannot be read. `source` is "HL7" or "branch 01"; `deliveries` are its, by number."""

    exam: int
    source: str
    approval: UnreadApproval
    since: datetime
    deliveries: tuple[int, ...] = ()


class OpenDeliveries(Rows):
    """Deliveries that are not done with. Of the exams that wait for their approval, which are many, nothing is read."""

    def deliveries(self, configured: Collection[tuple[str, Channel]]) -> list[Stuck]:
        """Those that may wait for a person: all but what waits for its approval or goes to one of these places."""
        rows = [row for statement in _STILL for row in statement.run(self._engine)]
        place = ""
        while (place := _NEXT.run(self._engine, place)[0][0]) is not None:  # each is found by its index alone
            for channel in Channel:
                if (place, channel) not in configured:
                    rows += _OF_PLACE.run(self._engine, place, channel)
        return list({row[0]: _stuck(row) for row in rows}.values())

    # -- approvals that cannot be read

    def note(self, exam: int, found: UnreadApproval | None, source: str, now: datetime) -> None:
        """Keep that the exam's approval cannot be read, since `now` where it is news; or forget it."""
        if found is None and not _KEPT.run(self._engine, exam):
            return
        mine = UnreadRow.exam == exam
        with self._engine.write():
            kept = next(iter(self._unread(mine)), None)
            if kept is not None and (kept.approval, kept.source) == (found, source):
                return
            self._engine.run(UnreadRow.delete().where(mine))
            if found is not None:
                values = {"exam": exam, "source": source, "part": found.part, "word": found.word}
                self._engine.run(UnreadRow.insert({**values, "since": require_aware(now)}))

    def unread(self, exams: Collection[int] | None = None) -> list[Unread]:
        """The exams whose approval cannot be read, or those of these, the oldest first; with their open deliveries."""
        return self._unread(True if exams is None else UnreadRow.exam.in_(sorted(exams)))

    def _unread(self, condition: Expression | bool) -> list[Unread]:
        mine = (Delivery.exam == UnreadRow.exam) & Delivery.state.in_(sorted(PENDING))
        columns = (UnreadRow.exam, UnreadRow.source, UnreadRow.part, UnreadRow.word, UnreadRow.since, Delivery.id)
        query = UnreadRow.select(*columns).join(Delivery, "LEFT JOIN", on=mine).where(condition)
        rows = self._engine.rows(query.order_by(UnreadRow.since, UnreadRow.exam, Delivery.id))
        return [
            Unread(exam=exam, source=source, approval=UnreadApproval(part=Part(part), word=word), since=since,
                   deliveries=tuple(row[-1] for row in mine if row[-1] is not None))
            for (exam, source, part, word, since), mine in groupby(rows, key=lambda row: row[:-1])
        ]  # fmt: skip


def _stuck(row: tuple[Any, ...]) -> Stuck:
    number, exam, destination, channel, state, changed, needs, held_by, error, *instants = row
    due, next_try, lease_until, approved_at, check_at = map(Delivery.due.python_value, instants)
    return Stuck(
        id=number, exam=exam, destination=destination, channel=Delivery.channel.word(channel, number),
        state=Delivery.state.word(state, number), changed=instant(changed),
        needs=tuple(Needs(one) for one in needs.split() if one in _NEEDS), held_by=held_by, error=error, due=due,
        next_try=next_try, lease_until=lease_until, approved_at=approved_at, check_at=check_at,
    )  # fmt: skip
