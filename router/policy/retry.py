"""Pauses before the next try, and when to give up: pure functions."""

from datetime import timedelta

FIRST = timedelta(seconds=5)
CAP = timedelta(minutes=5)
# The pause after a refusal that nothing proves to be the platform's.
UNPROVED = timedelta(hours=1)
LOSSES = 3
LOSSES_ALONE = 10


def backoff(attempt: int, slack: timedelta, jitter: float) -> timedelta:
    """The pause after the given failed attempt (1, 2, ...).

    It doubles from FIRST, up to CAP and a tenth of the slack, but FIRST at least; without slack only CAP limits it.
    `jitter` in [0, 1) takes up to a fifth off, so that the limits hold.
    """
    pause = min(FIRST * (1 << min(attempt - 1, 16)), CAP)
    if slack > timedelta(0):
        pause = min(pause, max(slack / 10, FIRST))
    return pause * (1 - jitter / 5)


def next_pause(attempt: int, slack: timedelta, jitter: float, retry_after: float | None = None) -> timedelta:
    """As `backoff`, but at least as long as the peer asked for, up to CAP."""
    wish = timedelta(seconds=min(max(retry_after or 0.0, 0.0), CAP.total_seconds()))
    return max(backoff(attempt, slack, jitter), wish)


def given_up(losses: int, others_went: bool) -> bool:
    """Whether an instance is set aside after so many lost associations: more are needed while nothing else went."""
    return losses >= (LOSSES if others_went else LOSSES_ALONE)
