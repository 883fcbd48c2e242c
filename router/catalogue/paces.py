"""How fast each destination takes what is sent, measured by those who send: for the forecast."""

from typing import Any

from router.catalogue.dialect import Engine
from router.catalogue.tables import PaceRow as Row
from router.forecast import Pace
from router.model import Channel


class Paces:
    """One for each destination and channel, of all nodes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def of(self, destination: str, channel: Channel) -> Pace:
        """What was measured of late."""
        mine = (Row.destination == destination) & (Row.channel == channel)
        rows: Any = self._engine.run(Row.select(Row.units, Row.seconds).where(mine).tuples())
        return Pace(*rows[0]) if rows else Pace()

    def add(self, destination: str, channel: Channel, units: int, seconds: float) -> None:
        """So much more went in so many seconds."""
        with self._engine.write():
            pace = self.of(destination, channel).and_then(units, seconds)
            values = {"destination": destination, "channel": channel, "units": pace.units, "seconds": pace.seconds}
            self._engine.run(
                Row.insert(values).on_conflict(
                    conflict_target=[Row.destination, Row.channel], preserve=[Row.units, Row.seconds]
                )
            )
