"""GET /metrics: the node in numbers, for Prometheus. Labels are states, kinds and configured names: never patient data.

Counters count since the node's start; gauges are read from the catalogue when they are asked for.
"""

import threading
from collections import Counter as Numbers
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from router.admin.http.server import Answer
from router.admin.status.patience import within
from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.queue.backlog import Age, BacklogCount, Place
from router.clock import Clock
from router.errors import TransientError
from router.events import Event, Kind
from router.policy.attention import Attention
from router.policy.breaker import Position
from router.policy.pause import ALL, EVERY, Pause
from router.policy.states import State
from router.review.attention import tallied

_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_OVERALL = (10, 30, 60, 300, 900, 1800, 3600, 7200, 10800, 14400, 18000, 21600, 43200, 86400)
_SENDING = (0.1, 0.3, 1, 3, 10, 30, 60, 180, 600, 1800)
_PLACE = ["destination", "channel"]
_HOSPITAL = "hospital"
_AT_RISK = (Age.LAST_FIFTH,)
_MISSED = (Age.MISSED, Age.MISSED_A_DAY)
_PATIENCE_SECONDS = 5.0  # half of what Prometheus waits
_MOST_ASKING = 4
_MOST_SENDERS, _OTHER = 50, "other"
_SHARE = 100.0  # of the time, counting studies takes one part at most
Queues = Callable[[], Sequence[Place]]  # as they are configured when it is called
Waiting = Mapping[tuple[str, str], int]  # how many wait for a person, by cause and destination


class Metrics:
    """Counters of events and of the receiving side. `on_event` subscribes to the bus."""

    def __init__(self, gauges: Collector, queues: Queues) -> None:
        self._queues = queues
        self._registry = registry = CollectorRegistry()
        registry.register(gauges)
        self._durable = _counter(registry, "instances_durable", "Instances made durable and acknowledged")
        self._bytes = _counter(registry, "received_bytes", "Bytes of the data sets acknowledged")
        text = "Refused C-STORE requests by status, and associations"
        self._refused = _counter(registry, "refused", text, ["status"])
        self._filed = _counter(registry, "instances_catalogued", "Instances in the catalogue", ["outcome"])
        self._selected = _counter(registry, "instances_selected", "Decisions on instances", ["destination", "outcome"])
        self._sent = _counter(registry, "instances_sent", "Answers to our C-STORE", ["destination", "outcome"])
        text = "Deliveries confirmed, in time or late, where the node serves several hospitals"
        self._confirmed = _counter(registry, "confirmed", text, [*_PLACE, _HOSPITAL, "outcome"])
        self._events = _counter(registry, "events", "Things that happened", ["kind"])
        self._overall = Histogram(
            "router_delivery_seconds", "From approval, or from what came later, to the destination's confirmation",
            _PLACE, buckets=_OVERALL, registry=registry,
        )  # fmt: skip
        self._sending = Histogram(
            "router_sending_seconds", "From claim to end of one try", [*_PLACE, "outcome"],
            buckets=_SENDING, registry=registry,
        )  # fmt: skip
        self._begun: dict[int, datetime] = {}
        self._lock = threading.Lock()

    def note_durable(self, size: int) -> None:
        """Count an acknowledged instance."""
        self._durable.inc()
        self._bytes.inc(size)

    def note_refused(self, status: int | None) -> None:
        """Count a C-STORE answered with this status, or (None) an association refused."""
        self._refused.labels("association" if status is None else f"{status:04X}").inc()

    def on_event(self, event: Event) -> None:
        """The subscriber of the event bus."""
        self._events.labels(event.kind).inc()
        count = _COUNTS.get(event.kind)
        if count is not None:
            count(self, event)

    def answer(self, _: object) -> Answer:
        """The page."""
        return Answer(200, generate_latest(self._registry), _TYPE)

    def _heard_move(self, event: Event) -> None:
        """A try begins with the move to `sending` and ends with the next one."""
        if event.delivery is None:
            return
        to = event.fields["to"]
        with self._lock:
            begun = self._begun.pop(event.delivery, None)
            if to == State.SENDING:
                self._begun[event.delivery] = event.at
        if begun is not None:
            seconds = max((event.at - begun).total_seconds(), 0.0)
            self._sending.labels(*_place(event), to).observe(seconds)

    def _heard_confirmed(self, event: Event) -> None:
        within = next((p.within for p in self._queues() if (p.destination, str(p.channel)) == _place(event)), None)
        slack, hospital = event.fields.get("slack_seconds"), event.fields.get(_HOSPITAL)
        if hospital:
            outcome = "late" if isinstance(slack, float) and slack < 0 else "in-time"
            self._confirmed.labels(*_place(event), hospital, outcome).inc()
        if within is not None and isinstance(slack, float):
            self._overall.labels(*_place(event)).observe(max(within.total_seconds() - slack, 0.0))

    def _heard_counts(self, event: Event) -> None:
        counter = self._sent if event.kind == Kind.SENT else self._selected
        for outcome, number in event.fields.items():
            if isinstance(number, int):
                counter.labels(event.fields["destination"], outcome).inc(number)

    def _heard_filed(self, event: Event) -> None:
        self._filed.labels("duplicate" if event.kind == Kind.DUPLICATE else "new").inc()


_COUNTS: Mapping[Kind, Callable[[Metrics, Event], None]] = {
    Kind.MOVED: Metrics._heard_move,
    Kind.CONFIRMED: Metrics._heard_confirmed,
    Kind.SENT: Metrics._heard_counts,
    Kind.SELECTED: Metrics._heard_counts,
    Kind.RECEIVED: Metrics._heard_filed,
    Kind.DUPLICATE: Metrics._heard_filed,
}


class Gauges(Collector):
    """Gauges of the present state, read from the catalogue at each scrape, on the thread that asks."""

    def __init__(
        self, catalogue: Catalogue, queues: Queues, owner: str, free: Callable[[], int], clock: Clock,
        attention: Callable[[], Sequence[Attention]], hospitals: Callable[[], Sequence[str]] = tuple,
        attention_by_hospital: Callable[[], Mapping[str, Waiting]] = dict,
    ) -> None:  # fmt: skip
        """`hospitals` are the names of several, none where the node serves one alone."""
        self._catalogue = catalogue
        self._queues = queues
        self._owner = owner
        self._free = free
        self._clock = clock
        self._senders: list[tuple[str, int]] = []
        self._counted_again = float("-inf")
        self._attention = attention
        self._hospitals = hospitals
        self._attention_by_hospital = attention_by_hospital
        self._asking = threading.Semaphore(_MOST_ASKING)

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """No metrics: nothing is read before the first scrape."""
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Every gauge; without those of the database if it does not answer in time for a scrape."""
        found = None
        if self._asking.acquire(blocking=False):  # not while too many scrapes wait for the database already
            with suppress(TransientError):
                found = within(_PATIENCE_SECONDS, "the database", self._ask)
        text = "1: the database answered this scrape; 0: what it would tell is missing from it"
        yield GaugeMetricFamily("router_database_answers", text, int(found is not None))
        yield from found or ()
        yield GaugeMetricFamily("router_disk_free_bytes", "Free on the data folder's volume", self._free())

    def _ask(self) -> list[GaugeMetricFamily]:
        """Read them in a separate thread, which waits if the database hangs."""
        try:
            return list(self._of_database())
        finally:
            self._asking.release()
            self._catalogue.engine.close_thread()

    def _of_database(self) -> Iterable[GaugeMetricFamily]:
        now, queues, several = self._clock.now(), self._queues(), self._hospitals()
        yield from self._backlog(queues, several, now)
        yield self._breakers(queues, several)
        yield self._paused(queues, several)
        standing = self._catalogue.alarms.counts()
        alarms = (((alarm,), standing.get(alarm, 0)) for alarm in Alarm)
        yield _gauge("alarms_standing", "Alarms that are not cleared", ["alarm"], alarms)
        yield self._waiting(several)
        duties = (((duty,), int(node == self._owner)) for duty, node in self._catalogue.nodes.duties().items())
        yield _gauge("duty", "1: this node has the duty, 0: another one", ["duty"], duties)
        yield self._unreported()

    def _paused(self, queues: Sequence[Place], several: Sequence[str]) -> GaugeMetricFamily:
        """Pauses by destination; where there are several hospitals, those of each alone, and by "" those of all."""
        pauses, names = self._catalogue.pauses.standing(), sorted({one.destination for one in queues})
        of = (ALL, *several) if several else (ALL,)
        paused = [
            ((name, *([hospital] if several else [])), int(_stops(pauses, name, hospital)))
            for name in names for hospital in of
        ]  # fmt: skip
        labels = ["destination", *([_HOSPITAL] if several else [])]
        return _gauge("paused", "1: a person has stopped all sending there", labels, paused)

    def _backlog(self, queues: Sequence[Place], several: Sequence[str], now: datetime) -> Iterable[GaugeMetricFamily]:
        """Open deliveries, of each hospital where there are several."""
        asked, labels = self._catalogue.backlog, [*_PLACE, *([_HOSPITAL] if several else [])]
        backlog = (asked.counts_by_hospital if several else asked.counts)(queues, now)
        counts = (((*_of(one, several), one.state, one.age), one.deliveries) for one in backlog)
        yield _gauge("backlog", "Open deliveries", [*labels, "state", "age"], counts)
        names = dict.fromkeys([*several, *(one.hospital for one in backlog)]) if several else [""]
        wanted = [(queue.destination, str(queue.channel), name) for queue in queues for name in names]
        yield from _slack(wanted, labels, backlog, now)
        held: Numbers[tuple[str, ...]] = Numbers({place[: len(labels)]: 0 for place in wanted})
        for one in backlog:
            if one.state == State.SENDING:
                held[_of(one, several)] += one.deliveries
        yield _gauge("leases", "Deliveries that some node is sending", labels, held.items())

    def _waiting(self, several: Sequence[str]) -> GaugeMetricFamily:
        text, labels = "What waits for a person, by cause", ["what", "destination"]
        if not several:
            return _gauge("attention", text, labels, tallied(self._attention()).items())
        found = self._attention_by_hospital().items()
        each = (((*key, name), number) for name, waiting in found for key, number in waiting.items())
        return _gauge("attention", text, [*labels, _HOSPITAL], each)

    def _breakers(self, queues: Iterable[Place], several: Sequence[str]) -> GaugeMetricFamily:
        """Their positions; of several accounts of a place an open one counts, and each has its own label besides."""
        found = sorted(self._catalogue.breakers.tripped(), key=lambda one: one.breaker.position == Position.OPEN)
        tripped = {(one.destination, one.channel): one.breaker.position for one in found}
        positions = (
            ((one.destination, one.channel, position),
             int(position == tripped.get((one.destination, one.channel), Position.CLOSED)))
            for one in queues for position in Position
        )  # fmt: skip
        if not several:
            return _gauge("breaker", "1: the breaker's position", [*_PLACE, "position"], positions)
        accounts = (
            ((one.destination, one.channel, one.breaker.position, one.account), 1) for one in found if one.account
        )
        of_all = (((*place, ""), number) for place, number in positions)
        return _gauge("breaker", "1: the breaker's position", [*_PLACE, "position", _HOSPITAL], [*of_all, *accounts])

    def _unreported(self) -> GaugeMetricFamily:
        """Studies without a report, by sender. Peers choose their titles, so only the largest senders are named."""
        began = self._clock.monotonic()
        if began >= self._counted_again:
            senders = Numbers(one.sender for one in self._catalogue.unreported.waiting())
            self._senders = sorted(senders.items(), key=lambda item: (-item[1], item[0]))
            self._counted_again = began + (self._clock.monotonic() - began) * _SHARE
        named = Numbers(dict(self._senders[:_MOST_SENDERS]))
        for _, number in self._senders[_MOST_SENDERS:]:
            named[_OTHER] += number
        text = "Studies here that no exam names, by calling AE title"
        return _gauge("unreported_studies", text, ["sender"], (((sender,), n) for sender, n in named.items()))


def _of(one: BacklogCount, several: Sequence[str]) -> tuple[str, ...]:
    """The place's labels."""
    return (one.destination, str(one.channel), *([one.hospital] if several else []))


def _slack(
    wanted: Iterable[tuple[str, str, str]], names: Sequence[str], backlog: Sequence[BacklogCount], now: datetime
) -> Iterable[GaugeMetricFamily]:
    """The most pressing of each destination, channel and hospital, under these labels."""
    least = GaugeMetricFamily("router_slack_min_seconds", "Least time left of an open delivery", labels=names)
    risky = GaugeMetricFamily("router_at_risk", "In the last fifth of their time", labels=names)
    missed = GaugeMetricFamily("router_missed", "Open, and their time is over", labels=names)
    counted: dict[tuple[str, str, str], list[BacklogCount]] = defaultdict(list)
    for one in backlog:
        counted[one.destination, str(one.channel), one.hospital].append(one)
    for place in wanted:
        mine, labels = counted.get(place, []), place[: len(names)]
        first = min((one.first_due for one in mine if one.first_due), default=None)
        if first is not None:
            least.add_metric(labels, (first - now).total_seconds())
        risky.add_metric(labels, sum(one.deliveries for one in mine if one.age in _AT_RISK))
        missed.add_metric(labels, sum(one.deliveries for one in mine if one.age in _MISSED))
    return least, risky, missed


def _stops(pauses: Sequence[Pause], destination: str, hospital: str) -> bool:
    """Whether a pause of the hospital alone, ALL: of every one, concerns the destination."""
    return any(one.hospital == hospital and one.destination in (EVERY, destination) for one in pauses)


def _gauge(
    name: str, text: str, labels: Sequence[str], samples: Iterable[tuple[Iterable[str], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"router_{name}", text, labels=labels)
    for values, number in samples:
        family.add_metric(list(values), number)
    return family


def _counter(registry: CollectorRegistry, name: str, text: str, labels: Iterable[str] = ()) -> Counter:
    return Counter(f"router_{name}", text, list(labels), registry=registry)


def _place(event: Event) -> tuple[str, str]:
    return str(event.fields["destination"]), str(event.fields["channel"])
