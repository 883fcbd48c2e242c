"""Accession numbers, as from a worklist, for studies whose headers identify nobody for certain."""

import struct
import zlib
from dataclasses import replace
from pathlib import Path

from router.dicom.dataset.dataset import DataSet, read_elements
from router.dicom.dataset.elements import DEFLATED, Encoding
from router.dicom.dataset.tags import ACCESSION_NUMBER, SOP_INSTANCE
from router.exam.key import ExamPatient
from router.matching.patient.identity import IdentityPolicy, StudyIdentity, compare
from router.trial.demo.report import invented_accession_number, spoken_name
from router.trial.demo.studies import DemoFile, DemoStudy, read_studies

_PATIENT_ID = "Patient.PatientId"
_NO_ZLIB_HEADER = -zlib.MAX_WBITS
_HEAD = 8  # bytes of tag, VR and length of an SH (PS3.5 7.1)


def has_evidence(study: DemoStudy) -> bool:
    """Whether the header agrees with an exam of its patient and order as far as [identity] demands by default."""
    patient, policy = study.patient, IdentityPolicy()
    exam = ExamPatient({_PATIENT_ID: patient.patient_id}, spoken_name(study), patient.birth_date, patient.sex)
    found = compare(exam, study.accession_number, StudyIdentity(patient, study.accession_number), policy)
    return found.evidence >= policy.evidence


def ordered(study: DemoStudy, folder: Path) -> DemoStudy:
    """The study where its header has evidence, else copies with an accession number, where they read as one study."""
    if has_evidence(study):
        return study
    folder = folder / study.uid
    folder.mkdir(parents=True)
    number = invented_accession_number(study)
    copies = read_studies(_copy(file, number, folder / f"{n}.dcm") for n, file in enumerate(study.files))
    if len(copies) != 1 or len(copies[0].files) != len(study.files):
        return study
    return replace(copies[0], accession_number=number)


def _copy(file: DemoFile, accession_number: str, path: Path) -> Path:
    """Copy all but Accession Number byte for byte, since real files break rules."""
    with file.path.open("rb") as opened:
        read = read_elements(opened)
    written = file.path.read_bytes()
    meta, data = written[: read.meta.offset], written[read.meta.offset :]
    deflated = file.transfer_syntax in DEFLATED
    number = accession_number.encode("ascii") + b" " * (len(accession_number) % 2)
    data = zlib.decompress(data, _NO_ZLIB_HEADER) if deflated else data
    start, stop = _place(read)
    data = data[:start] + _element(read.encoding, number) + data[stop:]
    path.write_bytes(meta + (_deflated(data) if deflated else data))
    return path


def _deflated(data: bytes) -> bytes:
    """PS3.5 A.5: RFC 1951, padded to an even length."""
    packer = zlib.compressobj(wbits=_NO_ZLIB_HEADER)
    packed = packer.compress(data) + packer.flush()
    return packed + b"\0" * (len(packed) % 2)


def _place(read: DataSet) -> tuple[int, int]:
    """The place in the data set where Accession Number begins and ends; of no length where it is to be inserted.

    Only short elements stand between SOP Instance UID, which every instance has, and this number.
    """
    if ACCESSION_NUMBER in read.spans:
        _, value, stop = read.spans[ACCESSION_NUMBER]
        return value - _HEAD, stop
    stop = max(stop for tag, (_, _, stop) in read.spans.items() if SOP_INSTANCE <= tag < ACCESSION_NUMBER)
    return stop, stop


def _element(encoding: Encoding, value: bytes) -> bytes:
    order = encoding.order
    if encoding.explicit:
        return struct.pack(f"{order}HH2sH", *divmod(ACCESSION_NUMBER, 1 << 16), b"SH", len(value)) + value
    return struct.pack(f"{order}HHL", *divmod(ACCESSION_NUMBER, 1 << 16), len(value)) + value
