"""Due times (DB11 5.3): report and JSON within 1 h of approval, images within 6 h."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from router.alarms import Alarm
from router.clock import require_aware


@dataclass(frozen=True, slots=True)
class Deadline:
    """The legal due time, which is always shown, and the working one, which orders the queue. Both aware."""

    legal: datetime
    working: datetime
    budget: timedelta

    @property
    def half(self) -> datetime:
        """The instant at which half of the budget is used up; waiting for images ends here."""
        return self.working - self.budget / 2

    @property
    def four_fifths(self) -> datetime:
        """The instant at which 80 % of the budget is used up."""
        return self.working - self.budget / 5


def approval_instant(approve_time: datetime, arrived: datetime, tolerance: timedelta, now: datetime) -> datetime | None:
    """The approval's time, or its arrival if that is up to `tolerance` before it; None while further in the future."""
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


def stage(due: datetime, budget: timedelta, expected: datetime | None, now: datetime) -> Alarm | None:
    """The alarm of an undelivered delivery: half, four fifths or all of its time is over, or it is forecast late."""
    if now >= due:
        return Alarm.MISSED
    if now >= due - budget / 5 or (expected is not None and expected > due):
        return Alarm.AT_RISK
    return Alarm.HALF_TIME if now >= due - budget / 2 else None


class Punctuality(StrEnum):
    """Punctuality of a delivery: in time, or whose fault it was."""

    MET = "met"
    PENDING = "pending"
    MISSED = "missed by us"
    LATE = "arrived late"
    PAUSED = "missed while paused"


def punctuality(
    due: Deadline, *, complete: datetime | None, delivered: datetime | None, now: datetime,
    paused: timedelta = timedelta(0),
) -> Punctuality:  # fmt: skip
    """Whether a delivery was in time, and if not whose fault it was.

    `complete` is when the last part that had to be sent arrived, None while parts are missing. It arrived late where
    less than a tenth of the budget was left, or after the legal due time. `paused` is how long people kept it from
    being sent since then: a delivery that would have been in time without that was missed by the pause.
    """
    if delivered is not None and delivered <= due.legal:
        return Punctuality.MET
    if delivered is None and now < due.legal:
        return Punctuality.PENDING
    if complete is None:
        return Punctuality.LATE
    late, end = complete > due.legal - due.budget / 10, delivered or now
    until = complete + due.budget if late else due.legal
    if late and end <= until:
        return Punctuality.LATE
    return Punctuality.PAUSED if end - paused <= until else Punctuality.MISSED
