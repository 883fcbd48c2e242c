"""Nodes that are missed, and clocks that are not the database's: the alarms of both, and a person's word."""

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.node.nodes import Absent
from router.clock import FakeClock, SharedClock
from router.cluster.absence import STOPPED_FOR, AbsenceWatch, audit_of, forget
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.review.decisions import OperatorReason
from router.upkeep.clock_watch import FAR, ClockWatch, gap
from support.catalogue_rows import NOW, Database, driver

LONG, SHORT = timedelta(seconds=60), timedelta(milliseconds=20)
SAID = OperatorReason("Li", "its machine was taken away")


class ClusterView:
    """A database of several nodes, as one of them sees it; `told` are the events."""

    def __init__(self, database: Database) -> None:
        self.told: list[Event] = []
        self.catalogue: Catalogue = database.open(self.told.append)
        self.bus = EventBus(self.told.append)
        self.bus.guard(self.catalogue.alarms.is_news)
        self.clock = FakeClock(NOW)

    def look(self, lease: timedelta = LONG) -> None:
        AbsenceWatch(self.catalogue, lease, self.bus, self.clock).look()

    def forget(self, name: str) -> None:
        forget(self.catalogue, self.bus, self.clock.now(), LONG, name, SAID)

    def texts(self, kind: Kind) -> list[str]:
        return [one.text for one in self.told if one.kind == kind]

    @property
    def standing(self) -> dict[str, str]:
        return {one.subject: one.text for one in self.catalogue.alarms.standing() if one.alarm == Alarm.NODE_SILENT}


@pytest.fixture
def ward(postgresql: Database) -> Iterator[ClusterView]:
    found = ClusterView(postgresql)
    yield found
    found.catalogue.engine.close_thread()


@pytest.mark.fires("node-silent")
@pytest.mark.ends("node-silent")
def test_a_silent_node_is_missed_after_two_leases_until_it_gives_a_sign_of_life(ward: ClusterView) -> None:
    ward.catalogue.nodes.beat("node2")
    ward.look()
    assert ward.standing == {}
    time.sleep(0.1)
    ward.look(SHORT)
    ward.look(SHORT)
    assert list(ward.standing) == ["node node2"]
    assert len(ward.texts(Kind.ALARM)) == 1
    ward.catalogue.nodes.beat("node2")
    ward.look()
    assert (ward.standing, ward.texts(Kind.CLEARED)) == ({}, ["the node node2 is back"])


def test_the_alarm_of_a_dead_node_says_who_took_over_what_and_ends_when_it_is_back_though_nobody_looked(
    ward: ClusterView,
) -> None:
    ward.catalogue.nodes.beat("node2")
    time.sleep(0.1)
    ward.look(SHORT)
    ward.catalogue.nodes.leave("node2", Absent.DEAD, "3 delivery(s) went over to the node node1")
    ward.look()
    assert ward.standing == {"node node2": "the node node2 is dead: 3 delivery(s) went over to the node node1"}
    assert len(ward.texts(Kind.ALARM)) == 1, "it is one trouble"
    ward.catalogue.nodes.beat("node2")
    ward.catalogue.nodes.leave("node2", Absent.STOPPED)
    ward.look()
    assert ward.standing == {}


def test_a_node_that_was_stopped_is_missed_after_a_day(ward: ClusterView) -> None:
    ward.catalogue.nodes.leave("node2", Absent.STOPPED)
    ward.look()
    assert ward.standing == {}
    microseconds = STOPPED_FOR // timedelta(microseconds=1)
    driver(ward.catalogue).execute_sql(f"UPDATE absent_node SET since = since - {microseconds}")
    ward.look()
    assert "was stopped more than a day ago" in ward.standing["node node2"]


def test_a_person_says_that_a_node_is_gone_and_neither_it_nor_an_alarm_about_it_is_known_any_more(
    ward: ClusterView,
) -> None:
    nodes = ward.catalogue.nodes
    nodes.leave("node2", Absent.DEAD, "")
    ward.look()
    off = ClockWatch(ward.catalogue, "node2", ward.bus, SharedClock(ward.clock))
    off.look()
    doubted = Event(NOW, Kind.ALARM, "record 7 was changed", alarm=Alarm.AUDIT, subject=audit_of("node2"))
    ward.bus.record(doubted)
    other = Event(NOW, Kind.ALARM, "record 7 was changed", alarm=Alarm.AUDIT, subject=audit_of("node1"))
    ward.bus.record(other)
    assert len(ward.catalogue.alarms.standing()) == 4
    ward.forget("node2")
    assert [one.subject for one in ward.catalogue.alarms.standing()] == ["audit of node1"]
    ward.bus.record(replace(other, kind=Kind.CLEARED))
    assert (nodes.absent(), ward.catalogue.alarms.standing()) == ([], [])
    decided = next(one for one in ward.told if one.kind == Kind.DECIDED)
    assert (decided.who, decided.text) == ("Li", "the node node2 was removed: its machine was taken away")
    ward.look()
    assert ward.standing == {}


@pytest.mark.parametrize("name", ["node1", "node3", ""])
def test_a_node_that_lives_or_that_nobody_knows_is_not_forgotten(ward: ClusterView, name: str) -> None:
    ward.catalogue.nodes.beat("node1")
    with pytest.raises(InvalidData):
        ward.forget(name)
    assert ward.catalogue.nodes.known() == {"node1"}
    assert ward.told == []


def test_a_node_alone_on_its_file_is_missed_by_nobody(sqlite: Database) -> None:
    ward = ClusterView(sqlite)
    ward.catalogue.nodes.leave("former name", Absent.DEAD, "")
    ward.look()
    ClockWatch(ward.catalogue, "node1", ward.bus, SharedClock(ward.clock)).look()
    assert ward.told == []
    ward.catalogue.engine.close_thread()


@pytest.mark.fires("clock")
@pytest.mark.ends("clock")
def test_a_clock_that_is_far_from_the_databases_is_an_alarm_until_it_is_set(ward: ClusterView) -> None:
    for start, stands in ((datetime.now(UTC) + timedelta(minutes=20), True), (datetime.now(UTC), False)):
        clock = SharedClock(FakeClock(start))
        ClockWatch(ward.catalogue, "node2", ward.bus, clock).look()
        assert ward.catalogue.alarms.stands(Alarm.CLOCK, "clock of node2") == stands
        assert abs(clock.now() - datetime.now(UTC)) < FAR * 4
    assert "s ahead of the database's; the node goes by the database's" in ward.texts(Kind.ALARM)[0]
    assert ward.texts(Kind.CLEARED) == ["the clock of the node node2 is right"]


def test_how_far_a_clock_is_off_is_said_with_its_direction() -> None:
    assert gap(timedelta(seconds=1200.04)) == "1200.0 s ahead of the database's"
    assert gap(timedelta(seconds=-5.2)) == "5.2 s behind the database's"
