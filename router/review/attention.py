"""The list of what waits for a person, and the alarms that report it."""

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from router.alarms import REMEDY, Alarm, waits_for_a_person
from router.catalogue import Catalogue
from router.catalogue.node.alarms import ActiveAlarm, Standing, folded
from router.catalogue.queue.attention import Unread
from router.catalogue.queue.backlog import Place
from router.catalogue.queue.breakers import OpenBreaker
from router.clock import Clock
from router.config.hospitals import UNREGISTERED
from router.config.sections import Config
from router.errors import PASSING
from router.events import Event, EventBus, Kind
from router.matching.exam.approval import Part, shown_word
from router.model import Channel
from router.policy.account import at
from router.policy.attention import ALARM_OF, SAYS, Attention, Cause, Stuck, command_of, judge

_COMMAND = re.compile(r"`((?:scripts/)?[a-z]+(?: [^`]*)?)`")
_POISON = "quarantine "  # the beginning of the subject of what is set apart as poison
_LEDGER = "ledger"
# Raised by the list alone: one that is not in the list any more is over.
_RAISED_HERE = frozenset(
    {Alarm.APPROVAL, Alarm.EXAM_JSON, Alarm.HELD, Alarm.FAILED, Alarm.NOT_CONFIGURED, Alarm.QUARANTINE, Alarm.LEDGER}
)
# Whole commands for remedies that name none, or one for another place.
_COMMANDS: Mapping[Alarm, str] = {
    Alarm.DISK: "scripts/status",
    Alarm.DROP_FOLDER: "scripts/doctor",
    Alarm.DROPPED_FILE: "scripts/doctor",
    Alarm.IMAGES_MISSING: "scripts/queue explain",
    Alarm.SETTINGS: "scripts/doctor",
    Alarm.CRYPTO: "scripts/doctor",
    Alarm.CERTIFICATE: "scripts/doctor",
    Alarm.PROFILE: "scripts/doctor",
    Alarm.CLOCK: "scripts/doctor",
    Alarm.DEFECT: "scripts/doctor",
    Alarm.DATABASE: "scripts/backup list",
    Alarm.INTEGRITY: "scripts/backup list",
    Alarm.POISON: "scripts/quarantine list",
}
_OF_AN_EXAM = frozenset({"scripts/queue explain", "scripts/queue compare"})
_LIST = "scripts/queue list --attention"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that the list is made of; `quarantined` names the folders of quarantine/."""

    places: Sequence[Place]
    deliveries: Sequence[Stuck]
    unread: Sequence[Unread]
    alarms: Sequence[Standing]
    tripped: Sequence[OpenBreaker]
    quarantined: Sequence[str]


FolderOwners = Callable[[], Mapping[str, str]]
"""Gives the hospitals of folders in quarantine by their names, without those of which nothing tells."""


@dataclass(frozen=True, slots=True)
class _Owners:
    """The hospitals of all that facts are about: of exams by number, of folders in quarantine by name."""

    exams: Mapping[int, str]
    folders: Mapping[str, str]


@dataclass(slots=True)
class _Group:
    """Counts of one entry; `about` says more where all that is counted agrees."""

    since: datetime
    about: str = ""
    exams: dict[int, None] = field(default_factory=dict)
    deliveries: dict[int, None] = field(default_factory=dict)

    def add(self, exam: int, deliveries: Iterable[int], since: datetime) -> None:
        self.since = min(self.since, since)
        self.exams[exam] = None
        self.deliveries.update(dict.fromkeys(deliveries))


def look(
    catalogue: Catalogue, places: Sequence[Place], quarantine: Path, now: datetime, hospitals: tuple[str, ...] = (),
    owners: FolderOwners = dict,
) -> list[Attention]:  # fmt: skip
    """The list as it is now, of these hospitals; where none is named, of all that there is.

    `places` are the configured ones, `quarantine` the node's own folder, of which `owners` says whose each part is.
    """
    with catalogue.engine.read():
        facts = _facts(catalogue, places, quarantine)
        if hospitals:
            facts = _only(facts, _whose(facts, catalogue, owners, UNREGISTERED), hospitals)
    return listed(facts, now)


def look_by_hospital(
    catalogue: Catalogue, places: Sequence[Place], quarantine: Path, now: datetime, owners: FolderOwners = dict
) -> dict[str, list[Attention]]:
    """The list of each hospital that has anything in it; of "" what is of none alone."""
    with catalogue.engine.read():
        facts = _facts(catalogue, places, quarantine)
        of = _whose(facts, catalogue, owners)
    names = dict.fromkeys(["", *of.exams.values(), *of.folders.values(), *(one.hospital for one in facts.alarms)])
    names |= dict.fromkeys(one.account for one in facts.tripped)
    return {name: listed(_only(facts, of, (name,)), now) for name in names}


def _facts(catalogue: Catalogue, places: Sequence[Place], quarantine: Path) -> Facts:
    return Facts(
        places=places,
        deliveries=catalogue.open_deliveries.deliveries({(one.destination, one.channel) for one in places}),
        unread=catalogue.open_deliveries.unread(),
        alarms=catalogue.alarms.standing(),
        tripped=catalogue.breakers.tripped(),
        quarantined=quarantined(quarantine),
    )


def of_hospitals(catalogue: Catalogue, hospitals: tuple[str, ...]) -> Sequence[Standing]:
    """Alarms that concern one of these hospitals alone; where none is named, all."""
    standing = catalogue.alarms.standing()
    if not hospitals:
        return standing
    of = catalogue.exams.hospitals({one.exam for one in standing if one.exam is not None})
    return [one for one in standing if _is_of(one, of, hospitals)]


def _whose(facts: Facts, catalogue: Catalogue, owners: FolderOwners, nobody: str = "") -> _Owners:
    """The hospitals of all that the facts are about; `nobody` names that of folders of which nothing tells."""
    about = {one.exam for one in facts.deliveries} | {one.exam for one in facts.unread}
    about |= {one.exam for one in facts.alarms if one.exam is not None}
    known = owners() if facts.quarantined else {}
    return _Owners(catalogue.exams.hospitals(about), {name: known.get(name, nobody) for name in facts.quarantined})


def _only(facts: Facts, of: _Owners, hospitals: tuple[str, ...]) -> Facts:
    """The facts that are of one of the hospitals; of "" those that are of none alone."""
    return replace(
        facts, deliveries=[one for one in facts.deliveries if of.exams.get(one.exam, "") in hospitals],
        unread=[one for one in facts.unread if of.exams.get(one.exam, "") in hospitals],
        alarms=[one for one in facts.alarms if _is_of(one, of.exams, hospitals)],
        tripped=[one for one in facts.tripped if one.account in hospitals],
        quarantined=[name for name in facts.quarantined if of.folders.get(name, "") in hospitals],
    )  # fmt: skip


def _is_of(one: Standing, of: Mapping[int, str], hospitals: tuple[str, ...]) -> bool:
    """Whether it concerns one of the hospitals, or ("") none alone; those of before several have only their exam."""
    whose = one.hospital or ("" if one.exam is None else of.get(one.exam, ""))
    return whose in hospitals


def places_of(config: Config) -> list[Place]:
    """Every destination and channel that is configured, with its budget."""
    return [
        Place(one.name, channel, one.report_within if channel == Channel.REPORT else one.images_within)
        for one in config.destination
        for channel in one.channels
    ]


def quarantined(folder: Path) -> list[str]:
    """The names of the folders there, the oldest first."""
    return sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def listed(facts: Facts, now: datetime) -> list[Attention]:
    """One entry for each cause and destination, and for each alarm that a person ends, the oldest first."""
    found = [*_of_approvals(facts.unread), *_of_deliveries(facts, now)]
    refused = [(one.destination, one.breaker.since) for one in facts.tripped if one.breaker.outage not in PASSING]
    found += [_entry(Cause.ACCOUNT, name, _Group(since) if since else None, count=1) for name, since in refused]
    poison = {one.subject for one in facts.alarms if one.alarm == Alarm.POISON}
    kept = [name for name in facts.quarantined if f"{_POISON}{name}" not in poison]
    if kept:
        found.append(_entry(Cause.QUARANTINE, "", count=len(kept)))
    found += _of_alarms(facts.alarms, found)
    return sorted(found, key=lambda one: (one.since is None, one.since or now))


def tallied(entries: Iterable[Attention]) -> dict[tuple[str, str], int]:
    """How many wait, by cause and destination."""
    counts: dict[tuple[str, str], int] = {}
    for one in entries:
        counts[one.what, one.destination] = counts.get((one.what, one.destination), 0) + one.count
    return counts


def _of_deliveries(facts: Facts, now: datetime) -> list[Attention]:
    within = {(one.destination, one.channel): one.within for one in facts.places}
    unread = {one.exam for one in facts.unread}
    groups: dict[tuple[Cause, str], _Group] = {}
    for one in facts.deliveries:
        cause = judge(one, within.get((one.destination, one.channel)), now)
        # A hold for an approval that cannot be read is in the approval's own entry.
        if isinstance(cause, Cause) and not (cause == Cause.WITHDRAWN and one.exam in unread):
            since = max(one.changed, one.approved_at or one.changed)
            group = groups.setdefault((cause, one.destination), _Group(since))
            if cause == Cause.REFUSED and one.error and group.about != one.error:
                # The reason of the first, which is in the node's own words and without patient data.
                more = f"the first: {group.about.removeprefix('the first: ')}"
                group.about = more if group.about else one.error
            group.add(one.exam, [one.id], since)
    return [_entry(cause, destination, group) for (cause, destination), group in groups.items()]


def _of_approvals(unread: Iterable[Unread]) -> list[Attention]:
    groups: dict[str, _Group] = {}
    for one in unread:
        about = f"{one.source}: Order.Status {shown_word(one.approval.word)}"  # no patient data
        if one.approval.part == Part.TIME:
            about = f"{one.source}: Report.ApproveTime"
        groups.setdefault(about, _Group(one.since, about)).add(one.exam, one.deliveries, one.since)
    return [_entry(Cause.APPROVAL, "", group) for group in groups.values()]


def _entry(cause: Cause, destination: str, group: _Group | None = None, *, count: int = 0) -> Attention:
    exams = tuple(group.exams) if group else ()
    return Attention(
        what=cause, says=SAYS[cause], count=count or len(exams), command=command_of(cause, destination, exams),
        destination=destination, since=group.since if group else None, exams=exams,
        deliveries=tuple(group.deliveries) if group else (), about=group.about if group else "",
    )  # fmt: skip


def _of_alarms(alarms: Iterable[Standing], counted: Iterable[Attention]) -> list[Attention]:
    """Entries of the alarms that a person ends, without what other entries count."""
    covered: dict[Alarm, set[int]] = defaultdict(set)  # the exams that are counted under an alarm's causes
    for entry in counted:
        if (alarm := ALARM_OF[Cause(entry.what)]) is not None:
            covered[alarm].update(entry.exams)
    groups: dict[tuple[Alarm, str], list[Standing]] = {}
    for one in alarms:
        counted_already = is_raised_here(one) or one.exam in covered[one.alarm]
        if waits_for_a_person(one.alarm) and not counted_already:
            groups.setdefault((one.alarm, one.destination), []).append(one)
    return [_of_alarm(group) for group in groups.values()]


def _of_alarm(group: Sequence[Standing]) -> Attention:
    first = group[0]
    exams = tuple(dict.fromkeys(one.exam for one in group if one.exam is not None))
    deliveries = tuple(dict.fromkeys(one.delivery for one in group if one.delivery is not None))
    return Attention(
        what=first.alarm, says=first.text, count=len(group), command=command_for(first.alarm, exams),
        destination=first.destination, since=min(one.since for one in group), exams=exams, deliveries=deliveries,
    )  # fmt: skip


def command_for(alarm: Alarm, exams: Sequence[int]) -> str:
    """The whole command that an alarm's remedy names, with the exam's name where the alarm is about one exam."""
    named = _COMMAND.search(REMEDY[alarm])
    command = _COMMANDS.get(alarm) or (f"scripts/{named[1].removeprefix('scripts/')}" if named else "scripts/status")
    if command in _OF_AN_EXAM:
        return f"{command} e{exams[0]}" if len(exams) == 1 else _LIST
    return command


# -- alarms


def active(alarms: Iterable[Standing], entries: Sequence[Attention]) -> list[ActiveAlarm]:
    """The alarms folded; an alarm about entries of the list counts what they count, and names their exams."""
    about: dict[tuple[Alarm | None, str], list[Attention]] = defaultdict(list)
    for entry in entries:
        if entry.what in _CAUSES:
            about[ALARM_OF[Cause(entry.what)], entry.destination].append(entry)
    found = []
    for one in folded(alarms):
        mine = about[one.alarm, one.destination]
        exams = tuple(dict.fromkeys([*one.exams, *(exam for entry in mine for exam in entry.exams)]))
        count = max(one.count, len(exams), sum(entry.count for entry in mine))
        found.append(replace(one, count=count, exams=exams))
    return found


def is_raised_here(one: Standing) -> bool:
    """Whether it is an alarm that the list itself has raised, or would."""
    return one.alarm in _RAISED_HERE or one.subject.partition(" at ")[0] in _CAUSES


_CAUSES = frozenset(map(str, Cause))


def alarms_of(
    lists: Mapping[str, Iterable[Attention]], standing: Collection[Standing], now: datetime
) -> list[Event]:  # fmt: skip
    """Events that raise the alarms of the lists, one for each cause, destination and hospital, then those that end.

    `lists` are those of the hospitals by name; "" is what is of none alone, or all where there is one hospital.
    """
    told = {(one.alarm, one.exam) for one in standing if one.exam is not None}
    wanted: dict[tuple[Alarm, str], Event] = {}
    due: set[tuple[Alarm, str]] = set()
    counted: set[tuple[Alarm, str]] = set()  # for whichever hospital
    for hospital, one in ((hospital, one) for hospital, entries in lists.items() for one in entries):
        alarm = ALARM_OF[Cause(one.what)] if one.what in _CAUSES else None
        if alarm is not None:
            place = (alarm, at(_subject(one), hospital))
            due.add(place)
            counted.add((alarm, _subject(one)))
            if not any((alarm, exam) in told for exam in one.exams):
                wanted[place] = _raised(one, alarm, hospital, now)
    if (Alarm.LEDGER, _LEDGER) in counted:  # what lost it may have raised an alarm, which says more
        due.add((Alarm.LEDGER, _LEDGER))
    stands = {(one.alarm, one.subject): one for one in standing}
    over = [(place, one) for place, one in stands.items() if is_raised_here(one) and place not in due]
    ends = [_over(one, now, by_hospital=place in counted) for place, one in over]
    return [event for place, event in wanted.items() if place not in stands] + ends


def _subject(one: Attention) -> str:
    """The subject of an alarm of all hospitals."""
    if one.what == Cause.LEDGER:
        return _LEDGER
    return f"{one.what} at {one.destination or one.about or 'node'}"


def _raised(one: Attention, alarm: Alarm, hospital: str, now: datetime) -> Event:
    text, subject = f"{one.says} ({one.about})" if one.about else one.says, at(_subject(one), hospital)
    return Event(now, Kind.ALARM, text, alarm=alarm, subject=subject, fields=_fields(one.destination, hospital))


def _over(one: Standing, now: datetime, *, by_hospital: bool) -> Event:
    fields = _fields(one.destination, one.hospital)
    text = "nothing waits for a person any more for this cause"
    if by_hospital:
        text = "what waits for a person is counted by hospital"
    return Event(now, Kind.CLEARED, text, exam=one.exam, alarm=one.alarm, subject=one.subject, fields=fields)


def _fields(destination: str, hospital: str) -> dict[str, str]:
    return {name: value for name, value in (("destination", destination), ("hospital", hospital)) if value}


@dataclass(slots=True)
class AttentionAlarms:
    """Keeps the alarms in line with the lists; `step` is called by the one node that has the duty."""

    catalogue: Catalogue
    bus: EventBus
    clock: Clock
    look: Callable[[datetime], Mapping[str, Sequence[Attention]]]

    def step(self) -> None:
        """Raise what is new, and end what is over."""
        now = self.clock.now()
        lists = self.look(now)
        for event in alarms_of(lists, self.catalogue.alarms.standing(), now):
            self.bus.record(event)
