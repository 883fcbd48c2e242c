"""The contract of alarms: each is told once for its subject until it is cleared, through every restart."""

import pytest

from router.alarms import REMEDY, Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.node.alarms import folded
from router.events import Event, EventBus, Kind
from router.policy.folding import Cause, Fold
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


def test_an_alarm_keeps_the_hospital_that_it_concerns_until_it_is_over(catalogue: Catalogue) -> None:
    fields = {"destination": "cloud", "hospital": "renmin"}
    mine = Event(NOW, Kind.ALARM, "no answer", alarm=Alarm.BREAKER, subject="cloud for renmin", fields=fields)
    assert catalogue.alarms.is_news(mine)
    assert catalogue.alarms.is_news(raised())
    assert {one.subject: one.hospital for one in catalogue.alarms.standing()} == {
        "disk": "", "cloud for renmin": "renmin",
    }  # fmt: skip
    (first,) = [one for one in folded(catalogue.alarms.standing()) if one.alarm == Alarm.BREAKER]
    assert first.hospitals == ("renmin",)
    # The end names nothing, and the news of it has the hospital all the same.
    end = Event(NOW + MINUTE, Kind.CLEARED, "answers", alarm=Alarm.BREAKER, subject="cloud for renmin")
    assert catalogue.alarms.is_news(end)
    with catalogue.engine.write():
        news = catalogue.alarm_news.take(10)
    assert [(one.raised, one.hospital) for one in news[Cause(Alarm.BREAKER, "cloud")]] == [
        (True, "renmin"), (False, "renmin"),
    ]  # fmt: skip


def test_a_cause_that_is_remembered_keeps_its_hospitals(catalogue: Catalogue) -> None:
    kept = Fold(cause=Cause(Alarm.DOUBT), told=True, came=1, untold=1, hospitals=("renmin", "xiehe"))
    catalogue.alarm_news.keep(kept, NOW)
    assert catalogue.alarm_news.folds() == {kept.cause: kept}


def test_events_about_an_exam_name_its_hospital_where_they_name_none(catalogue: Catalogue) -> None:
    mine, nobodys = (catalogue.exams.number_of(name, "01", "X1", NOW) for name in ("renmin", "?"))
    told: list[Event] = []
    bus = EventBus(told.append)
    bus.name_hospitals(catalogue.exams.hospital_of)
    given = {"hospital": "xiehe", "n": 1}
    for event in (
        Event(NOW, Kind.DOUBT, "x", exam=mine, fields={"n": 1}), Event(NOW, Kind.DOUBT, "x", exam=nobodys),
        Event(NOW, Kind.DOUBT, "x", exam=mine, fields=given), Event(NOW, Kind.DOUBT, "x"),
        Event(NOW, Kind.DOUBT, "x", exam=10**9),
    ):  # fmt: skip
        bus.record(event)
    assert [one.fields for one in told] == [{"n": 1, "hospital": "renmin"}, {"hospital": "?"}, given, {}, {}]
