"""Several nodes on one machine: places, ports and units of their own, and all of them on one screen."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from router.admin import deployment
from router.admin.installation import Site
from router.admin.instances import Instance, free_port, installed, require_apart
from router.cli import setup, status_all
from router.cli.install import site_of
from router.cli.status_all import Asked, ask, tell_all
from router.config.file import load
from router.errors import ConfigurationError
from support.harness import command_here

ANSWERS = ("--usci", "121100004000000001", "--code", "H7", "--name", "示范", "--branch", "02")
PORTS = ("--port", "11113", "--admin-port", "8081")


def install(root: Path, *more: str) -> "subprocess.CompletedProcess[str]":
    return command_here("install", *ANSWERS, "--root", root, *more)


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A machine with the node without a name, and with renmin. No test changes it."""
    root = tmp_path_factory.mktemp("machine")
    assert install(root).returncode == 0
    answer = install(root, "--instance", "renmin", *PORTS)
    assert answer.returncode == 0, answer.stderr
    return root


def test_an_instance_has_places_name_account_and_ports_of_its_own(machine: Path) -> None:
    config = load(machine / "etc/imaging-cloud-router@renmin/router.toml")
    assert config.node.data == Path("/var/lib/imaging-cloud-router@renmin")
    assert config.reports.folder == Path("/srv/reports@renmin")
    assert (config.receive.port, config.admin.port) == (11113, 8081)
    assert config.node.owner.endswith("-renmin")
    site = site_of({"instance": "renmin"}, {})
    assert (site.account, site.program) == ("imaging-router-renmin", Path("/opt/imaging-cloud-router@renmin"))
    assert (machine / "etc/imaging-cloud-router@renmin/keys").is_dir()
    assert [one.name for one in installed(machine)] == ["", "renmin"]


def test_instances_share_a_template_that_systemd_understands(machine: Path, tmp_path: Path) -> None:
    template = machine / "etc/systemd/system/imaging-cloud-router@.service"
    text = template.read_text(encoding="utf-8")
    program, settings = "/opt/imaging-cloud-router@%i", "/etc/imaging-cloud-router@%i"
    for line in (
        f"ExecStart={program}/bin/imaging-cloud-router run --config {settings}/router.toml",
        "User=imaging-router-%i", "ReadWritePaths=/var/lib/imaging-cloud-router@%i",
        "ReadWritePaths=-/srv/reports@%i", f"ReadOnlyPaths={settings}",
    ):  # fmt: skip
        assert f"\n{line}\n" in text
    assert not list(machine.glob("etc/systemd/system/*.d")), "usual places need no file of their own"
    # The program of the unit must be there for systemd-analyze, and the unit under the name of an instance.
    unit = tmp_path / "imaging-cloud-router@renmin.service"
    unit.write_text(text.replace(f"{program}/bin/imaging-cloud-router", "/bin/true"), encoding="utf-8")
    try:
        call = ["systemd-analyze", "verify", "--man=no", str(unit)]
        found = subprocess.run(call, capture_output=True, text=True, timeout=20, check=False)
    except FileNotFoundError:
        pytest.skip("systemd-analyze is not installed")
    assert "imaging-cloud-router@" not in found.stderr, found.stderr


def test_places_of_an_instance_s_own_are_in_a_file_beside_the_template(machine: Path, tmp_path: Path) -> None:
    answer = install(tmp_path, "--instance", "xiehe", "--data", "/data/xiehe", "--account", "xh")
    assert answer.returncode == 0, answer.stderr
    text = (tmp_path / "etc/systemd/system/imaging-cloud-router@xiehe.service.d/places.conf").read_text()
    for line in ("ExecStart=", "User=xh", "ReadWritePaths=", "ReadWritePaths=/data/xiehe"):
        assert f"\n{line}\n" in text


@pytest.mark.parametrize(
    ("more", "fault"),
    [
        ((), "port 11112 of [receive] is taken by imaging-cloud-router on this machine (choose another, for"),
        (("--port", "11120"), "port 8080 of [admin] is taken by imaging-cloud-router on"),
        (("--port", "11113", "--admin-port", "8099"), "port 11113 of [receive] is taken by imaging-cloud-router@r"),
        (("--port", "8081", "--admin-port", "8099"), "port 8081 of [receive] is taken by imaging-cloud-router@renmin"),
        (("--port", "11120", "--admin-port", "8099", "--reports", "/srv/reports"), "/srv/reports is [reports] folder"),
        (("--port", "11120", "--admin-port", "8099", "--data", "/var/lib/imaging-cloud-router@renmin"),
         "/var/lib/imaging-cloud-router@renmin is [node] data of imaging-cloud-router@renmin"),
    ],
)  # fmt: skip
def test_a_port_or_folder_of_another_instance_is_refused_before_anything_is_written(
    machine: Path, more: Sequence[str], fault: str
) -> None:
    answer = install(machine, "--instance", "xiehe", *more)
    assert answer.returncode == 2
    assert fault in answer.stderr
    assert not (machine / "etc/imaging-cloud-router@xiehe").exists()


def test_an_upgrade_of_an_instance_is_not_in_its_own_way(machine: Path) -> None:
    answer = command_here("install", "--root", machine, "--instance", "renmin")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "kept /etc/imaging-cloud-router@renmin/router.toml" in answer.stdout


@pytest.mark.parametrize("name", ["Renmin", "a b", "../x", "a@b", "1", "a" * 17, "人民"])
def test_a_name_that_cannot_be_part_of_unit_folders_and_account_is_refused(tmp_path: Path, name: str) -> None:
    answer = install(tmp_path, "--instance", name)
    assert answer.returncode == 2
    assert "cannot name an instance" in answer.stderr
    assert not list(tmp_path.iterdir())


def test_a_service_and_a_folder_of_one_s_own_exclude_each_other(tmp_path: Path) -> None:
    assert command_here("install", *ANSWERS, "--instance", "a", "--folder", tmp_path, "--dry-run").returncode == 2


def test_removing_one_instance_leaves_the_template_to_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below a folder, with the units' folder in it."""
    units = tmp_path / "units"
    found = [Instance("renmin", Path("r"), Path("r")), Instance("xiehe", Path("x"), Path("x"))]
    monkeypatch.setattr("router.admin.installation._UNITS", units)
    monkeypatch.setattr("router.admin.installation.ON_PATH", tmp_path / "bin" / "imaging-cloud-router")
    monkeypatch.setattr("router.admin.installation.has_systemd", lambda: False)
    monkeypatch.setattr(deployment, "installed", lambda: found)

    def begun(name: str) -> Site:
        places = {place: tmp_path / f"{place}@{name}" for place in ("program", "settings", "data", "reports")}
        site = Site(**places, account="me", values={}, instance=name)  # type: ignore[arg-type] # each is a path
        for path in (site.unit, site.own_places, site.on_path):
            assert path is not None
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("", encoding="utf-8")
        return site

    first, last = begun("renmin"), begun("xiehe")
    deployment.remove(first, lambda _: None, with_data=False)
    del found[0]
    assert sorted(path.name for path in units.iterdir()) == [
        "imaging-cloud-router@.service", "imaging-cloud-router@xiehe.service.d",
    ]  # fmt: skip
    deployment.remove(last, lambda _: None, with_data=False)
    assert not list(units.iterdir())


# -- all of them on one screen

STATUS: dict[str, Any] = {
    "running": True, "receiving": True, "destinations": [{"late": 0}], "at_risk": 0, "attention": [], "alarms": [],
    "disk": {"free": 2**31},
}  # fmt: skip


def asked(name: str, code: int, fault: str = "", **status: Any) -> Asked:
    instance = Instance(name, Path(name), Path(name))
    return Asked(instance=instance, code=code, status={} if fault else STATUS | status, fault=fault)


def test_the_worst_instance_comes_first_and_decides_the_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    answers = {
        "": asked("", 0), "late": asked("late", 0, destinations=[{"late": 3}, {"late": 1}], at_risk=6),
        "down": asked("down", 1, running=False, receiving=False), "torn": asked("torn", 2, "no such file"),
    }  # fmt: skip
    instances = [one.instance for one in answers.values()]
    assert tell_all(instances, lambda one: answers[one.name], as_json=False) == 2
    rows = [line.split()[0] for line in capsys.readouterr().out.splitlines()[3:]]
    assert rows == ["torn", "down", "late", "imaging-cloud-router"]
    assert tell_all(instances[:2], lambda one: answers[one.name], as_json=True) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["instance"], first["exit"], second["instance"]) == ("", 0, "late")


def test_no_instance_at_all_is_no_good_state(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell_all([], lambda one: asked(one.name, 0), as_json=True) == 1
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("script", "code", "fault"),
    [
        ("echo '{\"running\": true}'", 0, ""),
        ("echo {}; exit 1", 1, ""),
        ("echo 'error: it cannot be read' >&2; exit 2", 2, "error: it cannot be read"),
        ("exit 0", 1, ""),
        ('[ -z "$ROUTER_CONFIG" ] && [ "$1 $2" = "status --json" ] && echo {}', 0, ""),
    ],
)
def test_an_instance_is_asked_by_its_own_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, code: int, fault: str
) -> None:
    monkeypatch.setenv("ROUTER_CONFIG", "of the node that is asked")
    command = tmp_path / "imaging-cloud-router@a"
    command.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    command.chmod(0o755)
    found = ask(Instance("a", command, tmp_path))
    assert (found.code, found.fault) == (code, fault)


def test_a_command_that_is_gone_or_hangs_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ask(Instance("a", tmp_path / "none", tmp_path)).fault == "No such file or directory"
    monkeypatch.setattr(status_all, "_SECONDS", 0.01)
    command = tmp_path / "hangs"
    command.write_text("#!/bin/sh\nexec sleep 30\n", encoding="utf-8")
    command.chmod(0o755)
    found = ask(Instance("a", command, tmp_path))
    assert (found.code, found.fault) == (1, "it does not answer")


def test_all_instances_and_one_hospital_exclude_each_other() -> None:
    assert command_here("status", "--all", "--hospital", "renmin").returncode == 2


def test_what_is_no_command_of_a_node_is_no_instance(tmp_path: Path) -> None:
    folder = tmp_path / "usr/local/bin"
    folder.mkdir(parents=True)
    (folder / "imaging-cloud-router@bad").write_bytes(b"\xff\xfe")
    (folder / "imaging-cloud-router-notes").write_text("ROUTER_CONFIG=/x\n")
    (folder / "imaging-cloud-router@empty").write_text("")
    assert installed(tmp_path) == []


def test_an_instance_s_program_knows_which_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = deployment.Record(version="1", settings="/s", data="/d", reports="/r", account="a", instance="renmin")
    fields = {name: getattr(record, name) for name in deployment.Record.__dataclass_fields__}
    (tmp_path / "installed.json").write_text(json.dumps(fields))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    site = site_of({}, {})
    assert (site.instance, site.service) == ("renmin", "imaging-cloud-router@renmin.service")
    with pytest.raises(ConfigurationError):
        site_of({"instance": "Bad"}, {})


def test_setup_writes_to_the_places_of_the_instance_with_ports_that_no_other_has(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "free_port", lambda usual: free_port(usual, machine))
    site = site_of({"instance": "xiehe"}, {})
    answers = {one.key: one.default for one in setup._questions(site)}
    assert answers["receive.port"] == "11114"
    found = setup._answered(site, answers)
    assert found.config == Path("/etc/imaging-cloud-router@xiehe/router.toml")
    assert (found.data, found.reports) == (Path("/var/lib/imaging-cloud-router@xiehe"), Path("/srv/reports@xiehe"))
    assert found.values["admin.port"] == "8082"
    assert found.values["node.name"].endswith('-xiehe"')
    require_apart(found, machine)


def test_setup_asks_which_node_is_meant_where_some_have_names(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup, "installed", lambda: installed(machine))
    monkeypatch.setattr(setup, "echo", lambda _: None)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("click.prompt", lambda *_, **__: " renmin ")
    assert setup._which() == "renmin"
    monkeypatch.setattr("click.prompt", lambda *_, **__: "Ren Min")
    with pytest.raises(ConfigurationError, match="cannot name an instance"):
        setup._which()
    monkeypatch.setattr(setup, "installed", lambda: installed(machine)[:1])
    assert setup._which() == "", "only the node without a name is here"
