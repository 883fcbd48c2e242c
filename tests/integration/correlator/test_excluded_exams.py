"""Exams that a rule of [[share.exclude]] keeps by what their JSON says, mapped or not, from the drop folder on."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.model import Channel
from router.policy.states import State
from router.reports.pdf.reader import Readers
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1, START, exam

STUDY = "1.2.3"
APPROVED = f"{START + timedelta(hours=7, minutes=59):%Y-%m-%d %H:%M:%S}"  # a minute ago, in Beijing
RULES = """
[[share.exclude]]
name = "refused"
"拒绝共享" = "^(是|1|true)$"
[[share.exclude]]
name = "health checks"
"Visit.PatientType" = "^(体检|急诊)$"
[[share.exclude]]
name = "staff on CT1"
"Patient.Note" = "本院职工"
StationName = "^CT1$"
"""


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    made = ExamWorkflow(tmp_path, readers, RULES)
    yield made
    made.catalogue.engine.close_thread()


def ris(clinic: ExamWorkflow, **more: object) -> None:
    document = json.loads(exam(E1, Study__StudyInstanceUIDs=[STUDY], Report__ApproveTime=APPROVED))
    for path, value in more.items():
        section, _, key = path.rpartition("__")
        (document[section] if section else document)[key] = value
    clinic.drop(f"{clinic.clock.now():%H%M%S}.json", json.dumps(document, ensure_ascii=False).encode())
    clinic.settle()


@pytest.mark.parametrize(("more", "rule"), [
    ({"拒绝共享": "是"}, "refused"), ({"拒绝共享": 1}, "refused"), ({"拒绝共享": True}, "refused"),
    ({"扩展": {"拒绝共享": "是"}}, "refused"), ({"Visit__PatientType": "体检"}, "health checks"),
    ({"Visit__PatientType": "2"}, "health checks"),
])  # fmt: skip
def test_an_exam_whose_json_says_so_is_excluded_before_and_after_its_images_come(
    clinic: ExamWorkflow, more: dict[str, object], rule: str
) -> None:
    ris(clinic, **more)
    assert clinic.delivery(channel=Channel.REPORT).state == State.EXCLUDED
    clinic.pacs(STUDY)
    clinic.later(minutes=2)
    assert clinic.delivery().state == State.EXCLUDED
    assert rule in clinic.correlator.objection(clinic.delivery())
    clinic.later(minutes=1)
    ris(clinic, Order__Note="changed")
    clinic.later(minutes=2)
    assert clinic.delivery().state == State.READY, "the RIS took it back"


def test_an_exam_that_says_otherwise_is_shared(clinic: ExamWorkflow) -> None:
    ris(clinic, 拒绝共享="否", Patient__Note="本院职工")
    clinic.pacs(STUDY)
    clinic.later(minutes=2)
    assert clinic.delivery().state == State.READY


def test_a_rule_that_names_header_and_json_wants_both(clinic: ExamWorkflow) -> None:
    ris(clinic, Patient__Note="本院职工")
    assert clinic.delivery().state == State.WAITING
    clinic.pacs(STUDY)
    clinic.later(minutes=2)
    assert clinic.delivery().state == State.READY


@pytest.mark.parametrize("later", [False, True], ids=["at once", "by a later version"])
def test_what_the_json_says_excludes_an_exam_though_the_identity_of_its_study_is_in_doubt(
    clinic: ExamWorkflow, *, later: bool
) -> None:
    clinic.pacs(STUDY)
    ris(clinic, **({"Patient__Name": "李四"} | ({} if later else {"拒绝共享": "是"})))
    clinic.later(minutes=2)
    if later:
        assert {clinic.delivery(channel=channel).state for channel in Channel} == {State.HELD}
        ris(clinic, Patient__Name="李四", 拒绝共享="是")
        clinic.later(minutes=2)
    assert {clinic.delivery(channel=channel).state for channel in Channel} == {State.EXCLUDED}
    assert [alarm for alarm in clinic.catalogue.alarms.standing() if alarm.alarm is Alarm.DOUBT] == []
    clinic.later(minutes=1)
    ris(clinic, Patient__Name="李四", Order__Note="changed")
    clinic.later(minutes=2)
    assert {clinic.delivery(channel=channel).state for channel in Channel} == {State.HELD}, "the RIS took it back"


def test_the_header_of_a_study_in_doubt_excludes_no_exam(clinic: ExamWorkflow) -> None:
    clinic.pacs(STUDY)
    ris(clinic, Patient__Name="李四", Patient__Note="本院职工")
    clinic.later(minutes=2)
    assert {clinic.delivery(channel=channel).state for channel in Channel} == {State.HELD}
