"""HL7 ADT^A40: a proposal that a person accepts or refuses, and that releases nothing by itself."""

from pathlib import Path

import pytest

from router.catalogue.exams.merges import Proposal
from router.errors import InvalidData
from router.events import Kind
from router.intake.merges import propose
from router.policy.states import State
from router.reports.hl7.hl7v2 import Unsupported
from router.reports.hl7.merge import Merge, merges
from router.reports.pdf.reader import Readers
from router.review.decisions import OperatorReason
from support.exam_workflow import ExamWorkflow
from support.hl7_messages import oru

WANG = OperatorReason("wang", "the same person")
STUDY = "1.2.3"


def a40(*pairs: tuple[str, str], kind: str = "ADT^A40^ADT_A39", facility: str = "H0001") -> bytes:
    rows = [f"MSH|^~\\&|HIS|{facility}|NODE|CLOUD|20260302110001||{kind}|M1|P|2.5.1", "EVN|A40|20260302110001"]
    for old, new in pairs:
        rows += [f"PID|1||{new}^^^H^PI~X9^^^Y^NI||张^三", "PD1|||", f"MRG|{old}^^^H^PI"]
    return "".join(f"{row}\r" for row in rows).encode()


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> ExamWorkflow:
    return ExamWorkflow(tmp_path, readers)


def test_each_pair_of_a_message_is_read_and_other_messages_are_none() -> None:
    found = merges(a40(("O1", "N1"), ("O2", "N2"), ("S", "S")))
    assert found is not None
    assert found.pairs == (Merge("O1", "N1"), Merge("O2", "N2"))
    assert merges(oru().encode()) is None
    assert merges(a40(("O", "N"), kind="ADT^A08")) is None


@pytest.mark.parametrize("pairs", [(), (("", "N"),), (("O", ""),), (("O", '""'),), (("O" * 200, "N"),)])
def test_a_merge_without_two_numbers_is_refused(pairs: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(InvalidData):
        merges(a40(*pairs))


def test_a_merge_is_a_proposal_and_releases_nothing_until_a_person_accepts_it(clinic: ExamWorkflow) -> None:
    clinic.pacs(STUDY, patient_id="OLD7")
    clinic.ris(Study__StudyInstanceUIDs=[STUDY])
    assert clinic.delivery().state == State.HELD
    for _ in range(2):
        clinic.intake.take_message(a40(("OLD7", "P0001")))
        clinic.settle()
    assert clinic.delivery().state == State.HELD
    assert [(one.old, one.new) for one in clinic.decisions.proposals()] == [("OLD7", "P0001")]
    assert clinic.decisions.aliases() == []
    told = [event.text for event in clinic.events if event.kind == Kind.DOCUMENT and "A40" in event.text]
    assert (len(told), any("OLD7" in text for text in told)) == (1, False)
    assert clinic.decisions.alias("P0001", "OLD7", WANG) == 1
    clinic.settle()
    assert clinic.delivery().state != State.HELD
    assert clinic.decisions.proposals() == []


def test_a_proposal_may_be_refused(clinic: ExamWorkflow) -> None:
    clinic.intake.take_message(a40(("OLD7", "P0001")))
    assert clinic.decisions.unalias("OLD7", "P0001", WANG) == 0
    assert (clinic.decisions.proposals(), clinic.decisions.aliases()) == ([], [])
    with pytest.raises(InvalidData):
        clinic.decisions.unalias("OLD7", "P0001", WANG)


def test_a_decision_about_one_hospitals_patients_leaves_the_others_proposals(clinic: ExamWorkflow) -> None:
    kept = clinic.catalogue.exams.proposals
    for hospital in ("a", "b", "c"):
        kept.add(Proposal(hospital=hospital, old="O", new="N", at=clinic.clock.now()))
    clinic.decisions.alias("O", "N", WANG, "a")
    clinic.decisions.unalias("N", "O", WANG, "b")
    assert [one.hospital for one in clinic.decisions.proposals()] == ["c"]
    assert [one.hospital for one in clinic.decisions.aliases()] == ["a"]
    with pytest.raises(InvalidData):
        clinic.decisions.unalias("O", "N", WANG, "b")


def test_another_message_of_admission_is_refused_as_ever(clinic: ExamWorkflow) -> None:
    with pytest.raises(Unsupported):
        clinic.intake.take_message(a40(("O", "N"), kind="ADT^A08"))


def test_of_several_hospitals_the_port_or_the_sender_tells_whose_patient_it_is(clinic: ExamWorkflow) -> None:
    one = clinic.config.hospital[0]
    hospitals = tuple(
        one.model_copy(update={"name": name, "HospitalCode": code}) for name, code in (("a", "HA"), ("b", "HB"))
    )
    config = clinic.config.model_copy(update={"hospital": hospitals})
    kept = clinic.catalogue.exams.proposals

    def told(port: str | None, facility: str, number: str) -> None:
        found = merges(a40((f"O{number}", "N"), facility=facility))
        assert found is not None
        propose(kept, config, port, found, clinic.bus, clinic.clock)

    told("a", "", "1")
    told(None, "HB", "2")
    assert {one.old: one.hospital for one in kept.all()} == {"O1": "a", "O2": "b"}
    for port, facility in ((None, ""), (None, "else"), ("a", "HB")):
        with pytest.raises(InvalidData):
            told(port, facility, "3")
