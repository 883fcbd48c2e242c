"""Sources as they stand: each sender of images and each hospital's reports, what is usual, and which fell silent."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.config.hospitals import several_of
from router.config.sections import Config
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.matching.images.hospital import hospital_of_sender
from router.policy.sources import HISTORY, Habit, SilentSource, Source, missed, silent
from router.policy.workdays import Workdays
from router.review.decisions import OperatorReason
from router.review.unreported import subject_of, work_clock

_WINDOW = HISTORY + timedelta(days=2)
_REPORTS = "reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Senders of images (`sender CT1`) and reports (`reports`, `reports of renmin`), by name."""

    senders: Sequence[Source]
    reports: Sequence[Source]

    @property
    def all(self) -> Sequence[Source]:
        """Both."""
        return [*self.senders, *self.reports]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceLine:
    """A source for people: arrivals on a usual worked day, the last one, what was to be expected since then."""

    name: str
    usual: float
    last: datetime
    expected: float
    silent: bool
    dismissed: bool


def sources_of(catalogue: Catalogue, now: datetime, hospitals: Sequence[str] = ()) -> Sources:
    """Every source that has sent in the last four weeks, with what is of these hospitals or of all."""
    senders = catalogue.sources.senders(now - _WINDOW, hospitals)
    reports = catalogue.sources.reports(now - _WINDOW, hospitals)
    return Sources(
        senders=[replace(one, name=subject_of(one.name)) for one in senders],
        reports=[replace(one, name=_reports_of(one.name)) for one in reports],
    )  # fmt: skip


def hospital_of_source(name: str, config: Config) -> str:
    """The hospital that a source is of for certain: whose reports, or whose own sender; "" where there is one alone."""
    named = {_reports_of(one): one for one in several_of(config)}
    return named.get(name) or hospital_of_sender(name.removeprefix(subject_of("")), "", config)


def _reports_of(name: str) -> str:
    return f"reports of {name}" if name else _REPORTS


def silent_of(
    found: Sources, config: Config, days: Workdays, now: datetime, since: datetime
) -> list[SilentSource]:  # fmt: skip
    """Those that fell silent; `since` is when the node began to listen. Reports are missed only while images come."""
    clock = work_clock(config, days, now)
    images = [Habit(source=one, days=days, zone=clock.zone, until=now) for one in found.senders]
    quiet = silent(found.senders, clock, since)
    for one in found.reports:
        start = max(one.last, since)
        if not any(habit.came(start + timedelta(hours=1), now) for habit in images):
            continue
        expected = missed(Habit(source=one, days=days, zone=clock.zone, until=now), start, images, clock)
        if expected is not None:
            quiet.append(SilentSource(name=one.name, last=one.last, expected=expected))
    return quiet


def lines(
    config: Config, catalogue: Catalogue, days: Workdays, now: datetime, hospitals: Sequence[str] = ()
) -> list[SourceLine]:  # fmt: skip
    """Every source of these hospitals or of all, the silent ones first."""
    found = sources_of(catalogue, now, hospitals)
    standing = {one.subject for one in catalogue.alarms.of([Alarm.SILENT_SOURCE])}
    dismissed = {one.source for one in catalogue.sources.dismissed()}
    made = []
    for one in found.all:
        habit = Habit(source=one, days=days, zone=config.node.timezone, until=now)
        made.append(SourceLine(
            name=one.name, usual=habit.usual, last=one.last, expected=habit.expected(one.last, now),
            silent=one.name in standing, dismissed=one.name in dismissed,
        ))  # fmt: skip
    return sorted(made, key=lambda one: (not one.silent, one.name))


def dismiss_source(
    catalogue: Catalogue, bus: EventBus, clock: Clock, name: str, reason: OperatorReason
) -> str:  # fmt: skip
    """Do not wait for a source until it sends again; its name. InvalidData where there is none of this name."""
    now = clock.now()
    standing = {one.subject for one in catalogue.alarms.of([Alarm.SILENT_SOURCE])}
    known = {one.name for one in sources_of(catalogue, now).all} | standing
    source = next((one for one in (name, subject_of(name)) if one in known), None)
    if source is None:
        raise InvalidData("no such source has sent in the last four weeks", hint="see `scripts/queue sources`")
    with catalogue.engine.write():
        catalogue.sources.dismiss(source, reason.why, reason.who, now)
        text = f"{source} is not waited for until it sends again: {reason.why}"
        bus.record(Event(now, Kind.DECIDED, text, who=reason.who, subject=source))
        over = f"dismissed by {reason.who}"
        bus.record(Event(now, Kind.CLEARED, over, alarm=Alarm.SILENT_SOURCE, subject=source))
    return source
