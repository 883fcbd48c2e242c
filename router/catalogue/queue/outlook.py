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
    "SELECT hospital, COUNT(*), MIN(legal_due), MAX(expected) FROM delivery"  # noqa: S608 our own text
    f" WHERE destination = ? AND channel = ? AND state IN {listed(ON_THE_WAY)} GROUP BY hospital",
    Delivery.destination, Delivery.channel,
)  # fmt: skip
# Confirmations since an instant, in their order, by the index of their times alone: with the place in the condition the
# index of places would be read, which is as long as the table.
_CONFIRMED = Statement(
    "SELECT hospital, destination, channel, delivered_at FROM delivery WHERE delivered_at >= ? ORDER BY delivered_at",
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

    def of(self, places: Iterable[Place], since: datetime, hospitals: tuple[str, ...] = ()) -> list[Outlook]:
        """The outlook of each place; confirmations are looked for from `since` on.

        `hospitals` are those of the exams; where none is named, all.
        """
        last = {
            (to, by): Delivery.delivered_at.python_value(at)
            for hospital, to, by, at in _CONFIRMED.run(self._engine, since) if not hospitals or hospital in hospitals
        }  # fmt: skip
        return [self._of(place, last.get((place.destination, place.channel)), hospitals) for place in places]

    def _of(self, place: Place, last: datetime | None, hospitals: tuple[str, ...]) -> Outlook:
        found = _OF_PLACE.run(self._engine, place.destination, place.channel)
        rows = [rest for hospital, *rest in found if not hospitals or hospital in hospitals]
        first = Delivery.legal_due.python_value(min((due for _, due, _ in rows if due is not None), default=None))
        expected = max((last for _, _, last in rows if last is not None), default=None)
        return Outlook(
            place=place, count=sum(count for count, _, _ in rows),
            oldest=None if first is None else first - place.within,
            expected=Delivery.expected.python_value(expected), last=last,
        )  # fmt: skip
