"""Instances to send: valid headers, random pixels, every one with a UID of its own."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from router.dicom.dataset.checksum import new_checksum
from router.dicom.dataset.part10 import dataset_offset, preamble_and_meta
from router.dicom.scu.client import Outgoing

CT_BYTES, SMALL_BYTES, LARGE_BYTES = 500_000, 20_000, 2**30
ROOT = "1.2.826.0.1.3680043.9.9999"
_COLUMNS = 512
_ROW_BYTES = 2 * _COLUMNS
_CHUNK = 2**20


@dataclass(frozen=True, slots=True)
class Kind:
    """What instances are of. Each has `pixel_bytes` of pixels, less what fills no whole frame."""

    modality: str
    sop_class: str
    pixel_bytes: int
    thickness: str = "1.0"

    @property
    def rows(self) -> int:
        """Of each frame."""
        return max(1, min(_COLUMNS, self.pixel_bytes // _ROW_BYTES))

    @property
    def frames(self) -> int:
        """One, but in a large instance."""
        return max(1, self.pixel_bytes // (self.rows * _ROW_BYTES))


CT = Kind("CT", "1.2.840.10008.5.1.4.1.1.2", CT_BYTES)
SMALL = Kind("MR", "1.2.840.10008.5.1.4.1.1.4", SMALL_BYTES)
RADIOGRAPH = Kind("DX", "1.2.840.10008.5.1.4.1.1.1.1", 8_000_000)


@dataclass(frozen=True, slots=True)
class Names:
    """What identifies one instance."""

    study: str
    series: str
    sop_instance: str
    accession_number: str


def instances(folder: Path, number_of: int, pixel_bytes: int, series: int = 1, thickness: str = "1.0") -> Path:
    """`number_of` CT instances of one series in `folder`, which is returned: slices 1 mm apart."""
    folder.mkdir(parents=True, exist_ok=True)
    kind, study = Kind(CT.modality, CT.sop_class, pixel_bytes, thickness), f"{ROOT}.{pixel_bytes}"
    for number in range(1, number_of + 1):
        uid = f"{study}.{series}.{number}"
        _write(folder / f"{number:05d}.dcm", kind, Names(study, f"{study}.{series}", uid, "A1"), number)
    return folder


def count(folder: Path) -> int:
    """How many files are in the folder."""
    return sum(1 for _ in os.scandir(folder))


def work(groups: Sequence[Path], size: int) -> str:
    """What the folders hold, for a title."""
    return f"{sum(map(count, groups)):,} x {size / 1e6:g} MB"


def outgoing(folder: Path) -> list[Outgoing]:
    """The instances of a folder as the node's sender takes them."""
    return [_outgoing(key, path) for key, path in enumerate(sorted(folder.iterdir()))]


class Stream:
    """Studies of one kind without end, in one file: it becomes the next instance when its UIDs are written over."""

    def __init__(self, path: Path, kind: Kind, number: int) -> None:
        self._path = path
        self._root = f"{ROOT}.{1000 + number}"
        self._template = _head(kind, self._names(0, 0))
        _write(path, kind, self._names(0, 0))

    def become(self, study: int, instance: int) -> Outgoing:
        """The instance of that number of the study of that number, both below 9,000."""
        head, old, new = self._template, self._names(0, 0), self._names(study, instance)
        for before, after in (
            (old.sop_instance, new.sop_instance), (old.series, new.series), (old.study, new.study),
            (old.accession_number, new.accession_number),
        ):  # fmt: skip
            head = head.replace(before.encode(), after.encode())
        with self._path.open("r+b") as file:
            file.write(head)
        return _outgoing(instance, self._path)

    def _names(self, study: int, instance: int) -> Names:
        """Of the same length for all, as long as the numbers have four digits."""
        uid = f"{self._root}.{1000 + study}"
        return Names(uid, f"{uid}.1", f"{uid}.1.{1000 + instance}", f"A{uid[-9:]}")


def _outgoing(key: int, path: Path) -> Outgoing:
    with path.open("rb") as file:
        meta = dataset_offset(file)
    return Outgoing(
        key=key,
        path=path,
        sop_class=meta.sop_class,
        sop_instance=meta.sop_instance,
        transfer_syntax=meta.transfer_syntax,
        checksum=_checksum(path, meta.offset),
    )


def _checksum(path: Path, offset: int) -> str:
    """As the ledger has it: the sender compares every data set."""
    found = new_checksum()
    with path.open("rb") as file:
        file.seek(offset)
        while chunk := file.read(_CHUNK):
            found.update(chunk)
    return found.hexdigest()


def _write(path: Path, kind: Kind, names: Names, place: int = 0) -> None:
    """The file, never whole in memory."""
    left = kind.rows * kind.frames * _ROW_BYTES
    with path.open("wb") as file:
        file.write(_head(kind, names, place))
        file.write(b"\xe0\x7f\x10\x00OW\0\0" + left.to_bytes(4, "little"))
        for start in range(0, left, _CHUNK):
            file.write(os.urandom(min(_CHUNK, left - start)))


def _head(kind: Kind, names: Names, place: int = 0) -> bytes:
    """A Part 10 file without its pixels; `place` is the slice's, in mm."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = kind.sop_class, names.sop_instance
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = names.study, names.series
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20260102", "101112", names.accession_number
    dataset.Modality, dataset.Manufacturer, dataset.ImageType = kind.modality, "MAKER", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName, dataset.PatientID = "Bench^Mark", "P1"
    dataset.PatientBirthDate, dataset.PatientSex = "19600501", "F"
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.SliceThickness = 1, 1, kind.thickness
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, place], [1, 0, 0, 0, 1, 0]
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = kind.rows, _COLUMNS, kind.frames
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    content = BytesIO()
    pydicom.dcmwrite(content, dataset, implicit_vr=False, little_endian=True)
    meta = preamble_and_meta(kind.sop_class, names.sop_instance, str(ExplicitVRLittleEndian), "BENCH", "ANY")
    return meta + content.getvalue()
