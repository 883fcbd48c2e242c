"""Names whose bytes are not of the declared character set, through the whole node but for its sockets."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from router.model import Channel, Header, Patient
from router.policy.states import State
from router.text.decoding import UNREADABLE
from support.catalogue_rows import driver
from support.dicom_peers import read_header
from support.node_without_sockets import Node, slice_of
from support.two_exams import E1, QUIET, ris

CASES = Path(__file__).parents[2] / "cases" / "text"


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


@pytest.mark.parametrize(("number", "name"), [(71, "张三"), (407, "张三"), (72, "王喆")])
def test_a_name_in_other_bytes_than_declared_is_its_own_patients(node: Node, number: int, name: str) -> None:
    header = case(number)
    node.receive(replace(header, patient=replace(header.patient, patient_id="", birth_date="", sex="F")))
    ris(E1, header.uids.study, accession=header.accession_number, patient=name)(node)
    node.wait(QUIET)
    assert state(node) == State.DELIVERED


def test_a_study_joins_by_accession_number_and_a_name_in_gbk_under_latin_1(node: Node) -> None:
    header = case(411)
    node.receive(replace(header, patient=replace(header.patient, sex="F", birth_date="19491231")))
    ris(E1, accession="A411", patient="张三")(node)
    node.wait(QUIET)
    assert (state(node), node.cloud.images) == (State.DELIVERED, [header.uids.sop])


def catalogued_before(node: Node, number: int) -> Header:
    """The study of a case as a node of before has it: the text as the declared set has it, the file as it came."""
    data = (CASES / f"{number}.dcmds").read_bytes().replace(b"CS\2\0M ", b"CS\2\0F ").replace(b"19701231", b"19491231")
    path = node.config.node.data / "case.dcm"
    path.write_bytes(data)
    header = replace(case(number), patient=read_header(path).patient)
    place = node.config.node.data.joinpath("studies", header.uids.study, header.uids.series, f"{header.uids.sop}.dcm")
    place.parent.mkdir(parents=True)
    path.rename(place)
    name = header.patient.name.encode("gbk").decode("latin-1")
    node.receive(replace(header, patient=replace(header.patient, name=name)))
    driver(node.catalogue).execute_sql("UPDATE study_identity SET reading = 0")
    return header


@pytest.mark.fires("doubt")
def test_a_study_that_was_catalogued_by_the_declared_set_is_read_again_and_is_another_patients(node: Node) -> None:
    header = catalogued_before(node, 71)
    ris(E1, header.uids.study, patient="李四")(node)
    node.wait(QUIET)
    assert (state(node), node.cloud.images) == (State.HELD, [])
    delivery = node.delivery(E1, Channel.IMAGES)
    assert delivery is not None
    assert delivery.error.endswith("differs from the exam in name")


def test_a_study_that_was_catalogued_by_the_declared_set_joins_by_its_name_and_is_read_once(node: Node) -> None:
    header = catalogued_before(node, 411)
    ris(E1, accession="A411", patient="张三")(node)
    node.wait(QUIET)
    assert node.cloud.images == [header.uids.sop]
    assert node.catalogue.readings.outdated(header.uids.study) == []
    (study,) = node.catalogue.exams.links.studies([header.uids.study]).values()
    assert [one.patient.name for one in study.identities] == ["张三"]


def test_a_study_of_before_whose_file_is_gone_keeps_its_text(node: Node) -> None:
    header = catalogued_before(node, 71)
    shutil.rmtree(node.config.node.data / "studies" / header.uids.study)
    ris(E1, header.uids.study, patient="张三")(node)
    (study,) = node.catalogue.exams.links.studies([header.uids.study]).values()
    assert (study.outdated, [one.patient.name for one in study.identities]) == (True, ["ÕÅÈý"])


def test_a_name_without_a_certain_reading_joins_nothing(node: Node) -> None:
    node.receive(slice_of("1.2.9", 1, Patient("", UNREADABLE, "", ""), "A1"))
    ris(E1, accession="A1")(node)
    node.wait(QUIET)
    assert node.cloud.images == []
