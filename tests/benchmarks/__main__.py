"""`scripts/bench NAME`: the node's speed beside others', in one run, as Markdown tables on stdout."""

import argparse
import shutil
import tempfile
from pathlib import Path

import crypto
import receive

BENCHES = {"receive": receive, "crypto": crypto}
_SECTIONS = "; ".join(f"of {name}: {', '.join(bench.SECTIONS)}" for name, bench in BENCHES.items())


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("bench", choices=BENCHES)
    parser.add_argument("section", nargs="*", help=f"all when none is named; {_SECTIONS}")
    parser.add_argument("--rounds", type=int, default=5, help="timings of each case (default 5)")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: the temporary folder)")
    given = parser.parse_args()
    bench = BENCHES[given.bench]
    unknown = set(given.section) - set(bench.SECTIONS)
    if unknown:
        parser.error(f"no such section: {', '.join(sorted(unknown))}")
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=given.folder))
    try:
        for table in bench.run(folder, given.section or bench.SECTIONS, given.rounds):
            print(table, end="\n\n", flush=True)  # noqa: T201 what a benchmark is for
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
