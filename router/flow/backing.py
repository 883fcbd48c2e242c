"""The hourly copy of the database."""

from collections.abc import Callable
from datetime import timedelta

from router.catalogue.backup import Backups, Stopped
from router.clock import Clock
from router.config import Config

EVERY = timedelta(hours=1)
_LOOK_SECONDS = 60.0


class Backing:
    """The work of a loop; `stopping` ends a copy that is being made."""

    def __init__(self, config: Config, clock: Clock, stopping: Callable[[], bool]) -> None:
        self._backups = Backups(config.node.data)
        self._kept = config.backup
        self._spare = config.receive.min_free
        self._clock = clock
        self._stopping = stopping

    def step(self) -> float:
        """Make a copy when the last one is an hour old; the seconds to rest."""
        now = self._clock.now()
        last = next(iter(self._backups.listed()), None)
        if last is None or not timedelta(0) <= now - last.at < EVERY:
            try:
                self._backups.make(now, self._stopping, spare=self._spare)
            except Stopped:
                return _LOOK_SECONDS
            self._backups.prune(self._kept.hourly, self._kept.daily)
        return _LOOK_SECONDS
