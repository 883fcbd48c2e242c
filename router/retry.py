"""When to try again: a pure function of the attempt, the slack and a random number."""

from datetime import timedelta

FIRST = timedelta(seconds=5)
CAP = timedelta(minutes=5)


def backoff(attempt: int, slack: timedelta, jitter: float) -> timedelta:
    """The pause after the given failed attempt (1, 2, ...).

    Doubles from FIRST, never beyond CAP nor a tenth of the slack (but FIRST at least, once slack is
    used up CAP holds alone). `jitter` in [0, 1) takes up to a fifth off, so that the limits hold.
    """
    pause = min(FIRST * (1 << min(attempt - 1, 16)), CAP)
    if slack > timedelta(0):
        pause = min(pause, max(slack / 10, FIRST))
    return pause * (1 - jitter / 5)


def next_pause(attempt: int, slack: timedelta, jitter: float, retry_after: float | None = None) -> timedelta:
    """As `backoff`, but no sooner than the peer asked for, up to CAP."""
    wish = timedelta(seconds=min(max(retry_after or 0.0, 0.0), CAP.total_seconds()))
    return max(backoff(attempt, slack, jitter), wish)
