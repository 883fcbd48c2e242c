"""Throughput of each destination, measured while sending: for the forecast."""

from datetime import datetime, timedelta

from peewee import Expression

from router.catalogue.db.engine import Rows
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.queue import PaceRow as Row
from router.model import Channel
from router.policy.account import at
from router.policy.forecast import Throughput

_SKEW = timedelta(seconds=5)  # by so much the clocks of two nodes may differ

_OF = Prepared(lambda *place: Row.select(Row.units, Row.seconds).where(_is(*place)))
_COUNTED = Prepared(lambda *place: Row.select(Row.counted).where(_is(*place)))
_SET = Statement(
    "INSERT INTO pace (destination, channel, account, units, seconds, counted) VALUES (?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (destination, channel, account) DO UPDATE"
    " SET units = excluded.units, seconds = excluded.seconds, counted = excluded.counted",
    Row.destination, Row.channel, Row.account, Row.units, Row.seconds, Row.counted,
)  # fmt: skip


class Throughputs(Rows):
    """One for each destination, channel and account, of all nodes."""

    def of(self, destination: str, channel: Channel, account: str = "") -> Throughput:
        """The latest measurements."""
        rows = self._engine.rows(_OF(destination, channel, account))
        return Throughput(*rows[0]) if rows else Throughput()

    def add(
        self, destination: str, channel: Channel, units: int, seconds: float, until: datetime, account: str = ""
    ) -> None:
        """So much more went in the seconds that end at `until`; of these count those that no node has counted yet.

        So the pace is that of all who send at the same time, and not that of one of them.
        """
        with self._engine.lock_names([f"pace {channel} {at(destination, account)}"]), self._engine.write():
            counted = self._engine.value(_COUNTED(destination, channel, account))
            if counted is not None and counted <= until + _SKEW:
                seconds = min(seconds, max((until - counted).total_seconds(), 0.0))
            pace = self.of(destination, channel, account).and_then(units, seconds)
            _SET.run(self._engine, destination, channel, account, pace.units, pace.seconds, until)


def _is(destination: str, channel: Channel, account: str) -> Expression:
    return (Row.destination == destination) & (Row.channel == channel) & (Row.account == account)
