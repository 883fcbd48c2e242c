"""What differs between SQLite and PostgreSQL, and nothing else does.

SQLite: WAL, synchronous FULL, one writer at a time (a lock in the process, BEGIN IMMEDIATE between
processes). PostgreSQL: any number of writers, rows claimed with FOR UPDATE SKIP LOCKED.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peewee
from playhouse import db_url

from router.catalogue.tables import SCHEMA_VERSION, TABLES, Schema
from router.errors import ConfigurationError, IntegrityError, TransientError

_BUSY_SECONDS = 30


class Engine(ABC):
    """An open database. Every thread gets a connection of its own, closed by `close_thread`."""

    def __init__(self, database: peewee.Database) -> None:
        self.database = database
        try:
            self._make_tables()
        except peewee.OperationalError as error:
            raise TransientError(f"the database does not open: {type(error).__name__}",
                                 hint="see [database] url, and whether the server runs") from error  # fmt: skip
        except peewee.DatabaseError as error:
            raise IntegrityError("the database is damaged", hint="stop the node and run verify --rebuild") from error

    @abstractmethod
    def write(self) -> Any:
        """A transaction that writes; nested ones are part of the outer one."""

    @abstractmethod
    def unclaimed(self, query: Any) -> Any:
        """The query with the rows locked that it selects, those that others have locked left out."""

    @contextmanager
    def read(self) -> Iterator[None]:
        """One consistent view over several queries."""
        with self._connected(), self.database.atomic():
            yield

    def run(self, query: Any) -> Any:
        """Execute one query."""
        with self._connected():
            return query.execute(self.database)

    def close_thread(self) -> None:
        """Close this thread's connection."""
        self.database.close()

    @contextmanager
    def _connected(self) -> Iterator[None]:
        self.database.connect(reuse_if_open=True)
        try:
            yield
        except (peewee.OperationalError, peewee.InterfaceError) as error:
            raise TransientError("the database did not answer", hint="see its log and its disk") from error

    def _make_tables(self) -> None:
        with self.write(), self.database.bind_ctx(TABLES):
            self.database.create_tables(TABLES)
            found = [row.version for row in Schema.select().execute(self.database)]
            if not found:
                Schema.insert(version=SCHEMA_VERSION).execute(self.database)
            elif found != [SCHEMA_VERSION]:
                raise ConfigurationError(f"the database has schema {found}, this version needs {SCHEMA_VERSION}")


class SqliteEngine(Engine):
    """A file in the data folder."""

    def __init__(self, path: Path) -> None:
        self._writing = threading.RLock()
        pragmas = {"journal_mode": "wal", "synchronous": "full", "foreign_keys": 1, "cache_size": -64000}
        super().__init__(peewee.SqliteDatabase(str(path), pragmas=pragmas, timeout=_BUSY_SECONDS))

    @contextmanager
    def write(self) -> Iterator[None]:
        # Threads queue at the lock: SQLite's own busy handler sleeps and lets late ones overtake.
        with self._writing, self._connected(), self.database.atomic("IMMEDIATE"):
            yield

    def unclaimed(self, query: Any) -> Any:
        return query


class PostgresEngine(Engine):
    """A server, shared by several nodes."""

    def __init__(self, url: str) -> None:
        try:
            database = db_url.connect(url)
        except (peewee.ImproperlyConfigured, RuntimeError) as error:
            raise ConfigurationError(f"[database] url: {error}", hint="pip install '.[postgres]'") from error
        super().__init__(database)

    @contextmanager
    def write(self) -> Iterator[None]:
        with self._connected(), self.database.atomic():
            yield

    def unclaimed(self, query: Any) -> Any:
        return query.for_update("FOR UPDATE SKIP LOCKED")


def open_engine(url: str, data: Path) -> Engine:
    """The engine that `[database] url` names; without one, SQLite in the data folder."""
    if not url:
        return SqliteEngine(data / "router.db")
    if url.startswith(("postgresql://", "postgres://")):
        return PostgresEngine(url)
    raise ConfigurationError("[database] url: expected postgresql://user@host/name")
