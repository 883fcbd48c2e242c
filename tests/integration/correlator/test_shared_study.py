"""A study of several exams: what waits for whose approval, for how long, and what ends the waiting."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue.images.ledger import Fate
from router.catalogue.queue.queue import Delivery
from router.model import Channel
from router.policy.states import Needs, State
from router.review.deliveries import Review
from support.node_without_sockets import Node, slice_of
from support.two_exams import DAY, E1, E2, HOUR, PATIENT, QUIET, S1, S2, Step, images_of, pacs, reports_of, ris, wait

ALL = '[share]\nshared_study = "all"\n'
HOLD = ALL + 'shared_study_then = "hold"\n'
WITHIN = 6 * DAY  # images_within of the histories' destination
DRAFT = "Examined"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Node]]:
    made: list[Node] = []
    yield made
    for node in made:
        node.close()


@pytest.fixture
def together(tmp_path: Path, nodes: list[Node]) -> Node:
    """All exams of a study are waited for."""
    nodes.append(Node(tmp_path, ALL))
    return nodes[0]


@pytest.fixture
def alone(tmp_path: Path, nodes: list[Node]) -> Node:
    """A study goes at its first approval."""
    nodes.append(Node(tmp_path))
    return nodes[0]


def images(node: Node, exam: str = E1) -> Delivery:
    found = node.delivery(exam, Channel.IMAGES)
    assert found is not None
    return found


def shared(node: Node, *more: Step) -> None:
    """S1 of both exams: E1 is approved, E2 is not."""
    for step in (pacs(S1, 1, 2), ris(E2, S1, accession="A2", status=DRAFT), ris(E1, S1), wait(), *more):
        step(node)


def cancel(node: Node, exam: str) -> None:
    number = images(node, exam).exam
    for one in node.catalogue.queue.of_exam(number):
        assert Review(node.catalogue, node.clock).cancel(one, "not to be reported", "wang")
    node.settle()


def standing(node: Node) -> list[str]:
    return [one.text for one in node.catalogue.alarms.standing() if one.alarm is Alarm.SHARED_STUDY]


# -- "all": which exams are waited for


def test_a_cancelled_exam_is_not_waited_for(together: Node) -> None:
    shared(together)
    assert images_of(together) == {}
    cancel(together, E2)
    assert images_of(together) == {S1: 2}


def test_one_of_its_deliveries_that_is_cancelled_does_not_end_the_waiting(together: Node) -> None:
    shared(together)
    assert Review(together.catalogue, together.clock).cancel(images(together, E2), "report only", "wang")
    together.settle()
    together.wait(HOUR)
    assert images_of(together) == {}


@pytest.mark.parametrize(
    "status", ["Cancelled", "Withdrawn", "canceled", "取消", "已取消", "作废", "已撤销", "检查取消"]
)
def test_an_exam_that_its_ris_gives_up_is_not_waited_for(together: Node, status: str) -> None:
    shared(together)
    assert images_of(together) == {}
    ris(E2, S1, accession="A2", status=status, minute=5)(together)
    together.settle()
    assert images_of(together) == {S1: 2}


@pytest.mark.parametrize("status", ["Scheduled", "取消审核", "撤回报告", "待取消", "未取消", "Preliminary"])
def test_an_exam_that_can_still_be_approved_is_waited_for(together: Node, status: str) -> None:
    shared(together)
    ris(E2, S1, accession="A2", status=status, minute=5)(together)
    together.settle()
    assert images_of(together) == {}


@pytest.mark.parametrize("state", [State.OUT_OF_SCOPE, State.EXCLUDED, State.NOT_SHARED])
def test_an_exam_that_is_not_shared_is_not_waited_for(together: Node, state: State) -> None:
    shared(together)
    number = images(together, E2).exam
    for one in together.catalogue.queue.of_exam(number):
        assert together.catalogue.queue.move(one, state, together.clock.now(), "[share] says so")
    (companion,) = together.catalogue.withheld.companions({number})
    assert (companion.closed, companion.approved) == (True, False)


def test_an_exam_that_a_rule_excludes_is_not_waited_for(tmp_path: Path, nodes: list[Node]) -> None:
    rule = '[[share.exclude]]\nname = "x"\nStudyDate = "^20260301$"\n'
    nodes.append(Node(tmp_path, ALL + rule))
    shared(nodes[0])
    assert images_of(nodes[0]) == {}
    pacs(S2, 1, accession="A2", day="20260301")(nodes[0])
    nodes[0].wait(QUIET)
    assert images(nodes[0], E2).state == State.EXCLUDED
    assert images_of(nodes[0]) == {S1: 2}


def test_an_exam_of_which_nothing_has_come_for_seven_days_is_not_waited_for(tmp_path: Path, nodes: list[Node]) -> None:
    node = Node(tmp_path, HOLD)
    nodes.append(node)
    for step in (pacs(S1, 1, 2), ris(E2, S1, accession="A2", status=DRAFT), wait(5 * DAY)):
        step(node)
    ris(E1, S1)(node)
    node.wait(DAY)
    assert (images_of(node), images(node).held_by) == ({}, "others")
    node.wait(DAY + HOUR)
    assert images_of(node) == {S1: 2}


def test_news_of_the_other_exam_begins_its_seven_days_anew(tmp_path: Path, nodes: list[Node]) -> None:
    node = Node(tmp_path, HOLD)
    nodes.append(node)
    for step in (pacs(S1, 1), ris(E2, S1, accession="A2", status=DRAFT), wait(6 * DAY)):
        step(node)
    ris(E2, S1, accession="A2", status=DRAFT, minute=5)(node)
    ris(E1, S1)(node)
    node.wait(2 * DAY)
    assert images_of(node) == {}


# -- "all": for how long


@pytest.mark.ends("shared-study")
@pytest.mark.fires("shared-study")
def test_at_half_of_the_time_an_alarm_names_the_command_that_ends_the_waiting(together: Node) -> None:
    shared(together, wait(WITHIN / 2 - 2 * HOUR))
    assert standing(together) == []
    together.wait(3 * HOUR)
    (text,) = standing(together)
    names = " ".join(f"d{one.id}" for one in together.catalogue.queue.of_exam(images(together, E2).exam))
    assert f"`queue cancel {names} --why ...`" in text
    assert E2 not in text
    cancel(together, E2)
    assert images_of(together) == {S1: 2}
    assert standing(together) == []


def test_at_four_fifths_of_the_time_the_images_go_by_default(together: Node) -> None:
    shared(together, wait(0.78 * WITHIN))
    assert images_of(together) == {}
    together.wait(0.04 * WITHIN)
    assert images_of(together) == {S1: 2}
    assert images(together).state == State.DELIVERED
    assert standing(together) == []


def test_or_they_are_held_and_go_when_the_other_exam_is_approved(tmp_path: Path, nodes: list[Node]) -> None:
    node = Node(tmp_path, HOLD)
    nodes.append(node)
    shared(node, wait(0.78 * WITHIN))
    assert images(node).state == State.WAITING
    node.wait(0.04 * WITHIN)
    held = images(node)
    assert (held.state, held.held_by) == (State.HELD, "others")
    assert "queue cancel" in held.error
    assert [exam for exam, reports in reports_of(node).items() if reports] == [E1], "the report has gone in time"
    ris(E2, S1, accession="A2", minute=5)(node)
    assert images_of(node) == {S1: 2}
    assert len(node.cloud.images) == 2


def test_what_waits_is_the_same_after_a_restart(together: Node) -> None:
    shared(together)
    together.restart()
    together.settle()
    assert (images_of(together), images(together).waiting_for) == ({}, (Needs.OTHERS,))


# -- series that name another exam alone


def series(study: str, number: int, own: str, *named: str) -> Step:
    """An instance in a series of its own, whose RequestAttributesSequence names these accession numbers."""

    def step(node: Node) -> None:
        head = slice_of(study, number, PATIENT, own)
        uids = replace(head.uids, series=f"{study}.{number}", sop=f"{study}.{number}.1")
        node.receive(replace(head, uids=uids, other_accession_numbers=named))
        node.settle()

    return step


@pytest.fixture(params=["", ALL])
def either(request: pytest.FixtureRequest, tmp_path: Path, nodes: list[Node]) -> Node:
    """Either mode."""
    nodes.append(Node(tmp_path, request.param))
    return nodes[-1]


def by_series(node: Node) -> list[str]:
    return sorted(Path(name).parts[1] for _, name in node.cloud.files)


def test_a_series_that_names_the_unapproved_exam_alone_waits_for_it_in_either_mode(either: Node) -> None:
    for step in (
        series(S1, 1, "A1", "A1"), series(S1, 2, "A1", "A2"), series(S1, 3, "A1", "A1", "A2"), series(S1, 4, "A1"),
        ris(E2, S1, accession="A2", status=DRAFT), ris(E1, S1), wait(0.9 * WITHIN),
    ):  # fmt: skip
        step(either)
    assert by_series(either) == [f"{S1}.1", f"{S1}.3", f"{S1}.4"]
    assert images(either).state == State.DELIVERED
    assert [count for _, count in reports_of(either)[E1]] == [3]
    (entry,) = [
        one for one in either.catalogue.ledger.entries(images(either).exam, "cloud") if one.fate == Fate.WITHHELD
    ]
    assert entry.uids.series == f"{S1}.2"
    assert "not approved" in entry.rule

    ris(E2, S1, accession="A2", minute=5)(either)
    either.wait(QUIET)
    assert by_series(either) == [f"{S1}.{number}" for number in (1, 2, 3, 4)]
    assert {images(either, exam).state for exam in (E1, E2)} == {State.DELIVERED}
    assert [count for _, count in reports_of(either)[E2]] == [4]


def test_the_first_approved_exam_decides_whose_series_wait(alone: Node) -> None:
    for step in (
        series(S1, 1, "A1", "A1"), series(S1, 2, "A1", "A2"),
        ris(E1, S1, status=DRAFT), ris(E2, S1, accession="A2"), wait(),
    ):  # fmt: skip
        step(alone)
    assert by_series(alone) == [f"{S1}.2"]
    ris(E1, S1, minute=5)(alone)
    alone.wait(QUIET)
    assert by_series(alone) == [f"{S1}.1", f"{S1}.2"]


def test_what_is_selected_and_not_sent_yet_is_withheld_when_the_other_exam_comes(alone: Node) -> None:
    alone.cloud.puts_off = {f"{S1}.2.1"}
    for step in (series(S1, 1, "A1", "A1"), series(S1, 2, "A1", "A2"), ris(E1, S1), wait()):
        step(alone)
    ris(E2, S1, accession="A2", status=DRAFT)(alone)
    alone.cloud.puts_off = set()
    alone.catalogue.queue.promote(alone.clock.now())
    alone.settle()
    alone.wait(DAY)
    assert by_series(alone) == [f"{S1}.1"]


def test_a_series_goes_that_names_an_exam_which_nobody_knows(alone: Node) -> None:
    for step in (series(S1, 1, "A1", "A9"), ris(E1, S1), wait()):
        step(alone)
    assert by_series(alone) == [f"{S1}.1"]


def test_an_exam_of_which_every_series_names_the_other_waits_with_its_images(alone: Node) -> None:
    for step in (
        series(S1, 1, "", "A2"), ris(E2, S1, accession="A2", status=DRAFT), ris(E1, S1, accession=""), wait(),
    ):  # fmt: skip
        step(alone)
    assert by_series(alone) == []
    assert images(alone).waiting_for == (Needs.OTHERS,)
    ris(E2, S1, accession="A2", minute=5)(alone)
    assert by_series(alone) == [f"{S1}.1"]


def test_a_series_is_free_again_when_the_other_exam_gives_the_study_up(alone: Node) -> None:
    for step in (
        series(S1, 1, "A1", "A1"), series(S1, 2, "A1", "A2"),
        ris(E2, S1, accession="A2", status=DRAFT), ris(E1, S1), wait(),
    ):  # fmt: skip
        step(alone)
    assert by_series(alone) == [f"{S1}.1"]
    ris(E2, S2, accession="A7", minute=5, status=DRAFT)(alone)
    alone.wait(QUIET)
    assert by_series(alone) == [f"{S1}.1", f"{S1}.2"]


def test_one_accession_number_of_both_exams_withholds_nothing(alone: Node) -> None:
    for step in (series(S1, 1, "A1", "A1"), ris(E2, S1, accession="A1", status=DRAFT), ris(E1, S1), wait()):
        step(alone)
    assert by_series(alone) == [f"{S1}.1"]
