"""Timing cases against each other in one run: order shuffled, machine quiet before each, medians and ratios."""

import os
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_STILL_SECONDS = 0.3
_LONGEST_WAIT = 20.0
_BUSY = 0.15  # of all cores: less is quiet


@dataclass(frozen=True, slots=True)
class Table:
    """Seconds of each case in each round, in the order of the cases."""

    title: str
    seconds: Mapping[str, tuple[float, ...]]
    floors: Mapping[str, float]

    def median(self, case: str) -> float:
        """Seconds."""
        return statistics.median(self.seconds[case])

    def markdown(self) -> str:
        """One row a case: median, fastest and slowest, and how many times as long as each case named in `floors`."""
        heads = ["", "median s", "range s", *(f"against {name}" for name in self.floors)]
        lines = [f"**{self.title}**", "", _row(heads), _row(["---"] * len(heads))]
        for case, times in self.seconds.items():
            ratios = [f"{self.median(case) / floor:.2f}" for floor in self.floors.values()]
            lines.append(_row([case, f"{self.median(case):.2f}", f"{min(times):.2f} - {max(times):.2f}", *ratios]))
        return "\n".join(lines)


def compare(
    title: str,
    cases: Mapping[str, Callable[[], float]],
    rounds: int = 5,
    floors: Callable[[Mapping[str, float]], Mapping[str, float]] = dict,
) -> Table:
    """Run every case once a round. A case returns its own seconds, so that what it prepares is not counted.

    `floors` turns the medians into what every case is divided by: by default each case itself.
    """
    seconds: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(rounds):
        for name in random.sample(list(cases), len(cases)):
            waited = become_quiet()
            seconds[name].append(cases[name]())
            say(f"  {title}, round {number + 1}: {name} {seconds[name][-1]:.2f} s (quiet after {waited:.1f} s)")
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    return Table(title, {name: tuple(times) for name, times in seconds.items()}, floors(medians))


def become_quiet() -> float:
    """Write back what is dirty and wait until the processors idle; the seconds that it took."""
    began = time.monotonic()
    os.sync()
    while time.monotonic() - began < _LONGEST_WAIT:
        before = _busy_seconds()
        time.sleep(_STILL_SECONDS)
        if _busy_seconds() - before < _BUSY * _STILL_SECONDS * (os.cpu_count() or 1):
            break
    return time.monotonic() - began


def say(text: str) -> None:
    """Progress, apart from the tables."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 a benchmark's progress


def _busy_seconds() -> float:
    fields = [int(value) for value in Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / os.sysconf("SC_CLK_TCK")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
