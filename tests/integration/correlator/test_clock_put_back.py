"""A clock that is put back after an exam came: what had come by then has come."""

from datetime import timedelta
from pathlib import Path

from router.model import Channel
from router.policy.states import Needs
from router.reports.pdf.reader import Readers
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1, START

APPROVED = f"{START + timedelta(hours=7, minutes=59):%Y-%m-%d %H:%M:%S}"  # a minute ago, in Beijing


def test_an_approval_that_had_come_stays_so_when_the_clock_is_put_back(tmp_path: Path, readers: Readers) -> None:
    clinic = ExamWorkflow(tmp_path, readers)
    clinic.ris(Study__StudyInstanceUIDs=["1.2.3"], Report__ApproveTime=APPROVED)
    before = clinic.delivery(E1, Channel.REPORT)
    clinic.later(hours=-3)
    clinic.catalogue.exams.request_evaluation([before.exam], clinic.clock.now())
    clinic.settle()
    after = clinic.delivery(E1, Channel.REPORT)
    assert "ApproveTime" not in after.error
    assert Needs.APPROVAL not in after.waiting_for
    assert (after.state, after.waiting_for) == (before.state, before.waiting_for)
    clinic.catalogue.engine.close_thread()
