"""That the benchmarks work, with hardly any work; what they are for is `scripts/bench` on a quiet machine."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.dicom_peers import tool

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("arguments", "cases"),
    [
        (["--readme", "--only", "^(ours|the node)|^storescp|^storescu, 128|^limit"], 12),
        (["receive", "disk", "pdu", "workers", "many", "slow", "--only", "^threads|^fsync|^10 ms"], 11),
        (["forward", "large", "line", "--only", "^ours, (1 association$|at most 16)"], 9),
        (["drain", "backlog", "--only", "of 20"], 1),
        (["sustained", "profile"], 0),
        (["series"], 0),
        (["intake"], 1),
        (["crypto", "sm2"], 0),
        (["nodes", "claims", "--only", "^2"], 1),
    ],
    ids=["readme", "receive", "forward", "drain", "sustained", "series", "intake", "crypto", "nodes"],
)
def test_a_trial_times_each_case_and_leaves_nothing_behind(arguments: list[str], cases: int, tmp_path: Path) -> None:
    tool("storescu")
    call = [sys.executable, str(ROOT / "tests" / "benchmarks"), *arguments, "--trial", "--folder", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(call, capture_output=True, text=True, timeout=120, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"round 1: .* m?s \(quiet", done.stderr)) == cases, done.stderr
    assert done.stdout.startswith("**")
    assert not list(tmp_path.iterdir())
