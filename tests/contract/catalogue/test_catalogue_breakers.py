"""The contract of the breakers: one state for all lanes and nodes, told once."""

from datetime import timedelta
from functools import partial

import pytest

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.events import Event
from router.model import Channel
from router.policy import breaker
from router.policy.states import State
from support.catalogue_rows import CLOUD, LEASE_FOR, NOW, Database, at_once, delivery, exam

IMAGES, REPORT = Channel.IMAGES, Channel.REPORT
DUE = NOW + timedelta(seconds=5)


def trip(catalogue: Catalogue) -> None:
    catalogue.breakers.change(CLOUD, IMAGES, NOW, lambda found: breaker.down(found, NOW, "cannot connect", 0.0))


@pytest.mark.ends("breaker")
def test_an_open_breaker_is_one_alarm_and_known_to_everybody_until_it_closes(database: Database) -> None:
    told: list[Event] = []
    mine, other = database.open(told.append), database.open(told.append)
    trip(mine)
    trip(other)
    assert other.breakers.of(CLOUD, IMAGES) == breaker.down(breaker.CLOSED, NOW, "cannot connect", 0.0)
    assert other.breakers.of(CLOUD, REPORT) == other.breakers.of("other", IMAGES) == breaker.CLOSED
    assert [(one.destination, one.channel) for one in other.breakers.tripped()] == [(CLOUD, IMAGES)]
    assert [(one.alarm, one.subject) for one in mine.alarms.standing()] == [(Alarm.BREAKER, f"images to {CLOUD}")]
    other.breakers.change(CLOUD, IMAGES, NOW, breaker.answered)
    assert len(mine.alarms.standing()) == 1
    mine.breakers.change(CLOUD, IMAGES, NOW, partial(breaker.went, full=1))
    assert not mine.breakers.tripped()
    assert not mine.alarms.standing()
    assert [event.text for event in told] == [f"no images to {CLOUD}: cannot connect", f"{CLOUD} takes images again"]
    mine.engine.close_thread()
    other.engine.close_thread()


def test_of_many_that_would_probe_at_once_one_does(catalogue: Catalogue) -> None:
    trip(catalogue)

    def asks() -> bool:
        before, after = catalogue.breakers.change(
            CLOUD, IMAGES, DUE, lambda found: breaker.probing(found, DUE) if breaker.probe_due(found, DUE) else found
        )
        return before != after

    assert sum(at_once(catalogue, [asks] * 4)) == 1


def test_a_start_lets_every_open_one_be_asked_at_once(catalogue: Catalogue) -> None:
    trip(catalogue)
    assert not breaker.probe_due(catalogue.breakers.of(CLOUD, IMAGES), NOW)
    catalogue.breakers.probe_now(NOW)
    assert breaker.probe_due(catalogue.breakers.of(CLOUD, IMAGES), NOW)


def test_no_more_are_claimed_than_may_be_under_way(catalogue: Catalogue) -> None:
    for n in range(3):
        delivery(catalogue, exam(catalogue, f"E{n}"), State.READY)

    def claim(at_most: int | None) -> bool:
        return catalogue.queue.claim(CLOUD, IMAGES, "node1", NOW, LEASE_FOR, at_most) is not None

    assert [claim(1), claim(1), claim(2), claim(2), claim(None)] == [True, False, True, False, True]
    assert catalogue.queue.under_way(CLOUD, IMAGES) == 3
    assert catalogue.queue.under_way(CLOUD, REPORT) == 0
