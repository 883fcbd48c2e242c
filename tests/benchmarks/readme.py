"""README's comparison: every figure of one run, on the machine that the table names."""

import os
import re
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import forward
import limit
import pipeline
import receive
import spent
from measure import Run, Table, markdown

README = Path(__file__).parents[2] / "README.md"
LONG_RUNS = Path(__file__).with_name("long_runs.toml")
BEGIN, END = "<!-- what scripts/bench --readme wrote -->\n", "<!-- end of it -->\n"
_FORWARDED = ("ours, 1 association(s)", "ours, 2 association(s)")
_NONE = ""


def tables(run: Run) -> str:
    """The comparison, and what was tried in long runs."""
    heads = ["", "the node", "DCMTK", "Orthanc", "pynetdicom", "limit", "the node / limit"]
    rows = [_received(run), _forwarded(run), _passed(run), _spent(run)]
    long_runs = [[one["what"], f"{one['count']:,}", f"`{one['command']}`", str(one["date"])] for one in _long_runs()]
    return "\n\n".join([
        markdown(f"{datetime.now().astimezone().date()}, {_machine()}", heads, rows),
        markdown("Long runs, the last of each", ["", "how many", "by", "on"], long_runs),
    ])  # fmt: skip


def put(found: str) -> None:
    """Write these tables between README's marks."""
    before, rest = README.read_text(encoding="utf-8").split(BEGIN)
    README.write_text(f"{before}{BEGIN}\n{found}\n\n{END}{rest.split(END)[1]}", encoding="utf-8")


def _received(run: Run) -> list[str]:
    found = []
    for section, dcmtk in ((receive.one, receive.STORESCP), (receive.four, receive.FORK)):
        cases = (receive.OURS, dcmtk, receive.ORTHANC, receive.PYNETDICOM_DURABLE, limit.DURABLE_LIMIT)
        found.append((_of(section, run, cases), cases))
    one, four = ([_median(table, case) for case in cases] for table, cases in found)
    ratio = " / ".join(_ratio(table, cases[0], cases[-1]) for table, cases in found)
    return ["receive, one / four associations, s", *map(" / ".join, zip(one, four, strict=True)), ratio]


def _forwarded(run: Run) -> list[str]:
    others = (forward.BEST, forward.ORTHANC, forward.PYNETDICOM, limit.LIMIT)
    table = _of(forward.ct, run, [*_FORWARDED, *others])
    ours = " / ".join(_median(table, case) for case in _FORWARDED)
    ratio = " / ".join(_ratio(table, case, limit.LIMIT) for case in _FORWARDED)
    return ["forward, one / two associations, s", ours, *(_median(table, case) for case in others), ratio]


def _passed(run: Run) -> list[str]:
    cases = (pipeline.OURS, pipeline.ORTHANC, limit.RELAYED_LIMIT)
    table = _of(pipeline.ct, run, cases)
    ours, orthanc, least = (_median(table, case) for case in cases)
    title = "pipeline, first C-STORE to last instance at the cloud, s"
    return [title, ours, _NONE, orthanc, _NONE, least, _ratio(table, pipeline.OURS, limit.RELAYED_LIMIT)]


def _spent(run: Run) -> list[str]:
    with run.within("processor") as own:
        found = spent.whole(_limited(own, [spent.OURS, spent.ORTHANC]), 600)
    ours, orthanc = (f"{found[case]:.1f}" if case in found else _NONE for case in (spent.OURS, spent.ORTHANC))
    return ["processor seconds a GB: receive, index, forward", ours, _NONE, orthanc, _NONE, _NONE, _NONE]


def _of(section: Callable[[Run], Table], run: Run, cases: Sequence[str]) -> Table:
    with run.within(section.__name__) as own:
        return section(_limited(own, cases))


def _limited(run: Run, cases: Sequence[str]) -> Run:
    """To these cases, as far as they are asked for."""
    return replace(run, only=f"^({'|'.join(re.escape(case) for case in cases if run.has(case))})$")


def _median(table: Table, case: str) -> str:
    """Nothing where the peer is not installed."""
    return f"{table.median(case):.2f}" if case in table.times else _NONE


def _ratio(table: Table, case: str, floor: str) -> str:
    return f"{table.median(case) / table.median(floor):.1f}"


def _machine() -> str:
    model = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} processors ({model[1] if model else os.uname().machine}), {memory:.0f} GiB of memory"


def _long_runs() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(LONG_RUNS.read_text(encoding="utf-8"))["run"]
    return found
