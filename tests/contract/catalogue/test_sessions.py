"""Sessions with a PostgreSQL server: how long one may take, wait, be silent or stay unanswered."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import peewee
import pytest

from router.catalogue.db.engine import Engine, PostgresEngine
from router.catalogue.db.schema import open_database
from router.catalogue.db.sessions import Limits, limits_of, reason_of
from router.errors import TransientError
from support.catalogue_rows import NOW, Database, at_once, exam

SHORT = Limits(connect=2, idle=0.6, lock=0.4, statement=30, answer=40)
PROMPT = Limits(connect=2, idle=5, lock=5, statement=5, answer=0.5)
_SETTINGS = ("idle_in_transaction_session_timeout", "lock_timeout", "statement_timeout", "tcp_user_timeout")
_HOLDS = """
import sys
from pathlib import Path
from router.catalogue.db.schema import open_database
from router.catalogue.db.sessions import Limits
engine = open_database(sys.argv[1], Path(), limits=Limits(connect=2, idle=1, lock=5, statement=30, answer=40)).engine
with engine.lock_names(["1.2"]):
    print("holds", flush=True)
    sys.stdin.readline()
    try:
        engine.execute("SELECT 1", ())
    except Exception as error:
        print(type(error).__name__, flush=True)
        sys.exit(0)
print("went on", flush=True)
"""


@contextmanager
def opened(url: str, limits: Limits) -> Iterator[Engine]:
    engine = open_database(url, Path(), limits=limits).engine
    try:
        yield engine
    finally:
        engine.close_thread()


def shown(engine: Engine, name: str) -> str:
    return str(engine.execute(f"SHOW {name}", ())[0][0])


@pytest.mark.parametrize(("lease", "idle", "longest"), [(1, 5, 40), (30, 30, 50), (600, 600, 620)])
def test_limits_are_sized_to_the_lease_and_the_whole_is_a_lease_and_twenty_seconds(
    lease: int, idle: float, longest: float
) -> None:
    found = limits_of(timedelta(seconds=lease))
    assert found.idle == idle
    assert found.idle < found.lock < found.statement < found.answer <= longest


def test_every_session_gets_the_limits_also_one_that_is_made_anew(postgresql: Database) -> None:
    with opened(postgresql.url, Limits(connect=2, idle=7, lock=8, statement=9, answer=10)) as engine:
        assert [shown(engine, name) for name in _SETTINGS[:3]] == ["7s", "8s", "9s"]
        engine.close_thread()
        assert [shown(engine, name) for name in _SETTINGS[:3]] == ["7s", "8s", "9s"]


def test_every_thread_has_its_own_session_with_the_limits(postgresql: Database) -> None:
    catalogue = postgresql.open()
    assert at_once(catalogue, [lambda: shown(catalogue.engine, "lock_timeout")] * 2) == ["35s", "35s"]
    catalogue.engine.close_thread()


def test_over_a_network_both_ends_look_whether_the_other_one_is_there(postgresql: Database) -> None:
    with opened(postgresql.url, Limits(connect=2, idle=30, lock=35, statement=45, answer=50)) as engine:
        assert isinstance(engine, PostgresEngine)
        given = engine.database.connect_params
    assert (given["keepalives"], given["tcp_user_timeout"], given["connect_timeout"]) == (1, 30_000, 2)
    assert given["keepalives_idle"] + given["keepalives_interval"] * given["keepalives_count"] <= 30


def test_what_the_url_says_itself_counts(postgresql: Database) -> None:
    with opened(f"{postgresql.url}&connect_timeout=9&keepalives_idle=77", SHORT) as engine:
        assert isinstance(engine, PostgresEngine)
        assert "connect_timeout" not in engine.database.connect_params
        assert "keepalives_idle" not in engine.database.connect_params
        assert engine.database.connect_params["keepalives_count"] > 0


def test_whoever_waits_for_a_lock_too_long_is_told_so_and_goes_on(postgresql: Database) -> None:
    with opened(postgresql.url, SHORT) as engine:
        holding, free = threading.Event(), threading.Event()

        def hold() -> None:
            with engine.lock_names(["1.2"]):
                holding.set()
                free.wait(20)
            engine.close_thread()

        other = threading.Thread(target=hold)
        other.start()
        assert holding.wait(10)
        with pytest.raises(TransientError, match="another session"), engine.lock_names(["1.2"]):
            pass
        free.set()
        other.join(10)
        with engine.lock_names(["1.2"]):
            assert engine.execute("SELECT 1", ()) == [(1,)]


def test_a_transaction_in_which_much_is_done_beside_the_database_keeps_its_session(postgresql: Database) -> None:
    with opened(postgresql.url, SHORT) as engine, engine.lock_names(["1.2"]):
        time.sleep(SHORT.idle * 3)  # files are moved meanwhile
        assert engine.execute("SELECT 1", ()) == [(1,)]


def test_a_process_that_is_frozen_in_a_transaction_loses_its_locks_and_finds_its_session_gone(
    postgresql: Database,
) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with (
        opened(postgresql.url, Limits(connect=2, idle=9, lock=20, statement=30, answer=40)) as engine,
        subprocess.Popen([sys.executable, "-c", _HOLDS, postgresql.url], text=True, **pipes) as frozen,  # type: ignore[call-overload]  # pipes
    ):
        assert frozen.stdout.readline() == "holds\n"
        os.kill(frozen.pid, signal.SIGSTOP)
        try:
            with engine.lock_names(["1.2"]):
                exam_of_the_other = engine.execute("SELECT 1", ())
        finally:
            os.kill(frozen.pid, signal.SIGCONT)
        assert exam_of_the_other == [(1,)]
        assert frozen.communicate("go\n", timeout=20)[0] == "TransientError\n"


def test_a_statement_that_takes_too_long_is_ended_and_one_that_may_is_not(postgresql: Database) -> None:
    limits = Limits(connect=2, idle=5, lock=0.1, statement=0.3, answer=20)
    with opened(postgresql.url, limits) as engine:
        with pytest.raises(TransientError, match="took longer"):
            engine.execute("SELECT pg_sleep(5)", ())
        with engine.patient():
            engine.execute("SELECT pg_sleep(0.6)", ())
            with engine.write():
                engine.execute("SELECT pg_sleep(0.6)", ())
            engine.close_thread()
            engine.execute("SELECT pg_sleep(0.6)", ())
        assert shown(engine, "statement_timeout") == "300ms"
        with pytest.raises(TransientError), engine.write():
            engine.execute("SELECT pg_sleep(5)", ())
        assert engine.execute("SELECT 1", ()) == [(1,)]


class Swallowing:
    """A proxy before the server that passes everything on, and then, `swallows`, takes bytes and gives none."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.swallows = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.socket(socket.AF_UNIX)
                there.connect(self._where)
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self._pass, args=(one, other), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if not self.swallows:
                    sink.sendall(data)
        except OSError:
            pass
        finally:
            with suppress(OSError):
                sink.shutdown(socket.SHUT_RDWR)
            source.close()


@pytest.fixture
def proxy(postgresql: Database) -> Iterator[tuple[Swallowing, str]]:
    folder = postgresql.url.partition("host=")[2].partition("&")[0]
    with closing(Swallowing(f"{folder}/.s.PGSQL.5432")) as found:
        rest = postgresql.url.partition("?")[2].replace(f"host={folder}", f"host=127.0.0.1&port={found.port}")
        yield found, f"postgresql:///postgres?{rest}&sslmode=disable"


def test_a_server_that_takes_and_answers_nothing_is_given_up(proxy: tuple[Swallowing, str]) -> None:
    between, url = proxy
    with opened(url, PROMPT) as engine:
        assert engine.execute("SELECT 1", ()) == [(1,)]
        between.swallows = True

        def ask() -> None:
            with pytest.raises(TransientError), engine.write():
                engine.execute("SELECT 1", ())

        began = time.monotonic()
        ask()
        at_once(None, [ask] * 30)  # no thread waits for the connection of another: in turn they would take a minute
        assert time.monotonic() - began < 40
        between.swallows = False
        assert engine.execute("SELECT 1", ()) == [(1,)]


def test_threads_that_wait_for_a_silent_server_are_let_go_together_when_there_is_no_more_time(
    proxy: tuple[Swallowing, str],
) -> None:
    between, url = proxy
    with opened(url, Limits(connect=2, idle=300, lock=310, statement=320, answer=330)) as engine:
        engine.execute("SELECT 1", ())
        ready, told = threading.Barrier(5), list[str]()

        def ask() -> None:
            engine.execute("SELECT 1", ())
            ready.wait(10)
            ready.wait(10)
            try:
                engine.execute("SELECT 1", ())
            except TransientError as error:
                told.append(error.message)
            engine.close_thread()

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        ready.wait(10)
        between.swallows = True
        ready.wait(10)
        engine.hurry(0.5)
        for thread in threads:
            thread.join(20)
        assert len(told) == 4


def test_sqlite_has_no_sessions_and_does_the_same(sqlite: Database) -> None:
    catalogue = sqlite.open()
    catalogue.engine.hurry(1)
    with catalogue.engine.patient():
        number = exam(catalogue)
    catalogue.exams.request_evaluation([number], NOW)
    assert catalogue.exams.to_check(NOW, 9) == [number]
    catalogue.engine.close_thread()


_FROM = 'connection failed: connection to server at "10.1.2.21", port 5432 failed: '


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("Connection refused\n\tIs the server running on that host?", "the database did not answer"),
        ("timeout expired", "the database did not answer"),
        ("fe_sendauth: no password supplied", "the password file has no line for the database's server"),
        (f"Connection refused\n- host: 'b': {_FROM}fe_sendauth: no password supplied", "the password file has no line"),
        ('FATAL:  password authentication failed for user "router"', "refuses the account or its password"),
        ('FATAL:  no pg_hba.conf entry for host "10.1.2.11", user "r", SSL encryption', "by its pg_hba.conf"),
        ("SSL error: certificate verify failed", "TLS with the database's server fails"),
        ('server certificate for "db" does not match host name "10.1.2.20"', "TLS with the database's server fails"),
        ('root certificate file "/ca.pem" does not exist', "TLS with the database's server fails"),
        ("server does not support SSL, but SSL was required", "TLS with the database's server fails"),
        ("session is read-only", "no server of the database takes writes"),
    ],
)  # fmt: skip
def test_a_server_that_lets_no_session_in_is_told_from_one_that_does_not_answer(words: str, told: str) -> None:
    assert told in reason_of(peewee.OperationalError(_FROM + words))


def test_what_a_real_server_does_not_know_is_told_as_that(postgresql: Database) -> None:
    url = postgresql.url.split("&options")[0].replace("user=router", "user=nobody_of_this_name")
    with pytest.raises(TransientError, match="does not know the database or the account"), opened(url, SHORT):
        pass


def test_a_server_that_takes_no_writes_is_told_as_that(postgresql: Database) -> None:
    with opened(postgresql.url, SHORT) as engine:
        engine.execute("SET default_transaction_read_only = on", ())
        with pytest.raises(TransientError, match="takes writes"):
            engine.execute("CREATE TABLE nothing (n int)", ())
