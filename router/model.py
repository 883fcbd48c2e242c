"""Records that three layers share. Every other record lives in the module of its noun."""

from dataclasses import dataclass
from enum import StrEnum

# Modalities of objects that are made from images, often on a workstation: they tell nothing of the device.
NO_DEVICE = frozenset({"SR", "KO", "PR", "SEG", "DOC", "REG"})


class Channel(StrEnum):
    """The way an exam goes to a destination: report and JSON by HTTP, images by C-STORE."""

    REPORT = "report"
    IMAGES = "images"


class SeriesClass(StrEnum):
    """What an instance is, as the standard asks for it (DB11 6.2)."""

    THIN = "thin"
    KEY = "key"
    SCOUT = "scout"
    DOSE = "dose"
    IMAGE = "image"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class InstanceUids:
    """The three UIDs that name an instance, stripped of padding and safe as file names."""

    study: str
    series: str
    sop: str


@dataclass(frozen=True, slots=True)
class Patient:
    """The patient as a DICOM header names it (PS3.3 C.7.1.1). `birth_date` is DA, `name` is PN with its groups."""

    patient_id: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True, slots=True)
class SeriesFacts:
    """The header fields that series rules may ask about; absent is "", (), or None.

    Names are those of a header table given to `classify --headers`.
    """

    modality: str = ""
    sop_class_uid: str = ""
    manufacturer: str = ""
    manufacturer_model: str = ""
    image_type: tuple[str, ...] = ()
    series_description: str = ""
    study_description: str = ""
    protocol_name: str = ""
    series_number: int | None = None
    body_part: str = ""
    number_of_frames: int | None = None
    image_rows: int | None = None
    slice_thickness: float | None = None
    scan_options: str = ""
    kernel: str = ""
    concept_name: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """What the node reads of one instance, once, when it is catalogued. Times are DICOM DA and TM without zone."""

    uids: InstanceUids
    sop_class: str
    transfer_syntax: str
    patient: Patient
    accession_number: str = ""
    other_accession_numbers: tuple[str, ...] = ()
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    station_name: str = ""
    device_serial_number: str = ""
    sending_ae: str = ""
    facts: SeriesFacts = SeriesFacts()


@dataclass(frozen=True, slots=True)
class Digests:
    """What tells the versions of an instance apart, as hex digits.

    `data_set` is SHA-256 of the data set's bytes as stored, without group 0002. `orientation` stands for laterality,
    orientation and position, `pixels` for the pixel data and how they are to be read; each the first half of a SHA-256.
    """

    data_set: str
    orientation: str
    pixels: str
