"""A few rounds of scripts/torture; what it is for is hundreds of them."""

import subprocess
import sys
from pathlib import Path

import pytest

from support import haproxy
from support.forked_processes import FORK_SERVER

TORTURE = Path(__file__).parents[1] / "torture" / "torture.py"
RUN = "import runpy, sys; path, *sys.argv[1:] = sys.argv[1:]; runpy.run_path(path, run_name='__main__')"


def program(path: Path, *arguments: str, seconds: float = 300) -> "subprocess.CompletedProcess[str]":
    return FORK_SERVER.run(["-c", RUN, str(path), *arguments], seconds)


def torture(folder: Path, *arguments: str, seconds: float = 300) -> "subprocess.CompletedProcess[str]":
    return program(TORTURE, *arguments, "--folder", str(folder), seconds=seconds)


def test_misfortunes_by_chance_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    run = torture(tmp_path, "--seed", "7183", "--first", "4", "--rounds", "2")
    assert run.returncode == 0, run.stderr
    assert "| rounds | 2 |" in run.stdout
    assert "| database locked | 1 |" in run.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(haproxy.program() is None, reason="HAProxy is not installed: as root, apt-get install haproxy")
def test_two_nodes_lose_nothing_and_stand_still_for_no_longer_than_the_lease_and_twenty_seconds(tmp_path: Path) -> None:
    run = torture(tmp_path, "--nodes", "2", "--lease", "1", "--seed", "7183", "--first", "4", "--rounds", "2")
    assert run.returncode == 0, run.stderr
    for kind in ("killed cataloguing", "frozen claiming"):
        assert f"| {kind} | 1 | " in run.stdout
    assert "lost 0, doubled 0" in run.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.torture
def test_a_hundred_misfortunes_of_two_nodes(tmp_path: Path) -> None:
    run = torture(tmp_path, "--nodes", "2", "--rounds", "100", seconds=7200)
    assert run.returncode == 0, run.stdout + run.stderr


def test_broken_input_by_chance_costs_the_node_nothing_that_stays(tmp_path: Path) -> None:
    fuzz = TORTURE.with_name("fuzz.py")
    times = ["--seconds", "1", "--warm-up", "1", "--rest", "0.2", "--seed", "7183", "--only", "mixed"]
    call = [sys.executable, str(fuzz), *times, "--folder", str(tmp_path)]
    run = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[2].startswith("| mixed | ")
    assert list(tmp_path.iterdir()) == []
