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
