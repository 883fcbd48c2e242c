"""`queue` with as many deliveries as there are after months: at once, aligned, and a question before many change."""

import io
import json
import time
from pathlib import Path
from unicodedata import east_asian_width

import pytest
from test_status_command import CONFIGURATION

from router.catalogue import open_catalogue
from router.cli.tables import watching
from router.events import EventBus
from support.bulk_rows import OPEN, fill
from support.catalogue_rows import driver
from support.harness import command_here


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("many")
    (folder / "data").mkdir()
    (folder / "router.toml").write_text(CONFIGURATION, encoding="utf-8")
    fill(folder / "data")
    catalogue = open_catalogue("", folder / "data", EventBus())
    with catalogue.engine.write():
        driver(catalogue).execute_sql("UPDATE exam SET exam_id = '检查记录' WHERE id = 1000")
        driver(catalogue).execute_sql("UPDATE delivery SET destination = 'district' WHERE id IN (20, 21, 22)")
    catalogue.engine.close_thread()
    return folder / "router.toml"


class Terminal(io.StringIO):
    """A person's."""

    def isatty(self) -> bool:
        return True


def width(text: str) -> int:
    """In columns of a terminal."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def test_the_list_answers_at_once(config: Path) -> None:
    for arguments in ((), ("--state", "held"), ("--text", "E77")):
        began = time.process_time()
        assert command_here("queue", "list", *arguments, "--config", config).returncode == 0
        assert time.process_time() - began < 1.5


def test_wide_letters_are_aligned_and_piped_it_is_plain(config: Path) -> None:
    shown = command_here("queue", "list", "--limit", "3", "--config", config).stdout
    rows = shown.splitlines()
    assert "\x1b" not in shown
    assert any("检查记录 " in row for row in rows[1:])
    starts = {width(row[: row.index("cloud")]) for row in rows[1:]}
    assert starts == {width(rows[0][: rows[0].index("Destination")])}


def test_what_is_done_to_many_is_counted_on_stderr_first(config: Path) -> None:
    answer = command_here("queue", "hold", "--destination", "district", "--why", "moved", "--config", config)
    assert answer.returncode == 0
    assert "hold: 3 delivery(s)" in answer.stderr
    assert "3 ready     images  to district" in answer.stderr
    assert answer.stdout == "hold: 3 delivery(s)\n"
    again = command_here("queue", "release", "--destination", "district", "--why", "back", "--yes", "--config", config)
    assert "images" not in again.stderr


def test_what_is_done_has_the_name_of_whoever_asked_for_it(config: Path) -> None:
    for action, who in (("hold", "li"), ("release", "wang")):
        given = ("queue", action, "--destination", "district", "--why", "x", "--yes", "--config", config)
        assert command_here(*given, "--who", "node").returncode == 2, "so the node's own doing is called"
        assert command_here(*given, "--who", who).returncode == 0
    catalogue = open_catalogue("", config.parent / "data", EventBus())
    one = catalogue.queue.get(20)
    assert one is not None
    told = [event.who for _, event in catalogue.history.of([one.exam], []) if event.delivery == one.id]
    catalogue.engine.close_thread()
    assert told[-2:] == ["li", "wang"]
    for action in ("retry", "fail", "cancel"):
        assert "--who" in command_here("queue", action, "--help").stdout


def test_a_destination_that_nobody_knows_is_wrong_use(config: Path) -> None:
    answer = command_here("queue", "hold", "--destination", "distrct", "--why", "moved", "--config", config)
    assert answer.returncode == 2
    assert "no destination is called distrct" in answer.stderr


def test_a_person_who_says_no_has_nothing_done(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("click.confirm", lambda *_, **__: False)
    answer = command_here("queue", "cancel", "--all", "--why", "a slip", "--config", config)
    assert answer.returncode == 1
    states = json.loads(command_here("queue", "list", "--state", "cancelled", "--json", "--config", config).stdout)
    assert states == []


def test_thousands_are_held_and_released_in_seconds(config: Path) -> None:
    began = time.process_time()
    held = json.loads(
        command_here("queue", "hold", "--destination", "cloud", "--why", "x", "--json", "--config", config).stdout
    )
    assert time.process_time() - began < 8
    assert len(held["done"]) == 2 * OPEN - 3


def test_watching_ends_with_control_c() -> None:
    told: list[int] = []

    def rest(_: float) -> None:
        if len(told) == 3:
            raise KeyboardInterrupt

    watching(lambda: told.append(1), rest, again=True)
    assert len(told) == 3
