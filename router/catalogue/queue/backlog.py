"""Backlog: counts of open deliveries by place, state and age. Reads the queue's index only."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from router.catalogue.db.engine import Rows
from router.catalogue.db.statement import Statement, listed
from router.catalogue.db.tables.queue import Delivery
from router.clock import require_aware
from router.model import Channel
from router.policy.states import PENDING, State


class Age(StrEnum):
    """How much of its time a delivery has used, the youngest first; `undue`: not approved, or a backfill's."""

    UNDUE = "undue"
    FIRST_HALF = "first-half"
    SECOND_HALF = "second-half"
    LAST_FIFTH = "last-fifth"
    MISSED = "missed"
    MISSED_A_DAY = "missed-a-day"


@dataclass(frozen=True, slots=True)
class Place:
    """A destination and channel, and the time that its deliveries have."""

    destination: str
    channel: Channel
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogCount:
    """So many open deliveries of one place, state and age; `first_due` is the earliest due time among them.

    `hospital` is theirs where they are counted by it.
    """

    destination: str
    channel: Channel
    state: State
    age: Age
    deliveries: int
    first_due: datetime | None
    hospital: str = ""


_AGES = tuple(Age)


def _counted(*groups: str) -> str:
    """Open deliveries of a place by these columns, state and age, each with the earliest due time."""
    columns = ", ".join((*groups, "state"))
    return (
        f"SELECT {columns}, CASE WHEN due IS NULL THEN 0 WHEN due > ? THEN 1 WHEN due > ? THEN 2"  # noqa: S608 our own text
        " WHEN due > ? THEN 3 WHEN due > ? THEN 4 ELSE 5 END AS age, COUNT(*), MIN(due) FROM delivery WHERE"
        f" destination = ? AND channel = ? AND state IN {listed(PENDING)} GROUP BY {columns}, age"
    )


_GIVEN = (*[Delivery.due] * 4, Delivery.destination, Delivery.channel)
_COUNT = Statement(_counted(), *_GIVEN)
_COUNT_BY_HOSPITAL = Statement(_counted("hospital"), *_GIVEN)


class Backlog(Rows):
    """Counts at an instant."""

    def counts(self, places: Iterable[Place], now: datetime) -> list[BacklogCount]:
        """Counts of these places, those of 0 left out."""
        return self._counts(places, now, lambda *given: (("", *row) for row in _COUNT.run(self._engine, *given)))

    def counts_by_hospital(self, places: Iterable[Place], now: datetime) -> list[BacklogCount]:
        """The same of each hospital by itself."""
        return self._counts(places, now, lambda *given: _COUNT_BY_HOSPITAL.run(self._engine, *given))

    def _counts(
        self, places: Iterable[Place], now: datetime, ask: Callable[..., Iterable[tuple[Any, ...]]]
    ) -> list[BacklogCount]:
        now = require_aware(now)
        found: list[BacklogCount] = []
        for place in places:
            edges = (now + place.within / 2, now + place.within / 5, now, now - timedelta(days=1))
            found += [
                BacklogCount(destination=place.destination, channel=place.channel, state=State(state), age=_AGES[age],
                             deliveries=count, first_due=Delivery.due.python_value(first), hospital=hospital)
                for hospital, state, age, count, first in ask(*edges, place.destination, place.channel)
            ]  # fmt: skip
        return found
