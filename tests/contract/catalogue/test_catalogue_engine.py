"""The contract of the engines: the schema, connections and what their failures become."""

import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, suppress
from datetime import timedelta, timezone
from pathlib import Path

import peewee
import pytest

from router.catalogue import Catalogue
from router.catalogue.db.engine import LOG_BYTES
from router.catalogue.db.schema import open_database
from router.catalogue.db.tables import TABLES
from router.catalogue.db.tables.node import Schema
from router.errors import ConfigurationError, IntegrityError, TransientError
from router.exam.key import ExamKey
from support.catalogue_rows import MINUTE, NOW, Database, at_once, document, driver, exam

_OPEN = """
import sys
from pathlib import Path
from router.catalogue.db.schema import open_database
print("imported", flush=True)
sys.stdin.readline()
open_database(sys.argv[1], Path(sys.argv[2])).engine.close_thread()
"""


@pytest.fixture
def sqlite(bare_sqlite: Database) -> Database:
    """A new file: here it is the product that makes the tables, each time."""
    return bare_sqlite


def test_the_tables_are_made_once_and_what_is_in_them_stays(bare_database: Database) -> None:
    first = bare_database.open()
    number = exam(first)
    first.engine.close_thread()
    second = bare_database.open()
    assert exam(second) == number
    assert set(driver(second).get_tables()) >= {table._meta.table_name for table in TABLES}
    second.engine.close_thread()


def test_two_processes_may_open_a_new_database_at_once(bare_database: Database) -> None:
    call = [sys.executable, "-W", "error", "-c", _OPEN, bare_database.url, str(bare_database.data)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    nodes = [subprocess.Popen(call, text=True, **pipes) for _ in range(2)]  # type: ignore[call-overload]  # pipes
    for node in nodes:
        assert node.stdout.readline() == "imported\n"
    for node in nodes:
        node.stdin.write("go\n")
        node.stdin.flush()
    assert [(node.communicate(timeout=20)[1], node.returncode) for node in nodes] == [("", 0)] * 2
    catalogue = bare_database.open()
    assert len(catalogue.engine.run(Schema.select())) == 1
    catalogue.engine.close_thread()


def test_many_threads_may_open_a_new_database_at_once(bare_database: Database) -> None:
    def opened() -> None:
        open_database(bare_database.url, bare_database.data).engine.close_thread()

    at_once(None, [opened] * 6)


def test_no_thread_is_told_that_a_new_file_is_locked(sqlite: Database) -> None:
    for n in range(8):
        data = sqlite.data / str(n)
        data.mkdir()
        at_once(None, [lambda data=data: open_database("", data).engine.close_thread()] * 4)  # type: ignore[misc]  # mypy


@pytest.mark.parametrize("version", [0, 99])
def test_a_database_of_another_version_is_refused_untouched(bare_database: Database, version: int) -> None:
    catalogue = bare_database.open()
    catalogue.engine.run(Schema.update(version=version))
    driver(catalogue).execute_sql("DROP TABLE upload")
    with pytest.raises(ConfigurationError, match=rf"schema {version}, "):
        bare_database.open()
    assert "upload" not in driver(catalogue).get_tables()
    catalogue.engine.close_thread()


@pytest.mark.parametrize("zone", [0, 8, -5])
def test_an_instant_comes_back_to_the_microsecond_from_any_zone(catalogue: Catalogue, zone: int) -> None:
    instant = NOW.astimezone(timezone(timedelta(hours=zone)))
    for at in (instant, instant.replace(year=1901), instant.replace(year=9998), instant.replace(microsecond=999_999)):
        number = exam(catalogue, f"E{at.isoformat()}")
        catalogue.exams.postpone(number, at)
        assert catalogue.exams.next_check() == at
        catalogue.exams.checked(catalogue.exams.case(number), None, None, "")


def test_an_inner_transaction_ends_with_the_outer_one(catalogue: Catalogue) -> None:
    def work() -> None:
        with catalogue.engine.write():
            exam(catalogue, "INNER")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        work()
    assert catalogue.exams.find("INNER") == []


def test_another_url_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="postgresql://"):
        open_database("mysql://localhost/router", tmp_path)


def test_every_thread_writes_durably_in_wal(sqlite: Database) -> None:
    catalogue = sqlite.open()

    def pragmas() -> tuple[object, ...]:
        exam(catalogue)
        names = ("synchronous", "journal_mode", "foreign_keys")
        return tuple(driver(catalogue).pragma(name) for name in names)

    assert at_once(catalogue, [pragmas] * 3) == [(2, "wal", 1)] * 3
    assert pragmas() == (2, "wal", 1)
    catalogue.engine.close_thread()
    reopened = sqlite.open()
    assert at_once(reopened, [lambda: reopened.engine.run(Schema.select()) and pragmas()]) == [(2, "wal", 1)]
    reopened.engine.close_thread()


def test_a_file_that_is_no_database_is_called_damaged(sqlite: Database) -> None:
    (sqlite.data / "router.db").write_bytes(b"no database" * 100)
    with pytest.raises(IntegrityError, match="damaged"):
        sqlite.open()


def test_a_data_folder_that_cannot_be_opened_is_a_trouble_that_may_pass(sqlite: Database) -> None:
    with pytest.raises(TransientError, match="cannot be opened"):
        Database("", sqlite.data / "missing").open()


def test_the_files_of_the_database_are_the_nodes_alone(sqlite: Database) -> None:
    catalogue = sqlite.open()
    exam(catalogue)
    modes = {path.name: path.stat().st_mode & 0o777 for path in sqlite.data.iterdir()}
    assert modes == {"router.db": 0o600, "router.db-wal": 0o600, "router.db-shm": 0o600}
    catalogue.engine.close_thread()


def test_readers_do_not_wait_for_a_writer(sqlite: Database) -> None:
    catalogue = sqlite.open()
    number = exam(catalogue)
    with catalogue.engine.write():
        catalogue.exams.documents.add(document(), "p", number, 1, NOW)
        assert at_once(catalogue, [lambda: catalogue.exams.case(number).pdfs]) == [()]
    catalogue.engine.close_thread()


def test_a_connection_that_the_server_ended_is_made_anew(postgresql: Database) -> None:
    catalogue = postgresql.open()
    number = exam(catalogue)
    backend = driver(catalogue).connection().info.backend_pid

    def end() -> None:
        driver(catalogue).connect()
        driver(catalogue).execute_sql(f"SELECT pg_terminate_backend({backend}, 5000)")

    at_once(catalogue, [end])
    with pytest.raises(TransientError):
        catalogue.exams.request_evaluation([number], NOW)
    catalogue.exams.request_evaluation([number], NOW)
    assert catalogue.exams.to_check(NOW, 9) == [number]
    catalogue.engine.close_thread()


def test_a_connection_that_ended_within_a_transaction_undoes_it_and_is_made_anew(postgresql: Database) -> None:
    catalogue = postgresql.open()

    def work() -> None:
        with catalogue.engine.write():
            exam(catalogue, "LOST")
            driver(catalogue).connection().close()
            exam(catalogue, "NEVER")

    with pytest.raises(TransientError):
        work()
    assert catalogue.exams.find("LOST") == []
    catalogue.engine.close_thread()


def test_a_server_that_does_not_run_is_a_trouble_that_may_pass(tmp_path: Path) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with pytest.raises(TransientError, match="did not answer"):
        open_database(f"postgresql:///router?host={tmp_path}", tmp_path)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_url_that_libpq_does_not_take_is_refused(tmp_path: Path, scheme: str) -> None:
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    with pytest.raises(ConfigurationError, match="url"):
        open_database(f"{scheme}://localhost/router?no_such_setting=1", tmp_path)


def test_an_account_that_may_not_make_tables_is_refused(postgresql: Database, tmp_path: Path) -> None:
    owner = postgresql.open()
    driver(owner).execute_sql("CREATE ROLE guest LOGIN")
    url = postgresql.url.split("&options")[0].replace("user=router", "user=guest")
    with pytest.raises(ConfigurationError, match="InsufficientPrivilege"):
        open_database(url, tmp_path)
    owner.engine.close_thread()


def test_a_missing_driver_is_named_with_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("psycopg", "psycopg2"):
        monkeypatch.setattr(peewee, name, None)
    with pytest.raises(ConfigurationError, match="postgres"):
        open_database("postgresql://localhost/router", tmp_path)


def test_the_key_of_a_row_keeps_what_an_exam_json_says(catalogue: Catalogue) -> None:
    assert ExamKey.__slots__
    number = catalogue.exams.number_of("", "01\0", "张三-1\ud800", NOW + MINUTE)
    assert catalogue.exams.number_of("", "01\0", "张三-1\ud800", NOW) == number
    assert catalogue.exams.case(number).exam_id == "张三-1?"


def test_sqlites_log_gives_back_what_a_reader_that_took_long_made_it_grow_by(tmp_path: Path) -> None:
    engine, log = open_database("", tmp_path).engine, tmp_path / "router.db-wal"

    def write(text: str) -> None:
        with engine.write():
            engine.execute(
                "INSERT INTO event (at, kind, text, who, alarm, subject) VALUES (0, '', ?, '', '', '')", [text]
            )

    with closing(sqlite3.connect(tmp_path / "router.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT COUNT(*) FROM event").fetchall()
        for _ in range(3):
            write("x" * (LOG_BYTES // 2))
        assert log.stat().st_size > LOG_BYTES
    for _ in range(2):
        write("")
    assert log.stat().st_size <= LOG_BYTES
    engine.close_thread()


def test_a_standby_that_takes_nothing_is_trouble_that_passes(postgresql: Database) -> None:
    catalogue = postgresql.open()
    driver(catalogue).execute_sql("SET default_transaction_read_only = on")
    with pytest.raises(TransientError):
        catalogue.exams.number_of("", "01", "E1", NOW)
    driver(catalogue).execute_sql("SET default_transaction_read_only = off")
    assert catalogue.exams.number_of("", "01", "E1", NOW)
    catalogue.engine.close_thread()


def test_a_database_that_is_made_is_opened_while_somebody_writes(tmp_path: Path) -> None:
    open_database("", tmp_path).engine.close_thread()
    with closing(sqlite3.connect(tmp_path / "router.db", isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        engine = open_database("", tmp_path).engine
        assert engine.execute("SELECT COUNT(*) FROM exam", []) == [(0,)]
        assert time.monotonic() - began < 20
        engine.close_thread()


def test_a_thread_without_a_connection_does_not_wait_for_one_that_is_being_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = open_database("", tmp_path).engine
    engine.close_thread()
    opening, going, ended = threading.Event(), threading.Event(), threading.Event()

    def connect() -> sqlite3.Connection:
        opening.set()
        going.wait(20)
        raise sqlite3.OperationalError("not now")

    monkeypatch.setattr(engine.database, "_connect", connect)

    def open_slowly() -> None:
        with suppress(peewee.OperationalError):
            engine.database.connect()

    def close() -> None:
        engine.close_thread()
        ended.set()

    threads = [threading.Thread(target=each) for each in (open_slowly, close)]
    threads[0].start()
    assert opening.wait(10)
    threads[1].start()
    in_time = ended.wait(3)
    going.set()
    for thread in threads:
        thread.join(10)
    assert in_time
