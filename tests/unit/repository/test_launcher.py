"""scripts/launch and scripts/test: what they do before they hand over."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import suite
from router.cli.install import platform_line

SCRIPTS = Path(__file__).parents[3] / "scripts"
LINKS = ("demo", "test", "check", "run", "queue", "keys", "platform", "validate", "verify", "backup", "quarantine",
         "setup", "install", "bundle")  # fmt: skip
# A Python that the set-up asks much and that answers little; `pip install` writes long, and fails if it is told to.
PYTHON = """#!/bin/sh
echo "$*" >>{calls}
case "$*" in
    *"# Platform"*) exec {real} "$@" ;;
    "-m venv "*) mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
    "-m pip "*) seq -f 'Collecting package-%g' 125; [ ! -e {fails} ] ;;
    *"import pip"* | *"import ensurepip"*) [ ! -e {no_pip} ] ;;
    "-P -m router.cli "*) echo "handed over: $*" ;;
    */tests/*) echo "handed over: $*" ;;
esac
"""


class Checkout:
    """A folder with a launcher, a setup.cfg and a Python of its own in front of PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.venv, self.programs = folder, folder / ".venv", folder / "programs"
        for each in ("scripts", "conf", "programs"):
            (folder / each).mkdir()
        shutil.copy(SCRIPTS / "launch", folder / "scripts")
        (folder / "setup.cfg").write_text("[metadata]\n")
        (folder / "conf/constraints.txt").write_text("# Platform: another\n")
        self.calls, self.fails, self.no_pip = (folder / name for name in ("calls", "fails", "no-pip"))
        self.program(
            "python3", PYTHON.format(calls=self.calls, real=sys.executable, fails=self.fails, no_pip=self.no_pip)
        )

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)

    def run(self, name: str, *arguments: str, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
        link = self.folder / "scripts" / name
        if not link.exists():
            link.symlink_to("launch")
        return subprocess.run([link, *arguments], check=False, capture_output=True, text=True, timeout=60,
                              env={"PATH": f"{self.programs}:{path}"})  # fmt: skip

    def installs(self) -> list[str]:
        """What was installed since the last question."""
        lines = self.calls.read_text().splitlines() if self.calls.exists() else []
        self.calls.unlink(missing_ok=True)
        return [line.partition("--disable-pip-version-check ")[2] for line in lines if line.startswith("-m pip")]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_every_command_is_a_link_to_the_launcher() -> None:
    assert [SCRIPTS.joinpath(name).readlink() for name in LINKS] == [Path("launch")] * len(LINKS)
    assert os.access(SCRIPTS / "launch", os.X_OK)
    assert len((SCRIPTS / "launch").read_text().splitlines()) < 80


def test_a_set_up_is_a_line_a_step_and_is_done_once(checkout: Checkout) -> None:
    first, second = checkout.run("queue", "list", "two words"), checkout.run("queue", "list")
    assert (first.stdout, first.returncode) == ("handed over: -P -m router.cli queue list two words\n", 0)
    steps = [f"making .venv with {checkout.programs}/python3", "installing this checkout and what scripts/queue needs"]
    assert first.stderr.splitlines() == [*steps, ".venv is ready"]
    assert (second.stdout, second.stderr) == ("handed over: -P -m router.cli queue list\n", "")
    assert (checkout.venv / "set-up.log").read_text().count("Collecting") == 125


def test_an_installation_serves_the_commands_that_need_no_more(checkout: Checkout) -> None:
    wanted = [
        (name, checkout.run(name).returncode, checkout.installs()) for name in ("run", "demo", "run", "test", "demo")
    ]
    here = f"-e {checkout.folder}"
    assert wanted == [("run", 0, [here]), ("demo", 0, [f"{here}[demo]"]), ("run", 0, []),
                      ("test", 0, [f"{here}[test]"]), ("demo", 0, [])]  # fmt: skip


@pytest.mark.parametrize("change", ["setup.cfg", "cut off", "python"])
def test_an_installation_that_is_old_cut_off_or_without_python_is_renewed(checkout: Checkout, change: str) -> None:
    checkout.run("run")
    checkout.installs()
    if change == "setup.cfg":
        (checkout.folder / "setup.cfg").write_text("[options]\n")
    elif change == "cut off":
        (checkout.venv / ".set-up-unfinished").touch()
    else:
        (checkout.venv / "bin/python").unlink()
    assert checkout.run("run").stdout == "handed over: -P -m router.cli run\n"
    assert checkout.installs() == [f"-e {checkout.folder}"]


def test_a_python_that_is_too_old_or_a_shim_is_passed_over(checkout: Checkout) -> None:
    (checkout.programs / "python3").rename(checkout.programs / "python3.11")
    checkout.program("python3", "#!/bin/sh\nexit 1\n")
    checkout.program("python3.13", "#!/bin/sh\necho 'command not found' >&2\nexit 127\n")
    done = checkout.run("run", path="/nowhere:" + str(tools(checkout)))
    assert f"making .venv with {checkout.programs}/python3.11" in done.stderr
    (checkout.programs / "python3.11").unlink()
    (checkout.folder / "setup.cfg").write_text("[options]\n")
    (checkout.venv / "bin/python").unlink()
    done = checkout.run("run", path=str(tools(checkout)))
    assert (done.returncode, "Python 3.11 or newer is needed" in done.stderr) == (2, True)


def tools(checkout: Checkout) -> Path:
    """A folder with what the launcher needs of the system, and no Python."""
    folder = checkout.folder / "tools"
    folder.mkdir(exist_ok=True)
    for name in ("dirname", "readlink", "sha256sum", "cut", "cat", "tail", "rm", "mkdir", "touch", "flock", "grep",
                 "cp", "seq", "sh"):  # fmt: skip
        if not (folder / name).exists():
            (folder / name).symlink_to(shutil.which(name) or "")
    return folder


def test_a_venv_without_pip_is_used_through_uv_and_made_by_it_where_python_cannot(checkout: Checkout) -> None:
    checkout.no_pip.touch()
    assert "apt-get install python3-venv" in checkout.run("run").stderr
    make = f'[ "$1" = pip ] || {{ mkdir -p {checkout.venv}/bin; cp "$4" {checkout.venv}/bin/python; }}'
    checkout.program("uv", f'#!/bin/sh\necho "uv $1" >>{checkout.calls}\n{make}\n')
    for asked in ("[metadata]", "[options]"):
        (checkout.folder / "setup.cfg").write_text(asked)
        assert checkout.run("run").stdout == "handed over: -P -m router.cli run\n"
    calls = checkout.calls.read_text().splitlines()
    assert [call for call in calls if call.startswith(("uv", "-m venv", "-m pip"))] == ["uv venv", "uv pip", "uv pip"]


@pytest.mark.parametrize("same", [True, False])
def test_the_pinned_files_are_installed_by_their_hashes_where_the_platform_is_theirs(
    checkout: Checkout, same: bool
) -> None:
    pinned = checkout.folder / "conf/constraints.txt"
    pinned.write_text(f"# made\n{platform_line()}{'' if same else '64'}\nclick==8 --hash=sha256:00\n")
    checkout.run("run")
    assert checkout.installs() == [f"--require-hashes -r {pinned}"] * same + [f"-e {checkout.folder}"]


def test_a_failure_shows_the_end_of_the_log_names_it_and_leaves_nothing_that_looks_ready(checkout: Checkout) -> None:
    checkout.fails.touch()
    done = checkout.run("demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert f"the whole log: {checkout.venv}/set-up.log" in done.stderr
    assert re.findall(r"package-(\d+)", done.stderr) == ["121", "122", "123", "124", "125"]
    checkout.fails.unlink()
    assert checkout.run("demo").returncode == 0


def test_only_one_set_up_runs_at_a_time(checkout: Checkout) -> None:
    lock = ["flock", str(checkout.folder / "setup.cfg"), "sh", "-c", "echo held; read line"]
    holder = subprocess.Popen(lock, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    (checkout.folder / "scripts/run").symlink_to("launch")
    path = {"PATH": f"{checkout.programs}:/usr/bin:/bin"}
    program = str(checkout.folder / "scripts/run")
    waiting = subprocess.Popen(program, env=path, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert waiting.stderr is not None
    assert waiting.stderr.readline() == "another command is setting up .venv: waiting for it\n"
    holder.communicate("go\n")
    assert ".venv is ready" in waiting.communicate(timeout=60)[1]


def test_called_by_its_own_name_it_points_at_the_links(checkout: Checkout) -> None:
    done = subprocess.run([SCRIPTS / "launch"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "scripts/demo" in done.stderr


@pytest.mark.parametrize(("asked", "program"), [
    (("test", "-x"), "suite.py -x"), (("check",), "checks.py"), (("bench", "receive"), "benchmarks receive"),
    (("torture", "9"), "torture/torture.py 9"), (("torture", "fuzz", "9"), "torture/fuzz.py 9"),
    (("powercut", "9"), "powercut/powercut.py 9"),
])  # fmt: skip
def test_programs_of_developers_are_in_the_tests(checkout: Checkout, asked: tuple[str, ...], program: str) -> None:
    assert checkout.run(*asked).stdout == f"handed over: {checkout.folder}/tests/{program}\n"


@pytest.mark.parametrize("name", ["suite", "checks"])
def test_test_and_check_say_how_they_are_used(name: str) -> None:
    program = SCRIPTS.parent / "tests" / f"{name}.py"
    done = subprocess.run([sys.executable, program, "--help"], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.startswith("Usage: scripts/")) == (0, True)


def test_the_pinned_files_name_the_platform_that_they_are_of() -> None:
    shipped = (SCRIPTS.parent / "conf/constraints.txt").read_text(encoding="utf-8")
    assert re.search(r"^# Platform: cpython-3\.\d+ linux \w+ \w+$", shipped, re.MULTILINE)


def test_services_of_a_package_stay_off_while_it_is_installed_and_the_policy_goes(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    with suite.no_services(policy):
        assert subprocess.call([policy]) == 101
    assert not policy.exists()


def test_a_policy_that_a_kill_left_behind_forbids_nothing_and_removes_itself(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    code = f"""import os, pathlib, suite
held = suite.no_services(pathlib.Path({str(policy)!r}))
held.__enter__()
os._exit(9)"""
    subprocess.run([sys.executable, "-c", code], check=False, cwd=SCRIPTS.parent / "tests")
    assert policy.exists()
    assert subprocess.call([policy]) == 0
    assert not policy.exists()


def test_a_policy_of_the_machine_itself_stays(tmp_path: Path) -> None:
    policy = tmp_path / "policy-rc.d"
    policy.write_text("theirs")
    with suite.no_services(policy):
        pass
    assert policy.read_text() == "theirs"
