"""Instances that are cut off: the rest of the exam goes, they wait for a person or for their whole version."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from router.catalogue.images.ledger import Fate
from router.catalogue.queue.queue import Delivery
from router.events import Kind
from router.matching.exam.readiness import PERSON
from router.model import Channel, Header
from router.policy.states import State
from router.review.deliveries import Review
from support.node_without_sockets import Node, slice_of
from support.two_exams import DAY, E1, E2, HOUR, PATIENT, QUIET, S1, S2, images_of, pacs, reports_of, ris

CUT = "the pixel data has 16 of 32 bytes"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


def half(study: str, number: int, cut: str = CUT, accession: str = "A1") -> Header:
    return replace(slice_of(study, number, PATIENT, accession), sending_ae="CT1", cut=cut)


def receive(node: Node, *headers: Header) -> None:
    for one in headers:
        node.receive(one)
    node.settle()


def images(node: Node, exam: str = E1) -> Delivery:
    found = node.delivery(exam, Channel.IMAGES)
    assert found is not None
    return found


def release(node: Node) -> None:
    assert Review(node.catalogue, node.clock).release(images(node), "the console shows it whole", "wang")
    node.settle()


def fates(node: Node) -> dict[tuple[str, int], Fate]:
    return {
        (e.uids.sop.rpartition(".")[2], e.version): e.fate
        for e in Review(node.catalogue, node.clock).ledger(images(node))
    }


def test_the_rest_goes_and_the_delivery_says_what_is_set_aside(node: Node) -> None:
    pacs(S1, 1, 2)(node)
    receive(node, half(S1, 3))
    ris(E1, S1)(node)
    node.wait(QUIET)
    assert images_of(node) == {S1: 2}
    held = images(node)
    assert (held.state, held.held_by) == (State.HELD, "cut-off images")
    assert held.error.startswith("cut-off images: 1 of 3 set aside: cut off; `queue release` sends")
    [line] = Review(node.catalogue, node.clock).listed([State.HELD], None, None)
    assert (line.selected, line.sent) == (3, 2)
    [entry] = [e for e in Review(node.catalogue, node.clock).ledger(held) if e.fate is Fate.CUT]
    assert entry.rule.endswith(f"; cut off: {CUT}")


def test_the_report_goes_in_time_and_counts_what_goes(node: Node) -> None:
    pacs(S1, 1, 2)(node)
    receive(node, half(S1, 3))
    ris(E1, S1)(node)
    node.wait(QUIET)
    assert reports_of(node) == {E1: [([S1], 2)]}
    release(node)
    node.wait(QUIET)
    assert reports_of(node) == {E1: [([S1], 2), ([S1], 3)]}


def test_a_person_releases_it_as_it_is(node: Node) -> None:
    pacs(S1, 1)(node)
    receive(node, half(S1, 2))
    ris(E1, S1)(node)
    node.wait(QUIET)
    release(node)
    node.wait(QUIET)
    assert images_of(node) == {S1: 2}
    assert images(node).state == State.DELIVERED
    node.restart()
    node.wait(DAY)
    assert images_of(node) == {S1: 2}


def test_an_exam_of_which_nothing_is_whole_is_held_and_its_report_goes(node: Node) -> None:
    receive(node, half(S1, 1))
    ris(E1, S1)(node)
    node.wait(HOUR)
    assert images_of(node) == {}
    assert "1 of 1 set aside" in images(node).error
    assert images(node).state == State.HELD
    assert list(reports_of(node)) == [E1]


@pytest.mark.parametrize("when", ["before the report", "while it is held", "after it was released"])
def test_a_whole_version_takes_its_place(node: Node, when: str) -> None:
    pacs(S1, 1)(node)
    receive(node, half(S1, 2))
    if when != "before the report":
        ris(E1, S1)(node)
        node.wait(QUIET)
        assert images(node).state == State.HELD
    if when == "after it was released":
        release(node)
        node.wait(QUIET)
    node.receive(half(S1, 2, cut=""), pixels="all of them")
    node.settle()
    if when == "before the report":
        ris(E1, S1)(node)
    node.wait(QUIET)
    assert images(node).state == State.DELIVERED
    assert node.cloud.files[-1][1].endswith(".2~2.dcm")
    assert fates(node)["2", 2] == Fate.SENT
    assert len(node.cloud.images) == 2 + (when == "after it was released")


def test_a_cut_version_never_takes_the_place_of_a_whole_one(node: Node) -> None:
    pacs(S1, 1, 2)(node)
    receive(node, half(S1, 2))
    ris(E1, S1)(node)
    node.wait(QUIET)
    assert images(node).state == State.DELIVERED
    assert sorted(name for _, name in node.cloud.files) == [f"{S1}/{S1}.1/{S1}.1.{n}.dcm" for n in (1, 2)]
    receive(node, half(S1, 1))
    node.wait(DAY)
    assert len(node.cloud.files) == 2
    assert images(node).state == State.DELIVERED


def test_of_two_cut_versions_the_later_one_waits(node: Node) -> None:
    receive(node, half(S1, 1), half(S1, 1, cut="the pixel data has 30 of 32 bytes"))
    ris(E1, S1)(node)
    node.wait(QUIET)
    assert "1 of 1 set aside" in images(node).error
    release(node)
    node.wait(QUIET)
    assert [name for _, name in node.cloud.files] == [f"{S1}/{S1}.1/{S1}.1.1~2.dcm"]


def test_one_that_comes_after_the_delivery_reopens_it_and_waits(node: Node) -> None:
    pacs(S1, 1)(node)
    ris(E1, S1)(node)
    node.wait(QUIET)
    receive(node, half(S1, 2))
    node.wait(QUIET)
    assert images(node).state == State.HELD
    assert images_of(node) == {S1: 1}
    pacs(S1, 3)(node)
    node.wait(QUIET)
    assert images_of(node) == {S1: 2}
    assert "1 of 3 set aside" in images(node).error


def test_one_that_comes_long_after_the_delivery_is_cut_off_first_and_late_second(node: Node) -> None:
    pacs(S1, 1)(node)
    ris(E1, S1)(node)
    node.wait(8 * DAY)
    receive(node, half(S1, 2))
    pacs(S1, 3)(node)
    node.wait(QUIET)
    assert images(node).held_by == "late images"
    release(node)
    node.wait(QUIET)
    assert images_of(node) == {S1: 2}
    assert images(node).held_by == "cut-off images"


def test_what_a_person_holds_is_not_released_with_it(node: Node) -> None:
    receive(node, half(S1, 1))
    ris(E1, S1)(node)
    node.wait(QUIET)
    assert Review(node.catalogue, node.clock).hold(images(node), "I look at it", "wang")
    assert images(node).held_by == PERSON
    release(node)
    assert images_of(node) == {}
    assert images(node).held_by == "cut-off images"
    release(node)
    assert images_of(node) == {S1: 1}


def test_a_version_that_names_another_patient_and_is_cut_off_is_released_twice(node: Node) -> None:
    pacs(S1, 1)(node)
    ris(E1, S1)(node)
    node.wait(QUIET)
    sent = slice_of(S1, 1, PATIENT, "A1")
    wrong = replace(PATIENT, patient_id="P9", name="李四")
    node.cloud.images.clear()
    with node.catalogue.engine.write():  # the version that was sent was cut off, too, and a person had released it
        node.catalogue.engine.execute("UPDATE instance SET cut = 'x'", ())
    receive(node, replace(sent, patient=wrong, cut=CUT))
    node.wait(QUIET)
    assert node.cloud.images == []
    assert images(node).state == State.HELD


def test_one_that_a_rejection_note_names_is_left_out(node: Node) -> None:
    pacs(S1, 1)(node)
    receive(node, half(S1, 2))
    ris(E1, S1)(node)
    node.wait(QUIET)
    assert images(node).state == State.HELD
    receive(node, slice_of(S1, 1, PATIENT, "A1", references=(f"{S1}.1.2",)))
    node.wait(QUIET)
    assert images(node).state == State.DELIVERED
    assert fates(node)["2", 1] == Fate.FILTERED


def test_nothing_is_held_of_an_exam_that_is_not_approved(node: Node) -> None:
    receive(node, half(S1, 1))
    ris(E1, S1, status="Registered")(node)
    node.wait(QUIET)
    assert images(node).state == State.WAITING


@pytest.mark.ends("cut-off")
@pytest.mark.fires("cut-off")
def test_an_alarm_stands_for_the_study_until_it_is_released(node: Node) -> None:
    receive(node, half(S1, 1), half(S1, 2))
    ris(E1, S1)(node)
    node.wait(QUIET)
    [alarm] = [one for one in node.catalogue.alarms.standing() if one.alarm == "cut-off"]
    assert (alarm.subject, alarm.exam) == (f"study {S1}", node.delivery(E1, Channel.IMAGES).exam)  # type: ignore[union-attr]
    release(node)
    assert not [one for one in node.catalogue.alarms.standing() if one.alarm == "cut-off"]


def test_the_alarm_goes_when_the_delivery_is_cancelled_or_a_whole_version_came(node: Node) -> None:
    receive(node, half(S1, 1), half(S2, 1, accession="A2"))
    ris(E1, S1)(node)
    ris(E2, S2, accession="A2")(node)
    node.wait(QUIET)
    assert Review(node.catalogue, node.clock).cancel(images(node, E2), "not needed", "wang")
    receive(node, half(S1, 1, cut=""))
    node.wait(QUIET)
    assert not [one for one in node.catalogue.alarms.standing() if one.alarm == "cut-off"]
    assert [event.subject for event in node.events if event.kind == Kind.CLEARED and event.alarm == "cut-off"]


def test_it_goes_at_once_where_that_is_configured(tmp_path: Path) -> None:
    node = Node(tmp_path, '[receive]\nirregular = "send"\n')
    receive(node, half(S1, 1))
    ris(E1, S1)(node)
    node.wait(QUIET)
    assert images_of(node) == {S1: 1}
    assert images(node).state == State.DELIVERED
    node.close()
