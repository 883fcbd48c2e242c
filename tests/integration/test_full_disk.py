"""A disk that is really full: instances are refused for now, everything else goes on, and so does receiving later."""

import resource
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from peers import client, made, send, stored
from router.dicom.admission import Admission
from router.dicom.server import StorageServer
from router.dicom.status import Verdict
from router.dicom.store import Received, Refused
from router.storage.incoming import IncomingFolder
from wire import COMMAND, DATA, GOOD, LAST, associated, data_set, p_data, status, store_command

MIB = 2**20
PIXELS = 2**16
LARGE = (
    p_data(store_command(), COMMAND | LAST)
    + p_data(data_set(pixels=MIB)[:-MIB], DATA)
    + p_data(bytes(PIXELS), DATA) * (MIB // PIXELS)
    + p_data(b"", LAST)
)


class SmallDisk:
    """A file system of 8 MiB; `fill` leaves so many bytes of it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._filler = path / "filler"

    def fill(self, leave: int) -> None:
        self._filler.write_bytes(bytes(shutil.disk_usage(self.path).free - leave))

    def empty(self) -> None:
        self._filler.unlink(missing_ok=True)


class LimitedFiles:
    """Where no file system can be mounted: files that can grow no longer than what `fill` leaves."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self, leave: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (leave, self._before[1]))

    def empty(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, self._before)


Disk = SmallDisk | LimitedFiles


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    path = tmp_path / "disk"
    path.mkdir()
    call = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(call, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    disk = SmallDisk(path) if mounted else LimitedFiles(path)
    yield disk
    disk.empty()
    if mounted:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


class Node:
    """A server of ours that writes to a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.outcomes: list[Received | Refused] = []
        self.server = StorageServer(IncomingFolder(folder, 0), admission=Admission(), record=self.outcomes.append)
        self.port = self.server.start("127.0.0.1", 0)

    def files(self) -> list[str]:
        return sorted(path.suffix for path in self.folder.iterdir())


@pytest.fixture
def node(disk: Disk) -> Iterator[Node]:
    node = Node(disk.path / "incoming")
    yield node
    node.server.stop(2)


def test_a_disk_that_fills_up_within_an_instance_is_answered_with_a700_and_the_association_goes_on(
    node: Node, disk: Disk
) -> None:
    disk.fill(leave=MIB // 4)
    with associated(node.port) as peer:
        for _ in range(3):  # what was written of one is not in the way of the next
            peer.sendall(LARGE)
            assert status(peer) == 0xA700
            assert node.files() == []
        peer.sendall(GOOD)
        assert status(peer) == 0
        disk.empty()
        peer.sendall(LARGE)
        assert status(peer) == 0
    assert node.files() == [".dcm", ".dcm"]
    refused = [outcome for outcome in node.outcomes if isinstance(outcome, Refused)]
    assert {(one.status, one.reason.partition(":")[0]) for one in refused} == {(0xA700, "cannot write")}


def test_a_full_disk_stops_neither_echo_nor_forwarding_and_receiving_goes_on_by_itself(
    node: Node, disk: Disk, tmp_path: Path
) -> None:
    kept = [stored(made(disk.path, number), number) for number in range(3)]
    cloud = Node(tmp_path / "cloud")
    disk.fill(leave=0)
    try:
        [refused] = send(node.port, kept[:1])
        assert (refused.status, refused.verdict) == (0xA700, Verdict.LATER)
        client(node.port).echo()
        if isinstance(disk, SmallDisk):  # else the cloud's files are limited, too
            assert [result.verdict for result in send(cloud.port, kept)] == [Verdict.STORED] * 3
        disk.empty()
        assert [result.verdict for result in send(node.port, kept)] == [Verdict.STORED] * 3
    finally:
        cloud.server.stop(2)
    assert node.files() == [".dcm"] * 3
