"""Images that come after the delivery: alone, with one new revision; long after it only when a person says so."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue.queue.queue import Delivery
from router.model import Channel
from router.policy.states import State
from router.review.deliveries import Review
from support.node_without_sockets import Node, slice_of
from support.two_exams import DAY, E1, HOUR, PATIENT, QUIET, S1, S2, images_of, pacs, reports_of, ris


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """One whose exam E1 with the images 1 and 2 of S1 is delivered."""
    made = Node(tmp_path)
    for step in (pacs(S1, 1, 2), ris(E1, S1)):
        step(made)
    made.wait(QUIET)
    assert (images_of(made), reports_of(made)) == ({S1: 2}, {E1: [([S1], 2)]})
    yield made
    made.close()


def delivery(node: Node, channel: Channel = Channel.IMAGES) -> Delivery:
    found = node.delivery(E1, channel)
    assert found is not None
    return found


def release(node: Node) -> None:
    assert Review(node.catalogue, node.clock).release(delivery(node), "asked the ward", "wang")
    node.settle()


def test_late_images_go_alone_and_at_once_and_the_count_is_corrected_once_they_are_quiet(node: Node) -> None:
    node.wait(HOUR)
    for number in (3, 4, 5):
        pacs(S1, number)(node)
        node.wait(30)
    assert len(node.cloud.images) == len(set(node.cloud.images)) == 5
    assert reports_of(node) == {E1: [([S1], 2)]}
    node.wait(QUIET)
    assert reports_of(node) == {E1: [([S1], 2), ([S1], 5)]}
    node.wait(DAY)
    assert len(node.cloud.reports) == 2
    assert {delivery(node, channel).state for channel in Channel} == {State.DELIVERED}


def test_each_quiet_period_has_one_revision(node: Node) -> None:
    for number in (3, 4):
        node.wait(HOUR)
        pacs(S1, number)(node)
        node.wait(QUIET)
    assert [count for _, count in reports_of(node)[E1]] == [2, 3, 4]


def test_within_the_late_window_nobody_is_asked(node: Node) -> None:
    node.wait(7 * DAY - HOUR)
    pacs(S1, 3)(node)
    node.wait(QUIET)
    assert images_of(node) == {S1: 3}


def test_images_after_the_late_window_are_held_and_listed_until_a_person_releases_them(node: Node) -> None:
    node.wait(7 * DAY + HOUR)
    pacs(S1, 3, 4)(node)
    node.wait(QUIET)
    held = delivery(node)
    assert (held.state, held.held_by) == (State.HELD, "late images")
    assert held.error.startswith("late images: 2 new image(s) came more than [share] late_window after the delivery")
    listed = Review(node.catalogue, node.clock).listed([State.HELD], None, None)
    assert [line.delivery.id for line in listed] == [held.id]
    assert images_of(node) == {S1: 2}
    assert reports_of(node) == {E1: [([S1], 2)]}
    release(node)
    node.wait(QUIET)
    assert images_of(node) == {S1: 4}
    assert [count for _, count in reports_of(node)[E1]] == [2, 4]
    assert delivery(node).state == State.DELIVERED


def test_more_of_them_are_held_too_and_a_restart_changes_nothing(node: Node) -> None:
    node.wait(7 * DAY + HOUR)
    pacs(S1, 3)(node)
    node.restart()
    pacs(S1, 4)(node)
    node.wait(DAY)
    assert "2 new image(s)" in delivery(node).error
    assert images_of(node) == {S1: 2}


def test_a_corrected_report_goes_while_late_images_are_held(node: Node) -> None:
    node.wait(7 * DAY + HOUR)
    pacs(S1, 3)(node)
    node.wait(QUIET)
    ris(E1, S1, minute=5)(node)
    assert [count for _, count in reports_of(node)[E1]] == [2, 2]
    assert delivery(node).state == State.HELD


def test_a_late_study_of_a_scan_that_was_repeated_is_held_too(node: Node) -> None:
    node.wait(7 * DAY + HOUR)
    pacs(S2, 1)(node)
    node.wait(QUIET)
    assert delivery(node).state == State.HELD
    assert images_of(node) == {S1: 2}


def test_a_study_that_came_in_time_and_is_listed_late_goes(node: Node) -> None:
    pacs(S2, 1, accession="")(node)
    node.wait(7 * DAY + HOUR)
    ris(E1, S1, S2, minute=5, accession="A1")(node)
    assert images_of(node) == {S1: 2, S2: 1}


def test_a_late_image_that_a_note_rejects_holds_nothing_any_more(node: Node) -> None:
    node.wait(7 * DAY + HOUR)
    pacs(S1, 3)(node)
    node.receive(slice_of(S1, 9, PATIENT, "A1", references=(f"{S1}.1.3",)))
    node.settle()
    node.wait(QUIET)
    assert delivery(node).state == State.DELIVERED
    assert images_of(node) == {S1: 2}


@pytest.mark.fires("rejected-after-delivery")
def test_an_image_that_is_rejected_after_its_delivery_is_an_alarm_until_it_is_seen_to(node: Node) -> None:
    node.wait(HOUR)
    node.receive(slice_of(S1, 9, PATIENT, "A1", references=(f"{S1}.1.2",)))
    node.settle()
    node.wait(QUIET)
    (alarm,) = [one for one in node.catalogue.alarms.standing() if one.alarm is Alarm.REJECTED_AFTER_DELIVERY]
    assert "1 instance(s) that cloud already has" in alarm.text
    assert images_of(node) == {S1: 2}
    assert reports_of(node) == {E1: [([S1], 2)]}


def test_what_the_pacs_sends_again_after_the_late_window_is_nothing_new(node: Node) -> None:
    node.wait(7 * DAY + HOUR)
    pacs(S1, 1, 2)(node)
    node.wait(QUIET)
    assert delivery(node).state == State.DELIVERED
