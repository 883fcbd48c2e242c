"""`status`: one screen, quickly, whatever is in the database."""

import json
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from router.admin.status.node_status import node_status, read_configuration, waits_for_a_person
from router.alarms import REMEDY, Alarm
from router.catalogue import open_catalogue
from router.events import Event, EventBus, Kind
from router.model import Channel
from router.policy.breaker import Breaker, Position
from router.storage.running import Listener, Running, RunningFiles
from support.bulk_rows import OPEN, fill
from support.catalogue_rows import NOW
from support.harness import command_here

CONFIGURATION = """
[node]
language = "en"
data = "data"
name = "node"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[receive]
port = 1
[admin]
port = 0
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("months")
    (folder / "data").mkdir()
    (folder / "router.toml").write_text(CONFIGURATION, encoding="utf-8")
    fill(folder / "data")
    (folder / "data" / "quarantine" / "20260301T000000-odd").mkdir(parents=True)
    bus = EventBus()
    catalogue = open_catalogue("", folder / "data", bus)
    bus.record(Event(NOW, Kind.ALARM, "no [room] left", alarm=Alarm.DISK, subject="disk"))
    catalogue.engine.close_thread()
    return folder / "router.toml"


def test_with_a_hundred_thousand_deliveries_it_answers_at_once(config: Path) -> None:
    began = time.process_time()
    answer = command_here("status", "--config", config)
    assert time.process_time() - began < 1
    assert (answer.returncode, answer.stderr) == (1, ""), "no node runs here"
    assert answer.stdout.startswith("Node node does not run\n")


def test_it_says_what_is_late_what_waits_for_a_person_and_which_alarms_stand(config: Path) -> None:
    found = json.loads(command_here("status", "--json", "--config", config).stdout)
    assert found["at_risk"] == OPEN
    assert len(found["pressing"]) == 10
    assert found["for_a_person"] == {"held": 20, "failed": 0, "unproved": 0, "quarantine": 1}
    assert [alarm["remedy"] for alarm in found["alarms"]] == [REMEDY[Alarm.DISK]]
    assert {place["open_by_age"]["< 6 h"] for place in found["destinations"]} == {OPEN}
    assert found["listeners"][0] == {"name": "DICOM", "host": "127.0.0.1", "port": 1, "up": False}
    assert found["nodes"][0]["node"] == "node"


def test_it_says_which_alarms_reach_nobody_since_when_and_why(config: Path, tmp_path: Path) -> None:
    catalogue = open_catalogue("", config.parent / "data", EventBus())
    try:
        for way, body in (("webhook", "1"), ("webhook", "2"), ("mail", "3")):
            catalogue.notifications.add(way, body, NOW)
        catalogue.notifications.note_down("webhook", "it answers 503", NOW)
        shown = command_here("status", "--config", config).stdout
        found = json.loads(command_here("status", "--json", "--config", config).stdout)["undelivered"]
        catalogue.notifications.retain([])
        assert json.loads(command_here("status", "--json", "--config", config).stdout)["undelivered"] == []
    finally:
        catalogue.engine.close_thread()
    assert "Alarms cannot be delivered: webhook since 2026-03-01 17:30:15: it answers 503 (2 wait)\n" in shown
    assert "Alarms cannot be delivered: mail since 2026-03-01 17:30:15: not sent yet" in shown
    assert found[1] == {
        "way": "webhook", "since": NOW.isoformat(), "error": "it answers 503", "waiting": 2, "refused": 0, "down": True
    }  # fmt: skip


def test_without_a_node_it_says_so_to_programs_too(config: Path) -> None:
    found = json.loads(command_here("status", "--json", "--config", config).stdout)
    assert (found["running"], found["receiving"], found["quarantine"]) == (False, False, 1)
    assert found["node"] == {"name": "node", "presence": "stopped", "pid": None, "started": None}


@pytest.mark.parametrize(
    ("host", "name"),
    [(socket.gethostname(), "renamed"), ("elsewhere", "node"), ("", "node")],
    ids=["here", "elsewhere", "former"],
)
def test_of_nodes_whose_files_have_one_path_on_every_machine_it_shows_that_of_this_machine(
    config: Path, host: str, name: str
) -> None:
    files = RunningFiles(config.parent / "data")
    files.write(Running(
        node="renamed", pid=1, started="", listeners=(Listener("admin", "127.0.0.1", 1),), scheme="http",
        configuration=str(config), digest="", host=host
    ))  # fmt: skip
    try:
        answer = command_here("status", "--config", config)
    finally:
        files.remove("renamed")
    assert answer.returncode == 1, "none runs"
    assert answer.stdout.startswith(f"Node {name} does not run")


def test_piped_it_is_plain_and_text_in_brackets_is_kept(config: Path) -> None:
    shown = command_here("status", "--config", config).stdout
    assert "\x1b" not in shown
    assert "no [room] left" in shown
    assert "does not answer" in shown
    assert f"At risk: {OPEN} late" in shown


def test_a_destination_that_is_no_longer_configured_is_told_so(config: Path) -> None:
    assert "cloud (not configured)" in command_here("status", "--config", config).stdout


@pytest.mark.parametrize(
    ("changes", "waits"),
    [({"attention": ()}, False), ({}, True), (None, True)],
)
def test_something_waits_for_a_person_or_may_where_the_database_does_not_tell(
    config: Path, changes: dict[str, Any] | None, waits: bool
) -> None:
    found = node_status(read_configuration(config), NOW)
    assert found.database is not None
    database = None if changes is None else replace(found.database, **changes)
    assert waits_for_a_person(replace(found, database=database)) == waits


def test_watching_is_for_people_only(config: Path) -> None:
    assert command_here("status", "--watch", "--json", "--config", config).returncode == 2


def test_a_breaker_that_is_open_is_shown_with_its_reason(config: Path) -> None:
    catalogue = open_catalogue("", config.parent / "data", EventBus())
    down = Breaker(position=Position.OPEN, failures=3, width=0, since=NOW, probe_at=NOW, why="no answer")
    catalogue.breakers.change("cloud", Channel.IMAGES, NOW, lambda _: down)
    catalogue.engine.close_thread()
    assert "breaker open: images to cloud: no answer" in command_here("status", "--config", config).stdout
    (told,) = json.loads(command_here("status", "--json", "--config", config).stdout)["breakers"]
    assert told == {
        "destination": "cloud",
        "channel": "images",
        "hospital": None,
        "position": "open",
        "why": "no answer",
    }
