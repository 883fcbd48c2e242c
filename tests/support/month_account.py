"""The rates and states of a simulated month, counted from its own log by the definitions of deliveries.md (The rates).

It shares no code with the product: it knows what was planned, what came and left at what time, and the two budgets.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
REPORT_WITHIN, IMAGES_WITHIN, QUIET = timedelta(hours=1), timedelta(hours=6), timedelta(seconds=60)
MINUTE = timedelta(minutes=1)
Interval = tuple[datetime, datetime]


@dataclass(kw_only=True)
class Life:
    """What happened to an exam: its versions (time, approval or None, an explicit word), its images, its confirmations.

    `kept_back`: a rule keeps it from being shared. `doubted`: report and images are of different patients. `refused`
    are the times of refusals, `retried` those of a person's retries. `critical`: the report says a critical value.
    """

    department: str
    modality: str
    kept_back: str = ""
    doubted: bool = False
    critical: bool = False
    images: int = 0
    arrived: list[datetime] = field(default_factory=list)
    versions: list[tuple[datetime, datetime | None]] = field(default_factory=list)
    reports: list[datetime] = field(default_factory=list)
    stored: list[datetime] = field(default_factory=list)
    taken_back: list[datetime] = field(default_factory=list)
    refused: list[datetime] = field(default_factory=list)
    retried: list[datetime] = field(default_factory=list)


@dataclass(kw_only=True)
class Figures:
    """The figures of a group."""

    exams: int = 0
    due: int = 0
    uploaded: int = 0
    report_on_time: int = 0
    images_on_time: int = 0
    on_time: int = 0
    first_time: int = 0
    states: Counter[str] = field(default_factory=Counter)
    report_took: Counter[int] = field(default_factory=Counter)
    images_took: Counter[int] = field(default_factory=Counter)


@dataclass(kw_only=True)
class Account:
    """Figures by day and by department, of all and of critical values; reasons of what waits and is kept back.

    `missed` is the number of exams that are not in time.
    """

    days: dict[str, Figures] = field(default_factory=lambda: defaultdict(Figures))
    departments: dict[str, Figures] = field(default_factory=lambda: defaultdict(Figures))
    total: Figures = field(default_factory=Figures)
    critical: Figures = field(default_factory=Figures)
    kept_back: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    missed: int = 0


def account(lives: Sequence[Life], stops: Sequence[Interval], pauses: Sequence[Interval], now: datetime) -> Account:
    """Count; during `stops` (the node is down, sending is paused) nothing is confirmed, `pauses` are the latter."""
    found = Account()
    for one in lives:
        if one.arrived or one.versions:
            _count(found, one, stops, any(begin <= now < end for begin, end in pauses), now)
    found.kept_back, found.waits = +found.kept_back, +found.waits
    return found


def _count(found: Account, one: Life, stops: Sequence[Interval], paused: bool, now: datetime) -> None:
    if not one.versions:
        groups = [found.days[_day(one.arrived[0])], found.departments[""], found.total]
        found.kept_back[one.kept_back] += bool(one.kept_back)
        _add(groups, "not shared" if one.kept_back else "unreported")
        return
    approvals = [approved for _, approved in one.versions if approved is not None]
    stands = one.versions[-1][1] is not None
    approved = approvals[-1] if approvals else None
    report = _first_since(one.reports, approved)
    images = _complete(one, stops, now)
    uploaded = bool(one.reports) and images is not None
    counts = approved is not None and (stands or uploaded) and not one.kept_back
    day = _day(approved if approved is not None and (stands or counts) else one.versions[0][0])
    groups = [found.days[day], found.departments[one.department], found.total]
    groups += [found.critical] if one.critical else []
    if one.kept_back:
        found.kept_back[one.kept_back] += 1
        _add(groups, "not shared")
        return
    if not counts or approved is None:
        _add(groups, "unreported")
        return
    if report is None and not stands and one.reports:
        report = one.reports[-1]
    report_due, images_due = approved + REPORT_WITHIN, approved + IMAGES_WITHIN
    report_met = report is not None and report <= report_due
    images_met = images is not None and images <= images_due
    state, why = _state(one, report, images, approved, paused, now)
    if why:
        found.waits[why] += 1
    over = (not report_met and now >= report_due) or (not images_met and now >= images_due)
    found.missed += not (report_met and images_met) and (over or state in ("late", "waits for a person"))
    first_time = uploaded and not any(report is None or at <= report for at in one.refused)
    for group in groups:
        group.due += 1
        group.uploaded += uploaded
        group.report_on_time += report_met
        group.images_on_time += images_met
        group.on_time += report_met and images_met
        group.first_time += first_time
        if report is not None and report >= approved:
            group.report_took[_step(report - approved)] += 1
        if images is not None and images >= approved:
            group.images_took[_step(images - approved)] += 1
    _add(groups, state)


def _add(groups: Sequence[Figures], state: str) -> None:
    for group in groups:
        group.exams += 1
        group.states[state] += 1


def _first_since(times: Sequence[datetime], approved: datetime | None) -> datetime | None:
    return next((at for at in times if approved is not None and at >= approved), None)


def _complete(one: Life, stops: Sequence[Interval], now: datetime) -> datetime | None:
    """When all images were confirmed: the last was stored, and none had come for a minute."""
    if not one.images or len(one.arrived) < one.images or len(one.stored) < one.images:
        return None
    at = max(*one.stored, max(one.arrived) + QUIET)
    for begin, end in sorted(stops):
        at = end if begin <= at < end else at
    return at if at <= now else None


def _state(
    one: Life, report: datetime | None, images: datetime | None, approved: datetime, paused: bool, now: datetime
) -> tuple[str, str]:
    """The state, and why it waits for a person."""
    report_due, images_due = approved + REPORT_WITHIN, approved + IMAGES_WITHIN
    done = report is not None and images is not None
    if report is not None and images is not None:
        late = report > report_due or images > images_due
    else:
        late = (report is None and now >= report_due) or (images is None and now >= images_due)
    found = [
        ("on time", "", done and not late),
        ("late", "", done),
        ("never came", "", not one.arrived and now >= images_due),
        ("waits for a person", "identity", one.doubted and bool(one.arrived)),
        ("waits for a person", "failed", report is None and len(one.refused) > len(one.retried)),
        ("waits for a person", "images-missing", not one.arrived and now >= approved + IMAGES_WITHIN / 2),
        ("paused", "", paused),
        ("late", "", late),
        ("on its way", "", True),
    ]
    return next((state, why) for state, why, holds in found if holds)


def _step(took: timedelta) -> int:
    """Minutes, rounded up: to 1 up to two hours, to 10 up to twelve, to hours up to a week, then to days."""
    minutes = max(math.ceil(took / MINUTE), 1)
    width = 1 if minutes <= 120 else 10 if minutes <= 720 else 60 if minutes <= 7 * 1440 else 1440
    return math.ceil(minutes / width) * width


def _day(at: datetime) -> str:
    return at.astimezone(ZONE).date().isoformat()


def plain(figures: Mapping[str, Figures]) -> dict[str, Figures]:
    """Without empty groups."""
    return {name: one for name, one in figures.items() if one.exams}
