"""The alarm about cryptography: an answer that is not the platform's, keys that are not those that were pinned."""

from collections.abc import Callable
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock
from router.delivery.breaker_gate import Route
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import SendResult
from router.errors import IntegrityError, Unproven
from router.events import Event, EventBus, Kind
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, NOW


class Scripted:
    """A sender that ends as the script says."""

    def __init__(self, *script: Exception | SendResult) -> None:
        self._script = list(script)

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        del delivery, stop
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


class Bench:
    """A queue with ready reports, and what the event bus told."""

    def __init__(self, folder: Path) -> None:
        self.told: list[Event] = []
        self.bus = EventBus(self.told.append)
        self.catalogue: Catalogue = open_catalogue("", folder, self.bus)
        self.clock = FakeClock(NOW)
        self.dispatcher = Dispatcher(self.catalogue, "node1", self.bus, self.clock)

    def run(self, *script: Exception | SendResult) -> None:
        """Send one report after the other."""
        lane = Route(destination=CLOUD, channel=Channel.REPORT, width=1, sender=Scripted(*script))
        for n in range(len(script)):
            number = self.catalogue.exams.number_of("", "01", f"E{len(self.told)}.{n}", NOW)
            self.catalogue.queue.make(number, [(CLOUD, Channel.REPORT)], NOW)
            [made] = self.catalogue.queue.of_exam(number)
            self.catalogue.queue.move(made, State.READY, NOW, "all there")
            assert self.dispatcher.run_one(lane)

    def standing(self) -> list[tuple[Alarm, str]]:
        return [(one.alarm, one.subject) for one in self.catalogue.alarms.standing()]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


DONE = SendResult(State.DELIVERED, "receipt for revision 1")


@pytest.mark.ends("crypto")
@pytest.mark.fires("crypto")
def test_answers_that_are_not_proved_are_one_alarm_of_the_destination_until_one_is(bench: Bench) -> None:
    bench.run(Unproven("the receipt's signature does not verify"), Unproven("another"))
    assert bench.standing() == [(Alarm.CRYPTO, f"destination {CLOUD}")]
    assert len([one for one in bench.told if one.kind == Kind.ALARM]) == 1
    bench.run(DONE)
    assert bench.standing() == []
    assert [one.kind for one in bench.told if one.alarm] == [Kind.ALARM, Kind.CLEARED]


@pytest.mark.ends("integrity")
@pytest.mark.fires("integrity")
def test_a_damaged_database_is_no_matter_of_cryptography_and_an_alarm_until_the_delivery_goes(bench: Bench) -> None:
    bench.run(IntegrityError("the database is damaged"))
    assert [alarm for alarm, _ in bench.standing()] == [Alarm.INTEGRITY]
    bench.run(DONE)
    assert [alarm for alarm, _ in bench.standing()] == [Alarm.INTEGRITY], "another one went"
    bench.clock.advance(3600)
    bench.dispatcher.keep_leases()
    assert bench.dispatcher.run_one(Route(destination=CLOUD, channel=Channel.REPORT, width=1, sender=Scripted(DONE)))
    assert bench.standing() == []
