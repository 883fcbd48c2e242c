"""Breakers that are not closed, kept over restarts and for every node."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from peewee import Expression

from router.alarms import Alarm
from router.catalogue.db.engine import RecordedRows
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.queue import BreakerRow as Row
from router.errors import Outage
from router.events import Event, Kind
from router.model import Channel
from router.policy.breaker import CLOSED, Breaker, Position


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """A breaker that is not closed, and whose it is."""

    destination: str
    channel: Channel
    breaker: Breaker


class Breakers(RecordedRows):
    """One for each destination and channel, shared by its lanes on every node."""

    def of(self, destination: str, channel: Channel) -> Breaker:
        """Closed where nothing else is known."""
        found = self._read(_OF_PLACE(destination, channel))
        return found[0].breaker if found else CLOSED

    def tripped(self) -> list[OpenBreaker]:
        """All that are not closed, by destination."""
        return self._read(Row.select().order_by(Row.destination, Row.channel))

    def change(
        self, destination: str, channel: Channel, now: datetime, decide: Callable[[Breaker], Breaker]
    ) -> tuple[Breaker, Breaker]:
        """Replace the breaker under a lock by what `decide` gives; an event if it opens or closes. Before and after."""
        with self._engine.lock_names([f"breaker {channel} {destination}"]), self._engine.write():
            before = self.of(destination, channel)
            after = decide(before)
            if after != before:
                self._engine.run(Row.delete().where(_is(destination, channel)))
                if after != CLOSED:
                    self._engine.run(Row.insert(destination=destination, channel=channel, **asdict(after)))
            if before.position != after.position != Position.HALF_OPEN:
                closed = after.position == Position.CLOSED
                text = (
                    f"{destination} takes {channel} again" if closed else f"no {channel} to {destination}: {after.why}"
                )
                self._bus.record(Event(
                    now, Kind.CLEARED if closed else Kind.ALARM, text, alarm=Alarm.BREAKER,
                    subject=f"{channel} to {destination}", fields={"destination": destination},
                ))  # fmt: skip
        return before, after

    def forget(self, destination: str, channel: Channel) -> None:
        """Remove the breaker of a place that is not configured; no event is recorded."""
        with self._engine.write():
            self._engine.run(Row.delete().where(_is(destination, channel)))

    def probe_now(self, now: datetime) -> None:
        """Let every open one be asked whether its destination is there."""
        with self._engine.write():
            self._engine.run(Row.update(probe_at=now).where(Row.position == Position.OPEN))

    def _read(self, query: Any) -> list[OpenBreaker]:
        rows: Any = self._engine.run(query)
        found = []
        for row in rows:
            breaker = Breaker(
                position=Position(row.position), failures=row.failures, width=row.width, since=row.since,
                probe_at=row.probe_at, why=row.why, outage=Outage(row.outage),
            )  # fmt: skip
            found.append(OpenBreaker(row.destination, Channel(row.channel), breaker))
        return found


def _is(destination: str, channel: Channel) -> Expression:
    return (Row.destination == destination) & (Row.channel == channel)


_OF_PLACE = Prepared(lambda destination, channel: Row.select().where(_is(destination, channel)))
