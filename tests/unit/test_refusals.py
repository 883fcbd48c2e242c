"""Refusals: the first of a peer is told at once, the rest once a minute by their number; the memory is bounded."""

from datetime import UTC, datetime, timedelta

import pytest

from router.events import Event, EventBus, Kind
from router.refusals import MOST_PEERS, OTHERS

NOW = datetime(2026, 3, 2, 8, tzinfo=UTC)


class Door:
    """A event bus in front of which peers knock; `told` is what reaches log and audit."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.bus = EventBus(self.told.append)

    def knock(self, second: float, address: str = "10.9.9.9", why: str = "not a sender", name: str = "EVIL") -> None:
        fields = {"calling_ae": name, "address": address}
        self.bus.record(Event(NOW + timedelta(seconds=second), Kind.REFUSED, why, fields=fields))

    def look(self, second: float) -> list[str]:
        """What is new in the log."""
        self.bus.tell_counted(NOW + timedelta(seconds=second))
        texts = [event.text for event in self.told]
        self.told.clear()
        return texts


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_flood_of_refusals_is_one_line_a_minute(door: Door) -> None:
    lines: list[str] = []
    for second in range(600):
        for _ in range(20):
            door.knock(second)
        lines += door.look(second + 0.5)
    assert lines[:2] == ["not a sender", "1219 more within a minute from 10.9.9.9: 1219 x not a sender"]
    assert len(lines) == 10
    assert 1 + sum(int(line.split()[0]) for line in lines[1:]) <= 12000


def test_every_refusal_is_counted_in_the_end(door: Door) -> None:
    for n in range(1000):
        door.knock(n / 10)
        if n % 37 == 0:
            door.bus.tell_counted(NOW + timedelta(seconds=n / 10))
    door.bus.tell_counted(NOW + timedelta(seconds=101), all_of_them=True)
    assert sum(int(str(event.fields.get("count", 1))) for event in door.told) == 1000


def test_what_is_refused_now_and_then_is_told_each_time(door: Door) -> None:
    for minute in range(5):
        door.knock(minute * 61)
        assert door.look(minute * 61 + 0.5) == ["not a sender"]
        assert door.look(minute * 61 + 60.5) == []


def test_each_peer_is_told_by_itself_with_its_reasons(door: Door) -> None:
    door.knock(0, "10.0.0.1")
    door.knock(0, "10.0.0.2")
    for _ in range(3):
        door.knock(1, "10.0.0.1", "too many associations")
    door.knock(1, "10.0.0.1")
    assert door.look(1) == ["not a sender", "not a sender"]
    assert door.look(61) == ["4 more within a minute from 10.0.0.1: 3 x too many associations; 1 x not a sender"]


def test_the_name_is_told_only_where_it_was_one(door: Door) -> None:
    for name in ("A", "A", "A"):
        door.knock(0, "10.0.0.1", name=name)
    for n in range(100):
        door.knock(0, "10.0.0.2", name=f"AE{n}")
    door.bus.tell_counted(NOW + timedelta(seconds=61))
    assert [event.fields.get("calling_ae") for event in door.told[-2:]] == ["A", None]


def test_any_number_of_addresses_and_reasons_costs_bounded_memory_and_lines(door: Door) -> None:
    for n in range(20_000):
        door.knock(1, f"10.{n >> 16}.{n >> 8 & 255}.{n & 255}", f"reason {n}", f"AE{n}")
    assert len(door.told) == MOST_PEERS + 1
    lines = door.look(62)[MOST_PEERS + 1 :]
    assert len(lines) == 1
    assert OTHERS in lines[0]
    assert len(lines[0]) < 400
    for n in range(5000):
        door.knock(63, "10.0.0.1", f"reason {n}")
    assert len(door.look(130)[-1]) < 400


def test_a_clock_that_is_put_back_does_not_silence_a_peer(door: Door) -> None:
    door.knock(7200)
    door.knock(0)
    assert len(door.look(0)) == 2


def test_files_that_are_refused_are_told_one_by_one(door: Door) -> None:
    for n in range(3):
        door.bus.record(Event(NOW, Kind.REFUSED, f"file {n}"))
    assert door.look(0) == ["file 0", "file 1", "file 2"]
