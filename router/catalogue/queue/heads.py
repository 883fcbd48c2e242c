"""Heads of a place's queue: the earliest due time of each hospital that has something ready there."""

from collections.abc import Sequence
from datetime import datetime

from router.catalogue.db.engine import Engine
from router.catalogue.db.tables.queue import Delivery
from router.model import Channel

# One step of the index (destination, channel, state, hospital, due) for each hospital, however much each has.
_EARLIEST = (
    "SELECT MIN(due) FROM delivery WHERE destination = ? AND channel = ? AND state = 'ready'"
    " AND delivery.hospital = named.hospital AND due {} ?"
)


def heads(
    engine: Engine, destination: str, channel: Channel, hospitals: Sequence[str], now: datetime, *, missed: bool
) -> dict[str, datetime]:  # fmt: skip
    """By hospital, of these; of what is over its due time, or of what can still make it."""
    names = ", ".join(["(?)"] * len(hospitals))
    earliest = _EARLIEST.format("<=" if missed else ">")
    sql = f"WITH named (hospital) AS (VALUES {names}) SELECT hospital, ({earliest}) AS due FROM named"  # noqa: S608 our own text
    values = [*hospitals, destination, channel, Delivery.due.db_value(now)]
    rows = engine.execute(sql.replace("?", engine.database.param), values)
    return {str(hospital): Delivery.due.python_value(due) for hospital, due in rows if due is not None}
