"""A PostgreSQL server of the tests' own, and schemas on it."""

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from router.catalogue.db.tables import TABLES
from router.catalogue.db.tables.node import BEGINS_WITH, Schema

if TYPE_CHECKING:
    import psycopg

_ACCOUNT = "router"
_START_SECONDS = 15.0
DURABLE = {"listen_addresses": "", "max_connections": "60"}
# Where the data is thrown away, nothing needs to reach the disk.
HASTE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "16MB",
          "listen_addresses": "", "max_connections": "60", "autovacuum": "off"}  # fmt: skip


def programs() -> Path | None:
    """The folder of initdb and postgres, the newest version first."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: float(p.parts[-3]), reverse=True)
    on_path = shutil.which("initdb")
    found = [*debian, *([Path(on_path)] if on_path else [])]
    return next((initdb.parent for initdb in found if (initdb.parent / "postgres").exists()), None)


def unprivileged() -> str | None:
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


def make_cluster(folder_of_programs: Path, data: Path, user: str | None) -> None:
    """Initialize `data`."""
    call = [str(folder_of_programs / "initdb"), "-D", str(data), "-U", _ACCOUNT, "-A", "trust", "-E", "UTF8"]
    call += ["--no-locale", "--no-sync"]
    made = subprocess.run(call, user=user, cwd=data.parent, env=_environment(), capture_output=True, check=False)
    if made.returncode:
        pytest.fail(f"initdb: {made.stderr.decode(errors='replace')}")


@contextmanager
def running(
    programs: Path, folder: Path, user: str | None, given: Mapping[str, str]
) -> "Iterator[subprocess.Popen[bytes]]":
    """A server on the folder, perhaps not up yet; `given` are its settings."""
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


def wait_until_up(url: str, server: "subprocess.Popen[bytes]", log: Path) -> None:
    """Fail when it does not come up."""
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
        """The URL of the first schema, its rows as they were when it was made; that takes a tenth of making tables."""
        emptied = [table._meta.table_name for table in reversed(TABLES) if table is not Schema]
        self._connection.execute("; ".join(f"DELETE FROM test_0.{name}" for name in emptied).encode())
        for setting in BEGINS_WITH.items():
            self._connection.execute("INSERT INTO test_0.setting (name, value) VALUES (%s, %s)", setting)
        return f"{self._url}&options=-csearch_path%3Dtest_0"


@contextmanager
def postgres_server(settings: Mapping[str, str]) -> Iterator[str]:
    """The URL of a private server, reached by a socket in a temporary folder; stopped at the end."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install '.[postgres]'")
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL is not installed: no initdb in /usr/lib/postgresql or on the PATH")
    user = unprivileged()
    # A socket's path may have 107 bytes at most, so not below pytest's own folder.
    folder = Path(tempfile.mkdtemp(prefix="icr-pg-"))
    if user is not None:
        shutil.chown(folder, user)
    try:
        make_cluster(found, folder / "data", user)
        with running(found, folder, user, settings) as server:
            url = f"postgresql:///postgres?host={folder}&user={_ACCOUNT}"
            wait_until_up(url, server, folder / "log")
            yield url
    finally:
        shutil.rmtree(folder)
