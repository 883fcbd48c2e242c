"""The node with a clock that can be set: `jumping.py OFFSET-FILE run --config FILE`, seconds in the file.

The clock of the main process jumps; that of its receive workers, which only names files by it, does not, as if the two
disagreed.
"""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from router import cli
from router.clock import SystemClock


def _now(self: SystemClock) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(_OFFSET.read_text(encoding="ascii") or 0))


if __name__ == "__main__":
    _OFFSET = Path(sys.argv[1])
    SystemClock.now = _now  # type: ignore[method-assign]  # what this program is for
    cli.main(sys.argv[2:])
