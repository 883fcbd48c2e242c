"""Throughput of each destination, measured while sending: for the forecast."""

from datetime import datetime, timedelta

from router.catalogue.db.engine import Rows
from router.catalogue.db.tables.queue import PaceRow as Row
from router.model import Channel
from router.policy.forecast import Throughput

_SKEW = timedelta(seconds=5)  # by so much the clocks of two nodes may differ


class Throughputs(Rows):
    """One for each destination and channel, of all nodes."""

    def of(self, destination: str, channel: Channel) -> Throughput:
        """The latest measurements."""
        mine = (Row.destination == destination) & (Row.channel == channel)
        rows = self._engine.rows(Row.select(Row.units, Row.seconds).where(mine))
        return Throughput(*rows[0]) if rows else Throughput()

    def add(self, destination: str, channel: Channel, units: int, seconds: float, until: datetime) -> None:
        """So much more went in the seconds that end at `until`; of these count those that no node has counted yet.

        So the pace is that of all who send at the same time, and not that of one of them.
        """
        with self._engine.lock_names([f"pace {channel} {destination}"]), self._engine.write():
            counted = self._counted(destination, channel)
            if counted is not None and counted <= until + _SKEW:
                seconds = min(seconds, max((until - counted).total_seconds(), 0.0))
            pace = self.of(destination, channel).and_then(units, seconds)
            values = {
                "destination": destination, "channel": channel, "units": pace.units, "seconds": pace.seconds,
                "counted": until,
            }  # fmt: skip
            key = {"conflict_target": [Row.destination, Row.channel]}
            self._engine.run(Row.insert(values).on_conflict(**key, preserve=[Row.units, Row.seconds, Row.counted]))

    def _counted(self, destination: str, channel: Channel) -> datetime | None:
        mine = (Row.destination == destination) & (Row.channel == channel)
        rows = self._engine.rows(Row.select(Row.counted).where(mine))
        return rows[0][0] if rows else None
