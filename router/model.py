"""Records that three layers share. Every other record lives in the module of its noun."""

from dataclasses import KW_ONLY, dataclass
from enum import StrEnum

# Modalities of objects derived from images, often on a workstation: they say nothing about the device.
NO_DEVICE = frozenset({"SR", "KO", "PR", "SEG", "DOC", "REG"})


class Channel(StrEnum):
    """The way an exam goes to a destination: report and JSON by HTTP, images by C-STORE."""

    REPORT = "report"
    IMAGES = "images"


class SeriesClass(StrEnum):
    """Classes of instances as the standard asks for them (DB11 6.2)."""

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
    """Facts about an instance that series rules may ask for; absent is "", (), or None. Lengths are in mm.

    Names are those of a header table given to `classify --headers`. The last four are not in the header itself:
    `described_thickness` is read from the description; the others come from the neighbours in the series (or the
    frames of a multi-frame instance) and are None until those are known.
    """

    modality: str = ""
    sop_class_uid: str = ""
    manufacturer: str = ""
    _: KW_ONLY
    manufacturer_model: str = ""
    image_type: tuple[str, ...] = ()
    frame_type: tuple[str, ...] = ()
    series_description: str = ""
    study_description: str = ""
    protocol_name: str = ""
    series_number: int | None = None
    body_part: str = ""
    contrast_agent: str = ""
    number_of_frames: int | None = None
    image_rows: int | None = None
    image_columns: int | None = None
    samples_per_pixel: int | None = None
    photometric: str = ""
    slice_thickness: float | None = None
    spacing_between_slices: float | None = None
    image_orientation: str = ""
    orientation: str = ""
    scan_options: str = ""
    kernel: str = ""
    acquisition_type: str = ""
    conversion_type: str = ""
    burned_in_annotation: str = ""
    derivation_description: str = ""
    image_comments: str = ""
    scanning_sequence: str = ""
    sequence_name: str = ""
    mr_acquisition_type: str = ""
    presentation_intent: str = ""
    sc_device_manufacturer: str = ""
    window_center: float | None = None
    window_width: float | None = None
    concept_name: str = ""
    template_id: str = ""
    content_label: str = ""
    content_description: str = ""
    document_title: str = ""
    described_thickness: float | None = None
    instance_count: int | None = None
    slice_count: int | None = None
    slice_distance: float | None = None


@dataclass(frozen=True, slots=True)
class ThinLimit:
    """The largest thickness, in mm, of thin slices of a modality; `body_part` "" means every one."""

    modality: str
    up_to: float
    body_part: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The header of an instance, read once, when it is catalogued. Times are DICOM DA and TM without zone.

    `position` is where the slice lies along the normal of its plane, in mm; `references` are the SOP instances that
    a key object selection or a presentation state refers to. `cut` says where the data set breaks off, "" where it is
    whole. `strays` are elements of group 0002 at the beginning of the data set, where none belongs. `irregular` names
    other deviations from PS3.5.
    """

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
    institution_name: str = ""
    device_serial_number: str = ""
    sending_ae: str = ""
    sending_address: str = ""
    facts: SeriesFacts = SeriesFacts()
    position: float | None = None
    references: tuple[str, ...] = ()
    cut: str = ""
    strays: tuple[int, ...] = ()
    irregular: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Digests:
    """Digests that tell the versions of an instance apart, as hex digits.

    `data_set` is SHA-256 of the data set's bytes as stored, without group 0002, `checksum` their XXH3-128.
    `orientation` stands for laterality, orientation and position, `pixels` for the pixel data and how they are to be
    read: "x" and their XXH3-128. `orientation`, `pixels` of a data set without pixel data or of rows that are older
    than this form, is the first half of a SHA-256.
    """

    data_set: str
    orientation: str
    pixels: str
    checksum: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """A file that the node put below done/ or rejected/ of the drop folder, with the marks to recognise it by.

    `home` and `place` in the file system's own bytes: the folder that holds done/ and rejected/, by its path below the
    drop folder, and the file's path below that. `size` in bytes.
    """

    home: bytes
    place: bytes
    inode: int
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The signed end of a node's audit trail: record `n` with its `seal`, at `at` (ISO 8601).

    `chain` is the id of the key that seals the record, `key` that of the SM2 key that signed; `signature` is DER in
    Base64. `accepted`: the person who accepted the trail as it was then, and why; "" for the node's own heads.
    """

    node: str
    n: int
    seal: str
    at: str
    chain: str
    key: str
    signature: str
    accepted: str = ""

    def __str__(self) -> str:
        """The form in which it is shown, mailed and kept elsewhere."""
        return f"{self.node}:{self.n}:{self.seal}"
