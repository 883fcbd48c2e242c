"""Comparison with a destination (对账): what it lacks, what it has beside, and whether that is sent again by itself.

Pure decisions. An answer that is empty, incomplete or of another time must not send a month again: a platform may write
to each patient.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
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
ELSEWHERE = N_("there under another UID, it seems")
FEWER = N_("fewer are there, and it does not say which")
UNCOMMITTED = N_("it does not commit to keeping them, and does not say that they are not there")
AGAIN = N_("sent again before, and still not found")
MANY = N_("on one day 50 or more are missing, or 1 % or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """An exam's revision as a platform has it; `state`: "current", "superseded" or "withdrawn"."""

    idem: str
    revision: int
    receipt: str
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Confirmed:
    """A delivery that a destination has confirmed, by its numbers. `goes_again`: it is on its way again already."""

    delivery: int
    exam: int
    confirmed: datetime
    goes_again: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours(Confirmed):
    """The last revision of an exam that a platform has confirmed: an upload of a delivery.

    `withdrawn`: the platform has also confirmed its withdrawal.
    """

    upload: int
    revision: int
    idem: str
    withdrawn: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class OurImages(Confirmed):
    """An exam's images that a destination has confirmed: its studies by UID, and how many instances of each.

    `again` are the studies of which a comparison has had some sent again. `lost` are the ledger rows of instances that
    the destination does not have, `why` is the reason where these are not to be sent again.
    """

    studies: Mapping[str, int]
    again: frozenset[str] = frozenset()
    lost: tuple[int, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SentInstance:
    """An instance that a destination has taken; `key`: its ledger row. `again`: a comparison had it sent again."""

    key: int
    series_uid: str
    sop_uid: str
    again: bool = False
    sop_class: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyThere:
    """A study as a destination has it: ledger rows of `lost` instances, the number of those that are not from here."""

    lost: tuple[int, ...] = ()
    why: str = ""
    beside: int = 0
    whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference between what was confirmed and what a destination says.

    `missing` it does not have, `otherwise` it has in another state than the last that it confirmed, `strange` is the
    number of those that it has and that were never sent from here.
    """

    missing: tuple[Confirmed, ...] = ()
    otherwise: tuple[Confirmed, ...] = ()
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


def judge_study(
    sent: Sequence[SentInstance], listed: Collection[str], instances: int | None, *, whole: bool = True
) -> StudyThere:  # fmt: skip
    """Judge a study that a destination has, `instances` by its own count, of which it lists these instances.

    `whole`: it lists all that it has. An instance that is not found after it went again does not go a third time:
    the destination keeps it under another UID, or not at all.
    """
    if not whole:
        fewer = instances is not None and instances < len(sent)
        return StudyThere(lost=tuple(one.key for one in sent), why=FEWER) if fewer else StudyThere(whole=False)
    lost = [one for one in sent if one.sop_uid not in listed]
    beside = max((instances or 0) - (len(sent) - len(lost)), 0)
    if lost and len(lost) == len(sent) <= beside:
        return StudyThere(lost=tuple(one.key for one in lost), why=ELSEWHERE, beside=beside)
    first = tuple(one.key for one in lost if not one.again)
    why = AGAIN if lost and not first else ""
    return StudyThere(lost=first or tuple(one.key for one in lost), why=why, beside=beside)


def judge_images(ours: Sequence[OurImages], there: Mapping[str, StudyThere]) -> Difference:
    """The difference of images, by exam; `there` are the studies that do not simply have as many as were taken."""
    missing, otherwise = list[Confirmed](), list[Confirmed]()
    for one in ours:
        found = [there[uid] for uid in one.studies if uid in there]
        lost = tuple(key for study in found if not study.why for key in study.lost)
        why = next((study.why for study in found if study.why), "")
        if lost:
            missing.append(replace(one, lost=lost))
        elif why:
            kept = tuple(key for study in found for key in study.lost)
            otherwise.append(replace(one, lost=kept, why=why))
    return Difference(
        missing=tuple(missing), otherwise=tuple(otherwise), strange=sum(one.beside for one in there.values())
    )


def by_day(ours: Sequence[Confirmed], missing: Sequence[Confirmed], zone: tzinfo) -> dict[date, tuple[int, int]]:
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
