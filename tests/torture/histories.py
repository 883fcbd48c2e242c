"""Histories of five hospitals whose numbers are all alike, by chance: nothing may cross from one to another.

Each history is drawn from its seed and lived through in memory. What crosses is shown with the seed and the history.
"""

import argparse
import os
import random
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path[1:1] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

import logging

from support.hospital_witness import Lived, configured, in_memory

_PORTION = 500


def portion(first: int, count: int) -> list[Lived]:
    """Histories, in a process of its own."""
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="histories-") as folder:
        return [_told(one) for one in in_memory(range(first, first + count), configured(Path(folder)))]


def _told(one: Lived) -> Lived:
    """What went wrong is shown as it happens; an error cannot leave its process whole."""
    if one.wrong is None:
        return one
    print("".join(traceback.format_exception(one.wrong)), flush=True)
    return Lived(seed=one.seed, reports=one.reports, images=one.images, wrong=AssertionError(str(one.wrong)))


def _lived(first: int, count: int, processes: int) -> Iterator[Sequence[Lived]]:
    starts = range(first, first + count, _PORTION)
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(portion, starts, [min(_PORTION, first + count - start) for start in starts])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="torture histories", description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="how many histories (default 100000)")
    parser.add_argument("--first", type=int, default=random.SystemRandom().randrange(10**9), help="the first seed")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="how many at a time (default: cores)")
    given = parser.parse_args(arguments)
    began, count, reports, images, wrong = time.monotonic(), 0, 0, 0, list[int]()
    for some in _lived(given.first, given.count, given.processes):
        count += len(some)
        reports += sum(one.reports for one in some)
        images += sum(one.images for one in some)
        wrong += [one.seed for one in some if one.wrong]
        print(f"{count} of {given.count}: {len(wrong)} wrong", file=sys.stderr, flush=True)
    seconds = time.monotonic() - began
    which = f"histories {given.first} to {given.first + count - 1}"
    print(f"{which}: {reports} reports, {images} images sent; {seconds:.0f} s")
    for seed in wrong:
        print(f"wrong; repeat it with: scripts/torture histories --first {seed} --count 1")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
