"""A PostgreSQL server for a benchmark: durable, in a temporary folder, reached by a socket."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_ACCOUNT = "router"
_START_SECONDS = 20.0
_SETTINGS = ("listen_addresses=", "shared_buffers=256MB", "max_wal_size=4GB")


@contextmanager
def postgresql() -> Iterator[str | None]:
    """Its URL; None where there is none. A socket's path has 107 bytes at most."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parts[-2]))
    if not programs or (os.geteuid() == 0 and not _has_account()):
        yield None
        return
    place = Path(tempfile.mkdtemp(prefix="bench-pg-"))
    user = "postgres" if os.geteuid() == 0 else None
    if user:
        shutil.chown(place, user)
    try:
        make = [str(programs[-1] / "initdb"), "-D", str(place / "data"), "-U", _ACCOUNT, "-A", "trust", "-E", "UTF8"]
        subprocess.run([*make, "--no-locale"], user=user, cwd=place, capture_output=True, check=True)
        settings = [word for setting in _SETTINGS for word in ("-c", setting)]
        call = [str(programs[-1] / "postgres"), "-D", str(place / "data"), "-k", str(place), *settings]
        server = subprocess.Popen(call, user=user, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            url = f"postgresql:///postgres?host={place}&user={_ACCOUNT}"
            _await(url)
            yield url
        finally:
            server.send_signal(signal.SIGQUIT)
            server.wait(20)
    finally:
        shutil.rmtree(place)


def _has_account() -> bool:
    with suppress(KeyError):
        return bool(pwd.getpwnam("postgres"))
    return False


def _await(url: str) -> None:
    import psycopg

    until = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
