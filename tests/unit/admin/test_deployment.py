"""Installing over what is there: the copy of the database, the former program, the way back, removal."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from router.admin import deployment, installation
from router.admin.deployment import Record, former
from router.admin.installation import Site
from router.admin.status.finder import Presence, find_node
from router.catalogue import open_catalogue
from router.cli.install import site_of
from router.config.salvage import salvage
from router.errors import ConfigurationError
from router.events import EventBus

HOSPITAL = {"hospital.USCI": '"121100004000000001"', "hospital.HospitalCode": '"H7"',
            "hospital.HospitalName": '"示范"', "hospital.HospitalBranchCode": '"01"'}  # fmt: skip
# A program that, asked to put a copy back, notes what it was asked and does it.
PROGRAM = '#!/bin/sh\necho "{version} $*" >>{calls}\n[ "$2" != restore ] || cp "$3" {data}/router.db\n'


class Machine:
    """A folder that is installed into, with programs that are made by a shell instead of pip."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.site = Site(
            program=folder / "program", settings=folder / "conf", data=folder / "data", reports=folder / "reports",
            account="me", values=HOSPITAL, folder=folder,
        )  # fmt: skip
        self.calls, self.told = folder / "calls", list[str]()
        self._patch = monkeypatch

    def install(self, version: str, *, fails: bool = False) -> None:
        program = str(self.site.program / "bin" / installation.COMMAND)
        text = PROGRAM.format(version=version, calls=self.calls, data=self.site.data)
        make = f'mkdir -p "$(dirname "$0")"; printf %s "$1" >"$0"; chmod 755 "$0"; exit {int(fails)}'
        steps: Sequence[Sequence[str]] = [["sh", "-c", make, program, text]]
        self._patch.setattr(deployment, "__version__", version)
        self._patch.setattr(installation, "program_commands", lambda *_: steps)
        deployment.install(self.site, Path("/nowhere"), "python3", self.told.append)

    @property
    def version(self) -> str:
        record = Record.of(self.site.program)
        return record.version if record else ""

    def begin_database(self) -> None:
        open_catalogue("", self.site.data, EventBus()).engine.close_thread()

    def schema(self, value: int | None = None) -> int:
        with closing(sqlite3.connect(self.site.data / "router.db")) as opened, opened:
            if value is not None:
                opened.execute("UPDATE schema SET version = ?", (value,))
            return int(opened.execute("SELECT version FROM schema").fetchone()[0])


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "m", monkeypatch)


def test_an_upgrade_copies_the_database_first_and_keeps_the_former_program(machine: Machine) -> None:
    machine.install("1.0")
    assert not list(machine.site.data.glob("backup/*")), "there was none to copy"
    machine.begin_database()
    machine.site.config.write_text(f"# mine\n{machine.site.config.read_text()}")
    machine.install("2.0")
    [copy] = machine.site.data.glob("backup/before-2.0-router-*.db")
    found = Record.of(machine.site.program)
    assert found is not None
    assert (found.version, found.copy) == ("2.0", str(copy))
    assert (former(machine.site.program) / "installed.json").exists()
    assert machine.site.config.read_text().startswith("# mine")
    assert any("copied the database" in line for line in machine.told)


def test_the_way_back_brings_the_former_program_and_leaves_a_database_whose_tables_are_as_they_were(
    machine: Machine,
) -> None:
    machine.install("1.0")
    machine.begin_database()
    machine.install("2.0")
    before = (machine.site.data / "router.db").read_bytes()
    machine.site.on_path.write_text("of 2.0")
    deployment.go_back(machine.site, machine.told.append)
    assert machine.version == "1.0"
    assert "of 2.0" not in machine.site.on_path.read_text()
    assert (machine.site.data / "router.db").read_bytes() == before
    assert not machine.calls.exists(), "nothing was restored"
    with pytest.raises(ConfigurationError, match="no former version"):
        deployment.go_back(machine.site, machine.told.append)


def test_the_way_back_has_the_former_program_restore_the_copy_where_the_tables_have_changed(machine: Machine) -> None:
    machine.install("1.0")
    machine.begin_database()
    machine.install("2.0")
    known = machine.schema()
    machine.schema(known + 1)
    deployment.go_back(machine.site, machine.told.append)
    [asked] = machine.calls.read_text().splitlines()
    assert asked.startswith(f"1.0 backup restore {machine.site.data}/backup/before-2.0-")
    assert asked.endswith(f"--config {machine.site.config}")
    assert (machine.schema(), machine.version) == (known, "1.0")


def test_nothing_goes_back_while_a_journal_holds_images_which_the_former_program_may_not_read(
    machine: Machine,
) -> None:
    machine.install("1.0")
    machine.begin_database()
    machine.install("2.0")
    oldest = machine.site.data / "incoming" / "node" / "1" / "oldest"
    oldest.parent.mkdir(parents=True)
    oldest.write_bytes((7).to_bytes(8, "little"))
    with pytest.raises(ConfigurationError, match="journal holds images"):
        deployment.go_back(machine.site, machine.told.append)
    assert machine.version == "2.0"
    oldest.write_bytes(bytes(8))  # all of it has files
    deployment.go_back(machine.site, machine.told.append)
    assert machine.version == "1.0"


def test_an_upgrade_that_fails_leaves_the_program_that_was_there(machine: Machine) -> None:
    machine.install("1.0")
    machine.site.on_path.write_text("of 1.0")
    with pytest.raises(ConfigurationError):
        machine.install("2.0", fails=True)
    assert (machine.version, machine.site.on_path.read_text()) == ("1.0", "of 1.0")
    assert not former(machine.site.program).exists()


def test_a_first_installation_that_fails_can_be_repeated(machine: Machine) -> None:
    with pytest.raises(ConfigurationError):
        machine.install("1.0", fails=True)
    machine.install("1.0")
    assert machine.version == "1.0"


def test_an_unfinished_program_of_a_power_cut_does_not_take_the_former_one_s_place(machine: Machine) -> None:
    machine.install("1.0")
    machine.install("2.0")
    (machine.site.program / "installed.json").unlink()
    machine.install("2.1")
    deployment.go_back(machine.site, machine.told.append)
    assert machine.version == "1.0"


def test_a_node_that_runs_is_not_replaced(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.install("1.0")
    stopped = find_node(salvage(machine.site.config))
    monkeypatch.setattr(deployment, "find_node", lambda _: replace(stopped, presence=Presence.SILENT))
    with pytest.raises(ConfigurationError, match="the node runs"):
        machine.install("2.0")
    with pytest.raises(ConfigurationError, match="the node runs"):
        deployment.remove(machine.site, machine.told.append, with_data=True)
    assert machine.version == "1.0"


@pytest.mark.parametrize("with_data", [False, True])
def test_removal_keeps_configuration_keys_and_data_unless_they_are_to_go(machine: Machine, with_data: bool) -> None:
    machine.install("1.0")
    machine.begin_database()
    machine.install("2.0")
    deployment.remove(machine.site, machine.told.append, with_data=with_data)
    site = machine.site
    assert not [path for path in (site.program, former(site.program), site.on_path) if path.exists()]
    assert [path.exists() for path in (site.config, site.data, site.reports)] == [not with_data, not with_data, True]


def test_below_a_folder_there_is_no_service_and_no_other_account(machine: Machine) -> None:
    machine.install("1.0")
    assert machine.site.unit is None
    assert "runuser" not in machine.site.on_path.read_text()
    assert installation.account_commands(machine.site) == installation.owner_commands(machine.site) == []


def test_an_installed_program_knows_its_own_places(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.install("1.0")
    monkeypatch.setattr("sys.prefix", str(machine.site.program))
    found = site_of({}, {})
    assert (found.folder, found.program, found.settings) == (
        machine.site.folder, machine.site.program, machine.site.settings,
    )  # fmt: skip
    assert found.account == "me"
    monkeypatch.setattr("sys.prefix", "/usr")
    assert site_of({"folder": machine.site.folder}, {}).data == machine.site.data
    assert site_of({}, {}).folder is None


def test_a_database_on_postgresql_is_dumped_or_that_is_said(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    machine.install("1.0")
    text = machine.site.config.read_text().replace("[database]", '[database]\nurl = "postgresql://router@db/router"')
    machine.site.config.write_text(text)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr("shutil.which", lambda _: None)
    machine.install("2.0")
    assert any("pg_dump is not here" in line for line in machine.told)
