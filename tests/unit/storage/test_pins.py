"""Which platform keys a person has accepted, and the command that changes them."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.alarms import Alarm
from router.catalogue.db.schema import open_database
from router.catalogue.db.tables.node import EventRow
from router.cli.keys import command
from router.clock import SystemClock
from router.config.file import load
from router.crypto import keys
from router.delivery.withdrawal_sender import WithdrawalSender
from router.errors import ConfigurationError, TransientError
from router.events import Kind
from router.node.node import Node
from router.storage.pins import Pins, strange
from support.harness import command as node_command

CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
language = "en"
data = "data"
[receive]
port = 0
min_free = "0 B"
journal = "0 B"
[reports]
folder = "reports"
[[destination]]
name = "beijing"
[destination.http]
api_key_file = "keys/api.key"
signing_key_file = "keys/hospital-sign.pem"
platform_signing_key_file = "keys/platform-sign.pub.pem"
platform_encryption_key_file = "keys/platform-encrypt.pub.pem"
"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    keys.new_folder(tmp_path / "keys")
    keys.new_folder(tmp_path / "keys" / "new")
    (tmp_path / "router.toml").write_text(CONFIG, encoding="utf-8")
    return tmp_path / "router.toml"


def pin(config_file: Path, *arguments: str, answer: str = "") -> tuple[int, str]:
    options = ["--config", str(config_file), "--why", "read out by telephone", *arguments]
    done = CliRunner().invoke(command, ["pin", "beijing", *options], input=answer)
    return done.exit_code, done.output


def swap(config_file: Path) -> tuple[str, str]:
    """Put the platform's new signing key in the place of the former one: their ids."""
    old, new = (config_file.parent / name for name in ("keys/platform-sign.pub.pem", "keys/new/platform-sign.pub.pem"))
    ids = keys.key_id(keys.load_public(old)), keys.key_id(keys.load_public(new))
    new.replace(old)
    return ids


def events(config_file: Path) -> list[tuple[str, str]]:
    engine = open_database("", config_file.parent / "data").engine
    rows = [(row.text, row.who) for row in engine.run(EventRow.select()) if row.kind == Kind.PINNED]
    engine.close_thread()
    return rows


def start(config_file: Path) -> None:
    """Build a node and let it go again."""
    node = Node(load(config_file), SystemClock())
    node.parts.catalogue.engine.close_thread()
    os.close(node.parts.lock)


def test_the_keys_seen_first_are_pinned_and_others_stop_the_start_until_they_are_pinned(config_file: Path) -> None:
    start(config_file)
    start(config_file)
    old, new = swap(config_file)
    refused = node_command("run", "--config", config_file)
    assert refused.returncode == 2
    assert f"not those that were pinned: signing {new}" in refused.stderr
    code, said = pin(config_file, "--yes")
    assert code == 0
    assert f"platform signing key: {old} -> {new}" in said
    start(config_file)
    [(first, _), (second, who)] = events(config_file)
    assert "seen first" in first
    assert old in second
    assert new in second
    assert "read out by telephone" in second
    assert who


def test_another_platform_key_is_an_alarm_while_the_node_runs_until_it_is_pinned(config_file: Path) -> None:
    node = Node(load(config_file), SystemClock())
    lane, alarms = node.duties.routes._fitted["beijing"].served[0][0], node.parts.catalogue.alarms
    assert isinstance(lane.sender, WithdrawalSender)
    keys_in_use = lane.sender.report.credentials
    former, new = swap(config_file)
    assert keys_in_use().profile.pinned["signing"] == (former,)
    [standing] = alarms.standing()
    assert (standing.alarm, standing.subject, new in standing.text) == (Alarm.CRYPTO, "keys of beijing", True)
    assert pin(config_file, "--yes")[0] == 0
    assert keys_in_use().profile.pinned["signing"] == (new,)
    assert not alarms.standing()
    node.parts.catalogue.engine.close_thread()
    os.close(node.parts.lock)


def test_a_database_that_takes_nothing_while_the_configuration_is_read_again_does_not_end_the_node(
    config_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    node = Node(load(config_file), SystemClock())

    def busy(_: object) -> None:
        raise TransientError("the database is busy")

    monkeypatch.setattr(node.parts.bus, "record", busy)
    node.reload(config_file)
    assert "not read again to the end, ask for it once more: the database is busy" in caplog.text
    node.parts.catalogue.engine.close_thread()
    os.close(node.parts.lock)


def test_without_a_yes_nothing_is_pinned_and_nothing_told(config_file: Path) -> None:
    assert pin(config_file, answer="n\n")[0] == 1
    assert Pins(config_file.parent / "data").of("beijing") is None
    assert pin(config_file, answer="y\n")[0] == 0
    assert len(events(config_file)) == 1
    code, said = pin(config_file)
    assert (code, "nothing changes" in said) == (0, True)
    assert len(events(config_file)) == 1


def test_an_unknown_destination_is_wrong_configuration(config_file: Path) -> None:
    options = ["--config", str(config_file), "--why", "x"]
    done = CliRunner().invoke(command, ["pin", "tianjin", *options])
    assert isinstance(done.exception, ConfigurationError)


def test_an_account_has_the_destinations_pins_until_it_is_pinned_by_itself(config_file: Path) -> None:
    account = '[[destination.account]]\nhospital = "renmin"\napp = "app-renmin"\n'
    text = config_file.read_text(encoding="utf-8").replace("[hospital]", '[hospital]\nname = "renmin"')
    config_file.write_text(text + account, encoding="utf-8")
    pins = Pins(config_file.parent / "data")
    assert pin(config_file, "--yes")[0] == 0
    former, new = pins.of("beijing"), swap(config_file)[1]
    assert former is not None
    assert pins.of("beijing", "renmin") == former
    code, said = pin(config_file, "--hospital", "renmin", "--yes")
    assert (code, new in said) == (0, True)
    own = pins.of("beijing", "renmin")
    assert own is not None
    assert (own["signing"], pins.of("beijing"), pins.of("beijing", "xiehe")) == ((new,), former, former)
    assert pin(config_file, "--yes")[0] == 0
    assert pins.of("beijing", "xiehe") == pins.of("beijing", "renmin") == own
    options = ["--config", str(config_file), "--why", "x", "--hospital", "xiehe"]
    done = CliRunner().invoke(command, ["pin", "beijing", *options])
    assert isinstance(done.exception, ConfigurationError)
    assert "it has: renmin" in str(done.exception)


def test_keys_that_are_gone_are_no_strangers() -> None:
    pinned = {"signing": ("a", "b"), "encryption": ("c",)}
    assert strange({"signing": ("b",)}, pinned) == ()
    assert strange({"signing": ("c", "b"), "other": ("a",)}, pinned) == ("signing c", "other a")


@pytest.mark.parametrize("content", ["{", "[]", '{"beijing": []}'])
def test_pins_that_do_not_read_stop_everything(content: str, tmp_path: Path) -> None:
    (tmp_path / "pins.json").write_text(content)
    with pytest.raises(ConfigurationError, match="does not read"):
        Pins(tmp_path).of("beijing")
