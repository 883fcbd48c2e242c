"""Sessions with a PostgreSQL server, each ended before it costs this node or the others too much.

The server ends a session that is silent within a transaction, since its locks stop the other nodes. A process that
lives and is busy elsewhere, with files say, gives signs of life meanwhile; one that is frozen does not. A server that
does not answer is given up on this side: the socket is shut, and whoever waits for it gets an error.
"""

import os
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import peewee

_CONNECT_SECONDS = 6  # `status` waits for less
_HURRIED_CONNECT = 2  # the least that libpq takes
_SHORTEST_IDLE = 5.0  # a busy machine keeps a thread waiting for some seconds
_SHORTEST_STATEMENT = 30.0
_PULSES = 4  # in the time that a session may be silent
_LOOK_SECONDS = 0.25
_PROBES = 3
_IN_TRANSACTION = 2  # libpq's PQTRANS_INTRANS


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Limits of a session, in seconds.

    `connect`: until it is there. `idle`: within a transaction, without a statement. `lock`: until a lock is had.
    `statement`: until one is done. `answer`: until this side gives the session up.
    """

    connect: int
    idle: float
    lock: float
    statement: float
    answer: float


def limits_of(lease: timedelta) -> Limits:
    """Limits for nodes with this lease: nothing stands still for longer than the lease and twenty seconds."""
    idle = max(lease.total_seconds(), _SHORTEST_IDLE)
    statement = max(idle + 15, _SHORTEST_STATEMENT)
    return Limits(connect=_CONNECT_SECONDS, idle=idle, lock=idle + 5, statement=statement, answer=statement + 5)


DEFAULT = limits_of(timedelta(seconds=30))


def parameters(url: str, limits: Limits) -> dict[str, int]:
    """Settings of libpq for a connection, but those that the URL makes itself."""
    wanted = {"connect_timeout": limits.connect, "keepalives": 1}
    wanted |= {name.replace("tcp_keepalives", "keepalives"): value for name, value in _socket(limits).items()}
    given = parse_qs(urlsplit(url).query, keep_blank_values=True)
    return {name: value for name, value in wanted.items() if name not in given}


# Settings of the server for this session, names and values.
_SET = "SELECT SET_CONFIG(name, value, false) FROM UNNEST(%s::text[], %s::text[]) AS given(name, value)"


def settings(limits: Limits, *, patient: bool = False) -> Mapping[str, int]:
    """Settings of the server for a session; `patient`: a statement may take as long as it takes."""
    return {
        "idle_in_transaction_session_timeout": _milliseconds(limits.idle),
        "lock_timeout": _milliseconds(limits.lock),
        "statement_timeout": 0 if patient else _milliseconds(limits.statement),
        **_socket(limits),  # the server looks whether this machine is still there; a local socket takes no notice
    }


def _socket(limits: Limits) -> Mapping[str, int]:
    """Settings of a TCP socket, as the server names them: after `idle` the other end is known to be gone."""
    return {
        "tcp_keepalives_idle": max(int(limits.idle / 3), 1),
        "tcp_keepalives_interval": max(int(limits.idle * 2 / 3 / _PROBES), 1),
        "tcp_keepalives_count": _PROBES,
        "tcp_user_timeout": _milliseconds(limits.idle),
    }


_REASONS = {
    "55P03": "another session held a lock of the database for too long",
    "57014": "a statement took longer than the database gives it",
    "25P03": "the session was silent within a transaction for too long, and the database ended it",
    "25006": "no server of the database takes writes",
}
# By words of libpq, and of the server where every language of it has them; the first that fits. Of several servers in
# the URL each may have said something: one that is only down comes last.
_REFUSED = {
    "fe_sendauth": "the password file has no line for the database's server",
    "authentication": "the database's server refuses the account or its password",
    "pg_hba.conf": "the database's server lets no such session in, by its pg_hba.conf",
    "certificate": "TLS with the database's server fails: see the certificates",
    "SSL": "TLS with the database's server fails: see the certificates",
    "exist": "the database's server does not know the database or the account",
    "read-only": "no server of the database takes writes",
}


def reason_of(error: BaseException) -> str:
    """Reason why the database did not do it, as far as its answer says."""
    code = getattr(error.__context__, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)
    if code is not None:
        return _REASONS.get(str(code), "the database did not answer")
    return next((why for words, why in _REFUSED.items() if words in str(error)), "the database did not answer")


def _milliseconds(seconds: float) -> int:
    return max(int(seconds * 1000), 1)


class _Session:
    """A connection as the two threads see it. `until`: when the answer that its own thread waits for must have come;
    `pulse`: when that to a sign of life must."""

    __slots__ = ("last", "pulse", "until")

    def __init__(self) -> None:
        self.until: float | None = None
        self.pulse: float | None = None
        self.last = time.monotonic()

    @property
    def ends(self) -> float:
        """When it is given up."""
        return min((each for each in (self.until, self.pulse) if each is not None), default=float("inf"))


class Watch:
    """Two threads over a process's sessions, until the last ends: one gives signs of life, one gives up silent ones."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._sessions: weakref.WeakKeyDictionary[Any, _Session] = weakref.WeakKeyDictionary()
        self._lock = threading.Lock()
        self.most = float("inf")  # seconds for an answer, in a hurry
        self._running: set[str] = set()

    def add(self, connection: Any) -> None:
        """Watch this connection."""
        every = self._limits.idle / _PULSES
        with self._lock:
            self._sessions[connection] = _Session()
            self._start("database-watch", _LOOK_SECONDS, self._give_up)
            self._start("database-pulse", every / 2, lambda one, found: self._beat(one, found, every))

    def drop(self, connection: Any) -> None:
        """Stop watching this connection."""
        with self._lock:
            self._sessions.pop(connection, None)

    def hurry(self, seconds: float) -> None:
        """Give up statements that are not answered within so many seconds, those under way and all later ones."""
        until = time.monotonic() + seconds
        with self._lock:
            self.most = seconds
            for one in self._sessions.values():
                if one.until is not None:
                    one.until = min(one.until, until)

    @contextmanager
    def waiting(self, connection: Any, *, patient: bool) -> Iterator[None]:
        """While an answer is waited for on this connection."""
        session = None if connection is None else self._sessions.get(connection)
        if session is None:
            yield
            return
        seconds = min(float("inf") if patient else self._limits.answer, self.most)
        session.until = time.monotonic() + seconds
        try:
            yield
        finally:
            session.last, session.until = time.monotonic(), None

    def _start(self, name: str, pause: float, look: Callable[[Any, _Session], None]) -> None:
        if name not in self._running:
            self._running.add(name)
            threading.Thread(target=self._run, args=(name, pause, look), name=name, daemon=True).start()

    def _run(self, name: str, pause: float, look: Callable[[Any, _Session], None]) -> None:
        while True:
            time.sleep(pause)
            with self._lock:
                found = list(self._sessions.items())
                if not found:
                    self._running.discard(name)
                    return
            while found:
                look(*found.pop())

    def _give_up(self, connection: Any, session: _Session) -> None:
        """Shut the connection once its answer is overdue: the waiting thread reads the end of it."""
        if session.ends > time.monotonic():
            return
        with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as line:  # it may just be closed
            line.shutdown(socket.SHUT_RDWR)

    def _beat(self, connection: Any, session: _Session, every: float) -> None:
        """Run a statement that does nothing where a transaction is silent; the driver locks the connection for it.

        An error is left to the session's own thread, which gets it at its next statement.
        """
        silent = session.until is None and time.monotonic() - session.last >= every
        with suppress(Exception):
            if silent and connection.info.transaction_status == _IN_TRANSACTION:
                session.pulse = time.monotonic() + min(self._limits.answer, self.most)
                connection.execute("SELECT 1")
                session.last = time.monotonic()
        session.pulse = None


_Base: Any = peewee.PostgresqlDatabase
_errors_of_peewee: Any = getattr(peewee, "__exception_wrapper__")  # noqa: B009  # of which its types know nothing


class Server(_Base):  # type: ignore[misc]  # as above
    """peewee's database with watched sessions, each opened without the others waiting for it."""

    def __init__(self, url: str, limits: Limits) -> None:
        self.watch = Watch(limits)
        self._limits = limits
        self._local = threading.local()
        self._gone = False
        super().__init__(url, prefer_psycopg3=True, **parameters(url, limits))

    @contextmanager
    def patient(self) -> Iterator[None]:
        """Let this thread's statements take as long as they take. Not to be begun within a transaction."""
        former = self._is_patient
        self._local.patient = True
        try:
            self._set_again()
            yield
        finally:
            self._local.patient = former
            self._set_again()

    @property
    def _is_patient(self) -> bool:
        return bool(getattr(self._local, "patient", False))

    def _set_again(self) -> None:
        if not self.is_closed() and self.is_connection_usable():
            with suppress(peewee.OperationalError, peewee.InterfaceError, peewee.InternalError):
                self._set()

    def _set(self) -> None:
        found = settings(self._limits, patient=self._is_patient)
        self.execute_sql(_SET, (list(found), list(map(str, found.values()))))

    def connect(self, reuse_if_open: bool = False) -> bool:
        """Open like peewee, but without its lock: while a server hangs, threads would wait for each other."""
        if not self._state.closed:
            return bool(super().connect(reuse_if_open))
        self._state.reset()
        with _errors_of_peewee:
            connection = self._open()
            self._state.set_connection(connection)
            if self.server_version is None:
                self._set_server_version(connection)
            self.watch.add(connection)
        try:
            self._set()
        except BaseException:  # a session that is half set up is never used, whatever stopped it; raised again
            self.close()
            raise
        return True

    def _open(self) -> Any:
        """A connection; in a hurry no second try is made with a server that let the first one wait in vain."""
        if self.watch.most == float("inf"):
            return self._connect()
        if self._gone:
            raise peewee.OperationalError("unreachable")
        self.connect_params["connect_timeout"] = _HURRIED_CONNECT
        try:
            return self._connect()
        except BaseException:  # whatever stopped it, the next one starts anew; raised again
            self._gone = True
            raise

    def _close(self, connection: Any) -> None:
        self.watch.drop(connection)
        super()._close(connection)

    def _waiting(self) -> Any:
        return self.watch.waiting(getattr(self._state, "conn", None), patient=self._is_patient)

    def _execute_cursor(self, sql: str, params: Any, **options: Any) -> Any:
        with self._waiting():
            return super()._execute_cursor(sql, params, **options)

    def begin(self, isolation_level: Any = None) -> None:
        """As peewee's."""
        with self._waiting():
            super().begin(isolation_level)

    def commit(self) -> None:
        """As peewee's."""
        with self._waiting():
            super().commit()

    def rollback(self) -> None:
        """As peewee's."""
        with self._waiting():
            super().rollback()
