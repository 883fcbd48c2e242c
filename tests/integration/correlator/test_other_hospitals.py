"""Nothing of an exam of another hospital goes, whatever a person says, until its data are corrected."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.errors import InvalidData
from router.model import Channel
from router.policy.states import State
from router.reports.pdf.reader import Readers
from router.review.deliveries import Review
from support.exam_workflow import WANG, ExamWorkflow
from support.intake_folder import E1, START

STUDY = "1.2.3"
APPROVED = f"{START + timedelta(hours=7, minutes=59):%Y-%m-%d %H:%M:%S}"  # a minute ago, in Beijing
EXAM: dict[str, object] = {"Study__StudyInstanceUIDs": [STUDY], "Report__ApproveTime": APPROVED}


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    made = ExamWorkflow(tmp_path, readers)
    yield made
    made.catalogue.engine.close_thread()


@pytest.mark.parametrize("changes", [{"USCI": "91350100M000100Y43"}, {"HospitalCode": "H0002"}])
def test_an_exam_of_another_hospital_is_held_with_its_reason_until_it_is_corrected(
    clinic: ExamWorkflow, changes: dict[str, object]
) -> None:
    clinic.pacs(STUDY)
    clinic.ris(E1, **EXAM, **changes)
    for channel in Channel:
        held = clinic.delivery(channel=channel)
        assert (held.state, held.held_by) == (State.HELD, "hospital")
        assert next(iter(changes)) in held.error
        assert clinic.correlator.objection(held) == held.error
    assert [one.alarm for one in clinic.catalogue.alarms.standing()] == [Alarm.DOUBT]

    with pytest.raises(InvalidData, match="no identity doubt"):
        clinic.decisions.resolve(E1, WANG)
    Review(clinic.catalogue, clinic.clock).confirm(clinic.delivery(), "wrong", "wang")
    clinic.later(seconds=1)
    assert clinic.delivery().state == State.HELD

    clinic.later(minutes=2)
    clinic.ris(E1, **EXAM)
    clinic.later(minutes=2)
    assert clinic.delivery().state == State.READY
    assert not clinic.catalogue.alarms.standing()


def test_an_exam_that_a_branch_exports_is_ours(clinic: ExamWorkflow) -> None:
    clinic.pacs(STUDY)
    clinic.ris(E1, HospitalBranchCode="02", HospitalCode="02", **EXAM)
    clinic.later(minutes=2)
    assert clinic.delivery().state == State.READY
