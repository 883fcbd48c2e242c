"""Timing cases against each other in one run: order shuffled, machine quiet before each, medians and ratios."""

import os
import random
import re
import shutil
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

_STILL_SECONDS = 0.3
_LONGEST_WAIT = 20.0
_BUSY = 0.15  # of all cores: less is quiet

Timing = Callable[[], float]
Case = Callable[[], AbstractContextManager[Timing]]


@dataclass(frozen=True, slots=True)
class Run:
    """How the sections are to be measured. `folder` is on the disk to measure, and empty.

    `seconds` is for sections that go on for a time; `share` is the part of the instances and seconds that is taken,
    `only` an expression that the names of the cases taken match.
    """

    folder: Path
    rounds: int = 5
    seconds: float = 60.0
    share: float = 1.0
    only: str = ""
    quiet: bool = True

    def count(self, whole: int, least: int = 4) -> int:
        """How many of `whole` are taken."""
        return max(least, round(whole * self.share))

    def duration(self) -> float:
        """Seconds."""
        return max(0.2, self.seconds * self.share)

    @contextmanager
    def within(self, name: str) -> Iterator["Run"]:
        """The same in a folder of its own, which is removed at the end."""
        own = replace(self, folder=self.folder / name)
        own.folder.mkdir()
        yield own
        shutil.rmtree(own.folder)

    def has(self, case: str) -> bool:
        """Whether a case of this name is taken."""
        return re.search(self.only, case) is not None


@dataclass(frozen=True, slots=True)
class Table:
    """What each case took in each round, in `unit`, in the order of the cases."""

    title: str
    unit: str
    times: Mapping[str, tuple[float, ...]]
    floors: Mapping[str, float]

    def median(self, case: str) -> float:
        """In `unit`."""
        return statistics.median(self.times[case])

    def __str__(self) -> str:
        """One row a case: median, fastest and slowest, and how many times as long as each of the floors."""
        rows = []
        for case, times in self.times.items():
            ratios = [f"{self.median(case) / floor:.2f}" for floor in self.floors.values()]
            rows.append([case, f"{self.median(case):.2f}", f"{min(times):.2f} - {max(times):.2f}", *ratios])
        return markdown(
            self.title,
            ["", f"median {self.unit}", f"range {self.unit}", *(f"against {name}" for name in self.floors)],
            rows,
        )


def compare(
    title: str, cases: Mapping[str, Case], run: Run, against: Sequence[Sequence[str]] = (), unit: str = "s"
) -> Table:
    """Time every case once a round. A case prepares, then gives what is timed, which returns its own time in `unit`.

    `against` names what every case is divided by: a case's median, or the sum of several.
    """
    taken = {name: case for name, case in cases.items() if run.has(name)}
    times: dict[str, list[float]] = {name: [] for name in taken}
    for number in range(run.rounds):
        for name in random.sample(list(taken), len(taken)):
            with taken[name]() as timing:
                waited = become_quiet() if run.quiet else 0.0
                times[name].append(timing())
            say(f"  {title}, round {number + 1}: {name} {times[name][-1]:.2f} {unit} (quiet after {waited:.1f} s)")
    medians = {name: statistics.median(found) for name, found in times.items()}
    floors = {" + ".join(sum_of): sum(map(medians.__getitem__, sum_of)) for sum_of in against if {*sum_of} <= {*taken}}
    return Table(title, unit, {name: tuple(found) for name, found in times.items()}, floors)


def become_quiet() -> float:
    """Write back what is dirty and wait until the processors idle; the seconds that it took."""
    began = time.monotonic()
    os.sync()
    while time.monotonic() - began < _LONGEST_WAIT:
        before = busy_seconds()
        time.sleep(_STILL_SECONDS)
        if busy_seconds() - before < _BUSY * _STILL_SECONDS * (os.cpu_count() or 1):
            break
    return time.monotonic() - began


def busy_seconds() -> float:
    """Processor time that the machine has spent."""
    fields = [int(value) for value in Path("/proc/stat").read_text(encoding="ascii").split("\n")[0].split()[1:]]
    idle = fields[3] + fields[4]
    return (sum(fields[:8]) - idle) / os.sysconf("SC_CLK_TCK")


def markdown(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table under its title."""
    lines = [_row(cells) for cells in (heads, ["---"] * len(heads), *rows)]
    return "\n".join([f"**{title}**", "", *lines])


def say(text: str) -> None:
    """Progress, apart from the tables."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201 a benchmark's progress


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
