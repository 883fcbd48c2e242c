"""The light of the first screen, and its plots."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from router.admin.console.light import Colour, Known, light
from router.admin.console.plots import HEIGHT, WIDTH, plot

WELL = Known(
    receiving=True, troubles=(), missed=0, at_risk=0, underway=0, waiting=0, alarms=0, down=(), refusing=(), paused=()
)  # fmt: skip
RED: dict[str, Any] = {"receiving": False, "missed": 2, "refusing": ("cloud",), "down": ("cloud",)}
AMBER: dict[str, Any] = {"troubles": ("x",), "at_risk": 1, "waiting": 3, "paused": ("cloud",), "alarms": 1}


def test_all_is_well_only_where_nothing_is_wrong() -> None:
    assert light(WELL).colour == Colour.GREEN
    underway = light(replace(WELL, underway=7))
    assert (underway.colour, underway.values) == (Colour.GREEN, {"count": 7})


@pytest.mark.parametrize(("name", "colour"), [
    *((name, Colour.RED) for name in RED), *((name, Colour.AMBER) for name in AMBER),
])  # fmt: skip
def test_each_trouble_alone_has_its_colour_and_a_sentence_of_its_own(name: str, colour: Colour) -> None:
    found = light(replace(WELL, **{name: (RED | AMBER)[name]}))
    assert (found.colour, found.more) == (colour, 0)
    others = {light(replace(WELL, **{other: (RED | AMBER)[other]})).says for other in RED | AMBER if other != name}
    assert found.says not in others


def test_the_worst_comes_first_and_the_others_are_counted() -> None:
    for pair in itertools.combinations(RED, 2):
        found = light(replace(WELL, **AMBER, **{name: RED[name] for name in pair}))
        assert found.colour == Colour.RED
        assert found.says == light(replace(WELL, **{pair[0]: RED[pair[0]]})).says
        assert found.more >= 1 + len(AMBER) - 2


def test_a_trouble_that_stops_images_is_told_once_and_alarms_that_wait_for_a_person_are_no_second_reason() -> None:
    stopped = light(replace(WELL, receiving=False, troubles=("the disk is full",)))
    assert (stopped.values, stopped.more) == ({"what": "the disk is full"}, 0)
    assert light(replace(WELL, waiting=1, alarms=1)).more == 0


def test_columns_are_as_high_as_their_counts_and_a_small_one_is_still_seen() -> None:
    drawn = plot("x", [0, 1, 1000, 500])
    assert (drawn.most, drawn.total) == (1000, 1501)
    assert [round(one.height) for one in drawn.columns] == [0, 2, HEIGHT, HEIGHT // 2]
    assert all(one.y + one.height == HEIGHT for one in drawn.columns)
    assert drawn.columns[3].x == 3 * WIDTH / 24


def test_a_day_without_anything_and_a_day_of_25_hours_are_drawn() -> None:
    assert plot("x", []).columns == []
    long = plot("x", [1] * 25)
    assert long.columns[-1].x + long.columns[-1].width <= WIDTH
