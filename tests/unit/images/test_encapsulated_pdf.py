"""A report that comes as a DICOM Encapsulated PDF: its document, and the exam that it goes with."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

from router.config.file import parse
from router.dicom.dataset.encapsulated import SOP_CLASS, document_of
from router.errors import InvalidData
from router.images.cataloguer import Cataloguer
from router.images.rulebook import rulebook
from router.model import InstanceUids
from router.storage.incoming import IncomingFolder
from support.intake_folder import E1, E2, IntakeFolder, another, exam, printed

STUDY = "1.2.826.0.1.3680043.2.1125.1"  # the sample exam's
ONE = printed(f"report of {E1}")


def instance(
    folder: Path, document: bytes | None, kind: str = "application/pdf", length: int | None = None, *,
    uid: str = "1.2.3.9", sender: str = "",
) -> Path:  # fmt: skip
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = EncapsulatedPDFStorage, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, "1.2.3"
    dataset.MIMETypeOfEncapsulatedDocument = kind
    if document is not None:
        dataset.EncapsulatedDocument = document + b"\0" * (len(document) % 2)
    if length:
        dataset.EncapsulatedDocumentLength = length
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if sender:
        dataset.file_meta.SourceApplicationEntityTitle = sender
    path = folder / "document.dcm"
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


def take(desk: IntakeFolder, data: bytes = ONE, study: str = STUDY) -> None:
    desk.clock.advance(1)
    desk.intake.take_encapsulated(study, data, desk.clock.now())
    desk.intake.pair_studies()


def link(desk: IntakeFolder, exam_id: str = E1) -> None:
    """As the correlator does when it evaluates the exam."""
    (number,) = desk.exams.find(exam_id)
    desk.exams.links.link(number, [STUDY], "listed", desk.clock.now())


def test_the_document_is_read_without_its_padding(tmp_path: Path) -> None:
    assert EncapsulatedPDFStorage == SOP_CLASS
    odd = b"%PDF-1.4 odd"[:11]
    assert document_of(instance(tmp_path, odd)) == odd
    assert document_of(instance(tmp_path, odd, length=11)) == odd


@pytest.mark.parametrize(("document", "kind"), [(None, "application/pdf"), (b"<xml/>", "text/xml")])
def test_an_instance_without_a_pdf_is_refused(tmp_path: Path, document: bytes | None, kind: str) -> None:
    with pytest.raises(InvalidData):
        document_of(instance(tmp_path, document, kind))


def test_what_is_no_dicom_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.dcm"
    path.write_bytes(b"\0" * 400)
    with pytest.raises(InvalidData):
        document_of(path)


def test_it_goes_with_the_exam_of_its_study_whichever_comes_first(desk: IntakeFolder) -> None:
    take(desk)
    desk.drop("r.json", exam())
    assert desk.pdf_of() is None
    link(desk)
    desk.intake.pair_studies()
    assert desk.pdf_of() == ONE
    corrected = printed(f"corrected report of {E1}")
    take(desk, corrected)
    assert desk.pdf_of() == ONE
    desk.clock.advance(600)
    assert desk.pdf_of() == corrected


def test_the_same_again_changes_nothing_waiting_or_bound(desk: IntakeFolder) -> None:
    take(desk)
    take(desk)
    desk.drop("r.json", exam())
    link(desk)
    desk.intake.pair_studies()
    take(desk)
    take(desk)
    assert desk.counts() == (1, 1)
    assert not list((desk.config.node.data / "reports/unpaired").glob("*"))


def test_of_several_exams_of_its_study_it_goes_with_the_one_that_it_names_or_waits(desk: IntakeFolder) -> None:
    for name, data, exam_id in (("a.json", exam(), E1), ("b.json", another(), E2)):
        desk.drop(name, data)
        link(desk, exam_id)
    take(desk, printed("a scan that names nobody"))
    assert (desk.counts(E1), desk.counts(E2)) == ((1, 0), (1, 0))
    take(desk, printed(f"report of {E2}"))
    assert (desk.counts(E1), desk.counts(E2)) == ((1, 0), (1, 1))


def test_one_that_names_another_exam_is_in_doubt(desk: IntakeFolder) -> None:
    desk.drop("b.json", another())
    desk.drop("a.json", exam())
    link(desk)
    take(desk, printed(f"report of {E2}"))
    assert desk.pdf_of() is None
    assert desk.case().pdfs[0].doubt


def test_what_does_not_open_is_refused(desk: IntakeFolder) -> None:
    with pytest.raises(InvalidData):
        take(desk, b"%PDF-1.4 cut off")


def test_a_crash_between_cataloguing_and_taking_it_loses_nothing(desk: IntakeFolder, tmp_path: Path) -> None:
    file = IncomingFolder(desk.storage.incoming.worker_folder(1), 0).create()
    path = instance(tmp_path, ONE)
    file.write([path.read_bytes()])
    file.commit(InstanceUids(STUDY, "1.2.3", "1.2.3.9"))
    taken: list[bytes] = []

    def fail(_study: str, _data: bytes, _received: datetime) -> None:
        raise OSError(28, "No space left on device")

    def keep(study: str, data: bytes, received: datetime) -> None:
        assert study == STUDY
        taken.append(data)
        desk.intake.take_encapsulated(study, data, received)

    book = rulebook(desk.config.series)
    known = desk.storage, desk.catalogue.instances, lambda _: book, lambda _study: None, desk.bus, desk.clock
    for take_pdf in (fail, keep, keep):
        cataloguer = Cataloguer(*known, take_pdf)
        with suppress(OSError):
            cataloguer.run_batch()
    assert taken == [ONE]
    assert [row.uids.sop for row in desk.catalogue.instances.walk()] == ["1.2.3.9"]
    desk.drop("r.json", exam())
    link(desk)
    desk.intake.pair_studies()
    assert desk.pdf_of() == ONE


def test_a_pdf_of_a_hospital_whose_reports_come_otherwise_is_no_report(desk: IntakeFolder, tmp_path: Path) -> None:
    texts = (f'[[hospital]]\nname = "{name}"\nUSCI = "{name}"\nHospitalCode = "{name}"\nHospitalName = "{name}"\n'
             f'HospitalBranchCode = "01"\nsenders = [{{ ae_title = "CT-{name}" }}]\n' for name in "ab")  # fmt: skip
    config = parse(
        '[reports]\nencapsulated_pdf = true\n' + "[hospital.reports]\nencapsulated_pdf = false\n".join(texts),
        base=tmp_path,
    )  # fmt: skip
    desk.intake.reconfigure(config)
    taken: list[str] = []
    book = rulebook(config.series)
    cataloguer = Cataloguer(
        desk.storage, desk.catalogue.instances, lambda _: book, lambda _study: None, desk.bus, desk.clock,
        lambda study, _data, _received: taken.append(study), hospitals=config.hospital,
    )  # fmt: skip
    cataloguer.takes_pdfs_of = desk.intake.comes_by_study
    for number, sender in enumerate(("CT-a", "CT-b", "PACS"), 1):
        file = IncomingFolder(desk.storage.incoming.worker_folder(1), 0).create()
        file.write([instance(tmp_path, ONE, uid=f"1.2.{number}", sender=sender).read_bytes()])
        file.commit(InstanceUids(STUDY, "1.2.3", f"1.2.{number}"))
        cataloguer.run_batch()
    assert [desk.intake.comes_by_study(name) for name in ("a", "b", "")] == [False, True, True]
    assert taken == [STUDY, STUDY]
    assert len(list(desk.catalogue.instances.walk())) == 3


def test_what_the_parser_calls_a_trouble_of_the_disk_is_no_document_and_the_disk_s_own_is_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raising(error: OSError) -> Callable[..., object]:
        def read(*_: object, **__: object) -> object:
            raise error

        return read

    monkeypatch.setattr(
        "router.dicom.dataset.encapsulated.parsed", raising(OSError("No tag to read at file position 1F4"))
    )
    with pytest.raises(InvalidData):
        document_of(tmp_path)
    monkeypatch.setattr("router.dicom.dataset.encapsulated.parsed", raising(OSError(5, "Input/output error")))
    with pytest.raises(OSError, match="Input"):
        document_of(tmp_path)
