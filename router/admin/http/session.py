"""Sessions of people at the console: a token from a private file opens a session in memory, bound to a cookie."""

import hmac
import os
import secrets
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from router.clock import Clock
from router.crypto.keys import read_secret
from router.errors import ConfigurationError

COOKIE = "console"
_IDLE_SECONDS = 1800.0
_LONGEST_SECONDS = 8 * 3600.0
_FAILURES = 10  # within _FAILURE_SECONDS, from one address; then nobody logs in from there until they are over
_FAILURE_SECONDS = 60.0
_MOST_ADDRESSES = 1000  # whose failures are remembered
_MOST = 100


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


@dataclass(frozen=True, slots=True)
class Session:
    """A person's session. `csrf` is in every form of it; instants are monotonic seconds."""

    key: str
    who: str
    csrf: str
    began: float


class Sessions:
    """Sessions that last half an hour after the last request, eight hours at most, and end with the node."""

    def __init__(self, token: str, clock: Clock) -> None:
        self._token = token.encode()
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[str, tuple[Session, float]] = {}
        self._failures: dict[str, list[float]] = {}  # by address, the one that failed last at the end

    def log_in(self, who: str, token: str, address: str = "") -> Session | None:
        """A new session; None for a wrong token, or after too many of them from this address."""
        now = self._clock.monotonic()
        with self._lock:
            failures = [at for at in self._failures.pop(address, ()) if now - at < _FAILURE_SECONDS]
            if len(failures) >= _FAILURES:
                self._remember(address, failures)
                return None
            if not (self._token and hmac.compare_digest(token.encode(), self._token)):
                self._remember(address, [*failures, now])
                return None
            session = Session(secrets.token_urlsafe(32), who, secrets.token_urlsafe(32), now)
            while len(self._open) >= _MOST:
                del self._open[next(iter(self._open))]
            self._open[session.key] = session, now
            return session

    def _remember(self, address: str, failures: list[float]) -> None:
        self._failures[address] = failures
        while len(self._failures) > _MOST_ADDRESSES:
            del self._failures[next(iter(self._failures))]

    def of(self, key: str, *, renew: bool = True) -> Session | None:
        """The session of a cookie, if it still lasts; a request that no person made does not `renew` it."""
        now = self._clock.monotonic()
        with self._lock:
            session, seen = self._open.get(key, (None, 0.0))
            if session is None or now - seen > _IDLE_SECONDS or now - session.began > _LONGEST_SECONDS:
                self._open.pop(key, None)
                return None
            self._open[key] = session, now if renew else seen
            return session

    def log_out(self, key: str) -> None:
        """End it."""
        with self._lock:
            self._open.pop(key, None)


def is_genuine(session: Session, csrf: str) -> bool:
    """Whether a form was made by us for this session."""
    return hmac.compare_digest(session.csrf.encode(), csrf.encode())
