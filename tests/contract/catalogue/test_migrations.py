"""From one version of the tables to the next, on both engines, begun with those of the first release."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import first_schema
from router.catalogue.db import schema
from router.catalogue.db import steps as steps_of_versions
from router.catalogue.db.engine import Engine
from router.catalogue.db.schema import Conversion, open_database, version_of
from router.catalogue.db.steps import FIRST_SCHEMA, STEPS, Step
from router.errors import ConfigurationError, TransientError
from support.catalogue_rows import Database, at_once
from support.postgres import Server

# As it is left in the middle of a step: the first statement done, the second one still to come.
_CUT = """
import sys, time
from pathlib import Path
from router.catalogue.db.schema import open_database

def slow(engine):
    engine.execute("ALTER TABLE exam ADD COLUMN ward TEXT", ())
    engine.execute("UPDATE exam SET ward = 'W'", ())
    print("half", flush=True)
    time.sleep(60)

open_database(sys.argv[1], Path(sys.argv[2]), [slow]).convert("node")
"""
# As the first release wrote them.
_EXAM = """
    INSERT INTO exam (branch, exam_id, accession_number, patient_id, patient_name, touched, revisions, doubt, created)
    VALUES ('01', 'E1', '', '', '', 1, 0, '', 0)
"""
_DELIVERY = """
    INSERT INTO delivery (exam_id, destination, channel, state, waiting_for, attempts, error, held_by, lease,
        lease_owner, wanted, delivered, created, changed)
    VALUES (1, 'cloud', 'report', 'waiting', '', 0, '', '', 0, '', '', '', 0, 0)
"""
_SHAPES = {
    "sqlite": """
        SELECT m.name, c.name, c.type, c."notnull", c.pk FROM sqlite_master m, pragma_table_xinfo(m.name) c
            WHERE m.type = 'table';
        SELECT tbl_name, name, sql FROM sqlite_master WHERE type = 'index';
        SELECT m.name, f."table", f."from", f."to", f.on_delete FROM sqlite_master m, pragma_foreign_key_list(m.name) f
    """,
    "postgresql": """
        SELECT table_name, column_name, data_type, is_nullable, replace(coalesce(column_default, ''),
            current_schema(), '') FROM information_schema.columns WHERE table_schema = current_schema();
        SELECT indexname, replace(indexdef, current_schema(), '') FROM pg_indexes
            WHERE schemaname = current_schema();
        SELECT conname, replace(pg_get_constraintdef(oid), current_schema(), '') FROM pg_constraint
            WHERE connamespace = current_schema()::regnamespace
    """,
}


def _ward(engine: Engine) -> None:
    engine.execute("ALTER TABLE exam ADD COLUMN ward TEXT NOT NULL DEFAULT ''", ())
    engine.execute("UPDATE exam SET ward = 'ward of ' || exam_id", ())
    engine.execute("CREATE INDEX exam_ward ON exam (ward)", ())


def _breaks(engine: Engine) -> None:
    engine.execute("CREATE TABLE beds (id INTEGER)", ())
    raise OSError("a step that cannot be done")


@pytest.fixture
def old(bare_database: Database) -> Database:
    """A database as the first release made it, with an exam and its delivery."""
    first_schema.make(bare_database.url, bare_database.data)
    with _Opened(bare_database, []) as opened:
        for statement in (_EXAM, _DELIVERY):
            opened.engine.execute(statement, ())
    return bare_database


def test_the_first_releases_tables_and_all_steps_make_the_tables_of_today(
    old: Database, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with _Opened(old, STEPS) as opened:
        opened.convert("node")
        converted = _shape(opened.engine, old)
    with _Opened(_another(old, request, tmp_path), STEPS) as fresh:
        assert converted == _shape(fresh.engine, old), (
            "a table has changed: before the first release run `python tests/first_schema.py`,"
            " after it write a step in steps.py"
        )


def test_a_database_of_the_former_version_is_brought_to_the_next_and_keeps_its_rows(old: Database) -> None:
    with _Opened(old, [_ward]) as opened:
        assert opened.outdated()
        assert opened.convert("node") == Conversion(FIRST_SCHEMA, version_of([_ward]))
        assert opened.engine.execute("SELECT ward, exam_id FROM exam", ()) == [("ward of E1", "E1")]
        assert opened.engine.execute("SELECT state FROM delivery", ()) == [("waiting",)]
        assert not opened.outdated()
        assert opened.convert("node") is None


def test_exams_whose_approval_may_not_read_are_looked_at_again_and_alarms_learn_their_destination(
    old: Database,
) -> None:
    document = """INSERT INTO document (kind, stem, digest, place, exam_id, file_time, arrived, approve_time, approved,
        content, reported, named, stale, vouched)
        VALUES ('json', 's', 'd', 'p', {}, 0, 0, {}, {}, '', '', '', {no}, {no})"""
    yes, no = ("true", "false") if old.url else ("1", "0")
    alarm = "INSERT INTO open_alarm (alarm, subject, text, exam, delivery, since) VALUES ('missed', '{}', '', 1, {}, 0)"
    with _Opened(old, STEPS) as opened:
        opened.engine.execute(_EXAM.replace("E1", "E2"), ())
        for exam, approve_time, approved in ((1, "5", no), (2, "NULL", no), (2, "5", yes)):
            opened.engine.execute(document.format(exam, approve_time, approved, no=no), ())
        for subject, delivery in (("delivery 1", "1"), ("exam 1", "NULL")):
            opened.engine.execute(alarm.format(subject, delivery), ())
        opened.convert("node")
        touched = "SELECT exam_id, touched, check_at IS NOT NULL FROM exam ORDER BY id"
        assert [tuple(row) for row in opened.engine.execute(touched, ())] == [("E1", 2, True), ("E2", 1, False)]
        found = opened.engine.execute("SELECT subject, destination FROM open_alarm ORDER BY subject", ())
        assert [tuple(row) for row in found] == [("d1", "cloud"), ("e1", "")]


def test_alarms_of_before_are_about_e17_and_d85_and_the_same_doubt_is_not_told_again(old: Database) -> None:
    doubt = "identity: exam 12 of another patient lists study 1.2.3; study 1.2.4 differs from the exam in name"
    pdf = "pdf: the text of the report PDF names exam 9 and not this one; drop this exam's PDF"
    alarm = "INSERT INTO open_alarm (alarm, subject, text, exam, delivery, since) VALUES ('{}', '{}', '{}', 1, 1, 0)"
    with _Opened(old, STEPS) as opened:
        for kind, subject, text in (
            ("doubt", "exam 17", doubt), ("missed", "delivery 85", "late"), ("damaged", "study 1.2", "exam 3 is held"),
        ):  # fmt: skip
            opened.engine.execute(alarm.format(kind, subject, text), ())
        given = opened.engine.database.param
        opened.engine.execute(f"UPDATE exam SET doubt = {given}", (doubt,))
        opened.engine.execute(f"UPDATE delivery SET error = {given}", (pdf.replace("'", "’"),))
        opened.convert("node")
        found = [
            tuple(row) for row in opened.engine.execute("SELECT subject, text FROM open_alarm ORDER BY subject", ())
        ]
        short = doubt.replace("exam 12", "e12")
        assert found == [("d85", "late"), ("e17", short), ("study 1.2", "exam 3 is held")]
        assert opened.engine.execute("SELECT doubt FROM exam", ())[0][0] == short
        assert "names e9 and not this one" in opened.engine.execute("SELECT error FROM delivery", ())[0][0]


def test_breakers_and_paces_of_before_are_of_the_common_account_and_deliveries_of_their_exams_hospital(
    old: Database,
) -> None:
    of_exam, rest = STEPS.index(steps_of_versions._hospitals) + 1, "1, 1, 5, 7, 'no answer', 'trouble'"
    with _Opened(old, STEPS[:of_exam]) as opened:
        opened.convert("node")
        execute = opened.engine.execute
        execute("UPDATE exam SET hospital = 'renmin'")
        execute(
            "INSERT INTO breaker (destination, channel, position, failures, width, since, probe_at, why, outage)"
            f" VALUES ('cloud', 'report', 'open', {rest})"
        )
        execute("INSERT INTO pace (destination, channel, units, seconds) VALUES ('cloud', 'report', 2.5, 0.5)")
    with _Opened(old, STEPS) as opened:
        opened.convert("node")
        execute = opened.engine.execute
        assert execute("SELECT hospital, destination FROM delivery") == [("renmin", "cloud")]
        assert execute("SELECT account, position, probe_at FROM breaker") == [("", "open", 7)]
        assert execute("SELECT account, units, seconds, counted FROM pace") == [("", 2.5, 0.5, None)]


def test_pauses_of_before_concern_every_hospital(old: Database) -> None:
    before = STEPS.index(steps_of_versions._pauses_of_hospitals)
    with _Opened(old, STEPS[:before]) as opened:
        opened.convert("node")
        values = "('cloud', 'wang', 'moves', '', 1, NULL), ('', 'li', 'all', 'wang', 2, 3)"
        opened.engine.execute(f"INSERT INTO pause (destination, who, why, ended_by, since, until) VALUES {values}")
    with _Opened(old, STEPS) as opened:
        opened.convert("node")
        rows = opened.engine.execute(
            "SELECT destination, hospital, who, why, ended_by, since, until FROM pause ORDER BY since"
        )
        assert rows == [("cloud", "", "wang", "moves", "", 1, None), ("", "", "li", "all", "wang", 2, 3)]


def test_several_versions_are_taken_at_once(old: Database) -> None:
    def bed(engine: Engine) -> None:
        engine.execute("ALTER TABLE exam ADD COLUMN bed TEXT NOT NULL DEFAULT ''", ())
        engine.execute("UPDATE exam SET bed = ward", ())

    with _Opened(old, [_ward]) as opened:
        opened.convert("node")
    with _Opened(old, [_ward, bed]) as opened:
        assert opened.convert("node") == Conversion(FIRST_SCHEMA + 1, FIRST_SCHEMA + 2)
        assert opened.engine.execute("SELECT bed FROM exam", ()) == [("ward of E1",)]


def test_of_many_that_start_at_once_one_converts(old: Database) -> None:
    def convert() -> Conversion | None:
        with _Opened(old, [_ward]) as opened:
            return opened.convert("node")

    done = at_once(None, [convert] * 4)
    assert [each for each in done if each] == [Conversion(FIRST_SCHEMA, FIRST_SCHEMA + 1)]


def test_a_step_that_fails_leaves_the_former_version_whole(old: Database) -> None:
    with _Opened(old, [_ward, _breaks]) as opened, pytest.raises(OSError, match="cannot be done"):
        opened.convert("node")
    _is_as_before(old)


def test_a_node_that_is_killed_while_it_converts_leaves_the_former_version_whole(old: Database) -> None:
    call = [sys.executable, "-W", "error", "-c", _CUT, old.url, str(old.data)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as node:
        assert node.stdout is not None
        assert node.stdout.readline() == "half\n"
        os.kill(node.pid, signal.SIGKILL)
    _is_as_before(old)


def test_nothing_is_converted_while_another_node_works_with_the_former_version(old: Database) -> None:
    with _Opened(old, [_ward]) as opened:
        _sign(opened.engine, "south", timedelta(0))
        with pytest.raises(TransientError, match="node south still works"):
            opened.convert("north")
        assert opened.convert("south") is not None  # its own former life


def test_a_node_that_fell_silent_does_not_keep_the_others_from_converting(old: Database) -> None:
    with _Opened(old, [_ward]) as opened:
        _sign(opened.engine, "south", timedelta(minutes=3))
        assert opened.convert("north") is not None


def test_a_command_says_that_the_node_converts(old: Database) -> None:
    with _Opened(old, [_ward]) as opened, pytest.raises(ConfigurationError, match="needs 2") as refused:
        opened.require_current()
    assert "start the node" in str(refused.value.hint)


def test_the_former_program_refuses_a_converted_database(old: Database) -> None:
    with _Opened(old, [*STEPS, _ward]) as opened:
        opened.convert("node")
    with pytest.raises(ConfigurationError, match=f"schema {version_of([*STEPS, _ward])},") as refused:
        open_database(old.url, old.data, STEPS)
    assert "before the upgrade" in str(refused.value.hint)


class _Opened:
    def __init__(self, database: Database, steps: Sequence[Step]) -> None:
        self._opened = open_database(database.url, database.data, steps)

    def __enter__(self) -> schema.Database:
        return self._opened

    def __exit__(self, *_: object) -> None:
        self._opened.engine.close_thread()


def _kind(database: Database) -> str:
    return "postgresql" if database.url else "sqlite"


def _another(database: Database, request: pytest.FixtureRequest, folder: Path) -> Database:
    if not database.url:
        (folder / "fresh").mkdir()
        return Database("", folder / "fresh")
    server: Server = request.getfixturevalue("server")
    return Database(server.new_schema(), folder)


def _shape(engine: Engine, database: Database) -> list[list[tuple[Any, ...]]]:
    return [sorted(engine.execute(sql, ()), key=repr) for sql in _SHAPES[_kind(database)].split(";")]


def _sign(engine: Engine, node: str, ago: timedelta) -> None:
    microseconds = ago // timedelta(microseconds=1)
    engine.execute(f"INSERT INTO node (name, seen) VALUES ('{node}', {engine.now} - {microseconds})", ())


def _is_as_before(database: Database) -> None:
    with _Opened(database, STEPS) as opened:
        tables = opened.engine.database.get_tables()
        columns = [column.name for column in opened.engine.database.get_columns("exam")]
        assert "beds" not in tables
        assert "ward" not in columns
        assert opened.engine.execute("SELECT exam_id FROM exam", ()) == [("E1",)]
