"""Refusals of senders and images: added up as they happen, written in batches, and their alarms."""

import threading
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self
from zoneinfo import ZoneInfo

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.node.alarms import Standing
from router.catalogue.node.refusals import (
    ASSOCIATIONS,
    IMAGES,
    OTHERS,
    Batch,
    RefusalCount,
    RefusedInstance,
    RefusedSender,
)
from router.catalogue.node.refusals import MOST_INSTANCES as MOST_MISSING
from router.catalogue.node.refusals import Refusals as Rows
from router.clock import Clock
from router.config.sections import Config
from router.dicom.scp.store import Received, Refused
from router.events import Event, EventBus, Kind
from router.matching.images.hospital import hospital_of_sender
from router.refusals import NO_ROOM, WHYS, Why, meaning, sender

MOST_KEYS, MOST_INSTANCES = 2000, 5000  # in one batch
MOST_ALARMS = 50  # of a kind; further senders are one alarm
SILENCE = timedelta(hours=24)
PATIENCE = timedelta(minutes=10)  # before a passing trouble is one, and between two texts of an alarm
DISMISSED_FOR = timedelta(days=7)
_ROUND_SECONDS, _PAUSE = 10.0, 2.0
_TIDY_SECONDS = 3600.0
_PASSING = frozenset({Why.FULL, Why.SENDER_FULL, Why.SLOW})
_ALARMING = _PASSING | {Why.SENDER, Why.CALLED, Why.CERTIFICATE, Why.TLS, Why.PROTOCOL}
_ALARMS = {ASSOCIATIONS: Alarm.REFUSED_SENDER, IMAGES: Alarm.REFUSED_IMAGES}
_OTHERS = "other senders"


def kind_of(code: str) -> str:
    """The kind of RefusedSender that a refusal makes; "" for none: lack of room is the alarm `disk`."""
    if code in WHYS:
        return ASSOCIATIONS if code in _ALARMING else ""
    return "" if code == NO_ROOM else IMAGES


# -- adding up


@dataclass(slots=True, kw_only=True)
class _Tally:
    called: str
    why: str
    reason: str
    first: datetime
    last: datetime
    count: int = 0
    untracked: int = 0

    @classmethod
    def begun(cls, one: Refused, now: datetime) -> Self:
        """A tally with nothing counted yet."""
        return cls(called=one.called_ae, why=one.code, reason=one.reason, first=now, last=now)

    def add(self, one: Refused, now: datetime, *, untracked: bool = False) -> None:
        self.called, self.why, self.reason, self.last = one.called_ae, one.code, one.reason, now
        self.count += 1
        self.untracked += untracked


@dataclass(slots=True, kw_only=True)
class Gathering:
    """Refusals since the last batch; bounded, however many they are. Days are by the clock of `zone`."""

    zone: ZoneInfo
    _counts: dict[tuple[str, ...], _Tally] = field(default_factory=dict)
    _senders: dict[tuple[str, str, str], _Tally] = field(default_factory=dict)
    _instances: dict[tuple[str, str, str], datetime] = field(default_factory=dict)
    _stored: dict[tuple[str, str], datetime] = field(default_factory=dict)
    _came: dict[str, datetime] = field(default_factory=dict)

    def refused(self, one: Refused, now: datetime) -> None:
        """Add a refusal."""
        if one.code == Why.IDLE:  # nothing was on its way
            return
        day = now.astimezone(self.zone).date().isoformat()
        key = (day, one.calling_ae, one.address, one.called_ae, one.code, one.study)
        if key not in self._counts and len(self._counts) >= MOST_KEYS:
            key = (day, OTHERS, "", "", one.code, "")
        self._counts.setdefault(key, _Tally.begun(one, now)).add(one, now)
        if kind := kind_of(one.code):
            untracked = kind == IMAGES and not self._track(one, now)
            who = kind, one.calling_ae, one.address
            if who not in self._senders and len(self._senders) >= MOST_KEYS:
                who = kind, OTHERS, ""
            self._senders.setdefault(who, _Tally.begun(one, now)).add(one, now, untracked=untracked)

    def _track(self, one: Refused, now: datetime) -> bool:
        if not one.sop or len(self._instances) >= MOST_INSTANCES:
            return False
        self._instances[one.sop, one.calling_ae, one.address] = now
        self._came.pop(one.sop, None)
        return True

    def stored(self, one: Received, now: datetime, *, awaited: bool) -> None:
        """A sender that had been refused stored an image; `awaited`: that very one had been refused."""
        self._stored[one.calling_ae, one.address] = now
        if awaited:
            self._came[one.uids.sop] = now

    def batch(self) -> Batch:
        """Everything that was added."""
        return Batch(
            counts=[
                RefusalCount(day=day, calling=calling, address=address, called=called, why=why, study_uid=study,
                             reason=one.reason, count=one.count, first=one.first, last=one.last)
                for (day, calling, address, called, why, study), one in self._counts.items()
            ],
            senders=[
                RefusedSender(kind=kind, calling=calling, address=address, called=one.called, why=one.why,
                              reason=one.reason, count=one.count, untracked=one.untracked, first=one.first,
                              last=one.last)
                for (kind, calling, address), one in self._senders.items()
            ],
            instances=[RefusedInstance(*key, at) for key, at in self._instances.items()],
            stored=dict(self._stored), came=dict(self._came),
        )  # fmt: skip

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added."""
        return not (self._counts or self._stored)


class RefusalRecorder:
    """Keeps the server's refusals. Several threads call `refused` and `stored`, which never wait for the database."""

    def __init__(self, rows: Rows, zone: ZoneInfo, clock: Clock) -> None:
        self._rows = rows
        self._zone = zone
        self._clock = clock
        self._lock = threading.Lock()
        self._gathering = Gathering(zone=zone)
        self._unwritten: Batch | None = None
        self._senders: set[tuple[str, str]] = set()  # what these store is of interest
        self._missing: set[str] = set()
        self._looked = float("-inf")

    def refused(self, outcome: Refused) -> None:
        """A sender was refused."""
        with self._lock:
            self._gathering.refused(outcome, self._clock.now())
            kind = kind_of(outcome.code)
            if kind and len(self._senders) < MOST_KEYS:
                self._senders.add((outcome.calling_ae, outcome.address))
            if kind == IMAGES and outcome.sop and len(self._missing) < MOST_MISSING:
                self._missing.add(outcome.sop)

    def stored(self, outcome: Received) -> None:
        """An image was stored: of interest only where its sender had been refused."""
        who = outcome.calling_ae, outcome.address
        if not self._senders or not (who in self._senders or ("", outcome.address) in self._senders):
            return
        with self._lock:
            awaited = outcome.uids.sop in self._missing
            self._gathering.stored(outcome, self._clock.now(), awaited=awaited)

    def write(self) -> bool:
        """Write what was noted since the last call; whether there was anything. Another call writes what failed."""
        with self._lock:
            if self._unwritten is None and not self._gathering.is_empty:
                self._unwritten, self._gathering = self._gathering.batch(), Gathering(zone=self._zone)
        if self._unwritten is not None:
            self._rows.write(self._unwritten)
            self._unwritten = None
            self._look()
            return True
        if self._clock.monotonic() - self._looked >= _ROUND_SECONDS:
            self._look()
        return False

    def _look(self) -> None:
        """Read the senders and instances of interest: other nodes refuse some, too, and people dismiss some."""
        self._looked = self._clock.monotonic()
        senders = {(one.calling, one.address) for one in self._rows.senders()}
        missing = set(self._rows.missing())
        with self._lock:
            if self._gathering.is_empty:
                self._senders, self._missing = senders, missing


# -- alarms


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Senders of one kind: whose refusal is `over`, `alarming` with an alarm each, `others` counted in one alarm."""

    over: Sequence[RefusedSender]
    alarming: Sequence[RefusedSender]
    others: Sequence[RefusedSender]


def judge(senders: Iterable[RefusedSender], now: datetime, known: Collection[str] = ()) -> Judgement:
    """The alarms due now; of too many, senders whose AE titles are `known` come first, then the oldest."""
    mine = list(senders)
    over = [one for one in mine if _is_over(one, now)]
    alarming = [one for one in mine if one not in over and _is_alarming(one, now)]
    alarming.sort(key=lambda one: (one.calling == OTHERS, one.calling not in known, one.first))
    single = [one for one in alarming[:MOST_ALARMS] if one.calling != OTHERS]
    return Judgement(over=over, alarming=single, others=alarming[len(single) :])


def _is_over(one: RefusedSender, now: datetime) -> bool:
    """A sender may come back: it is remembered for a day that it stored images again, so that no alarm flutters."""
    if one.kind == IMAGES:
        return not (one.missing or one.untracked)
    return now - one.last >= SILENCE


def _is_alarming(one: RefusedSender, now: datetime) -> bool:
    if one.kind == IMAGES:
        return True
    if one.dismissed is not None and now - one.dismissed < DISMISSED_FOR:
        return False
    if one.stored is not None:
        return one.stored < one.last and now - one.stored >= PATIENCE
    return one.why not in _PASSING or now - one.first >= PATIENCE


class RefusalWatch:
    """The alarms of refused senders and images, for the one node that has the duty."""

    def __init__(self, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock) -> None:
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self._keep = config.retention.unmatched
        self._looked = self._tidied = float("-inf")
        self._reworded: dict[tuple[Alarm, str], datetime] = {}
        self._may_be_active = True
        self.reconfigure(config)

    def reconfigure(self, config: Config) -> None:
        """Count the senders of this configuration as known from the next step on."""
        self._config = config
        self._known = frozenset(one.ae_title for one in config.senders)

    def step(self, *, news: bool) -> float:
        """Bring the alarms in line with the rows, at once where there is news; the seconds to rest."""
        passed = self._clock.monotonic()
        if news or passed - self._looked >= _ROUND_SECONDS:
            self._looked = passed
            self._look(self._clock.now())
        if passed - self._tidied >= _TIDY_SECONDS:
            self._tidied = passed
            self._catalogue.refusals.expire(self._clock.now() - self._keep)
        return _PAUSE

    def _look(self, now: datetime) -> None:
        rows = self._catalogue.refusals
        rows.settle()
        senders = rows.senders()
        if not (senders or self._may_be_active):
            return
        active = self._catalogue.alarms.of(_ALARMS.values())
        for kind, alarm in _ALARMS.items():
            found = judge([one for one in senders if one.kind == kind], now, self._known)
            self._bring_in_line(alarm, found, [one for one in active if one.alarm == alarm], now)
            for one in found.over:
                rows.end(one)
        self._may_be_active = bool(senders)

    def _bring_in_line(self, alarm: Alarm, found: Judgement, active: Sequence[Standing], now: datetime) -> None:
        wanted = {subject_of(one): _text(one) for one in found.alarming}
        of = {subject_of(one): hospital_of_sender(one.calling, one.address, self._config) for one in found.alarming}
        if found.others:
            count = sum(one.count for one in found.others)
            wanted[_OTHERS] = f"{len(found.others)} further senders are refused ({count} so far)"
        texts = {one.subject: one.text for one in active}
        for subject, text in wanted.items():
            if subject not in texts:
                self._reworded[alarm, subject] = now
                fields = {"hospital": of[subject]} if of.get(subject) else {}
                self._bus.record(Event(now, Kind.ALARM, text, fields=fields, alarm=alarm, subject=subject))
            elif text != texts[subject] and now - self._reworded.get((alarm, subject), now - PATIENCE) >= PATIENCE:
                self._reworded[alarm, subject] = now
                self._catalogue.alarms.reword(alarm, subject, text)
        over = {subject_of(one): one for one in found.over}
        for subject in texts.keys() - wanted.keys():
            self._reworded.pop((alarm, subject), None)
            text = _ended(alarm, over.get(subject))
            self._bus.record(Event(now, Kind.CLEARED, text, alarm=alarm, subject=subject))


def subject_of(one: RefusedSender) -> str:
    """The subject of a sender's alarm."""
    return f"sender {sender(one.calling, one.address)}"


def _text(one: RefusedSender) -> str:
    who, why = sender(one.calling, one.address), meaning(one.why, one.reason, one.called)
    if one.kind == IMAGES:
        return f"images of {who} are refused: {why} ({one.count} so far)"
    return f"{who} is refused: {why} ({one.count} so far)"


def _ended(alarm: Alarm, one: RefusedSender | None) -> str:
    if alarm == Alarm.REFUSED_IMAGES:
        return "every image that was refused has come whole, or a person has dismissed it"
    if one is not None:
        return "it was not refused for a day"
    return "it has stored an image since, or a person has dismissed it"
