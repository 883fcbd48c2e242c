"""Instances to send: valid headers, random pixels, every one with a UID of its own."""

import os
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from router.dicom.part10 import preamble_and_meta

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
ROOT = "1.2.826.0.1.3680043.9.9999"


def instances(folder: Path, count: int, pixel_bytes: int, series: int = 1, thickness: str = "1.0") -> list[Path]:
    """`count` CT instances with that many bytes of pixel data, in `folder`: slices of one series, 1 mm apart."""
    folder.mkdir(parents=True, exist_ok=True)
    return [
        _instance(folder / f"{number:05d}.dcm", series, number, pixel_bytes, thickness)
        for number in range(1, count + 1)
    ]


def _instance(path: Path, series: int, number: int, pixel_bytes: int, thickness: str) -> Path:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT_CLASS, f"{ROOT}.{pixel_bytes}.{series}.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = f"{ROOT}.{pixel_bytes}", f"{ROOT}.{pixel_bytes}.{series}"
    dataset.StudyDate, dataset.StudyTime, dataset.AccessionNumber = "20260102", "101112", "A1"
    dataset.Modality, dataset.Manufacturer, dataset.ImageType = "CT", "MAKER", ["ORIGINAL", "PRIMARY", "AXIAL"]
    dataset.PatientName, dataset.PatientID = "Bench^Mark", "P1"
    dataset.SeriesNumber, dataset.InstanceNumber, dataset.SliceThickness = series, number, thickness
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    rows = max(1, min(512, pixel_bytes // 1024))
    dataset.Rows, dataset.Columns, dataset.NumberOfFrames = rows, 512, max(1, pixel_bytes // (rows * 1024))
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.add_new(0x7FE00010, "OW", os.urandom(min(pixel_bytes, 2**20)) * max(1, pixel_bytes // 2**20))
    with path.open("wb") as file:
        syntax = str(ExplicitVRLittleEndian)
        file.write(preamble_and_meta(CT_CLASS, str(dataset.SOPInstanceUID), syntax, "BENCH", "ANY"))
        pydicom.dcmwrite(file, dataset, implicit_vr=False, little_endian=True)
    return path
