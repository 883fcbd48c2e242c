"""A refusal that nothing proves to be the platform's: a person is told at once, tries are rare, a person ends it."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue import open_catalogue
from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock
from router.config.file import load, shipped
from router.delivery.breaker_gate import Route
from router.delivery.deadline_monitor import DeadlineMonitor
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import SendResult
from router.errors import PermanentError, TransientError, UnprovedRefusal
from router.events import Event, EventBus
from router.model import Channel
from router.policy.states import State
from router.review.deliveries import Review
from support.catalogue_rows import CLOUD, NOW

UNPROVED = UnprovedRefusal("unproved: not accepted", faults=(("Order.Status", "张三"),))
DUE = NOW + timedelta(minutes=40)


class ScriptedReports:
    """Ready reports, and a sender that ends as the script says; its last word stands."""

    def __init__(self, folder: Path) -> None:
        self.told: list[Event] = []
        self.bus = EventBus(self.told.append)
        self.catalogue = open_catalogue("", folder, self.bus)
        self.clock = FakeClock(NOW)
        self.dispatcher = Dispatcher(self.catalogue, "node1", self.bus, self.clock)
        self.lookout = DeadlineMonitor(load(shipped("router.toml")), self.catalogue, self.bus, self.clock)
        self.script: list[Exception] = []
        self.lane = Route(destination=CLOUD, channel=Channel.REPORT, width=1, sender=self)

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        del delivery, stop
        raise self.script.pop(0)

    def make(self) -> int:
        number = self.catalogue.exams.number_of("", "01", f"E{len(self.told)}", NOW)
        self.catalogue.queue.make(number, [(CLOUD, Channel.REPORT)], NOW)
        [made] = self.catalogue.queue.of_exam(number)
        self.catalogue.queue.move(made, State.READY, NOW, "all there", changes={"due": DUE})
        return made.id

    def get(self, number: int) -> Delivery:
        found = self.catalogue.queue.get(number)
        assert found is not None
        return found

    def sends(self, error: Exception) -> bool:
        """Whether a try is made; it ends so."""
        self.script = [error]
        self.dispatcher.keep_leases()
        return self.dispatcher.run_one(self.lane)

    def alarms(self) -> list[str]:
        return [one.subject for one in self.catalogue.alarms.standing() if one.alarm == Alarm.UNPROVED]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[ScriptedReports]:
    made = ScriptedReports(tmp_path)
    yield made
    made.catalogue.engine.close_thread()


@pytest.mark.fires("unproved")
def test_a_person_is_told_from_the_first_time_with_the_fields_and_no_patient_in_the_alarm(
    desk: ScriptedReports,
) -> None:
    one = desk.make()
    assert desk.sends(UNPROVED)
    assert desk.get(one).state == State.DEFERRED
    assert "unproved" in desk.get(one).error
    assert "Order.Status" in desk.get(one).error
    assert desk.alarms() == [f"d{one}"]
    assert not [event for event in desk.told if "张三" in event.text]


def test_it_is_tried_at_most_hourly_also_over_a_restart_and_a_due_time_that_presses(desk: ScriptedReports) -> None:
    one = desk.make()
    for hour in (1, 2, 3):
        assert desk.sends(UNPROVED)
        desk.catalogue.queue.put_off_no_longer(desk.clock.now())
        desk.clock.advance(3599)
        assert not desk.sends(UNPROVED)
        desk.clock.advance(1)
        assert desk.get(one).next_try == NOW + timedelta(hours=hour)


def test_a_clock_that_was_wrong_does_not_put_it_off_beyond_an_hour(desk: ScriptedReports) -> None:
    one = desk.make()
    assert desk.sends(UNPROVED)
    earlier = NOW - timedelta(days=300)
    desk.catalogue.queue.put_off_no_longer(earlier)
    assert desk.get(one).next_try == earlier + timedelta(hours=1)


def test_what_is_put_off_for_another_reason_is_tried_after_a_restart(desk: ScriptedReports) -> None:
    desk.make()
    assert desk.sends(TransientError("503"))
    desk.catalogue.queue.put_off_no_longer(desk.clock.now())
    assert desk.sends(TransientError("503"))


def test_a_person_ends_what_an_unproved_refusal_keeps_open_and_nothing_else(desk: ScriptedReports) -> None:
    refused = desk.make()
    assert desk.sends(UNPROVED)
    other = desk.make()
    assert desk.sends(TransientError("503"))
    review = Review(desk.catalogue, desk.clock)
    assert [review.fail(desk.get(one), "their operator says so", "liu") for one in (refused, other)] == [True, False]
    assert [desk.get(one).state for one in (refused, other)] == [State.FAILED, State.DEFERRED]
    assert "their operator says so" in desk.get(refused).error
    assert "Order.Status" in desk.get(refused).error
    assert [event.who for event in desk.told if event.delivery == refused][-1] == "liu"
    desk.lookout.step()
    assert desk.alarms() == []
    assert review.retry(desk.get(refused), "the RIS was corrected", "liu")


@pytest.mark.ends("unproved")
def test_a_refusal_that_is_proved_later_ends_it_and_the_alarm(desk: ScriptedReports) -> None:
    one = desk.make()
    assert desk.sends(UNPROVED)
    desk.lookout.step()
    assert desk.alarms() == [f"d{one}"]
    desk.clock.advance(3600)
    assert desk.sends(PermanentError("not accepted"))
    desk.lookout.step()
    assert (desk.get(one).state, desk.alarms()) == (State.FAILED, [])
