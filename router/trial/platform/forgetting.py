"""Forgetting on purpose: a share of the uploads is confirmed and lost, each once."""

import hashlib
import re
import threading
from pathlib import Path

from router.errors import ConfigurationError

_PARTS = 10_000


def share_of(text: str) -> float:
    """The share that a text like "1%" or "0.5 %" names, from 0 to 1; ConfigurationError for another one."""
    match = re.fullmatch(r"\s*(\d{1,3}(?:\.\d{1,4})?)\s*%\s*", text)
    if match is None or float(match[1]) > 100:
        raise ConfigurationError(f"--forget {text}: expected a share like 1%")
    return float(match[1]) / 100


class Forgetting:
    """The uploads to lose: those whose idem falls into the share. `kept` is a file with those lost, None: in memory.

    An upload that comes again is remembered.
    """

    def __init__(self, kept: Path | None, share: float) -> None:
        self._kept = kept
        self._below = round(share * _PARTS)
        self._lock = threading.Lock()
        lost = kept.read_text().split() if kept is not None and kept.exists() else []
        self._lost = set(lost)

    def forget(self, org: str, idem: str) -> bool:
        """Whether this upload is to be lost."""
        digest = hashlib.sha256(f"{org}/{idem}".encode()).digest()
        name = digest.hex()
        with self._lock:
            if int.from_bytes(digest[:8], "big") % _PARTS >= self._below or name in self._lost:
                return False
            self._lost.add(name)
            if self._kept is not None:
                with self._kept.open("a") as file:
                    file.write(f"{name}\n")
            return True
