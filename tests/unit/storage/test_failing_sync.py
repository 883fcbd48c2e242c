"""An fsync that fails once: what it covers counts as not written, for the page is clean afterwards."""

import errno
import hashlib
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from router.catalogue.db.backup import DATABASE, Backups
from router.model import InstanceUids
from router.storage import durable, journal, segment
from router.storage.incoming import Incoming, IncomingFolder, sweep
from router.storage.journal import SEGMENT_BYTES
from router.storage.studies import Filing, Studies
from router.storage.trail import Trail
from support.dicom_peers import wait_until

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)
UIDS = InstanceUids("1.2", "1.2.3", "1.2.3.4")


@contextmanager
def failing(patch: pytest.MonkeyPatch, at: int = 1, *, folders_only: bool = False) -> Iterator[list[int]]:
    """The `at`-th fsync from now on fails, once; `folders_only`: of a folder. How many there were."""
    real, count = os.fsync, [0]

    def fsync(handle: int) -> None:
        if folders_only and not os.path.isdir(f"/proc/self/fd/{handle}"):  # noqa: PTH112
            return real(handle)
        count[0] += 1
        if count[0] == at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(handle)

    with patch.context() as scope:
        scope.setattr(os, "fsync", fsync)
        yield count


def received(folder: IncomingFolder, data: bytes) -> None:
    file = folder.create()
    try:
        file.write([data])
        file.commit(UIDS)
    except OSError:
        file.discard()
        raise


@pytest.mark.parametrize("at", [1, 2])
def test_an_instance_whose_file_or_name_is_not_durable_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    folder = IncomingFolder(tmp_path / "node" / "1", 0)
    with failing(monkeypatch, at), pytest.raises(OSError, match="Input/output"):
        received(folder, b"lost")
    received(folder, b"kept")
    found = Incoming(tmp_path / "node").files(10)
    assert [path.read_bytes() for path in found] == [b"kept"]
    folder.close()


class DsyncFails:
    """The module `os`, in which a synchronous write fails at its `at`-th."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def pwritev(self, *arguments: Any) -> int:
        self.left -= 1
        if self.left == 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return os.pwritev(*arguments)


@pytest.mark.parametrize("at", [1, 2])  # a segment's key, a record
def test_an_instance_that_the_journal_does_not_take_is_a_file_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    folder = IncomingFolder(tmp_path / "node" / "1", 0, journal=2 * SEGMENT_BYTES)
    wait_for_segments(folder)
    with monkeypatch.context() as scope:
        scope.setattr(segment, "os", DsyncFails(at))
        for number in range(4):
            received(folder, b"%d" % number)
    folder.close()
    sweep(tmp_path / "node" / "1")
    found = Incoming(tmp_path / "node").files(10)
    assert sorted({path.read_bytes() for path in found}) == [b"0", b"1", b"2", b"3"]


def test_of_what_the_journal_files_side_by_side_one_that_is_not_durable_is_filed_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_RETRY", 0.05)
    folder = IncomingFolder(tmp_path / "node" / "1", 0, journal=2 * SEGMENT_BYTES)
    wait_for_segments(folder)
    incoming = Incoming(tmp_path / "node")
    with failing(monkeypatch, at=3):
        for number in range(6):
            received(folder, b"%d" % number)
        wait_until(lambda: len(incoming.files(10)) == 6, seconds=20)
    assert [path.read_bytes() for path in incoming.files(10)] == [b"%d" % number for number in range(6)]
    folder.close()
    assert not list(tmp_path.rglob("*.part"))


def wait_for_segments(folder: IncomingFolder) -> None:
    until = time.monotonic() + 20
    while folder._journal is not None and len(folder._journal._free) < 2:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_catalogued_file_whose_folder_is_not_durable_is_filed_once_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = Studies(tmp_path / "studies")
    source = tmp_path / "1.dcm"
    source.write_bytes(b"image")
    filing = Filing(source, UIDS, 1)
    durable.make_folder(tree.path(UIDS, 1).parent)
    with failing(monkeypatch, folders_only=True), pytest.raises(OSError, match="Input/output"):
        tree.file([filing])
    assert not tree.path(UIDS, 1).exists(), "its name counts as not written"
    tree.file([filing])
    assert tree.path(UIDS, 1).read_bytes() == b"image"


def test_a_record_of_the_trail_that_is_not_durable_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Trail(tmp_path / "audit", lambda data: hashlib.sha256(data).digest())
    kept.append(["first"], NOW)
    size = sum(path.stat().st_size for path in kept.folder.glob("*.jsonl"))
    with failing(monkeypatch), pytest.raises(OSError, match="Input/output"):
        kept.append(["second"], NOW)
    assert sum(path.stat().st_size for path in kept.folder.glob("*.jsonl")) == size, "no page that seems written"
    kept.append(["second"], NOW)
    assert [record.message for record in kept.records()] == ["first", "second"]
    assert not kept.verify().faults


def test_a_new_file_of_the_trail_whose_name_is_not_durable_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Trail(tmp_path / "audit", lambda data: hashlib.sha256(data).digest())
    durable.make_folder(kept.folder)
    with failing(monkeypatch, folders_only=True), pytest.raises(OSError, match="Input/output"):
        kept.append(["first"], NOW)
    assert list(kept.folder.glob("*.jsonl")) == []
    kept.append(["first"], NOW)
    assert [record.n for record in kept.records()] == [1]


@pytest.mark.parametrize("at", [1, 2])
def test_a_backup_that_is_not_durable_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    with closing(sqlite3.connect(tmp_path / DATABASE)) as database:
        database.execute("CREATE TABLE schema (version INTEGER)")
        database.execute("INSERT INTO schema VALUES (1)")
        database.commit()
    backups = Backups(tmp_path)
    with failing(monkeypatch, at), pytest.raises(OSError, match="Input/output"):
        backups.make(NOW)
    assert backups.listed() == []
    assert backups.make(NOW).path.exists()
