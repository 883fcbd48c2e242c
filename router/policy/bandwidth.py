"""How fast a destination may be sent to by time of day: a token bucket whose decision is pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta

_BURST = 0.25  # seconds of the rate that may go at once after a rest

Paced = Callable[[int], None]


def unbounded(size: int) -> None:
    """Bytes that may go at once."""
    del size


@dataclass(frozen=True, slots=True)
class Window:
    """Bytes a second from one time of day to another, over midnight where `end` is not later."""

    start: time
    end: time
    rate: int

    def holds(self, at: time) -> bool:
        """Whether it is in force; `end` is not part of it."""
        if self.start < self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


def rate_at(windows: Sequence[Window], at: time) -> int | None:
    """The smallest rate in force; None without a limit."""
    return min((window.rate for window in windows if window.holds(at)), default=None)


def limited(windows: Sequence[Window], now: datetime) -> tuple[int, datetime] | None:
    """That rate, and when the window that says so ends next, in the zone of `now`; None without a limit."""
    in_force = [window for window in windows if window.holds(now.time())]
    if not in_force:
        return None
    slowest = min(in_force, key=lambda window: window.rate)
    end = datetime.combine(now.date(), slowest.end, now.tzinfo)
    return slowest.rate, end if end > now else end + timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Bucket:
    """`free_at` is when all that was granted will have gone at the rate, in seconds of the monotonic clock."""

    free_at: float = 0.0

    def grant(self, size: int, rate: float, now: float) -> tuple["Bucket", float]:
        """The bucket with so many bytes more, and the seconds to wait before they go."""
        start = max(self.free_at, now - _BURST)
        return Bucket(start + size / rate), max(start - now, 0.0)
