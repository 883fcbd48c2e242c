"""The database: its tables made, known, or brought from an older version to this one by `steps`.

All steps that are needed happen in one transaction, which both engines undo as a whole when it is cut short: a
database is of one version or of another, never between two. Of several nodes one does it, the others wait.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import peewee

from router.catalogue.db import sessions
from router.catalogue.db.engine import Engine, PostgresEngine, SqliteEngine
from router.catalogue.db.sessions import Limits
from router.catalogue.db.steps import FIRST_SCHEMA, STEPS, Step
from router.catalogue.db.tables import TABLES
from router.catalogue.db.tables.node import BEGINS_WITH, Schema, Setting
from router.errors import ConfigurationError, TransientError

_SILENT = 120_000_000  # microseconds


@dataclass(frozen=True, slots=True)
class Conversion:
    """From which version to which a database was brought."""

    old: int
    new: int


def version_of(steps: Sequence[Step]) -> int:
    """The version that the steps lead to."""
    return FIRST_SCHEMA + len(steps)


def missing(found: int, steps: Sequence[Step]) -> Sequence[Step]:
    """Steps that bring a database of that version to ours; ConfigurationError where none do."""
    needed = version_of(steps)
    if not FIRST_SCHEMA <= found <= needed:
        raise ConfigurationError(
            f"the database has schema {found}, this version of the node knows {FIRST_SCHEMA} to {needed}",
            hint="install the version that wrote it, or put back the copy that was made before the upgrade",
        )
    return steps[found - FIRST_SCHEMA :]


def require_alone(engine: Engine, node: str) -> None:
    """Raise TransientError while another node gives signs of life: the former version does not know these tables."""
    signs = f"SELECT name FROM node WHERE seen > {engine.now} - {_SILENT} ORDER BY name"  # noqa: S608 our own text
    if others := [name for (name,) in engine.execute(signs) if name != node]:
        raise TransientError(
            f"the database is of a former version, and node {others[0]} still works with it",
            hint="stop every node, then start those of the new version",
        )


class Database:
    """A database whose tables this version of the program makes, knows or converts."""

    def __init__(self, engine: Engine, steps: Sequence[Step] = STEPS) -> None:
        self.engine = engine
        self._steps = steps

    def make_tables(self) -> None:
        """Make the tables where there are none; those that are there may be `outdated`, and must be known."""
        with self.engine.connected():  # without the lock of a writer, for whom a reader need not wait
            made = self.engine.database.table_exists("schema")
        if made:
            self.outdated()
            return
        with self.engine.write():
            self.engine.lock_setup()
            if self.engine.database.table_exists("schema"):
                self.outdated()
                return
            for table in TABLES:
                peewee.SchemaManager(table, self.engine.database).create_all()
            self.engine.run(Schema.insert(version=version_of(self._steps)))
            for name, value in BEGINS_WITH.items():
                self.engine.run(Setting.insert(name=name, value=value))

    def outdated(self) -> bool:
        """Whether the tables are of a former version; ConfigurationError when they are of none that is known."""
        return bool(missing(self._version(), self._steps))

    def require_current(self) -> None:
        """ConfigurationError while the tables are of a former version."""
        if self.outdated():
            raise ConfigurationError(
                f"the database has schema {self._version()}, this version of the node needs {version_of(self._steps)}",
                hint="start the node: it converts the database, after a copy of it where it is SQLite",
            )

    def convert(self, node: str) -> Conversion | None:
        """Bring the tables to this version; None when they are. TransientError while another node is at work."""
        with self.engine.patient(), self.engine.write():
            self.engine.lock_setup()
            found = self._version()
            steps = missing(found, self._steps)
            if not steps:
                return None
            require_alone(self.engine, node)
            for step in steps:
                step(self.engine)
            self.engine.run(Schema.update(version=version_of(self._steps)))
        return Conversion(found, version_of(self._steps))

    def _version(self) -> int:
        return int(self.engine.value(Schema.select(Schema.version)))


def open_database(
    url: str, data: Path, steps: Sequence[Step] = STEPS, *, limits: Limits = sessions.DEFAULT
) -> Database:
    """The database of `[database] url`, else SQLite in the data folder; its tables may be `outdated`."""
    if url and not url.startswith(("postgresql://", "postgres://")):
        raise ConfigurationError("[database] url: expected postgresql://user@host/name")
    found = Database(PostgresEngine(url, limits) if url else SqliteEngine(data / "router.db"), steps)
    try:
        with found.engine.first_use():
            found.make_tables()
    except BaseException:  # an interrupt, too, must leave no session open; raised again
        found.engine.close_thread()
        raise
    return found
