"""`queue rename-destination`: what it asks before, and that `status` and `doctor` say when it is needed."""

import json
from pathlib import Path

import pytest

from router.catalogue import open_catalogue
from router.events import EventBus
from router.model import Channel
from router.policy.states import State
from support.catalogue_rows import NOW
from support.exam_workflow import CLOUD
from support.harness import command_here

RENAME = ("queue", "rename-destination", "cloud", "cloud-2")
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
DONE = (State.READY, State.SENDING, State.DELIVERED)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Two exams were delivered to `cloud`, which is called `cloud-2` by now."""
    (tmp_path / "data").mkdir()
    file = tmp_path / "router.toml"
    file.write_text(CONFIGURATION + CLOUD.replace('"cloud"', '"cloud-2"'), encoding="utf-8")
    move(file, *DONE)
    return file


def move(config: Path, *states: State) -> None:
    catalogue = open_catalogue("", config.parent / "data", EventBus())
    for name in ("E1", "E2"):
        number = catalogue.exams.number_of("", "01", name, NOW)
        catalogue.queue.make(number, [("cloud", channel) for channel in Channel], NOW)
        for state in states:
            for one in catalogue.queue.of_exam(number):
                assert catalogue.queue.move(one, state, NOW, "said by the test")
    catalogue.engine.close_thread()


def test_it_says_what_it_will_do_and_does_it_when_a_person_agrees(config: Path) -> None:
    needed = "2 exam(s) were delivered to cloud, which is not configured"
    command = "scripts/queue rename-destination cloud NEW --why ..."
    for shown in (command_here("status", "--config", config).stdout, command_here("doctor", "--config", config).stdout):
        assert needed in shown
        assert command in shown
    asked = command_here(*RENAME, "--why", "renamed", "--config", config)
    assert (asked.returncode, "4 delivered" in asked.stderr, "--yes" in asked.stderr) == (2, True, True)
    done = command_here(*RENAME, "--why", "renamed", "--yes", "--json", "--config", config)
    assert (done.returncode, json.loads(done.stdout)) == (0, {"renamed": 4, "left": 0})
    listed = json.loads(command_here("queue", "list", "--json", "--config", config).stdout)
    assert {(one["destination"], one["state"]) for one in listed} == {("cloud-2", "delivered")}
    assert needed not in command_here("status", "--config", config).stdout
    again = command_here(*RENAME, "--why", "renamed", "--yes", "--config", config)
    assert (again.returncode, "nothing was ever sent to a destination called cloud" in again.stderr) == (1, True)
    exported = command_here("audit", "export", "--config", config).stdout
    assert "destination cloud is called cloud-2" in exported


def test_what_is_not_a_renamed_destination_is_left_alone(config: Path) -> None:
    for names, said, status in (
        (("cloud-2", "cloud-2"), "destination cloud-2 is still configured", 2),
        (("cloud", "cloud-3"), "no destination is called cloud-3", 2),
        (("clod", "cloud-2"), "nothing was ever sent to a destination called clod", 1),
    ):
        answer = command_here("queue", "rename-destination", *names, "--why", "x", "--yes", "--config", config)
        assert (answer.returncode, said in answer.stderr) == (status, True), answer.stderr
    move(config, State.WAITING, State.READY, State.SENDING)
    answer = command_here(*RENAME, "--why", "x", "--yes", "--config", config)
    assert (answer.returncode, "something is being sent to cloud" in answer.stderr) == (1, True)
    without = command_here(*RENAME, "--yes", "--config", config)
    assert (without.returncode, "say why" in without.stderr) == (2, True)
