"""A node whose machine's clock is wrong: `wrong_clock.py SECONDS run --config FILE`, ahead by so many seconds.

The clocks of the main process and of its receive workers are; the monotonic one is not.
"""

import sys
from datetime import UTC, datetime, timedelta

from router import cli
from router.clock import SystemClock
from router.node import receive_worker


def program(ahead: int) -> tuple[str, ...]:
    """What a Process takes to run it, forked as the commands are; `ahead` in seconds."""
    return "forked", f"import runpy\nrunpy.run_path({__file__!r}, run_name='__main__')", str(ahead)


def _now(self: SystemClock) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=float(sys.argv[1]))


if __name__ == "__main__":
    SystemClock.now = _now  # type: ignore[method-assign]  # what this program is for
    ahead = int(float(sys.argv[1]) * 1e9)
    receive_worker._PROGRAM = (
        f"import time; right = time.time_ns; time.time_ns = lambda: right() + {ahead}\n{receive_worker._PROGRAM}"
    )
    cli.main(sys.argv[2:])
