"""Statements about ledger rows that run for each batch of instances."""

from collections.abc import Sequence
from typing import Any

from router.catalogue.db.engine import Engine
from router.catalogue.db.statement import Among, InsertMany
from router.catalogue.db.tables.images import Instance, LedgerRow

# Number, study and version of instances.
ABOUT = Among("SELECT id, study_id, version FROM instance WHERE id IN (?)", Instance.id)
NEW_ROWS = InsertMany(LedgerRow, known_stay=True)
_ANSWER: tuple[Any, ...] = (
    LedgerRow.state, LedgerRow.status, LedgerRow.association, LedgerRow.reason, LedgerRow.ask_at, LedgerRow.at,
)  # fmt: skip
_ANSWERED = Among(
    "UPDATE ledger SET state = ?, status = ?, association = ?, reason = ?, ask_at = ?, at = ? WHERE id IN (?)",
    LedgerRow.id,
)


def answer(engine: Engine, keys: Sequence[int], *values: object) -> None:
    """Give these rows state, status, association, reason, time to ask for commitment, and time."""
    _ANSWERED.run(engine, keys, *(field.db_value(value) for field, value in zip(_ANSWER, values, strict=True)))
