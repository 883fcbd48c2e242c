"""What `queue compare` says of studies that may be another hospital's."""

import json
from datetime import UTC, datetime
from pathlib import Path

from router.catalogue.exams.exams import ExamSnapshot
from router.catalogue.images.studies import StudyHere
from router.config.file import parse
from router.matching.exam.versions import JsonVersion
from router.matching.patient.identity import StudyIdentity
from router.model import Patient
from router.review.comparison import IdentityComparison
from support.sample_exam import exam_document

AT = datetime(2026, 3, 2, 2, tzinfo=UTC)
NAMELESS = Patient("P0001", "", "", "F")
ONE = """
[[hospital]]
name = "{0}"
USCI = "U-{0}"
HospitalCode = "H"
HospitalName = "{0}"
HospitalBranchCode = "01"
"""


def remarks(tmp_path: Path, *patients: Patient, hospitals: str = "", of: str = "ab") -> str:
    """Of an exam of hospital a, whose study came from these, in a node of hospitals `of`."""
    study = StudyHere(
        uid="1.2", identities=tuple(StudyIdentity(one, "A0001") for one in patients), accession_number="A0001",
        study_date="20260302", study_time="", description="", manufacturer="", model="", station_name="",
        serial_number="", sending_ae="", modalities=("CT",), instances=1, doubt="", last_received=AT,
        hospitals=frozenset(hospitals),
    )  # fmt: skip
    version = JsonVersion(
        document=1, arrived=AT, file_time=AT, submit_time=None, approve_time=None, approved=True, content="c",
        reported="r",
    )  # fmt: skip
    case = ExamSnapshot(
        hospital="a", exam=1, branch="01", exam_id="E1", touched=0, doubt="", jsons=(version,), pdfs=(),
        places={1: "exam.json"}, links={"1.2": "listed in StudyInstanceUIDs"}, studies={"1.2": study}, siblings=(),
        approved=True,
    )  # fmt: skip
    document = exam_document({"Patient.PatientId": "P0001", "Order.AccessionNumber": "A0001", "Patient.Name": "张三"})
    config = parse("".join(ONE.format(name) for name in of), base=tmp_path)
    found = IdentityComparison(config, lambda _: json.dumps(document).encode())
    return "\n".join(found.remarks(case))


def test_compare_says_that_numbers_prove_nothing_where_the_study_may_be_another_hospitals(tmp_path: Path) -> None:
    said = "is of no certain hospital"
    assert said in remarks(tmp_path, NAMELESS)
    assert said in remarks(tmp_path, NAMELESS, hospitals="ab")
    assert said not in remarks(tmp_path, NAMELESS, hospitals="a")
    assert said not in remarks(tmp_path, NAMELESS, of="a")


def test_compare_says_that_images_of_a_study_name_different_patients(tmp_path: Path) -> None:
    two = Patient("P0001", "张三", "19600501", "F"), Patient("P0001", "李四", "19600501", "F")
    said = "images of study 1.2 name different patients, by name"
    assert remarks(tmp_path, *two, hospitals="ab").count(said) == 1
    assert said not in remarks(tmp_path, *two, of="a")
