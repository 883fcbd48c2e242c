"""Counts for `status`: the database sums them up, so that the answer takes no longer as the tables grow."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from router.catalogue.db.engine import Rows
from router.catalogue.db.fields import instant
from router.catalogue.db.statement import Statement, listed
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.node import EventRow
from router.catalogue.db.tables.queue import Delivery
from router.events import Kind
from router.model import Channel
from router.policy.states import PENDING, State

# Since approval, by which the standard counts; the last group is everything older.
AGES = (timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
SOON = timedelta(minutes=30)
"""Half of the report's budget (DB11 5.3.2)."""
_PENDING = listed(PENDING)
# Deliveries by destination, channel and state.
_STATES = Statement("SELECT destination, channel, state, COUNT(*) FROM delivery GROUP BY destination, channel, state")
# The same of a hospital.
_STATES_OF = Statement(
    "SELECT destination, channel, state, COUNT(*) FROM delivery WHERE hospital = ?"
    " GROUP BY destination, channel, state", Delivery.hospital,
)  # fmt: skip
# Approved deliveries by place that are not done with: all, those over their due time, those approved since each age.
# of all hospitals: `_BY_AGE_OF` is of one
_UNDONE = (
    "SELECT d.destination, d.channel, COUNT(*), SUM(CASE WHEN d.due < ? THEN 1 ELSE 0 END)"  # noqa: S608 our own text
    + ", SUM(CASE WHEN e.approved_at > ? THEN 1 ELSE 0 END)" * len(AGES)
    + f" FROM delivery d JOIN exam e ON e.id = d.exam_id WHERE d.state IN {_PENDING}"
    " AND e.approved_at IS NOT NULL AND d.due IS NOT NULL GROUP BY d.destination, d.channel"
)
_BY_AGE = Statement(_UNDONE, *[Delivery.due] * (1 + len(AGES)))
# The same of a hospital.
_BY_AGE_OF = Statement(
    _UNDONE.replace("GROUP BY", "AND e.hospital = ? GROUP BY"), *[Delivery.due] * (1 + len(AGES)), Exam.hospital
)
# Open deliveries by hospital: all, those over their due time, those due soon, held ones, failed ones.
_BY_HOSPITAL = Statement(
    "SELECT hospital, COUNT(*), SUM(CASE WHEN due < ? THEN 1 ELSE 0 END), SUM(CASE WHEN due < ? THEN 1 ELSE 0 END),"  # noqa: S608 our own text
    " SUM(CASE WHEN state = 'held' THEN 1 ELSE 0 END), SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END)"
    f" FROM delivery WHERE state IN {listed((*sorted(PENDING), State.FAILED))} GROUP BY hospital",
    Delivery.due, Delivery.due,
)  # fmt: skip
# The reason of a place's delivery that was put off last.
_TROUBLE = Statement(
    "SELECT error FROM delivery WHERE destination = ? AND channel = ? AND state = 'deferred'"
    " ORDER BY changed DESC, id DESC LIMIT 1", Delivery.destination, Delivery.channel,
)  # fmt: skip
# How many are due before then and not done with.
_COUNT_DUE = Statement(f"SELECT COUNT(*) FROM delivery WHERE state IN {_PENDING} AND due < ?", Delivery.due)  # noqa: S608 our own text
# The first of them.
# of all hospitals: `_PRESSING_OF` is of one
_FIRST_DUE = Statement(
    "SELECT d.id, e.exam_id, d.destination, d.channel, d.state, d.due, d.error, d.waiting_for FROM"  # noqa: S608 our own text
    f" (SELECT * FROM delivery WHERE state IN {_PENDING} AND due < ? ORDER BY due, id LIMIT ?) d"
    " JOIN exam e ON e.id = d.exam_id ORDER BY d.due, d.id", Delivery.due, Delivery.attempts,
)  # fmt: skip
# All of a hospital that are due before then and not done with, in their order.
_PRESSING_OF = Statement(
    "SELECT d.id, e.exam_id, d.destination, d.channel, d.state, d.due, d.error, d.waiting_for FROM delivery d"  # noqa: S608 our own text
    f" JOIN exam e ON e.id = d.exam_id WHERE d.state IN {_PENDING} AND d.due < ? AND e.hospital = ?"
    " ORDER BY d.due, d.id", Delivery.due, Exam.hospital,
)  # fmt: skip
# Nodes, each with the time since its last sign of life.
_NODES = Statement("SELECT name, NOW - seen FROM node ORDER BY name")
# The last event that says how a node is configured.
_CONFIGURED = Statement(
    "SELECT at, kind, text FROM event WHERE kind IN ('started', 'reloaded') AND subject = ? ORDER BY id DESC LIMIT 1",
    EventRow.subject,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Deliveries to a destination by one channel: by state, and those approved and not delivered by age.

    `ages` has a count for less than each of AGES and one for the rest. A backfill's are not in it: they have no due
    time. `late` are over their due time; `trouble` is the reason of the delivery that was put off last.
    """

    destination: str
    channel: Channel
    states: dict[State, int]
    ages: tuple[int, ...]
    late: int
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSoon:
    """A delivery that is over its due time or will soon be."""

    id: int
    exam_id: str
    destination: str
    channel: Channel
    state: State
    due: datetime
    trouble: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HospitalCount:
    """Deliveries of a hospital that are not done with: `late` over their due time, `soon` within half an hour of it.

    `open` has the held ones, but not those that failed.
    """

    hospital: str
    open: int = 0
    late: int = 0
    soon: int = 0
    held: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A node and how long ago it gave a sign of life, by the database's clock."""

    node: str
    ago: timedelta


@dataclass(frozen=True, slots=True)
class Reload:
    """Result of a node's last reload of its configuration."""

    node: str
    at: datetime
    text: str


class Survey(Rows):
    """Sums over the tables; none reads the rows of delivered exams one by one."""

    def places(self, now: datetime, hospital: str | None = None) -> list[Place]:
        """Every destination and channel that has deliveries, by name; of one hospital's exams, or of all."""
        states: dict[tuple[str, str], dict[State, int]] = {}
        rows = _STATES.run(self._engine) if hospital is None else _STATES_OF.run(self._engine, hospital)
        for destination, channel, state, count in rows:
            if state in Delivery.state.known() and channel in Delivery.channel.known():
                states.setdefault((destination, channel), {})[State(state)] = int(count)
        bounds = [now - age for age in AGES]
        of = () if hospital is None else (hospital,)
        counted = (_BY_AGE_OF if of else _BY_AGE).run(self._engine, now, *bounds, *of)
        ages = {(row[0], row[1]): row[2:] for row in counted}
        found = []
        for (destination, channel), mine in sorted(states.items()):
            trouble = _TROUBLE.run(self._engine, destination, channel) if State.DEFERRED in mine else []
            whole, late, *younger = map(int, ages.get((destination, channel), (0,) * (len(AGES) + 2)))
            by_age = tuple(
                b - a for a, b in pairwise([0, *younger, whole])
            )  # each of `younger` has the former ones too
            found.append(Place(
                destination=destination, channel=Channel(channel), states=mine, ages=by_age, late=late,
                trouble=str(trouble[0][0]) if trouble else "",
            ))  # fmt: skip
        return found

    def hospitals(self, now: datetime, registered: Iterable[str] = ()) -> list[HospitalCount]:
        """Every hospital that is registered or has open deliveries, the worst first."""
        found = {name: HospitalCount(hospital=name) for name in registered}
        for name, count, late, soon, held, failed in _BY_HOSPITAL.run(self._engine, now, now + SOON):
            found[name] = HospitalCount(
                hospital=name, open=count - failed, late=late, soon=soon - late, held=held, failed=failed
            )
        return sorted(found.values(), key=lambda one: (-one.late, -one.soon, -one.failed, -one.held, one.hospital))

    def due_soon(self, until: datetime, most: int, hospital: str | None = None) -> tuple[int, list[DueSoon]]:
        """How many, of one hospital's exams or of all, are due before `until` and not delivered; the first of them."""
        if hospital is None:
            count = int(_COUNT_DUE.run(self._engine, until)[0][0])
            rows = _FIRST_DUE.run(self._engine, until, most) if count else []
        else:
            pressing = _PRESSING_OF.run(self._engine, until, hospital)
            count, rows = len(pressing), pressing[:most]
        return count, [
            DueSoon(id=r[0], exam_id=r[1], destination=r[2], channel=Delivery.channel.word(r[3], r[0]),
                    state=Delivery.state.word(r[4], r[0]),
                    due=instant(r[5]), trouble=r[6] or ", ".join(r[7].split()))
            for r in rows
        ]  # fmt: skip

    def nodes(self) -> Sequence[Heartbeat]:
        """Every node that has not left."""
        return [Heartbeat(name, timedelta(microseconds=int(ago))) for name, ago in _NODES.run(self._engine)]

    def reloads(self, nodes: Sequence[str]) -> list[Reload]:
        """The last reload of each of these nodes that has reloaded since its start."""
        found = ((node, *row) for node in nodes for row in _CONFIGURED.run(self._engine, node))
        return [Reload(node, instant(at), text) for node, at, kind, text in found if kind == Kind.RELOADED]


def former(places: Iterable[Place], configured: Collection[str]) -> Mapping[str, int]:
    """Exams delivered to each destination not configured, by the channel of more: their corrections go nowhere."""
    found: dict[str, int] = {}
    for place in places:
        if place.destination not in configured and (number := place.states.get(State.DELIVERED, 0)):
            found[place.destination] = max(number, found.get(place.destination, 0))
    return found
