"""A delivery whose end could not be written down: the disk was full just then."""

import time
from collections.abc import Callable
from datetime import timedelta

import pytest

from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock
from router.delivery.breaker_gate import Route
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import SendResult
from router.errors import Crowded, TransientError
from router.events import EventBus, Kind
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, NOW, Database, delivery, driver, exam


def test_it_is_given_back_once_the_database_takes_it_and_not_when_its_lease_runs_out(sqlite: Database) -> None:
    catalogue, clock = sqlite.open(), FakeClock(NOW)
    waiting = delivery(catalogue, exam(catalogue), State.READY, due=NOW + timedelta(hours=1))

    class Sender:
        def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
            driver(catalogue).execute_sql("PRAGMA query_only = 1")
            return SendResult(State.DELIVERED, "sent")

    dispatcher = Dispatcher(catalogue, "node1", EventBus(), clock)
    with pytest.raises(TransientError):
        dispatcher.run_one(Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=Sender()))
    with pytest.raises(TransientError):
        dispatcher.keep_leases()
    driver(catalogue).execute_sql("PRAGMA query_only = 0")
    dispatcher.keep_leases()
    found = catalogue.queue.get(waiting.id)
    assert found is not None
    assert (found.state, found.lease_owner) == (State.READY, "")
    catalogue.engine.close_thread()


def test_a_claim_lasts_for_the_node_s_lease_and_is_given_back_where_other_nodes_have_all(sqlite: Database) -> None:
    catalogue, clock = sqlite.open(), FakeClock(NOW)
    waiting = delivery(catalogue, exam(catalogue), State.READY, due=NOW + timedelta(hours=1))
    left = list[float]()

    class Sender:
        def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
            [(until,)] = driver(catalogue).execute_sql("SELECT lease_until FROM delivery").fetchall()
            left.append(until / 1e6 - time.time())
            raise Crowded("other nodes have every association")

    dispatcher = Dispatcher(catalogue, "node1", EventBus(), clock, lease=timedelta(seconds=7))
    sender = Sender()
    assert not dispatcher.run_one(
        Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=sender, room=lambda: False)
    )
    assert left == [], "nothing is claimed while there is no room"
    assert dispatcher.run_one(Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=sender))
    assert 0 < left[0] <= 7.1
    found = catalogue.queue.get(waiting.id)
    assert found is not None
    assert (found.state, found.attempts, found.error) == (State.READY, 0, "")
    assert not catalogue.breakers.tripped()
    catalogue.engine.close_thread()


def test_how_it_ended_and_how_long_it_took_wait_for_the_disk_once(sqlite: Database) -> None:
    catalogue, clock, commits = sqlite.open(), FakeClock(NOW), list[str]()
    bus = EventBus(catalogue.history.keep)
    delivery(catalogue, exam(catalogue), State.READY, due=NOW + timedelta(hours=1))

    class Sender:
        def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
            commits.append("sent")
            clock.advance(2)
            return SendResult(State.DELIVERED, "sent", units=3)

    dispatcher = Dispatcher(catalogue, "node1", bus, clock)
    catalogue.engine.before_commit(lambda: commits.append("commit"))
    assert dispatcher.run_one(Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=Sender()))
    assert commits == ["commit", "sent", "commit"]
    assert catalogue.throughputs.of(CLOUD, Channel.IMAGES).units == 3
    assert [one.kind for _, one in catalogue.history.of([1], [])][-1] == Kind.CONFIRMED
    catalogue.engine.close_thread()
