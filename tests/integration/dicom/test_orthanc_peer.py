"""Orthanc as a sender, a destination and a PACS, over DICOM both ways; DCMTK's C-ECHO both ways."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian
from test_dicom_peers import Scp, Start, start

from router.config.sections import DicomDestination
from router.dicom.scu.query import QueryClient
from router.dicom.ul.status import Verdict
from support.dicom_peers import CT, SHIPPED, client, data_set, orthanc, send, stored, storescp, tool

__all__ = ["start"]
FILES = SHIPPED / "test_files"
SYNTAXES = ("CT_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm")
ROOT = "1.2.826.0.1.3680043.9.9999.79"


@dataclass
class Peer:
    """Orthanc with the modality `router` at `node`, and what it was sent: paths by SOP instance."""

    port: int
    url: str
    node: Scp
    sent: dict[str, Path]

    def ask(self, path: str, body: object = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/{path}", data), timeout=30) as found:
            return json.loads(found.read() or b"null")


@pytest.fixture
def peer(start: Start, tmp_path: Path) -> Iterator[Peer]:
    """One start for all: it takes seconds."""
    node = start()
    modality = {"router": ["ROUTER", "127.0.0.1", node.port]}
    with orthanc(tmp_path, DicomAet="PACS", DicomModalities=modality, DicomCheckCalledAet=True) as (port, url):
        yield Peer(port, url, node, several(tmp_path))


def several(folder: Path) -> dict[str, Path]:
    """An instance of each syntax, and one of 4 MiB, of one study."""
    found = {}
    for number, name in enumerate((*SYNTAXES, "large")):
        dataset = pydicom.dcmread(CT if name == "large" else FILES / name)
        dataset.StudyInstanceUID, dataset.SOPInstanceUID = ROOT, f"{ROOT}.{number}"
        dataset.SeriesInstanceUID, dataset.AccessionNumber = f"{ROOT}.9.{number}", "ACC79"
        dataset.PatientID, dataset.PatientName = "P79", "张三"
        dataset.SpecificCharacterSet = "GB18030"
        if name == "large":
            dataset.Rows = dataset.Columns = 1448
            dataset["PixelData"].value = numpy.arange(1448 * 1448, dtype="<u2").tobytes()
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        path = folder / f"{number}.dcm"
        pydicom.dcmwrite(path, dataset, enforce_file_format=True)
        found[str(dataset.SOPInstanceUID)] = path
    return found


def test_orthanc_and_the_node_verify_send_ask_and_are_sent(peer: Peer) -> None:
    destination = {"ae_title": "PACS"}
    client(peer.port, **destination).echo()
    results = send(peer.port, [stored(path, key) for key, path in enumerate(peer.sent.values())], **destination)
    assert {result.verdict for result in results} == {Verdict.STORED}
    assert len(peer.ask("instances")) == len(peer.sent)

    pacs = QueryClient(DicomDestination(ae_title="PACS", port=peer.port))
    pacs.echo()
    for found in (pacs.study(ROOT, lambda: False), pacs.of_accession("ACC79", lambda: False)):
        assert (found.status, [(one.study_uid, one.instances) for one in found.studies]) == (0, [(ROOT, 5)])
    assert pacs.study("1.2.3", lambda: False).studies == ()
    moved = pacs.move(ROOT, "ROUTER", 30, lambda: False)
    assert (moved.status, moved.completed, moved.failed) == (0, len(peer.sent), 0)
    assert_equal(peer)

    for path in peer.node.sink.path.iterdir():
        path.unlink()
    assert peer.ask("modalities/router/echo", {}) == {}
    (study,) = peer.ask("studies")
    done = peer.ask("modalities/router/store", {"Resources": [study], "Synchronous": True})
    assert (done["InstancesCount"], done["FailedInstancesCount"]) == (len(peer.sent), 0)
    assert_equal(peer)
    assert not peer.node.refusals()


def assert_equal(peer: Peer) -> None:
    """What has come is what Orthanc was sent, in its syntax or another one that is uncompressed."""
    assert {path.stem for path in peer.node.sink.path.iterdir()} == set(peer.sent)
    for uid, path in peer.sent.items():
        there, given = pydicom.dcmread(peer.node.sink.path / f"{uid}.dcm"), pydicom.dcmread(path)
        assert (there.StudyInstanceUID, there.Rows) == (ROOT, given.Rows)
        assert there.PixelData == given.PixelData
        assert there.file_meta.TransferSyntaxUID.is_encapsulated == given.file_meta.TransferSyntaxUID.is_encapsulated


def test_dcmtk_and_the_node_verify_and_send_large_instances(start: Start, tmp_path: Path) -> None:
    node = start()
    subprocess.run([tool("echoscu"), "-aec", "ROUTER", "127.0.0.1", str(node.port)], check=True, timeout=20)
    paths = several(tmp_path)
    large = paths[f"{ROOT}.4"]
    command = [tool("storescu"), "-xi", "-aec", "ROUTER", "127.0.0.1", str(node.port), str(large)]
    subprocess.run(command, check=True, timeout=20)
    there = pydicom.dcmread(node.sink.path / f"{ROOT}.4.dcm")
    assert there.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert (there.PatientName, there.PixelData) == ("张三", pydicom.dcmread(large).PixelData)
    with storescp(tmp_path / "there", "+xa") as port:
        client(port).echo()
        results = send(port, [stored(path, key) for key, path in enumerate(paths.values())])
    assert [result.verdict for result in results] == [Verdict.STORED] * len(paths)
    for uid, path in paths.items():
        (kept,) = (tmp_path / "there").glob(f"*.{uid}")
        assert data_set(kept) == data_set(path)
