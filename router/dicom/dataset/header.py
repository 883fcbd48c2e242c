"""The header of an instance: its UIDs while it is received; all of it, with digests, when it is catalogued."""

import hashlib
import io
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from router.dicom.dataset import tags
from router.dicom.dataset.checksum import new_checksum
from router.dicom.dataset.cut import cut_off
from router.dicom.dataset.dataset import DataSet, read_elements
from router.dicom.dataset.elements import DEFLATED, encoding_of, inflate, leading_group_2, top_level
from router.dicom.dataset.facts import facts_of, position_of, references_of
from router.dicom.dataset.part10 import dataset_offset
from router.dicom.dataset.uid import clean, undotted, valid
from router.errors import InvalidData
from router.model import Digests, Header, InstanceUids, Patient, SeriesFacts

_WANTED = frozenset(tags.UIDS)
_HEAD_LIMIT = 2**20
_LOOK_FOR_STUDY = 2**16  # bytes
_LONGEST_SECOND_LOOK = 2**26  # bytes
_CHUNK = 2**18
_PIECE = 2**17
_HALF = 32  # digits
_BY_CHECKSUM = "x"  # begins a digest of pixels that is an XXH3-128
_DATE, _TIME = (".", r"\d{8}"), (":", r"(\d{2}){1,3}(\.\d{1,6})?")

_REQUEST_ATTRIBUTES = 0x00400275

# Laterality, Image Laterality, Patient Orientation, Image Orientation and Image Position (Patient), Patient Position,
# View Position; View Code, Patient Orientation Code and Patient Gantry Relationship Code Sequence; of an enhanced
# object the functional groups as they are, which hold the same for each frame.
_ORIENTATION = (
    0x00200060, 0x00200062, 0x00200020, tags.IMAGE_ORIENTATION, tags.IMAGE_POSITION, 0x00185100, 0x00185101,
    0x00540220, 0x00540410, 0x00540414, tags.SHARED_GROUPS, tags.PER_FRAME_GROUPS,
)  # fmt: skip


def uids_of(data: bytes, transfer_syntax: str) -> tuple[InstanceUids, str]:
    """The instance's UIDs and its SOP class, from the data set's bytes in any transfer syntax.

    `data` may end behind the series UID. Raises InvalidData when a UID is missing, not valid,
    out of order, or present with two values.
    """
    found: dict[int, str] = {}
    for tag, value in _top(inflate(data, transfer_syntax, _HEAD_LIMIT), transfer_syntax):
        if tag > tags.SERIES:
            break
        if tag in _WANTED:
            uid = value.decode("ascii", "replace")
            if found.setdefault(tag, uid) != uid:
                raise InvalidData(f"the data set has two different values of {tags.named(tag)}")
    if len(found) == len(tags.UIDS) and tuple(found) != tags.UIDS:
        raise InvalidData("the UIDs are out of order")  # others may follow with other values
    return _instance_uids(found)


def irregular_uids(file: BinaryIO) -> tuple[InstanceUids, str]:
    """As `uids_of`, from a whole file, read as when it is catalogued: however irregular, if its UIDs are certain."""
    return _uids_in(read_elements(file, _LONGEST_SECOND_LOOK))


def _uids_in(read: DataSet) -> tuple[InstanceUids, str]:
    return _instance_uids({tag: read.text(tag) for tag in tags.UIDS if tag in read.spans})


def _instance_uids(found: dict[int, str]) -> tuple[InstanceUids, str]:
    """The SOP Instance UID stays as it came: the receiver compares it with the one announced."""
    if missing := [tags.named(tag) for tag in tags.UIDS if tag not in found]:
        raise InvalidData(f"the data set lacks {', '.join(missing)}")
    uids = InstanceUids(undotted(found[tags.STUDY]), undotted(found[tags.SERIES]), valid(found[tags.SOP_INSTANCE]))
    return uids, undotted(found[tags.SOP_CLASS])


def study_of(data: bytes, transfer_syntax: str) -> str:
    """The Study Instance UID near the beginning of a data set, even of an unreadable one; "" without a valid one."""
    try:
        data = inflate(data[:_LOOK_FOR_STUDY], transfer_syntax, _LOOK_FOR_STUDY)
        return next((valid(value.decode("ascii", "replace")) for tag, value in _top(data, transfer_syntax)
                     if tag == tags.STUDY), "")  # fmt: skip
    except InvalidData:
        return ""


def owner_of(path: Path) -> tuple[str, str]:
    """Study Instance UID and sending AE title of any file, "" for each that is not found. OSError when unreadable."""
    with path.open("rb") as file:
        try:
            meta = dataset_offset(file)
        except InvalidData:
            return "", ""
        file.seek(meta.offset)
        return study_of(file.read(_LOOK_FOR_STUDY), meta.transfer_syntax), meta.sending_ae


def _top(data: bytes, transfer_syntax: str) -> Iterator[tuple[int, bytes]]:
    if transfer_syntax not in DEFLATED:
        data = data[leading_group_2(data, transfer_syntax)[1] :]
    return top_level(data, encoding_of(data, transfer_syntax))


def digest(path: Path, *, even: bool = False) -> str:
    """SHA-256 (hex) of the data set's bytes as stored, without preamble and group 0002.

    `even`: of the bytes as sent, with a zero byte added to an odd length (PS3.8 E.2). Raises InvalidData when the file
    is no DICOM, OSError when it cannot be read.
    """
    total = hashlib.sha256()
    with path.open("rb") as file:
        offset = dataset_offset(file).offset
        file.seek(offset)
        while chunk := file.read(_CHUNK):
            total.update(chunk)
        if even and (file.tell() - offset) % 2:
            total.update(b"\0")
    return total.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Glimpse:
    """The result of `read_glimpse`; UIDs are as written, "" when absent."""

    study: str
    series: str
    sop: str
    facts: SeriesFacts
    position: float | None
    references: tuple[str, ...]


def read_glimpse(path: Path) -> Glimpse:
    """The facts for series rules, also of a file that is no proper instance. Raises as `read_instance` does."""
    with path.open("rb") as file:
        read = read_elements(file)
    study, series, sop = (clean(read.text(tag)) for tag in (tags.STUDY, tags.SERIES, tags.SOP_INSTANCE))
    return Glimpse(
        study=study,
        series=series,
        sop=sop,
        facts=facts_of(read),
        position=position_of(read),
        references=references_of(read),
    )


def read_head(path: Path) -> Header:
    """The header alone, without reading the pixels. Raises as `read_instance` does."""
    with path.open("rb") as file:
        read = read_elements(file)
        return _header(read, cut_off(read, file))


def read_instance(file: BinaryIO) -> tuple[Header, Digests]:
    """Header and digests of an instance.

    A wrong value is absent. In an instance without pixel data, and in a deflated one, every difference counts as one
    of the pixels. One that is cut off is read as far as it goes. Raises InvalidData when the file is no DICOM or a UID
    is missing, OSError when it cannot be read.
    """
    read = read_elements(file)
    orientation = read.stored(_ORIENTATION)
    whole, pixels, checksum = _hash(file, read.meta.offset, read.pixels_at, _seen(read))
    digests = Digests(whole, hashlib.sha256(orientation).hexdigest()[:_HALF], pixels, checksum)
    return _header(read, cut_off(read, file)), digests


def pixels_as(known: str, path: Path, own: str) -> str:
    """The digest of a file's pixels in the form of a `known` one, given its `own`. Raises as `read_instance` does.

    Pixels were told apart by the first half of a SHA-256; rows that have one keep it.
    """
    if known.startswith(_BY_CHECKSUM) or not own.startswith(_BY_CHECKSUM):
        return own
    with path.open("rb") as file:
        read = read_elements(file)
        pixels = hashlib.sha256(_seen(read))
        for piece in _pieces(file, read.pixels_at, read.end):
            pixels.update(piece)
    return pixels.hexdigest()[:_HALF]


def _seen(read: DataSet) -> bytes:
    """Stored elements that say how the pixels look."""
    return read.stored(tag for tag in read.spans if tags.is_about_looks(tag))


def _hash(file: BinaryIO, start: int, pixels_at: int, seen: bytes) -> tuple[str, str, str]:
    """SHA-256 of the data set from `start`, a digest of its pixels (`seen`, and from `pixels_at` on), its checksum."""
    whole, pixels, checksum = hashlib.sha256(), new_checksum(), new_checksum()
    end = file.seek(0, io.SEEK_END)
    for piece in _pieces(file, start, pixels_at):
        whole.update(piece)
        checksum.update(piece)
    if pixels_at == end:
        return whole.hexdigest(), whole.hexdigest()[:_HALF], checksum.hexdigest()
    pixels.update(seen)
    for piece in _pieces(file, pixels_at, end):
        whole.update(piece)
        pixels.update(piece)
        checksum.update(piece)
    return whole.hexdigest(), _BY_CHECKSUM + pixels.hexdigest(), checksum.hexdigest()


def _pieces(file: BinaryIO, start: int, end: int) -> Iterator[memoryview]:
    """The bytes between two positions of the file, in pieces that stay in the processor's cache from hash to hash.

    Each is good until the next one is asked for: they share their memory, since new memory for each file costs a third
    of the time that hashing takes.
    """
    room = memoryview(bytearray(min(_PIECE, end - start)))
    file.seek(start)
    read: Callable[[memoryview], int] = file.readinto  # type: ignore[attr-defined]  # every file of bytes has it
    while start < end and (got := read(room[: end - start])):
        start += got
        yield room[:got]


def _header(read: DataSet, cut: str) -> Header:
    uids, sop_class = _uids_in(read)
    own = read.text(tags.ACCESSION_NUMBER)
    others = (item.text(tags.ACCESSION_NUMBER) for item in read.items(_REQUEST_ATTRIBUTES))
    dotted = any(clean(read.text(tag)).endswith(".") for tag in tags.UIDS)
    return Header(
        uids=uids,
        sop_class=sop_class,
        transfer_syntax=read.meta.transfer_syntax,
        patient=Patient(
            patient_id=read.text(tags.PATIENT_ID),
            name=read.text(tags.PATIENT_NAME),
            birth_date=_formed(read.text(0x00100030), *_DATE),
            sex=read.text(0x00100040),
        ),
        accession_number=own,
        other_accession_numbers=tuple(dict.fromkeys(number for number in others if number)),
        study_date=_formed(read.text(0x00080020), *_DATE),
        study_time=_formed(read.text(0x00080030), *_TIME),
        study_description=read.text(tags.STUDY_DESCRIPTION),
        station_name=read.text(0x00081010),
        institution_name=read.text(0x00080080),
        device_serial_number=read.text(0x00181000),
        sending_ae=read.meta.sending_ae,
        sending_address=read.meta.sending_address,
        facts=facts_of(read),
        position=position_of(read),
        references=references_of(read),
        cut=cut,
        strays=read.meta.strays,
        irregular=(*read.faults, "a UID with a dot at its end") if dotted else read.faults,
    )


def _formed(text: str, separator: str, form: str) -> str:
    """A DA or TM, also with the separators of the form before 1993 (PS3.5 6.2); "" when it is none."""
    digits = text.replace(separator, "")
    return digits if re.fullmatch(form, digits) else ""
