"""The node's speed against its peers', in one run, as Markdown tables on stdout; progress on stderr."""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from types import ModuleType

from measure import Run
from processes import have

BENCHES = (
    "receive",
    "forward",
    "pipeline",
    "drain",
    "sustained",
    "series",
    "intake",
    "queue",
    "crypto",
    "nodes",
    "console",
)
MODULES = {"queue": "queue_scale"}  # a module queue here would stand before Python's own
_TRIAL_SHARE = 0.005


def main(arguments: Sequence[str] | None = None) -> None:
    sys.path.append(str(Path(__file__).parents[1]))  # the harness of the tests starts nodes for benchmarks, too
    benches = {name: import_module(MODULES.get(name, name)) for name in BENCHES}
    parser = _parser(benches)
    given = parser.parse_args(arguments)
    if given.readme == (given.bench is not None):
        parser.error("name a bench, or --readme")
    if not have("storescu"):
        parser.error("DCMTK, which the benches need, is not installed: as root, apt-get install dcmtk")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended, the folder removed
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=given.folder))
    run = Run(folder, given.rounds, given.seconds, only=given.only)
    if given.trial:
        run = replace(run, rounds=1, share=_TRIAL_SHARE, quiet=False)
    try:
        if given.readme:
            _write_readme(run, trial=given.trial)
            return
        for section in given.section or benches[given.bench].SECTIONS:
            print(_measured(benches[given.bench], section, run), end="\n\n", flush=True)  # noqa: T201 a benchmark prints
    finally:
        shutil.rmtree(folder)


def _write_readme(run: Run, *, trial: bool) -> None:
    readme = import_module("readme")
    tables = readme.tables(run)
    print(tables)  # noqa: T201 a benchmark prints
    if not trial:
        readme.put(tables)


def _measured(bench: ModuleType, section: str, run: Run) -> object:
    with run.within(section) as own:
        return bench.SECTIONS[section](own)


def _parser(benches: dict[str, ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--readme", action="store_true", help="measure README's table and write it there; ten minutes")
    _add_options(parser, lambda default: default)
    commands = parser.add_subparsers(dest="bench", metavar="BENCH")
    for name, bench in benches.items():
        sections = "\n".join(f"  {section:10}{function.__doc__}" for section, function in bench.SECTIONS.items())
        command = commands.add_parser(
            name, help=bench.__doc__, description=bench.__doc__, epilog=f"sections:\n{sections}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        command.add_argument("section", nargs="*", type=_known(bench.SECTIONS), help="all when none is named")
        _add_options(command, lambda _: argparse.SUPPRESS)  # so that what stands before the bench counts, too
    return parser


def _add_options(parser: argparse.ArgumentParser, default: Callable[[object], object]) -> None:
    add = parser.add_argument
    add("--rounds", type=int, default=default(5), help="timings of each case (default 5)")
    add("--seconds", type=float, default=default(60.0), help="of what goes on for a time (default 60)")
    add("--only", default=default(""), help="expression for the names of the cases to time")
    add("--folder", type=Path, default=default(None), help="on the disk to measure (default: the temporary folder)")
    add("--trial", action="store_true", default=default(False), help="whether it works here, with hardly any work")


def _known(sections: Container[str]) -> Callable[[str], str]:
    def section(name: str) -> str:
        if name not in sections:
            raise argparse.ArgumentTypeError(f"no such section: {name}")
        return name

    return section


if __name__ == "__main__":
    main()
