"""Deliberate faults, to show how a sender reacts: each request takes the next of its kind, then all is well."""

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
    "withdrawal-405": "a withdrawal: answers 405, takes none",
    "withdrawal-503": "a withdrawal: answers 503 with Retry-After 1",
    "inventory-501": "an inventory: answers 501, offers none",
    "inventory-empty": "an inventory: answers that there is nothing",
    "inventory-short": "an inventory: leaves out the last of a page, and counts it",
    "inventory-page": "an inventory: ends after its first page, and counts the others",
    "inventory-hour": "an inventory: looks an hour too early",
    "inventory-wrong": "an inventory: names another idem in place of the first",
}
UPLOAD, WITHDRAWAL, INVENTORY = "", "withdrawal-", "inventory-"
"""The beginnings of the names of faults, by the request that takes them."""
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
        if self.name in ("withdrawal-405", "inventory-501"):
            raise Refusal(int(self.name[-3:]), {"error": "not offered"})
        if self.name == "withdrawal-503":
            raise Refusal(503, {"error": "on purpose"}, headers={"Retry-After": "1"})


class Faults:
    """The list, shared by all connections. ConfigurationError when a name is unknown."""

    def __init__(self, names: Iterable[str]) -> None:
        self._left = [_fault(name) for name in names]
        self._lock = threading.Lock()

    def next(self, of: str = UPLOAD) -> Fault | None:
        """The fault of this request, by the beginning of its name; None: behave."""
        with self._lock:
            mine = (fault for fault in self._left if _of(fault) == of)
            if (found := next(mine, None)) is not None:
                self._left.remove(found)
            return found


def _of(fault: Fault) -> str:
    return next((each for each in (WITHDRAWAL, INVENTORY) if fault.name.startswith(each)), UPLOAD)


def _fault(text: str) -> Fault:
    match = re.fullmatch(r"([a-z0-9-]+)(?::(\d{1,4}))?", text.strip())
    if not match or match[1] not in NAMES or (match[2] and match[1] != "slow"):
        raise ConfigurationError(f"unknown fault {text!r}: expected one of {', '.join(NAMES)}")
    return Fault(match[1], float(match[2] or _SLOW_SECONDS) if match[1] == "slow" else 0.0)
