"""Comparison with what the destinations say that they have (对账), and sending again what they have lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.db.engine import portions
from router.catalogue.queue.comparisons import Compared
from router.clock import Clock
from router.config.sections import Config, Destination, HttpDestination
from router.errors import ConfigurationError, NotOffered
from router.events import Event, EventBus, Kind
from router.forward.credentials import load_credentials
from router.forward.inventory import Inventory
from router.forward.report import ReportAgent
from router.policy.account import at, fields_of
from router.policy.comparison import (
    BASELINE,
    CLOCK,
    CUT,
    Answered,
    Difference,
    Ours,
    by_day,
    compare,
    hindrance,
    midnight_before,
    unexplained,
    windows,
)
from router.policy.states import State
from router.storage.pins import Pins, strange

DAY = timedelta(days=1)
NOT_TO_BE_TRUSTED = (CUT, CLOCK)
"""Why an answer is no reason to send anything again, whoever asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A hospital's reports at a destination; `org` is its USCI, `account` the one by which they go."""

    destination: Destination
    hospital: str
    org: str
    account: str
    http: HttpDestination

    @property
    def subject(self) -> str:
        """The subject of its alarms."""
        return f"comparison with {at(self.destination.name, self.hospital)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A comparison. `offered`: the destination answers inventories. `why_not`: nothing is to go again by itself.

    `days` has the numbers of ours and of those missing, by day; `there` is the number of exams that it has.
    """

    place: Place
    offered: bool = True
    ours: int = 0
    there: int = 0
    difference: Difference = field(default_factory=Difference)
    days: tuple[tuple[date, int, int], ...] = ()
    why_not: str = ""
    strange: int = 0

    @property
    def missing(self) -> tuple[Ours, ...]:
        """What the destination confirmed and does not have, and what is not on its way there already."""
        return tuple(one for one in self.difference.missing if not one.goes_again)

    @property
    def well(self) -> bool:
        """Whether there is nothing to tell a person."""
        return not (self.difference.missing or self.difference.otherwise or self.strange or self.why_not == CUT)


def places(config: Config, destination: str | None = None, hospital: str | None = None) -> list[Place]:
    """Every hospital's reports at every destination, or one's, or at one."""
    return [
        Place(destination=one, hospital=of.own.name, org=of.own.USCI, account=one.account_of(of.own.name), http=http)
        for one in config.destination
        for of in config.hospitals
        if destination in (None, one.name) and hospital in (None, of.own.name) and of.own.name in config.served(one)
        and (http := one.http_of(of.own.name)) is not None
    ]  # fmt: skip


def agent_for(place: Place, pins: Pins, clock: Clock) -> ReportAgent:
    """An agent by the keys as they are; ConfigurationError where they are faulty, or the platform's are not pinned."""
    keys = load_credentials(place.http)
    known = pins.of(place.destination.name, place.account)
    if unknown := strange(keys.profile.pinned, known if known is not None else keys.profile.pinned):
        name = at(place.destination.name, place.account)
        raise ConfigurationError(f"the platform keys of {name} are not those that were pinned: {', '.join(unknown)}")
    return ReportAgent(place.http, lambda: keys, clock)


class RemoteComparison:
    """Compares, keeps the result and its alarms, and has lost reports sent again. `ask` asks a destination."""

    def __init__(
        self, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock, *,
        ask: Callable[[Place, datetime, datetime], Inventory],
    ) -> None:  # fmt: skip
        self._zone = config.node.timezone
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self._ask = ask

    def compare(self, place: Place, begin: datetime, end: datetime) -> Found:
        """Compare what was confirmed from the day of `begin` on and before `end`; keep it by day, and its alarms.

        It is asked for a day more on both sides: the destination's clock decides where it has an exam. Raises as
        `ReportAgent.inventory`, but for NotOffered.
        """
        name, now, kept = place.destination.name, self._clock.now(), self._catalogue.comparisons
        begin = midnight_before(begin, self._zone)
        first = kept.begin(name, place.hospital)
        ours = kept.ours(name, place.hospital, begin, end)
        if first is None or begin >= end:
            return Found(place=place, why_not=BASELINE)
        try:
            around = windows(begin - DAY, midnight_before(end, self._zone) + 2 * DAY, self._zone)
            asked = [(start, self._ask(place, start, stop)) for start, stop in around]
        except NotOffered:
            return Found(place=place, offered=False)
        there = [one for _, answer in asked for one in answer.exams]
        known = kept.known(name, {one.idem for one in there})
        difference = compare(ours, there, known)
        return self._judged(place, ours, difference, asked, known, (max(begin, first), end), now)

    def send_again(self, place: Place, missing: Sequence[Ours], why: str, who: str = "node") -> int:
        """Have these sent again under the names that they had; how many. Those that moved on meanwhile are left out."""
        queue, now, sent = self._catalogue.queue, self._clock.now(), 0
        due = now + place.destination.report_within
        for some in portions(sorted(missing, key=lambda one: one.exam)):
            with self._catalogue.engine.write():
                here = {one.id: one for one in queue.these([one.delivery for one in some])}
                for one in some:
                    delivery = here.get(one.delivery)
                    if delivery is None or delivery.state != State.DELIVERED:
                        continue
                    wanted = next(up.wanted for up in self._catalogue.uploads.of(delivery.id) if up.id == one.upload)
                    changes = {"wanted": wanted, "due": due, "attempts": 0, "error": ""}
                    if self._catalogue.comparisons.lost(one.upload):
                        sent += queue.move(delivery, State.READY, now, f"sent again: {why}", who=who, changes=changes)
        if sent:
            self._tell(place, Kind.CLEARED, Alarm.MISSING_THERE, "what is missing there is sent again", now)
        return sent

    def _judged(
        self, place: Place, ours: Sequence[Ours], difference: Difference,
        asked: Sequence[tuple[datetime, Inventory]], known: set[str], when: tuple[datetime, datetime], now: datetime,
    ) -> Found:  # fmt: skip
        kept = self._catalogue.comparisons
        before = {one.day: one for one in kept.of(place.destination.name, place.hospital)}
        days = by_day(ours, difference.missing, self._zone)
        there, strange_ = self._by_day(asked, known, when)
        both = [one for day, one in before.items() if day in there]
        usual = max((one.usual for one in before.values()), default=max(strange_.values(), default=0))
        whole = all(answer.whole for _, answer in asked)
        why_not = hindrance(Answered(
            days=days, whole=whole, ahead=max((answer.ahead for _, answer in asked), key=abs),
            before=sum(one.theirs for one in both) if both else None, held=sum(there[one.day] for one in both),
        ))  # fmt: skip
        if whole:
            kept.keep(
                Compared(
                    destination=place.destination.name, hospital=place.hospital, day=day, at=now,
                    ours=days.get(day, (0, 0))[0], theirs=count, missing=days.get(day, (0, 0))[1],
                    strange=strange_.get(day, 0), usual=usual, whole=whole,
                )
                for day, count in there.items()
            )  # fmt: skip
        found = Found(
            place=place, ours=len(ours), there=sum(there.values()), difference=difference,
            days=tuple((day, *numbers) for day, numbers in days.items()), why_not=why_not,
            strange=max((unexplained(count, usual) for count in strange_.values()), default=0),
        )  # fmt: skip
        self._report(found, now)
        return found

    def _by_day(
        self, asked: Sequence[tuple[datetime, Inventory]], known: set[str], when: tuple[datetime, datetime]
    ) -> tuple[dict[date, int], dict[date, int]]:
        """The number of exams there by day, and of those that were never sent from here, within the time itself."""
        there, unknown = dict[date, int](), dict[date, int]()
        for start, answer in asked:
            day = start.astimezone(self._zone).date()
            if when[0].astimezone(self._zone).date() <= day and start < when[1]:
                there[day] = there.get(day, 0) + len(answer.exams)
                unknown[day] = unknown.get(day, 0) + sum(one.idem not in known for one in answer.exams)
        return there, unknown

    def _report(self, found: Found, now: datetime) -> None:
        """Record it; raise the alarms, but at the first comparison, and end those whose cause is gone."""
        lost, otherwise = len(found.difference.missing), len(found.difference.otherwise)
        name = at(found.place.destination.name, found.place.hospital)
        text = (
            f"compared with {name}: {found.ours} confirmed, {found.there} there, {lost} missing there, "
            f"{otherwise} in another state, {found.strange} unknown here"
        )
        fields = fields_of(found.place.destination.name, found.place.hospital)
        self._bus.record(Event(now, Kind.REPORTED, f"{text}; {found.why_not}".removesuffix("; "), fields=fields))
        if found.why_not in (BASELINE, CUT):
            return
        wrong = lost + otherwise
        said = f"{lost} report(s) that {name} confirmed are missing there, {otherwise} are there in another state"
        kind = Kind.ALARM if wrong else Kind.CLEARED
        self._tell(found.place, kind, Alarm.MISSING_THERE, said if wrong else "nothing is missing there", now)
        said = f"{found.strange} report(s) of a day are at {name} that were never sent from here"
        kind = Kind.ALARM if found.strange else Kind.CLEARED
        self._tell(found.place, kind, Alarm.UNKNOWN_THERE, said if found.strange else "nothing is unknown there", now)

    def _tell(self, place: Place, kind: Kind, alarm: Alarm, text: str, now: datetime) -> None:
        fields = fields_of(place.destination.name, place.hospital)
        self._bus.record(Event(now, kind, text, fields=fields, alarm=alarm, subject=place.subject))
        if kind == Kind.ALARM:
            self._catalogue.alarms.reword(alarm, place.subject, text)


def asking(pins: Pins, clock: Clock) -> Callable[[Place, datetime, datetime], Inventory]:
    """The function that asks a destination over HTTP; one agent, and one token, for each place."""
    agents: dict[str, ReportAgent] = {}

    def ask(place: Place, begin: datetime, end: datetime) -> Inventory:
        if place.subject not in agents:
            agents[place.subject] = agent_for(place, pins, clock)
        return agents[place.subject].inventory(place.org, begin, end)

    return ask
