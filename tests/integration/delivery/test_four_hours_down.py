"""A destination that is down for four hours while a thousand studies come: the clock is faked, the catalogue real."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.db.tables.exams import Exam
from router.catalogue.db.tables.queue import Delivery as DeliveryRow
from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock
from router.delivery.breaker_gate import Route
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import SendResult
from router.errors import DestinationDown
from router.events import Event, EventBus, Kind
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import driver
from support.intake_folder import START

HOUR = timedelta(hours=1)
OUTAGE = 4 * HOUR
STUDIES = 1000
REPORTS = 250  # those of the outage's last hour can still make it, and those before cannot
WITHIN = {Channel.IMAGES: 6 * HOUR, Channel.REPORT: HOUR}
TAKES = {Channel.IMAGES: 7.0, Channel.REPORT: 3.0}  # seconds; 130 GB at 20 MB/s


@dataclass
class Link:
    """The way to the destination; each lane has a clock of its own, since they work side by side."""

    clock: FakeClock
    channel: Channel
    back: datetime
    went: list[tuple[datetime, Delivery]] = field(default_factory=list)

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        del stop
        self.probe()
        self.clock.advance(TAKES[self.channel])
        self.went.append((self.clock.now(), delivery))
        return SendResult(State.DELIVERED, "sent", units=1)

    def probe(self) -> None:
        if self.clock.now() < self.back:
            raise DestinationDown("cannot connect")

    def late(self) -> list[tuple[datetime, Delivery]]:
        return [(at, one) for at, one in self.went if one.due is not None and at > one.due]


@pytest.fixture
def told() -> list[Event]:
    return []


@pytest.fixture
def catalogue(tmp_path: Path, told: list[Event]) -> Iterator[Catalogue]:
    opened = open_catalogue("", tmp_path, EventBus(told.append))
    driver(opened).execute_sql("PRAGMA synchronous=OFF")  # no power is lost here
    yield opened
    opened.engine.close_thread()


def arrive(catalogue: Catalogue, channel: Channel, approvals: Sequence[datetime]) -> None:
    """Exams that are ready to be sent since their approval."""
    first = 1 + max((row.id for row in Exam.select(Exam.id).execute(driver(catalogue))), default=0)
    numbered = list(enumerate(approvals, first))
    exams = [{"id": n, "branch": "01", "exam_id": f"E{n}", "touched": 0, "created": at} for n, at in numbered]
    rows = [
        {"exam": n, "destination": "cloud", "channel": channel, "state": State.READY, "created": at, "changed": at,
         "due": at + WITHIN[channel], "legal_due": at + WITHIN[channel]}
        for n, at in numbered
    ]  # fmt: skip
    with catalogue.engine.write():
        catalogue.engine.run(Exam.insert_many(exams))
        catalogue.engine.run(DeliveryRow.insert_many(rows))


def outage(catalogue: Catalogue, channel: Channel, approvals: list[datetime]) -> Link:
    """Studies come a quarter of an hour at a time, in no order of approval; until everything is sent."""
    clock = FakeClock(START)
    link = Link(clock, channel, START + OUTAGE)
    dispatcher = Dispatcher(catalogue, "node1", EventBus(), clock)
    lane = Route(destination="cloud", channel=channel, width=1, sender=link, probe=link.probe)
    coming = sorted(approvals)
    while coming or len(link.went) < len(approvals):
        now = clock.now()
        here = [at for at in coming if at <= now]
        coming = coming[len(here) :]
        if here:
            arrive(catalogue, channel, here[::-1])
        if not dispatcher.run_one(lane):
            clock.advance(5 if now >= link.back - timedelta(minutes=2) else 60)
        assert now < START + 12 * HOUR, f"only {len(link.went)} went"
    return link


def spread(number: int, over: timedelta) -> list[datetime]:
    return [START + over * n / number for n in range(number)]


def alarms(told: list[Event]) -> list[tuple[Kind, Alarm | None]]:
    return [(event.kind, event.alarm) for event in told if event.alarm]


def test_images_go_by_due_time_none_is_late_and_there_is_one_alarm(catalogue: Catalogue, told: list[Event]) -> None:
    link = outage(catalogue, Channel.IMAGES, spread(STUDIES, OUTAGE))
    assert not link.late()
    dues = [one.due for _, one in link.went]
    assert all(a <= b for a, b in pairwise(dues) if a and b)
    assert {one.attempts for _, one in link.went} == {1}
    began, ended = link.went[0][0], link.went[-1][0]
    assert began <= link.back + timedelta(minutes=1, seconds=TAKES[Channel.IMAGES] + 5)
    assert ended - began <= timedelta(seconds=TAKES[Channel.IMAGES] * STUDIES), "the link stood still"
    assert alarms(told) == [(Kind.ALARM, Alarm.BREAKER), (Kind.CLEARED, Alarm.BREAKER)]


def test_no_report_is_late_that_the_link_can_bring_in_time_and_the_late_ones_have_a_quarter(
    catalogue: Catalogue, told: list[Event]
) -> None:
    link = outage(catalogue, Channel.REPORT, spread(REPORTS, OUTAGE))
    ready = link.back + timedelta(minutes=1, seconds=5)
    can_make_it = [one for _, one in link.went if one.due and one.due > ready + timedelta(minutes=1)]
    late = {one.id for _, one in link.late()}
    assert len(can_make_it) > REPORTS / 5
    assert not late & {one.id for one in can_make_it}
    last = max(n for n, (_, one) in enumerate(link.went) if one.id not in late)
    beside = sum(one.id in late for _, one in link.went[: last + 1])
    assert 0 < beside <= (last + 1) / 4 + 1
    for kind in (late, {one.id for one in can_make_it}):
        dues = [one.due for _, one in link.went if one.id in kind]
        assert all(a <= b for a, b in pairwise(dues) if a and b)
    assert alarms(told) == [(Kind.ALARM, Alarm.BREAKER), (Kind.CLEARED, Alarm.BREAKER)]
