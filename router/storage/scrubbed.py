"""scrub.json: how far the slow check of stored images has come, for the node that goes on with it."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from router.clock import require_aware
from router.storage.durable import write


@dataclass(frozen=True, slots=True)
class Round:
    """When a round began, and the number of the instance up to which it has come; None once it is over."""

    began: datetime
    reached: int | None = 0


class Scrubbed:
    """The round at hand, or the last one."""

    def __init__(self, data: Path) -> None:
        self._file = data / "scrub.json"

    def last(self) -> Round | None:
        """None before the first one, or where the file does not read: then a round begins."""
        try:
            found = json.loads(self._file.read_bytes())
            reached = found["reached"]
            return Round(require_aware(datetime.fromisoformat(found["began"])), reached and int(reached))
        except (FileNotFoundError, ValueError, LookupError, TypeError):
            return None

    def write(self, at: Round) -> None:
        """Keep it, durably."""
        write(self._file, json.dumps({"began": at.began.isoformat(), "reached": at.reached}).encode())
