"""The routes to a destination, and their breakers: what is claimed depends on whether it answers."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from router.catalogue import Catalogue
from router.catalogue.queue.queue import SOLE
from router.clock import Clock
from router.delivery.senders import Sender
from router.errors import DestinationDown, Outage, RouterError
from router.model import Channel
from router.policy import breaker
from router.policy.breaker import Breaker


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Where deliveries of one channel go to one destination, `width` at a time: those of the `hospitals` named.

    `account` is "" but for reports by a hospital's own account, whose name it then is: it has a breaker of its own.
    `probe` raises TransientError unless the destination is there; `narrow` bounds the associations of one delivery;
    `room` says whether other nodes leave any.
    """

    destination: str
    channel: Channel
    width: int
    sender: Sender
    probe: Callable[[], object] = lambda: None
    narrow: Callable[[int], None] = lambda width: None
    room: Callable[[], bool] = lambda: True
    hospitals: Sequence[str] = SOLE
    account: str = ""

    @property
    def place(self) -> tuple[str, Channel, str]:
        """Destination, channel and account: the key of its breaker and its pace."""
        return self.destination, self.channel, self.account


class BreakerGate:
    """Keeps the breakers of all routes in the catalogue."""

    def __init__(self, catalogue: Catalogue, clock: Clock) -> None:
        self._breakers = catalogue.breakers
        self._clock = clock

    def look(self, route: Route) -> Breaker:
        """The route's breaker, after a probe where one is due."""
        found = self._breakers.of(*route.place)
        if not breaker.probe_due(found, self._clock.now()) or not self._may_probe(route):
            return found
        try:
            route.probe()
        except RouterError as error:
            outage = error.outage if isinstance(error, DestinationDown) else Outage.TROUBLE
            now, why = self._clock.now(), str(error)
            return self._change(route, lambda found: breaker.probed_in_vain(found, now, why, _jitter(), outage))
        return self._change(route, breaker.answered)

    def went(self, route: Route) -> None:
        """The destination took a delivery, refused one, or has none to take."""
        if self._breakers.of(*route.place) != breaker.CLOSED:
            self._change(route, lambda found: breaker.went(found, route.width))

    def down(self, route: Route, error: DestinationDown) -> None:
        """A delivery found that the destination is down."""
        now, why = self._clock.now(), str(error)
        self._change(route, lambda found: breaker.down(found, now, why, _jitter(), error.outage))

    def _may_probe(self, route: Route) -> bool:
        """Of several routes and nodes one asks."""
        now = self._clock.now()
        before, after = self._breakers.change(
            route.destination, route.channel, now,
            lambda found: breaker.probing(found, now) if breaker.probe_due(found, now) else found, route.account,
        )  # fmt: skip
        return before != after

    def _change(self, route: Route, decide: Callable[[Breaker], Breaker]) -> Breaker:
        now = self._clock.now()
        return self._breakers.change(route.destination, route.channel, now, decide, route.account)[1]


def _jitter() -> float:
    return random.random()  # noqa: S311  # only spreads
