"""Study.ImageCount is what the destination has or will get; it alone makes one revision at most, at the end."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.catalogue.queue.queue import Delivery
from router.model import Channel
from router.policy.states import State
from router.review.deliveries import Review
from support.node_without_sockets import Node
from support.two_exams import DAY, E1, HOUR, QUIET, S1, S2, pacs, reports_of, ris


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


def counts(node: Node) -> list[int]:
    return [count for _, count in reports_of(node)[E1]]


def images(node: Node) -> Delivery:
    found = node.delivery(E1, Channel.IMAGES)
    assert found is not None
    return found


def sop(*numbers: int) -> set[str]:
    return {f"{S1}.1.{number}" for number in numbers}


def later(node: Node, seconds: float) -> None:
    """Time goes by, and what was put off is tried again."""
    node.wait(seconds)
    node.catalogue.queue.promote(node.clock.now())
    node.settle()
    node.wait(QUIET)


def test_what_is_refused_before_the_report_goes_is_not_counted(node: Node) -> None:
    node.cloud.refuses = sop(2)
    for step in (pacs(S1, 1, 2, 3), ris(E1, S1)):
        step(node)
    later(node, DAY)
    assert images(node).state == State.FAILED
    assert counts(node) == [2]


def test_what_is_refused_after_the_report_went_makes_one_revision_when_the_images_have_ended(node: Node) -> None:
    _report_first(node, 1, 2, 3, 4)
    node.cloud.refuses, node.cloud.puts_off = sop(2), sop(3, 4)
    later(node, 2 * HOUR)
    assert counts(node) == [4]
    node.cloud.refuses, node.cloud.puts_off = sop(2, 3), set()
    later(node, DAY)
    assert images(node).state == State.FAILED
    assert counts(node) == [4, 2]


def test_where_the_images_have_not_ended_the_count_is_corrected_once_when_they_are_due(node: Node) -> None:
    _report_first(node, 1, 2, 3, 4)
    node.cloud.refuses, node.cloud.puts_off = sop(2), sop(3, 4)
    later(node, 4 * DAY)
    assert counts(node) == [4]
    later(node, 4 * DAY)
    assert counts(node) == [4, 3]
    node.cloud.refuses, node.cloud.puts_off = sop(2, 3), set()
    later(node, DAY)
    assert images(node).state == State.FAILED
    assert counts(node) == [4, 3]


def test_what_a_person_has_sent_after_all_is_counted_again(node: Node) -> None:
    _report_first(node, 1, 2, 3)
    node.cloud.refuses = sop(2)
    later(node, DAY)
    assert counts(node) == [3, 2]
    node.cloud.refuses = set()
    assert Review(node.catalogue, node.clock).retry(images(node), "the platform takes it now", "wang")
    node.settle()
    later(node, DAY)
    assert images(node).state == State.DELIVERED
    assert counts(node) == [3, 2, 3]
    assert len(set(node.cloud.idems)) == 3, "under its first idem the platform would keep the second revision"


def test_with_count_revisions_off_the_count_alone_makes_none(tmp_path: Path) -> None:
    node = Node(tmp_path, "[share]\ncount_revisions = false\n")
    _report_first(node, 1, 2, 3)
    node.cloud.refuses = sop(2)
    later(node, 8 * DAY)
    pacs(S1, 4)(node)
    later(node, DAY)
    assert counts(node) == [3]
    ris(E1, S1, minute=5)(node)
    later(node, DAY)
    assert len(counts(node)) == 2, "a corrected report goes, with the count of then"
    node.close()


def test_a_study_that_never_comes_does_not_keep_the_count_wrong_for_ever(node: Node) -> None:
    for step in (ris(E1, S1, S2), pacs(S1, 1)):
        step(node)
    later(node, DAY)
    assert counts(node) == [1], "the report does not wait longer than half of its time"
    pacs(S1, 2)(node)
    later(node, DAY)
    assert counts(node) == [1]
    later(node, 8 * DAY)
    assert counts(node) == [1, 2]


def test_a_restart_makes_no_further_revision(node: Node) -> None:
    _report_first(node, 1, 2, 3)
    node.cloud.refuses = sop(2)
    later(node, DAY)
    node.restart()
    later(node, 8 * DAY)
    assert counts(node) == [3, 2]


def _report_first(node: Node, *numbers: int) -> None:
    """The images are put off by the destination; the report goes and counts all of them."""
    node.cloud.puts_off = sop(*numbers)
    for step in (pacs(S1, *numbers), ris(E1, S1)):
        step(node)
    node.wait(QUIET)
    assert counts(node) == [len(numbers)]
    node.cloud.puts_off = set()
