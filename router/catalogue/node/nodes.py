"""Nodes of this database: which of them live, and which has each duty that only one may have at a time.

Every instant here is the database's own, so that nodes whose clocks disagree agree on who is late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from router.catalogue.db.engine import Engine, Rows
from router.catalogue.db.fields import instant
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.node import AbsentRow, Duty, NodeRow
from router.catalogue.queue.association_leases import AssociationLeases
from router.clock import SharedClock
from router.errors import DutyLost

_MICROSECOND = timedelta(microseconds=1)
# A node gives a sign of life.
_BEAT = Statement(
    "INSERT INTO node (name, seen) VALUES (?, NOW) ON CONFLICT (name) DO UPDATE SET seen = excluded.seen", NodeRow.name
)
# Nodes without a sign of life for so long.
_LATE = Statement("SELECT name FROM node WHERE seen < NOW - ?", NodeRow.seen)
# The database's clock.
_TIME = Statement("SELECT NOW")
# Nodes that have not left.
_KNOWN = Statement("SELECT name FROM node")
# Duties that a node has, and which.
_DUTIES = Statement("SELECT name, node FROM duty WHERE until >= NOW")
# A node takes or keeps a duty; no row while another node has it.
_HOLD = Statement(
    "INSERT INTO duty (name, node, until) VALUES (?, ?, NOW + ?) ON CONFLICT (name) DO UPDATE"
    " SET node = excluded.node, until = excluded.until WHERE duty.node = excluded.node OR duty.until < NOW"
    " RETURNING node", Duty.name, Duty.node, Duty.until,
)  # fmt: skip
# Locks the node's duty until the end of the transaction; no row when another node has it.
_FENCE = Statement("UPDATE duty SET node = node WHERE name = ? AND node = ? RETURNING node", Duty.name, Duty.node)
# A node's duties are free.
_DROP = Statement("DELETE FROM duty WHERE node = ?", Duty.node)
# A node went and is expected back.
_WENT = Statement(
    "INSERT INTO absent_node (name, how, since, taken) VALUES (?, ?, NOW, ?) ON CONFLICT (name) DO UPDATE"
    " SET how = excluded.how, since = excluded.since, taken = excluded.taken",
    AbsentRow.name, AbsentRow.how, AbsentRow.taken,
)  # fmt: skip
# Nodes that are expected back, each with the time since it went.
_ABSENT = Statement("SELECT name, how, NOW - since, taken FROM absent_node ORDER BY name")
# A node is back, or is not expected back.
_BACK = Statement("DELETE FROM absent_node WHERE name = ?", AbsentRow.name)
# A node has left.
_FORGET = Statement("DELETE FROM node WHERE name = ?", NodeRow.name)


class Absent(StrEnum):
    """How a node that is expected back went."""

    STOPPED = "stopped"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A node that went, how long ago by the database's clock, and its work that others took over, in words."""

    node: str
    how: Absent
    ago: timedelta
    taken: str


class Nodes(Rows):
    """Signs of life and duties. A node has a duty until `until`, unless it takes it again before."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._slots = AssociationLeases(engine)

    def set_clock(self, clock: SharedClock) -> None:
        """Set a clock by the server's, where there is a server; SQLite has the machine's own, and is not asked."""
        if self._engine.is_shared:
            asked = clock.monotonic()
            ((now,),) = _TIME.run(self._engine)
            clock.set_to(instant(now), asked, clock.monotonic())

    def beat(self, name: str) -> None:
        """Give a sign of life of this node."""
        with self._engine.write():
            _BEAT.run(self._engine, name)
            _BACK.run(self._engine, name)

    def hold(self, duty: str, name: str, lease: timedelta) -> bool:
        """Take the duty, or keep it, for so long; False while another node has it."""
        with self._engine.write():
            return bool(_HOLD.run(self._engine, duty, name, lease // _MICROSECOND))

    def fence(self, duty: str, name: str) -> None:
        """Keep the duty until the end of the transaction; DutyLost when another node has it."""
        if not _FENCE.run(self._engine, duty, name):
            raise DutyLost(f"another node has the duty {duty!r} by now")

    def late(self, lease: timedelta) -> set[str]:
        """Nodes without a sign of life for as long as the lease."""
        return {row[0] for row in _LATE.run(self._engine, lease // _MICROSECOND)}

    def duties(self) -> dict[str, str]:
        """The node that has each duty; duties that no node has are left out."""
        return dict(_DUTIES.run(self._engine))

    def known(self) -> set[str]:
        """Every node that has not left."""
        return {row[0] for row in _KNOWN.run(self._engine)}

    def leave(self, name: str, how: Absent, taken: str = "") -> None:
        """Note that the node went, which frees its duties. It is expected back where there may be several nodes."""
        with self._engine.write():
            self.forget(name)
            if self._engine.is_shared:
                _WENT.run(self._engine, name, how, taken)

    def absent(self) -> Sequence[Absence]:
        """Nodes that went and are expected back, by name."""
        return [
            Absence(node=name, how=Absent(how), ago=int(ago) * _MICROSECOND, taken=taken)
            for name, how, ago, taken in _ABSENT.run(self._engine)
        ]

    def forget(self, name: str) -> None:
        """Remove the node, which frees its duties and slots."""
        with self._engine.write():
            self._slots.free(name)
            _DROP.run(self._engine, name)
            _FORGET.run(self._engine, name)
            _BACK.run(self._engine, name)
