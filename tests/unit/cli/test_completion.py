"""Completion in a real bash."""

import subprocess
import sys
from pathlib import Path

import pytest

from support.harness import command_here

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bash") / "script"
    path.write_text(command_here("completion").stdout)
    return path


def completed(script: Path, *words: str) -> list[str]:
    """What bash offers for the last word, in the checkout."""
    code = f"""source {script}; COMP_WORDS=("$@"); COMP_CWORD={len(words) - 1}
        _imaging_cloud_router_completion "$1"; printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", code, "bash", *words], capture_output=True, text=True, cwd=ROOT, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(("words", "offered"), [
    (("scripts/queue", "ho"), ["hold"]),
    (("scripts/queue", "list", "--state", "del"), ["delivered"]),
    (("scripts/status", "--j"), ["--json"]),
    (("scripts/queue", "list", "--destination", "bei"), ["beijing"]),
    ((str(Path(sys.executable).with_name("imaging-cloud-router")), "doc"), ["doctor"]),
])  # fmt: skip
def test_commands_options_and_values_are_offered(script: Path, words: tuple[str, ...], offered: list[str]) -> None:
    assert completed(script, *words) == offered


def test_scripts_are_completed_by_their_paths_alone(script: Path) -> None:
    code = f"source {script}; complete -p scripts/queue && complete -p {ROOT}/scripts/queue"
    subprocess.run(["bash", "-c", code], capture_output=True, check=True)
    assert subprocess.run(["bash", "-c", f"{code}; complete -p test"], capture_output=True, check=False).returncode


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_get_what_click_has_for_them(shell: str) -> None:
    assert "_IMAGING_CLOUD_ROUTER_COMPLETE" in command_here("completion", shell).stdout
