"""The file that a running node leaves in its data folder, and the lock that proves what the file cannot."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.storage.lock import is_held, lock
from router.storage.running import Listener, Running, RunningFiles

LISTENERS = (Listener("DICOM", "0.0.0.0", 104), Listener("admin", "::1", 8080))


def running(node: str = "a", **changes: str) -> Running:
    texts = {
        "started": "2026-03-02T09:00:00Z",
        "scheme": "http",
        "configuration": "/etc/路由.toml",
        "digest": "00",
    }
    return Running(node=node, pid=7, listeners=LISTENERS, **{**texts, **changes})


def test_what_is_left_is_read_by_the_node_s_name_and_goes_when_it_is_taken_away(tmp_path: Path) -> None:
    files = RunningFiles(tmp_path)
    assert (files.read("a"), files.all()) == (None, [])
    for node in ("b", "a", "a"):
        files.write(running(node))
    assert files.read("a") == running("a")
    assert [one.node for one in files.all()] == ["a", "b"]
    admin = running().admin
    assert admin is not None
    assert admin.port == 8080
    files.remove("a")
    files.remove("a")
    assert [one.node for one in files.all()] == ["b"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=60) | st.sampled_from([b"{}", b"[]", b"3", b'{"node": 1, "pid": "x", "listeners": [[]]}']))
def test_whatever_else_is_in_its_place_is_no_file(tmp_path: Path, rubbish: bytes) -> None:
    files = RunningFiles(tmp_path)
    files.write(running())
    (tmp_path / "running" / "a.json").write_bytes(rubbish)
    assert (files.read("a"), files.all()) == (None, [])


def test_a_lock_is_seen_without_taking_it_and_nothing_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "a"
    assert not is_held(folder)
    assert not folder.exists()
    folder.mkdir()
    handle = lock(folder, "a")
    assert is_held(folder)
    os.close(handle)
    assert not is_held(folder)
    os.close(lock(folder, "a"))


def test_only_its_owner_reads_the_file(tmp_path: Path) -> None:
    RunningFiles(tmp_path).write(running())
    assert (tmp_path / "running").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "running" / "a.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["admin", "DICOM"])
def test_without_a_listener_of_the_administrator_there_is_none(name: str) -> None:
    one = Running(
        node="a", pid=1, started="", listeners=(Listener(name, "h", 1),), scheme="http", configuration="", digest=""
    )  # fmt: skip
    assert (one.admin is None) == (name != "admin")
