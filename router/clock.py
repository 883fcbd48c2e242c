"""The only clock. Instants are aware datetimes in UTC; durations come from the monotonic clock."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

_SAME = timedelta(milliseconds=50)


class Clock(Protocol):
    """The two ways in which the node asks for the time."""

    def now(self) -> datetime:
        """The instant, aware, UTC."""

    def monotonic(self) -> float:
        """Seconds since some fixed point; never jumps."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


class SharedClock:
    """The clock of all nodes of a database: this machine's until the first `set_to`, then the database's.

    Between two settings it follows the monotonic clock, so that no jump of the machine's clock shows.
    """

    def __init__(self, machine: Clock) -> None:
        self._machine = machine
        self._base: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        return self._at(self._machine.monotonic())

    def monotonic(self) -> float:
        return self._machine.monotonic()

    @property
    def ahead(self) -> timedelta:
        """The time by which the machine's clock is ahead; negative when it is behind."""
        return timedelta(0) if self._base is None else self._machine.now() - self.now()

    def set_to(self, instant: datetime, asked: float, answered: float) -> None:
        """Follow `instant`, which was asked for and answered at these points of the monotonic clock.

        A difference of less than 50 ms, or within the time that asking took, is ignored.
        """
        middle, unsure = (asked + answered) / 2, timedelta(seconds=(answered - asked) / 2)
        if self._base is None or abs(self._at(middle) - instant) > max(unsure, _SAME):
            self._base = instant, middle

    def _at(self, monotonic: float) -> datetime:
        if self._base is None:
            return self._machine.now()
        instant, then = self._base
        return instant + timedelta(seconds=monotonic - then)


class FakeClock:
    """A clock that moves only by `advance`, for tests and rehearsals."""

    def __init__(self, start: datetime) -> None:
        self._start = require_aware(start)
        self._elapsed = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        return self._elapsed

    def advance(self, seconds: float) -> None:
        """Move forward by `seconds`."""
        self._elapsed += seconds


def zoned(instant: datetime, zone: ZoneInfo) -> str:
    """An instant to the second with the zone's name, as people read it alone: `2026-03-02 18:00:00 Asia/Shanghai`."""
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key}"


def require_aware(instant: datetime) -> datetime:
    """`instant` itself; a naive datetime raises ValueError, since nobody knows its zone."""
    if instant.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return instant
