"""A node or platform whose time passes as a test says: `time_lapse.py FILE run --config FILE`, by the seconds in FILE.

Both clocks of the process are ahead, so that nothing jumps: it is as if it had run so long. Its loops rest a second at
most, so that they do at once what they do every minute. Its receive workers only name files by their clock, which is
the machine's.
"""

import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from router import cli
from router.clock import SystemClock
from router.loop import Loop, Untried

_LONGEST_REST = 1.0
_THIS = threading.local()


def program(offset: Path) -> tuple[str, str]:
    """What a Process takes to run it, forked as the commands are."""
    return (
        "forked",
        f"import runpy, sys\nsys.argv[1:1] = [{str(offset)!r}]\nrunpy.run_path({__file__!r}, run_name='__main__')",
    )


def set_passed(offset: Path, passed: timedelta) -> None:
    """So much time has passed in all."""
    new = offset.with_suffix(".new")
    new.write_text(str(passed.total_seconds()), encoding="ascii")
    new.rename(offset)


def _ahead(offset: Path) -> float:
    """Of a loop's thread the same within each of its steps, which may compare the clocks with each other."""
    kept: float | None = getattr(_THIS, "ahead", None)
    return float(offset.read_text(encoding="ascii")) if kept is None else kept


def _let_pass(offset: Path) -> None:
    made: Any = Loop.__init__

    def hastened(self: Loop, name: str, step: Any, *rest: Any, **named: Any) -> None:
        def at_once() -> float:
            _THIS.ahead = None
            _THIS.ahead = _ahead(offset)
            seconds: float = step()
            return seconds if isinstance(seconds, Untried) else min(seconds, _LONGEST_REST)

        made(self, name, at_once, *rest, **named)

    def now(self: SystemClock) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=_ahead(offset))

    def monotonic(self: SystemClock) -> float:
        return time.monotonic() + _ahead(offset)

    Loop.__init__, SystemClock.now, SystemClock.monotonic = hastened, now, monotonic  # type: ignore[method-assign]


if __name__ == "__main__":
    _let_pass(Path(sys.argv[1]))
    cli.main(sys.argv[2:])
