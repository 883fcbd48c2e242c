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
from router.policy.pause import ALL, Pause, place_of


class Pauses(RecordedRows):
    """At most one stands for each destination, and one for all of them; likewise for each hospital's exams alone."""

    def standing(self) -> Sequence[Pause]:
        """Those that stand, the one of all destinations first."""
        return self._select(Row.until.is_null())

    def since(self, start: datetime) -> Sequence[Pause]:
        """Those that stood at some time after `start`, also where they have ended."""
        return self._select(Row.until.is_null() | (Row.until > start))

    def begin(self, destination: str, who: str, why: str, now: datetime, hospital: str = ALL) -> bool:
        """Begin a pause of the destination, EVERY for all; False where such a pause stands already.

        `hospital`: of its exams alone.
        """
        with self._engine.lock_names(["pause"]), self._engine.write():
            if self._engine.has(Row.select(Row.since).where(_stands(destination, hospital))):
                return False
            row = {"destination": destination, "hospital": hospital, "since": now, "who": who, "why": why}
            self._engine.run(Row.insert(row | {"ended_by": ""}))
            text = f"sending is paused to {place_of(destination, hospital)}: {why}"
            self._record(destination, hospital, text, who, now)
        return True

    def end(self, destination: str, who: str, why: str, now: datetime, hospital: str = ALL) -> bool:
        """End that pause; False where none stands."""
        with self._engine.write():
            ended = self._engine.run(Row.update(until=now, ended_by=who).where(_stands(destination, hospital)))
            if ended:
                text = f"sending goes on to {place_of(destination, hospital)}{f': {why}' if why else ''}"
                self._record(destination, hospital, text, who, now)
        return bool(ended)

    def _record(self, destination: str, hospital: str, text: str, who: str, now: datetime) -> None:
        fields = {"destination": destination, "hospital": hospital}
        fields = {name: value for name, value in fields.items() if value}
        self._bus.record(Event(now, Kind.DECIDED, text, who=who, fields=fields))

    def _select(self, condition: Expression) -> Sequence[Pause]:
        rows: Any = self._engine.run(Row.select().where(condition).order_by(Row.destination, Row.hospital, Row.since))
        return [
            Pause(
                destination=r.destination, since=r.since, who=r.who, why=r.why, until=r.until, hospital=r.hospital
            ) for r in rows
        ]  # fmt: skip


def _stands(destination: str, hospital: str) -> Expression:
    return (Row.destination == destination) & (Row.hospital == hospital) & Row.until.is_null()
