"""Putting back rows for what lies in the data folder, after the database was lost or damaged."""

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

from router.catalogue.dialect import Engine
from router.catalogue.namings import Namings
from router.catalogue.tables import Document, Exam
from router.correlate.naming import identifiers

LOST = "ledger lost: what was sent of it is not known any more; release it to send everything of it (again)"


class Restore:
    """Rows as a rebuild makes them."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def places(self) -> set[str]:
        """Where every known document lies."""
        return {row[0] for row in self._engine.run(Document.select(Document.place).tuples())}

    def exam(self, number: int, branch: str, exam_id: str, now: datetime) -> tuple[int, bool]:
        """The exam's number, and whether it is new; a new one gets `number`, under which its documents lie."""
        query = Exam.select(Exam.id).where((Exam.branch == branch) & (Exam.exam_id == exam_id)).tuples()
        for row in self._engine.run(query):
            return int(row[0]), False
        with self._engine.write():
            self._engine.run(Exam.insert(id=number, branch=branch, exam_id=exam_id, created=now))
            self._engine.numbered(Exam)
            Namings(self._engine).answer(number, identifiers(exam_id, "", ""), new=True)
        return number, True

    def has_exam(self, number: int) -> bool:
        """Whether there is an exam of that number."""
        return bool(self._engine.run(Exam.select(Exam.id).where(Exam.id == number).tuples()))

    def revision(self, exam: int, revision: int) -> None:
        """Note that this intake revision is taken, so that it is not given again."""
        with self._engine.write():
            used = (Exam.id == exam) & (Exam.revisions < revision)
            self._engine.run(Exam.update(revisions=revision).where(used))


def has_database(data: Path) -> bool:
    """Whether SQLite's file is there and not empty: an empty one is a new database to SQLite, which drops its log."""
    path = data / "router.db"
    return path.exists() and path.stat().st_size > 0


def set_aside_damaged(data: Path, now: datetime) -> None:
    """Rename SQLite's files when they do not pass its own check, so that a new database is made."""
    path = data / "router.db"
    if not path.exists() or (has_database(data) and _sound(path)):
        return
    for suffix in ("", "-wal", "-shm"):
        file = data / f"router.db{suffix}"
        if file.exists():
            file.rename(data / f"router.db{suffix}.damaged-{now:%Y%m%dT%H%M%S}")


def _sound(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(path)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchall() == [("ok",)])
    except sqlite3.DatabaseError:
        return False
