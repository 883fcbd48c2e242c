"""Waits so that a destination is sent no more than its bandwidth windows allow."""

import threading
import time
from collections.abc import Callable, Sequence
from zoneinfo import ZoneInfo

from router.clock import Clock
from router.policy.bandwidth import Bucket, Window, rate_at


class Throttle:
    """The rate to one destination: called with a number of bytes it waits. Each of `senders()` nodes has its part."""

    def __init__(
        self, windows: Sequence[Window], zone: ZoneInfo, clock: Clock, sleep: Callable[[float], None] = time.sleep,
        senders: Callable[[], int] = lambda: 1,
    ) -> None:  # fmt: skip
        self._windows = tuple(windows)
        self._zone = zone
        self._clock = clock
        self._sleep = sleep
        self._senders = senders
        self._lock = threading.Lock()
        self._bucket = Bucket()

    def __call__(self, size: int) -> None:
        rate = rate_at(self._windows, self._clock.now().astimezone(self._zone).time())
        if rate is None:
            return
        with self._lock:
            self._bucket, wait = self._bucket.grant(size, rate / self._senders(), self._clock.monotonic())
        if wait:
            self._sleep(wait)
