"""Runs of two nodes on a fake clock, step by step, and faults planted in the product, one at a time.

Each run is drawn from its seed. What does not hold is shown with the seed and the steps that it needs. With --faults
each fault must be found; the table says by what, and how soon.
"""

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

sys.path[1:1] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import logging

from rich.console import Console
from rich.progress import Progress

from simulation.faults import FAULTS, Fault
from simulation.runs import Outcome, Runs, told

_SEEDS_EACH = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How the fault of this name was found: in the last of so many runs, after so many steps and processor seconds."""

    fault: str
    outcome: Outcome
    runs: int
    steps: int
    seconds: float


def run(seed: int) -> Outcome:
    """A run of the product as it is."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="simulated-") as folder:
        return Runs(Path(folder)).run(seed)


def seek(number: int, first: int) -> Row:
    """Runs with the fault of that number, until one finds it."""
    logging.disable(logging.CRITICAL)
    fault, began, steps = FAULTS[number], time.process_time(), 0
    with tempfile.TemporaryDirectory(prefix="simulated-") as folder:
        runs = Runs(Path(folder), fault.plant)
        for count in range(_SEEDS_EACH):
            outcome = runs.run(first + count)
            steps += outcome.steps
            if outcome.found is not None:
                break
    return Row(fault=fault.name, outcome=outcome, runs=count + 1, steps=steps, seconds=time.process_time() - began)


def shown(outcome: Outcome, fault: Fault | None = None) -> str:
    """A failure with its shortened trace."""
    assert outcome.found is not None
    with tempfile.TemporaryDirectory(prefix="simulated-") as folder:
        runs = Runs(Path(folder)) if fault is None else Runs(Path(folder), fault.plant)
        return told(outcome, runs.shortened(outcome.seed, outcome.found))


def clean(seeds: Sequence[int]) -> int:
    """Runs of the product as it is; 1 where something does not hold."""
    began, steps, failed = time.monotonic(), 0, []
    with ProcessPoolExecutor(os.cpu_count()) as pool, Progress(console=Console(stderr=True)) as progress:
        for outcome in progress.track(pool.map(run, seeds), total=len(seeds)):
            steps += outcome.steps
            failed += [outcome] if outcome.found else []
    seconds = time.monotonic() - began
    print(f"{len(seeds)} runs, {steps} steps, {steps / seconds:.0f} a second; {len(failed)} runs failed")
    if failed:
        print(shown(failed[0]))
        print(f"repeat it with: scripts/torture simulated --first {failed[0].seed} --seeds 1", file=sys.stderr)
    return int(bool(failed))


def faults(first: int) -> int:
    """Every fault in its turn; 1 where one is not found."""
    with ProcessPoolExecutor(os.cpu_count()) as pool, Progress(console=Console(stderr=True)) as progress:
        found = pool.map(seek, range(len(FAULTS)), [first] * len(FAULTS))
        rows = list(progress.track(found, total=len(FAULTS)))
    print("| fault | found by | runs | steps | processor seconds |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        by = row.outcome.found.name if row.outcome.found else "**nothing**"
        print(f"| {row.fault} | {by} | {row.runs} | {row.steps} | {row.seconds:.1f} |")
    missed = [row for row in rows if row.outcome.found is None]
    print(
        f"\n{len(rows) - len(missed)} of {len(rows)} found in {sum(row.seconds for row in rows):.0f} processor seconds"
    )
    return int(bool(missed))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="torture simulated", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many runs (default 100)")
    parser.add_argument("--first", type=int, default=random.SystemRandom().randrange(10**6), help="the first seed")
    parser.add_argument("--faults", action="store_true", help="plant each fault in its turn")
    given = parser.parse_args(arguments)
    return faults(given.first) if given.faults else clean(range(given.first, given.first + given.seeds))


if __name__ == "__main__":
    sys.exit(main())
