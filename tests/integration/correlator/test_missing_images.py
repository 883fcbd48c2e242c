"""Images that do not come: an alarm when it is time, gone when they are there."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.reports.pdf.reader import Readers
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1, START

STUDY = "1.2.3"
APPROVED = f"{START + timedelta(hours=7, minutes=59):%Y-%m-%d %H:%M:%S}"  # a minute ago, in Beijing
EXAM: dict[str, object] = {"Study__StudyInstanceUIDs": [STUDY], "Report__ApproveTime": APPROVED}


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    made = ExamWorkflow(tmp_path, readers)
    yield made
    made.catalogue.engine.close_thread()


def alarms(clinic: ExamWorkflow) -> list[str]:
    return [one.text for one in clinic.catalogue.alarms.standing() if one.alarm == Alarm.IMAGES_MISSING]


@pytest.mark.ends("images-missing")
@pytest.mark.fires("images-missing")
def test_an_approved_exam_without_images_is_an_alarm_when_it_is_time_until_they_come(clinic: ExamWorkflow) -> None:
    clinic.ris(Study__ImageCount=1, **EXAM)
    clinic.later(hours=2, minutes=58)
    assert not alarms(clinic)
    clinic.later(minutes=2)
    assert alarms(clinic) == ["no image of this approved exam has come"]
    clinic.pacs(STUDY)
    assert not alarms(clinic)


def test_fewer_images_than_the_ris_has_counted_are_an_alarm_until_the_rest_comes(clinic: ExamWorkflow) -> None:
    clinic.ris(Study__ImageCount=2, **EXAM)
    clinic.pacs(STUDY)
    clinic.later(hours=2, minutes=50)
    assert not alarms(clinic)
    clinic.later(hours=1)
    assert alarms(clinic)[0].startswith("1 images have come")
    clinic.pacs(STUDY, number=2)
    assert not alarms(clinic)


def test_a_study_of_which_nothing_has_come_is_an_alarm_though_the_others_are_here(clinic: ExamWorkflow) -> None:
    clinic.ris(Study__ImageCount=1, **(EXAM | {"Study__StudyInstanceUIDs": [STUDY, "1.2.4"]}))
    clinic.pacs(STUDY)
    clinic.later(hours=4)
    assert alarms(clinic) == ["of 1 of the exam's studies no image has come"]


@pytest.mark.parametrize("changes", [{"Order__Status": "Registered"}, {"Study__ImageCount": 1}])
def test_nothing_is_missing_of_an_exam_that_is_not_approved_or_has_what_was_counted(
    clinic: ExamWorkflow, changes: dict[str, object]
) -> None:
    clinic.ris(E1, **({"Study__ImageCount": 5} | EXAM | changes))
    clinic.pacs(STUDY)
    clinic.later(hours=4)
    assert not alarms(clinic)


def test_an_approval_that_comes_late_counts_from_its_arrival_and_a_correction_changes_nothing(
    clinic: ExamWorkflow,
) -> None:
    clinic.later(hours=10)
    clinic.ris(Study__ImageCount=1, **EXAM)
    clinic.later(hours=2)
    clinic.ris(Study__ImageCount=1, **(EXAM | {"Report__Findings": "corrected"}))
    clinic.later(minutes=59)
    assert not alarms(clinic)
    clinic.later(minutes=2)
    assert alarms(clinic) == ["no image of this approved exam has come"]
