"""The first screen: whether all is well, who takes and sends what, and what waits for a person."""

import threading
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from router.admin.console.backlog import Bar, bars
from router.admin.console.light import Known, Light, light
from router.admin.console.plots import Plot, RatePlot, plot
from router.admin.console.view import View
from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.node.alarms import ActiveAlarm
from router.catalogue.node.traffic import Flow, Hours
from router.catalogue.queue.backlog import Age, BacklogCount, Place
from router.catalogue.queue.breakers import OpenBreaker
from router.catalogue.queue.outlook import Outlook
from router.catalogue.queue.survey import HospitalCount
from router.clock import Clock
from router.config.sections import Config
from router.errors import PASSING
from router.policy.attention import Attention
from router.policy.breaker import Breaker, Position
from router.policy.pause import ALL, Pause, pause_of
from router.policy.roles import sees
from router.policy.states import PENDING
from router.review.answers import Answers, Explained
from router.review.attention import active, of_hospitals
from router.review.deliveries import Review
from router.text.language import N_

_ALARMS = 20
_DUE = 12
_SENDERS = 40
_LATE = (Age.MISSED, Age.MISSED_A_DAY)
_PLOTS = N_(["Studies received", "Exams approved", "Deliveries confirmed"])
_POSITIONS = N_({Position.CLOSED: "up", Position.OPEN: "no answer", Position.HALF_OPEN: "tried again"})
_PAUSED = N_("paused")
_REFUSES = N_("takes nothing")
_Of = TypeVar("_Of", bound=Hashable)
_Read = TypeVar("_Read")


LISTS: Mapping[str, str] = {
    Alarm.UNREPORTED: "/unreported",
    Alarm.REFUSED_SENDER: "/refused",
    Alarm.REFUSED_IMAGES: "/refused",
    Alarm.REJECTED_FILE: "/files",
    Alarm.UNCLAIMED_PDF: "/files",
}
"""Pages of what waits for a person and has no delivery."""


def work_path(one: Attention) -> str:
    """The address at which the work list shows this cause."""
    chosen = {"what": one.what, "destination": one.destination}
    return "/work?" + urlencode({key: word for key, word in chosen.items() if word})


@dataclass(frozen=True, slots=True)
class Sending:
    """The pauses that stand, and the destinations that there are."""

    pauses: Sequence[Pause]
    destinations: Sequence[str]


def sending_of(catalogue: Catalogue, config: Config, hospitals: tuple[str, ...]) -> Sending:
    """The destinations, and the pauses that concern one of these hospitals; where none is named, all that stand."""
    standing = catalogue.pauses.standing()
    pauses = [one for one in standing if not hospitals or one.hospital in (ALL, *hospitals)]
    return Sending(pauses, [one.name for one in config.destination])


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceCard:
    """A destination and channel: `open` deliveries, of which so many are late or at risk; a pause or breaker."""

    outlook: Outlook
    open: int
    missed: int
    at_risk: int
    pause: Pause | None
    breaker: Breaker | None

    @property
    def is_down(self) -> bool:
        """Whether nothing goes there for now, a pause aside."""
        return self.breaker is not None and self.breaker.position == Position.OPEN

    @property
    def refuses(self) -> bool:
        """Whether it answers, and takes nothing until a person has corrected something."""
        return self.breaker is not None and self.is_down and self.breaker.outage not in PASSING

    @property
    def state(self) -> str:
        """Whether anything goes there, in a word."""
        if self.pause is not None:
            return _PAUSED
        if self.refuses:
            return _REFUSES
        return _POSITIONS[self.breaker.position if self.breaker else Position.CLOSED]

    @property
    def mood(self) -> str:
        """The colour of that word."""
        if self.is_down:
            return "bad"
        return "warn" if self.pause or self.breaker else "good"

    @property
    def style(self) -> str:
        """The colour of the card: also what is late counts."""
        if self.missed or self.mood == "bad":
            return "bad"
        return "warn" if self.at_risk else self.mood


@dataclass(frozen=True, slots=True)
class SourceCard:
    """A sender of images, or a RIS: `name` is "" where it has none, `flow` None where nothing came for days."""

    name: str
    flow: Flow | None

    @property
    def is_quiet(self) -> bool:
        """Whether it brought much less than is usual by this time, or nothing for days."""
        usual = self.flow.usual if self.flow else None
        return self.flow is None or (usual is not None and usual >= 4 and self.flow.today < usual / 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewPage:
    """The values of the first screen; `free` and `min_free` in bytes, alarms not more than `most`.

    `hospitals` are the counts of each, the worst first, where there are several and none is chosen.
    """

    light: Light
    places: Sequence[PlaceCard]
    senders: Sequence[SourceCard]
    reports: Sequence[SourceCard]
    plots: Sequence[Plot]
    rates: Sequence[RatePlot]
    backlog: Sequence[BacklogCount]
    queues: Sequence[Place]
    attention: Sequence[Attention]
    alarms: Sequence[ActiveAlarm]
    most: int
    due: Sequence[Explained]
    free: int
    min_free: int
    sending: Sending
    hospitals: Sequence[HospitalCount]

    ages = tuple(Age)

    def count(self, *ages: Age) -> int:
        """Deliveries of these ages."""
        return _count(self.backlog, ages)

    @property
    def waiting(self) -> int:
        """How much waits for a person."""
        return sum(one.count for one in self.attention)

    def where(self, one: Attention) -> str:
        """The page on which a person deals with it."""
        return LISTS.get(one.what) or work_path(one)

    @property
    def bars(self) -> list[Bar]:
        """The picture of the backlog."""
        return bars(self.backlog, self.queues)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Parts that the first screen reads. `report` is the body of /health, `free` gives bytes.

    `rates` gives the plots of the last days' rates, of these hospitals or of all.
    """

    catalogue: Catalogue
    clock: Clock
    free: Callable[[], int]
    attention: Callable[[tuple[str, ...]], Sequence[Attention]]
    report: Callable[[], Mapping[str, Any]]
    rates: Callable[[tuple[str, ...]], Sequence[RatePlot]]


@dataclass(frozen=True, slots=True)
class Scope:
    """The hospitals that a first screen is of, none named: all; and those of which it shows the counts of each."""

    shown: tuple[str, ...]
    counted: tuple[str, ...]


def scope_of(view: View) -> Scope:
    """The scope of a reader's first screen."""
    return Scope(view.scope, tuple(view.hospitals) if view.hospital is None else ())


class Shared(Generic[_Of, _Read]):
    """The last reading of each scope, for pages that refresh themselves: many browsers cost as much as one."""

    def __init__(self, clock: Clock, seconds: float = 3.0) -> None:
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._read: dict[_Of, tuple[float, _Read]] = {}

    def of(self, scope: _Of, read: Callable[[_Of], _Read], *, fresh: bool = False) -> _Read:
        """The last one of this scope, unless it is older than so many seconds or a `fresh` one is asked for."""
        with self._lock:
            now = self._clock.monotonic()
            self._read = {of: one for of, one in self._read.items() if now - one[0] <= self._seconds}
            if fresh or scope not in self._read:
                self._read[scope] = now, read(scope)
            return self._read[scope][1]


def overview(
    sources: Sources, config: Config, queues: Sequence[Place], review: Review, answers: Answers, scope: Scope
) -> OverviewPage:  # fmt: skip
    """Read the first screen."""
    catalogue, now, of = sources.catalogue, sources.clock.now(), scope.shown
    midnight = datetime.combine(now.astimezone(config.node.timezone), time(), config.node.timezone)
    entries, sending = sources.attention(of), sending_of(catalogue, config, of)
    backlog, alarms = _backlog(catalogue, queues, now, of), active(of_hospitals(catalogue, of), entries)
    tripped = [one for one in catalogue.breakers.tripped() if not of or one.account in ("", *of)]
    cards = _cards(catalogue.outlooks.of(queues, midnight, of), backlog, sending.pauses, tripped, of)
    known = Known(
        **_health(sources.report()), missed=_count(backlog, _LATE), at_risk=_count(backlog, (Age.LAST_FIFTH,)),
        underway=sum(one.deliveries for one in backlog if one.age != Age.UNDUE),
        waiting=sum(one.count for one in entries), alarms=len(alarms),
        down=_names(card for card in cards if card.is_down and not card.refuses),
        refusing=_names(card for card in cards if card.refuses),
        paused=[one.place for one in sending.pauses],
    )  # fmt: skip
    return OverviewPage(
        light=light(known), places=cards, senders=_senders(config, catalogue.traffic.senders(midnight, now, of), of),
        reports=_reports(config, catalogue.traffic.reports(midnight, now, of), of),
        plots=_plots(catalogue.traffic.hours(midnight, now, of)), rates=sources.rates(of), backlog=backlog,
        queues=queues, attention=entries,
        alarms=alarms, most=_ALARMS, due=answers.of(review.first(PENDING, None, _DUE, of), plain=True),
        free=sources.free(), min_free=config.receive.min_free,
        sending=sending, hospitals=_hospitals(catalogue, now, scope),
    )  # fmt: skip


def _backlog(
    catalogue: Catalogue, places: Sequence[Place], now: datetime, hospitals: tuple[str, ...]
) -> Sequence[BacklogCount]:
    if not hospitals:
        return catalogue.backlog.counts(places, now)
    return [one for one in catalogue.backlog.counts_by_hospital(places, now) if one.hospital in hospitals]


def _hospitals(catalogue: Catalogue, now: datetime, scope: Scope) -> Sequence[HospitalCount]:
    if not scope.counted:
        return ()
    counts = catalogue.survey.hospitals(now, scope.counted)
    return [one for one in counts if not scope.shown or one.hospital in scope.shown]


def _health(report: Mapping[str, Any]) -> dict[str, Any]:
    degraded = sorted(report.get("degraded", ()), key=lambda one: not one["stops_images"])
    return {"receiving": report.get("receiving", True), "troubles": [one["text"] for one in degraded]}


def _count(backlog: Sequence[BacklogCount], ages: Sequence[Age], place: Place | None = None) -> int:
    of = None if place is None else (place.destination, place.channel)
    return sum(
        one.deliveries for one in backlog if one.age in ages and of in (None, (one.destination, one.channel))
    )  # fmt: skip


def _names(cards: Iterable[PlaceCard]) -> Sequence[str]:
    return list(dict.fromkeys(card.outlook.place.destination for card in cards))


def _cards(
    outlooks: Sequence[Outlook], backlog: Sequence[BacklogCount], pauses: Sequence[Pause],
    tripped: Sequence[OpenBreaker], hospitals: tuple[str, ...],
) -> list[PlaceCard]:  # fmt: skip
    # Of several accounts at a place an open breaker counts.
    ordered = sorted(tripped, key=lambda one: one.breaker.position == Position.OPEN)
    alone = hospitals[0] if len(hospitals) == 1 else ALL  # a pause of this one stops all that is shown
    breakers = {(one.destination, one.channel): one.breaker for one in ordered}
    return [
        PlaceCard(
            outlook=one, open=_count(backlog, tuple(Age), place), missed=_count(backlog, _LATE, place),
            at_risk=_count(backlog, (Age.LAST_FIFTH,), place), pause=pause_of(pauses, place.destination, alone),
            breaker=breakers.get((place.destination, place.channel)),
        )
        for one in outlooks if (place := one.place)
    ]  # fmt: skip


def _senders(config: Config, flows: Sequence[Flow], hospitals: tuple[str, ...]) -> list[SourceCard]:
    """Senders that sent in the last days, the latest first, then those that are configured and did not."""
    seen = {one.name for one in flows}
    own = [one for each in config.hospital if sees(hospitals, each.name) for one in each.senders]
    known = own if hospitals else [*config.receive.senders, *own]
    silent = dict.fromkeys(one.ae_title for one in known if one.ae_title not in seen)
    return [*(SourceCard(one.name, one) for one in flows[:_SENDERS]), *(SourceCard(name, None) for name in silent)]


def _reports(config: Config, flows: Sequence[Flow], hospitals: tuple[str, ...]) -> list[SourceCard]:
    if len(config.hospital) == 1:
        return [SourceCard("", flows[0] if flows else None)]
    of = {one.name: one for one in flows}
    return [SourceCard(one.name, of.get(one.name)) for one in config.hospital if sees(hospitals, one.name)]


def _plots(hours: Hours) -> list[Plot]:
    series: Iterator[Sequence[int]] = iter((hours.received, hours.approved, hours.confirmed))
    return [plot(name, counts) for name, counts in zip(_PLOTS, series, strict=True)]
