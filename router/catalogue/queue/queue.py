"""Deliveries: the queue ordered by due time, claimed under leases, moved only by the table of states."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

from peewee import SQL, Expression, Field, Select, fn

from router.alarms import Alarm
from router.catalogue.db.engine import Engine, RecordedRows, portions
from router.catalogue.db.prepared import Filled, Prepared
from router.catalogue.db.statement import Statement, Update
from router.catalogue.db.tables.exams import Exam, ExamStudy
from router.catalogue.db.tables.node import EventRow, OpenAlarm
from router.catalogue.db.tables.queue import Delivery as Row
from router.catalogue.db.tables.queue import PauseRow
from router.catalogue.exams.evaluation import evaluate_one
from router.catalogue.queue.backfills import take_turn
from router.catalogue.queue.delivery import COLUMNS, record, shown
from router.catalogue.queue.delivery import Delivery as Delivery  # noqa: PLC0414  # what the queue is made of, to others
from router.catalogue.queue.heads import heads
from router.events import Event, EventBus, Kind
from router.model import Channel
from router.policy.pause import ALL, EVERY
from router.policy.retry import UNPROVED
from router.policy.states import PENDING, Needs, State, require_move
from router.policy.turns import Turns

# Why a delivery is given back, where nobody knows what of it was sent.
STOPPED, UNWRITTEN = "lease of a node that stopped", "how it ended could not be written down"
# A person may ask for any number; this is the largest that both engines compare.
_LARGEST = 2**63 - 1
_LAST = datetime.max.replace(tzinfo=UTC)


def _first_statements(where: str, *given: Field) -> tuple[Statement, Statement]:
    """With a due time, then without: the order of the index (state, due) either way."""
    columns = ", ".join(f'"{column.column_name}"' for column in COLUMNS)
    texts = (f"SELECT {columns} FROM delivery WHERE {where} AND due {null} ORDER BY due, id LIMIT ?"  # noqa: S608 our own text
             for null in ("IS NOT NULL", "IS NULL"))  # fmt: skip
    first, then = (Statement(text, *given, Row.attempts) for text in texts)
    return first, then


# The first in a state, everywhere or to one destination, of all hospitals or of one: built once, since it takes long.
_FIRST = {
    (to, of): _first_statements(f"state = ?{' AND destination = ?' * to}{' AND hospital = ?' * of}", Row.state,
                                *[Row.destination] * to, *[Row.hospital] * of)
    for to, of in product((False, True), repeat=2)
}  # fmt: skip
SOLE: Sequence[str] = ("",)
"""The hospital of a node that serves one alone and gives it no name."""
_NO_TURNS = Turns()


# Without null in it, the order begins with the index's own on both engines: rows of one due time alone are sorted.
_URGENCY = (Row.due, Row.critical.desc(), Row.changed, Row.id)


def _by_due(condition: Expression) -> Select:
    return Row.select(*COLUMNS).where(condition).order_by(Row.due.is_null(), Row.due, Row.id).dicts()


_BY_NUMBER = Prepared(lambda number: _by_due(Row.id == number))
_OF_EXAM = Prepared(lambda exam: _by_due(Row.exam == exam))
_UNDER_WAY = Prepared(
    lambda to, by, hospitals: Row.select(fn.COUNT(Row.id)).where(
        (Row.destination == to) & (Row.channel == by) & (Row.state == State.SENDING) & Row.hospital.in_(hospitals)
    )
)
_AS_READ = "id = ? AND state = ? AND lease = ?", Row.id, Row.state, Row.lease
_CHANGE = Update(Row, *_AS_READ)
# The exam may be filed under another name since the delivery was made.
_TO_READY = Update(Row, *_AS_READ, also="hospital = (SELECT e.hospital FROM exam e WHERE e.id = delivery.exam_id)")


class Queue(RecordedRows):
    """Every change of a delivery goes through here and is recorded as an event in the same transaction."""

    def __init__(self, engine: Engine, bus: EventBus) -> None:
        super().__init__(engine, bus)

        def first(condition: Expression, *order: object) -> Select:
            query: Select = engine.unclaimed(Row.select(*COLUMNS).where(condition).order_by(*order).limit(1).dicts())
            return query

        self._late = Prepared(lambda to, by, of, now: first(_claimable(to, by, of) & (Row.due <= now), *_URGENCY))
        self._timely = Prepared(lambda to, by, of, now: first(_claimable(to, by, of) & (Row.due > now), *_URGENCY))
        self._undated = Prepared(lambda to, by, of: first(_claimable(to, by, of) & Row.due.is_null(), Row.id))

    # -- reading

    def get(self, delivery: int) -> Delivery | None:
        """One delivery."""
        return next(map(record, self._engine.run(_BY_NUMBER(delivery))), None) if delivery <= _LARGEST else None

    def of_exam(self, exam: int) -> list[Delivery]:
        """All deliveries of an exam."""
        return [record(row) for row in self._engine.run(_OF_EXAM(exam))]

    def in_state(
        self, states: Collection[State], destination: str | None = None, limit: int | None = None,
        hospital: str | None = None,
    ) -> list[Delivery]:  # fmt: skip
        """Deliveries in these states, by due time; not more than `limit`, those without a due time coming last.

        Those of one hospital's exams, or of all.
        """
        if limit is None:
            condition = Row.state.in_(list(states)) & _of(hospital)
            return self._select(condition & (Row.destination == destination) if destination else condition)
        # One state after the other, each in the order of its index: nothing that is not shown is read.
        found = [one for state in states for one in self._first_of(state, destination, hospital, limit)]
        return sorted(found, key=_order)[:limit]

    def these(self, numbers: Iterable[int]) -> list[Delivery]:
        """Those of these numbers, by due time."""
        return sorted((one for some in portions(list(numbers)) for one in self._select(Row.id.in_(some))), key=_order)

    def of_exams(self, exams: Iterable[int]) -> list[Delivery]:
        """All deliveries of these exams."""
        return [one for some in portions(list(exams)) for one in self._select(Row.exam.in_(some))]

    def with_due(self) -> list[Delivery]:
        """Open deliveries with a due time, in its order."""
        return self._select(Row.state.in_(list(PENDING)) & Row.due.is_null(False))

    def due_between(self, start: datetime, end: datetime, hospital: str | None = None) -> list[Delivery]:
        """Deliveries, of one hospital's exams or of all, that were due then, whatever became of them, by due time."""
        return self._select(Row.state.in_(list(State)) & (Row.due >= start) & (Row.due < end) & _of(hospital))

    def expect(self, expected: Mapping[int, datetime | None]) -> None:
        """Note when these will have been delivered, as it looks now."""
        for portion in portions(list(expected)):
            with self._engine.write():
                for number in portion:
                    self._engine.run(Row.update(expected=expected[number]).where(Row.id == number))

    def _first_of(self, state: State, destination: str | None, hospital: str | None, limit: int) -> list[Delivery]:
        found: list[Delivery] = []
        given = [*([destination] if destination else []), *([] if hospital is None else [hospital])]
        for statement in _FIRST[bool(destination), hospital is not None]:
            if len(found) < limit:
                rows = statement.run(self._engine, state, *given, limit - len(found))
                read = [zip(COLUMNS, row, strict=True) for row in rows]
                found += [shown({column.name: column.python_value(value) for column, value in row}) for row in read]
        return found

    def _select(self, condition: Expression, limit: int | None = None) -> list[Delivery]:
        return [shown(row) for row in self._engine.run(_by_due(condition).limit(limit))]

    # -- making and moving

    def make(self, exam: int, places: Iterable[tuple[str, Channel]], now: datetime) -> None:
        """Make the deliveries of an exam that are missing, `waiting`."""
        hospital = Exam.select(Exam.hospital).where(Exam.id == exam)
        rows = [
            {"exam": exam, "hospital": hospital, "destination": name, "channel": channel, "state": State.WAITING,
             "waiting_for": Needs.APPROVAL, "created": now, "changed": now}
            for name, channel in places
        ]  # fmt: skip
        if rows:
            with self._engine.write():
                self._engine.run(Row.insert_many(rows).on_conflict_ignore())

    def rename_hospital(self, old: str, new: str) -> None:
        """Note that the exams of `old`, which are renamed in the same transaction, are those of `new`."""
        with self._engine.write():
            self._engine.run(Row.update(hospital=new).where(Row.hospital == old))

    def move(
        self, delivery: Delivery, to: State, now: datetime, why: str, *, who: str = "node",
        changes: Mapping[str, object] | None = None,
    ) -> bool:  # fmt: skip
        """Move it; False when it has moved meanwhile, ForbiddenMove where no such move is. `changes`: more columns.

        The exam of a delivery that was being sent is to be evaluated.
        """
        require_move(delivery.state, to)
        columns = {"state": to, "changed": now} | ({"delivered_at": now} if to == State.DELIVERED else {})
        text = f"{delivery.state} -> {to}: {why}"
        place = {"destination": delivery.destination, "channel": delivery.channel, "to": to}
        place |= {"hospital": delivery.hospital} if delivery.hospital else {}
        event = Event(now, Kind.MOVED, text, who=who, exam=delivery.exam, delivery=delivery.id, fields=place)
        change = _TO_READY if to == State.READY else _CHANGE
        with self._engine.write():
            if not change.run(self._engine, {**columns, **(changes or {})}, *_as_read(delivery)):
                return False
            self._bus.record(event)
            if delivery.state == State.SENDING:  # what came while it was being sent has changed nothing of it yet
                evaluate_one(self._engine, delivery.exam, now)
        return True

    def update_by(self, who: str, delivery: Delivery, now: datetime, text: str, **changes: object) -> bool:
        """Like `update`, by a person and with an event; False when the delivery has moved meanwhile."""
        with self._engine.write():
            if not _CHANGE.run(self._engine, changes, *_as_read(delivery)):
                return False
            self._bus.record(Event(now, Kind.DECIDED, text, who=who, exam=delivery.exam, delivery=delivery.id))
        return True

    def update(self, delivery: Delivery, **changes: object) -> None:
        """Change columns that are no move: what it waits for, its due time, its error."""
        with self._engine.write():
            _CHANGE.run(self._engine, changes, *_as_read(delivery))

    # -- claiming

    def claim(
        self, destination: str, channel: Channel, owner: str, now: datetime, lease_for: timedelta,
        at_most: int | None = None, *, missed_first: bool = False, undated: timedelta | None = timedelta(0),
        hospitals: Sequence[str] = SOLE, turns: Turns = _NO_TURNS,
    ) -> Delivery | None:  # fmt: skip
        """Take the ready delivery of these hospitals that is due first; None when there is none, `at_most` of theirs
        are under way or sending there is paused: once a pause is written, no node claims anything that it concerns.

        Those over their due time come after all that can still make it, or before by `missed_first`; of several due at
        one time critical values, then the longest waiting; a backfill's, not due, last: one in `undated`, None: none.
        Of several hospitals `turns` says whose comes first.
        """
        place = destination, channel
        with self._engine.write():
            if at_most is not None and self.under_way(*place, hospitals) >= at_most:
                return None
            delivery = self._due_first(*place, hospitals, turns, now, missed=missed_first)
            delivery = delivery or self._due_first(*place, hospitals, turns, now, missed=not missed_first)
            if delivery is None and undated is not None:
                order = turns.order(dict.fromkeys(hospitals, _LAST))
                delivery = self._first(self._undated(*place, one) for one in order)
                if undated and delivery and not take_turn(self._engine, destination, channel, now, undated):
                    return None
            if delivery is None:
                return None
            changes = {"attempts": delivery.attempts + 1, "lease": delivery.lease + 1, "lease_owner": owner,
                       "lease_until": self._in(lease_for)}  # fmt: skip
            self.move(delivery, State.SENDING, now, "claimed", changes=changes)
            return self.get(delivery.id)

    def _due_first(
        self, destination: str, channel: Channel, hospitals: Sequence[str], turns: Turns, now: datetime, *, missed: bool
    ) -> Delivery | None:
        """The first that is over its due time, or that can still make it; locked where the engine locks rows."""
        order, query = hospitals, self._late if missed else self._timely
        if len(hospitals) > 1:
            order = turns.order(heads(self._engine, destination, channel, hospitals, now, missed=missed))
        return self._first(query(destination, channel, one, now) for one in order)

    def under_way(self, destination: str, channel: Channel, hospitals: Sequence[str] = SOLE) -> int:
        """How many of these hospitals' every node together is sending there."""
        return int(self._engine.value(_UNDER_WAY(destination, channel, list(hospitals))))

    def senders(self) -> dict[str, int]:
        """The number of nodes that send to each destination now; destinations without one are left out."""
        live = (Row.state == State.SENDING) & (Row.lease_until >= self._in(timedelta(0)))
        count = fn.COUNT(Row.lease_owner.distinct())
        rows = self._engine.rows(Row.select(Row.destination, count).where(live).group_by(Row.destination))
        return {destination: int(number) for destination, number in rows}

    def as_urgent(self, delivery: Delivery, now: datetime, hospitals: Sequence[str] = SOLE) -> bool:
        """Whether another delivery of these hospitals comes first: it can still make its due time, and is due no later
        or another hospital's. Before one that is late or has no due time, any that can (or that has one) comes."""
        waits = _ready(delivery.destination, delivery.channel) & Row.hospital.in_(list(hospitals))
        waits &= Row.due.is_null(False) if delivery.due is None else Row.due > now
        if delivery.due is not None and delivery.due > now:
            waits &= (Row.due <= delivery.due) | (Row.hospital != delivery.hospital)
        return self._engine.has(Row.select(Row.id).where(waits))

    def _first(self, queries: Iterable[Filled]) -> Delivery | None:
        return next((record(row) for query in queries for row in self._engine.run(query)), None)

    def promote(self, now: datetime) -> int:
        """Make ready the deliveries that were deferred until now; return how many."""
        due = self._these((Row.state == State.DEFERRED) & (Row.next_try <= now))
        return self._make_ready(due, now, "time of the next try", {"next_try": None})

    def put_off_no_longer(self, now: datetime) -> None:
        """Let everything that is deferred be tried; what an unproved answer refused within its pause from now."""
        refused = OpenAlarm.select(OpenAlarm.delivery).where(OpenAlarm.alarm == Alarm.UNPROVED)
        for those, until in ((Row.id.not_in(refused), now), (Row.id.in_(refused), now + UNPROVED)):
            later = (Row.state == State.DEFERRED) & (Row.next_try > until)
            with self._engine.write():
                self._engine.run(Row.update(next_try=until).where(later & those))

    def renew(self, owner: str, deliveries: Collection[int], lease_for: timedelta) -> None:
        """Extend the leases of these deliveries, which the owner has in flight."""
        if deliveries:
            where = (Row.state == State.SENDING) & (Row.lease_owner == owner) & Row.id.in_(list(deliveries))
            with self._engine.write():
                self._engine.run(Row.update(lease_until=self._in(lease_for)).where(where))

    def _in(self, time: timedelta) -> SQL:
        """An instant by the database's clock, so that nodes whose clocks disagree agree on leases."""
        return SQL(f"({self._engine.now} + {time // timedelta(microseconds=1)})")

    def holds(self, delivery: Delivery) -> bool:
        """Whether the claim that gave us `delivery` still stands."""
        row = self.get(delivery.id)
        return row is not None and row.state == State.SENDING and row.lease == delivery.lease

    def take_back(self, owner: str | None, now: datetime) -> int:
        """Make ready again the deliveries whose lease ran out, and at start all of the `owner`'s."""
        lease = {"lease": SQL("lease + 1"), "lease_owner": "", "lease_until": None}
        return self._make_ready(self._lost(owner), now, STOPPED, lease)

    def run_out(self) -> bool:
        """Whether a lease has run out."""
        return bool(self._lost(None))

    def _lost(self, owner: str | None) -> list[Delivery]:
        stale = Row.lease_until < self._in(timedelta(0))
        stale = stale if owner is None else stale | (Row.lease_owner == owner)
        return self._these((Row.state == State.SENDING) & stale)

    def _these(self, condition: Expression) -> list[Delivery]:
        return [record(row) for row in self._engine.run(_by_due(condition))]

    def interrupted(self, delivery: Delivery) -> datetime | None:
        """When the delivery was last given back, or taken from its sender, without knowing what was sent; None if it
        never was: whoever holds or cancels it does not wait for the sender, which may not come to its end."""
        lost = EventRow.text.in_([f"{State.SENDING} -> {State.READY}: {why}" for why in (STOPPED, UNWRITTEN)])
        for taken in (State.HELD, State.CANCELLED):
            lost |= EventRow.text.startswith(f"{State.SENDING} -> {taken}: ")
        mine = (EventRow.exam == delivery.exam) & (EventRow.delivery == delivery.id) & lost
        query = EventRow.select(EventRow.at).where(mine).order_by(EventRow.at.desc()).limit(1)
        at: datetime | None = self._engine.value(query)
        return at

    def _make_ready(self, deliveries: list[Delivery], now: datetime, why: str, changes: Mapping[str, object]) -> int:
        """Many at once, after an outage for instance, so that not each of them waits for the disk."""
        moved = 0
        for portion in portions(deliveries):
            with self._engine.write():
                # By exam, as everybody locks them.
                ordered = sorted(portion, key=lambda one: one.exam)
                moved += sum(self.move(d, State.READY, now, why, changes=changes) for d in ordered)
        return moved

    # -- for people

    def find(self, text: str, hospital: str | None = None) -> list[Delivery]:
        """Deliveries of the exams whose ExamId, accession number or study UID is `text`, or contains it.

        Those of one hospital's exams, or of all.
        """
        linked = ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid.contains(text))
        named = Exam.exam_id.contains(text) | Exam.accession_number.contains(text) | Exam.id.in_(linked)
        return self._select(Row.exam.in_(Exam.select(Exam.id).where(named)) & _of(hospital))


def _of(hospital: str | None) -> Any:
    """The condition that a row is of an exam of the hospital; None: of any."""
    return Row.id.is_null(False) if hospital is None else Row.hospital == hospital


def _as_read(delivery: Delivery) -> tuple[object, ...]:
    return delivery.id, delivery.state, delivery.lease  # as long as nobody has moved it since


def _ready(destination: str, channel: Channel) -> Expression:
    return (Row.destination == destination) & (Row.channel == channel) & (Row.state == State.READY)


def _claimable(destination: str, channel: Channel, hospital: str) -> Any:
    """Ready, and not paused there, which both engines ask once a statement: no column is of the outer query."""
    standing = PauseRow.until.is_null() & PauseRow.destination.in_([EVERY, destination])
    standing &= PauseRow.hospital.in_([ALL, hospital])
    mine = _ready(destination, channel) & (Row.hospital == hospital)
    return mine & ~fn.EXISTS(PauseRow.select(PauseRow.since).where(standing))


def _order(delivery: Delivery) -> tuple[datetime, int]:
    """By due time; deliveries without one come last."""
    return delivery.due or _LAST, delivery.id
