"""Images that retention removed while their delivery was cancelled: taken back, it says so, and takes them again."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from router.catalogue.queue.queue import Delivery
from router.model import Channel
from router.policy.states import State
from router.review.deliveries import Review
from support.node_without_sockets import Node
from support.two_exams import DAY, E1, QUIET, S1, S2, images_of, pacs, reports_of, ris

MONTH = 31 * DAY


def delivery(node: Node) -> Delivery:
    found = node.delivery(E1, Channel.IMAGES)
    assert found is not None
    return found


def remove(node: Node) -> None:
    """Let a month go by and retention remove what it may."""
    node.wait(MONTH)
    before, now = node.clock.now() - timedelta(days=30), node.clock.now()
    for old in node.catalogue.purge.delivered(before, now, 9):
        while (files := node.catalogue.purge.take(old, before, now)) is not None:
            with node.catalogue.purge.removing(files):
                pass


def here(node: Node) -> int:
    return len(list(node.catalogue.instances.walk()))


def retry(node: Node) -> None:
    assert Review(node.catalogue, node.clock).retry(delivery(node), "it goes after all", "wang")
    node.settle()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    """One whose exam E1 is approved and has the images 1 and 2 of S1; the images' delivery is cancelled."""
    made = Node(tmp_path)
    made.cloud.puts_off.update(f"{S1}.1.{n}" for n in (1, 2))
    for step in (pacs(S1, 1, 2), ris(E1, S1)):
        step(made)
    made.wait(QUIET)
    assert Review(made.catalogue, made.clock).cancel(delivery(made), "a test patient", "wang")
    made.cloud.puts_off.clear()
    yield made
    made.close()


def test_what_comes_again_waits_until_the_delivery_is_taken_back_and_goes_then(node: Node) -> None:
    remove(node)
    assert here(node) == 0
    pacs(S1, 1, 2)(node)
    node.wait(QUIET)
    assert (here(node), images_of(node), delivery(node).state) == (2, {}, State.CANCELLED)
    retry(node)
    assert (images_of(node), delivery(node).state) == ({S1: 2}, State.DELIVERED)
    assert reports_of(node) == {E1: [([S1], 2)]}, "the report says what it said"
    remove(node)
    pacs(S1, 1, 2)(node)
    node.wait(QUIET)
    assert (here(node), images_of(node)) == (0, {S1: 2}), "what is confirmed is a duplicate"


def test_a_delivery_taken_back_too_early_fails_and_goes_on_by_itself_with_what_comes_again(node: Node) -> None:
    remove(node)
    retry(node)
    node.wait(QUIET)
    assert (delivery(node).state, delivery(node).error) == (State.FAILED, "2 of 2 removed before they were sent")
    pacs(S1, 1)(node)
    node.wait(QUIET)
    assert (images_of(node), delivery(node).error) == ({S1: 1}, "1 of 2 removed before they were sent")
    pacs(S1, 2)(node)
    node.wait(QUIET)
    assert (images_of(node), delivery(node).state) == ({S1: 2}, State.DELIVERED)


def test_images_that_nothing_was_decided_about_are_missed_and_not_delivered_as_none(tmp_path: Path) -> None:
    node = Node(tmp_path)
    for step in (ris(E1, S2, status="Registered"), pacs(S2, 1, 2)):
        step(node)
    assert Review(node.catalogue, node.clock).cancel(delivery(node), "a test patient", "wang")
    node.catalogue.engine.execute("DELETE FROM ledger")
    for one in node.catalogue.queue.of_exam(delivery(node).exam):
        Review(node.catalogue, node.clock).cancel(one, "a test patient", "wang")
    remove(node)
    ris(E1, S2)(node)
    retry(node)
    node.wait(QUIET)
    assert (delivery(node).state, delivery(node).error) == (State.FAILED, "2 of 2 removed before they were sent")
    node.close()
