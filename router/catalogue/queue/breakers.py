"""Breakers that are not closed, kept over restarts and for every node."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from peewee import Expression

from router.alarms import Alarm
from router.catalogue.db.engine import RecordedRows
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.tables.queue import BreakerRow as Row
from router.errors import Outage
from router.events import Event, Kind
from router.model import Channel
from router.policy.account import at, fields_of, place_of
from router.policy.breaker import CLOSED, Breaker, Position


@dataclass(frozen=True, slots=True)
class OpenBreaker:
    """A breaker that is not closed, and whose it is."""

    destination: str
    channel: Channel
    breaker: Breaker
    account: str = ""


class Breakers(RecordedRows):
    """One for each destination, channel and account, shared by its lanes on every node."""

    def of(self, destination: str, channel: Channel, account: str = "") -> Breaker:
        """Closed where nothing else is known."""
        found = self._read(_OF_PLACE(destination, channel, account))
        return found[0].breaker if found else CLOSED

    def tripped(self) -> list[OpenBreaker]:
        """All that are not closed, by destination."""
        return self._read(Row.select().order_by(Row.destination, Row.channel, Row.account))

    def change(
        self, destination: str, channel: Channel, now: datetime, decide: Callable[[Breaker], Breaker],
        account: str = "",
    ) -> tuple[Breaker, Breaker]:  # fmt: skip
        """Replace the breaker under a lock by what `decide` gives; an event if it opens or closes. Before and after."""
        place = place_of(destination, channel, account)
        with self._engine.lock_names([f"breaker {channel} {at(destination, account)}"]), self._engine.write():
            before = self.of(destination, channel, account)
            after = decide(before)
            if after != before:
                self._engine.run(Row.delete().where(_is(destination, channel, account)))
                if after != CLOSED:
                    row = Row.insert(destination=destination, channel=channel, account=account, **asdict(after))
                    self._engine.run(row)
            if before.position != after.position != Position.HALF_OPEN:
                closed = after.position == Position.CLOSED
                text = f"no {channel} to {at(destination, account)}: {after.why}"
                if closed:
                    text = f"{at(destination, account)} takes {channel} again"
                self._bus.record(Event(
                    now, Kind.CLEARED if closed else Kind.ALARM, text, alarm=Alarm.BREAKER,
                    subject=place, fields=fields_of(destination, account),
                ))  # fmt: skip
        return before, after

    def forget(self, destination: str, channel: Channel, account: str = "") -> None:
        """Remove the breaker of a place that is not configured; no event is recorded."""
        with self._engine.write():
            self._engine.run(Row.delete().where(_is(destination, channel, account)))

    def probe_now(self, now: datetime) -> None:
        """Let every open one be asked whether its destination is there."""
        with self._engine.write():
            self._engine.run(Row.update(probe_at=now).where(Row.position == Position.OPEN))

    def _read(self, query: Any) -> list[OpenBreaker]:
        rows: Any = self._engine.run(query)
        found = []
        for row in rows:
            if not _is_sound(row):  # as if it were closed: what is sent next finds out
                continue
            breaker = Breaker(
                position=Position(row.position), failures=row.failures, width=row.width, since=row.since,
                probe_at=row.probe_at, why=row.why, outage=Outage(row.outage),
            )  # fmt: skip
            found.append(OpenBreaker(row.destination, Channel(row.channel), breaker, row.account))
        return found


def _is_sound(row: Any) -> bool:
    """Whether its words are words that are written there."""
    sets: tuple[tuple[str, type[StrEnum]], ...] = (
        (row.position, Position), (row.outage, Outage), (row.channel, Channel)
    )  # fmt: skip
    return all(word in set(words) for word, words in sets)


def _is(destination: str, channel: Channel, account: str) -> Expression:
    return (Row.destination == destination) & (Row.channel == channel) & (Row.account == account)


_OF_PLACE = Prepared(lambda destination, channel, account: Row.select().where(_is(destination, channel, account)))
