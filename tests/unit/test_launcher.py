"""scripts/launch: what it decides before it hands over."""

import importlib.util
import os
import re
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import pytest

from router.cli.install import platform_line

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The launcher as a module whose checkout is an empty folder with a setup.cfg."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = SourceFileLoader("launch", str(SCRIPTS / "launch"))
    spec = importlib.util.spec_from_loader("launch", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    (tmp_path / "setup.cfg").write_text("[metadata]\n")
    venv = tmp_path / ".venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(sys.executable)
    places = {
        "ROOT": tmp_path, "VENV": venv, "PYTHON": venv / "bin" / "python", "UNFINISHED": venv / ".unfinished",
        "LOG": venv / "set-up.log",
    }  # fmt: skip
    for name, value in places.items():
        monkeypatch.setattr(module, name, value)
    return module


def stamped(launch: ModuleType, extras: str) -> None:
    launch.stamp_of(extras).write_text(launch.fingerprint())


def test_every_command_is_a_link_to_the_launcher() -> None:
    for name in [
        "demo",
        "test",
        "check",
        "run",
        "queue",
        "keys",
        "platform",
        "validate",
        "verify",
        "backup",
        "quarantine",
    ]:
        link = SCRIPTS / name
        assert link.is_symlink()
        assert os.access(link, os.X_OK)
        assert link.readlink() == Path("launch")


def test_an_environment_without_stamp_is_not_ready(launch: ModuleType) -> None:
    assert not launch.is_ready("base")


def test_what_the_tests_need_is_enough_for_every_other_command(launch: ModuleType) -> None:
    stamped(launch, "test")
    assert [launch.is_ready(extras) for extras in ("base", "demo", "test")] == [True, True, True]


def test_what_the_node_needs_is_not_enough_for_the_demo(launch: ModuleType) -> None:
    stamped(launch, "base")
    assert [launch.is_ready(extras) for extras in ("base", "demo", "test")] == [True, False, False]


def test_a_changed_setup_cfg_asks_for_a_new_installation(launch: ModuleType) -> None:
    stamped(launch, "base")
    (launch.ROOT / "setup.cfg").write_text("[options]\n")
    assert not launch.is_ready("base")


def test_an_installation_that_was_cut_off_is_not_ready(launch: ModuleType) -> None:
    stamped(launch, "base")
    launch.UNFINISHED.touch()
    assert not launch.is_ready("base")


def test_an_environment_whose_python_is_gone_is_not_ready(launch: ModuleType) -> None:
    stamped(launch, "base")
    launch.PYTHON.unlink()
    launch.PYTHON.symlink_to("/nowhere/python3")
    assert not launch.is_ready("base")


def test_a_shim_that_fails_is_passed_over_for_a_python_that_runs(launch: ModuleType, tmp_path: Path) -> None:
    shims, real = tmp_path / "shims", tmp_path / "real"
    for folder in (shims, real):
        folder.mkdir()
    (shims / "python3.13").write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    (shims / "python3.13").chmod(0o755)
    (real / "python3.11").symlink_to(sys.executable)
    assert launch.newer_python(f"{shims}:{real}") == str(real / "python3.11")


def test_an_old_python_without_a_newer_one_is_told_in_plain_words(launch: ModuleType, tmp_path: Path) -> None:
    with pytest.raises(launch.SetUpFailed, match=r"Python 3\.11 or newer is needed\. This is Python 3\.9"):
        launch.need_new_python((3, 9, 2), str(tmp_path))


def test_only_one_set_up_runs_at_a_time(launch: ModuleType) -> None:
    script = "import fcntl, sys; fcntl.flock(open(sys.argv[1], 'rb+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    probe = [sys.executable, "-c", script, str(launch.ROOT / "setup.cfg")]
    with launch.alone():
        assert subprocess.run(probe, check=False, capture_output=True).returncode != 0
    assert subprocess.run(probe, check=False, capture_output=True).returncode == 0


def test_called_by_its_own_name_it_points_at_the_links() -> None:
    done = subprocess.run([SCRIPTS / "launch"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "scripts/demo" in done.stderr


def test_help_of_test_and_check_needs_no_set_up() -> None:
    for name in ("test", "check"):
        done = subprocess.run([SCRIPTS / name, "--help"], check=False, capture_output=True, text=True)
        assert done.returncode == 0
        assert done.stdout.startswith(f"Usage: scripts/{name}")


@pytest.mark.parametrize("same", [True, False])
def test_the_pinned_files_are_installed_by_their_hashes_where_the_platform_is_theirs(
    launch: ModuleType, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    (launch.ROOT / "conf").mkdir()
    line = launch.platform_line() if same else launch.platform_line() + "64"
    (launch.ROOT / "conf/constraints.txt").write_text(f"# made\n{line}\nclick==8 --hash=sha256:00\n")
    called: list[list[str]] = []

    def run(command: list[str]) -> int:
        called.append(command)
        return 0

    monkeypatch.setattr(launch, "run", run)
    launch.install("base")
    hashed = [command for command in called if "--require-hashes" in command]
    assert len(hashed) == same
    assert all(command[-1] == str(launch.ROOT / "conf/constraints.txt") for command in hashed)
    assert called[-1][-2:] == ["--editable", str(launch.ROOT)]


def test_a_file_that_is_not_the_pinned_one_ends_the_installation(
    launch: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    (launch.ROOT / "conf").mkdir()
    (launch.ROOT / "conf/constraints.txt").write_text(f"{launch.platform_line()}\n")
    monkeypatch.setattr(launch, "run", lambda command, **_: int("--require-hashes" in command))
    with pytest.raises(launch.SetUpFailed):
        launch.install("base")
    assert not launch.is_ready("base")


@pytest.mark.parametrize("status", [0, 1])
def test_pip_is_one_line_a_step_and_a_failure_names_the_log_with_the_rest(
    launch: ModuleType, capfd: pytest.CaptureFixture[str], status: int
) -> None:
    launch.PYTHON.unlink()
    launch.PYTHON.write_text(f"#!/bin/sh\nseq -f 'Collecting package-%g' 125\nexit {status}\n")
    launch.PYTHON.chmod(0o755)
    if status:
        with pytest.raises(launch.SetUpFailed) as failure:
            launch.install("demo")
        said = str(failure.value)
        assert str(launch.LOG) in said
        assert "package-125" in said
        assert said.count("Collecting") == launch.LAST_LINES
    else:
        launch.install("demo")
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1), err
    assert launch.LOG.read_text().count("Collecting") == 125


def test_the_pinned_files_name_the_platform_that_they_are_of(launch: ModuleType) -> None:
    shipped = (SCRIPTS.parent / "conf/constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"^# Platform: cpython-3\.\d+ linux \w+ \w+$", shipped, re.MULTILINE)
    assert launch.platform_line() == platform_line()
