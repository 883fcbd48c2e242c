"""What the configuration and an exam's case give the filling, and how faults are told."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.studies import StudyHere
from router.config.file import parse
from router.correlator.document import fill_for, in_words, platform_faults, sources_of
from router.exam.faults import Fault
from support.sample_exam import exam_document, shipped_tables

CONFIG = next(
    parse(
        """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[[hospital.branch]]
code = "02"
senders = ["CT21"]
[receive]
senders = [
    { ae_title = "CT01", modality = true }, { ae_title = "CT21", modality = true }, { ae_title = "PACS" },
    { ae_title = "BOTH", modality = true }, { ae_title = "BOTH", address = "10.0.0.1" },
]
""",
        base=Path("/etc/router"),
    ).hospitals
)
STUDY = StudyHere(
    uid="1.2.826.0.1.3680043.2.1125.1", identities=(), accession_number="A0001", study_date="20240506",
    study_time="0900", description="CHEST", manufacturer="", model="", station_name="", serial_number="",
    sending_ae="CT01", modalities=("CT",), instances=3, doubt="", last_received=datetime(2026, 3, 1, tzinfo=UTC),
)  # fmt: skip
GAPS = exam_document({"Order.DeviceAETitle": "", "HospitalBranchCode": "", "Study.StudyDate": ""})


def case(study: StudyHere, branch: str = "01") -> ExamSnapshot:
    return ExamSnapshot(
        hospital="", exam=1, branch=branch, exam_id="E1", touched=0, doubt="", jsons=(), pdfs=(), places={}, links={},
        studies={study.uid: study}, siblings=(), approved=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("calling", "ae_title", "branch"),
    [("CT01", "CT01", "01"), ("CT21", "CT21", "02"), ("PACS", "", "01"), ("BOTH", "", "01"), ("", "", "01")],
)
def test_the_caller_tells_device_and_branch_where_it_can(calling: str, ae_title: str, branch: str) -> None:
    document = fill_for(CONFIG, shipped_tables(), case(replace(STUDY, sending_ae=calling)), GAPS, 3).document
    order, study = document["Order"], document["Study"]
    assert isinstance(order, dict)
    assert isinstance(study, dict)
    assert (order["DeviceAETitle"], document["HospitalBranchCode"]) == (ae_title, branch)
    assert study["StudyDate"] == "2024-05-06 09:00:00"


def test_a_branch_that_the_report_came_by_counts_before_the_caller() -> None:
    of_east = fill_for(CONFIG, shipped_tables(), case(replace(STUDY, sending_ae="CT21"), "03"), GAPS, 3).document
    assert of_east["HospitalBranchCode"] == "03"


def test_only_senders_that_are_nothing_but_modalities_name_devices() -> None:
    assert sources_of(CONFIG, shipped_tables(), "01").modality_aes == {"CT01", "CT21"}


def test_faults_of_both_sides_are_told_in_the_same_words() -> None:
    ours = in_words(
        Fault(path="Order.Procedures[0].BodyPartCode", name="部位编码", expected="missing", mend="the RIS export")
    )
    assert ours == "Order.Procedures[0].BodyPartCode (部位编码): missing; to mend in the RIS export"
    theirs = platform_faults([("Order.Procedures[0].BodyPartCode", "missing"), ("Visit", "gone"), ("", "no")])
    assert theirs == "Order.Procedures[0].BodyPartCode (部位编码): missing; Visit (就诊信息): gone; no"
    assert platform_faults([("Study.StudyInstanceUIDs[1]", "bad")]).startswith("Study.StudyInstanceUIDs[1] (检查影像")
    assert in_words(Fault(path="Extra", name="", expected="not listed")) == "Extra: not listed"
