"""Signed heads of the nodes' audit trails: kept apart from the files that they vouch for."""

from collections.abc import Sequence
from typing import Any

from peewee import fn

from router.catalogue.db.engine import Rows
from router.catalogue.db.tables.node import HeadRow
from router.model import Head

_COLUMNS = (
    HeadRow.node, HeadRow.n, HeadRow.seal, HeadRow.at, HeadRow.chain, HeadRow.key, HeadRow.signature, HeadRow.accepted,
)  # fmt: skip


class AuditHeads(Rows):
    """The heads of every node, in the order in which they were signed."""

    def add(self, head: Head) -> None:
        """Keep a head; it is the node's newest."""
        with self._engine.write():
            highest = HeadRow.select(fn.MAX(HeadRow.number)).where(HeadRow.node == head.node)
            last = self._engine.value(highest)
            values: dict[str, Any] = {column.name: getattr(head, column.name) for column in _COLUMNS}
            self._engine.run(HeadRow.insert(number=(last or 0) + 1, **values))

    def newest(self, node: str) -> Head | None:
        """The node's last head; None before it signed any."""
        query = HeadRow.select(*_COLUMNS).where(HeadRow.node == node).order_by(HeadRow.number.desc()).limit(1)
        return next(iter(self._read(query)), None)

    def of(self, node: str) -> Sequence[Head]:
        """Every head of the node, the oldest first."""
        return self._read(HeadRow.select(*_COLUMNS).where(HeadRow.node == node).order_by(HeadRow.number))

    def nodes(self) -> Sequence[str]:
        """The nodes that have signed any."""
        query = HeadRow.select(HeadRow.node).distinct().order_by(HeadRow.node)
        return self._engine.column(query)

    def prune(self, node: str, before: str) -> None:
        """Forget the node's heads of before this time (ISO 8601, UTC), but never the newest."""
        mine = HeadRow.node == node
        newest = HeadRow.select(fn.MAX(HeadRow.number)).where(mine)
        with self._engine.write():
            self._engine.run(HeadRow.delete().where(mine & (HeadRow.at < before) & (HeadRow.number < newest)))

    def _read(self, query: Any) -> list[Head]:
        return [Head(**row) for row in self._engine.run(query.dicts())]
