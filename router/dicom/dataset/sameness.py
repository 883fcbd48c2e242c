"""Sameness of two data sets with one SOP Instance UID: another encoding, a re-processed image, or another version.

They are compared from their files, and only when a UID comes again. Two lossless encodings are compared by their
samples; a compressed one needs a decoder ([decompress]).
"""

import hashlib
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.pixels import get_decoder  # type: ignore[attr-defined]  # its documented place

from router.dicom.dataset import tags
from router.dicom.dataset.dataset import DataSet, Elements, read_elements
from router.dicom.dataset.decoders import decodable
from router.dicom.dataset.elements import EXPLICIT_BIG_ENDIAN, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from router.dicom.dataset.parsed import parsed
from router.errors import InvalidData

_NATIVE = frozenset({IMPLICIT_LITTLE_ENDIAN, EXPLICIT_LITTLE_ENDIAN, EXPLICIT_BIG_ENDIAN, "1.2.840.10008.1.2.1.99"})
# RLE, JPEG Lossless, JPEG-LS Lossless, JPEG 2000 Lossless, HTJ2K Lossless, JPEG XL Lossless.
_LOSSLESS = _NATIVE | {
    f"1.2.840.10008.1.2.{rest}" for rest in ("5", "4.57", "4.70", "4.80", "4.90", "4.201", "4.202", "4.110")
}
_LARGEST = 512 * 2**20  # bytes of a file; samples of larger ones are not compared
# Elements that re-processing writes: Image Type, Instance Creation, Acquisition and Content Date and Time, Derivation
# Description; and Lossy Image Compression.
_REPROCESSED = (
    tags.IMAGE_TYPE, 0x00080012, 0x00080013, 0x00080022, 0x0008002A, 0x00080032, 0x00080023, 0x00080033,
    tags.DERIVATION_DESCRIPTION,
)  # fmt: skip
_IDENTITY = (tags.PATIENT_NAME, tags.PATIENT_ID, tags.ACCESSION_NUMBER)  # the identity has rules of its own
_SHAPE = (
    tags.SAMPLES_PER_PIXEL, tags.ROWS, tags.COLUMNS, tags.BITS_ALLOCATED, tags.BITS_STORED, tags.PIXEL_REPRESENTATION,
)  # fmt: skip
_LOSSY = 0x00282110
_DEEPEST = 32  # nested sequences; deeper ones are compared as stored
_ENCODING = frozenset({tags.PHOTOMETRIC, tags.PLANAR_CONFIGURATION, _LOSSY})


class Likeness(StrEnum):
    """Relation of a data set to an earlier one of its SOP Instance UID."""

    SAME = "another encoding of the same image"
    ASSUMED = "another encoding under the same header; its samples cannot be compared here (install [decompress])"
    REPROCESSED = "re-processed"
    UNEXPLAINED = "other samples, and nothing in the header says why"
    OTHER = "another version"


def likeness(earlier: Path, later: Path) -> Likeness:
    """Compare two files of one instance. One that cannot be read, or is no image, is another version."""
    try:
        one, other = _read(earlier), _read(later)
    except (InvalidData, OSError):
        return Likeness.OTHER
    if _differ(one, other, _REPROCESSED) or (one.text(_LOSSY) == "01") != (other.text(_LOSSY) == "01"):
        return Likeness.REPROCESSED
    if _differ(one, other, _IDENTITY) or not {one.meta.transfer_syntax, other.meta.transfer_syntax} <= _LOSSLESS:
        return Likeness.OTHER
    return _by_samples(earlier, later, one, other) if _shape(one) == _shape(other) else Likeness.UNEXPLAINED


def _by_samples(earlier: Path, later: Path, one: DataSet, other: DataSet) -> Likeness:
    try:
        same = _same_samples(earlier, later)
    except MemoryError:
        raise
    except Exception:  # noqa: BLE001  # a parser of foreign files may raise anything: then sameness is not proved
        return Likeness.OTHER
    if same is None:
        return Likeness.ASSUMED if _content(one) == _content(other) else Likeness.OTHER
    if not same:
        return Likeness.UNEXPLAINED
    return Likeness.SAME if _looks(one) == _looks(other) else Likeness.OTHER


def _looks(read: Elements) -> dict[int, object]:
    """The elements that say how the samples look, except those of their encoding."""
    found: dict[int, object] = {}
    for tag in read.spans:
        if tags.is_about_looks(tag) and tag not in _ENCODING:
            stored = _value(read, tag)
            single = isinstance(stored, bytes) and len(read.stored([tag])) == 10  # a number, in either byte order
            found[tag] = read.unsigned(tag) if single else stored
    photometric = read.text(tags.PHOTOMETRIC)
    return found | {tags.PHOTOMETRIC: photometric if photometric.startswith(("MONO", "PALETTE")) else "colour"}


def _read(path: Path) -> DataSet:
    """The elements of an image; InvalidData where it is none."""
    with path.open("rb") as file:
        read = read_elements(file)
    if read.unsigned(tags.ROWS) is None:
        raise InvalidData("no image")
    return read


def _differ(one: Elements, other: Elements, compared: tuple[int, ...]) -> bool:
    return any(one.text(tag) != other.text(tag) for tag in compared)


def _shape(read: Elements) -> tuple[object, ...]:
    return (*(read.unsigned(tag) for tag in _SHAPE), read.text(tags.NUMBER_OF_FRAMES) or "1")


def _same_samples(earlier: Path, later: Path) -> bool | None:
    """None when that is not known here. Raises one of UNDECODABLE for broken pixel data."""
    if max(path.stat().st_size for path in (earlier, later)) > _LARGEST:
        return None
    try:
        one, other = parsed(earlier), parsed(later)
        if (layout := _layout(one)) is not None and layout == _layout(other):
            return _padded(one.PixelData) == _padded(other.PixelData)
        return _samples(one) == _samples(other)
    except InvalidData:
        return None


def _layout(dataset: Dataset) -> tuple[object, ...] | None:
    """The layout of native samples; None when they are compressed."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in _NATIVE:
        return None
    return syntax == EXPLICIT_BIG_ENDIAN, dataset.get("PhotometricInterpretation"), dataset.get("PlanarConfiguration")


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


def _samples(dataset: Dataset) -> str:
    """A digest of the decoded frames; InvalidData when no decoder is installed."""
    syntax = dataset.file_meta.TransferSyntaxUID
    if find_spec("numpy") is None or not (syntax in _NATIVE or decodable(syntax)):
        raise InvalidData("nothing here decodes the pixel data")
    total = hashlib.sha256()
    for array, _ in get_decoder(syntax).iter_array(dataset):
        total.update(f"{array.shape} {array.dtype.kind}{array.dtype.itemsize}".encode())
        total.update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    return total.hexdigest()


def _content(read: Elements, depth: int = _DEEPEST) -> dict[int, object]:
    """The values, independent of the encoding, without those that describe the encoding of pixel data."""
    return {tag: _value(read, tag, depth) for tag in read.spans if tag not in _ENCODING and tag & 0xFFFF}


def _value(read: Elements, tag: int, depth: int = 1) -> object:
    items = read.items(tag) if depth else []
    return tuple(_content(item, depth - 1) for item in items) if items else read.stored([tag])[8:].rstrip(b"\0 ")
