"""The `quarantine` command on a real data folder."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.cli.quarantine import command
from router.storage import open_storage
from support.catalogue_rows import NOW, Database

CONFIG = """
[node]
language = "en"
data = "data"
[reports]
folder = "drop"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A data folder with two things in quarantine."""
    (tmp_path / "router.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "drop").mkdir()
    quarantine = open_storage(tmp_path / "data", "test").quarantine
    for n in range(2):
        quarantine.keep(f"{n}.dcm", b"bytes", NOW, "unreadable", f"reason {n}")
    Database("", tmp_path / "data").open().engine.close_thread()
    return tmp_path


def call(home: Path, *words: str) -> str:
    found = CliRunner().invoke(command, [words[0], "--config", str(home / "router.toml"), *words[1:]])
    return found.output if found.exception is None else str(found.exception)


def test_what_is_there_is_listed_shown_and_deleted_by_name_only(home: Path) -> None:
    first, second = json.loads(call(home, "list", "--json"))
    assert (first["reason"], second["reason"], first["bytes"]) == ("reason 0", "reason 1", 5)
    assert "0.dcm" in call(home, "show", first["name"])
    assert "1 deleted" in call(home, "delete", first["name"], "--why", "a broken phantom")
    assert [one["name"] for one in json.loads(call(home, "list", "--json"))] == [second["name"]]
    catalogue = Database("", home / "data").open()
    rows = catalogue.engine.execute("SELECT kind, text FROM event", ())
    catalogue.engine.close_thread()
    assert [(kind, "a broken phantom" in text) for kind, text in rows] == [("purged", True)]


def test_a_name_that_leads_elsewhere_deletes_nothing(home: Path) -> None:
    assert "nothing of that name" in call(home, "delete", "../studies", "--why", "x")
    assert (home / "data" / "studies").is_dir()
