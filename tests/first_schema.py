"""The tables of the first release as SQL, kept so that every later version is tried on them.

Until that release `python tests/first_schema.py` writes them anew; afterwards they never change, and a change of
`catalogue/db/tables/` wants a step in `catalogue/db/steps.py`.
"""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import peewee

from router.catalogue.db.steps import FIRST_SCHEMA
from router.catalogue.db.tables import TABLES

FOLDER = Path(__file__).parent / "schemas"
_DATABASES = {"sqlite": peewee.SqliteDatabase, "postgresql": peewee.PostgresqlDatabase}


def kept(engine: str) -> str:
    """The first release's tables, and the row that says so."""
    return (FOLDER / f"first.{engine}.sql").read_text()


def make(url: str, data: Path) -> None:
    """A database with them: at `url`, or SQLite's below `data`."""
    if url:
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(kept("postgresql").encode())
        return
    with closing(sqlite3.connect(data / "router.db")) as file:
        file.executescript(kept("sqlite"))


def written(engine: str) -> str:
    """The tables as they are in the code, in the same form."""
    database = _DATABASES[engine](None)
    statements = [sql for table in TABLES for sql in _statements(peewee.SchemaManager(table, database))]
    return "".join(f"{sql};\n" for sql in [*statements, f"INSERT INTO schema (version) VALUES ({FIRST_SCHEMA})"])


def _statements(manager: Any) -> list[str]:
    parts = [manager._create_table(safe=False), *manager._create_indexes(safe=False)]
    return [part.query()[0] for part in parts]


if __name__ == "__main__":
    for each in _DATABASES:
        (FOLDER / f"first.{each}.sql").write_text(written(each))
