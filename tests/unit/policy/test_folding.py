"""Storms of alarms: what people are told of a cause that raises one alarm, ten thousand, or comes and goes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.alarms import Alarm
from router.policy.folding import EVERY, AlarmNews, Cause, Fold, Folded, State, fold

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
CAUSE = Cause(Alarm.DOUBT, "beijing")
SECOND = timedelta(seconds=1)


def raised(number: int = 1, at: datetime = NOW) -> AlarmNews:
    return AlarmNews(raised=True, subject=f"e{number}", text=f"text {number}", at=at, exam=number)


def cleared(number: int = 1, at: datetime = NOW) -> AlarmNews:
    return AlarmNews(raised=False, subject=f"e{number}", text=f"end {number}", at=at, exam=number)


@dataclass
class Listener:
    """A cause, the alarms of it that stand, and all that was told."""

    fold: Fold = field(default_factory=lambda: Fold(cause=CAUSE))
    standing: set[str] = field(default_factory=set)
    told: list[Folded] = field(default_factory=list)
    now: datetime = NOW

    def hears(self, *news: AlarmNews) -> list[Folded]:
        for one in news:
            (self.standing.add if one.raised else self.standing.discard)(one.subject)
        self.fold, messages = fold(self.fold, news, len(self.standing), self.now)
        self.told += messages
        return list(messages)

    def after(self, passed: timedelta, *news: AlarmNews) -> list[Folded]:
        self.now += passed
        return self.hears(*news)


def test_the_first_alarm_of_a_cause_is_told_at_once_and_so_is_its_end() -> None:
    listener = Listener()
    (first,) = listener.hears(raised())
    assert (first.state, first.count, first.standing, first.news.text) == (State.STANDING, 1, 1, "text 1")
    (last,) = listener.after(SECOND, cleared())
    assert (last.state, last.count, last.standing, last.news.text) == (State.CLEARED, 1, 0, "end 1")


def test_of_ten_thousand_at_once_there_is_one_message_and_one_when_the_last_is_over() -> None:
    listener = Listener()
    (first,) = listener.hears(*(raised(n) for n in range(10_000)))
    assert (first.count, first.standing, first.names) == (10_000, 10_000, ("e0", "e1", "e2", "e3", "e4"))
    assert listener.after(SECOND, *(cleared(n) for n in range(9_999))) == []
    (last,) = listener.after(SECOND, cleared(9_999))
    assert (last.state, last.count) == (State.CLEARED, 10_000)


def test_ten_thousand_that_come_one_by_one_are_counted_every_ten_minutes() -> None:
    listener = Listener()
    for number in range(10_000):
        listener.after(SECOND, raised(number))
    listener.after(EVERY)
    assert [one.state for one in listener.told] == [State.STANDING] + [State.MORE] * 17
    assert sum(one.count for one in listener.told) == 10_000
    assert listener.told[1].count == EVERY // SECOND
    assert listener.told[1].news.text == "text 1", "the first of those that are told"


def test_one_more_after_a_long_while_is_told_at_once() -> None:
    listener = Listener()
    listener.hears(raised(1))
    (more,) = listener.after(timedelta(hours=1), raised(2))
    assert (more.state, more.count, more.standing, more.names) == (State.MORE, 1, 2, ("e2",))


def test_while_nothing_more_comes_nothing_more_is_told() -> None:
    listener = Listener()
    listener.hears(raised())
    for _ in range(100):
        assert listener.after(timedelta(minutes=7)) == []


def test_the_end_of_one_of_several_is_not_the_end() -> None:
    listener = Listener()
    listener.hears(raised(1), raised(2))
    assert listener.after(SECOND, cleared(1)) == []
    assert listener.after(EVERY) == []


def test_what_comes_and_goes_between_two_looks_is_told_with_its_end() -> None:
    assert [one.state for one in Listener().hears(raised(), cleared())] == [State.STANDING, State.CLEARED]


def test_what_comes_and_goes_all_day_is_no_storm() -> None:
    listener = Listener()
    for _ in range(3600):
        listener.after(SECOND, raised())
        listener.after(SECOND, cleared())
    listener.after(EVERY)
    assert len(listener.told) <= 4 * (2 * 3600 * SECOND // EVERY + 2)
    assert listener.told[-1].state == State.CLEARED


def test_what_stands_after_it_came_and_went_too_often_is_told_in_the_end() -> None:
    listener = Listener()
    for _ in range(5):
        listener.hears(raised())
        listener.hears(cleared())
    listener.hears(raised())
    assert listener.told[-1].state == State.CLEARED
    (late,) = listener.after(EVERY)
    assert (late.state, late.standing) == (State.STANDING, 1)


def test_the_second_time_on_the_same_day_is_told_at_once() -> None:
    listener = Listener()
    listener.hears(raised())
    listener.hears(cleared())
    (again,) = listener.after(SECOND, raised())
    assert (again.state, again.count) == (State.STANDING, 1)


def test_alarms_that_go_with_the_records_of_their_exam_end_the_cause_too() -> None:
    listener = Listener()
    listener.hears(raised())
    listener.standing.clear()
    (last,) = listener.after(SECOND)
    assert (last.state, last.count) == (State.CLEARED, 1)


def test_the_end_of_an_alarm_of_before_causes_were_remembered_is_told() -> None:
    (last,) = Listener().hears(cleared())
    assert last.state == State.CLEARED


def test_a_message_names_the_hospitals_of_all_that_it_stands_for() -> None:
    def of(number: int, hospital: str) -> AlarmNews:
        return AlarmNews(raised=True, subject=f"e{number}", text="t", at=NOW, exam=number, hospital=hospital)

    state, (first,) = fold(Fold(cause=CAUSE), [of(1, "renmin"), of(2, ""), of(3, "xiehe"), of(4, "renmin")], 4, NOW)
    assert (first.count, first.hospitals) == (4, ("renmin", "xiehe"))
    state, (more,) = fold(state, [of(5, "fuxing")], 5, NOW + EVERY)
    assert more.hospitals == ("fuxing",)
    end = AlarmNews(raised=False, subject="e5", text="over", at=NOW + EVERY, exam=5, hospital="fuxing")
    _, (last,) = fold(state, [end], 0, NOW + 2 * EVERY)
    assert (last.state, last.hospitals) == (State.CLEARED, ("fuxing",))


def test_one_of_several_such_alarms_ends_without_a_message() -> None:
    listener = Listener(standing={"e1", "e2"})
    assert listener.hears(cleared(1)) == []


def test_a_cause_that_is_over_is_forgotten_after_a_while() -> None:
    listener = Listener()
    listener.hears(raised())
    listener.after(SECOND, cleared())
    assert not listener.fold.is_over(listener.now)
    assert listener.fold.is_over(listener.now + EVERY)


def test_a_clock_that_is_put_back_silences_nothing() -> None:
    listener = Listener()
    for _ in range(5):
        listener.hears(raised())
        listener.hears(cleared())
    listener.now -= timedelta(days=1)
    assert [one.state for one in listener.hears(raised())] == [State.STANDING]
    assert [one.state for one in listener.after(-SECOND, raised(2))] == [State.MORE]


def _lives() -> st.SearchStrategy[list[tuple[int, int, bool]]]:
    step = st.tuples(st.integers(0, 900), st.integers(0, 3), st.booleans())
    return st.lists(step, max_size=60)


@given(_lives())
def test_in_the_end_people_know_what_is(life: list[tuple[int, int, bool]]) -> None:
    listener = Listener()
    for seconds, number, up in life:
        if up == (f"e{number}" not in listener.standing):
            listener.after(seconds * SECOND, raised(number) if up else cleared(number))
        else:
            listener.after(seconds * SECOND)
    for _ in range(3):
        listener.after(EVERY)
    assert listener.fold.told == bool(listener.standing)
    assert not listener.fold.untold
    assert _alternates(listener.told)


def _alternates(told: list[Folded]) -> bool:
    """No end of what was not told to stand, and no second beginning."""
    return all(
        (one.state == State.STANDING) == (before is None or before == State.CLEARED)
        for before, one in zip(_states(told), told, strict=False)
    )  # fmt: skip


def _states(told: list[Folded]) -> Iterator[State | None]:
    yield None
    yield from (one.state for one in told)


@pytest.mark.parametrize(("exam", "delivery", "name"), [(17, 85, "e17"), (None, 85, "d85"), (None, None, "disk")])
def test_an_alarm_has_the_short_name_of_what_it_is_about(exam: int | None, delivery: int | None, name: str) -> None:
    news = AlarmNews(raised=True, subject="disk", text="", at=NOW, exam=exam, delivery=delivery)
    assert news.name == name
