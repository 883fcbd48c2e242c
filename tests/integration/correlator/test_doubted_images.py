"""[identity] doubt = "images": the report goes in time without the study in doubt, which stays until it is settled."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.model import Channel, Patient
from router.policy.states import State
from router.review.decisions import Decisions, OperatorReason
from support.node_without_sockets import Node, slice_of
from support.sample_exam import exam_document

E1, E2, S1, S2 = "E1", "E2", "1.2.1", "1.2.2"
ZHANG = Patient("P0001", "Zhang^San=张^三", "19491231", "F")
LI = Patient("P0002", "Li^Si=李^四", "19500505", "M")
IMAGES = '\n[identity]\ndoubt = "images"\n'
DAY = 86_400


class Hospital(Node):
    """A node with one exam of two studies, of which the second is in doubt."""

    def ris(self, exam_id: str = E1, *studies: str, text: str | None = None, **changes: object) -> None:
        document = exam_document({
            "ExamId": exam_id, "Order.AccessionNumber": "A1", "Study.StudyInstanceUIDs": list(studies),
            "Study.StudyDate": "2026-03-02 09:00:00", "Report.ApproveTime": "2026-03-02 11:59:00",
            "Report.SubmitTime": "2026-03-02 11:50:00",
            **{path.replace("__", "."): value for path, value in changes.items()},
        })  # fmt: skip
        self.drop(f"{exam_id}.json", json.dumps(document).encode())
        if text is None:
            text = f"姓名：{document['Patient']['Name']} 检查号：A1"
        if text:
            self.drop(f"{exam_id}.pdf", text.encode())

    def pacs(self, study: str, patient: Patient, number: int = 1, accession: str = "A1") -> None:
        self.receive(slice_of(study, number, patient, accession))

    def states(self, exam_id: str = E1) -> tuple[State, State]:
        report, images = (self.delivery(exam_id, channel) for channel in (Channel.REPORT, Channel.IMAGES))
        assert report is not None
        assert images is not None
        return report.state, images.state

    def resolve(self, exam_id: str = E1) -> list[str]:
        decisions = Decisions(self.config.identity, self.catalogue, self._correlator._bus, self.clock)
        return decisions.resolve(exam_id, OperatorReason("wang", "asked the ward"))

    def sent(self) -> list[tuple[list[str], int]]:
        return [(report.listed, report.count) for report in self.cloud.reports]


@pytest.fixture
def hospital(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hospital]:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    made = Hospital(tmp_path, IMAGES)
    yield made
    made.close()


def two_studies(hospital: Hospital, text: str | None = None) -> None:
    hospital.pacs(S1, ZHANG)
    hospital.pacs(S2, LI, 1)
    hospital.pacs(S2, LI, 2)
    hospital.ris(E1, S1, S2, text=text)
    hospital.wait(DAY)


def test_the_report_goes_without_the_study_in_doubt_and_a_revision_lists_it_when_that_is_settled(
    hospital: Hospital,
) -> None:
    two_studies(hospital)
    assert hospital.sent() == [([S1], 1)]
    assert hospital.states() == (State.DELIVERED, State.HELD)
    assert hospital.cloud.images == []
    assert hospital.alarmed(f"study {S2} differs from the exam")
    hospital.resolve()
    hospital.wait(DAY)
    assert hospital.states() == (State.DELIVERED, State.DELIVERED)
    assert hospital.sent()[1:] == [([S1, S2], 3)]
    assert len(hospital.cloud.images) == 3


def test_the_report_counts_the_images_of_the_sound_study_that_will_be_sent(hospital: Hospital) -> None:
    for number in (1, 2, 3):
        hospital.pacs(S1, ZHANG, number)
    two_studies(hospital)
    assert hospital.sent() == [([S1], 3)]
    hospital.resolve()
    hospital.wait(DAY)
    assert hospital.sent()[1:] == [([S1, S2], 5)]


def test_a_restart_between_changes_nothing(hospital: Hospital) -> None:
    two_studies(hospital)
    hospital.restart()
    hospital.wait(DAY)
    assert hospital.sent() == [([S1], 1)]
    assert hospital.states() == (State.DELIVERED, State.HELD)


def test_a_correction_of_the_images_settles_it_by_itself(hospital: Hospital) -> None:
    two_studies(hospital)
    for number in (1, 2):
        hospital.pacs(S2, ZHANG, number)
    hospital.wait(DAY)
    assert hospital.states() == (State.DELIVERED, State.DELIVERED)
    assert hospital.sent()[-1] == ([S1, S2], 3)


def test_a_study_without_evidence_is_in_doubt_like_one_that_contradicts(hospital: Hospital) -> None:
    hospital.pacs(S1, ZHANG)
    hospital.pacs(S2, Patient(), accession="")
    hospital.ris(E1, S1, S2)
    hospital.wait(DAY)
    assert hospital.sent() == [([S1], 1)]
    assert hospital.states() == (State.DELIVERED, State.HELD)


@pytest.mark.parametrize("text", ["", "检查号：A1", "姓名：李四 检查号：A1"])
def test_a_report_whose_pdf_does_not_name_the_jsons_patient_stays(hospital: Hospital, text: str) -> None:
    two_studies(hospital, text=text)
    assert hospital.sent() == []
    assert hospital.states() == (State.HELD, State.HELD)


def test_a_report_whose_study_in_doubt_another_exam_lists_stays(hospital: Hospital) -> None:
    hospital.ris(E2, S2, text="", Patient__Name="李四", Patient__PatientId="P0002", Order__AccessionNumber="A2",
                 Order__Status="Registered", Report__ApproveTime="")  # fmt: skip
    two_studies(hospital)
    assert hospital.sent() == []
    assert hospital.states() == (State.HELD, State.HELD)


def test_another_patient_in_an_earlier_version_holds_both(hospital: Hospital) -> None:
    hospital.ris(E1, S1, S2, text="", Patient__Name="李四", Patient__PatientId="P0002", Report__ApproveTime="",
                 Order__Status="Registered", Report__SubmitTime="2026-03-02 11:00:00")  # fmt: skip
    two_studies(hospital)
    assert hospital.sent() == []
    assert hospital.states() == (State.HELD, State.HELD)


def test_a_report_that_would_name_no_study_stays_where_the_platform_wants_one(hospital: Hospital) -> None:
    hospital.pacs(S2, LI)
    hospital.ris(E1, S2)
    hospital.wait(DAY)
    assert hospital.states() == (State.HELD, State.HELD)


def test_a_report_that_would_name_no_study_goes_where_the_platform_takes_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    hospital = Hospital(tmp_path, IMAGES)
    destination = replace_destination(hospital)
    hospital.config = hospital.config.model_copy(update={"destination": (destination,)})
    hospital.restart()
    hospital.pacs(S2, LI)
    hospital.ris(E1, S2)
    hospital.wait(DAY)
    assert hospital.sent() == [([], 0)]
    assert hospital.states() == (State.DELIVERED, State.HELD)
    hospital.close()


def replace_destination(hospital: Hospital) -> object:
    return hospital.config.destination[0].model_copy(update={"accept_empty": ("Study.StudyInstanceUIDs",)})


def test_what_was_delivered_with_a_study_stays_when_that_comes_into_doubt(hospital: Hospital) -> None:
    hospital.pacs(S1, ZHANG)
    hospital.pacs(S2, ZHANG)
    hospital.ris(E1, S1, S2)
    hospital.wait(DAY)
    hospital.pacs(S2, LI, 2)
    hospital.wait(DAY)
    assert hospital.sent() == [([S1, S2], 2)]
    assert hospital.states() == (State.DELIVERED, State.HELD)  # no revision takes the study out, and none counts it
    assert hospital.alarmed("already delivered")
    hospital.resolve()
    hospital.wait(DAY)
    assert hospital.sent()[1:] == [([S1, S2], 3)]


def test_by_default_a_doubt_holds_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)
    hospital = Hospital(tmp_path)
    two_studies(hospital)
    assert hospital.sent() == []
    assert hospital.states() == (State.HELD, State.HELD)
    hospital.close()
