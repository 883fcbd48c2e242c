"""Comparison with a destination (对账): what it lacks, what it has beside, and whether that is sent again by itself.

Pure decisions. An answer that is empty, incomplete or of another time must not send a month again: a platform may write
to each patient.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from router.text.language import N_

_DAY = timedelta(days=1)
_FEWER = 50  # missing of a day, from which on a person decides
_SHARE = 100  # one in so many
_KEPT = 95  # percent of the former answer
_AHEAD = timedelta(minutes=10)
CURRENT, WITHDRAWN = "current", "withdrawn"

BASELINE = N_("it is the first comparison, which shows what is usual")
CUT = N_("the answer is not whole")
CLOCK = N_("the destination's clock differs from ours")
SHRUNK = N_("the answer holds less than 95 % of what the one before held")
MANY = N_("on one day 50 or more are missing, or 1 % or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """An exam's revision as a platform has it; `state`: "current", "superseded" or "withdrawn"."""

    idem: str
    revision: int
    receipt: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """The last revision of an exam that a platform has confirmed: an upload of a delivery, by their numbers.

    `withdrawn`: the platform has also confirmed its withdrawal. `goes_again`: another one is on its way already.
    """

    upload: int
    delivery: int
    exam: int
    revision: int
    idem: str
    confirmed: datetime
    withdrawn: bool = False
    goes_again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference between what was confirmed and what a platform says.

    `missing` it does not have, `otherwise` it has in another state than the last that it confirmed, `strange` is the
    number of those that it has and that were never sent from here.
    """

    missing: tuple[Ours, ...] = ()
    otherwise: tuple[Ours, ...] = ()
    strange: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer as it is judged: the numbers of days, ours and missing, and its own marks.

    `ahead` is the destination's clock before ours. Of the days that the answer before covered, too, that one held
    `before` exams, and this one holds `held`; `before` is None at the first comparison.
    """

    days: Mapping[date, tuple[int, int]]
    whole: bool
    ahead: timedelta
    before: int | None
    held: int


def windows(begin: datetime, end: datetime, zone: tzinfo) -> list[tuple[datetime, datetime]]:
    """The time in pieces of 24 hours at most, each of one day by the hospital's clock, in order."""
    found = []
    while begin < end:
        midnight = midnight_before(begin, zone) + _DAY
        # A day of 25 hours has two pieces.
        stop = min(midnight.astimezone(UTC), begin.astimezone(UTC) + _DAY, end.astimezone(UTC))
        found.append((begin, stop))
        begin = stop
    return found


def midnight_before(at: datetime, zone: tzinfo) -> datetime:
    """The beginning of the instant's day by the hospital's clock."""
    return datetime.combine(at.astimezone(zone).date(), time(), zone)


def compare(ours: Sequence[Ours], theirs: Sequence[Theirs], known: Collection[str]) -> Difference:
    """Compare; `known` are the idems of theirs that this node has given, confirmed or not, for whatever delivery."""
    there = {one.idem: one for one in theirs}
    missing = tuple(one for one in ours if one.idem not in there and not one.withdrawn)
    otherwise = tuple(
        one for one in ours if one.idem in there and there[one.idem].state != (WITHDRAWN if one.withdrawn else CURRENT)
    )
    return Difference(missing=missing, otherwise=otherwise, strange=sum(idem not in known for idem in there))


def by_day(ours: Sequence[Ours], missing: Sequence[Ours], zone: tzinfo) -> dict[date, tuple[int, int]]:
    """The number of ours, and of those missing, by the day of their confirmation."""
    all_ = Counter(one.confirmed.astimezone(zone).date() for one in ours)
    lost = Counter(one.confirmed.astimezone(zone).date() for one in missing)
    return {day: (count, lost[day]) for day, count in sorted(all_.items())}


def hindrance(found: Answered) -> str:
    """Why nothing that is missing is sent again by itself; "" where nothing speaks against it."""
    if not found.whole:
        return CUT
    if abs(found.ahead) > _AHEAD:
        return CLOCK
    if found.before is None:
        return BASELINE
    if found.held * 100 < found.before * _KEPT:
        return SHRUNK
    if any(lost >= _FEWER or lost * _SHARE >= ours for ours, lost in found.days.values() if lost):
        return MANY
    return ""


def unexplained(strange: int, usual: int) -> int:
    """How many exams are there that nothing explains: `usual` of them come from another sender, as at the first time.

    A gateway that sent before us, or another node beside us, has its share in every answer.
    """
    return max(strange - usual, 0)
