"""Steps of a history with two exams of one patient, and what the destination has of them afterwards."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from router.model import Patient
from support.node_without_sockets import Node, slice_of
from support.sample_exam import exam_document

E1, E2 = "V20240001_CT001", "V20240001_CT002"
S1, S2, S3 = "1.2.1", "1.2.2", "1.2.3"
PATIENT = Patient("P0001", "张三", "19491231", "F")
HOUR, DAY = 3600, 86400
QUIET = 70

Step = Callable[[Node], None]
Sent = tuple[list[str], int]
"""Of a report: the studies that it lists, and its ImageCount."""


def ris(
    exam: str = E1, *studies: str, accession: str = "A1", minute: int = 0, status: str = "Reported",
    patient: str = PATIENT.name,
) -> Step:  # fmt: skip
    """The RIS drops JSON and PDF of an exam; of two the later by `minute` counts."""

    def step(node: Node) -> None:
        approved = f"2026-03-02 11:{minute:02}:00" if status == "Reported" else ""
        document = exam_document({
            "ExamId": exam, "Order.Status": status, "Order.AccessionNumber": accession,
            "Report.ApproveTime": approved, "Report.SubmitTime": f"2026-03-02 10:{minute:02}:00",
            "Study.StudyInstanceUIDs": list(studies), "Study.StudyDate": "2026-03-02 09:00:00",
            "Study.ImageCount": None, "Patient.Name": patient,
        })  # fmt: skip
        node.drop(f"{exam}.json", json.dumps(document, ensure_ascii=False).encode())
        node.drop(f"{exam}.pdf", f"{exam} {minute}".encode())
        node.settle()

    return step


def pacs(study: str, *numbers: int, accession: str = "A1", ae: str = "CT1", day: str = "20260302") -> Step:
    """The PACS sends slices of a study."""

    def step(node: Node) -> None:
        for number in numbers:
            head = slice_of(study, number, PATIENT, accession)
            node.receive(replace(head, sending_ae=ae, study_date=day))
        node.settle()

    return step


def wait(seconds: float = QUIET) -> Step:
    return lambda node: node.wait(seconds)


def reports_of(node: Node) -> dict[str, list[Sent]]:
    found: dict[str, list[Sent]] = {}
    for report in node.cloud.reports:
        found.setdefault(report.exam["ExamId"], []).append((sorted(report.listed), report.count))
    return found


def images_of(node: Node) -> dict[str, int]:
    studies = [Path(name).parts[0] for _, name in node.cloud.files]
    return {study: studies.count(study) for study in studies}
