"""Studies of the demo: real files that pydicom ships, and a generated CT study. Every patient is invented."""

import datetime
import random
import re
import uuid
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, XRayRadiationDoseSRStorage

from router.dicom.dataset.header import read_head
from router.dicom.dataset.part10 import dataset_offset
from router.errors import InvalidData
from router.model import Header, Patient

_UID = re.compile(r"(?=.{1,64}$)[0-9]+(\.[0-9]+)*")
_ROWS = _COLUMNS = 512
_AIR_HU, _TISSUE_HU, _LUNG_HU, _BONE_HU = -1000, 40, -820, 600
_SCOUT_POSITIONS = ("AP", "LAT")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoFile:
    """One Part 10 file, with the facts that a Storage SCU needs to send it unchanged."""

    path: Path
    study: str
    series: str
    sop_class: str
    sop_instance: str
    transfer_syntax: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoStudy:
    """One study: its files, and the facts that a RIS would have. `date` is DA, `time` is TM; absent values are ""."""

    uid: str
    files: tuple[DemoFile, ...]
    patient: Patient
    accession_number: str
    modality: str
    date: str
    time: str
    description: str


def shipped_studies(also: Path | None = None) -> list[DemoStudy]:
    """The studies among the files that pydicom ships, and among those in the folder `also` when it is there.

    Left out are files that the node does not read as a whole instance with its UIDs, files without group 0002 or with
    one that names another instance, and files with the SOP instance UID of an earlier file.
    """
    shipped = Path(pydicom.__file__).parent / "data"
    folders = [folder for folder in (shipped, also) if folder is not None and folder.is_dir()]
    return read_studies((path for folder in folders for path in sorted(folder.rglob("*"))), only_whole=True)


def read_studies(paths: Iterable[Path], *, only_whole: bool = False) -> list[DemoStudy]:
    """The studies of these files, by their first file; `only_whole` leaves out files that break off. Raises OSError."""
    studies: dict[str, list[tuple[DemoFile, Header]]] = {}
    seen: set[str] = set()
    for path in paths:
        found = _read(path) if path.is_file() else None
        if found is None:
            continue
        file, header = found
        if file.sop_instance not in seen and not (only_whole and header.cut):
            seen.add(file.sop_instance)
            studies.setdefault(file.study, []).append((file, header))
    return [_study(members) for members in studies.values()]


def _read(path: Path) -> tuple[DemoFile, Header] | None:
    """A file as the node reads it: a RIS that read names differently would contradict the images."""
    try:
        header = read_head(path)
        with path.open("rb") as opened:
            named = dataset_offset(opened).sop_instance
    except InvalidData:
        return None
    uids, syntax = header.uids, header.transfer_syntax
    if named != uids.sop:
        return None
    if not all(_UID.fullmatch(uid) for uid in (uids.study, uids.series, header.sop_class, uids.sop, syntax)):
        return None
    return DemoFile(
        path=path, study=uids.study, series=uids.series, sop_class=header.sop_class, sop_instance=uids.sop,
        transfer_syntax=syntax,
    ), header  # fmt: skip


def _study(members: list[tuple[DemoFile, Header]]) -> DemoStudy:
    files = tuple(file for file, _ in members)
    header = members[0][1]
    return DemoStudy(
        uid=files[0].study, files=files, patient=header.patient, accession_number=header.accession_number,
        modality=header.facts.modality, date=header.study_date, time=header.study_time,
        description=header.study_description,
    )  # fmt: skip


def derived_uid(*parts: object) -> str:
    """A UID of the form 2.25.<UUID> (PS3.5 B.2), the same for the same parts."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join(map(str, parts))).int}"


def make_ct_study(
    folder: Path, slices: int = 300, *, study_uid: str, patient_id: str, name: str, accession: str, sex: str = "M",
    birth_date: str = "19600501",
    taken: datetime.datetime = datetime.datetime(2026, 3, 2, 9, 30),  # noqa: DTZ001 - DICOM DA and TM have no zone
) -> list[Path]:  # fmt: skip
    """Write a chest CT as a GE scanner would: two scouts, `slices` thin slices of 1 mm, and a dose report.

    `name` is a PN with its groups ("Zhang^San=张^三"), stored in GB18030. The slices are 512 x 512 of 16 bits, about
    0.5 MB each. The same arguments give the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    header = _study_header(study_uid, Patient(patient_id, name, birth_date, sex), accession, taken)
    noise = random.Random(study_uid)  # noqa: S311 - noise in pictures, the same each time
    paths = [_write(folder, f"scout-{n}", scout) for n, scout in enumerate(_scouts(header, noise), 1)]
    paths += [_write(folder, f"thin-{n:04}", thin) for n, thin in enumerate(_thin(header, noise, slices), 1)]
    return [*paths, _write(folder, "dose", _dose_report(header, slices))]


def _study_header(study_uid: str, patient: Patient, accession: str, taken: datetime.datetime) -> dict[str, object]:
    date, time = taken.strftime("%Y%m%d"), taken.strftime("%H%M%S")
    return {
        "SpecificCharacterSet": "GB18030", "StudyInstanceUID": study_uid, "StudyDate": date, "StudyTime": time,
        "SeriesDate": date, "SeriesTime": time, "ContentDate": date, "ContentTime": time, "AccessionNumber": accession,
        "PatientID": patient.patient_id, "PatientName": patient.name, "PatientSex": patient.sex,
        "PatientBirthDate": patient.birth_date, "ReferringPhysicianName": "", "StudyID": accession[:16],
        "StudyDescription": "胸部CT平扫", "InstitutionName": "示范医院", "Manufacturer": "GE MEDICAL SYSTEMS",
        "ManufacturerModelName": "Revolution CT", "StationName": "CT01", "DeviceSerialNumber": "DEMO0001",
        "SoftwareVersions": "demo", "BodyPartExamined": "CHEST", "ProtocolName": "Chest 1 mm",
    }  # fmt: skip


def _instance(header: dict[str, object], sop_class: str, series: int, number: int, **values: object) -> Dataset:
    study_uid = header["StudyInstanceUID"]
    instance = Dataset()
    own = {
        "SOPClassUID": sop_class, "SOPInstanceUID": derived_uid(study_uid, series, number),
        "SeriesInstanceUID": derived_uid(study_uid, series), "SeriesNumber": series, "InstanceNumber": number,
    }  # fmt: skip
    for keyword, value in {**header, **own, **values}.items():
        setattr(instance, keyword, value)
    return instance


def _image(header: dict[str, object], series: int, number: int, pixels: bytes, **values: object) -> Dataset:
    form: dict[str, object] = {
        "Modality": "CT", "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "Rows": _ROWS,
        "Columns": _COLUMNS, "BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "PixelRepresentation": 1,
        "RescaleIntercept": "0", "RescaleSlope": "1", "RescaleType": "HU", "WindowCenter": "40", "WindowWidth": "400",
        "PatientPosition": "HFS", "KVP": "120", "FrameOfReferenceUID": derived_uid(header["StudyInstanceUID"], "frame"),
        "PositionReferenceIndicator": "SN", "AcquisitionNumber": 1,
    }  # fmt: skip
    instance = _instance(header, CTImageStorage, series, number, **{**form, **values})
    instance.add_new("PixelData", "OW", pixels)
    return instance


def _scouts(header: dict[str, object], noise: random.Random) -> Iterator[Dataset]:
    for number, view in enumerate(_SCOUT_POSITIONS, 1):
        yield _image(
            header, 1, number, _chest(noise, 0.5), ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"],
            SeriesDescription="Scout", ScanOptions="SCOUT MODE", SliceThickness="650.18",
            ImageComments=view, PixelSpacing=["0.97", "0.97"], ImagePositionPatient=["-250", "0", "0"],
            ImageOrientationPatient=["1", "0", "0", "0", "0", "-1"],
        )  # fmt: skip


def _thin(header: dict[str, object], noise: random.Random, slices: int) -> Iterator[Dataset]:
    for number in range(1, slices + 1):
        position = -float(number)
        yield _image(
            header, 2, number, _chest(noise, number / (slices + 1)), ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
            SeriesDescription="Chest 1 mm", ScanOptions="HELICAL MODE", SliceThickness="1", SpacingBetweenSlices="1",
            ConvolutionKernel="LUNG", PixelSpacing=["0.70", "0.70"], SliceLocation=str(position),
            ImagePositionPatient=["-179.2", "-179.2", str(position)],
            ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
        )  # fmt: skip


def _chest(noise: random.Random, height: float) -> bytes:
    """Pixels of a slice at `height` (0 to 1) of a simple chest, in HU, little endian: body, two lungs, spine, noise."""
    air, body, lung, bone = (
        array("h", (level + byte // 8 for byte in noise.randbytes(2 * _COLUMNS)))
        for level in (_AIR_HU, _TISSUE_HU, _LUNG_HU, _BONE_HU)
    )
    lung_size = 1 - abs(2 * height - 1) ** 2
    pixels = array("h")
    for row in range(_ROWS):
        half_body = _half_width(row, 256, 170, 230)
        half_lung = _half_width(row, 245, 115 * lung_size, 75 * lung_size)
        half_bone = _half_width(row, 370, 28, 28)
        line = array("h", air[row : row + _COLUMNS])
        _lay(line, body, 256, half_body, row)
        for middle in (150, 362):
            _lay(line, lung, middle, half_lung, row)
        _lay(line, bone, 256, half_bone, row)
        pixels += line
    return pixels.tobytes()


def _half_width(row: int, middle: float, half_height: float, half_width: float) -> int:
    inside = 1 - ((row - middle) / half_height) ** 2 if half_height >= 1 else 0
    return int(half_width * inside**0.5) if inside > 0 else 0


def _lay(line: "array[int]", grain: "array[int]", middle: int, half: int, shift: int) -> None:
    line[middle - half : middle + half] = grain[shift : shift + 2 * half]


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, scheme, meaning
    return code


def _content(kind: str, concept: Dataset, relation: str = "CONTAINS") -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType, item.ConceptNameCodeSequence = relation, kind, [concept]
    return item


def _measured(concept: Dataset, value: str, unit: Dataset) -> Dataset:
    item, measured = _content("NUM", concept), Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = value, [unit]
    item.MeasuredValueSequence = [measured]
    return item


def _dose_report(header: dict[str, object], slices: int) -> Dataset:
    """A CT radiation dose report, as short as TID 10011 allows (PS3.16)."""
    total = _content("CONTAINER", _code("113811", "DCM", "CT Accumulated Dose Data"))
    total.ContinuityOfContent = "SEPARATE"
    total.ContentSequence = [
        _measured(
            _code("113812", "DCM", "Total Number of Irradiation Events"), "1", _code("{events}", "UCUM", "events")
        ),
        _measured(
            _code("113813", "DCM", "CT Dose Length Product Total"), str(slices), _code("mGy.cm", "UCUM", "mGy.cm")
        ),
    ]
    template = Dataset()
    template.MappingResource, template.TemplateIdentifier = "DCMR", "10011"
    return _instance(
        header, XRayRadiationDoseSRStorage, 997, 1, Modality="SR", SeriesDescription="Dose Report",
        ValueType="CONTAINER", ContinuityOfContent="SEPARATE", CompletionFlag="COMPLETE", VerificationFlag="UNVERIFIED",
        ConceptNameCodeSequence=[_code("113701", "DCM", "X-Ray Radiation Dose Report")],
        ContentTemplateSequence=[template], ContentSequence=[total],
    )  # fmt: skip


def _write(folder: Path, name: str, instance: Dataset) -> Path:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = pydicom.uid.UID(derived_uid("imaging-cloud-router", "demo"))
    instance.file_meta = meta
    path = folder / f"{name}.dcm"
    pydicom.dcmwrite(path, instance, enforce_file_format=True)
    return path
