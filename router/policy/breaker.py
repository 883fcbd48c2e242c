"""Whether a destination takes anything by a channel at all: a circuit breaker as a pure state machine.

`closed` is the normal case. `open`: nothing is claimed, the destination is asked now and then whether it is there.
`half-open`: it answered; one delivery at a time, then two, and so on until there is no limit any more.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from router.errors import Outage
from router.policy.retry import backoff

LONGEST = timedelta(minutes=1)


class Position(StrEnum):
    """Of the breaker."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Breaker:
    """`failures` counts the findings in a row that the destination is down, `width` the deliveries that may be under
    way while half-open; `since` is when it left `closed`, `why` what was found last, of which kind is `outage`.
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
    """Until the next probe; `jitter` in [0, 1) takes a part off."""
    return min(backoff(failures, timedelta(0), jitter), LONGEST)


def down(breaker: Breaker, now: datetime, why: str, jitter: float, outage: Outage = Outage.TROUBLE) -> Breaker:
    """A delivery found that the destination is down; while it is open already, that is no news."""
    if breaker.position == Position.OPEN:
        return breaker
    return probed_in_vain(breaker, now, why, jitter, outage)


def probed_in_vain(
    breaker: Breaker, now: datetime, why: str, jitter: float, outage: Outage = Outage.TROUBLE
) -> Breaker:
    """It is still down; asked again later than the last time."""
    failures = breaker.failures + 1
    return Breaker(
        position=Position.OPEN,
        failures=failures,
        width=0,
        since=breaker.since or now,
        probe_at=now + pause(failures, jitter),
        why=why,
        outage=outage,
    )


def probe_due(breaker: Breaker, now: datetime) -> bool:
    """Whether to ask now. A time further away than any pause is of a clock that has jumped since."""
    if breaker.position != Position.OPEN or breaker.probe_at is None:
        return False
    return not now < breaker.probe_at <= now + LONGEST


def probing(breaker: Breaker, now: datetime) -> Breaker:
    """Somebody asks now, so that nobody else does."""
    return replace(breaker, probe_at=now + LONGEST)


def answered(breaker: Breaker) -> Breaker:
    """The probe was answered: begin with one delivery."""
    if breaker.position != Position.OPEN:
        return breaker
    return replace(breaker, position=Position.HALF_OPEN, width=1, probe_at=None)


def went(breaker: Breaker, full: int) -> Breaker:
    """A delivery went through; `full` is how many may be under way as a rule."""
    if breaker.position != Position.HALF_OPEN:
        return breaker
    return CLOSED if breaker.width >= full else replace(breaker, width=breaker.width + 1)


def width(breaker: Breaker, full: int) -> int:
    """How many deliveries may be under way."""
    if breaker.position == Position.CLOSED:
        return full
    return min(breaker.width, full)
