"""Plots of rates, as they are drawn."""

import pytest

from router.admin.console.plots import HEIGHT, Rating, rate_plot

RATING = Rating("Upload rate", "Uploaded", "Exams due")


def test_a_line_is_broken_where_nothing_was_due_and_lies_between_the_floor_and_the_whole() -> None:
    found = rate_plot(RATING, [("a", 10, 10), ("b", 17, 20), ("c", 0, 0), ("d", 9, 10), ("e", 0, 0)])
    assert (found.floor, found.total) == (80, 36 / 40)
    assert [one.rate for one in found.points] == [1.0, 0.85, None, 0.9, None]
    drawn = [one.y / HEIGHT for one in found.points if one.rate is not None]
    assert drawn == pytest.approx([0.0, 0.75, 0.5])
    assert [run.count(",") for run in found.runs] == [2]
    assert [one.label for one in found.ticks] == ["a", "c", "e"]


def test_a_rate_that_is_whole_or_unknown_or_nothing_has_room_to_be_drawn() -> None:
    assert rate_plot(RATING, [("a", 3, 3)]).floor == 90
    assert (rate_plot(RATING, [("a", 0, 0)]).total, rate_plot(RATING, []).ticks) == (None, [])
    nothing = rate_plot(RATING, [("a", 0, 4), ("b", 4, 4)])
    assert (nothing.floor, [one.y for one in nothing.points]) == (0, [HEIGHT, 0.0])
