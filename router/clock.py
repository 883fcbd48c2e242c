"""The only clock. Instants are aware datetimes in UTC; durations come from the monotonic clock."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    """What the node asks of time."""

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


class FakeClock:
    """A clock that moves only when told to, for tests and rehearsals."""

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
