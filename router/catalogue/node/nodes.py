"""The nodes on this database: which of them live, and which has each duty that only one may have at a time.

Every instant here is the database's own, so that nodes whose clocks disagree agree on who is late.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from router.catalogue.db.engine import Engine
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.node import AbsentRow, Duty, NodeRow
from router.catalogue.queue.association_leases import AssociationLeases
from router.clock import SharedClock
from router.errors import DutyLost

_MICROSECOND = timedelta(microseconds=1)


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


class Nodes:
    """Signs of life and duties. A duty is had until `until`, and only by a node that goes on saying so."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        beat = "INSERT INTO node (name, seen) VALUES (?, NOW) ON CONFLICT (name) DO UPDATE SET seen = excluded.seen"
        late = "SELECT name FROM node WHERE seen < NOW - ?"
        hold = (
            "INSERT INTO duty (name, node, until) VALUES (?, ?, NOW + ?) ON CONFLICT (name) DO UPDATE"
            " SET node = excluded.node, until = excluded.until WHERE duty.node = excluded.node OR duty.until < NOW"
            " RETURNING node"
        )
        self._beat = Statement(beat.replace("NOW", engine.now), NodeRow.name)
        self._late = Statement(late.replace("NOW", engine.now), NodeRow.seen)
        self._time = Statement(f"SELECT {engine.now}")
        self._known = Statement("SELECT name FROM node")
        self._duties = Statement("SELECT name, node FROM duty WHERE until >= NOW".replace("NOW", engine.now))
        self._hold = Statement(hold.replace("NOW", engine.now), Duty.name, Duty.node, Duty.until)
        self._keep = Statement("UPDATE duty SET node = node WHERE name = ? AND node = ? RETURNING node",
                               Duty.name, Duty.node)  # fmt: skip
        self._drop = Statement("DELETE FROM duty WHERE node = ?", Duty.node)
        went = (
            "INSERT INTO absent_node (name, how, since, taken) VALUES (?, ?, NOW, ?) ON CONFLICT (name) DO UPDATE"
            " SET how = excluded.how, since = excluded.since, taken = excluded.taken"
        )
        absent = "SELECT name, how, NOW - since, taken FROM absent_node ORDER BY name"
        self._went = Statement(went.replace("NOW", engine.now), AbsentRow.name, AbsentRow.how, AbsentRow.taken)
        self._absent = Statement(absent.replace("NOW", engine.now))
        self._back = Statement("DELETE FROM absent_node WHERE name = ?", AbsentRow.name)
        self._forget = Statement("DELETE FROM node WHERE name = ?", NodeRow.name)
        self._slots = AssociationLeases(engine)

    def set_clock(self, clock: SharedClock) -> None:
        """Set a clock by the server's, where there is a server; SQLite has the machine's own, and is not asked."""
        if self._engine.is_shared:
            asked = clock.monotonic()
            ((now,),) = self._time.run(self._engine)
            clock.set_to(NodeRow.seen.python_value(now), asked, clock.monotonic())

    def beat(self, name: str) -> None:
        """This node lives."""
        with self._engine.write():
            self._beat.run(self._engine, name)
            self._back.run(self._engine, name)

    def hold(self, duty: str, name: str, lease: timedelta) -> bool:
        """Take the duty, or keep it, for so long; False while another node has it."""
        with self._engine.write():
            return bool(self._hold.run(self._engine, duty, name, lease // timedelta(microseconds=1)))

    def fence(self, duty: str, name: str) -> None:
        """Keep the duty until the end of the transaction; DutyLost when another node has it by now."""
        if not self._keep.run(self._engine, duty, name):
            raise DutyLost(f"another node has the duty {duty!r} by now")

    def late(self, lease: timedelta) -> set[str]:
        """Nodes that gave no sign of life for so long."""
        return {row[0] for row in self._late.run(self._engine, lease // timedelta(microseconds=1))}

    def duties(self) -> dict[str, str]:
        """Which node has each duty; one that nobody has is left out."""
        return dict(self._duties.run(self._engine))

    def known(self) -> set[str]:
        """Every node that has not left."""
        return {row[0] for row in self._known.run(self._engine)}

    def leave(self, name: str, how: Absent, taken: str = "") -> None:
        """The node went: whoever asks first has its duties. It is expected back, where there may be several nodes."""
        with self._engine.write():
            self.forget(name)
            if self._engine.is_shared:
                self._went.run(self._engine, name, how, taken)

    def absent(self) -> Sequence[Absence]:
        """Nodes that went and are expected back, by name."""
        return [
            Absence(node=name, how=Absent(how), ago=int(ago) * _MICROSECOND, taken=taken)
            for name, how, ago, taken in self._absent.run(self._engine)
        ]

    def forget(self, name: str) -> None:
        """Know nothing of the node any more: whoever asks first has its duties and slots."""
        with self._engine.write():
            self._slots.free(name)
            self._drop.run(self._engine, name)
            self._forget.run(self._engine, name)
            self._back.run(self._engine, name)
