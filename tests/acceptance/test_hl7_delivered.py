"""An exam whose report comes as HL7, as a file and over MLLP, or as a DICOM PDF, delivered by the node as a process."""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from typing import Any

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.uid import UID, EncapsulatedPDFStorage

from router.config.file import shipped
from router.model import Channel
from router.policy.states import State
from router.trial.demo.studies import DemoFile, read_studies
from support.harness import Exam, Site, command_here, make_exam, send_all
from support.hl7_messages import Sender, oru

# What a hospital agrees on with its RIS beyond the shipped mapping: a segment of their own.
OWN = {
    "Order.ApplyDepartmentName": "呼吸内科", "Order.ApplyDepartmentNameStd": "内科",
    "Order.ApplyDepartmentCodeStd": "03", "Order.DeviceAETitle": "CT01", "Order.ExecDepartmentCode": "3201",
    "Order.ExecDepartmentName": "放射科", "Order.ExecDepartmentCodeStd": "32",
    "Order.ExecDepartmentNameStd": "医学影像科", "Patient.IdNoType": "01",
    "Report.ApproveDoctorCertificateNo": "110000000000002", "Visit.ClinicalNumber": "M0001",
    "Order.Procedures[].BodyPartCode": "CHEST", "Order.Procedures[].BodyPartName": "胸部",
    "Order.Procedures[].CheckItemCodeStd": "210300001", "Order.Procedures[].CheckItemNameStd": "胸部平扫",
    "Order.Procedures[].BodyPartCodeStd": "0301", "Order.Procedures[].BodyPartNameStd": "胸部",
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("hl7"), settings="\n[reports.hl7]\nport = 0\n")
    own = "".join(f'"ZEX{"[]" if "[]" in path else ""}-{n}" = "{path}"\n' for n, path in enumerate(OWN, 1))
    mapping = shipped("hl7_mapping.toml").read_text(encoding="utf-8").replace("[fields]\n", f"[fields]\n{own}", 1)
    (site.folder / "hl7.toml").write_text(mapping, encoding="utf-8")
    try:
        site.configure()
        text = site.config_file.read_text(encoding="utf-8")
        more = '[reports]\nhl7_mapping = "hl7.toml"\nencapsulated_pdf = true\n'
        text = text.replace("[reports]\n", more).replace('rescan = "1 s"', 'rescan = "1 h"')
        site.config_file.write_text(text, encoding="utf-8")
        yield site
    finally:
        site.stop()


def message(site: Site, exam: Exam, **changes: Any) -> bytes:
    """The exam's report, approved 20 minutes ago, in GB18030; `changes` as `oru` takes them."""
    patient = exam.study.patient
    at = (exam.made - timedelta(minutes=20)).astimezone(exam.config.node.timezone)
    given = {
        "exam_id": exam.id, "name": "周测试人", "patient_id": patient.patient_id, "birth": patient.birth_date,
        "accession": exam.study.accession_number, "approved": f"{at:%Y%m%d%H%M%S}", "study": exam.study.uid,
        "pdf": exam.pdf(site.folder), "charset": "GB 18030-2000",
        "more": "ZEX|" + "|".join(OWN.values()) + "\r",
    }  # fmt: skip
    return oru(**given | changes).encode("gb18030")


def assert_delivered(site: Site, exam: Exam) -> None:
    site.wait_for(State.DELIVERED, exam.id)
    there = site.exam_at_platform(exam.id)
    document = json.loads((there / "exam.json").read_bytes())
    assert document["Report"]["Findings"] == "双肺清晰。"
    assert document["Order"]["Status"] == "Reported"
    assert document["Study"]["StudyInstanceUIDs"] == [exam.study.uid]
    assert (there / "report.pdf").read_bytes() == exam.pdf(site.folder)
    site.assert_images_equal(exam.study)


def test_an_exam_is_delivered_from_an_hl7_file(site: Site) -> None:
    exam = make_exam(site, 1, instances=4)
    send_all(site.port, exam.study.files)
    site.drop("result.HL7", message(site, exam))
    assert_delivered(site, exam)


def test_an_exam_is_delivered_from_mllp_though_the_node_was_killed_before_it_answered(site: Site) -> None:
    exam = make_exam(site, 2, instances=4)
    send_all(site.port, exam.study.files)
    given = message(site, exam)
    sender = Sender(site.node.ports["hl7"])
    sender.socket.sendall(b"\x0b" + given + b"\x1c\r")
    site.node.kill()
    sender.socket.close()
    again = Sender(site.node.ports["hl7"])
    assert "MSA|AA|M1" in again.send(given)
    site.node.kill()
    again.socket.close()
    assert site.node.running
    assert_delivered(site, exam)
    log = site.node.log.read_text(encoding="utf-8")
    assert not [secret for secret in exam.secrets() if secret in log]


def encapsulated(site: Site, exam: Exam) -> Sequence[DemoFile]:
    """The exam's PDF as an instance of its study."""
    pdf = exam.pdf(site.folder)
    dataset = dcmread(exam.study.files[0].path)
    del dataset.PixelData
    dataset.SOPClassUID, dataset.Modality = EncapsulatedPDFStorage, "DOC"
    dataset.SOPInstanceUID = UID(f"{exam.study.uid}.9")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    dataset.SeriesInstanceUID = f"{exam.study.uid}.2"
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(pdf)
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    path = site.folder / f"{exam.id}.dcm"
    dcmwrite(path, dataset, enforce_file_format=True)
    return read_studies([path])[0].files


@pytest.mark.parametrize("first", ["pdf", "json"])
def test_an_exam_is_delivered_with_the_pdf_that_came_by_c_store_and_no_rescan_is_waited_for(
    site: Site, first: str
) -> None:
    exam = make_exam(site, 3 if first == "pdf" else 8, instances=4)
    parts: dict[str, Callable[[], object]] = {
        "pdf": lambda: send_all(site.port, encapsulated(site, exam)),
        "json": lambda: site.drop(f"{exam.id}.json", exam.json()),
    }
    send_all(site.port, exam.study.files)
    parts.pop(first)()
    if first == "json":
        waits = [(State.WAITING, ("pdf",))]
        site.wait_until(
            lambda: [
                (one.delivery.state, tuple(one.delivery.waiting_for))
                for one in site.lines(exam.id) if one.delivery.channel == Channel.REPORT
            ] == waits,
            "the report waits for its PDF alone",
        )  # fmt: skip
    (last,) = parts.values()
    last()
    site.wait_for(State.DELIVERED, exam.id)
    assert (site.exam_at_platform(exam.id) / "report.pdf").read_bytes() == exam.pdf(site.folder)
    site.assert_images_equal(exam.study)


def test_a_pdf_that_a_ris_drops_beside_its_messages_joins_by_the_number_that_is_its_name(site: Site) -> None:
    late, early, one, other = (make_exam(site, number, instances=1) for number in (4, 5, 6, 7))
    shared = one.study.accession_number
    pdf_of_two = late.pdf(site.folder)  # names neither of those that have the number
    for exam in (late, early, one, other):
        send_all(site.port, exam.study.files)
    sender = Sender(site.node.ports["hl7"])
    assert "MSA|AA" in sender.send(message(site, late, pdf=None))
    site.drop(f"{early.study.accession_number}.pdf", early.pdf(site.folder))
    for exam in (one, other):
        assert "MSA|AA" in sender.send(message(site, exam, pdf=None, accession=shared))
    site.drop(f"{late.id}.pdf", pdf_of_two)
    site.drop(f"{shared}.pdf", pdf_of_two)
    assert_delivered(site, late)
    assert "MSA|AA" in sender.send(message(site, early, pdf=None))
    sender.socket.close()
    assert_delivered(site, early)
    numbers = {line.delivery.exam for exam in (one, other) for line in site.lines(exam.id)}
    text = site.config_file.read_text(encoding="utf-8")
    site.config_file.write_text(text.replace("[reports]\n", '[reports]\npair_within = "1 s"\n'), encoding="utf-8")
    site.node.hang_up()
    site.wait_until(lambda: "configuration read again" in site.log, "the configuration is read again")
    site.drop("looked-at.json", b"{}")  # then the drop folder is looked at
    listed = ("queue", "files", "--json", "--config", site.config_file)

    def unclaimed() -> list[dict[str, Any]]:
        return [one for one in json.loads(command_here(*listed).stdout) if one["kind"] == "unclaimed"]

    site.wait_until(lambda: bool(unclaimed()), "the PDF of two exams is listed")
    (found,) = unclaimed()
    assert (found["name"], found["why"], found["alarm"]) == (f"{shared}.pdf", "several", "unclaimed-pdf")
    assert all(f"e{number}" in found["reason"] for number in numbers)
    assert not any(site.exam_at_platform(exam.id).exists() for exam in (one, other))
