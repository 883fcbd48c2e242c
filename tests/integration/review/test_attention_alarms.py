"""The alarms of what waits for a person, from what came to the list: raised once a cause, ended with it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue.queue.queue import Delivery
from router.config.file import parse
from router.model import Channel
from router.policy.attention import LEDGER_LOST, Cause
from router.policy.states import Needs, State
from router.reports.pdf.reader import Readers
from support.exam_workflow import CLOUD, ExamWorkflow
from support.intake_folder import CONFIG, E1, E2

S1, S2 = "1.2.1", "1.2.2"
APPROVED = "2026-03-02 18:00:00"  # as the clinic opens


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    made = ExamWorkflow(tmp_path, readers)
    yield made
    made.catalogue.engine.close_thread()


def ris(clinic: ExamWorkflow, exam_id: str, /, **changes: object) -> None:
    given = {"Report__SubmitTime": "2026-03-02 17:30:00", "Report__ApproveTime": APPROVED}
    clinic.ris(exam_id, **{"Study__StudyInstanceUIDs": [S1 if exam_id == E1 else S2], **given, **changes})


def stands(clinic: ExamWorkflow) -> set[tuple[str, str]]:
    return {(one.alarm, one.subject) for one in clinic.catalogue.alarms.standing()}


def moved(clinic: ExamWorkflow, delivery: Delivery, *way: State, **changes: object) -> None:
    for to in way:
        (now,) = clinic.catalogue.queue.these([delivery.id])
        assert clinic.catalogue.queue.move(now, to, clinic.clock.now(), "on the way", changes=changes)


@pytest.mark.ends("exam-json")
@pytest.mark.fires("exam-json")
def test_faults_of_approved_exams_are_one_alarm_a_destination_from_the_first_minute(clinic: ExamWorkflow) -> None:
    for exam_id in (E1, E2):
        ris(clinic, exam_id, Order__AccessionNumber=f"A{exam_id}", Report__ApproveDoctorName="")
    (found,) = (one for one in clinic.attention() if one.what == Cause.EXAM_JSON)
    assert (found.destination, found.count, found.command) == ("cloud", 2, "scripts/queue list --attention")
    assert ("exam-json", "exam-json at cloud") in stands(clinic)
    assert [alarm for alarm, _ in stands(clinic)].count("exam-json") == 1
    waiting = clinic.delivery(channel=Channel.REPORT)
    assert (Needs.JSON in waiting.waiting_for, waiting.due is not None) == (True, True)
    clinic.restart()
    clinic.later(minutes=1)
    for exam_id in (E1, E2):
        ris(clinic, exam_id, Order__AccessionNumber=f"A{exam_id}", Report__SubmitTime="2026-03-02 17:59:00")
    assert Cause.EXAM_JSON not in [one.what for one in clinic.attention()]
    assert "exam-json" not in [alarm for alarm, _ in stands(clinic)]


def test_a_draft_with_faults_waits_for_nobody(clinic: ExamWorkflow) -> None:
    ris(clinic, E1, Order__Status="Submitted", Report__ApproveTime="", Report__ApproveDoctorName="")
    assert not clinic.attention()
    assert not stands(clinic)


@pytest.mark.parametrize("status", ["已审核", "Approved", "3", "张三", ""])
@pytest.mark.ends("approval")
@pytest.mark.fires("approval")
def test_an_approval_in_another_word_waits_for_a_person_until_the_ris_says_it_otherwise(
    clinic: ExamWorkflow, status: str
) -> None:
    ris(clinic, E1, Order__Status=status)
    (found,) = clinic.attention()
    assert (found.what, found.count, found.command) == (Cause.APPROVAL, 1, "scripts/codes unknown")
    ((alarm, subject),) = stands(clinic)
    assert alarm == "approval"
    assert subject.startswith("approval at branch 01: Order.Status ")
    assert "张三" not in subject
    assert "3" not in subject
    clinic.restart()
    clinic.later(minutes=1)
    assert [one.what for one in clinic.attention()] == [Cause.APPROVAL]
    ris(clinic, E1, Report__SubmitTime="2026-03-02 17:59:00")
    assert Cause.APPROVAL not in [one.what for one in clinic.attention()]
    assert "approval" not in [alarm for alarm, _ in stands(clinic)]


def test_exams_of_one_source_and_word_are_one_alarm_and_another_branch_has_its_own(clinic: ExamWorkflow) -> None:
    for exam_id, branch in ((E1, "01"), (E2, "01"), ("E3", "02"), ("E4", "HIS-张三")):
        ris(
            clinic,
            exam_id,
            Order__Status="已审核",
            HospitalBranchCode=branch,
            Study__StudyInstanceUIDs=[f"1.2.{branch[:2]}"],
        )
    found = {one.about: one.count for one in clinic.attention()}
    assert found == {
        "branch 01: Order.Status 已审核": 2, "branch 02: Order.Status 已审核": 1,
        "another branch: Order.Status 已审核": 1,
    }  # fmt: skip
    assert len(stands(clinic)) == 3


def test_a_cancelled_exam_whose_approval_cannot_be_read_is_nobodys_question(clinic: ExamWorkflow) -> None:
    ris(clinic, E1, Order__Status="已审核")
    assert clinic.attention()
    for channel in Channel:
        moved(clinic, clinic.delivery(channel=channel), State.CANCELLED)
    clinic.catalogue.exams.request_evaluation([clinic.case().exam], clinic.clock.now())
    clinic.settle()
    assert not clinic.attention()
    assert not stands(clinic)


def test_a_version_after_the_approval_that_cannot_be_read_is_told_once(clinic: ExamWorkflow) -> None:
    ris(clinic, E1)
    clinic.later(minutes=1)
    ris(clinic, E1, Order__Status="已审核", Report__SubmitTime="2026-03-02 17:59:00",
        Report__ApproveTime="2026-03-02 18:00:30")  # fmt: skip
    assert clinic.delivery(channel=Channel.REPORT).state == State.HELD
    assert [(one.what, one.exams) for one in clinic.attention()] == [(Cause.APPROVAL, (clinic.case().exam,))]


@pytest.mark.ends("failed")
@pytest.mark.fires("failed")
def test_what_failed_is_an_alarm_until_it_goes(clinic: ExamWorkflow) -> None:
    clinic.pacs(S1)
    ris(clinic, E1)
    clinic.later(minutes=2)
    images = clinic.delivery()
    assert images.state == State.READY
    moved(clinic, images, State.SENDING)
    said = "1 of 1 refused; 1 instance(s): the destination does not accept transfer syntax RLE Lossless (1.2.3)"
    moved(clinic, images, State.FAILED, error=said)
    found = {one.what: one for one in clinic.attention()}
    assert found[Cause.REFUSED].about == said
    assert [one.text for one in clinic.catalogue.alarms.standing() if one.alarm == Alarm.FAILED] == [
        f"failed: the destination refuses some of the images ({said})"
    ]
    assert found[Cause.REFUSED].deliveries == (images.id,)
    assert ("failed", "refused at cloud") in stands(clinic)
    moved(clinic, images, State.READY, error="")
    assert Cause.REFUSED not in [one.what for one in clinic.attention()]
    assert "failed" not in [alarm for alarm, _ in stands(clinic)]


@pytest.mark.ends("held")
@pytest.mark.fires("held")
def test_late_images_are_an_alarm_while_they_are_held(clinic: ExamWorkflow) -> None:
    clinic.pacs(S1)
    ris(clinic, E1)
    clinic.later(minutes=2)
    moved(clinic, clinic.delivery(), State.HELD, held_by="late images", error="late images: 1 new image(s)")
    assert Cause.LATE in [one.what for one in clinic.attention()]
    assert ("held", "late-images at cloud") in stands(clinic)
    moved(clinic, clinic.delivery(), State.WAITING, held_by="", error="")
    assert Cause.LATE not in [one.what for one in clinic.attention()]
    assert "held" not in [alarm for alarm, _ in stands(clinic)]


@pytest.mark.ends("ledger")
def test_a_lost_ledger_is_an_alarm_while_something_is_held_for_it(clinic: ExamWorkflow) -> None:
    clinic.pacs(S1)
    ris(clinic, E1)
    clinic.later(minutes=2)
    moved(clinic, clinic.delivery(), State.HELD, held_by="person", error=f"{LEDGER_LOST}: compare with the platform")
    assert Cause.LEDGER in [one.what for one in clinic.attention()]
    assert ("ledger", "ledger") in stands(clinic)
    moved(clinic, clinic.delivery(), State.WAITING, held_by="", error="")
    assert Cause.LEDGER not in [one.what for one in clinic.attention()]
    assert "ledger" not in [alarm for alarm, _ in stands(clinic)]


def test_a_report_pdf_that_does_not_come_and_images_that_do_not_are_listed_from_half_of_the_time_on(
    clinic: ExamWorkflow,
) -> None:
    ris(clinic, E1)
    assert not clinic.attention()
    clinic.later(minutes=31)
    found = {one.what: one for one in clinic.attention()}
    assert found.keys() >= {Cause.PDF_MISSING}
    assert found[Cause.PDF_MISSING].command == f"scripts/queue explain e{clinic.case().exam}"
    clinic.later(hours=3)
    assert {Cause.PDF_MISSING, Cause.IMAGES_MISSING} <= {one.what for one in clinic.attention()}
    alarms = {alarm for alarm, _ in stands(clinic)}
    assert {"missed", "images-missing"} <= alarms


@pytest.mark.ends("quarantine")
@pytest.mark.fires("quarantine")
def test_quarantine_is_an_alarm_until_it_is_empty(clinic: ExamWorkflow) -> None:
    kept = clinic.config.node.data / "quarantine" / "20260301T000000-unreadable"
    kept.mkdir(parents=True)
    assert [(one.what, one.count, one.command) for one in clinic.attention()] == [
        (Cause.QUARANTINE, 1, "scripts/quarantine list")
    ]
    assert stands(clinic) == {("quarantine", "quarantine at node")}
    kept.rmdir()
    assert not clinic.attention()
    assert not stands(clinic)


@pytest.mark.ends("not-configured")
@pytest.mark.fires("not-configured")
def test_what_goes_where_nothing_is_configured_is_an_alarm_until_it_is_again(clinic: ExamWorkflow) -> None:
    clinic.pacs(S1)
    ris(clinic, E1)
    clinic.later(minutes=2)
    known, elsewhere = clinic.config, (CONFIG + CLOUD).replace('name = "cloud"', 'name = "other"')
    clinic.config = parse(elsewhere, base=known.node.data.parent)
    clinic.lookout.reconfigure(clinic.config)
    found = {one.what: one for one in clinic.attention()}
    assert found[Cause.NOT_CONFIGURED].command == "scripts/queue list --destination cloud"
    assert ("not-configured", "not-configured at cloud") in stands(clinic)
    clinic.config = known
    clinic.lookout.reconfigure(known)
    assert Cause.NOT_CONFIGURED not in [one.what for one in clinic.attention()]
    assert "not-configured" not in [alarm for alarm, _ in stands(clinic)]


def test_nothing_is_listed_while_all_goes_well(clinic: ExamWorkflow) -> None:
    clinic.pacs(S1)
    ris(clinic, E1)
    for _ in range(20):
        clinic.later(minutes=1)
        assert not clinic.attention()
    assert not stands(clinic)
