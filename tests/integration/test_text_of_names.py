"""Names whose bytes are not of the declared character set, through the whole node but for its sockets."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from histories import Node, slice_of
from peers import read_header
from router.model import Channel, Header, Patient
from router.states import State
from router.text import UNREADABLE
from scenario import E1, QUIET, ris

CASES = Path(__file__).parents[1] / "cases" / "text"


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    yield made
    made.close()


def case(number: int) -> Header:
    """The header of a case, as of the day on which the histories are."""
    header = read_header(CASES / f"{number}.dcmds")
    thin = replace(header.facts, slice_thickness=1.0)
    return replace(header, study_date="20260302", study_time="0900", facts=thin)


def state(node: Node) -> State:
    found = node.delivery(E1, Channel.IMAGES)
    assert found is not None
    return found.state


@pytest.mark.fires("doubt")
@pytest.mark.parametrize("number", [71, 407])
def test_a_name_in_gbk_under_latin_1_is_another_patients(node: Node, number: int) -> None:
    header = case(number)
    node.receive(replace(header, patient=replace(header.patient, sex="F")))
    ris(E1, header.uids.study, accession="A71", patient="李四")(node)
    node.wait(QUIET)
    assert (state(node), node.cloud.images) == (State.HELD, [])


@pytest.mark.parametrize("number", [71, 407])
def test_a_name_in_gbk_under_latin_1_is_its_own_patients(node: Node, number: int) -> None:
    header = case(number)
    node.receive(replace(header, patient=replace(header.patient, sex="F")))
    ris(E1, header.uids.study, accession="A71", patient="张三")(node)
    node.wait(QUIET)
    assert state(node) == State.DELIVERED


def test_a_study_joins_by_accession_number_and_a_name_in_gbk_under_latin_1(node: Node) -> None:
    header = case(411)
    node.receive(replace(header, patient=replace(header.patient, sex="F", birth_date="19491231")))
    ris(E1, accession="A411", patient="张三")(node)
    node.wait(QUIET)
    assert (state(node), node.cloud.images) == (State.DELIVERED, [header.uids.sop])


def test_a_name_without_a_certain_reading_joins_nothing(node: Node) -> None:
    node.receive(slice_of("1.2.9", 1, Patient("", UNREADABLE, "", ""), "A1"))
    ris(E1, accession="A1")(node)
    node.wait(QUIET)
    assert node.cloud.images == []
