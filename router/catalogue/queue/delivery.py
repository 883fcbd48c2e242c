"""A delivery as a row of its table has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from router.catalogue.db.tables.queue import Delivery as Row
from router.errors import UnknownWord
from router.model import Channel
from router.policy.states import HeldBy, Needs, State


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One exam to one destination by one channel.

    `wanted` names what is to be delivered now (a digest of its sources), `delivered` what the destination has confirmed
    last, and `delivered_at` when. `held_by`: "person", or a cause that the flow clears by itself. `lease` is the number
    of the claim: a worker whose number is no longer the row's has lost it. `hospital` is the exam's. `critical` is 1
    where its report says a critical value, else 0.
    """

    id: int
    exam: int
    destination: str
    channel: Channel
    state: State
    waiting_for: tuple[Needs, ...]
    legal_due: datetime | None
    due: datetime | None
    next_try: datetime | None
    attempts: int
    error: str
    held_by: str
    lease: int
    lease_owner: str
    wanted: str
    delivered: str
    changed: datetime
    delivered_at: datetime | None = None
    expected: datetime | None = None
    hospital: str = ""
    critical: int = 0


COLUMNS: Sequence[Any] = [getattr(Row, f.name) for f in fields(Delivery)]
_NEEDS = frozenset(Needs)


def record(row: Mapping[str, Any]) -> Delivery:
    """A row's delivery, by the names of COLUMNS; raises UnknownWord where a word of it is none."""
    waiting_for = tuple(Needs(word) for word in row["waiting_for"].split() if word in _NEEDS)
    number, state, held_by = row["id"], Row.state.word(row["state"], row["id"]), row["held_by"]
    if state == State.HELD:
        held_by = Row.held_by.word(held_by, number)
    channel = Row.channel.word(row["channel"], number)
    return Delivery(**{**row, "channel": channel, "state": state, "waiting_for": waiting_for, "held_by": held_by})


def shown(row: Mapping[str, Any]) -> Delivery:
    """As `_record`; one whose words do not read is shown as held, which it soon is."""
    try:
        return record(row)
    except UnknownWord as found:
        held = {"state": State.HELD, "held_by": HeldBy.PERSON, "error": found.message, "waiting_for": ""}
        channel = row["channel"] if row["channel"] in Row.channel.known() else Channel.REPORT
        return record({**row, **held, "channel": channel})
