"""The circuit breaker of one channel of a destination, or of one account there: a pure state machine.

`closed` is the normal case. `open`: nothing is sent; a probe asks the destination now and then whether it is there.
`half-open`: it has answered; one delivery goes at a time, then two, and so on up to the normal number.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from router.errors import Outage
from router.policy.retry import backoff

LONGEST = timedelta(minutes=1)


class Position(StrEnum):
    """Position of a breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """A breaker's state.

    `failures` is how many times in a row the destination was found down. `width` is how many deliveries may be under
    way while half-open. It left `closed` at `since`; `why` and `outage` are the last finding and its kind.
    """

    position: Position = Position.CLOSED
    failures: int = 0
    width: int = 0
    since: datetime | None = None
    probe_at: datetime | None = None
    why: str = ""
    outage: Outage = Outage.TROUBLE


CLOSED = Breaker()


def pause(failures: int, jitter: float) -> timedelta:
    """The pause until the next probe; `jitter` in [0, 1) shortens it."""
    return min(backoff(failures, timedelta(0), jitter), LONGEST)


def down(breaker: Breaker, now: datetime, why: str, jitter: float, outage: Outage = Outage.TROUBLE) -> Breaker:
    """The breaker after a delivery found the destination down; unchanged while it is open."""
    if breaker.position == Position.OPEN:
        return breaker
    return probed_in_vain(breaker, now, why, jitter, outage)


def probed_in_vain(
    breaker: Breaker, now: datetime, why: str, jitter: float, outage: Outage = Outage.TROUBLE
) -> Breaker:
    """The breaker after a probe found it still down: the next pause is longer."""
    failures, since = breaker.failures + 1, breaker.since or now
    at = now + pause(failures, jitter)
    return Breaker(position=Position.OPEN, failures=failures, since=since, probe_at=at, why=why, outage=outage)


def probe_due(breaker: Breaker, now: datetime) -> bool:
    """Whether to probe now. A time further away than any pause means that the clock has jumped."""
    if breaker.position != Position.OPEN or breaker.probe_at is None:
        return False
    return not now < breaker.probe_at <= now + LONGEST


def probing(breaker: Breaker, now: datetime) -> Breaker:
    """The breaker while a probe is under way, which keeps others from probing."""
    return replace(breaker, probe_at=now + LONGEST)


def answered(breaker: Breaker) -> Breaker:
    """The breaker after an answered probe: it begins with one delivery."""
    if breaker.position != Position.OPEN:
        return breaker
    return replace(breaker, position=Position.HALF_OPEN, width=1, probe_at=None)


def went(breaker: Breaker, full: int) -> Breaker:
    """The breaker after a delivery went through; `full` is the normal number under way."""
    if breaker.position != Position.HALF_OPEN:
        return breaker
    return CLOSED if breaker.width >= full else replace(breaker, width=breaker.width + 1)


def width(breaker: Breaker, full: int) -> int:
    """How many deliveries may be under way."""
    if breaker.position == Position.CLOSED:
        return full
    return min(breaker.width, full)
