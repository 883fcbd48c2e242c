"""A large study does not keep others from going that are as urgent."""

from collections.abc import Callable
from datetime import timedelta

from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock
from router.delivery.breaker_gate import Route
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import SendResult
from router.events import EventBus
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, NOW, Database, delivery, exam


def test_two_large_studies_of_one_due_time_have_a_minute_each_by_turns(sqlite: Database) -> None:
    catalogue, clock = sqlite.open(), FakeClock(NOW)
    due = NOW + timedelta(hours=1)
    made = [delivery(catalogue, exam(catalogue, f"E{n}"), State.READY, due=due).id for n in range(2)]
    left, turns = {made[0]: 150, made[1]: 90}, list[int]()

    class Sender:
        def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
            turns.append(made.index(delivery.id))
            assert delivery.attempts == 1
            while left[delivery.id] and not stop():
                clock.advance(1)
                left[delivery.id] -= 1
            return SendResult(State.DELIVERED if not left[delivery.id] else State.READY, "as far as it went")

    dispatcher = Dispatcher(catalogue, "node1", EventBus(), clock)
    while dispatcher.run_one(Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=Sender())):
        pass
    assert turns == [0, 1, 0, 1, 0]
    assert clock.now() == NOW + timedelta(seconds=240)
    catalogue.engine.close_thread()
