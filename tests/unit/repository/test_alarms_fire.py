"""No alarm without a test in which its real cause raises it, and one in which that is over and ends it.

They are marked `fires` and `ends`, and conftest.py checks the marks.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.alarms import Alarm

TESTS = Path(__file__).parents[2]


def promised(source: str) -> Iterator[tuple[str, str]]:
    """(mark, alarm) of the tests of a module; those of the long runs do not count."""
    for test in ast.walk(ast.parse(source)):
        if isinstance(test, ast.FunctionDef) and test.name.startswith("test_"):
            marks = {ast.unparse(mark.func): mark.args for mark in test.decorator_list if isinstance(mark, ast.Call)}
            for word in ("fires", "ends"):
                yield from ((word, ast.literal_eval(name)) for name in marks.get(f"pytest.mark.{word}", ()))


@pytest.fixture(scope="module")
def found() -> set[tuple[str, str]]:
    sources = (path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    return {one for source in sources if ".fires(" in source or ".ends(" in source for one in promised(source)}


@pytest.mark.parametrize("alarm", Alarm)
def test_every_alarm_is_ended_in_some_test_once_its_cause_is_over(alarm: Alarm, found: set[tuple[str, str]]) -> None:
    assert ("ends", alarm) in found, f'mark a test of its end: @pytest.mark.ends("{alarm}")'


@pytest.mark.parametrize("alarm", Alarm)
def test_every_alarm_is_raised_by_its_cause_in_some_test(alarm: Alarm, found: set[tuple[str, str]]) -> None:
    assert ("fires", alarm) in found, f'mark a test of its cause: @pytest.mark.fires("{alarm}")'


def test_every_alarm_that_a_test_is_marked_with_exists(found: set[tuple[str, str]]) -> None:
    assert {alarm for _, alarm in found} <= set(Alarm)


def test_a_mark_is_read_and_a_function_that_is_no_test_is_passed_by() -> None:
    mark = '@pytest.mark.fires("disk", "clock")\n'
    assert list(promised(f"{mark}def test_x(): ...\n{mark}def x(): ...\n")) == [("fires", "disk"), ("fires", "clock")]
