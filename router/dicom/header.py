"""What the node reads of an instance: UIDs while it is received, the header once when it is catalogued, the digest."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from router.dicom.dataset import read_elements
from router.dicom.elements import encoding_of, inflate, top_level
from router.dicom.facts import facts_of, position_of, references_of
from router.dicom.part10 import dataset_offset
from router.dicom.uid import clean, valid
from router.errors import InvalidData
from router.model import Header, InstanceUids, Patient, SeriesFacts

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_WANTED = (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)
_HEAD_LIMIT = 2**20
_CHUNK = 2**20

_ACCESSION = 0x00080050
_REQUEST_ATTRIBUTES = 0x00400275


def uids_of(data: bytes, transfer_syntax: str) -> tuple[InstanceUids, str]:
    """The instance's UIDs and its SOP class, from the data set's bytes in any transfer syntax.

    `data` may be the data set's beginning only, as long as it reaches the series UID. Raises InvalidData when a UID
    is missing or is not one.
    """
    found = _found(inflate(data, transfer_syntax, _HEAD_LIMIT), transfer_syntax)
    missing = [f"({tag >> 16:04X},{tag & 0xFFFF:04X})" for tag in _WANTED if tag not in found]
    if missing:
        raise InvalidData(f"the data set lacks {', '.join(missing)}")
    return InstanceUids(found[_STUDY], found[_SERIES], found[_SOP_INSTANCE]), found[_SOP_CLASS]


def _found(data: bytes, transfer_syntax: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for tag, value in top_level(data, encoding_of(data, transfer_syntax)):
        if tag in _WANTED:
            found[tag] = valid(value.decode("ascii", "replace"))
        if tag >= _SERIES:
            break
    return found


def digest(path: Path) -> str:
    """SHA-256, hex, of the data set's bytes as stored, without preamble and group 0002.

    Raises InvalidData when the file is no DICOM, OSError when it cannot be read.
    """
    total = hashlib.sha256()
    with path.open("rb") as file:
        file.seek(dataset_offset(file).offset)
        while chunk := file.read(_CHUNK):
            total.update(chunk)
    return total.hexdigest()


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What `read_glimpse` makes of any DICOM file; UIDs are as they are written, "" when absent."""

    study: str
    series: str
    sop: str
    facts: SeriesFacts
    position: float | None
    references: tuple[str, ...]


def read_glimpse(path: Path) -> Glimpse:
    """What the series rules want to know, also of a file that is no proper instance. Errors as `read_header`'s."""
    read, _ = read_elements(path)
    study, series, sop = (clean(read.text(tag)) for tag in (_STUDY, _SERIES, _SOP_INSTANCE))
    return Glimpse(study, series, sop, facts_of(read), position_of(read), references_of(read))


def read_header(path: Path) -> Header:
    """Everything the node wants to know of an instance. A wrong value is read as absent.

    Raises InvalidData when the file is no DICOM or a UID is missing, OSError when it cannot be read.
    """
    read, meta = read_elements(path)
    uids = InstanceUids(valid(read.text(_STUDY)), valid(read.text(_SERIES)), valid(read.text(_SOP_INSTANCE)))
    own = read.text(_ACCESSION)
    others = (item.text(_ACCESSION) for item in read.items(_REQUEST_ATTRIBUTES))
    return Header(
        uids=uids,
        sop_class=valid(read.text(_SOP_CLASS)),
        transfer_syntax=meta.transfer_syntax,
        patient=Patient(
            patient_id=read.text(0x00100020),
            name=read.text(0x00100010),
            birth_date=_date(read.text(0x00100030)),
            sex=read.text(0x00100040),
        ),
        accession_number=own,
        other_accession_numbers=tuple(dict.fromkeys(number for number in others if number and number != own)),
        study_date=_date(read.text(0x00080020)),
        study_time=_time(read.text(0x00080030)),
        study_description=read.text(0x00081030),
        station_name=read.text(0x00081010),
        device_serial_number=read.text(0x00181000),
        sending_ae=meta.sending_ae,
        facts=facts_of(read),
        position=position_of(read),
        references=references_of(read),
    )


def _date(text: str) -> str:
    """A DA, also in the form before 1993 (PS3.5 6.2); "" when it is none."""
    digits = text.replace(".", "")
    return digits if re.fullmatch(r"\d{8}", digits) else ""


def _time(text: str) -> str:
    """A TM, also in the form before 1993; "" when it is none."""
    digits = text.replace(":", "")
    return digits if re.fullmatch(r"(\d{2}){1,3}(\.\d{1,6})?", digits) else ""
