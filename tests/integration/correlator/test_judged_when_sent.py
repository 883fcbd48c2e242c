"""What goes is judged when it goes: what came since the exam was evaluated counts (design: Never the wrong patient)."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from router.dicom.scu.client import Outgoing, Result
from router.events import EventBus
from router.model import Channel, Patient
from router.policy.states import State
from router.review.decisions import Decisions, OperatorReason
from support.node_without_sockets import Cloud, Node, slice_of
from support.two_exams import E1, E2, S1, S2, pacs, ris

OTHER = Patient("P0002", "李四", "19700101", "M")
WANG = OperatorReason("wang", "asked the ward")


class Waiting(Node):
    """A node that sends only when it is told to. `meanwhile` happens once, after the first instance of a batch."""

    meanwhile: Callable[[], None] | None = None

    def _open(self) -> None:
        super()._open()
        self.cloud._store = self._store  # type: ignore[method-assign]  # a peer during whose answer something comes

    def _store(self, items: Sequence[Outgoing]) -> Iterator[Result]:
        for result in Cloud._store(self.cloud, items):
            yield result
            happening, self.meanwhile = self.meanwhile, None
            if happening is not None:
                happening()

    def settle(self) -> None:
        while self._correlator.run_due():
            pass

    def send(self) -> None:
        """As `settle` of a node that sends."""
        super().settle()

    def send_first(self) -> None:
        """The senders are quicker than the evaluation."""
        while any(map(self._dispatcher.run_one, self._lanes)):
            pass

    def images(self, exam_id: str = E1) -> State:
        found = self.delivery(exam_id, Channel.IMAGES)
        assert found is not None
        return found.state


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Waiting]:
    made = Waiting(tmp_path)
    yield made
    made.close()


def approved(node: Waiting) -> None:
    """E1 of one patient with its study, ready to go; another patient's study lies here, of an exam not approved."""
    pacs(S1, 1, 2, 3)(node)
    for number in (1, 2):
        node.receive(slice_of(S2, number, OTHER, "A2"))
    ris(E2, S2, accession="A2", status="Registered")(node)
    ris(E1, S1)(node)
    node.wait(70)
    assert node.images() == State.READY


def of_study(node: Waiting, study: str) -> int:
    return sum(uid.startswith(f"{study}.") for uid in node.cloud.images)


def test_a_study_that_was_linked_by_hand_a_moment_ago_does_not_go_before_its_patient_was_compared(
    node: Waiting,
) -> None:
    approved(node)
    decisions(node).link(E1, S2, WANG)
    node.send_first()
    assert of_study(node, S2) == 0
    assert node.cloud.reports == []
    node.send()
    assert node.images() == State.HELD


def test_what_comes_of_another_patient_while_a_delivery_is_under_way_stays_here(node: Waiting) -> None:
    approved(node)

    def another() -> None:
        node.receive(slice_of(S1, 4, OTHER, "A1"))
        node.settle()

    node.meanwhile = another
    node.send()
    assert of_study(node, S1) == 3
    assert node.images() == State.HELD


def test_an_image_of_another_patient_that_came_after_the_evaluation_is_not_sent(node: Waiting) -> None:
    approved(node)
    node.receive(slice_of(S1, 1, OTHER, "A1"), "other pixels")
    node.send_first()
    assert node.cloud.images == []
    node.send()
    assert node.images() == State.HELD


def test_a_withdrawn_approval_counts_before_the_exam_is_evaluated_again(node: Waiting) -> None:
    approved(node)
    node.settle, settle = lambda: None, node.settle  # type: ignore[method-assign]  # the evaluation is late
    ris(E1, S1, minute=5, status="Registered")(node)
    node.send_first()
    assert (node.cloud.reports, node.cloud.images) == ([], [])
    settle()
    assert node.images() == State.HELD


def decisions(node: Waiting) -> Decisions:
    return Decisions(node.config.identity, node.catalogue, EventBus(), node.clock)


def test_the_report_does_not_name_a_study_that_a_person_keeps_apart_though_the_ris_lists_it(node: Waiting) -> None:
    for number in (1, 2):
        node.receive(slice_of(S2, number, OTHER, "A2"))
    pacs(S1, 1, 2, 3)(node)
    ris(E1, S1, S2)(node)
    assert node.images() == State.HELD
    decisions(node).unlink(E1, S2, WANG)
    node.send()
    node.wait(70)
    node.send()
    assert [report.listed for report in node.cloud.reports] == [[S1]]
    assert of_study(node, S2) == 0


def test_a_study_without_images_that_is_taken_from_a_delivered_exam_is_taken_from_its_report(node: Waiting) -> None:
    pacs(S1, 1, 2, 3)(node)
    ris(E1, S1, S2)(node)
    node.wait(13 * 3600)
    node.send()
    assert [sorted(report.listed) for report in node.cloud.reports] == [[S1, S2]]
    decisions(node).unlink(E1, S2, WANG)
    node.send()
    assert [sorted(report.listed) for report in node.cloud.reports] == [[S1, S2], [S1]]


def test_nothing_speaks_against_what_is_evaluated_already(node: Waiting) -> None:
    approved(node)
    node.send_first()
    assert of_study(node, S1) == 3
    assert [report.exam["ExamId"] for report in node.cloud.reports] == [E1]
