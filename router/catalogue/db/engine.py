"""The two engines, SQLite and PostgreSQL: all that differs between them is here.

SQLite: WAL, synchronous FULL, one writer at a time (a lock in the process, BEGIN IMMEDIATE between
processes). PostgreSQL: any number of writers, rows claimed with FOR UPDATE SKIP LOCKED.
"""

import sqlite3
import threading
import time
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import peewee

from router.catalogue.db import sessions
from router.catalogue.db.prepared import Filled
from router.catalogue.db.sessions import Limits
from router.errors import ConfigurationError, IntegrityError, TransientError
from router.events import EventBus

_BUSY_SECONDS = 30
LOG_BYTES = 2**25  # what a reader that took long, a backup say, made SQLite's log grow beyond is given back afterwards
_CONNECT_TRIES = 500
_AT_ONCE = 500
# One number for every node that opens this product's database on the server: "icr" in ASCII.
_SETUP_LOCK = _NAME_LOCK = 0x696372
_NAME_LOCKS = 1024  # a server has room for some thousand locks in all, and an exam JSON may list any number of studies

# Holds a number of ours until the end of the transaction.
_LOCK = "SELECT pg_advisory_xact_lock(%s, %s)"

_T = TypeVar("_T")


class Engine(ABC):
    """An open database. Every thread gets a connection of its own, closed by `close_thread`."""

    now: str  # the database's clock in SQL, as InstantField keeps it
    whole: str  # the type of a number of 64 bits, for steps that make a table
    is_shared: bool  # by several nodes, whose clocks may disagree
    snapshot: Mapping[str, str] = {}  # options of a transaction that reads one state

    def __init__(self, database: peewee.Database) -> None:
        self.database = database
        self._seal: Callable[[], None] = lambda: None

    @contextmanager
    def write(self) -> Iterator[None]:
        """A transaction that writes; nested ones are part of the outer one."""
        outermost = self.database.transaction_depth() == 0
        with self._transaction():
            yield
            if outermost:
                self._seal()

    def before_commit(self, seal: Callable[[], None]) -> None:
        """Call `seal` before each commit from now on; an error that it raises takes the transaction back."""
        self._seal = seal

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[None]:
        """As `write`."""

    @abstractmethod
    def lock_names(self, names: Iterable[str]) -> AbstractContextManager[None]:
        """While no other node does the same with one of these names."""

    @abstractmethod
    def unclaimed(self, query: Any) -> Any:
        """The query with the rows locked that it selects, those that others have locked left out."""

    @abstractmethod
    def numbered(self, table: type[peewee.Model]) -> None:
        """Number the next row after the largest number there is: rows with numbers of their own were entered."""

    @contextmanager
    def read(self) -> Iterator[None]:
        """One consistent view over several queries."""
        with self.connected(), self.database.atomic(**self.snapshot):
            yield

    def run(self, query: Any) -> Any:
        """Execute one query. Rows are all fetched: a half-read cursor would hold SQLite's log back."""

        def run() -> Any:
            result = query.execute(self.database)
            return list(result) if isinstance(result, peewee.CursorWrapper) else result

        with self.connected():
            return self._legible(run)

    def _legible(self, run: Callable[[], _T]) -> _T:
        """The result of a query; text in which bits have flipped has U+FFFD for what is none."""
        return run()

    def rows(self, query: peewee.BaseQuery | Filled) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        rows: list[tuple[Any, ...]] = self.run(query.tuples())
        return rows

    def column(self, query: peewee.BaseQuery | Filled) -> list[Any]:
        """The values of a query of one column."""
        return [value for (value,) in self.run(query.tuples())]

    def value(self, query: peewee.BaseQuery | Filled) -> Any:
        """The value of a query of one column in its first row; None without a row."""
        return next(iter(self.column(query)), None)

    def has(self, query: peewee.Query) -> bool:
        """Whether a query has any row."""
        return bool(self.run(query.limit(1).tuples()))

    def execute(self, sql: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement that is written out; the rows, if it gives any."""
        database: Any = self.database

        def run() -> list[tuple[Any, ...]]:
            cursor = database.execute_sql(sql, values)
            return list(cursor.fetchall()) if cursor.description else []

        with self.connected():
            return self._legible(run)

    @contextmanager
    def patient(self) -> Iterator[None]:
        """For work that takes long by design, on this thread: no statement is ended for the time that it takes."""
        yield

    def hurry(self, seconds: float) -> None:  # noqa: B027  # a file answers in the time that SQLite waits for a lock
        """Give up any statement, from now on, that the database does not answer within so many seconds."""

    def close_thread(self) -> None:
        """Close this thread's connection. Without one, do not wait for a thread that is opening its own."""
        if not self.database.is_closed():
            self.database.close()

    def _connect(self) -> None:
        self.database.connect()

    @contextmanager
    def connected(self) -> Iterator[None]:
        """A connection for this thread, renewed when the former one is lost; peewee's errors as ours."""
        try:
            if not (self.database.in_transaction() or self.database.is_connection_usable()):
                self.database.close()
                self._connect()
            yield
        except (peewee.OperationalError, peewee.InterfaceError, peewee.InternalError) as error:
            # Internal to psycopg is also that a standby has answered, which takes nothing.
            raise TransientError(sessions.reason_of(error),
                                 hint="see [database] url, the server's log and the disk") from error  # fmt: skip
        except peewee.DatabaseError as error:
            # The subclasses are raised for a wrong statement, the bare class by SQLite for a damaged file.
            if type(error) is not peewee.DatabaseError:
                raise
            raise IntegrityError("the database is damaged", hint="stop every node and run verify --rebuild") from error

    @abstractmethod
    def lock_setup(self) -> None:
        """Keep others from making tables until the end of the transaction."""

    @contextmanager
    def first_use(self) -> Iterator[None]:
        """The first statements; ConfigurationError where the server's settings are why they fail."""
        yield


class SqliteEngine(Engine):
    """A file in the data folder."""

    now = "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"
    whole = "INTEGER"
    is_shared = False

    def __init__(self, path: Path) -> None:
        self._writing = threading.RLock()
        try:
            path.touch(mode=0o600)  # SQLite gives its other files the mode of this one
        except OSError as error:
            raise TransientError(f"the database cannot be opened: {error.strerror}", hint="see [node] data") from error
        pragmas = {
            "journal_mode": "wal", "synchronous": "full", "foreign_keys": 1, "cache_size": -64000,
            "journal_size_limit": LOG_BYTES,
        }  # fmt: skip
        # Where the file is gone later, no thread makes an empty one in its place.
        existing = f"file:{quote(str(path.absolute()))}?mode=rw"
        super().__init__(peewee.SqliteDatabase(existing, uri=True, pragmas=pragmas, timeout=_BUSY_SECONDS))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        # Threads queue at the lock: SQLite's own busy handler sleeps and lets late ones overtake.
        with self._writing, self.connected(), self.database.atomic("IMMEDIATE"):
            yield

    @contextmanager
    def lock_names(self, names: Iterable[str]) -> Iterator[None]:
        yield  # a file serves one node

    def unclaimed(self, query: Any) -> Any:
        return query

    def _legible(self, run: Callable[[], _T]) -> _T:
        try:
            return run()
        except (sqlite3.OperationalError, peewee.OperationalError) as error:  # of a query: it may be repeated
            if "decode to UTF-8" not in str(error):
                raise
        database: Any = self.database
        connection = database.connection()
        connection.text_factory = partial(str, encoding="utf-8", errors="replace")
        try:
            return run()
        finally:
            connection.text_factory = str

    def numbered(self, table: type[peewee.Model]) -> None:
        """SQLite looks at the largest number itself."""

    def _connect(self) -> None:
        # Of several that put a new file into WAL at once, some are told that it is locked, whatever the time-out.
        for _ in range(_CONNECT_TRIES):
            try:
                self.database.connect()
                return
            except peewee.OperationalError as error:
                if "locked" not in str(error):
                    raise
                time.sleep(0.01)
        self.database.connect()

    def lock_setup(self) -> None:
        """BEGIN IMMEDIATE has done it."""


class PostgresEngine(Engine):
    """A server, shared by several nodes. `url` is what libpq takes, with psycopg 3 as the driver."""

    now = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"
    whole = "BIGINT"
    is_shared = True
    snapshot: Mapping[str, str] = {"isolation_level": "REPEATABLE READ"}

    def __init__(self, url: str, limits: Limits) -> None:
        self._server = sessions.Server(url.replace("postgres://", "postgresql://", 1), limits)
        super().__init__(self._server)

    @contextmanager
    def first_use(self) -> Iterator[None]:
        try:
            yield
        except peewee.ImproperlyConfigured as error:
            raise ConfigurationError(f"[database] url: {error}", hint="pip install '.[postgres]'") from error
        except peewee.ProgrammingError as error:
            raise ConfigurationError(
                f"[database] url: {type(error.__context__ or error).__name__}",
                hint="it must be one that psql takes, and its account must own the database",
            ) from error

    @contextmanager
    def patient(self) -> Iterator[None]:
        with self._server.patient():
            yield

    def hurry(self, seconds: float) -> None:
        self._server.watch.hurry(seconds)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.connected(), self.database.atomic():
            yield

    @contextmanager
    def lock_names(self, names: Iterable[str]) -> Iterator[None]:
        with self.write():
            for number in sorted({zlib.crc32(name.encode()) % _NAME_LOCKS for name in names}):
                self.execute(_LOCK, [_NAME_LOCK, number])
            yield

    def unclaimed(self, query: Any) -> Any:
        return query.for_update("FOR UPDATE SKIP LOCKED")

    def numbered(self, table: type[peewee.Model]) -> None:
        number: Any = table._meta.primary_key
        sequence = peewee.fn.PG_GET_SERIAL_SEQUENCE(table._meta.table_name, number.column_name)
        largest = table.select(peewee.fn.MAX(number))
        self.run(peewee.Select(columns=[peewee.fn.SETVAL(sequence, largest)]))

    def lock_setup(self) -> None:
        # CREATE TABLE IF NOT EXISTS fails when two nodes run it at once.
        self.run(peewee.Select(columns=[peewee.fn.PG_ADVISORY_XACT_LOCK(_SETUP_LOCK)]))


def portions(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """The values, as many at once as a statement takes on both engines."""
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]


class Rows:
    """A part of the catalogue, over an engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def transaction(self) -> AbstractContextManager[None]:
        """One transaction for what is done within."""
        return self._engine.write()


class RecordedRows(Rows):
    """Rows whose changes are recorded as events in the same transaction."""

    def __init__(self, engine: Engine, bus: EventBus) -> None:
        super().__init__(engine)
        self._bus = bus
