"""A node whose machine's clock is wrong: `skewed.py SECONDS run --config FILE`, ahead by so many seconds.

The clocks of the main process and of its receive workers are; the monotonic one is not.
"""

import sys
from datetime import UTC, datetime, timedelta

from router import cli, worker
from router.clock import SystemClock


def _now(self: SystemClock) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(sys.argv[1]))


if __name__ == "__main__":
    SystemClock.now = _now  # type: ignore[method-assign]  # what this program is for
    ahead = int(float(sys.argv[1]) * 1e9)
    worker._PROGRAM = f"import time; right = time.time_ns; time.time_ns = lambda: right() + {ahead}\n{worker._PROGRAM}"
    cli.main(sys.argv[2:])
