"""What bash is given to complete."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness import command_here

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize(("words", "offered"), [
    (("scripts/queue", "ho"), ["hold"]),
    (("scripts/queue", "list", "--state", "del"), ["delivered"]),
    (("scripts/queue", "list", "--wa"), ["--watch"]),
    (("imaging-cloud-router", "doc"), ["doctor"]),
    (("scripts/status", "--j"), ["--json"]),
    (("scripts/queue", "list", "--destination", "bei"), ["beijing"]),
])  # fmt: skip
def test_commands_options_and_values_are_offered(words: tuple[str, ...], offered: list[str]) -> None:
    answer = command_here("completion", "--word", len(words) - 1, "--", *words)
    assert answer.stdout.split() == offered


def test_bash_takes_it_and_completes_a_script_by_its_path() -> None:
    code = f"""source <({sys.executable} -m router.cli completion)
        complete -p {SCRIPTS}/queue && COMP_WORDS=(scripts/queue expl) COMP_CWORD=1 && _imaging_cloud_router
        echo "${{COMPREPLY[@]}}" """
    told = subprocess.run(["bash", "-c", code], capture_output=True, text=True, timeout=20, check=True)
    assert told.stdout.split()[-1] == "explain"
    assert subprocess.run(["bash", "-c", f"{code}; complete -p test"], capture_output=True, check=False).returncode
