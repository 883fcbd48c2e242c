"""Sessions of people at the console, in memory, each bound to a cookie; and the token that a script logs in by."""

import hmac
import os
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from router.clock import Clock
from router.crypto.keys import read_secret
from router.errors import ConfigurationError
from router.policy.roles import Right, Role, may

COOKIE = "console"
IDLE_SECONDS = 15 * 60.0
LONGEST_SECONDS = 12 * 3600.0
MOST_OF_ONE = 3  # sessions of one person: the oldest ends
_MOST = 100
_FAILURES = 10  # within _FAILURE_SECONDS, from one address; then nobody logs in from there until they are over
_FAILURE_SECONDS = 60.0
_MOST_ADDRESSES = 1000  # whose failures are remembered


def token_in(path: Path) -> str:
    """The login token in a file that only its owner may read; made when there is none yet."""
    if not path.exists():
        try:
            _make(path)
        except OSError as error:
            raise ConfigurationError(
                f"cannot make {path}: {error.strerror}",
                hint="run `scripts/doctor` as the node's account: it makes the file, the service may not",
            ) from error
    return read_secret(path).decode("ascii", "replace").strip()


def _make(path: Path) -> None:
    """Make the file whole or not at all: another node on the same data folder may be making it, too."""
    part = path.with_name(f"{path.name}.{secrets.token_hex(4)}.part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32) + "\n")
    with suppress(FileExistsError):
        path.hardlink_to(part)
    part.unlink()


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """A person who has logged in. `changed`: when the password used was set; None for a login by the token.

    `hospitals` empty: for all. `must_change`: nothing is shown before the password is another.
    """

    who: str
    role: Role
    hospitals: tuple[str, ...] = ()
    changed: datetime | None = None
    must_change: bool = False

    def may(self, right: Right) -> bool:
        """Whether this person has the right."""
        return may(self.role, self.hospitals, right)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A person's session. `csrf` is in every form of it; `began` is in monotonic seconds."""

    key: str
    person: Person
    csrf: str
    began: float

    @property
    def who(self) -> str:
        """The name by which the person's acts are recorded."""
        return self.person.who


class Attempts:
    """Failed logins by address: after ten within a minute nobody logs in from there until they are over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: dict[str, list[float]] = {}  # by address, the one that failed last at the end

    def begin(self, address: str) -> bool:
        """Whether one may try from there; it counts as failed until `end`, so that many at once count, too."""
        now = self._clock.monotonic()
        with self._lock:
            failures = [at for at in self._failures.pop(address, ()) if now - at < _FAILURE_SECONDS]
            allowed = len(failures) < _FAILURES
            self._failures[address] = [*failures, now] if allowed else failures
            while len(self._failures) > _MOST_ADDRESSES:
                del self._failures[next(iter(self._failures))]
        return allowed

    def end(self, address: str) -> None:
        """The try was good: its mark goes."""
        with self._lock:
            if self._failures.get(address):
                self._failures[address].pop()


class Sessions:
    """Sessions that last a quarter of an hour after the last request, twelve hours at most, and end with the node."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, tuple[Session, float]] = {}

    def begin(self, person: Person) -> Session:
        """A new session; the oldest of a person who has too many ends, and the oldest of all."""
        now = self._clock.monotonic()
        csrf = secrets.token_urlsafe(32)
        session = Session(key=secrets.token_urlsafe(32), person=person, csrf=csrf, began=now)
        with self._lock:
            mine = [key for key, (one, _) in self._open.items() if one.who == person.who]
            for key in mine[: len(mine) - MOST_OF_ONE + 1] if person.changed is not None else ():
                del self._open[key]
            while len(self._open) >= _MOST:
                del self._open[next(iter(self._open))]
            self._open[session.key] = session, now
        return session

    def of(self, key: str, *, prolong: bool = True) -> Session | None:
        """The session of a cookie, if it still lasts; a request that no person made does not `prolong` it."""
        now = self._clock.monotonic()
        with self._lock:
            session, seen = self._open.get(key, (None, 0.0))
            if session is None or now - seen > IDLE_SECONDS or now - session.began > LONGEST_SECONDS:
                self._open.pop(key, None)
                return None
            self._open[key] = session, now if prolong else seen
            return session

    def end(self, key: str) -> None:
        """End it."""
        with self._lock:
            self._open.pop(key, None)


def is_genuine(session: Session, csrf: str) -> bool:
    """Whether a form was made by us for this session."""
    return hmac.compare_digest(session.csrf.encode(), csrf.encode())
