"""Comparison with what the destinations say that they have (对账), and sending again what they have lost."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.db.engine import portions
from router.catalogue.queue.comparisons import Compared
from router.clock import Clock
from router.config.sections import Config, Destination, DicomDestination, HttpDestination
from router.dicom.scu.finder import finding
from router.errors import ConfigurationError, NotOffered
from router.events import Event, EventBus, Kind
from router.forward.credentials import load_credentials
from router.forward.inventory import Inventory
from router.forward.report import ReportAgent
from router.model import Channel
from router.policy.account import at, fields_of
from router.policy.comparison import (
    BASELINE,
    CLOCK,
    CUT,
    Answered,
    Confirmed,
    Difference,
    OurImages,
    Ours,
    StudyThere,
    by_day,
    compare,
    hindrance,
    judge_images,
    midnight_before,
    unexplained,
    windows,
)
from router.policy.states import State
from router.review.committed_there import CommittedThere
from router.review.images_there import ImagesThere, Opened
from router.storage.pins import Pins, strange

DAY = timedelta(days=1)
NOT_TO_BE_TRUSTED = (CUT, CLOCK)
"""Why an answer is no reason to send anything again, whoever asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A hospital's reports or images at a destination; `org` is its USCI, `account` the one by which reports go."""

    destination: Destination
    hospital: str
    org: str
    account: str
    channel: Channel

    @property
    def http(self) -> HttpDestination:
        """The way of its reports; ConfigurationError where there is none."""
        if (http := self.destination.http_of(self.hospital)) is None:
            raise ConfigurationError(f"{self.destination.name} has no [destination.http]")
        return http

    @property
    def subject(self) -> str:
        """The subject of its alarms."""
        name = at(self.destination.name, self.hospital)
        return f"comparison with {name}" if self.channel == Channel.REPORT else f"comparison of images with {name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A comparison. `not_offered`: why the destination answers none. `why_not`: nothing is to go again by itself.

    `days` has the numbers of ours and of those missing, by day; `there` is the number of exams that it has.
    """

    place: Place
    not_offered: str = ""
    ours: int = 0
    there: int = 0
    difference: Difference = field(default_factory=Difference)
    days: tuple[tuple[date, int, int], ...] = ()
    why_not: str = ""
    strange: int = 0

    @property
    def missing(self) -> tuple[Confirmed, ...]:
        """Exams that the destination confirmed and has not, and that are not on their way there already."""
        return tuple(one for one in self.difference.missing if not one.goes_again)

    @property
    def well(self) -> bool:
        """Whether there is nothing to tell a person."""
        strange = self.strange and self.place.channel == Channel.REPORT
        return not (self.difference.missing or self.difference.otherwise or strange or self.why_not == CUT)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """An answer as it was understood; `there` and `strange` are the numbers by day, `before` those of days before."""

    ours: Sequence[Confirmed]
    difference: Difference
    there: Mapping[date, int]
    strange: Mapping[date, int]
    whole: bool
    ahead: timedelta = timedelta(0)


def places(config: Config, destination: str | None = None, hospital: str | None = None) -> list[Place]:
    """Every hospital's reports and images at every destination, or one's, or at one."""
    return [
        Place(destination=one, hospital=of.own.name, org=of.own.USCI, account=one.account_of(of.own.name),
              channel=channel)
        for one in config.destination
        for of in config.hospitals
        if destination in (None, one.name) and hospital in (None, of.own.name) and of.own.name in config.served(one)
        for channel in sorted(one.channels, reverse=True)
    ]  # fmt: skip


def agent_for(place: Place, pins: Pins, clock: Clock) -> ReportAgent:
    """An agent by the keys as they are; ConfigurationError where they are faulty, or the platform's are not pinned."""
    keys = load_credentials(place.http)
    known = pins.of(place.destination.name, place.account)
    if unknown := strange(keys.profile.pinned, known if known is not None else keys.profile.pinned):
        name = at(place.destination.name, place.account)
        raise ConfigurationError(f"the platform keys of {name} are not those that were pinned: {', '.join(unknown)}")
    return ReportAgent(place.http, lambda: keys, clock)


def never() -> bool:
    """Stop for nothing."""
    return False


class RemoteComparison:
    """Compares, keeps the result and its alarms, and has what was lost sent again.

    `ask` asks a destination for its inventory, `open_archive` opens the archive of one. Requests for storage commitment
    end once `stop` says true.
    """

    def __init__(
        self, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock, *,
        ask: Callable[[Place, datetime, datetime], Inventory],
        open_archive: Callable[[DicomDestination], Opened] = lambda peer: finding(peer, never),
        stop: Callable[[], bool] = never,
    ) -> None:  # fmt: skip
        self._zone = config.node.timezone
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self._ask = ask
        self._open = open_archive
        self._stop = stop

    def compare(self, place: Place, begin: datetime, end: datetime) -> Found:
        """Compare what was confirmed from the day of `begin` on and before `end`; keep it by day, and its alarms.

        Raises as `ReportAgent.inventory` or `finding`, but for NotOffered.
        """
        begin = midnight_before(begin, self._zone)
        compare = self._reports if place.channel == Channel.REPORT else self._images
        try:
            answer = compare(place, begin, end)
        except NotOffered as error:
            return Found(place=place, not_offered=error.message)
        if answer is None:
            return Found(place=place, why_not=BASELINE)
        return self._judged(place, answer, self._clock.now())

    def _reports(self, place: Place, begin: datetime, end: datetime) -> _Answer | None:
        """The inventory of a day more on both sides: the destination's clock decides where it has an exam."""
        name, kept = place.destination.name, self._catalogue.comparisons
        first = kept.begin(name, place.hospital)
        ours = kept.ours(name, place.hospital, begin, end)
        if first is None or begin >= end:
            return None
        around = windows(begin - DAY, midnight_before(end, self._zone) + 2 * DAY, self._zone)
        asked = [(start, self._ask(place, start, stop)) for start, stop in around]
        theirs = [one for _, answer in asked for one in answer.exams]
        known = kept.known(name, {one.idem for one in theirs})
        there, strange_ = self._by_day(asked, known, (max(begin, first), end))
        return _Answer(
            ours=ours, difference=compare(ours, theirs, known), there=there, strange=strange_,
            whole=all(answer.whole for _, answer in asked),
            ahead=max((answer.ahead for _, answer in asked), key=abs),
        )  # fmt: skip

    def _images(self, place: Place, begin: datetime, end: datetime) -> _Answer | None:
        """Each study by its UID, so that no clock decides which are asked for."""
        name, dicom, rows = place.destination.name, place.destination.dicom, self._catalogue.compared_images
        ours = rows.ours(name, place.hospital, begin, end)
        if not ours or dicom is None:
            return None
        studies = {uid: count for one in ours for uid, count in one.studies.items()}
        differing = self._differing(place.destination, dicom, studies)
        difference = judge_images(ours, differing)
        again = {uid for one in ours for uid in one.again}
        there = {uid for uid in again if uid not in differing or (differing[uid].whole and not differing[uid].lost)}
        rows.found(name, there)
        window = (start.astimezone(self._zone).date() for start, _ in windows(begin, end, self._zone))
        days = dict.fromkeys(window, (0, 0)) | by_day(ours, difference.missing, self._zone)
        beside = Counter[date]()
        for one in ours:
            extra = sum(differing[uid].beside for uid in one.studies if uid in differing)
            beside[one.confirmed.astimezone(self._zone).date()] += extra
        return _Answer(
            ours=ours, difference=difference, there={day: all_ - lost for day, (all_, lost) in days.items()},
            strange=beside, whole=all(one.whole for one in differing.values()),
        )  # fmt: skip

    def _differing(
        self, to: Destination, dicom: DicomDestination, studies: Mapping[str, int]
    ) -> dict[str, StudyThere]:  # fmt: skip
        """By C-FIND; by storage commitment where the destination answers none and is asked for that."""
        try:
            with self._open(dicom) as archive:
                return ImagesThere(archive, self._catalogue.compared_images, to.name).look(studies)
        except NotOffered:
            if not dicom.commitment:
                raise
            return CommittedThere(dicom, self._catalogue, to.name, self._clock, self._stop).look(studies)

    def send_again(self, place: Place, missing: Sequence[Confirmed], why: str, who: str = "node") -> int:
        """Have these sent again under the names that they had; how many. Those that moved on meanwhile are left out."""
        queue, now, sent = self._catalogue.queue, self._clock.now(), 0
        to = place.destination
        due = now + (to.report_within if place.channel == Channel.REPORT else to.images_within)
        for some in portions(sorted(missing, key=lambda one: one.exam)):
            with self._catalogue.engine.write():
                here = {one.id: one for one in queue.these([one.delivery for one in some])}
                for one in some:
                    delivery = here.get(one.delivery)
                    if delivery is None or delivery.state != State.DELIVERED:
                        continue
                    changes = {"due": due, "attempts": 0, "error": ""}
                    if (more := self._lost(one, now)) is not None:
                        text = f"sent again: {why}"
                        sent += queue.move(delivery, State.READY, now, text, who=who, changes=changes | more)
        if sent:
            self._tell(place, Kind.CLEARED, Alarm.MISSING_THERE, "what is missing there is sent again", now)
        return sent

    def _lost(self, one: Confirmed, now: datetime) -> dict[str, object] | None:
        """Note that the destination has lost it; how its delivery changes, None where that is noted already."""
        if isinstance(one, OurImages):
            self._catalogue.compared_images.select_again(one.lost, now)
            return {}
        if not isinstance(one, Ours) or not self._catalogue.comparisons.lost(one.upload):
            return None
        return {"wanted": next(up.wanted for up in self._catalogue.uploads.of(one.delivery) if up.id == one.upload)}

    def _judged(self, place: Place, answer: _Answer, now: datetime) -> Found:
        kept = self._catalogue.comparisons
        before = {one.day: one for one in kept.of(place.destination.name, place.hospital, place.channel)}
        difference, there = answer.difference, answer.there
        days = by_day(answer.ours, difference.missing, self._zone)
        # A day stands out until nothing of it differs: so long it is compared again, and the alarm stands.
        differing = by_day(answer.ours, [*difference.missing, *difference.otherwise], self._zone)
        both = {day: one.theirs for day, one in before.items() if day in there}
        if place.channel == Channel.IMAGES:
            # Exams that were delivered again since are of another day.
            both = {day: min(theirs, days.get(day, (0, 0))[0]) for day, theirs in both.items()}
        usual = max((one.usual for one in before.values()), default=max(answer.strange.values(), default=0))
        why_not = hindrance(Answered(
            days=days, whole=answer.whole, ahead=answer.ahead,
            before=sum(both.values()) if both else None, held=sum(there[day] for day in both),
        ))  # fmt: skip
        if answer.whole:
            kept.keep(
                Compared(
                    destination=place.destination.name, hospital=place.hospital, channel=place.channel, day=day,
                    at=now, ours=days.get(day, (0, 0))[0], theirs=count, missing=differing.get(day, (0, 0))[1],
                    strange=answer.strange.get(day, 0), usual=usual, whole=answer.whole,
                )
                for day, count in there.items()
            )  # fmt: skip
        found = Found(
            place=place, ours=len(answer.ours), there=sum(there.values()), difference=difference,
            days=tuple((day, *numbers) for day, numbers in days.items()), why_not=why_not,
            strange=max((unexplained(count, usual) for count in answer.strange.values()), default=0),
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
        name, images = at(found.place.destination.name, found.place.hospital), found.place.channel == Channel.IMAGES
        text = (
            f"compared with {name}: {found.ours} confirmed, {found.there} there, {lost} missing there, "
            f"{otherwise} in another state, {found.strange} unknown here"
        )
        if images:
            text = (
                f"images compared with {name}: of {found.ours} exam(s) confirmed, of {found.there} there, "
                f"of {lost} missing there, of {otherwise} not found, {found.strange} image(s) of others"
            )
        fields = fields_of(found.place.destination.name, found.place.hospital)
        self._bus.record(Event(now, Kind.REPORTED, f"{text}; {found.why_not}".removesuffix("; "), fields=fields))
        if found.why_not in (BASELINE, CUT):
            return
        wrong = lost + otherwise
        said = f"{lost} report(s) that {name} confirmed are missing there, {otherwise} are there in another state"
        if images:
            said = f"images of {lost} exam(s) that {name} took are missing there, of {otherwise} they are not found"
        kind = Kind.ALARM if wrong else Kind.CLEARED
        self._tell(found.place, kind, Alarm.MISSING_THERE, said if wrong else "nothing is missing there", now)
        if images:  # what others send of the same studies, and what a destination makes itself, is no trouble
            return
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
