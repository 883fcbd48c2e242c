"""The forecast, the alarms of a delivery's time, and the daily report, on a catalogue."""

import csv
import json
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock
from router.config.file import parse
from router.delivery.breaker_gate import Route
from router.delivery.deadline_monitor import DeadlineMonitor
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import SendResult
from router.events import Event, EventBus, Kind
from router.model import Channel
from router.policy.states import State
from router.review.deliveries import Review, expected_of
from support.catalogue_rows import exam
from support.harness import command_here
from support.intake_folder import CONFIG, START

HOUR = timedelta(hours=1)
DESTINATION = '[[destination]]\nname = "cloud"\n'
DONE = SendResult(State.DELIVERED, "receipt", units=1)


class ReportQueue:
    """Reports to one destination, all real but the clock and the sending."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "router.toml"
        self.file.write_text(CONFIG + DESTINATION, encoding="utf-8")
        config = parse(CONFIG + DESTINATION, base=folder)
        config.node.data.mkdir()
        self.told: list[Event] = []
        bus = EventBus(self.told.append)
        self.catalogue: Catalogue = open_catalogue("", config.node.data, bus)
        self.clock = FakeClock(START)
        self.dispatcher = Dispatcher(self.catalogue, "node1", bus, self.clock)
        self.lookout = DeadlineMonitor(config, self.catalogue, bus, self.clock)
        self.review = Review(self.catalogue, self.clock)

    def ready(self, name: str, due: datetime, legal: datetime | None = None) -> Delivery:
        made = self.waiting(name, due, legal)
        now = self.clock.now()
        changes = {"waiting_for": ""}
        assert self.catalogue.queue.move(made, State.READY, now, "everything is there", changes=changes)
        return self.get(made)

    def waiting(self, name: str, due: datetime, legal: datetime | None = None) -> Delivery:
        number = exam(self.catalogue, name)
        self.catalogue.queue.make(number, [("cloud", Channel.REPORT)], self.clock.now())
        [made] = self.catalogue.queue.of_exam(number)
        self.catalogue.queue.update(made, due=due, legal_due=legal or due, waiting_for="pdf")
        return self.get(made)

    def get(self, made: Delivery) -> Delivery:
        found = self.catalogue.queue.get(made.id)
        assert found is not None
        return found

    def send(self, *, takes: float = 1.0) -> None:
        """One report, which takes so many seconds."""

        def send(delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
            del delivery, stop
            self.clock.advance(takes)
            return DONE

        class Sender:
            def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
                return send(delivery, stop)

        assert self.dispatcher.run_one(Route(destination="cloud", channel=Channel.REPORT, width=1, sender=Sender()))

    def alarms(self, kind: Kind = Kind.ALARM) -> list[Alarm | None]:
        return [event.alarm for event in self.told if event.kind == kind]


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[ReportQueue]:
    opened = ReportQueue(tmp_path)
    yield opened
    opened.catalogue.engine.close_thread()


def test_a_miss_is_foreseen_from_the_backlog_and_the_rate_before_the_clock_shows_it(ward: ReportQueue) -> None:
    for n in range(3):
        ward.ready(f"E{n}", START + HOUR)
    for _ in range(3):
        ward.send(takes=120)
    made = [ward.ready(f"F{n}", ward.clock.now() + HOUR) for n in range(40)]
    ward.lookout.step()
    found = [ward.catalogue.queue.get(one.id) for one in made]
    late = [bool(one and one.due and one.expected and one.expected > one.due) for one in found]
    assert late == [n >= 30 for n in range(40)]
    assert found[0] is not None
    assert expected_of(found[0]) == ward.clock.now() + timedelta(minutes=2)
    at_risk = [event.delivery for event in ward.told if event.alarm == Alarm.AT_RISK]
    assert at_risk == [one.id for one in made[30:]]
    shown = command_here("queue", "list", "--config", ward.file, "--state", "ready").stdout
    assert shown.count("LATE") == 10


@pytest.mark.ends("at-risk", "half-time", "missed")
@pytest.mark.fires("half-time", "at-risk", "missed")
def test_each_alarm_of_a_delivery_comes_once_and_delivery_clears_them(ward: ReportQueue) -> None:
    ward.ready("E1", START + HOUR)
    for _ in range(70):
        ward.lookout.step()
        ward.clock.advance(60)
    assert ward.alarms() == [Alarm.HALF_TIME, Alarm.AT_RISK, Alarm.MISSED]
    ward.send()
    assert sorted(map(str, ward.alarms(Kind.CLEARED))) == ["at-risk", "half-time", "missed"]
    ward.lookout.step()
    assert not ward.catalogue.alarms.standing()


def test_each_ends_when_the_due_time_is_moved_and_comes_again_at_the_new_one(ward: ReportQueue) -> None:
    made = ward.ready("E1", START + HOUR)
    for _ in range(62):
        ward.lookout.step()
        ward.clock.advance(60)
    ward.catalogue.queue.update(ward.get(made), due=ward.clock.now() + HOUR)
    ward.lookout.step()
    assert not ward.catalogue.alarms.standing()
    ward.clock.advance(3600)
    ward.lookout.step()
    assert ward.alarms() == [Alarm.HALF_TIME, Alarm.AT_RISK, Alarm.MISSED, Alarm.MISSED]


def test_a_risk_by_forecast_alone_ends_when_the_forecast_leaves_a_fifth_of_the_time_and_does_not_flutter(
    ward: ReportQueue,
) -> None:
    for n in range(3):
        ward.ready(f"E{n}", START + HOUR)
    for _ in range(3):
        ward.send(takes=120)
    made = [ward.ready(f"F{n}", ward.clock.now() + HOUR) for n in range(31)]
    ward.lookout.step()
    assert ward.alarms() == [Alarm.AT_RISK]
    assert ward.review.cancel(ward.get(made[0]), "not needed", "wang")
    ward.lookout.step()
    assert ward.alarms(Kind.CLEARED) == []
    for one in made[1:7]:
        assert ward.review.cancel(ward.get(one), "not needed", "wang")
    ward.lookout.step()
    assert ward.alarms(Kind.CLEARED) == [Alarm.AT_RISK]


def test_an_alarm_of_storage_commitment_about_a_whole_exam_ends_with_its_images(ward: ReportQueue) -> None:
    number = exam(ward.catalogue, "E1")
    ward.catalogue.queue.make(number, [("cloud", Channel.IMAGES)], START)
    event = Event(START, Kind.ALARM, "x", exam=number, alarm=Alarm.COMMITMENT, subject=f"e{number}")
    assert ward.catalogue.alarms.is_news(event)
    ward.lookout.step()
    assert ward.catalogue.alarms.standing()
    (images,) = ward.catalogue.queue.of_exam(number)
    assert ward.review.cancel(images, "not needed", "wang")
    ward.lookout.step()
    assert not ward.catalogue.alarms.standing()


def test_a_cancellation_clears_them_too(ward: ReportQueue) -> None:
    made = ward.ready("E1", START + HOUR)
    ward.clock.advance(1800)
    ward.lookout.step()
    assert ward.review.cancel(ward.get(made), "test patient", "wang")
    ward.lookout.step()
    assert (ward.alarms(), ward.alarms(Kind.CLEARED)) == ([Alarm.HALF_TIME], [Alarm.HALF_TIME])


def test_time_in_which_two_were_under_way_counts_once(ward: ReportQueue) -> None:
    for n in range(2):
        ward.ready(f"E{n}", START + HOUR)

    class Outer:
        def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
            del delivery, stop
            ward.clock.advance(5)
            ward.send(takes=5)
            ward.clock.advance(10)
            return DONE

    assert ward.dispatcher.run_one(Route(destination="cloud", channel=Channel.REPORT, width=2, sender=Outer()))
    pace = ward.catalogue.throughputs.of("cloud", Channel.REPORT)
    assert (pace.units, pace.seconds) == (2, 15)


def test_the_daily_report_tells_missed_by_us_from_arrived_late(ward: ReportQueue, tmp_path: Path) -> None:
    ward.ready("MET", START + HOUR)
    ward.send()
    ward.ready("OURS", START + HOUR)
    waits = ward.waiting("WAITS", START + HOUR)
    ward.clock.advance(7200)
    ward.send()
    ward.ready("LATE", START + HOUR)
    ward.send()
    ward.ready("TOMORROW", START + timedelta(days=1))
    out = tmp_path / "day.csv"
    day = ("--day", "2026-03-02", "--config", ward.file)
    answer = command_here("queue", "report", *day, "--csv", out)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[0] == "1 met, 0 pending, 1 missed by us, 2 arrived late"
    with out.open(encoding="utf-8-sig", newline="") as file:
        rows = {row["exam_id"]: (row["verdict"], row["reason"]) for row in csv.DictReader(file)}
    assert rows == {
        "MET": ("met", ""), "OURS": ("missed by us", "it stood in the queue"),
        "WAITS": ("arrived late", "waits for pdf"), "LATE": ("arrived late", "its last part came too late"),
    }  # fmt: skip
    assert ward.get(waits).state == State.WAITING
    answered = json.loads(command_here("queue", "report", *day, "--json").stdout)
    assert answered["counts"] == {"met": 1, "pending": 0, "missed by us": 1, "arrived late": 2}
