"""Images without a report, as people see them: counted, listed by their senders, and dismissed."""

import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.clock import Clock
from router.config.hospitals import HospitalConfigs
from router.config.sections import Config
from router.correlator.holidays import Holidays
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.matching.exam.share import aside, share_policy
from router.matching.images.unreported import Scope, Waiting, passed_over
from router.policy.workdays import WorkClock, Workdays
from router.review.decisions import OperatorReason

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """Studies that no exam names: how many, how many of them are to get a report yet (`recent`), when the oldest came,
    and how many each sender has, the most first."""

    count: int
    recent: int
    oldest: datetime | None
    by_sender: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A study that no exam names. `working_days` is its age; `passed_over` why it is not recent, "" where it is."""

    study: Waiting
    modalities: tuple[str, ...]
    instances: int
    working_days: float
    passed_over: str
    dismissed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SenderSum:
    """Studies of a sender without a report: `recent` of them are to get one yet, the oldest is `working_days` old."""

    sender: str
    addresses: tuple[str, ...]
    studies: int
    recent: int
    working_days: float
    dismissed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the studies, how many there are in all, and all of their senders, the most studies first."""

    listed: tuple[Listed, ...]
    count: int
    senders: tuple[SenderSum, ...]


Scopes = Callable[[str], Scope]
"""The rules by which studies of a hospital count as recent."""


def scopes_of(config: Config, catalogue: Catalogue) -> Scopes:
    """The rules of each hospital; of "", studies of no certain hospital, the common ones."""
    configs = HospitalConfigs(config)

    @functools.cache
    def scope(hospital: str) -> Scope:
        return scope_of(configs.of(hospital) if hospital else configs.of_shared, catalogue)

    return scope


def scope_of(config: Config, catalogue: Catalogue) -> Scope:
    """The rules by which studies count as recent."""
    policy = share_policy(config)
    start = policy.start.astimezone(config.node.timezone).date() if policy.start else None
    dismissed = {one.sender: one.until for one in catalogue.unreported.dismissals()}
    # The header is all that such a study has.
    by_header = replace(policy, start=None, exclude=tuple(r for r in policy.exclude if r.fields and not r.sayings))
    headers = catalogue.unreported.headers() if by_header.exclude else {}
    away = {uid: aside(by_header, some, frozenset(), None) for uid, some in headers.items()}
    return Scope(
        modalities=policy.modalities, start=start, after=config.study.unreported_after, dismissed=dismissed,
        excluded={uid: one.why for uid, one in away.items() if one is not None},
    )  # fmt: skip


def work_clock(config: Config, days: Workdays, now: datetime) -> WorkClock:
    """Working time by the hospital's clock."""
    return WorkClock(days=days, zone=config.node.timezone, now=now)


def _waiting(catalogue: Catalogue, hospital: str | None) -> list[Waiting]:
    return [one for one in catalogue.unreported.waiting() if hospital in (None, one.hospital)]


def counted(config: Config, catalogue: Catalogue, now: datetime, hospital: str | None = None) -> Counted:
    """Count the studies without a report, of the hospital or of all, by their rows alone."""
    waiting, scope = _waiting(catalogue, hospital), scopes_of(config, catalogue)
    clock = WorkClock(days=Workdays(), zone=config.node.timezone, now=now)
    senders = Counter(one.sender for one in waiting)
    return Counted(
        count=len(waiting), recent=sum(not passed_over(one, scope(one.hospital), clock) for one in waiting),
        oldest=waiting[0].came if waiting else None,
        by_sender=tuple(sorted(senders.items(), key=lambda item: (-item[1], item[0]))),
    )  # fmt: skip


def listed(
    config: Config, catalogue: Catalogue, now: datetime, *, sender: str | None = None, older: timedelta = timedelta(0),
    hospital: str | None = None,
) -> list[Listed]:  # fmt: skip
    """Studies of the sender that have been here for so much working time, the oldest first; None: of all senders.

    Likewise of the hospital.
    """
    clock = work_clock(config, Holidays(config.study.holidays).reading().days, now)
    found = [
        one for one in _waiting(catalogue, hospital)
        if sender in (None, one.sender) and clock.since(one.came) >= older
    ]  # fmt: skip
    return _listed(config, catalogue, found, clock)


def page(
    config: Config, catalogue: Catalogue, now: datetime, start: int, most: int, hospitals: tuple[str, ...] = ()
) -> Page:  # fmt: skip
    """The studies of these hospitals, where none is named of all, from the `start`-th oldest on, `most` at most.

    Only these are counted by their instances.
    """
    clock = work_clock(config, Holidays(config.study.holidays).reading().days, now)
    waiting, scope = _waiting(catalogue, None), scopes_of(config, catalogue)
    waiting = [one for one in waiting if not hospitals or one.hospital in hospitals]
    senders: dict[str, list[Waiting]] = defaultdict(list)
    for one in waiting:
        senders[one.sender].append(one)
    sums = [
        SenderSum(
            sender=sender, addresses=tuple(dict.fromkeys(one.address for one in some)), studies=len(some),
            recent=sum(not passed_over(one, scope(one.hospital), clock) for one in some),
            working_days=round(clock.since(some[0].came) / _DAY, 1),
            dismissed=all(scope(one.hospital).dismisses(one) for one in some),
        )
        for sender, some in senders.items()
    ]  # fmt: skip
    return Page(
        listed=tuple(_listed(config, catalogue, waiting[start : start + most], clock)), count=len(waiting),
        senders=tuple(sorted(sums, key=lambda one: (-one.studies, one.sender))),
    )  # fmt: skip


def listed_study(config: Config, catalogue: Catalogue, study_uid: str, now: datetime) -> Listed | None:
    """One study; None where it is not here, or an exam names it."""
    found = catalogue.unreported.waiting_of(study_uid)
    clock = work_clock(config, Holidays(config.study.holidays).reading().days, now)
    return _listed(config, catalogue, [found], clock)[0] if found else None


def _listed(config: Config, catalogue: Catalogue, found: Sequence[Waiting], clock: WorkClock) -> list[Listed]:
    contents = catalogue.unreported.contents([one.study_uid for one in found])
    scope = scopes_of(config, catalogue)
    return [
        Listed(
            study=one, modalities=holds.modalities, instances=holds.instances,
            working_days=round(clock.since(one.came) / _DAY, 1),
            passed_over=passed_over(one, scope(one.hospital), clock),
            dismissed=scope(one.hospital).dismisses(one),
        )
        for one in found if (holds := contents.get(one.study_uid)) is not None
    ]  # fmt: skip


def subject_of(sender: str) -> str:
    """The subject by which alarms name a sender."""
    return f"sender {sender}"


def of_hospital(subject: str, hospital: str) -> str:
    """The subject of an alarm about what is missing of one of several hospitals; "" for the subject itself."""
    return f"{subject} of {hospital}" if hospital else subject


def dismiss(catalogue: Catalogue, bus: EventBus, clock: Clock, sender: str, reason: OperatorReason) -> int:
    """Enter that the sender's studies need no report; how many are here. InvalidData when there is none.

    They raise no alarm, nor do later ones until one of them gets its report.
    """
    now = clock.now()
    here = sum(one.sender == sender for one in catalogue.unreported.waiting())
    if not here:
        raise InvalidData("no study of this sender lacks its report", hint="see `scripts/queue unreported`")
    with catalogue.engine.write():
        catalogue.unreported.dismiss(sender, reason.why, reason.who, now)
        text = f"studies of {sender} need no report: {reason.why}"
        bus.record(Event(now, Kind.DECIDED, text, who=reason.who, subject=subject_of(sender)))
        for one in catalogue.alarms.of([Alarm.UNREPORTED]):
            if one.subject == of_hospital(subject_of(sender), one.hospital):
                over = f"dismissed by {reason.who}"
                bus.record(Event(now, Kind.CLEARED, over, alarm=one.alarm, subject=one.subject))
    return here
