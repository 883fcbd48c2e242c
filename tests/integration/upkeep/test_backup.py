"""Copies of the database while it is written, and putting one back by the command."""

import json
import shutil
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from router.alarms import Alarm
from router.catalogue import open_catalogue
from router.catalogue.db.backup import Backups, Stopped, kept
from router.cli.backup import command
from router.clock import FakeClock
from router.config.file import parse
from router.errors import InvalidData, TransientError
from router.events import Event, EventBus, Kind
from router.storage import open_storage
from router.storage.lock import lock
from router.upkeep.backup import BackupJob
from support.catalogue_rows import NOW, Database, exam, instance

CONFIG = """
[node]
language = "en"
data = "data"
name = "test"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[receive]
min_free = "0 B"
[reports]
folder = "drop"
[backup]
hourly = 2
daily = 2
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A folder with router.toml and a data folder of no node."""
    (tmp_path / "router.toml").write_text(CONFIG, encoding="utf-8")
    (tmp_path / "drop").mkdir()
    open_storage(tmp_path / "data", "test")
    return tmp_path


def call(home: Path, *words: str) -> tuple[int, str]:
    found = CliRunner().invoke(command, [words[0], "--config", str(home / "router.toml"), *words[1:]])
    return found.exit_code or int(found.exception is not None), found.output


def rows(data: Path) -> int:
    catalogue = Database("", data).open()
    count = len(list(catalogue.instances.walk()))
    catalogue.engine.close_thread()
    return count


def test_a_copy_is_one_snapshot_however_much_is_written_meanwhile(home: Path) -> None:
    data = home / "data"
    catalogue = Database("", data).open()
    catalogue.instances.add([instance(n) for n in range(3000)])
    steps = 0

    def write_on() -> bool:
        nonlocal steps
        steps += 1
        catalogue.instances.add([instance(steps, "1.9")])
        return False

    made = Backups(data).make(NOW, write_on)
    catalogue.engine.close_thread()
    assert steps > 2
    (data / "copy").mkdir()
    made.path.rename(data / "copy" / "router.db")
    assert (rows(data / "copy"), rows(data)) == (3000, 3000 + steps)


def test_a_copy_that_is_given_up_or_has_no_room_leaves_nothing(home: Path) -> None:
    rows(home / "data")
    with pytest.raises(Stopped):
        Backups(home / "data").make(NOW, lambda: True)
    with pytest.raises(TransientError):
        Backups(home / "data").make(NOW, spare=2**62)
    assert list((home / "data" / "backup").iterdir()) == []


def test_a_copy_that_was_cut_short_condemns_no_later_one(home: Path) -> None:
    with closing(open_catalogue("", home / "data", EventBus()).engine.database):
        backup = home / "data" / "backup"
        backup.mkdir(exist_ok=True)
        (backup / "router.db.part.sha256").write_text(f"{'0' * 64}  router-x.db\n", encoding="ascii")
        made = Backups(home / "data").make(NOW)
    assert made.path.exists()
    assert sorted(path.suffix for path in backup.iterdir() if "router" in path.name) == [".db", ".sha256"]


def test_a_copy_that_begins_while_another_is_made_does_not_spoil_it(home: Path) -> None:
    Database("", home / "data").open().engine.close_thread()
    backups, refused = Backups(home / "data"), list[int]()

    def another() -> bool:
        if not refused:
            with pytest.raises(TransientError, match="just being made"):
                backups.make(NOW + timedelta(seconds=1))
            refused.append(1)
        return False

    made = backups.make(NOW, another)
    assert refused
    assert backups.newest_sound() is not None
    assert [one.path for one in backups.listed()] == [made.path]


def test_a_copy_is_made_every_hour_and_old_ones_go(home: Path) -> None:
    rows(home / "data")
    clock = FakeClock(NOW)
    backing = BackupJob(parse(CONFIG, base=home), EventBus(), clock, threading.Event().is_set)
    for _ in range(8 * 24):
        backing.step()
        clock.advance(900)
    ages = [clock.now() - backup.at for backup in Backups(home / "data").listed()]
    assert ages[:2] == sorted(ages[:2])
    assert len(ages) == 3
    assert ages[1] < timedelta(hours=3)
    assert timedelta(hours=3) < ages[2] < timedelta(hours=24)


@pytest.mark.ends("backup")
@pytest.mark.fires("backup")
def test_hours_without_a_copy_are_an_alarm_until_there_is_one(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows(home / "data")
    told: list[Event] = []
    clock = FakeClock(NOW)
    backing = BackupJob(parse(CONFIG, base=home), EventBus(told.append), clock, threading.Event().is_set)
    backing.step()
    room = shutil.disk_usage(home)._replace(free=0)
    with monkeypatch.context() as full:
        full.setattr(shutil, "disk_usage", lambda _: room)
        for _ in range(4):
            clock.advance(3600)
            with pytest.raises(TransientError):
                backing.step()
    backing.step()
    kinds = [(one.kind, one.alarm) for one in told if one.alarm == Alarm.BACKUP]
    assert kinds == [(Kind.CLEARED, Alarm.BACKUP), *[(Kind.ALARM, Alarm.BACKUP)] * 2, (Kind.CLEARED, Alarm.BACKUP)]
    assert "of 2026-03-01 17:30:15 Asia/Shanghai" in next(one.text for one in told if one.kind == Kind.ALARM)


def test_a_database_of_which_no_copy_can_be_made_is_an_alarm_at_once(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows(home / "data")
    told: list[Event] = []
    backing = BackupJob(parse(CONFIG, base=home), EventBus(told.append), FakeClock(NOW), threading.Event().is_set)
    room = shutil.disk_usage(home)._replace(free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: room)
    with pytest.raises(TransientError):
        backing.step()
    assert [one.alarm for one in told if one.kind == Kind.ALARM] == [Alarm.BACKUP]


def _vanish(database: Path) -> None:
    database.unlink()


def _replace(database: Path) -> None:
    shutil.copyfile(database, database.with_suffix(".other"))
    database.with_suffix(".other").replace(database)


@pytest.mark.ends("database")
@pytest.mark.fires("database")
@pytest.mark.parametrize(("happens", "said"), [(_vanish, "has vanished"), (_replace, "was replaced")])
def test_a_database_that_is_gone_or_another_is_an_alarm_within_a_minute_and_is_copied_at_once(
    home: Path, happens: Callable[[Path], None], said: str
) -> None:
    told: list[Event] = []
    bus = EventBus(told.append)
    catalogue = open_catalogue("", home / "data", bus)
    backing = BackupJob(parse(CONFIG, base=home), bus, FakeClock(NOW), threading.Event().is_set)
    backing.step()
    before = Backups(home / "data").listed()
    exam(catalogue, "after the last copy")
    happens(home / "data/router.db")
    backing._clock.advance(60)  # type: ignore[attr-defined]  # the fake one
    backing.step()
    backing.step()
    [alarm] = [one for one in told if one.kind == Kind.ALARM]
    assert (alarm.alarm, said in alarm.text) == (Alarm.DATABASE, True)
    [copy] = [one for one in Backups(home / "data").listed() if one not in before]
    assert copy.path.name in alarm.text
    with closing(sqlite3.connect(copy.path)) as opened:
        assert ("after the last copy",) in opened.execute("SELECT exam_id FROM exam").fetchall()
    backing.close()
    catalogue.engine.close_thread()


def test_where_the_database_is_gone_nobody_makes_an_empty_one_in_its_place(home: Path) -> None:
    catalogue = open_catalogue("", home / "data", EventBus())
    (home / "data/router.db").unlink()

    def ask() -> None:
        with pytest.raises(TransientError):
            catalogue.alarms.standing()
        catalogue.engine.close_thread()

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert not (home / "data/router.db").exists()
    catalogue.engine.close_thread()


def test_the_newest_and_one_of_each_day_are_kept() -> None:
    times = [NOW - timedelta(hours=n) for n in range(100)]
    found = kept(times, 3, 3)
    assert sorted(found, reverse=True)[:3] == times[:3]
    assert len(found) == 5
    assert len({at.date() for at in found}) == 3


def test_restore_puts_back_what_was_and_sets_the_rest_aside(home: Path) -> None:
    data = home / "data"
    catalogue = Database("", data).open()
    catalogue.instances.add([instance(1)])
    assert call(home, "now")[0] == 0
    catalogue.instances.add([instance(2)])
    catalogue.engine.close_thread()
    (entry,) = json.loads(call(home, "list", "--json")[1])
    assert datetime.now(UTC) - datetime.fromisoformat(entry["at"]) < timedelta(minutes=1)
    assert call(home, "restore", entry["file"])[0] == 0
    assert rows(data) == 1
    assert list(data.glob("router.db.before-restore-*"))


def test_restore_is_refused_while_the_node_runs(home: Path) -> None:
    rows(home / "data")
    made = Backups(home / "data").make(NOW)
    held = lock(home / "data" / "incoming" / "test", "test")
    assert held
    assert call(home, "restore", str(made.path))[0] == 1
    assert not list((home / "data").glob("router.db.before-restore-*"))


def test_postgresql_has_means_of_its_own(home: Path) -> None:
    text = CONFIG + '[database]\nurl = "postgresql://router@127.0.0.1/none"\n'
    (home / "router.toml").write_text(text, encoding="utf-8")
    found = CliRunner().invoke(command, ["now", "--config", str(home / "router.toml")])
    assert "PostgreSQL" in str(found.exception)


def test_a_copy_in_which_the_disk_changed_a_bit_is_not_put_back(home: Path) -> None:
    catalogue = Database("", home / "data").open()
    catalogue.instances.add([instance(n) for n in range(30)])
    backups = Backups(home / "data")
    older = backups.make(NOW)
    newer = backups.make(NOW + timedelta(hours=1))
    catalogue.engine.close_thread()
    content = bytearray(newer.path.read_bytes())
    content[content.index(b"1.2.840.10008.5.1.4.1.1.2")] ^= 1  # a text in a cell, which SQLite does not check
    newer.path.write_bytes(content)
    assert (found := backups.newest_sound()) is not None
    assert found.path == older.path
    with pytest.raises(InvalidData, match="not a sound copy"):
        backups.put_back(newer.path, NOW)
    assert backups.prune(1, 0) == 1
    assert sorted(path.name for path in older.path.parent.iterdir()) == [newer.path.name, f"{newer.path.name}.sha256"]
