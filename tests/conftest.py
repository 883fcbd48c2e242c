"""What tests share: a PostgreSQL server of their own, and a catalogue on each engine."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

import router
from catalogue_rows import Database
from desk import Desk, OpenDesk
from nursery import NURSERY
from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.db.tables import TABLES
from router.catalogue.db.tables.node import Schema, Setting
from router.events import Event, EventBus, Kind
from router.reports.pdf.reader import Readers

if TYPE_CHECKING:
    import psycopg

# Programs that tests start by the hundred need not be compiled by each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Nor need those that nodes start: each receive worker would load half of the program.
NURSERY.forks_workers = True
# The suite tries the same examples each time; `scripts/test --hypothesis-profile=default` tries others.
settings.register_profile("steady", derandomize=True)
settings.load_profile("steady")
_ACCOUNT = "router"
_START_SECONDS = 15.0
_PRODUCT = Path(router.__file__).parent
# The data is thrown away, so nothing needs to reach the disk.
DURABLE = {"listen_addresses": "", "max_connections": "60"}
_HASTE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "16MB",
          "listen_addresses": "", "max_connections": "60", "autovacuum": "off"}  # fmt: skip


@pytest.fixture(autouse=True)
def _fires(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The promise of a test marked `fires(alarm)` or `ends(alarm)`: the product itself, not the test, does so in it."""
    marks = {"fires": Kind.ALARM, "ends": Kind.CLEARED}
    promised = {
        (kind, Alarm(name))
        for word, kind in marks.items()
        for mark in request.node.iter_markers(word)
        for name in mark.args
    }
    if not promised:
        yield
        return
    found, record = set[tuple[Kind, Alarm]](), EventBus.record

    def noted(bus: EventBus, event: Event) -> None:
        by_product = Path(sys._getframe(1).f_code.co_filename).is_relative_to(_PRODUCT)
        if event.alarm is not None and by_product:
            found.add((event.kind, event.alarm))
        record(bus, event)

    monkeypatch.setattr(EventBus, "record", noted)
    yield
    missing = ", ".join(f"{alarm} {kind}" for kind, alarm in sorted(promised - found))
    assert found >= promised, f"never told: {missing}"


def _programs() -> Path | None:
    """The folder of initdb and postgres, the newest version first."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]), reverse=True)
    on_path = shutil.which("initdb")
    found = [*debian, *([Path(on_path)] if on_path else [])]
    return next((initdb.parent for initdb in found if (initdb.parent / "postgres").exists()), None)


def _unprivileged() -> str | None:
    """The account to run as; None for our own. The server refuses root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    pytest.skip("PostgreSQL does not run as root, and there is no account postgres or nobody")


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"TZ": "UTC"}


def _make_cluster(programs: Path, data: Path, user: str | None) -> None:
    call = [str(programs / "initdb"), "-D", str(data), "-U", _ACCOUNT, "-A", "trust", "-E", "UTF8"]
    call += ["--no-locale", "--no-sync"]
    made = subprocess.run(call, user=user, cwd=data.parent, env=_environment(), capture_output=True, check=False)
    if made.returncode:
        pytest.fail(f"initdb: {made.stderr.decode(errors='replace')}")


@contextmanager
def _running(
    programs: Path, folder: Path, user: str | None, given: Mapping[str, str]
) -> "Iterator[subprocess.Popen[bytes]]":
    settings = [argument for name, value in given.items() for argument in ("-c", f"{name}={value}")]
    call = [str(programs / "postgres"), "-D", str(folder / "data"), "-k", str(folder), *settings]
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(call, user=user, cwd=folder, env=_environment(), stdout=log, stderr=log)
    try:
        yield server
    finally:
        # An immediate shutdown: nothing is worth a checkpoint.
        server.send_signal(signal.SIGQUIT)
        server.wait(10)


def _await(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    import psycopg

    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if server.poll() is not None or time.monotonic() > until:
                pytest.fail(f"PostgreSQL does not start: {log.read_text(errors='replace')}")
            time.sleep(0.02)


class Server:
    """A running server, and schemas on it: names without a schema go where the URL's search path says."""

    def __init__(self, url: str, connection: "psycopg.Connection[Any]") -> None:
        self._url = url
        self._connection = connection
        self._numbers = itertools.count()

    def new_schema(self) -> str:
        """The URL of a schema without tables."""
        name = f"test_{next(self._numbers)}"
        self._connection.execute(f"CREATE SCHEMA {name}".encode())
        return f"{self._url}&options=-csearch_path%3D{name}"

    def emptied(self) -> str:
        """The URL of the first schema, its rows gone; that takes a tenth of making tables."""
        rows = [table._meta.table_name for table in reversed(TABLES) if table not in (Schema, Setting)]
        self._connection.execute("; ".join(f"DELETE FROM test_0.{name}" for name in rows).encode())
        return f"{self._url}&options=-csearch_path%3Dtest_0"


@contextmanager
def postgres_server(settings: Mapping[str, str]) -> Iterator[str]:
    """The URL of a private server, reached by a socket in a temporary folder; stopped at the end."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install '.[postgres]'")
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: no initdb in /usr/lib/postgresql or on the PATH")
    user = _unprivileged()
    # A socket's path may have 107 bytes at most, so not below pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="icr-pg-"))
    if user is not None:
        shutil.chown(folder, user)
    try:
        _make_cluster(programs, folder / "data", user)
        with _running(programs, folder, user, settings) as server:
            url = f"postgresql:///postgres?host={folder}&user={_ACCOUNT}"
            _await(url, server, folder / "log")
            yield url
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """A server that need not outlive the tests."""
    with postgres_server(_HASTE) as url:
        yield url


@pytest.fixture(scope="session")
def server(postgres: str) -> Iterator[Server]:
    """The server, with the tables made once."""
    import psycopg

    with psycopg.connect(postgres, autocommit=True) as connection:
        found = Server(postgres, connection)
        Database(found.new_schema(), Path()).open().engine.close_thread()
        yield found


@pytest.fixture
def sqlite(tmp_path: Path) -> Database:
    """A new file."""
    return Database("", tmp_path)


@pytest.fixture
def postgresql(server: Server, tmp_path: Path) -> Database:
    """Empty tables on the server, the same in every test."""
    return Database(server.emptied(), tmp_path)


@pytest.fixture
def bare_postgresql(server: Server, tmp_path: Path) -> Database:
    """A schema of the server without tables."""
    return Database(server.new_schema(), tmp_path)


@pytest.fixture(params=["sqlite", "bare_postgresql"])
def bare_database(request: pytest.FixtureRequest) -> Database:
    """Each engine in turn, without tables."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Database:
    """Each engine in turn."""
    found: Database = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def catalogue(database: Database) -> Iterator[Catalogue]:
    """A new catalogue, open."""
    opened = database.open()
    yield opened
    opened.engine.close_thread()


@pytest.fixture(scope="session")
def readers() -> Iterator[Readers]:
    """A program that reads PDFs."""
    found = Readers(1)
    yield found
    found.close()


@pytest.fixture
def open_desk(tmp_path: Path, readers: Readers) -> Iterator[OpenDesk]:
    """Makes a drop folder with its intake; settings go into [reports]."""
    desks: list[Desk] = []

    def opened(settings: str = "") -> Desk:
        desks.append(Desk(tmp_path, readers, settings))
        return desks[-1]

    yield opened
    for desk in desks:
        desk.catalogue.engine.close_thread()


@pytest.fixture
def desk(open_desk: OpenDesk) -> Desk:
    """A drop folder with the defaults."""
    return open_desk()
