"""`status`: one screen, quickly, whatever is in the database."""

import json
import time
from pathlib import Path

import pytest

from catalogue_rows import NOW
from harness import command_here
from router.alarms import REMEDY, Alarm
from router.breaker import Breaker, Position
from router.catalogue import open_catalogue
from router.events import Event, Journal, Kind
from router.model import Channel
from rows_of_months import OPEN, fill

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
    journal = Journal()
    catalogue = open_catalogue("", folder / "data", journal)
    journal.record(Event(NOW, Kind.ALARM, "no [room] left", alarm=Alarm.DISK, subject="disk"))
    catalogue.engine.close_thread()
    return folder / "router.toml"


def test_with_a_hundred_thousand_deliveries_it_answers_at_once(config: Path) -> None:
    began = time.monotonic()
    answer = command_here("status", "--config", config)
    assert time.monotonic() - began < 1
    assert answer.returncode == 0, answer.stderr


def test_it_says_what_is_late_what_waits_for_a_person_and_which_alarms_stand(config: Path) -> None:
    found = json.loads(command_here("status", "--json", "--config", config).stdout)
    assert found["at_risk"] == OPEN
    assert len(found["pressing"]) == 10
    assert found["for_a_person"] == {"held": 20, "failed": 0, "unproved": 0, "quarantine": 1}
    assert [alarm["remedy"] for alarm in found["alarms"]] == [REMEDY[Alarm.DISK]]
    assert {place["open_by_age"]["< 6 h"] for place in found["destinations"]} == {OPEN}
    assert found["listeners"][0] == {"name": "DICOM", "host": "127.0.0.1", "port": 1, "up": False}
    assert found["nodes"][0]["node"] == "node"


def test_piped_it_is_plain_and_text_in_brackets_is_kept(config: Path) -> None:
    shown = command_here("status", "--config", config).stdout
    assert "\x1b" not in shown
    assert "no [room] left" in shown
    assert "does not answer" in shown
    assert f"At risk: {OPEN} late" in shown


def test_a_destination_that_is_no_longer_configured_is_told_so(config: Path) -> None:
    assert "cloud (not configured)" in command_here("status", "--config", config).stdout


def test_watching_is_for_people_only(config: Path) -> None:
    assert command_here("status", "--watch", "--json", "--config", config).returncode == 2


def test_a_breaker_that_is_open_is_shown_with_its_reason(config: Path) -> None:
    catalogue = open_catalogue("", config.parent / "data", Journal())
    down = Breaker(Position.OPEN, 3, 0, NOW, NOW, "no answer")
    catalogue.breakers.change("cloud", Channel.IMAGES, NOW, lambda _: down)
    catalogue.engine.close_thread()
    assert "breaker open: images to cloud: no answer" in command_here("status", "--config", config).stdout
    (told,) = json.loads(command_here("status", "--json", "--config", config).stdout)["breakers"]
    assert told == {"destination": "cloud", "channel": "images", "position": "open", "why": "no answer"}
