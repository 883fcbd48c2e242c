"""Signs of life and duties of several nodes, by the database's own clock."""

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from router.catalogue import Catalogue
from router.catalogue.node.nodes import Absent
from router.clock import FakeClock, SharedClock
from router.errors import TransientError
from support.catalogue_rows import NOW, at_once, driver

LONG = timedelta(seconds=60)


def pass_by(catalogue: Catalogue, table: str, column: str, seconds: int) -> None:
    """As if that time had gone by since."""
    driver(catalogue).execute_sql(f'UPDATE "{table}" SET "{column}" = "{column}" - {seconds * 10**6}')


def test_a_duty_is_one_node_s_until_its_lease_ends_or_it_leaves(catalogue: Catalogue) -> None:
    nodes = catalogue.nodes
    assert nodes.hold("retention", "a", LONG)
    assert nodes.hold("retention", "a", 2 * LONG), "the one who has it keeps it, for as long as it says"
    pass_by(catalogue, "duty", "until", 90)
    assert not nodes.hold("retention", "b", LONG)
    pass_by(catalogue, "duty", "until", 90)
    assert nodes.hold("retention", "b", LONG)
    assert not nodes.hold("retention", "a", LONG)
    nodes.forget("b")
    assert nodes.hold("retention", "a", LONG)


def test_of_many_nodes_that_want_a_duty_at_once_one_gets_it(catalogue: Catalogue) -> None:
    jobs = [partial(catalogue.nodes.hold, "drop folder", f"node{n}", LONG) for n in range(6)]
    assert sorted(at_once(catalogue, jobs)) == [False] * 5 + [True]


def test_who_lost_a_duty_is_fenced_off(catalogue: Catalogue) -> None:
    catalogue.nodes.hold("drop folder", "a", LONG)
    with catalogue.exams.transaction():
        catalogue.nodes.fence("drop folder", "a")
    with pytest.raises(TransientError, match="another node"), catalogue.exams.transaction():
        catalogue.nodes.fence("drop folder", "b")


def test_a_node_is_late_once_it_was_silent_for_a_lease_and_unknown_once_it_left(catalogue: Catalogue) -> None:
    catalogue.nodes.beat("a")
    assert catalogue.nodes.late(LONG) == set()
    pass_by(catalogue, "node", "seen", 90)
    catalogue.nodes.beat("b")
    assert catalogue.nodes.late(LONG) == {"a"}
    catalogue.nodes.beat("a")
    assert catalogue.nodes.late(LONG) == set()
    catalogue.nodes.forget("a")
    assert catalogue.nodes.known() == {"b"}


def test_a_node_that_went_is_expected_back_until_it_is_or_is_forgotten(catalogue: Catalogue) -> None:
    nodes, shared = catalogue.nodes, catalogue.engine.is_shared
    for name in ("a", "b"):
        nodes.beat(name)
        nodes.hold(f"duty of {name}", name, LONG)
    nodes.leave("a", Absent.STOPPED)
    nodes.leave("b", Absent.DEAD, "its work")
    assert (nodes.known(), nodes.duties()) == (set(), {})
    found = [(one.node, one.how, one.taken) for one in nodes.absent()]
    assert found == ([("a", "stopped", ""), ("b", "dead", "its work")] if shared else [])
    assert all(timedelta(0) <= one.ago < LONG for one in nodes.absent())
    nodes.beat("a")
    nodes.forget("b")
    assert (nodes.known(), nodes.absent()) == ({"a"}, [])


def test_a_clock_is_set_by_the_server_and_not_by_a_file(catalogue: Catalogue) -> None:
    machine = FakeClock(NOW)  # some other day
    clock = SharedClock(machine)
    catalogue.nodes.set_clock(clock)
    if not catalogue.engine.is_shared:
        assert (clock.now(), clock.ahead) == (NOW, timedelta(0))
        return
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=20)
    assert abs(clock.ahead) > timedelta(hours=1)
