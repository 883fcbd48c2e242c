"""A simulated month: every figure of the statistics equals a count from the simulation's own log."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

from router.review.statistics import By, Rates, Statistics, statistics_of
from support.hospital_month import HOUR, Month
from support.month_account import Account, Figures, account, plain

FIRST, LAST = date(2026, 1, 1), date(2026, 12, 31)


def figures(one: Rates) -> Figures:
    """A row of the statistics in the account's shape."""
    found = Figures(
        exams=one.exams, due=one.due, uploaded=one.uploaded, report_on_time=one.report_on_time,
        images_on_time=one.images_on_time, on_time=one.on_time, first_time=one.accepted_first_time,
    )  # fmt: skip
    found.states.update({state: n for state, n in one.states.items() if n})
    found.report_took.update(one.report_took)
    found.images_took.update(one.images_took)
    return found


def named(rows: Sequence[Rates]) -> dict[str, Figures]:
    return {one.group: figures(one) for one in rows}


def compare(month: Month) -> tuple[Statistics, Account]:
    """Both counts at this instant, which are the same."""
    now = month.node.clock.now()
    month.counter.catch_up(now)
    by_hand = account(month.lives, [*month.stops, *month.pauses], month.pauses, now)
    found = statistics_of(month.node.catalogue, FIRST, LAST, By.DAY)
    assert figures(found.total) == by_hand.total
    assert named(found.rows) == plain(by_hand.days)
    assert named(statistics_of(month.node.catalogue, FIRST, LAST, By.DEPARTMENT).rows) == plain(by_hand.departments)
    assert figures(found.critical) == by_hand.critical
    assert {one.reason: one.exams for one in found.kept_back} == by_hand.kept_back
    assert {one.reason: one.exams for one in found.waits} == by_hand.waits
    assert sum(one.exams for one in found.misses) == by_hand.missed
    return found, by_hand


@pytest.mark.parametrize(
    ("exams", "days"), [(40, 2), pytest.param(20_000, 30, marks=pytest.mark.torture)], ids=["two days", "a month"]
)
def test_every_figure_equals_a_count_from_the_simulation_s_own_log(tmp_path: Path, exams: int, days: int) -> None:
    month = Month(tmp_path, exams, days)
    seen: set[str] = set()
    while month.node.clock.now() < month.end + 12 * HOUR:
        month.live(month.node.clock.now() + timedelta(hours=5 * days))
        seen |= {state for state, n in compare(month)[1].total.states.items() if n}
    assert seen >= {"on time", "late", "waits for a person", "not shared", "unreported"}
    month.node.close()
