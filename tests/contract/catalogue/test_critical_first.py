"""Critical values go first among what is due at one time, on both engines, and the claim reads no more than before."""

from datetime import timedelta

import pytest

from router.catalogue import Catalogue
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import CLOUD, LEASE_FOR, MINUTE, NOW, Database, delivery, driver, exam


def ready(catalogue: Catalogue, due: int, *, critical: bool = False, since: timedelta = timedelta(0)) -> int:
    """A ready delivery that is due in so many minutes; its number."""
    made = delivery(catalogue, exam(catalogue, f"E{due}-{critical}-{since}"))
    changes = {"due": NOW + due * MINUTE, "critical": int(critical)}
    assert catalogue.queue.move(made, State.READY, NOW + since, "go", changes=changes)
    return made.id


def claimed(catalogue: Catalogue, now: timedelta = timedelta(0)) -> list[int]:
    order = []
    while found := catalogue.queue.claim(CLOUD, Channel.IMAGES, "node", NOW + now, LEASE_FOR):
        order.append(found.id)
    return order


@pytest.mark.parametrize("over", [False, True])
def test_of_several_due_at_one_time_the_critical_value_goes_first(catalogue: Catalogue, over: bool) -> None:
    waiting = ready(catalogue, 60)
    later = ready(catalogue, 61, critical=True)
    critical = ready(catalogue, 60, critical=True, since=MINUTE)
    sooner = ready(catalogue, 59)
    queued = catalogue.prospects.queued(CLOUD, Channel.IMAGES, NOW + (2 * 60 * MINUTE if over else 0 * MINUTE)).places
    assert sorted(queued, key=queued.__getitem__) == [sooner, critical, waiting, later]
    assert claimed(catalogue, 2 * 60 * MINUTE if over else timedelta(0)) == [sooner, critical, waiting, later]


def test_the_claim_sorts_only_what_is_due_at_one_time(sqlite: Database) -> None:
    catalogue = sqlite.open()
    statement = (
        "SELECT id FROM delivery WHERE destination = 'cloud' AND channel = 'images' AND state = 'ready' AND hospital ="
        " '' AND due > 5 ORDER BY due, critical DESC, changed, id LIMIT 1"
    )
    plan = [row[3] for row in driver(catalogue).execute_sql(f"EXPLAIN QUERY PLAN {statement}").fetchall()]
    assert "delivery_destination_channel_state_hospital_due" in plan[0]
    assert "USE TEMP B-TREE FOR ORDER BY" not in plan
    catalogue.engine.close_thread()
