"""What belongs together goes together, however exams and studies are cut: the whole node but for its sockets."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from router.model import Channel
from router.policy.states import Needs, State
from support.node_without_sockets import Node
from support.two_exams import DAY, E1, E2, S1, S2, S3, Sent, Step, images_of, pacs, reports_of, ris, wait


@dataclass(frozen=True)
class Joining:
    """What happens, what each exam's reports then say, and how many images each study has at the destination."""

    steps: tuple[Step, ...]
    reports: dict[str, list[Sent]]
    images: dict[str, int]


CASES = {
    "one exam has two studies that the RIS lists": Joining(
        (ris(E1, S1, S2), pacs(S1, 1, 2), wait(), pacs(S2, 1), wait()),
        {E1: [([S1, S2], 3)]}, {S1: 2, S2: 1},
    ),
    "one exam has two studies of its accession number and the RIS lists one": Joining(
        (pacs(S1, 1, 2), pacs(S2, 1), ris(E1, S1), wait()),
        {E1: [([S1, S2], 3)]}, {S1: 2, S2: 1},
    ),
    "one exam has studies that the RIS does not list": Joining(
        (pacs(S1, 1), pacs(S2, 1), ris(E1), wait()),
        {E1: [([S1, S2], 2)]}, {S1: 1, S2: 1},
    ),
    "one study serves two exams and goes once": Joining(
        (pacs(S1, 1, 2), ris(E1, S1), ris(E2, S1, accession="A2"), wait()),
        {E1: [([S1], 2)], E2: [([S1], 2)]}, {S1: 2},
    ),
    "one study serves two exams of which one is reported days later": Joining(
        (pacs(S1, 1, 2), ris(E1, S1), wait(), wait(2 * DAY), ris(E2, S1, accession="A2", minute=5), wait()),
        {E1: [([S1], 2)], E2: [([S1], 2)]}, {S1: 2},
    ),
    "a second UID comes after a scan was repeated": Joining(
        (ris(E1, S1), pacs(S1, 1, 2), wait(), pacs(S2, 1, 2, 3), ris(E1, S1, S2, minute=5), wait()),
        {E1: [([S1], 2), ([S1, S2], 5)]}, {S1: 2, S2: 3},
    ),
    "a second UID of the same accession number comes unannounced": Joining(
        (ris(E1, S1), pacs(S1, 1, 2), wait(), pacs(S2, 1), wait()),
        {E1: [([S1], 2), ([S1, S2], 3)]}, {S1: 2, S2: 1},
    ),
    "the study comes days before its report": Joining(
        (pacs(S1, 1, 2), wait(3 * DAY), ris(E1, S1), wait()),
        {E1: [([S1], 2)]}, {S1: 2},
    ),
    "the study comes a day after its report, which went without": Joining(
        (ris(E1, S1), wait(DAY), pacs(S1, 1, 2), wait()),
        {E1: [([S1], 0), ([S1], 2)]}, {S1: 2},
    ),
    "the PACS sends the same again": Joining(
        (pacs(S1, 1, 2), ris(E1, S1), wait(), pacs(S1, 1, 2), wait(), pacs(S1, 2, 1), wait(DAY)),
        {E1: [([S1], 2)]}, {S1: 2},
    ),
    "three AEs send parts of one study": Joining(
        (pacs(S1, 1, ae="CT1"), ris(E1, S1), pacs(S1, 2, 3, ae="WORKSTATION"), pacs(S1, 3, 4, ae="CT1"), wait()),
        {E1: [([S1], 4)]}, {S1: 4},
    ),
    "a study of the same accession number from long ago is a prior": Joining(
        (pacs(S2, 1, day="20250102"), pacs(S1, 1), ris(E1, S1), wait()),
        {E1: [([S1], 1)]}, {S1: 1},
    ),
    "a study that no exam names stays here": Joining(
        (pacs(S3, 1, accession="A3"), pacs(S1, 1), ris(E1, S1), wait()),
        {E1: [([S1], 1)]}, {S1: 1},
    ),
}  # fmt: skip


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("name", CASES)
def test_exams_and_studies_are_joined(name: str, node: Node) -> None:
    case = CASES[name]
    for step in case.steps:
        step(node)
    assert images_of(node) == case.images
    assert reports_of(node) == case.reports
    assert len(node.cloud.images) == len(set(node.cloud.images))
    for exam in case.reports:
        for channel in Channel:
            delivery = node.delivery(exam, channel)
            assert delivery is not None
            assert delivery.state == State.DELIVERED


# -- [share] shared_study = "all"


@pytest.fixture
def together(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path, '[share]\nshared_study = "all"\n')
    yield made
    made.close()


def waits_for(node: Node, exam: str) -> tuple[str, ...]:
    delivery = node.delivery(exam, Channel.IMAGES)
    assert delivery is not None
    return delivery.waiting_for


def test_a_shared_study_waits_until_all_its_exams_are_approved(together: Node) -> None:
    for step in (pacs(S1, 1, 2), ris(E2, S1, accession="A2", status="Examined"), ris(E1, S1), wait()):
        step(together)
    assert images_of(together) == {}
    assert waits_for(together, E1) == (Needs.OTHERS,)
    ris(E2, S1, accession="A2", minute=5)(together)
    assert images_of(together) == {S1: 2}
    assert len(together.cloud.images) == 2


def test_an_exam_that_does_not_list_the_study_any_more_is_not_waited_for(together: Node) -> None:
    for step in (pacs(S1, 1), ris(E2, S1, accession="A2", status="Examined"), ris(E1, S1), wait()):
        step(together)
    ris(E2, S2, accession="A2", minute=5, status="Examined")(together)
    assert images_of(together) == {S1: 1}


def test_late_images_wait_again_while_an_approval_is_withdrawn(together: Node) -> None:
    for step in (pacs(S1, 1), ris(E2, S1, accession="A2"), ris(E1, S1), wait()):
        step(together)
    assert images_of(together) == {S1: 1}
    ris(E2, S1, accession="A2", minute=5, status="Examined")(together)
    pacs(S1, 2)(together)
    assert images_of(together) == {S1: 1}
    ris(E2, S1, accession="A2", minute=6)(together)
    assert images_of(together) == {S1: 2}


def test_an_exam_alone_waits_for_nobody(together: Node) -> None:
    for step in (pacs(S1, 1), ris(E1, S1), wait()):
        step(together)
    assert images_of(together) == {S1: 1}
