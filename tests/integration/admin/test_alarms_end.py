"""Every alarm through raise, restart and end: once however often its cause is seen, over when the cause is over.

The cause ends while no part of the node looks, as while the node is down; the next start notices.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.events import Kind
from router.reports.pdf.reader import Readers
from support.alarm_causes import arrival, exams, node, sending, taken_back
from support.alarm_causes.causes import TROUBLES, Trouble

REGISTERED = (arrival, exams, node, sending, taken_back)
CASES = [pytest.param(alarm, one, id=one.__name__) for alarm in Alarm for one in TROUBLES[alarm]]
Begin = Callable[[type[Trouble]], Trouble]


@pytest.fixture
def begin(tmp_path: Path, readers: Readers, monkeypatch: pytest.MonkeyPatch) -> Iterator[Begin]:
    made: list[Trouble] = []

    def begun(kind: type[Trouble]) -> Trouble:
        made.append(kind(tmp_path, readers, monkeypatch))
        return made[-1]

    yield begun
    for one in made:
        one.house.close()


def told(trouble: Trouble, alarm: Alarm) -> list[Kind]:
    """What people were told of the alarm, in order."""
    return [event.kind for event in trouble.house.events if event.alarm == alarm]


def standing(trouble: Trouble, alarm: Alarm) -> int:
    return sum(one.alarm == alarm for one in trouble.house.catalogue.alarms.standing())


def test_a_defect_in_a_part_that_only_another_node_has_is_not_ended_by_this_one(begin: Begin) -> None:
    trouble = begin(node.DefectInAPartThatIsGone)
    trouble.look()
    trouble.mend()
    for name in ("node-1", "node-2"):
        trouble.house.catalogue.nodes.beat(name)
    trouble.look()
    assert standing(trouble, Alarm.DEFECT) == 1
    trouble.house.catalogue.nodes.forget("node-2")
    trouble.look()
    assert standing(trouble, Alarm.DEFECT) == 0


@pytest.mark.parametrize("alarm", Alarm)
def test_a_cause_of_every_alarm_is_known_here(alarm: Alarm) -> None:
    assert TROUBLES[alarm], f"add one to one of {[one.__name__ for one in REGISTERED]}"


@pytest.mark.parametrize(("alarm", "kind"), CASES)
def test_an_alarm_stands_once_over_a_restart_and_ends_when_its_cause_ended_while_the_node_was_down(
    alarm: Alarm, kind: type[Trouble], begin: Begin
) -> None:
    trouble = begin(kind)
    trouble.cause()
    trouble.look()
    assert (standing(trouble, alarm), told(trouble, alarm)) == (1, [Kind.ALARM])
    trouble.restart()
    trouble.look()
    if not kind.ends_with_process:
        trouble.look()
        assert (standing(trouble, alarm), told(trouble, alarm)) == (1, [Kind.ALARM])
        trouble.restart()  # what follows is done by commands, by others or to the disk
        trouble.mend()
        trouble.restart()
        trouble.look()
    assert (standing(trouble, alarm), told(trouble, alarm)) == (0, [Kind.ALARM, Kind.CLEARED])
    trouble.restart()
    trouble.look()
    assert (standing(trouble, alarm), told(trouble, alarm)) == (0, [Kind.ALARM, Kind.CLEARED])
