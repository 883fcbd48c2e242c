"""What a piece of work costs: it runs in a program of its own, within limits of memory and processor time."""

from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from support.forked_processes import FORK_SERVER

_TESTS = Path(__file__).parents[1]
_BEFORE = f"""
import resource, sys
sys.path.insert(0, {str(_TESTS)!r})
resource.setrlimit(resource.RLIMIT_AS, (2**32, 2**32))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
"""
_MEASURED = """
import contextlib
before = resource.getrusage(resource.RUSAGE_SELF)
said = "done"
try:
    work()
except Exception as error:
    said = f"{type(error).__name__}: {error}"
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_maxrss - before.ru_maxrss, after.ru_utime - before.ru_utime, said)
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Peak memory above what the input takes (MiB), processor time (s), and what was said: "done", or the error."""

    memory: float
    seconds: float
    said: str


def cost(source: str) -> Cost:
    """Run `source`, which defines work(), and measure that call."""
    done = FORK_SERVER.run(["-c", _BEFORE + dedent(source) + _MEASURED], 120)
    assert done.returncode == 0, f"{done.returncode}: {done.stderr[-500:]}"
    memory, seconds, said = done.stdout.strip().split(" ", 2)
    return Cost(int(memory) / 1024, float(seconds), said)
