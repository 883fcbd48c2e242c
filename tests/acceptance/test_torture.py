"""A few rounds of scripts/torture; what it is for is hundreds of them."""

import subprocess
from pathlib import Path

import pytest

from support import haproxy
from support.forked_processes import FORK_SERVER

TORTURE = Path(__file__).parents[1] / "torture" / "torture.py"


def torture(folder: Path, *arguments: str, seconds: float = 300) -> "subprocess.CompletedProcess[str]":
    return FORK_SERVER.run_file(TORTURE, [*arguments, "--folder", str(folder)], seconds)


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
    times = ["--seconds", "1", "--warm-up", "1", "--parts", "2", "--rest", "0.2", "--seed", "7183", "--only", "mixed"]
    run = FORK_SERVER.run_file(fuzz, [*times, "--folder", str(tmp_path)], 120)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[2].startswith("| mixed | ")
    assert list(tmp_path.iterdir()) == []
