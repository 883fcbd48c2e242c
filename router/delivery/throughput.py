"""Time that sending takes: measured for the forecast, shared fairly between late deliveries and those still in time."""

import threading
from dataclasses import dataclass
from datetime import datetime

from router.catalogue import Catalogue
from router.catalogue.queue.queue import Delivery
from router.clock import Clock
from router.delivery.breaker_gate import Route
from router.model import Channel
from router.policy.fair_share import FairShare


@dataclass(frozen=True, slots=True)
class Start:
    """When a delivery was begun, by both clocks, and whether it was the turn of what is missed."""

    at: datetime
    seconds: float
    missed_first: bool


class ThroughputMeter:
    """Of all routes of this node."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._paces = catalogue.throughputs
        self._clock = clock
        self._lock = threading.Lock()
        self._balances: dict[tuple[str, Channel, str], FairShare] = {}

    def start(self, route: Route) -> Start:
        """Before a claim."""
        balance = self._balances.get(route.place, FairShare())
        return Start(self._clock.now(), self._clock.monotonic(), balance.missed_first)

    def stop(self, route: Route, delivery: Delivery, start: Start, units: int) -> None:
        """It has ended, and so much was sent."""
        place, seconds = route.place, self._clock.monotonic() - start.seconds
        with self._lock:
            balance = self._balances.get(place, FairShare())
            if delivery.due is None or delivery.due > start.at:
                balance = balance.after_timely(seconds)
            elif start.missed_first:
                balance = balance.after_missed(seconds)
            self._balances[place] = balance
        if units and seconds > 0:
            self._paces.add(route.destination, route.channel, units, seconds, self._clock.now(), route.account)
