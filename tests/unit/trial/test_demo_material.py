"""The demo's studies and reports: real enough, complete, and the same each time."""

import datetime
import io
import struct
from dataclasses import replace
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)
from pypdf import PdfReader

from router.config.sections import Hospital
from router.dicom.dataset.dataset import read_elements
from router.dicom.dataset.header import read_head
from router.text.decoding import UNREADABLE
from router.trial.demo.orders import has_evidence, ordered
from router.trial.demo.report import exam_json, report_pdf, spoken_name
from router.trial.demo.studies import DemoStudy, derived_uid, make_ct_study, read_studies, shipped_studies

HOSPITAL = Hospital(USCI="121100004000000001", HospitalCode="H0001", HospitalName="示范医院", HospitalBranchCode="01")
SUBMITTED = datetime.datetime(2026, 3, 2, 10, 15, tzinfo=datetime.UTC)
_OUTPATIENT_PATHS = """
ExamId USCI HospitalCode HospitalName HospitalBranchCode
Order.AccessionNumber Order.ApplyDepartmentName Order.ApplyDepartmentNameStd Order.ApplyDepartmentCodeStd
Order.ApplyDoctorName Order.CheckInTime Order.DeviceAETitle Order.ExecDepartmentCode Order.ExecDepartmentName
Order.ExecDepartmentCodeStd Order.ExecDepartmentNameStd Order.HisOrderCode Order.ModalityCode Order.RegisterTime
Order.Status Order.Procedures
Visit.ClinicalNumber Visit.PatientType Visit.VisitSerialNumber
Patient.AgeDisplay Patient.DateOfBirth Patient.Gender Patient.IdNo Patient.IdNoType Patient.Name Patient.PatientId
Patient.Telephone
Report.SubmitDoctorName Report.SubmitDoctorCode Report.SubmitTime Report.Findings Report.Impression
Report.PositiveStatus
Study.ImageCount Study.StudyDate Study.StudyInstanceUIDs
"""
REQUIRED_OF_AN_OUTPATIENT = _OUTPATIENT_PATHS.split()
REQUIRED_ONCE_APPROVED = [
    f"Report.{name}" for name in ("ApproveDoctorCode", "ApproveDoctorName", "ApproveDoctorCertificateNo", "ApproveTime")
]


def ct(folder: Path, slices: int = 3) -> list[Path]:
    return make_ct_study(
        folder, slices, study_uid=derived_uid("a study"), patient_id="P0001", name="Zhang^San=张^三", accession="A0001"
    )


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> DemoStudy:
    (found,) = read_studies(ct(tmp_path_factory.mktemp("ct")))
    return found


def value_at(document: dict[str, object], path: str) -> object:
    value: object = document
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def test_the_shipped_files_make_studies_of_many_classes_and_syntaxes() -> None:
    studies = shipped_studies()
    files = [file for study in studies for file in study.files]
    assert len(studies) >= 30
    assert len({file.sop_class for file in files}) >= 10
    assert len({file.transfer_syntax for file in files}) >= 8
    assert all(file.study == study.uid for study in studies for file in study.files)


def test_no_sop_instance_is_there_twice_and_none_lacks_a_uid() -> None:
    files = [file for study in shipped_studies() for file in study.files]
    assert len({file.sop_instance for file in files}) == len(files)
    assert all((file.study, file.series, file.sop_class, file.sop_instance, file.transfer_syntax) for file in files)


def test_files_that_are_no_dicom_or_have_no_study_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no DICOM at all")
    (tmp_path / "empty.dcm").touch()
    dicomdir = next(Path(pydicom.__file__).parent.rglob("DICOMDIR"))
    assert read_studies([*tmp_path.iterdir(), dicomdir]) == []


def test_a_file_that_breaks_off_is_left_out_of_a_folder(tmp_path: Path) -> None:
    path = ct(tmp_path, 1)[2]
    path.write_bytes(path.read_bytes()[:-1000])
    assert len(read_studies([path])) == 1
    files = [file.path for study in shipped_studies(tmp_path) for file in study.files]
    assert path not in files
    assert len([each for each in files if each.parent == tmp_path]) == 3


def test_only_the_folder_that_is_named_gives_more_studies(tmp_path: Path) -> None:
    ct(tmp_path, 1)
    shipped, more = shipped_studies(), shipped_studies(tmp_path)
    assert more[: len(shipped)] == shipped
    assert [study.uid for study in more[len(shipped) :]] == [derived_uid("a study")]
    assert all("site-packages" in str(file.path) for study in shipped for file in study.files)


def test_a_folder_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    assert shipped_studies(tmp_path / "absent") == shipped_studies()


def test_the_generated_study_has_scouts_thin_slices_and_a_dose_report(tmp_path: Path) -> None:
    headers = [pydicom.dcmread(path) for path in ct(tmp_path)]
    assert [header.SeriesDescription for header in headers] == [*["Scout"] * 2, *["Chest 1 mm"] * 3, "Dose Report"]
    assert headers[0].ImageType == ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    assert headers[2].SliceThickness == 1
    assert headers[-1].SOPClassUID == "1.2.840.10008.5.1.4.1.1.88.67"
    assert len({header.SOPInstanceUID for header in headers}) == 6
    assert len({header.SeriesInstanceUID for header in headers}) == 3


def test_a_generated_slice_holds_half_a_megabyte_of_plausible_pixels(tmp_path: Path) -> None:
    first, second = (pydicom.dcmread(path) for path in ct(tmp_path)[2:4])
    pixels = memoryview(first.PixelData).cast("h")
    assert len(pixels) == 512 * 512
    assert pixels[0] < -900
    assert 0 < pixels[512 * 100 + 256] < 200
    assert first.PixelData != second.PixelData


def test_the_generated_study_is_the_same_each_time(tmp_path: Path) -> None:
    first, second = ct(tmp_path / "1", 1), ct(tmp_path / "2", 1)
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_generated_patient_is_written_in_gb18030(tmp_path: Path, study: DemoStudy) -> None:
    assert "张^三".encode("gb18030") in ct(tmp_path, 1)[0].read_bytes()
    assert (study.patient.name, study.patient.patient_id, study.patient.sex) == ("Zhang^San=张^三", "P0001", "M")
    assert (study.accession_number, study.modality, study.date) == ("A0001", "CT", "20260302")


def test_an_approved_exam_has_every_field_that_an_outpatient_needs(study: DemoStudy) -> None:
    exam = exam_json(study, HOSPITAL, exam_id="V1_CT001", submitted=SUBMITTED, approved=SUBMITTED)
    missing = [p for p in REQUIRED_OF_AN_OUTPATIENT + REQUIRED_ONCE_APPROVED if value_at(exam, p) in (None, "", [])]
    assert missing == []
    assert all(all(procedure.values()) and len(procedure) == 8 for procedure in exam["Order"]["Procedures"])
    assert (exam["Order"]["Status"], exam["Report"]["ApproveTime"]) == ("Reported", "2026-03-02 10:15:00")
    assert exam["Study"]["StudyInstanceUIDs"] == [study.uid]


def test_the_shipped_studies_give_complete_exams_too() -> None:
    for study in shipped_studies():
        exam = exam_json(study, HOSPITAL, exam_id="V1_X", submitted=SUBMITTED, approved=SUBMITTED)
        assert not [path for path in REQUIRED_OF_AN_OUTPATIENT if value_at(exam, path) in (None, "", [])], study.uid


def test_a_draft_is_not_reported_and_names_no_approval(study: DemoStudy) -> None:
    draft = exam_json(study, HOSPITAL, exam_id="V1_CT001", submitted=SUBMITTED, approved=None)
    assert draft["Order"]["Status"] != "Reported"
    assert not [path for path in REQUIRED_ONCE_APPROVED if value_at(draft, path)]


def test_the_identity_number_agrees_with_birth_date_sex_and_its_check_digit(study: DemoStudy) -> None:
    number = exam_json(study, HOSPITAL, exam_id="V1", submitted=SUBMITTED, approved=None)["Patient"]["IdNo"]
    assert number[6:14] == "19600501"
    assert int(number[16]) % 2 == 1
    digits = [10 if digit == "X" else int(digit) for digit in number]
    assert sum(digit * pow(2, 17 - place, 11) for place, digit in enumerate(digits)) % 11 == 1


def test_a_chinese_name_is_written_without_separator(study: DemoStudy) -> None:
    assert spoken_name(study) == "张三"


def test_the_report_names_patient_exam_and_accession_number(tmp_path: Path) -> None:
    pdf = tmp_path / "report.pdf"
    report_pdf(pdf, hospital="示范医院", patient_name="张三", exam_id="V1_CT001", accession_number="A0001")
    text = PdfReader(io.BytesIO(pdf.read_bytes())).pages[0].extract_text()
    for part in ("张三", "V1_CT001", "A0001", "磨玻璃结节"):
        assert part in text


def renamed(folder: Path, name: bytes) -> DemoStudy:
    """A study whose header declares Latin-1, whatever the bytes of its name are."""
    path = ct(folder, 1)[0]
    charset, patient = b"\x08\0\x05\0CS\x08\0GB18030 ", b"\x10\0\x10\0PN"
    data = path.read_bytes().replace(charset, b"\x08\0\x05\0CS\x0a\0ISO_IR 100")
    at = data.index(patient)
    (length,) = struct.unpack_from("<H", data, at + 6)
    value = name + b" " * (len(name) % 2)
    path.write_bytes(data[:at] + patient + struct.pack("<H", len(value)) + value + data[at + 8 + length :])
    (found,) = read_studies([path])
    return found


@pytest.mark.parametrize(("name", "spoken"), [
    ("张^三".encode("gb18030"), "张三"), ("Zhang^San=张^三".encode(), "张三"), (b"Buc^J\xe9r\xf4me", "Buc Jérôme"),
])  # fmt: skip
def test_the_ris_reads_a_name_by_its_bytes_as_the_node_does(tmp_path: Path, name: bytes, spoken: str) -> None:
    study = renamed(tmp_path, name)
    assert study.patient == read_head(study.files[0].path).patient
    assert spoken_name(study) == spoken


def test_a_name_without_certain_reading_is_none_to_the_ris(study: DemoStudy) -> None:
    unread = replace(study, patient=replace(study.patient, name=f"{UNREADABLE}^{UNREADABLE}"))
    assert spoken_name(unread) == "测试患者"
    half = replace(study, patient=replace(study.patient, name=f"Zhang^San={UNREADABLE}"))
    assert spoken_name(half) == "Zhang San"


def test_every_shipped_study_agrees_with_its_exam_by_the_default_of_evidence(tmp_path: Path) -> None:
    before = shipped_studies()
    after = [ordered(study, tmp_path) for study in before]
    poor = [study for study in before if not has_evidence(study)]
    assert poor, "some shipped headers name nobody: otherwise this shows nothing"
    assert all(has_evidence(study) for study in after)
    assert [study for study in after if has_evidence(study)] == after
    assert [a for a, b in zip(after, before, strict=True) if a != b] == [a for a in after if tmp_path in whereabouts(a)]
    syntaxes = {file.transfer_syntax for study in poor for file in study.files}
    assert {ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian} <= syntaxes


def whereabouts(study: DemoStudy) -> set[Path]:
    return {parent for file in study.files for parent in file.path.parents}


def test_an_order_adds_the_accession_number_and_changes_nothing_else(tmp_path: Path) -> None:
    poor = [study for study in shipped_studies() if not has_evidence(study)]
    for study in poor:
        copies = ordered(study, tmp_path)
        for file, copy in zip(study.files, copies.files, strict=True):
            was, now = (read_elements(io.BytesIO(each.path.read_bytes())) for each in (file, copy))
            assert now.text(0x00080050) == copies.accession_number
            others = [tag for tag in was.spans if tag != 0x00080050]
            assert now.stored(others) == was.stored(others)
            assert now.meta == was.meta
            assert replace(copy, path=file.path) == file


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_number_that_says_nothing_is_replaced(tmp_path: Path, syntax: UID) -> None:
    path = ct(tmp_path, 1)[0]
    instance = pydicom.dcmread(path)
    instance.AccessionNumber, instance.PatientID, instance.PatientName = "1", "", "Anonymous"
    instance.PatientSex = instance.PatientBirthDate = ""
    instance.file_meta.TransferSyntaxUID = syntax
    instance.save_as(path, implicit_vr=syntax.is_implicit_VR, little_endian=True)
    (study,) = read_studies([path])
    copies = ordered(study, tmp_path / "orders")
    assert has_evidence(copies)
    assert pydicom.dcmread(copies.files[0].path).AccessionNumber == copies.accession_number != "1"
