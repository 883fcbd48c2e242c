"""Facts about deliveries, gathered for the one answer to "why is it not going?"."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.queue.prospects import Queued
from router.catalogue.queue.queue import Delivery
from router.clock import Clock
from router.config.sections import Config, Destination
from router.model import Channel
from router.policy.account import answers_of
from router.policy.answer import Answer, Facts, answer
from router.policy.bandwidth import Window, limited
from router.policy.breaker import CLOSED as ANSWERS
from router.policy.breaker import Breaker
from router.policy.pause import Pause, pause_of
from router.policy.states import CLOSED, HeldBy, Needs, State
from router.review.accounts import account_of
from router.review.deliveries import Line, expected_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A line of the queue with its answer; `expected` is empty while nothing goes to its destination."""

    line: Line
    answer: Answer
    expected: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Common:
    """Facts that many deliveries share."""

    now: datetime
    zone: ZoneInfo
    running: bool
    seen: datetime | None
    pauses: Sequence[Pause]
    breakers: Mapping[tuple[str, Channel, str], Breaker]
    limits: Mapping[str, tuple[int, datetime]]
    queues: Mapping[tuple[str, Channel], Queued]
    last_images: Mapping[int, datetime]
    asked: Mapping[int, datetime]
    purged: Mapping[int, datetime]
    unproved: frozenset[str]
    unproven: frozenset[str]


class Answers:
    """Answers by the configuration of whoever asks."""

    def __init__(self, catalogue: Catalogue, config: Config, clock: Clock) -> None:
        self._catalogue = catalogue
        self._config = config
        self._clock = clock

    def of(self, lines: Sequence[Line], *, plain: bool = False) -> list[Explained]:
        """Each line with its answer; `plain` leaves out what a platform said of a report, which may name a patient."""
        with self._catalogue.engine.read():
            common = self._common([line.delivery for line in lines])
        explained = []
        for line in lines:
            one = line.delivery
            facts = _ended(one, common) if one.state in CLOSED else self._facts(line, common)
            if plain and one.state == State.FAILED and one.channel == Channel.REPORT:
                facts = replace(facts, error=facts.error.partition(": ")[0])
            explained.append(Explained(line=line, answer=answer(facts), expected=facts.expected))
        return explained

    def _facts(self, line: Line, common: _Common) -> Facts:
        one = line.delivery
        place, destination = (one.destination, one.channel), self._config.destination_named(one.destination)
        account = account_of(self._config, one)
        limit, limit_until = common.limits.get(one.destination, (None, None))
        queued, last = common.queues.get(place, Queued({}, 0)), common.last_images.get(one.exam)
        facts = Facts(
            now=common.now, zone=common.zone, delivery=one.id, exam=one.exam,
            destination=one.destination, channel=one.channel, state=one.state, changed=one.changed,
            waiting_for=one.waiting_for, held_by=one.held_by, error=one.error, due=one.due, next_try=one.next_try,
            sent=line.sent, selected=line.selected,
            configured=destination is not None and one.channel in destination.channels,
            running=common.running, seen=common.seen, breaker=common.breakers.get((*place, account), ANSWERS),
            pause=pause_of(common.pauses, one.destination, one.hospital), limit=limit, limit_until=limit_until,
            half=_half(one, destination), quiet_at=None if last is None else last + self._config.study.stable_after,
            asked=common.asked.get(one.id), purged=common.purged.get(one.exam),
            place=queued.places.get(one.id), queued=queued.count,
            unproved=f"d{one.id}" in common.unproved,
            unproven=one.channel == Channel.REPORT and answers_of(one.destination, account) in common.unproven,
        )  # fmt: skip
        return facts if facts.stopped else replace(facts, expected=expected_of(one))

    def _common(self, deliveries: Sequence[Delivery]) -> _Common:
        catalogue, now = self._catalogue, self._clock.now()
        tripped = {(one.destination, one.channel, one.account): one.breaker for one in catalogue.breakers.tripped()}
        ready = {(one.destination, one.channel) for one in deliveries if one.state == State.READY}
        since = min((sign.ago for sign in catalogue.survey.nodes()), default=None)  # the last heartbeat of any node
        lacking = {one.exam for one in deliveries if Needs.PDF in one.waiting_for or one.held_by == HeldBy.PDF}
        quiet = sorted({one.exam for one in deliveries if Needs.STABLE in one.waiting_for})
        return _Common(
            now=now, zone=self._config.node.timezone, running=since is not None and since <= self._config.node.lease,
            seen=None if since is None else now - since,
            pauses=catalogue.pauses.standing(), breakers=tripped, limits=dict(self._limits(now)),
            queues={place: catalogue.prospects.queued(*place, now) for place in sorted(ready)},
            last_images=catalogue.prospects.last_images(quiet), asked=self._asked(deliveries),
            purged=catalogue.exams.originals.purged(lacking),
            unproved=catalogue.alarms.subjects(Alarm.UNPROVED), unproven=catalogue.alarms.subjects(Alarm.CRYPTO),
        )  # fmt: skip

    def _limits(self, now: datetime) -> Iterable[tuple[str, tuple[int, datetime]]]:
        local = now.astimezone(self._config.node.timezone)
        for one in self._config.destination:
            windows = [Window(each.from_, each.to, each.limit) for each in one.bandwidth]
            if (found := limited(windows, local)) is not None:
                yield one.name, found

    def _asked(self, deliveries: Iterable[Delivery]) -> dict[int, datetime]:
        found: dict[int, datetime] = {}
        for one in deliveries:
            if Needs.COMMITMENT in one.waiting_for:
                requests = self._catalogue.commitments.requests(one.exam, one.destination)
                found |= {one.id: requests[-1].asked} if requests else {}
        return found


def _ended(one: Delivery, common: _Common) -> Facts:
    """Facts about a delivery that is over, as most are: nothing else matters."""
    return Facts(
        now=common.now, zone=common.zone, delivery=one.id, exam=one.exam, destination=one.destination,
        channel=one.channel, state=one.state, changed=one.changed,
    )  # fmt: skip


def _half(one: Delivery, destination: Destination | None) -> datetime | None:
    if one.due is None or destination is None:
        return None
    budget: timedelta = destination.report_within if one.channel == Channel.REPORT else destination.images_within
    return one.due - budget / 2
