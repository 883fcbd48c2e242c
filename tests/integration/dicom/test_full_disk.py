"""A disk that is really full: instances are refused for now, everything else goes on, and so does receiving later."""

import resource
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.ul.status import Verdict
from router.storage.incoming import IncomingFolder
from router.storage.journal import LARGEST, SEGMENT_BYTES
from support.dicom_peers import client, made, send, stored, wait_until
from support.raw_pdus import COMMAND, DATA, GOOD, LAST, associated, data_set, p_data, status, store_command

KIB = 2**10


def instance(pixels: int) -> bytes:
    """A C-STORE request of so many bytes of pixels, a multiple of 64 KiB, in P-DATA of 64 KiB."""
    beginning = data_set(pixels=pixels)[:-pixels]
    values = p_data(bytes(64 * KIB), DATA) * (pixels // (64 * KIB))
    return p_data(store_command(), COMMAND | LAST) + p_data(beginning, DATA) + values + p_data(b"", LAST)


SMALL, LARGE = instance(128 * KIB), instance(2 * LARGEST)


class SmallDisk:
    """A file system of 24 MiB; `fill` leaves so many bytes of it."""

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
    call = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(path)]
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

    def __init__(self, folder: Path, journal: int = 0) -> None:
        self.folder = folder
        self.outcomes: list[Received | Refused] = []
        self.sink = IncomingFolder(folder, 0, journal)
        self.server = StorageServer(self.sink, admission=Admission(), record=self.outcomes.append)
        self.port = self.server.start("127.0.0.1", 0)
        wait_until(lambda: self.segments() == journal // SEGMENT_BYTES)

    def segments(self) -> int:
        """How many of the journal are whole."""
        return sum(path.stat().st_blocks * 512 >= SEGMENT_BYTES for path in self.folder.iterdir())

    def has(self, *endings: str) -> bool:
        """Whether there are files of just these endings, beside the journal's."""
        return sorted(path.suffix for path in self.folder.iterdir() if path.suffix in {".dcm", ".part"}) == [*endings]

    def stop(self) -> None:
        self.server.stop(2)
        self.sink.close()


@pytest.fixture(params=[0, SEGMENT_BYTES], ids=["without journal", "with journal"])
def node(disk: Disk, request: pytest.FixtureRequest) -> Iterator[Node]:
    node = Node(disk.path / "incoming", request.param)
    yield node
    node.stop()


def test_a_disk_that_fills_up_within_an_instance_is_answered_with_a700_and_the_association_goes_on(
    node: Node, disk: Disk
) -> None:
    disk.fill(leave=256 * KIB)
    with associated(node.port) as peer:
        for _ in range(3):  # what was written of one is not in the way of the next
            peer.sendall(LARGE)
            assert status(peer) == 0xA700
            assert node.has()
        peer.sendall(GOOD)
        assert status(peer) == 0
        disk.empty()
        peer.sendall(LARGE)
        assert status(peer) == 0
    wait_until(lambda: node.has(".dcm", ".dcm"))
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
        cloud.stop()
    wait_until(lambda: node.has(".dcm", ".dcm", ".dcm"))


@pytest.mark.parametrize("node", [SEGMENT_BYTES], indirect=True, ids=["with journal"])
def test_what_the_journal_took_and_the_full_disk_did_not_is_filed_when_there_is_room(node: Node, disk: Disk) -> None:
    if not isinstance(disk, SmallDisk):
        pytest.skip("no file system can be mounted here: that takes root")
    disk.fill(leave=64 * KIB)
    with associated(node.port) as peer:
        peer.sendall(SMALL)
        assert status(peer) == 0
        time.sleep(0.7)  # it is filed within half a second, or would be
        assert not node.has(".dcm")
        disk.empty()
        wait_until(lambda: node.has(".dcm"))
    [kept] = node.folder.glob("*.dcm")
    assert kept.read_bytes().endswith(data_set(pixels=128 * KIB))
