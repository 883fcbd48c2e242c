"""The contract of alarms: each is told once for its subject until it is cleared, through every restart."""

import pytest

from router.alarms import REMEDY, Alarm
from router.catalogue import Catalogue, open_catalogue
from router.events import Event, EventBus, Kind
from support.catalogue_rows import MINUTE, NOW, Database, at_once


def raised(subject: str = "disk", text: str = "no room", exam: int | None = None) -> Event:
    return Event(NOW, Kind.ALARM, text, exam=exam, alarm=Alarm.DISK, subject=subject)


def cleared(subject: str = "disk") -> Event:
    return Event(NOW + MINUTE, Kind.CLEARED, "room again", alarm=Alarm.DISK, subject=subject)


def test_an_alarm_is_told_once_until_it_is_cleared(database: Database) -> None:
    told: list[Event] = []
    bus = EventBus(told.append)
    catalogue = open_catalogue(database.url, database.data, bus)
    for event in (cleared(), raised(), raised(text="still no room"), cleared(), cleared(), raised()):
        bus.record(event)
    assert [event.kind for event in told] == [Kind.ALARM, Kind.CLEARED, Kind.ALARM]
    (standing,) = catalogue.alarms.standing()
    catalogue.engine.close_thread()
    assert (standing.alarm, standing.subject, standing.text) == (Alarm.DISK, "disk", "no room")


def test_an_alarm_stands_through_a_restart(database: Database) -> None:
    told: list[Event] = []
    for _ in range(2):
        bus = EventBus(told.append)
        catalogue = open_catalogue(database.url, database.data, bus)
        bus.record(raised())
        catalogue.engine.close_thread()
    assert len(told) == 1


def test_those_of_some_kinds_are_read_without_the_others(catalogue: Catalogue) -> None:
    assert catalogue.alarms.is_news(raised())
    for number in range(3):
        file = Event(NOW, Kind.ALARM, "a file is refused", alarm=Alarm.REJECTED_FILE, subject=f"file f{number}")
        assert catalogue.alarms.is_news(file)
    assert catalogue.alarms.of([Alarm.DISK]) == [one for one in catalogue.alarms.standing() if one.alarm == Alarm.DISK]
    assert [one.text for one in catalogue.alarms.of([Alarm.DISK, Alarm.PAUSED])] == ["no room"]
    assert len(catalogue.alarms.of([Alarm.REJECTED_FILE])) == 3
    assert catalogue.alarms.of([]) == []


def test_subjects_have_alarms_of_their_own(catalogue: Catalogue) -> None:
    assert catalogue.alarms.is_news(raised("e1", exam=1))
    assert catalogue.alarms.is_news(raised("e2", exam=2))
    assert [one.subject for one in catalogue.alarms.standing(exam=2)] == ["e2"]


def test_of_several_that_see_the_same_at_once_one_tells(catalogue: Catalogue) -> None:
    assert sorted(at_once(catalogue, [lambda: catalogue.alarms.is_news(raised())] * 4)) == [False, False, False, True]
    assert sorted(at_once(catalogue, [lambda: catalogue.alarms.is_news(cleared())] * 4)) == [False, False, False, True]


def test_what_an_alarm_took_back_with_its_transaction_is_told_later(catalogue: Catalogue) -> None:
    def interrupted() -> None:
        with catalogue.engine.write():
            assert catalogue.alarms.is_news(raised())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert catalogue.alarms.is_news(raised())


def test_an_alarm_says_which_it_is_and_every_alarm_has_a_remedy() -> None:
    with pytest.raises(ValueError, match="alarm None"):
        Event(NOW, Kind.ALARM, "what?")
    assert set(REMEDY) == set(Alarm)
