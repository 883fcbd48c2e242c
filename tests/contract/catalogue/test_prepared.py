"""Prepared queries give what the same queries give when they are made each time."""

from collections.abc import Sequence
from typing import Any

import pytest
from peewee import SQL

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.statement import Update
from router.catalogue.db.tables.node import EventRow
from router.events import Event, Kind
from support.catalogue_rows import MINUTE, NOW, at_once, driver

_AFTER = Prepared(lambda at, kinds: EventRow.select().where((EventRow.at > at) & EventRow.kind.in_(kinds)))
_OF_EXAM = Prepared(
    lambda exam, limit: EventRow.select(EventRow.id, EventRow.at).where(EventRow.exam == exam).limit(limit)
)
_LISTED = Prepared(lambda numbers: EventRow.select(EventRow.exam).where(EventRow.exam.in_(numbers)))


@pytest.fixture
def events(catalogue: Catalogue) -> Catalogue:
    """Thirty events, one a minute from NOW on; the 21st is of no exam."""
    for number in range(30):
        exam = None if number == 20 else number
        kind = Kind.MOVED if number % 2 else Kind.DECIDED
        catalogue.history.keep(Event(NOW + number * MINUTE, kind, f"event {number}", exam=exam))
    return catalogue


def _texts(catalogue: Catalogue, query: Any) -> list[str]:
    return sorted(row.text for row in catalogue.engine.run(query))


def test_values_are_converted_as_their_fields_convert_them(events: Catalogue) -> None:
    for _ in range(2):  # written, then known
        assert _texts(events, _AFTER(NOW + 26 * MINUTE, [Kind.MOVED])) == ["event 27", "event 29"]
    assert _texts(events, _AFTER(NOW + 27 * MINUTE, [Kind.MOVED])) == ["event 29"]
    (row,) = events.engine.rows(_OF_EXAM(7, 5))
    assert row[1] == NOW + 7 * MINUTE


@pytest.mark.parametrize("numbers", [[], [3], [5, 3, 4], list(range(29))], ids=len)
def test_a_list_may_have_any_length(events: Catalogue, numbers: Sequence[int]) -> None:
    expected = sorted(set(numbers) - {20})
    for _ in range(2):
        assert sorted(events.engine.column(_LISTED(list(numbers)))) == expected


def test_none_is_looked_for_as_null(events: Catalogue) -> None:
    assert len(events.engine.rows(_OF_EXAM(3, 1))) == 1
    assert [at for _, at in events.engine.rows(_OF_EXAM(None, 5))] == [NOW + 20 * MINUTE]


def test_the_sql_is_made_once_for_each_form(events: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def build(exam: object) -> Any:
        made.append(1)
        return EventRow.select(EventRow.text).where(EventRow.exam == exam)

    query = Prepared(build)
    assert [events.engine.value(query(number)) for number in (1, 2, 3)] == ["event 1", "event 2", "event 3"]
    assert len(made) == 1
    assert [row.text for row in events.engine.run(query(4))] == ["event 4"]
    assert len(made) == 2
    monkeypatch.setattr(type(driver(events)), "get_sql_context", lambda *_: pytest.fail("the SQL is made again"))
    assert events.engine.value(query(5)) == "event 5"


def test_threads_share_a_query_and_each_gets_its_own_rows(events: Catalogue) -> None:
    query = Prepared(lambda exam: EventRow.select(EventRow.text).where(EventRow.exam == exam))

    def ask(number: int) -> list[str]:
        return [events.engine.value(query(number)) for _ in range(20)]

    found = at_once(events, [lambda n=n: ask(n) for n in range(1, 9)])  # type: ignore[misc]
    assert found == [[f"event {n}"] * 20 for n in range(1, 9)]


def test_an_alarm_about_a_subject_is_found_beside_those_of_an_exam(catalogue: Catalogue) -> None:
    for exam, subject in ((1, "e1"), (2, "e2"), (None, "destination a")):
        catalogue.alarms.is_news(Event(NOW, Kind.ALARM, "text", exam=exam, alarm=Alarm.DAMAGED, subject=subject))
    assert [one.subject for one in catalogue.alarms.standing(1)] == ["e1"]
    assert {one.subject for one in catalogue.alarms.standing(1, ["destination a"])} == {"e1", "destination a"}
    assert len(catalogue.alarms.standing()) == 3


def test_an_update_changes_the_columns_named_where_its_condition_holds(events: Catalogue) -> None:
    change = Update(EventRow, "id = ? AND kind = ?", EventRow.id, EventRow.kind, also="who = 'somebody'")
    (row,) = events.engine.run(EventRow.select().where(EventRow.text == "event 7"))
    with events.engine.write():
        assert change.run(events.engine, {"at": NOW, "exam": None}, row.id, Kind.DECIDED) == 0
        assert change.run(events.engine, {"at": NOW, "exam": None}, row.id, Kind.MOVED) == 1
        assert change.run(events.engine, {"text": "another", "exam": SQL("3 + 4")}, row.id, Kind.MOVED) == 1
    (after,) = events.engine.run(EventRow.select().where(EventRow.id == row.id))
    assert (after.at, after.text, after.exam, after.who) == (NOW, "another", 7, "somebody")
    assert len(_texts(events, EventRow.select())) == 30
