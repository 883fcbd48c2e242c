"""The contract of the messages about alarms: news and causes as they were kept, queues in order, ways that are down."""

from datetime import timedelta

import pytest

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.node import notifications
from router.events import Event, Kind
from router.policy.folding import EVERY, AlarmNews, Cause, Fold
from support.catalogue_rows import MINUTE, NOW, at_once

DAY = timedelta(days=1)
BEIJING = Cause(Alarm.DOUBT, "beijing")


def event(kind: Kind, subject: str = "e1", destination: str = "beijing") -> Event:
    fields = {"destination": destination} if destination else {}
    return Event(NOW, kind, "text", exam=7, alarm=Alarm.DOUBT, subject=subject, fields=fields)


def test_news_are_taken_once_in_order_with_the_destination_of_the_alarm(catalogue: Catalogue) -> None:
    for one in (event(Kind.ALARM), event(Kind.ALARM), event(Kind.ALARM, "e2", "tianjin"),
                event(Kind.CLEARED, destination="")):  # fmt: skip
        catalogue.alarms.is_news(one)
    assert catalogue.alarm_news.standing() == {Cause(Alarm.DOUBT, "tianjin"): 1}
    found = catalogue.alarm_news.take(10)
    assert found == {
        BEIJING: [
            AlarmNews(raised=True, subject="e1", text="text", at=NOW, exam=7),
            AlarmNews(raised=False, subject="e1", text="text", at=NOW, exam=7),
        ],
        Cause(Alarm.DOUBT, "tianjin"): [AlarmNews(raised=True, subject="e2", text="text", at=NOW, exam=7)],
    }
    assert not catalogue.alarm_news.waits()
    assert catalogue.alarm_news.take(10) == {}


def test_news_go_with_the_transaction_that_raised_the_alarm(catalogue: Catalogue) -> None:
    def broken_off() -> None:
        with catalogue.engine.write():
            catalogue.alarms.is_news(event(Kind.ALARM))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        broken_off()
    assert not catalogue.alarm_news.waits()


def test_of_several_that_clear_at_once_one_is_news(catalogue: Catalogue) -> None:
    catalogue.alarms.is_news(event(Kind.ALARM))
    at_once(catalogue, [lambda: catalogue.alarms.is_news(event(Kind.CLEARED))] * 4)
    assert [one.raised for one in catalogue.alarm_news.take(10)[BEIJING]] == [True, False]


def test_a_cause_is_remembered_as_it_is_until_it_is_over(catalogue: Catalogue) -> None:
    news = AlarmNews(raised=True, subject="s", text="正文", at=NOW, exam=None, delivery=3)
    whole = Fold(
        cause=BEIJING, told=True, came=9, untold=2, first=news, names=("e1", "d3"), last=NOW, changes=(NOW, NOW)
    )  # fmt: skip
    bare = Fold(cause=Cause(Alarm.DISK), told=True)
    for one in (whole, bare, whole):
        catalogue.alarm_news.keep(one, NOW)
    assert catalogue.alarm_news.folds() == {whole.cause: whole, bare.cause: bare}
    catalogue.alarm_news.keep(Fold(cause=BEIJING, changes=(NOW,)), NOW + EVERY)
    assert catalogue.alarm_news.folds() == {bare.cause: bare}


def test_each_way_has_its_messages_in_order(catalogue: Catalogue) -> None:
    kept = catalogue.notifications
    for number in range(3):
        kept.add("a", f"{number}", NOW)
        kept.add("b", f"{number}", NOW)
    first = kept.waiting("a", 2)
    assert [one.body for one in first] == ["0", "1"]
    kept.arrived("a", first[0].id, NOW)
    assert [one.body for one in kept.waiting("a", 9)] == ["1", "2"]
    assert [one.body for one in kept.waiting("b", 9)] == ["0", "1", "2"]
    assert kept.undelivered(NOW) == []


def test_a_way_is_down_since_its_first_failure_until_a_message_arrives(catalogue: Catalogue) -> None:
    kept = catalogue.notifications
    kept.add("a", "x", NOW)
    kept.note_down("a", "503", NOW)
    kept.note_down("a", "no connection", NOW + MINUTE)
    (found,) = kept.undelivered(NOW + MINUTE)
    assert (found.since, str(found), found.down) == (NOW, "no connection (1 wait)", True)
    kept.arrived("a", kept.waiting("a", 1)[0].id, NOW + MINUTE)
    assert kept.undelivered(NOW + MINUTE) == []


def test_what_is_refused_is_known_for_a_day(catalogue: Catalogue) -> None:
    kept = catalogue.notifications
    for number in range(3):
        kept.add("a", f"{number}", NOW)
    for one in kept.waiting("a", 2):
        kept.refused("a", one.id, "400", NOW)
    kept.arrived("a", kept.waiting("a", 1)[0].id, NOW)
    (found,) = kept.undelivered(NOW + DAY - MINUTE)
    assert (str(found), found.down) == ("400 (2 refused)", False)
    assert kept.undelivered(NOW + DAY) == []
    kept.add("a", "x", NOW + DAY)
    kept.note_down("a", "503", NOW + DAY)
    (later,) = kept.undelivered(NOW + DAY)
    assert (later.since, later.down, later.waiting) == (NOW + DAY, True, 1)


def test_beyond_the_bound_the_oldest_are_given_up_and_counted(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "MOST_WAITING", 2)
    for number in range(4):
        catalogue.notifications.add("a", f"{number}", NOW)
    assert [one.body for one in catalogue.notifications.waiting("a", 9)] == ["2", "3"]
    (found,) = catalogue.notifications.undelivered(NOW)
    assert (found.refused, found.error) == (2, "too many waited, the oldest are given up")


def test_what_nobody_sends_is_undelivered_after_a_while(catalogue: Catalogue) -> None:
    catalogue.notifications.add("a", "x", NOW)
    assert catalogue.notifications.undelivered(NOW + MINUTE) == []
    (found,) = catalogue.notifications.undelivered(NOW + 6 * MINUTE)
    assert (found.since, str(found)) == (NOW, "not sent yet: does the node run? (1 wait)")


def test_the_queues_of_ways_that_are_gone_are_forgotten(catalogue: Catalogue) -> None:
    kept = catalogue.notifications
    for way in ("a", "b"):
        kept.add(way, "x", NOW)
        kept.note_down(way, "503", NOW)
    kept.retain(["b", "c"])
    assert [one.way for one in kept.undelivered(NOW)] == ["b"]
    assert kept.waiting("a", 1) == []
    kept.retain([])
    assert kept.undelivered(NOW) == []


def test_a_way_is_new_once_where_others_were_known_before(catalogue: Catalogue) -> None:
    kept = catalogue.notifications
    assert kept.fresh(["webhook"]) == frozenset(), "a database that has known none yet"
    assert kept.fresh(["webhook", "mail"]) == {"mail"}
    assert kept.fresh(["webhook", "mail"]) == frozenset()
    assert kept.fresh([]) == frozenset()
    assert kept.fresh(["mail"]) == {"mail"}, "it was gone, and has missed what came meanwhile"
