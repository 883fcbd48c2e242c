"""Data sets that begin with group 0002, sent to DCMTK and Orthanc: what arrives is read under its own syntax."""

import json
import subprocess
from pathlib import Path
from urllib.request import urlopen

import pytest
from pydicom import dcmread

from router.dicom.dataset.elements import EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.scu.transcode import transcoded
from router.dicom.ul.pdata import FileSlice
from router.dicom.ul.status import Verdict
from support.dicom_peers import orthanc, send, stored, storescp, tool

CASES = Path(__file__).parents[2] / "cases" / "dicom"
CT = "1.2.840.10008.5.1.4.1.1.2"
NUMBERS = ("45", "46", "404", "461")


def uid(number: str) -> str:
    return f"1.2.826.0.1.3680043.9.7777.{number}.1.1"


@pytest.fixture
def kept(tmp_path: Path) -> dict[str, Path]:
    """The cases as the node keeps them."""
    found = {number: tmp_path / f"{number}.dcm" for number in NUMBERS}
    for number, path in found.items():
        meta = preamble_and_meta(CT, uid(number), EXPLICIT_LITTLE_ENDIAN, "CT01", "ROUTER")
        path.write_bytes(meta + (CASES / f"{number}.dcmds").read_bytes())
    return found


def test_dcmtk_gets_nothing_that_it_calls_invalid_and_labels_its_file_rightly(
    kept: dict[str, Path], tmp_path: Path
) -> None:
    with storescp(tmp_path / "there") as port:
        results = send(port, [stored(path, n) for n, path in enumerate(kept.values())])
    assert {result.verdict for result in results} == {Verdict.STORED}
    for number in NUMBERS:
        path = tmp_path / "there" / f"CT.{uid(number)}"
        dump = subprocess.run([tool("dcmdump"), str(path)], capture_output=True, check=True)
        assert dump.stderr == b""
        assert b"(0002,0010) UI =LittleEndianExplicit" in dump.stdout
        assert b"CT99" not in dump.stdout
        read = dcmread(path)
        assert (read.file_meta.TransferSyntaxUID, read.PatientID) == (EXPLICIT_LITTLE_ENDIAN, f"P{number}")
        assert read.file_meta.MediaStorageSOPInstanceUID == uid(number)


def test_orthanc_reads_it(kept: dict[str, Path], tmp_path: Path) -> None:
    with orthanc(tmp_path) as (port, address):
        results = send(port, [stored(path, n) for n, path in enumerate(kept.values())])
        assert {result.verdict for result in results} == {Verdict.STORED}
        with urlopen(f"{address}/instances?expand") as answer:
            there = {one["MainDicomTags"]["SOPInstanceUID"] for one in json.load(answer)}
    assert there == {uid(number) for number in NUMBERS}


def test_another_syntax_is_written_without_it(kept: dict[str, Path]) -> None:
    for number, path in kept.items():
        head = preamble_and_meta(CT, uid(number), EXPLICIT_LITTLE_ENDIAN, "CT01", "ROUTER")
        strays = path.read_bytes().index(b"\x08\0\x05\0CS") - len(head)
        with path.open("rb") as file:
            start = len(head) + strays
            source = FileSlice(file, start, path.stat().st_size - start)
            with transcoded(path, source, EXPLICIT_LITTLE_ENDIAN, IMPLICIT_LITTLE_ENDIAN) as written:
                written.file.seek(written.offset)
                assert written.file.read(4) == b"\x08\0\x05\0"
