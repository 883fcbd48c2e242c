"""Slots: the associations that a destination takes at a time, leased to the nodes that have them open.

Every instant here is the database's own, as with duties.
"""

from datetime import timedelta

from router.catalogue.db.engine import Rows
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.queue import SlotRow

_MICROSECOND = timedelta(microseconds=1)
# Takes the first free one of so many slots; no row where all are taken.
_TAKE = Statement(
    "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)"
    " INSERT INTO slot (destination, number, node, until) SELECT ?, n, ?, NOW + ? FROM numbers"
    " WHERE NOT EXISTS (SELECT 1 FROM slot WHERE destination = ? AND number = n AND until >= NOW)"
    " ORDER BY n LIMIT 1 ON CONFLICT (destination, number) DO UPDATE"
    " SET node = excluded.node, until = excluded.until WHERE slot.until < NOW RETURNING number",
    SlotRow.number, SlotRow.destination, SlotRow.node, SlotRow.until, SlotRow.destination,
)  # fmt: skip
# How many slots of a destination other nodes have.
_OTHERS = Statement(
    "SELECT COUNT(*) FROM slot WHERE destination = ? AND node <> ? AND until >= NOW", SlotRow.destination, SlotRow.node
)
# Extends the node's leases that have not run out.
_RENEW = Statement("UPDATE slot SET until = NOW + ? WHERE node = ? AND until >= NOW", SlotRow.until, SlotRow.node)
# Gives one slot back.
_GIVE = Statement(
    "DELETE FROM slot WHERE destination = ? AND number = ? AND node = ?",
    SlotRow.destination, SlotRow.number, SlotRow.node,
)  # fmt: skip
# Gives all of the node's slots back.
_FREE = Statement("DELETE FROM slot WHERE node = ?", SlotRow.node)


class AssociationLeases(Rows):
    """A destination's slots are numbered from 1. One is its holder's until it is given back, or its lease ends."""

    def take(self, destination: str, limit: int, node: str, lease: timedelta) -> int | None:
        """Take one of the first `limit` slots for so long; its number, None when all are taken."""
        with self._engine.write():
            rows = _TAKE.run(self._engine, limit, destination, node, lease // _MICROSECOND, destination)
        return int(rows[0][0]) if rows else None

    def of_others(self, destination: str, node: str) -> int:
        """How many slots other nodes than this one have."""
        return int(_OTHERS.run(self._engine, destination, node)[0][0])

    def renew(self, node: str, lease: timedelta) -> None:
        """Extend the leases of the node's slots, except those that ran out: another node may have them."""
        with self._engine.write():
            _RENEW.run(self._engine, lease // _MICROSECOND, node)

    def give(self, destination: str, number: int, node: str) -> None:
        """Give a slot back, unless another node has it."""
        with self._engine.write():
            _GIVE.run(self._engine, destination, number, node)

    def free(self, node: str) -> None:
        """Give back all that the node has: it is at its start, has left, or is dead."""
        with self._engine.write():
            _FREE.run(self._engine, node)
