"""Outlook of each place: how much is on its way there, the oldest of it, and when it will be done."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from router.catalogue.db.engine import Rows
from router.catalogue.db.statement import Statement, listed
from router.catalogue.db.tables.queue import Delivery
from router.catalogue.queue.backlog import Place
from router.policy.states import State

ON_THE_WAY = (State.READY, State.SENDING, State.DEFERRED)
_OF_PLACE = Statement(
    "SELECT COUNT(*), MIN(legal_due), MAX(expected) FROM delivery"  # noqa: S608 our own text
    f" WHERE destination = ? AND channel = ? AND state IN {listed(ON_THE_WAY)}",
    Delivery.destination, Delivery.channel,
)  # fmt: skip
# Confirmations since an instant, in their order, by the index of their times alone: with the place in the condition the
# index of places would be read, which is as long as the table.
_CONFIRMED = Statement(
    "SELECT destination, channel, delivered_at FROM delivery WHERE delivered_at >= ? ORDER BY delivered_at",
    Delivery.delivered_at,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """A place as a person asks about it.

    `count` deliveries can go and are not there; the `oldest` was approved then; by `expected` all are there, as it
    looks now. `last` is the last confirmation, None where none came since the instant that was asked for.
    """

    place: Place
    count: int
    oldest: datetime | None
    expected: datetime | None
    last: datetime | None


class Outlooks(Rows):
    """Reads only."""

    def of(self, places: Iterable[Place], since: datetime) -> list[Outlook]:
        """The outlook of each place; confirmations are looked for from `since` on."""
        last = {(to, by): Delivery.delivered_at.python_value(at) for to, by, at in _CONFIRMED.run(self._engine, since)}
        return [self._of(place, last.get((place.destination, place.channel))) for place in places]

    def _of(self, place: Place, last: datetime | None) -> Outlook:
        count, due, expected = _OF_PLACE.run(self._engine, place.destination, place.channel)[0]
        first = Delivery.legal_due.python_value(due)
        return Outlook(
            place=place, count=int(count), oldest=None if first is None else first - place.within,
            expected=Delivery.expected.python_value(expected), last=last,
        )  # fmt: skip
