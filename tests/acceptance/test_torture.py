"""A few rounds of scripts/torture; what it is for is hundreds of them."""

import subprocess
import sys
from pathlib import Path

TORTURE = Path(__file__).parents[1] / "torture" / "torture.py"


def test_misfortunes_by_chance_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    call = [sys.executable, str(TORTURE), "--seed", "7183", "--first", "4", "--rounds", "2", "--folder", str(tmp_path)]
    run = subprocess.run(call, capture_output=True, text=True, timeout=90, check=False)
    assert run.returncode == 0, run.stderr
    assert "| rounds | 2 |" in run.stdout
    assert "| database locked | 1 |" in run.stdout
    assert list(tmp_path.iterdir()) == []


def test_broken_input_by_chance_costs_the_node_nothing_that_stays(tmp_path: Path) -> None:
    fuzz = TORTURE.with_name("fuzz.py")
    times = ["--seconds", "1", "--warm-up", "1", "--rest", "0.2", "--seed", "7183", "--only", "mixed"]
    call = [sys.executable, str(fuzz), *times, "--folder", str(tmp_path)]
    run = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[2].startswith("| mixed | ")
    assert list(tmp_path.iterdir()) == []
