"""Rejection notes about images that were sent go to destinations that take them; others never go."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.model import Channel
from router.policy.states import State
from support import node_without_sockets
from support.node_without_sockets import Node, slice_of
from support.two_exams import DAY, E1, HOUR, PATIENT, QUIET, S1, pacs, ris

TAKES = "\nrejection_notes = true"


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[bool], Node]]:
    made: list[Node] = []

    def begin(takes: bool) -> Node:
        text = node_without_sockets.CONFIG.replace("port = 1", f"port = 1{TAKES if takes else ''}")
        monkeypatch.setattr(node_without_sockets, "CONFIG", text)
        made.append(Node(tmp_path))
        return made[-1]

    yield begin
    for one in made:
        one.close()


def note(node: Node, number: int, *about: int) -> str:
    """A note that rejects these slices; its SOP instance UID."""
    head = slice_of(S1, number, PATIENT, "A1", references=tuple(f"{S1}.1.{one}" for one in about))
    node.receive(head)
    return head.uids.sop


def images(node: Node) -> State:
    found = node.delivery(E1, Channel.IMAGES)
    assert found is not None
    return found.state


def rejected_alarm(node: Node) -> bool:
    return any(one.alarm == Alarm.REJECTED_AFTER_DELIVERY for one in node.catalogue.alarms.standing())


@pytest.mark.parametrize("takes", [True, False])
def test_a_note_about_what_was_sent_goes_where_notes_are_taken_and_is_an_alarm_elsewhere(
    begun: Callable[[bool], Node], takes: bool
) -> None:
    node = begun(takes)
    for step in (pacs(S1, 1, 2, 3), ris(E1, S1)):
        step(node)
    node.wait(HOUR)
    told = note(node, 50, 2)
    node.wait(QUIET)
    assert (node.cloud.images.count(told), rejected_alarm(node)) == (int(takes), not takes)
    assert images(node) == State.DELIVERED
    node.restart()
    node.wait(DAY * 8)
    late = note(node, 51, 3)
    node.wait(QUIET)
    assert (node.cloud.images.count(told), node.cloud.images.count(late)) == (int(takes), int(takes))
    assert images(node) == State.DELIVERED


def test_a_note_about_what_was_never_sent_does_not_go_until_something_of_it_was(begun: Callable[[bool], Node]) -> None:
    node = begun(True)
    first = note(node, 50, 2)
    for step in (pacs(S1, 1, 2), ris(E1, S1)):
        step(node)
    node.wait(HOUR)
    assert node.cloud.images == [f"{S1}.1.1"]
    both = note(node, 51, 1, 2)
    node.wait(QUIET)
    assert node.cloud.images == [f"{S1}.1.1", both]
    assert first not in node.cloud.images
