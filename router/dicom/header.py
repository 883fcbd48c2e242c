"""What the node reads of an instance: UIDs while it is received; header and digests, once, when it is catalogued."""

import hashlib
import io
import re
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset

from router.dicom import quiet
from router.dicom.charset import decode
from router.dicom.elements import DEFLATED, Encoding, encoding_of, inflate, top_level
from router.dicom.part10 import FileMeta, dataset_offset
from router.dicom.uid import clean, valid
from router.errors import InvalidData
from router.model import Digests, Header, InstanceUids, Patient, SeriesFacts

_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES = 0x00080016, 0x00080018, 0x0020000D, 0x0020000E
_WANTED = (_SOP_CLASS, _SOP_INSTANCE, _STUDY, _SERIES)
_UNREADABLE = (
    InvalidDicomError, EOFError, NotImplementedError, ValueError, AttributeError, LookupError, TypeError,
    RecursionError, OverflowError, OSError, struct.error, zlib.error,
)  # fmt: skip  # what pydicom raises on broken bytes; it documents no common ancestor
_HEAD_LIMIT = 2**20
_CHUNK = 2**18
_INFLATED_LIMIT = 2**26
_IN_MEMORY = 2**23  # up to here pydicom reads from memory, which takes half the time
_HALF = 32  # digits

_ACCESSION = 0x00080050
_REQUEST_ATTRIBUTES = 0x00400275
_CONCEPT_NAME_CODE = 0x0040A043
_SHARED_GROUPS, _PER_FRAME_GROUPS, _PIXEL_MEASURES = 0x52009229, 0x52009230, 0x00289110
_SLICE_THICKNESS = 0x00180050
_PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})  # Float, Double Float, Pixel Data

# Laterality, Image Laterality, Patient Orientation, Image Orientation and Image Position (Patient), Patient Position,
# View Position; View Code, Patient Orientation Code and Patient Gantry Relationship Code Sequence; of an enhanced
# object the functional groups as they are, which hold the same for each frame.
_ORIENTATION = (
    0x00200060, 0x00200062, 0x00200020, 0x00200037, 0x00200032, 0x00185100, 0x00185101,
    0x00540220, 0x00540410, 0x00540414, _SHARED_GROUPS, _PER_FRAME_GROUPS,
)  # fmt: skip


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


def read_instance(file: BinaryIO) -> tuple[Header, Digests]:
    """Everything the node wants to know of an instance, from its whole file, which is read once.

    A wrong value is read as absent. Of an instance without pixel data, or with a deflated data set, every difference
    counts as one of the pixels. Raises InvalidData when the file is no DICOM or a UID is missing, OSError when it
    cannot be read.
    """
    quiet.settle()
    if file.seek(0, io.SEEK_END) <= _IN_MEMORY:
        file.seek(0)
        file = io.BytesIO(file.read())
    meta = dataset_offset(file)
    try:
        dataset, pixels_at = _without_pixels(file, meta)
        # Before the header's fields: asking for a sequence's items changes how pydicom holds it.
        orientation, seen = b"".join(_stored(dataset, _ORIENTATION)), b"".join(_stored(dataset, _seen(dataset)))
        header = _header(_Reader(dataset), meta.transfer_syntax, meta.sending_ae)
    except _UNREADABLE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's; pydicom's own has no number
        raise InvalidData("the data set cannot be read", kind=type(error).__name__) from error
    whole, pixels = _hash(file, meta.offset, pixels_at, seen)
    return header, Digests(whole, hashlib.sha256(orientation).hexdigest()[:_HALF], pixels[:_HALF])


def _without_pixels(file: BinaryIO, meta: FileMeta) -> tuple[Dataset, int]:
    """The data set up to its pixel data, and where in the file these begin: at its end where none are to be found."""
    file.seek(meta.offset)
    if meta.transfer_syntax in DEFLATED:
        plain = inflate(file.read(), meta.transfer_syntax, _INFLATED_LIMIT)
        return _read(io.BytesIO(plain), encoding_of(plain, meta.transfer_syntax)), file.tell()
    encoding = encoding_of(file.read(8), meta.transfer_syntax)
    file.seek(meta.offset)
    return _read(file, encoding), file.tell()


def _read(file: BinaryIO, encoding: Encoding) -> Dataset:
    implicit, little = not encoding.explicit, encoding.order == "<"
    return read_dataset(file, implicit, little, stop_when=lambda tag, *_: tag in _PIXEL_DATA)


def _hash(file: BinaryIO, start: int, pixels_at: int, seen: bytes) -> tuple[str, str]:
    """Of the data set that begins at `start`, and of its pixels: what says how they look, and all from `pixels_at`."""
    whole, pixels = hashlib.sha256(), hashlib.sha256(seen)
    end = file.seek(0, io.SEEK_END)
    for chunk in _chunks(file, start, pixels_at):
        whole.update(chunk)
    for chunk in _chunks(file, pixels_at, end):
        whole.update(chunk)
        pixels.update(chunk)
    return whole.hexdigest(), (whole if pixels_at == end else pixels).hexdigest()


def _chunks(file: BinaryIO, start: int, end: int) -> Iterator[bytes | memoryview]:
    """What lies between two places of the file; what is in memory already is not copied."""
    if isinstance(file, io.BytesIO):
        yield file.getbuffer()[start:end]
        return
    file.seek(start)
    while chunk := file.read(min(_CHUNK, end - file.tell())):
        yield chunk


def _seen(dataset: Dataset) -> list[int]:
    """What says how the pixels look: all of group 0028, and the overlays (PS3.3 C.7.6.3, C.9.2)."""
    tags = dataset.keys()  # the data set itself would convert every element
    return [tag for tag in tags if tag >> 16 == 0x0028 or 0x6000 <= tag >> 16 <= 0x60FF]


def _stored(dataset: Dataset, tags: Iterable[int]) -> Iterator[bytes]:
    """The elements with these tags as they are stored, each after its tag and its length or number of items."""
    for tag in tags:
        element = dataset.get_item(tag)
        value = None if element is None else element.value
        if isinstance(value, bytes):
            yield struct.pack(">LL", tag, len(value)) + value
        elif isinstance(value, Iterable):
            items = [item for item in value if isinstance(item, Dataset)]
            yield struct.pack(">LL", tag, len(items))
            for item in items:
                yield struct.pack(">L", len(item))
                yield from _stored(item, item.keys())


def _header(read: "_Reader", transfer_syntax: str, sending_ae: str) -> Header:
    uids = InstanceUids(valid(read.text(_STUDY)), valid(read.text(_SERIES)), valid(read.text(_SOP_INSTANCE)))
    own = read.text(_ACCESSION)
    others = (item.text(_ACCESSION) for item in read.items(_REQUEST_ATTRIBUTES))
    return Header(
        uids=uids,
        sop_class=valid(read.text(_SOP_CLASS)),
        transfer_syntax=transfer_syntax,
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
        sending_ae=sending_ae,
        facts=_facts(read),
    )


def _facts(read: "_Reader") -> SeriesFacts:
    return SeriesFacts(
        modality=read.text(0x00080060),
        sop_class_uid=clean(read.text(_SOP_CLASS)),
        manufacturer=read.text(0x00080070),
        manufacturer_model=read.text(0x00081090),
        image_type=_values(read.text(0x00080008)),
        series_description=read.text(0x0008103E),
        study_description=read.text(0x00081030),
        protocol_name=read.text(0x00181030),
        series_number=_whole(read.text(0x00200011)),
        body_part=read.text(0x00180015),
        number_of_frames=_whole(read.text(0x00280008)),
        image_rows=read.unsigned(0x00280010),
        slice_thickness=_slice_thickness(read),
        scan_options=read.text(0x00180022),
        kernel=read.text(0x00181210),
        concept_name=_concept_name(read),
    )


def _slice_thickness(read: "_Reader") -> float | None:
    """Of the image, else of the functional groups of an enhanced one (PS3.3 C.7.6.16.2.1)."""
    if (own := _number(read.text(_SLICE_THICKNESS))) is not None:
        return own
    for groups in (_SHARED_GROUPS, _PER_FRAME_GROUPS):
        for group in read.items(groups)[:1]:
            for measures in group.items(_PIXEL_MEASURES)[:1]:
                return _number(measures.text(_SLICE_THICKNESS))
    return None


def _concept_name(read: "_Reader") -> str:
    """A document's title as `code|scheme|meaning` (PS3.3 C.17.3)."""
    for item in read.items(_CONCEPT_NAME_CODE)[:1]:
        return "|".join((item.text(0x00080100), item.text(0x00080102), item.text(0x00080104)))
    return ""


class _Reader:
    """Values of one data set or sequence item, straight from the raw elements.

    pydicom's own conversion warns about wrong values and quotes them; here they are just absent.
    """

    def __init__(self, dataset: Dataset, charsets: Sequence[str] = ()) -> None:
        self._dataset = dataset
        own = self.text(0x00080005)
        self._charsets = tuple(term.strip() for term in own.split("\\")) if own else tuple(charsets)

    def text(self, tag: int) -> str:
        """The decoded value without padding, its values joined by backslash; "" when absent."""
        value = self._raw(tag)
        if isinstance(value, bytes):
            charsets = () if tag == 0x00080005 else self._charsets
            return decode(value, charsets).strip("\0 \r\n\t")
        if isinstance(value, str):
            return value.strip("\0 ")
        if isinstance(value, Iterable):
            return "\\".join(str(part) for part in value)
        return "" if value is None else str(value)

    def unsigned(self, tag: int) -> int | None:
        """A US value (two bytes in the data set's byte order)."""
        element = self._dataset.get_item(tag)
        if isinstance(element, RawDataElement) and isinstance(element.value, bytes) and len(element.value) >= 2:
            return int.from_bytes(element.value[:2], "little" if element.is_little_endian else "big")
        return None

    def items(self, tag: int) -> list["_Reader"]:
        """The items of a sequence; none when it is absent or is not one."""
        if self._dataset.get_item(tag) is None:
            return []
        try:
            value = self._dataset[tag].value
        except _UNREADABLE:
            return []
        if not isinstance(value, Iterable):
            return []
        return [_Reader(item, self._charsets) for item in value if isinstance(item, Dataset)]

    def _raw(self, tag: int) -> Any:
        element = self._dataset.get_item(tag)
        return None if element is None else element.value


def _values(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split("\\")) if text else ()


def _number(text: str) -> float | None:
    try:
        value = float(text.partition("\\")[0])
    except ValueError:
        return None
    return value if abs(value) < 1e9 else None


def _whole(text: str) -> int | None:
    value = _number(text)
    return None if value is None else int(value)


def _date(text: str) -> str:
    """A DA, also in the form before 1993 (PS3.5 6.2); "" when it is none."""
    digits = text.replace(".", "")
    return digits if re.fullmatch(r"\d{8}", digits) else ""


def _time(text: str) -> str:
    """A TM, also in the form before 1993; "" when it is none."""
    digits = text.replace(":", "")
    return digits if re.fullmatch(r"(\d{2}){1,3}(\.\d{1,6})?", digits) else ""
