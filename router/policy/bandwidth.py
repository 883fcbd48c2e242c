"""Bandwidth to a destination by time of day: a token bucket whose decision is pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

_BURST = 0.25  # seconds of the rate that may go at once after a pause

Paced = Callable[[int], None]


def unbounded(size: int) -> None:
    """Bytes that may go at once."""
    del size


@dataclass(frozen=True, slots=True)
class Window:
    """A rate in bytes a second from one time of day to another, over midnight where `end` is not later."""

    start: time
    end: time
    rate: int

    def holds(self, at: time) -> bool:
        """Whether the window is in force; `end` is not part of it."""
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


def rate_at(windows: Sequence[Window], at: time) -> int | None:
    """The smallest rate of the windows in force; None for no limit."""
    return min((window.rate for window in windows if window.holds(at)), default=None)


def limited(windows: Sequence[Window], now: datetime) -> tuple[int, datetime] | None:
    """The rate of `rate_at`, and when its window ends next, in the zone of `now`; None for no limit."""
    in_force = [window for window in windows if window.holds(now.time())]
    if not in_force:
        return None
    slowest = min(in_force, key=lambda window: window.rate)
    end = datetime.combine(now.date(), slowest.end, now.tzinfo)
    return slowest.rate, end if end > now else end + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A token bucket. At `free_at`, on the monotonic clock, all granted bytes will have gone at the rate."""

    free_at: float = 0.0

    def grant(self, size: int, rate: float, now: float) -> tuple["Bucket", float]:
        """The bucket after granting `size` more bytes, and the seconds to wait before they go."""
        start = max(self.free_at, now - _BURST)
        return Bucket(start + size / rate), max(start - now, 0.0)
