"""DICOM files and peers that several tests use: what pydicom ships, small instances of our own, DCMTK, Orthanc."""

import json
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian

from router.config.sections import DicomDestination
from router.dicom.dataset.header import read_instance
from router.dicom.dataset.part10 import dataset_offset, preamble_and_meta
from router.dicom.scu.client import Outgoing, Result, StorageClient, Waits
from router.errors import InvalidData, RouterError
from router.model import Header

SHIPPED = Path(pydicom.data.__file__).parent
CT = SHIPPED / "test_files" / "CT_small.dcm"
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
_NOT_GIVEN_OUT = range(10_000, 32_000)  # below Linux's ip_local_port_range


def data_set(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(dataset_offset(file).offset)
        return file.read()


def read_header(path: Path) -> Header:
    with path.open("rb") as file:
        return read_instance(file)[0]


def stored(path: Path, key: int = 0) -> Outgoing:
    with path.open("rb") as file:
        header, digests = read_instance(file)
    return Outgoing(
        key=key,
        path=path,
        sop_class=header.sop_class,
        sop_instance=header.uids.sop,
        transfer_syntax=header.transfer_syntax,
        checksum=digests.checksum,
    )


def everything_shipped(folder: Path) -> list[Outgoing]:
    """The data sets that pydicom ships, under a group 0002 that agrees with them; several share a SOP instance."""
    items: list[Outgoing] = []
    for path in sorted([*SHIPPED.glob("test_files/*.dcm"), *SHIPPED.glob("charset_files/*.dcm")]):
        try:
            header = read_header(path)
        except InvalidData:
            continue
        meta = preamble_and_meta(header.sop_class, header.uids.sop, header.transfer_syntax, "MAKER", "US")
        (folder / path.name).write_bytes(meta + data_set(path))
        items.append(stored(folder / path.name, len(items)))
    return items


def client(port: int, **changes: object) -> StorageClient:
    return StorageClient(
        DicomDestination.model_validate({"port": port, **changes}),
        Waits(connect=2, association=3, write=5, response=5, release=2),
    )


def send(port: int, items: Sequence[Outgoing], **changes: object) -> list[Result]:
    return list(client(port, **changes).send(items, lambda: False))


def made(folder: Path, number: int, *, sop_class: str = CT_CLASS) -> Path:
    """A small instance of our own."""
    uid = f"1.2.826.0.1.3680043.9.9999.{number}"
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, uid
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    path = folder / f"{number}.dcm"
    with path.open("wb") as file:
        file.write(preamble_and_meta(sop_class, uid, ImplicitVRLittleEndian, "MAKER", "US"))
        pydicom.dcmwrite(file, dataset, implicit_vr=True, little_endian=True)
    return path


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"DCMTK's {name} is not installed")
    return path


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    """DCMTK's receiver, +B: it writes the data set exactly as received."""
    port = free_port()
    folder.mkdir(exist_ok=True)
    process = subprocess.Popen(
        [tool("storescp"), "+B", "-od", str(folder), *options, str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: listens(port))
        yield port
    finally:
        process.kill()
        process.wait()


def free_port() -> int:
    """For a program that cannot ask the system for a port: one that the system gives nobody else meanwhile."""
    for port in random.SystemRandom().sample(_NOT_GIVEN_OUT, 1000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@contextmanager
def orthanc(folder: Path, **settings: object) -> Iterator[tuple[int, str]]:
    """DICOM port and address of the REST interface."""
    program = shutil.which("Orthanc", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("Orthanc is not installed")
    dicom, http = free_port(), free_port()
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps({
        "StorageDirectory": str(folder / "storage"), "IndexDirectory": str(folder / "storage"),
        "DicomPort": dicom, "HttpPort": http, "RemoteAccessAllowed": False, "Plugins": [],
        "UnknownSopClassAccepted": True, "OverwriteInstances": True, **settings,
    }))  # fmt: skip
    with subprocess.Popen([program, str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as peer:
        try:
            wait_until(lambda: answers(dicom, ae_title=settings.get("DicomAet", "ORTHANC")), 40)
            yield dicom, f"http://127.0.0.1:{http}"
        finally:
            peer.kill()


def answers(port: int, **changes: object) -> bool:
    """Whether a C-ECHO succeeds: a peer that listens may not take associations yet."""
    try:
        client(port, **changes).echo()
    except RouterError:
        return False
    return True


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)
