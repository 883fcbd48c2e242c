"""Looks ahead: which deliveries will miss their time, the alarms of it, and those of what waits for a person."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.node.alarms import Standing
from router.catalogue.queue.queue import Delivery
from router.clock import Clock
from router.config.hospitals import several_of
from router.config.sections import Config
from router.delivery.pausing import remind
from router.events import Event, EventBus, Kind
from router.model import Channel
from router.policy.attention import Attention
from router.policy.breaker import Position
from router.policy.deadlines import stage
from router.policy.forecast import Job, finish
from router.policy.pause import Pause, pause_of
from router.policy.states import PENDING, State
from router.review.accounts import account_of, served_by
from router.review.attention import AttentionAlarms, look, look_by_hospital, places_of, quarantined
from router.review.refusal_owners import quarantine_owners
from router.upkeep.gone import MAY_BE_GONE, gone

_ALARMS = (Alarm.HALF_TIME, Alarm.AT_RISK, Alarm.MISSED)
_SAYS = {
    Alarm.HALF_TIME: "half of the time is over",
    Alarm.AT_RISK: "it may miss its due time",
    Alarm.MISSED: "its due time is missed",
}
_GOES = frozenset({State.READY, State.SENDING, State.DEFERRED})
# States of a delivery in which an alarm about it still has its cause.
_WHILE: Mapping[Alarm, frozenset[State]] = {
    **dict.fromkeys((Alarm.UNPROVED, Alarm.INTEGRITY, Alarm.DEFECT), _GOES),
    **dict.fromkeys((Alarm.COMMITMENT, Alarm.COMMITMENT_SILENCE), PENDING),
    Alarm.DELIVERED_IN_DOUBT: PENDING | {State.DELIVERED},
}  # fmt: skip
_BEFORE = {Alarm.HALF_TIME: 1 / 2, Alarm.AT_RISK: 1 / 5, Alarm.MISSED: 0.0}  # of the budget, before the due time
_PAUSE, _SHARE = 10.0, 20.0
_SAME = timedelta(seconds=30)  # a forecast that changes by less is not written down


class DeadlineMonitor:
    """`step` is called by the one node that has the duty. `works` gives the names of the node's loops, where known."""

    def __init__(
        self, config: Config, catalogue: Catalogue, bus: EventBus, clock: Clock,
        works: Callable[[], Collection[str] | None] = lambda: None,
    ) -> None:  # fmt: skip
        self._catalogue = catalogue
        self._bus = bus
        self._clock = clock
        self._works = works
        self._persons = AttentionAlarms(catalogue, bus, clock, self._attention)
        self.reconfigure(config)

    def reconfigure(self, config: Config) -> None:
        """Measure by the budgets of this configuration from the next step on."""
        self._places, self._quarantine = places_of(config), config.node.data / "quarantine"
        self._config = config
        self._budgets = {
            (d.name, channel): d.report_within if channel == Channel.REPORT else d.images_within
            for d in config.destination
            for channel in Channel
        }

    def step(self) -> float:
        """Look at everything that is due some time; the seconds to rest."""
        began, now = self._clock.monotonic(), self._clock.now()
        self._catalogue.unknown_words.look(now)
        deliveries = self._catalogue.queue.with_due()
        pauses = remind(self._catalogue, self._bus, now)
        free = [one for one in deliveries if pause_of(pauses, one.destination, one.hospital) is None]
        expected = self._forecast(free, now)
        self._catalogue.queue.expect({
            one.id: expected.get(one.id) for one in deliveries if _differ(one.expected, expected.get(one.id))
        })  # fmt: skip
        self._tell(deliveries, expected, pauses, now)
        self._end_of_deliveries()
        self._end_of_what_is_gone()
        self._persons.step()
        return max(_PAUSE, (self._clock.monotonic() - began) * _SHARE)

    def _attention(self, now: datetime) -> Mapping[str, Sequence[Attention]]:
        """The list of what waits for a person, by hospital; where there is one alone, all of it under ""."""
        known = self._catalogue, self._places, self._quarantine, now
        if not several_of(self._config):
            return {"": look(*known)}
        return look_by_hospital(*known, lambda: quarantine_owners(self._config, self._catalogue))

    def _forecast(self, deliveries: Sequence[Delivery], now: datetime) -> dict[int, datetime]:
        """Of what may go: nobody knows when a destination takes something again that is down."""
        tripped = self._catalogue.breakers.tripped()
        down = {(one.destination, one.channel, one.account) for one in tripped if one.breaker.position == Position.OPEN}
        queues: dict[tuple[str, Channel, str], list[Delivery]] = defaultdict(list)
        for one in deliveries:
            place = one.destination, one.channel, account_of(self._config, one)
            if one.state in _GOES and place not in down:
                queues[place].append(one)
        found: dict[int, datetime] = {}
        for place, queue in queues.items():
            rate = self._catalogue.throughputs.of(*place).rate
            if rate is not None:
                found |= finish(self._jobs(queue), rate, now)
        return found

    def _jobs(self, queue: Sequence[Delivery]) -> Iterator[Job]:
        exams = [one.exam for one in queue if one.channel == Channel.IMAGES]
        unsent: dict[int, int] = {}
        for start in range(0, len(exams), 500):
            tallies = self._catalogue.ledger.tallies(exams[start : start + 500])
            unsent |= {e: tally.unsent for (e, name), tally in tallies.items() if name == queue[0].destination}
        for one in queue:
            if one.due is not None:
                yield Job(one.id, one.due, unsent.get(one.exam, 0) if one.channel == Channel.IMAGES else 1)

    def _tell(
        self, deliveries: Sequence[Delivery], expected: Mapping[int, datetime], pauses: Sequence[Pause], now: datetime
    ) -> None:
        standing = self._catalogue.alarms.of(_ALARMS)
        known = {(one.alarm, one.delivery) for one in standing}
        for one in deliveries:
            budget = self._budgets.get((one.destination, one.channel))
            if one.due is None or budget is None:
                continue
            alarm = stage(one.due, budget, expected.get(one.id), now)
            if alarm is not None and (alarm, one.id) not in known:
                self._raise(alarm, one, pause_of(pauses, one.destination, one.hospital))
        due = {one.id: one for one in deliveries}
        for each in standing:
            found = None if each.delivery is None else due.get(each.delivery)
            if found is None:
                self._clear(each, "it is not to be delivered any more")
            elif self._has_time_again(each.alarm, found, expected.get(found.id), now):
                self._clear(each, "it has time again")

    def _has_time_again(self, alarm: Alarm, one: Delivery, expected: datetime | None, now: datetime) -> bool:
        """Whether its due time was moved, or the forecast is a good deal better: it does not flutter with each."""
        budget = self._budgets.get((one.destination, one.channel))
        if one.due is None or budget is None:
            return False
        if alarm == Alarm.AT_RISK and expected is not None and expected > one.due - budget / 5:
            return False
        return now < one.due - budget * _BEFORE[alarm]

    def _end_of_deliveries(self) -> None:
        """An alarm about a delivery that has ended, or waits for something else, is nobody's question any more."""
        about = self._catalogue.alarms.of(_WHILE)
        found = self._catalogue.queue.these({one.delivery for one in about if one.delivery is not None})
        states = {one.id: one.state for one in found}
        for one in about:
            ended = one.delivery is not None and states.get(one.delivery) not in _WHILE[one.alarm]
            if ended or (one.delivery is None and self._is_of_done_images(one)):
                self._clear(one, "the delivery has ended, or waits for something else")

    def _is_of_done_images(self, one: Standing) -> bool:
        """Older databases have what a destination does not commit to by exam alone."""
        if one.exam is None or one.alarm not in (Alarm.COMMITMENT, Alarm.COMMITMENT_SILENCE):
            return False
        mine = self._catalogue.queue.of_exam(one.exam)
        return all(each.state not in PENDING for each in mine if each.channel == Channel.IMAGES)

    def _end_of_what_is_gone(self) -> None:
        places = served_by(self._config)
        for tripped in self._catalogue.breakers.tripped():
            place = tripped.destination, tripped.channel, tripped.account
            if place not in places:
                self._catalogue.breakers.forget(*place)
        # Of several nodes each has parts that others have not: what one of them tells of its own stays its matter.
        works = self._works() if len(self._catalogue.nodes.known()) < 2 else None
        active = self._catalogue.alarms.of(MAY_BE_GONE)
        for one, why in gone(active, places=places, works=works, quarantined=quarantined(self._quarantine)):
            self._clear(one, why)

    def _raise(self, alarm: Alarm, one: Delivery, pause: Pause | None) -> None:
        text = f"{one.channel}: {_SAYS[alarm]}"
        if pause is not None:
            text = f"{one.channel}: {_SAYS[alarm]}; sending to {pause.place} is paused by {pause.who}: {pause.why}"
        self._bus.record(Event(
            self._clock.now(), Kind.ALARM, text, exam=one.exam, delivery=one.id,
            fields={"destination": one.destination}, alarm=alarm, subject=f"d{one.id}",
        ))  # fmt: skip

    def _clear(self, gone: Standing, text: str) -> None:
        fields = {"destination": gone.destination} if gone.destination else {}
        self._bus.record(Event(
            self._clock.now(), Kind.CLEARED, text, exam=gone.exam, delivery=gone.delivery, fields=fields,
            alarm=gone.alarm, subject=gone.subject,
        ))  # fmt: skip


def _differ(before: datetime | None, after: datetime | None) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) > _SAME
