"""Lockout of a user after failed logins: GB/T 22239-2019 8.1.4.1 b). Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

MOST = 5  # failures in a row
LOCKED_FOR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Tries:
    """Failed logins since the last good one, and until when nobody logs in as this user."""

    failures: int = 0
    until: datetime | None = None

    def is_locked(self, now: datetime) -> bool:
        """Whether no password is looked at."""
        return self.until is not None and now < self.until

    def failed(self, now: datetime) -> "Tries":
        """After one more failure; the last one allowed locks, and the count begins anew behind the lock."""
        if self.failures + 1 >= MOST:
            return Tries(0, now + LOCKED_FOR)
        return Tries(self.failures + 1)
