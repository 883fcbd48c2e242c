"""A short run of scripts/powercut, and a disk whose flush fails once; what the program is for is a thousand states."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "powercut"))

import disk
from history import Base, History, State

from router.crypto.symmetric import sm3
from router.model import InstanceUids
from router.storage.durable import write
from router.storage.incoming import IncomingFolder, sweep
from router.storage.trail import Trail
from support.forked_processes import FORK_SERVER

PROGRAM = Path(disk.__file__).with_name("powercut.py")
NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
CANNOT = {fs: disk.missing(fs) for fs in ("ext4", "xfs")}
needs_ext4 = pytest.mark.skipif(bool(CANNOT["ext4"]), reason=CANNOT["ext4"])


def powercut(*arguments: str, seconds: float = 300) -> "subprocess.CompletedProcess[str]":
    return FORK_SERVER.run_file(PROGRAM, arguments, seconds)


@needs_ext4
def test_nothing_that_was_acknowledged_is_lost_in_a_power_cut() -> None:
    run = powercut("--points", "40", "--seed", "7183", "--life", "brief", "--nodes-whole", "0")
    assert run.returncode == 0, run.stderr
    assert "| states | 40 |" in run.stdout
    assert "| states that fail | 0 |" in run.stdout


@pytest.mark.torture
@pytest.mark.parametrize("fs", ["ext4", "xfs"])
def test_a_thousand_power_cuts(fs: str) -> None:
    if CANNOT[fs]:
        pytest.skip(CANNOT[fs])
    run = powercut("--points", "1000", "--fs", fs, seconds=7200)
    assert run.returncode == 0, run.stdout + run.stderr


def test_where_no_disk_can_be_recorded_the_program_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "root" in disk.missing("ext4")


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    for folder in ("mount", "fuse", "after"):
        with suppress(disk.Call):
            disk.call("umount", "--lazy", tmp_path / folder)


def receive(folder: IncomingFolder, data: bytes) -> None:
    file = folder.create()
    try:
        file.write([data])
        file.commit(InstanceUids("1.2", "1.2.3", "1.2.3.4"))
    except OSError:
        file.discard()
        raise


def tried(work: Callable[[], object]) -> bool:
    try:
        work()
    except OSError:
        return False
    return True


@needs_ext4
@pytest.mark.parametrize("failing", [1, 2, 3, 5, 8])
def test_what_a_failing_flush_covers_is_not_acknowledged(scratch: Path, failing: int) -> None:
    """After the error everything that is acknowledged must be there without what was never flushed."""
    recorded = disk.RecordedDisk(scratch, scratch / "mount")
    trail = Trail(scratch / "mount" / "audit", sm3)
    kept: dict[str, bytes] = {}
    received: list[bytes] = []
    records: list[str] = []
    with recorded.started("ext4"):
        folder = IncomingFolder(scratch / "mount" / "1", 0)
        trail.append(["begin"], NOW)
        recorded.fail_flush(failing)
        for number in range(4):
            data = b"%d" % number * 5000
            received += [data] if tried(lambda data=data: receive(folder, data)) else []  # type: ignore[misc]
            path = scratch / "mount" / "kept" / str(number)
            kept |= {path.name: data} if tried(lambda path=path, data=data: write(path, data)) else {}  # type: ignore[misc]
            text = f"record {number}"
            records += [text] if tried(lambda text=text: trail.append([text], NOW)) else []  # type: ignore[misc]
        folder.close()
        os.close(folder._handle)  # which a worker keeps as long as it lives
        recorded.mark('{"kind": "cut", "key": ""}')
    history = History(recorded.log)
    epoch, _, marks = next(point for point in history.points if point[2] == 1)
    state = State(number=0, epoch=epoch, writes=0, marks=marks, kind="none")
    Base(recorded.first, history).write(state, scratch / "after.img")
    with disk.mounted(scratch / "after.img", scratch / "after", "ext4"):
        sweep(scratch / "after" / "1")
        there = [path.read_bytes() for path in (scratch / "after" / "1").glob("*.dcm")]
        assert set(received) <= set(there)
        assert {name: (scratch / "after" / "kept" / name).read_bytes() for name in kept} == kept
        found = Trail(scratch / "after" / "audit", sm3)
        assert [record.message for record in found.records()][1:] == records
        assert not found.verify().faults
    assert len(received) < 4 or len(kept) < 4 or len(records) < 4, "the error reached somebody"
