"""dcmjs-dimse, of Node.js, as a sender, a destination and a PACS. It is installed by npm outside the checkout, once."""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid
from test_dicom_peers import Scp, Start, start

from router.config.sections import DicomDestination
from router.dicom.scu.query import QueryClient
from router.dicom.ul.status import Verdict
from support.dicom_peers import SHIPPED, client, data_set, free_port, listens, send, stored, wait_until

__all__ = ["start"]
PACKAGE = "dcmjs-dimse@0.3.3"
PEER = Path(__file__).parents[2] / "support" / "dcmjs_peer.js"
FILES = SHIPPED / "test_files"
SYNTAXES = ("CT_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm",
            "MR_small_bigendian.dcm")  # fmt: skip


@pytest.fixture(scope="module")
def modules() -> Path:
    """The folder of the installed package."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.skip("Node.js with npm is not installed")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "imaging-cloud-router-tests"
    there = cache / PACKAGE
    if not there.is_dir():
        _install(cache, there)
    return there / "node_modules"


def _install(cache: Path, there: Path) -> None:
    """Beside its place first, so that another process sees all of it or nothing."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1",
                       "--fetch-timeout=20000", "--prefix", f"{folder}/made", PACKAGE]  # fmt: skip
            subprocess.run(command, check=True, capture_output=True, timeout=90)
            if not there.is_dir():
                Path(folder, "made").rename(there)
    except (OSError, subprocess.SubprocessError) as error:
        if not there.is_dir():
            pytest.skip(f"{PACKAGE} cannot be installed: {type(error).__name__}")


def dcmjs(modules: Path, *arguments: object) -> list[int]:
    """What it was answered."""
    done = subprocess.run(
        ["node", PEER, *map(str, arguments)], env={**os.environ, "NODE_PATH": str(modules)}, capture_output=True,
        text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found: list[int] = json.loads(done.stdout.splitlines()[-1])  # before it dcmjs names what it does not know
    return found


@contextmanager
def destination(modules: Path, folder: Path, node: int = 0) -> Iterator[int]:
    """Its port. What is there already it has as a PACS, for which the AE ROUTER is at the port `node`."""
    folder.mkdir(exist_ok=True)
    port = free_port()
    command = ["node", str(PEER), "scp", str(port), str(folder), str(node)]
    environment = {**os.environ, "NODE_PATH": str(modules)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: listens(port), 30)
            yield port
        finally:
            process.kill()


def large(folder: Path) -> Path:
    """An instance of 4 MiB."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, generate_uid()
    dataset.StudyInstanceUID = dataset.SeriesInstanceUID = generate_uid()
    dataset.Rows = dataset.Columns = 1448
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelData = numpy.arange(1448 * 1448, dtype="<u2").tobytes()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    path = folder / "large.dcm"
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return path


def several(folder: Path) -> list[Path]:
    """One instance of each syntax, each with a UID of its own, and a large one."""
    paths = []
    for number, name in enumerate(SYNTAXES):
        dataset = pydicom.dcmread(FILES / name)
        dataset.SOPInstanceUID = f"1.2.826.0.1.3680043.9.9999.78.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        paths.append(folder / name)
        pydicom.dcmwrite(paths[-1], dataset, enforce_file_format=True)
    return [*paths, large(folder)]


def assert_equal(there: Path, sent: Path) -> None:
    """It writes elements in its own way, and may convert what is uncompressed: their values are the same."""
    found, given = pydicom.dcmread(there), pydicom.dcmread(sent)
    assert found.SOPInstanceUID == given.SOPInstanceUID
    assert (found.get("PatientID"), found.Rows, found.Columns) == (given.get("PatientID"), given.Rows, given.Columns)
    syntax = given.file_meta.TransferSyntaxUID
    if syntax.is_encapsulated:
        assert found.file_meta.TransferSyntaxUID == syntax
        assert frames(found) == frames(given)
    elif found.file_meta.TransferSyntaxUID == syntax:
        assert found.PixelData == given.PixelData


def frames(dataset: Dataset) -> list[bytes]:
    return list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))


def test_it_verifies_and_sends_several_syntaxes_small_and_large(modules: Path, start: Start, tmp_path: Path) -> None:
    scp: Scp = start()
    assert dcmjs(modules, "echo", scp.port) == [0]
    paths = several(tmp_path)
    assert dcmjs(modules, "store", scp.port, *paths) == [0] * len(paths)
    for path in paths:
        assert_equal(scp.sink.path / f"{pydicom.dcmread(path).SOPInstanceUID}.dcm", path)
    assert not scp.refusals()


def test_it_is_verified_and_gets_our_bytes_in_several_syntaxes_small_and_large(modules: Path, tmp_path: Path) -> None:
    paths = several(tmp_path)
    with destination(modules, tmp_path / "there") as port:
        client(port).echo()
        results = send(port, [stored(path, key) for key, path in enumerate(paths)])
    assert {result.verdict for result in results} == {Verdict.STORED}
    assert len(results) == len(paths)
    for path in paths:
        there = tmp_path / "there" / f"{pydicom.dcmread(path).SOPInstanceUID}.raw"
        assert there.read_bytes() == data_set(path)


def test_as_a_pacs_it_is_asked_for_a_study_and_told_to_send_it(modules: Path, start: Start, tmp_path: Path) -> None:
    scp: Scp = start()
    folder = tmp_path / "pacs"
    folder.mkdir()
    uid = "1.2.826.0.1.3680043.9.9999.77"
    for number in (1, 2):
        dataset = pydicom.dcmread(FILES / "CT_small.dcm")
        dataset.StudyInstanceUID, dataset.SOPInstanceUID = uid, f"{uid}.{number}"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        pydicom.dcmwrite(folder / f"{number}.dcm", dataset, enforce_file_format=True)
    with destination(modules, folder, scp.port) as port:
        pacs = QueryClient(DicomDestination(ae_title="PACS", port=port))
        pacs.echo()
        found = pacs.study(uid, lambda: False)
        assert (found.status, [(one.study_uid, one.instances) for one in found.studies]) == (0, [(uid, 2)])
        assert pacs.study("1.2.3", lambda: False).studies == ()
        moved = pacs.move(uid, "ROUTER", 30, lambda: False)
    assert (moved.status, moved.completed) == (0, 2)
    assert {path.stem for path in scp.sink.path.iterdir()} == {f"{uid}.1", f"{uid}.2"}
