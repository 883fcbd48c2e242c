"""The file of results that the database has not taken: it outlives kill, power loss, a full disk, and rot."""

import errno
import os
from pathlib import Path

import pytest

from router.storage.unwritten import UnwrittenFiles

RESULTS = [{"n": n, "name": "张"} for n in range(3)]


def files(folder: Path, node: str = "a") -> UnwrittenFiles:
    return UnwrittenFiles(folder / "unwritten", node)


def test_results_are_there_for_the_next_life_until_they_are_cleared(tmp_path: Path) -> None:
    first = files(tmp_path)
    first.add(RESULTS[:2])
    first.add(RESULTS[2:])
    second = files(tmp_path)
    assert second.read() == RESULTS
    second.reserve()
    second.add(RESULTS[:1])
    assert second.read() == [*RESULTS, RESULTS[0]]
    second.clear()
    second.add(RESULTS[1:2])
    assert files(tmp_path).read() == RESULTS[1:2]


def test_a_line_that_is_cut_off_or_rotten_costs_itself_alone(tmp_path: Path) -> None:
    files(tmp_path).add(RESULTS)
    path = tmp_path / "unwritten" / "a"
    data = path.read_bytes()
    second = data.index(b'"n": 1')
    path.write_bytes(data[:second] + b'"n": 7' + data[second + 6 : -9])
    after = files(tmp_path)
    after.add(RESULTS[:1])
    assert after.read() == [RESULTS[0], RESULTS[0]]


def test_every_byte_may_be_the_last_one_that_reached_the_disk(tmp_path: Path) -> None:
    files(tmp_path).add(RESULTS)
    path = tmp_path / "unwritten" / "a"
    data = path.read_bytes()
    for end in range(len(data)):
        path.write_bytes(data[:end] + bytes(len(data) - end))
        found = files(tmp_path).read()
        assert found == RESULTS[: len(found)]


def test_with_its_room_a_full_disk_takes_results_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = files(tmp_path)
    mine.reserve()
    size, pwrite = (tmp_path / "unwritten" / "a").stat().st_size, os.pwrite

    def full(handle: int, data: bytes, place: int) -> int:
        if place + len(data) > size:
            raise OSError(errno.ENOSPC, "no space left on device")
        return pwrite(handle, data, place)

    monkeypatch.setattr(os, "pwrite", full)
    mine.add(RESULTS)
    mine.clear()
    mine.add(RESULTS)
    assert mine.read() == RESULTS
    with pytest.raises(OSError, match="no space"):
        mine.add([{"n": "x" * size}])
    assert mine.read() == RESULTS


def test_another_node_reads_them_and_removes_them_of_the_dead_only(tmp_path: Path) -> None:
    files(tmp_path).add(RESULTS)
    other = files(tmp_path, "b")
    assert (files(tmp_path / "empty").others(), other.read()) == ([], [])
    other.reserve()
    assert (other.others(), other.read("a")) == (["a"], RESULTS)
    other.forget("a")
    assert (other.others(), files(tmp_path).read()) == ([], [])
