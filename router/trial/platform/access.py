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
    """Issues tokens to applications that prove that they have their interface key (接口密钥), and checks them."""

    def __init__(self, api_keys: Mapping[str, bytes], clock: Clock, lifetime_seconds: int) -> None:
        """`api_keys` by application."""
        self._api_keys = api_keys
        self._clock = clock
        self._lifetime = lifetime_seconds
        self._replays = Replays(clock)
        self._issued: dict[str, tuple[str, float]] = {}
        self._lock = threading.Lock()

    def issue(self, asked: Mapping[str, object], at: float) -> dict[str, object]:
        """The body of a token answer. Refusal 401 for another app, a wrong mac, a wrong time or a repeated nonce."""
        app, ts, nonce, mac = (asked.get(name) for name in ("app", "ts", "nonce", "mac"))
        api_key = self._api_keys.get(app) if isinstance(app, str) else None
        if api_key is None or not (is_time(ts) and is_nonce(nonce) and isinstance(mac, str)):
            raise unauthorised("unknown app or incomplete request")
        expected = hmac_sm3(api_key, f"GM1-TOKEN\n{app}\n{ts}\n{nonce}\n".encode()).hex()
        if not equal(expected.encode(), mac.encode("utf-8", "replace")):
            raise unauthorised("wrong mac")
        assert isinstance(ts, int)
        assert isinstance(nonce, str)
        if not within_window(ts, at) or not self._replays.first_use(nonce):
            raise unauthorised("stale")
        token, now = secrets.token_urlsafe(32), self._now()
        with self._lock:
            self._issued = {old: (whose, end) for old, (whose, end) in self._issued.items() if end > now}
            self._issued[token] = str(app), now + self._lifetime
        return {"token": token, "expires_in": self._lifetime}

    def check(self, authorization: str) -> str:
        """The application whose token the header has: Refusal 401 `token` unless it is valid."""
        kind, _, token = authorization.partition(" ")
        with self._lock:
            app, end = self._issued.get(token, ("", 0.0))
        if kind.lower() != "bearer" or end <= self._now():
            raise unauthorised("token")
        return app

    def _now(self) -> float:
        return self._clock.now().timestamp()
