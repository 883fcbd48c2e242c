"""`install` below a folder of its own: what it writes, with which modes, and what it would run."""

import getpass
import os
import pwd
import stat
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from router.admin import installation
from router.admin.installation import Site
from router.cli.install import constraints_of
from router.config.file import load, shipped
from router.errors import ConfigurationError
from support.harness import command_here

ANSWERS = ["--usci", "121100004000000001", "--code", "H7", "--name", '示范"医院', "--branch", "02",
           "--host", "10.1.2.9", "--sender", "PACS=10.1.2.0/24", "--allow-plain"]  # fmt: skip


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_configuration_that_loads_is_made_of_the_answers(tmp_path: Path) -> None:
    answer = command_here("install", *ANSWERS, "--trial-keys", "--root", tmp_path)
    assert answer.returncode == 0, answer.stderr
    config = load(tmp_path / "etc/imaging-cloud-router/router.toml")
    assert (config.hospital[0].HospitalName, config.hospital[0].HospitalBranchCode) == ('示范"医院', "02")
    assert config.node.data == Path("/var/lib/imaging-cloud-router")
    assert [(one.ae_title, one.address) for one in config.receive.senders] == [("PACS", "10.1.2.0/24")]
    assert (config.receive.host, config.receive.allow_plain, config.reports.hl7) == ("10.1.2.9", True, None)
    assert (config.destination[0].http is None, (tmp_path / "etc/imaging-cloud-router/keys/api.key").exists()) == (
        False,
        True,
    )


def test_what_holds_keys_and_patients_is_the_account_s_alone(tmp_path: Path) -> None:
    command_here("install", *ANSWERS, "--root", tmp_path)
    assert mode(tmp_path / "etc/imaging-cloud-router/keys") == 0o700
    assert mode(tmp_path / "var/lib/imaging-cloud-router") == 0o700
    assert mode(tmp_path / "etc/imaging-cloud-router/router.toml") == 0o640


def test_a_configuration_that_is_there_is_kept_and_the_unit_is_renewed(tmp_path: Path) -> None:
    command_here("install", *ANSWERS, "--root", tmp_path)
    own, unit = (
        tmp_path / "etc/imaging-cloud-router/router.toml",
        tmp_path / "etc/systemd/system/imaging-cloud-router.service",
    )
    own.write_text("# mine", encoding="utf-8")
    unit.write_text("old", encoding="utf-8")
    answer = command_here("install", *ANSWERS, "--account", "icr", "--root", tmp_path)
    assert "kept /etc/imaging-cloud-router/router.toml" in answer.stdout
    assert own.read_text(encoding="utf-8") == "# mine"
    assert "User=icr\n" in unit.read_text(encoding="utf-8")


def test_the_command_on_path_goes_by_the_node_s_configuration_and_account(tmp_path: Path) -> None:
    program, settings = tmp_path / "its program", tmp_path / "its settings"
    command_here("install", *ANSWERS, "--program", program, "--settings", settings, "--root", tmp_path / "root")
    on_path = tmp_path / "root/usr/local/bin/imaging-cloud-router"
    (program / "bin").mkdir(parents=True)
    (program / "bin" / "imaging-cloud-router").write_text('#!/bin/sh\necho "$(id -un) $ROUTER_CONFIG $1"\n')
    for each in (program / "bin" / "imaging-cloud-router", on_path):
        each.chmod(0o755)
    on_path.write_text(on_path.read_text().replace("imaging-router -- ", f"{getpass.getuser()} -- "))
    told = subprocess.run([on_path, "status"], capture_output=True, text=True, check=True)
    assert told.stdout == f"{getpass.getuser()} {settings}/router.toml status\n"
    other = subprocess.run(
        [on_path, "status"], capture_output=True, text=True, check=True, env=os.environ | {"ROUTER_CONFIG": "x"}
    )
    assert other.stdout.split()[1] == "x"


def test_a_dry_run_touches_nothing_and_names_the_commands(tmp_path: Path) -> None:
    places = ["--settings", tmp_path / "etc", "--data", tmp_path / "data", "--reports", tmp_path / "in"]
    answer = command_here("install", *ANSWERS, *places, "--dry-run")
    assert "run: useradd --system" in answer.stdout
    assert "--require-hashes" in answer.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_account_has_the_number_that_every_host_gives_it() -> None:
    told = command_here("install", *ANSWERS, "--uid", "873", "--dry-run").stdout
    assert "run: groupadd --system --gid 873 imaging-router" in told
    [made] = [line for line in told.splitlines() if "useradd" in line]
    assert "--uid 873 --gid 873" in made
    assert "--user-group" not in made, "which has a number of its own"


def test_a_data_folder_that_is_the_account_s_already_is_left_as_it_is(tmp_path: Path) -> None:
    """A share's server takes nothing from root of another host."""
    mine = pwd.getpwuid(os.getuid()).pw_name
    data, reports = tmp_path / "data", tmp_path / "reports"
    data.mkdir()
    places = ["--settings", tmp_path / "etc", "--data", data, "--reports", reports, "--account", mine]
    told = command_here("install", *ANSWERS, *places, "--dry-run").stdout
    [chown] = [line for line in told.splitlines() if "chown" in line]
    assert set(chown.split()) & {str(data), str(reports), str(tmp_path / "etc")} == {
        str(reports),
        str(tmp_path / "etc"),
    }


def test_an_account_that_is_there_with_another_number_is_not_taken_for_that_one(tmp_path: Path) -> None:
    mine = pwd.getpwuid(os.getuid())
    site = Site(
        program=tmp_path,
        settings=tmp_path,
        data=tmp_path,
        reports=tmp_path,
        account=mine.pw_name,
        values={},
        number=mine.pw_uid + 1,
    )
    with pytest.raises(ConfigurationError, match=f"is there, as {mine.pw_uid}:"):
        installation.require_number(site)
    for fits in (replace(site, number=None), replace(site, account="nobody-of-this-name")):
        installation.require_number(fits)


def test_an_answer_that_the_node_would_refuse_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    open_to_all = [each for each in ANSWERS if each not in ("--sender", "PACS=10.1.2.0/24")]
    answer = command_here("install", *open_to_all, "--root", tmp_path)
    assert answer.returncode == 2
    assert "name the senders" in answer.stderr


def test_without_a_person_what_is_missing_is_named() -> None:
    answer = command_here("install", "--dry-run")
    assert (answer.returncode, "--usci is missing" in answer.stderr) == (2, True)


def test_an_upgrade_asks_nothing(tmp_path: Path) -> None:
    command_here("install", *ANSWERS, "--root", tmp_path)
    answer = command_here("install", "--root", tmp_path)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "kept /etc/imaging-cloud-router/router.toml" in answer.stdout


def test_the_unit_is_as_systemd_wants_it(tmp_path: Path) -> None:
    text = shipped("imaging-cloud-router.service").read_text(encoding="utf-8")
    for line in (
        "LimitCORE=0",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "CapabilityBoundingSet=",
        "UMask=0077",
        "TimeoutStopSec=40",
    ):
        assert f"\n{line}\n" in text
    try:
        call = ["systemd-analyze", "security", "--offline=yes", "--threshold=12", "--no-pager"]
        subprocess.run(
            [*call, str(shipped("imaging-cloud-router.service"))], capture_output=True, timeout=20, check=True
        )
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")


def test_constraints_pin_name_version_and_hash_and_leave_out_the_checkout() -> None:
    report = {"install": [
        {"metadata": {"name": "Own", "version": "1"}, "download_info": {"dir_info": {}}},
        {"metadata": {"name": "Typing_Extensions", "version": "4.1"},
         "download_info": {"archive_info": {"hashes": {"sha256": "ab"}}}},
    ]}  # fmt: skip
    assert constraints_of(report) == ["typing-extensions==4.1 --hash=sha256:ab"]
    report["install"][1]["download_info"] = {"archive_info": {}}
    with pytest.raises(ConfigurationError, match="no hash"):
        constraints_of(report)


def test_every_requirement_of_the_node_is_pinned() -> None:
    pinned = {line.partition("==")[0] for line in shipped("constraints.txt").read_text(encoding="utf-8").splitlines()}
    assert {"pydicom", "pynetdicom", "cryptography", "gmssl", "psycopg", "pydantic-core", "apprise"} <= pinned


def test_the_program_is_made_with_a_python_that_the_account_can_run(tmp_path: Path) -> None:
    closed, program = tmp_path / "closed", tmp_path / "closed" / "python"
    closed.mkdir(mode=0o700)
    program.touch(mode=0o755)
    assert not installation.reachable(program)
    assert not installation.reachable(Path("/root/python"))
    assert installation.reachable(Path("/bin/sh").resolve())
    assert installation.interpreter(Path("/bin/sh")) == str(Path("/bin/sh").resolve())


def test_without_such_a_python_nothing_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(installation, "reachable", lambda _: False)
    with pytest.raises(ConfigurationError, match="cannot be run by the node's account"):
        installation.interpreter(Path("/bin/sh"))


def test_where_systemd_does_not_run_nobody_calls_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(
        program=tmp_path / "p",
        settings=tmp_path / "s",
        data=tmp_path / "d",
        reports=tmp_path / "r",
        account="node",
        values={},
    )
    monkeypatch.setattr(installation, "_SYSTEMD", tmp_path / "no")
    assert not [call for call in installation.commands(site, tmp_path, "own", "python3") if call[0] == "systemctl"]
    assert "systemd does not run here" in installation.start(site)
    monkeypatch.setattr(installation, "_SYSTEMD", tmp_path)
    assert ["systemctl", "daemon-reload"] in installation.commands(site, tmp_path, "own", "python3")
    assert installation.start(site).startswith("systemctl enable")
