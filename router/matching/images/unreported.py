"""Studies that no exam JSON names: which of them count, whether they are unusually many, which sender fell silent."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from itertools import islice
from statistics import median

from router.policy.workdays import WorkClock

HISTORY_DAYS = 28
_PRIOR_AFTER = timedelta(days=14)
_LEAST_HISTORY = 7
_MANY_WITHOUT_HISTORY = 20
_NO_IMAGES = frozenset({"SR", "KO", "PR", "DOC", "SEG", "REG"})

_LEAST_STUDIES = 3
_SAME_DAY = timedelta(days=1)  # a study of the night may come after midnight
_GRACE = timedelta(hours=2)  # after midnight, and after others' first report
_EVENING, _EARLY_AFTERNOON = time(18), time(14)
_LEAST_PATIENCE = timedelta(hours=4)
_KNOWN_DAYS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A study here that no exam names. `study_date` is DA, "" where it has none.

    `sender` is the calling AE title, `address` its IP address, "" where the node did not keep it. `hospital` brought
    it, "" where none is certain.
    """

    study_uid: str
    sender: str
    address: str
    modality: str
    study_date: str
    came: datetime
    last: datetime
    hospital: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """Studies of one sender, hospital and study date that exams name.

    The first one came at `came`; at the hour `at` the first had both images and exam.
    """

    sender: str
    study_date: str
    came: datetime
    at: datetime
    hospital: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Limits of the count: [share] modalities and from, [study] unreported_after; the senders whose studies are
    dismissed, until when (None: without end); the studies that a rule of [[share.exclude]] excludes, with the rule."""

    modalities: frozenset[str]
    start: date | None
    after: timedelta
    dismissed: Mapping[str, datetime | None]
    excluded: Mapping[str, str] = field(default_factory=dict)

    def dismisses(self, one: Waiting) -> bool:
        """Whether a person has said that the study needs no report."""
        if one.sender not in self.dismissed:
            return False
        until = self.dismissed[one.sender]
        return until is None or one.came <= until


def passed_over(one: Waiting, scope: Scope, clock: WorkClock) -> str:
    """The reason why the study needs no report here; "" where it does. Without a date its day of arrival counts."""
    came = clock.local(one.came).date()
    day = day_of(one.study_date) or came
    if one.modality in _NO_IMAGES:
        return f"it has no images, only {one.modality}"
    if one.modality and one.modality not in scope.modalities:
        return f"modality {one.modality} is not in [share] modalities"
    if one.study_uid in scope.excluded:
        return scope.excluded[one.study_uid]
    if scope.start is not None and day < scope.start:
        return "its study date is before [share] from"
    if abs(came - day) > _PRIOR_AFTER:
        return f"a prior: its study date is more than {_PRIOR_AFTER.days} days from its arrival"
    return ""


def day_of(study_date: str) -> date | None:
    """A DA as a date; None when it is none."""
    try:
        return date(int(study_date[:4]), int(study_date[4:6]), int(study_date[6:8]))
    except ValueError:
        return None


def overdue(waiting: Sequence[Waiting], scope: Scope, clock: WorkClock) -> int:
    """The number of studies that need a report and have waited for longer than `scope.after`."""
    return sum(
        not passed_over(one, scope, clock) and not scope.dismisses(one) and clock.since(one.came) >= scope.after
        for one in waiting
    )


def too_many(number: int, history: Sequence[int]) -> str:
    """The reason why the number is unusual beside those of the last four weeks; "" where it is not."""
    if len(history) < _LEAST_HISTORY:
        return f"more than {_MANY_WITHOUT_HISTORY}" if number > _MANY_WITHOUT_HISTORY else ""
    usual = median(history)
    return f"more than twice the usual {usual:g}" if number > 2 * usual else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SilentDay:
    """A sender's studies of one date, all without a report; `first` and `third` are arrivals."""

    sender: str
    day: date
    studies: int
    first: datetime
    third: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Senders without any report of a day, each with its earliest such day; `ris`: no sender has reports."""

    senders: Mapping[str, SilentDay]
    ris: SilentDay | None


def silence(waiting: Sequence[Waiting], reported: Sequence[Reported], scope: Scope, clock: WorkClock) -> Silence:
    """The senders that fell silent, or the RIS where no other sender's report has come either."""
    reports = _Reports(reported)
    silent: dict[date, list[SilentDay]] = defaultdict(list)
    for one in _without_any(waiting, reports, scope, clock):
        silent[one.day].append(one)
    senders: dict[str, SilentDay] = {}
    ris: SilentDay | None = None
    for day in sorted(silent):
        # One silent sender is no sign of the RIS while others' reports come.
        several = len(silent[day]) > 1
        if day not in reports.of_day and (several or reports.of_others(silent[day][0]) is None):
            over = (one for one in silent[day] if clock.now >= _over(one.first, _EARLY_AFTERNOON, clock))
            ris = ris or next(over, None)
            continue
        for one in silent[day]:
            if _is_silent(one, reports, scope, clock):
                senders.setdefault(one.sender, one)
    return Silence(senders=senders, ris=ris)


class _Reports:
    """Reports that have come, by sender and day."""

    def __init__(self, reported: Sequence[Reported]) -> None:
        self._in_order = sorted(reported, key=lambda one: one.at)
        self.of_day: dict[date | None, list[Reported]] = defaultdict(list)
        self._of_sender: dict[str, list[Reported]] = defaultdict(list)
        for one in self._in_order:
            self.of_day[day_of(one.study_date)].append(one)
            self._of_sender[one.sender].append(one)

    def has(self, sender: str, day: date) -> bool:
        return any(one.sender == sender for one in self.of_day.get(day, ()))

    def of_others(self, one: SilentDay) -> datetime | None:
        """The time since which other senders' reports came: of the same day, or meanwhile."""
        begin = bisect_left(self._in_order, one.first, key=lambda other: other.at)
        meanwhile = islice(self._in_order, begin, None)
        others = (
            next((other.at for other in some if other.sender != one.sender), None)
            for some in (meanwhile, self.of_day.get(one.day, ()))
        )
        return min((at for at in others if at is not None), default=None)

    def waits(self, sender: str, clock: WorkClock) -> list[timedelta]:
        """The working time that the first report of each of the sender's days took."""
        days: dict[str, tuple[datetime, datetime]] = {}
        for one in self._of_sender.get(sender, ()):
            came, at = days.get(one.study_date, (one.came, one.at))
            days[one.study_date] = min(came, one.came), min(at, one.at)
        return [clock.until(at).since(came) for came, at in days.values()]


def _without_any(
    waiting: Sequence[Waiting], reports: _Reports, scope: Scope, clock: WorkClock
) -> Iterator[SilentDay]:  # fmt: skip
    """Days of senders with several studies, made and sent on that day, none of which has its report."""
    days: dict[tuple[str, date], list[datetime]] = defaultdict(list)
    for one in waiting:
        came = clock.local(one.came).date()
        day = day_of(one.study_date) or came
        if abs(came - day) <= _SAME_DAY and not scope.dismisses(one) and not passed_over(one, scope, clock):
            days[one.sender, day].append(one.came)
    for (sender, day), arrivals in days.items():
        if len(arrivals) >= _LEAST_STUDIES and not reports.has(sender, day):
            first, _, third, *_ = sorted(arrivals)
            yield SilentDay(sender=sender, day=day, studies=len(arrivals), first=first, third=third)


def _is_silent(one: SilentDay, reports: _Reports, scope: Scope, clock: WorkClock) -> bool:
    """Whether this sender's report is overdue, by its own habit or else by the end of the day, while others' have come
    for a while."""
    others = reports.of_others(one)
    if others is None or clock.now - others < _GRACE:
        return False
    waits = reports.waits(one.sender, clock)
    if len(waits) < _KNOWN_DAYS:
        return clock.now >= _over(one.third, _EVENING, clock)
    patience = max(_LEAST_PATIENCE, 2 * sorted(waits)[len(waits) // 2])
    return clock.since(one.third) >= min(patience, scope.after)


def _over(came: datetime, by: time, clock: WorkClock) -> datetime:
    """The end of the working day, with its grace: reports of studies that came before the hour `by` are due then."""
    local = clock.local(came)
    day = local.date() if local.time() < by else local.date() + timedelta(days=1)
    return datetime.combine(clock.days.from_(day) + timedelta(days=1), time(), clock.zone) + _GRACE
