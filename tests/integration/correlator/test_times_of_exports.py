"""Times as exports have them, from the drop folder to the delivery: no time waits, what does not read is told."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.model import Channel
from router.policy.states import Needs, State
from router.reports.pdf.reader import Readers
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1, E2, another

CASES = Path(__file__).parents[2] / "cases" / "field" / "reports"


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    made = ExamWorkflow(tmp_path, readers)
    yield made
    made.catalogue.engine.close_thread()


def alarms(clinic: ExamWorkflow) -> list[str]:
    clinic.attention()
    return [one.text for one in clinic.catalogue.alarms.standing() if one.alarm == Alarm.APPROVAL]


def drop(clinic: ExamWorkflow, case: str) -> str:
    data = (CASES / f"{case}.json").read_bytes()
    clinic.drop(f"{case}.json", data)
    clinic.settle()
    exam_id: str = json.loads(data)["ExamId"]
    return exam_id


def test_a_draft_with_the_first_day_of_a_program_waits_and_then_goes_and_holds_nobody_up(clinic: ExamWorkflow) -> None:
    exam_id = drop(clinic, "02-draft")
    clinic.ris(E2, Report__ApproveTime="2026-03-02 17:00:00")
    assert clinic.delivery(E2, Channel.REPORT).due is not None
    draft = clinic.delivery(exam_id, Channel.REPORT)
    assert (draft.state, Needs.APPROVAL in draft.waiting_for, draft.due) == (State.WAITING, True, None)
    assert not alarms(clinic)
    clinic.later(days=280)
    assert drop(clinic, "02-approved") == exam_id
    approved = clinic.delivery(exam_id, Channel.REPORT)
    assert Needs.APPROVAL not in approved.waiting_for
    assert approved.due is not None


@pytest.mark.parametrize("case", ["11-cn", "11-dotnet", "11-us"])
def test_an_approval_in_a_form_that_is_certain_has_a_due_time(clinic: ExamWorkflow, case: str) -> None:
    clinic.later(days=300)
    delivery = clinic.delivery(drop(clinic, case), Channel.REPORT)
    assert delivery.due is not None
    assert not alarms(clinic)


def test_the_case_of_a_day_alone_is_a_fault_of_the_exam_json_that_names_the_form_with_an_alarm(
    clinic: ExamWorkflow,
) -> None:
    clinic.later(days=300)
    delivery = clinic.delivery(drop(clinic, "11-day"), Channel.REPORT)
    assert Needs.JSON in delivery.waiting_for
    assert "Report.ApproveTime (审核时间): expected yyyy-MM-dd HH:mm:ss" in delivery.error
    assert len(alarms(clinic)) == 1


@pytest.mark.fires("approval")
@pytest.mark.parametrize("written", ["2026-03-02", "05/06/2026 10:00:00 AM", "9999-12-31 23:59:59"])
def test_an_approval_whose_time_does_not_read_is_an_alarm_until_it_does(clinic: ExamWorkflow, written: str) -> None:
    clinic.ris(Report__ApproveTime=written)
    waiting = clinic.delivery(channel=Channel.REPORT)
    assert Needs.JSON in waiting.waiting_for
    assert "Report.ApproveTime (审核时间): expected yyyy-MM-dd HH:mm:ss" in waiting.error
    assert written not in waiting.error
    assert len(alarms(clinic)) == 1
    assert written not in alarms(clinic)[0]
    clinic.later(minutes=1)
    clinic.ris(Report__ApproveTime="2026-03-02 17:00:00")
    assert not alarms(clinic)
    assert clinic.delivery(channel=Channel.REPORT).due is not None


@pytest.mark.parametrize(
    ("status", "written"), [("Submitted", "2026-03-02"), ("Reported", ""), ("Reported", "1900-01-01")]
)
def test_a_draft_or_an_approval_still_to_come_is_no_alarm(clinic: ExamWorkflow, status: str, written: str) -> None:
    clinic.ris(Order__Status=status, Report__ApproveTime=written)
    waiting = clinic.delivery(channel=Channel.REPORT)
    assert Needs.APPROVAL in waiting.waiting_for
    assert "ApproveTime" not in waiting.error
    assert not alarms(clinic)


@pytest.mark.parametrize("path", ["Report__ApproveTime", "Report__SubmitTime", "Study__StudyDate", "Order__ApplyTime"])
@pytest.mark.parametrize("written", [
    "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01 00:00:00", "9999-12-31 23:59:59",
    10**18, -1e300,
])  # fmt: skip
def test_no_value_of_a_time_stops_the_folder(clinic: ExamWorkflow, path: str, written: object) -> None:
    clinic.ris(E1, **{path: written})
    clinic.drop("other.json", another(Study__StudyInstanceUIDs=["1.2.9"]))
    clinic.settle()
    assert clinic.delivery(E1, Channel.REPORT).state == State.WAITING
    assert clinic.delivery(E2, Channel.REPORT).due is not None
    assert not [one for one in clinic.catalogue.alarms.standing() if one.alarm == Alarm.DEFECT]


@pytest.mark.parametrize("seconds", [-(2**40), 2**40, 253402300800])
def test_a_file_whose_own_time_is_on_no_calendar_is_taken(clinic: ExamWorkflow, seconds: int) -> None:
    path = clinic.put("e.json", another())
    try:
        os.utime(path, (seconds, seconds))
    except OSError:
        pytest.skip("this file system keeps no such time")
    clinic.take()
    assert clinic.case(E2).jsons
