"""Due times (DB11 5.3): report and JSON within 1 h of approval, images within 6 h."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from router.clock import require_aware


@dataclass(frozen=True, slots=True)
class Deadline:
    """The legal due time is always shown; the working one orders the queue. Both aware."""

    legal: datetime
    working: datetime
    budget: timedelta

    @property
    def half(self) -> datetime:
        """The instant at which half of the budget is used up: waiting for more ends here."""
        return self.working - self.budget / 2


def approval_instant(approve_time: datetime, arrived: datetime, tolerance: timedelta, now: datetime) -> datetime | None:
    """When the approval counts from: its own time, or its arrival where that lies a little ahead.

    None while the approval lies further in the future than `tolerance` after its arrival.
    """
    if require_aware(approve_time) <= require_aware(arrived):
        return approve_time
    if approve_time - arrived <= tolerance:
        return arrived
    return approve_time if approve_time <= now else None


def deadline(approved_at: datetime, budget: timedelta, cause: datetime | None = None) -> Deadline:
    """Due times of a delivery; `cause` is the arrival of a later revision or of late images."""
    legal = require_aware(approved_at) + budget
    return Deadline(legal, legal if cause is None else max(legal, cause + budget), budget)


def slack(due: datetime, now: datetime) -> timedelta:
    """Time left; negative once missed."""
    return due - now
