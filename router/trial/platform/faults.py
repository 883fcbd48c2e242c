"""Deliberate faults, to show how a sender reacts: each upload takes the next of a list; then the platform behaves."""

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from router.errors import ConfigurationError
from router.trial.platform.answers import Refusal, unauthorised

NAMES = {
    "500": "answers 500, nothing stored",
    "503": "answers 503 with Retry-After 1",
    "429": "answers 429 with Retry-After 1",
    "413": "answers 413",
    "422": "answers 422 with a field",
    "expired-token": "answers 401 token",
    "stale": "answers 401 stale",
    "slow": "answers well after 5 s; slow:90 after 90 s",
    "drop": "stores, then closes the connection without an answer",
    "signature": "stores, and answers with a signature that does not verify",
    "receipt": "stores, and answers with a signed receipt for another upload",
}
_SLOW_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault, one of NAMES; a slow one takes `seconds`."""

    name: str
    seconds: float = 0.0

    def refuse(self) -> None:
        """Raise the Refusal of a fault that answers at once; do nothing for others."""
        if self.name in ("500", "503", "429"):
            retry = {} if self.name == "500" else {"Retry-After": "1"}
            raise Refusal(int(self.name), {"error": "on purpose"}, headers=retry)
        if self.name == "413":
            raise Refusal(413, {"error": "too large"}, close=True)
        if self.name == "422":
            raise Refusal(422, {"errors": [{"path": "Order.Status", "message": "on purpose"}]})
        if self.name in ("expired-token", "stale"):
            raise unauthorised(self.name.removeprefix("expired-"))


class Faults:
    """The list, shared by all connections. ConfigurationError when a name is unknown."""

    def __init__(self, names: Iterable[str]) -> None:
        self._left = [_fault(name) for name in names]
        self._lock = threading.Lock()

    def next(self) -> Fault | None:
        """The fault of this upload; None: behave."""
        with self._lock:
            return self._left.pop(0) if self._left else None


def _fault(text: str) -> Fault:
    match = re.fullmatch(r"([a-z0-9-]+)(?::(\d{1,4}))?", text.strip())
    if not match or match[1] not in NAMES or (match[2] and match[1] != "slow"):
        raise ConfigurationError(f"unknown fault {text!r}: expected one of {', '.join(NAMES)}")
    return Fault(match[1], float(match[2] or _SLOW_SECONDS) if match[1] == "slow" else 0.0)
