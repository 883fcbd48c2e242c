"""Withdrawals of what a destination was given (撤销): when one goes, and how many of a source are too many. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
_SHARE = 100  # one in so many of a day's deliveries
_WANTED = "withdraw="


class Ended(StrEnum):
    """Ends of a withdrawal: the destination confirmed it, has no such exam, takes none; or it was approved again."""

    OPEN = ""
    CONFIRMED = "confirmed"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    VOID = "void"


# With these the destination has nothing of the exam that counts.
SETTLED = frozenset({Ended.CONFIRMED, Ended.UNKNOWN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Withdrawal:
    """A withdrawal of the revision `n` and those before it, of one delivery.

    The JSON version `document` asked for it, or, of that version, the person `who`. The notice is frozen once there is
    an `idem`; its checksum is SHA-256.
    """

    id: int
    delivery: int
    document: int
    n: int
    asked: datetime
    why: str
    who: str = ""
    idem: str = ""
    notice_place: str = ""
    notice_checksum: str = ""
    receipt: str = ""
    receipt_place: str = ""
    ended: Ended = Ended.OPEN
    ended_at: datetime | None = None

    def due_from(self, after: timedelta | None) -> datetime | None:
        """When it goes: a person's at once, another one `after` its word; None: not by itself."""
        if self.who:
            return self.asked
        return None if after is None else self.asked + after

    @property
    def wanted(self) -> str:
        """The content of the delivery that carries it out."""
        return f"{_WANTED}{self.id} n={self.n}"


def number_in(wanted: str) -> int | None:
    """The number of the withdrawal that a delivery is to carry out; None where it delivers a report."""
    if not wanted.startswith(_WANTED):
        return None
    named: Mapping[str, str] = dict(part.split("=", 1) for part in wanted.split())
    return int(named["withdraw"])


def too_many(*, hour: int, day: int, delivered: int, at_most: int) -> bool:
    """Whether a source's withdrawals wait for a person: too many in the last hour, or of the last day.

    `delivered` are the exams of the source that were delivered in the last day. A hospital with few of them may
    withdraw `at_most` in a day, too.
    """
    return hour > at_most or day > max(at_most, delivered // _SHARE)
