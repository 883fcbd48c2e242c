"""Access to the platform: used nonces, the time window, tokens and their expiry."""

import re
import secrets
import threading
from collections.abc import Mapping

from router.clock import Clock
from router.crypto.symmetric import equal, hmac_sm3
from router.trial.platform.answers import unauthorised

WINDOW_SECONDS = 300
_NONCE = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")  # base64url of 16 bytes: the last four bits are zero


def is_nonce(value: object) -> bool:
    """Whether a value is base64url of 16 bytes without padding."""
    return isinstance(value, str) and _NONCE.fullmatch(value) is not None


def is_time(value: object) -> bool:
    """Whether a value can be Unix milliseconds; true and false are no numbers."""
    return type(value) is int and 0 <= value < 2**53


class Replays:
    """Nonces of the last two windows. Anything older is refused by its time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, float] = {}
        self._lock = threading.Lock()

    def first_use(self, nonce: str) -> bool:
        """Remember the nonce; False when it was seen before."""
        now = self._clock.now().timestamp()
        with self._lock:
            while self._seen and next(iter(self._seen.values())) < now - 2 * WINDOW_SECONDS:
                del self._seen[next(iter(self._seen))]
            if nonce in self._seen:
                return False
            self._seen[nonce] = now
            return True


def within_window(ts: int, at: float) -> bool:
    """Whether a request's time (Unix milliseconds) is near the instant `at` (Unix seconds)."""
    return abs(at * 1000 - ts) <= WINDOW_SECONDS * 1000


class Tokens:
    """Issues tokens to a sender that proves that it has the interface key (接口密钥), and checks them."""

    def __init__(self, app: str, api_key: bytes, clock: Clock, lifetime_seconds: int) -> None:
        self._app = app
        self._api_key = api_key
        self._clock = clock
        self._lifetime = lifetime_seconds
        self._replays = Replays(clock)
        self._expiry: dict[str, float] = {}
        self._lock = threading.Lock()

    def issue(self, asked: Mapping[str, object], at: float) -> dict[str, object]:
        """The body of a token answer. Refusal 401 for another app, a wrong mac, a wrong time or a repeated nonce."""
        app, ts, nonce, mac = (asked.get(name) for name in ("app", "ts", "nonce", "mac"))
        if app != self._app or not (is_time(ts) and is_nonce(nonce) and isinstance(mac, str)):
            raise unauthorised("unknown app or incomplete request")
        expected = hmac_sm3(self._api_key, f"GM1-TOKEN\n{app}\n{ts}\n{nonce}\n".encode()).hex()
        if not equal(expected.encode(), mac.encode("utf-8", "replace")):
            raise unauthorised("wrong mac")
        assert isinstance(ts, int)
        assert isinstance(nonce, str)
        if not within_window(ts, at) or not self._replays.first_use(nonce):
            raise unauthorised("stale")
        token, now = secrets.token_urlsafe(32), self._now()
        with self._lock:
            self._expiry = {old: end for old, end in self._expiry.items() if end > now}
            self._expiry[token] = now + self._lifetime
        return {"token": token, "expires_in": self._lifetime}

    def check(self, authorization: str) -> None:
        """Check the header: Refusal 401 `token` unless it has a valid token."""
        kind, _, token = authorization.partition(" ")
        with self._lock:
            good = kind.lower() == "bearer" and self._expiry.get(token, 0.0) > self._now()
        if not good:
            raise unauthorised("token")

    def _now(self) -> float:
        return self._clock.now().timestamp()
