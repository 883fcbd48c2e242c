"""Pauses of sending, kept over restarts and for every node.

They are never removed: a delivery that is late by a pause is reported as that.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import Expression

from router.catalogue.db.engine import RecordedRows
from router.catalogue.db.tables.queue import PauseRow as Row
from router.events import Event, Kind
from router.policy.pause import EVERYWHERE, Pause


class Pauses(RecordedRows):
    """At most one stands for each destination, and one for all of them."""

    def standing(self) -> Sequence[Pause]:
        """Those that stand, the one of all destinations first."""
        return self._select(Row.until.is_null())

    def since(self, start: datetime) -> Sequence[Pause]:
        """Those that stood at some time after `start`, also where they have ended."""
        return self._select(Row.until.is_null() | (Row.until > start))

    def begin(self, destination: str, who: str, why: str, now: datetime) -> bool:
        """Begin a pause of the destination, EVERY for all; False where such a pause stands already."""
        with self._engine.lock_names(["pause"]), self._engine.write():
            if self._engine.has(Row.select(Row.since).where(_stands(destination))):
                return False
            self._engine.run(Row.insert(destination=destination, since=now, who=who, why=why, ended_by=""))
            self._record(destination, f"sending is paused to {destination or EVERYWHERE}: {why}", who, now)
        return True

    def end(self, destination: str, who: str, why: str, now: datetime) -> bool:
        """End that pause; False where none stands."""
        with self._engine.write():
            ended = self._engine.run(Row.update(until=now, ended_by=who).where(_stands(destination)))
            if ended:
                text = f"sending goes on to {destination or EVERYWHERE}{f': {why}' if why else ''}"
                self._record(destination, text, who, now)
        return bool(ended)

    def _record(self, destination: str, text: str, who: str, now: datetime) -> None:
        fields = {"destination": destination} if destination else {}
        self._bus.record(Event(now, Kind.DECIDED, text, who=who, fields=fields))

    def _select(self, condition: Expression) -> Sequence[Pause]:
        rows: Any = self._engine.run(Row.select().where(condition).order_by(Row.destination, Row.since))
        return [Pause(destination=r.destination, since=r.since, who=r.who, why=r.why, until=r.until) for r in rows]


def _stands(destination: str) -> Expression:
    return (Row.destination == destination) & Row.until.is_null()
