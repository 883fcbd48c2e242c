"""A backlog that drains: what has waited while sending was paused goes to DCMTK's storescp, with everything on."""

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import material
import senders
from hospital import Hospital, await_arrival, hospital
from material import SMALL_BYTES
from measure import Run, become_quiet, markdown, say
from processes import fresh

from router.policy.states import State
from router.trial.demo.studies import read_studies

NODE = "the node's main process"
_INSTANCES = 2000
_SECONDS = 300.0
_KINDS = {"exams of 20 instances": 20, "exams of 500 instances": 500}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drained:
    """One round: how many instances, the seconds until the last was there, and the node's processor seconds."""

    count: int
    seconds: float
    spent: float


def backlog(run: Run) -> str:
    """2,000 small instances, in exams of 20 and of 500: how many go a second."""
    rows = []
    for kind, each in _KINDS.items():
        if not run.has(kind):
            continue
        rounds = [_round(run, each, f"  {kind}, round {number + 1}")[0] for number in range(run.rounds)]
        rates = [one.count / one.seconds for one in rounds]
        spent = statistics.median(1000 * one.spent / one.count for one in rounds)
        figures = f"{statistics.median(rates):.0f}", f"{min(rates):.0f} - {max(rates):.0f}", f"{spent:.2f}"
        rows.append([f"{rounds[0].count:,} in {kind}", *figures])
    heads = ["", "median instances/s", "range", "processor ms of the node an instance"]
    return markdown("A backlog of 20 KB instances drains, reports going out too", heads, rows)


def profile(run: Run) -> str:
    """Where the node's time goes meanwhile. Being watched costs time, too."""
    found, spent = _round(run, _KINDS["exams of 20 instances"], "  profiled", profiled=True)
    return f"{found.count / found.seconds:.0f} instances/s.\n\n{spent}"


def _round(run: Run, each: int, name: str, *, profiled: bool = False) -> tuple[Drained, str]:
    count = run.count(_INSTANCES)
    with fresh(run.folder) as folder, hospital(run.folder, profiled=profiled) as there:
        groups = _exams(folder, count, each)
        there.pause(begin=True)
        there.approve(read_studies(path for group in groups for path in sorted(group.iterdir())))
        for group in groups:
            senders.storescu(there.site.port, [group])
        there.site.wait_until(lambda: there.ready(count), "the backlog is ready", _SECONDS)
        waited = become_quiet() if run.quiet else 0.0
        before, began = there.spending(), time.perf_counter()
        there.pause(begin=False)
        await_arrival(there.cloud, count, SMALL_BYTES)
        seconds, after = time.perf_counter() - began, there.spending()
        found = Drained(count=count, seconds=seconds, spent=after[NODE] - before[NODE])
        say(f"{name}: {count / seconds:.0f} instances/s, {found.spent:.2f} processor s (quiet after {waited:.1f} s)")
        there.site.wait_until(lambda: _is_over(there), "every exam's images are delivered", _SECONDS)
        return found, there.profile() if profiled else ""


def _exams(folder: Path, count: int, each: int) -> Sequence[Path]:
    """Folders of at most `each` instances, one exam each."""
    groups = []
    for number in range(math.ceil(count / each)):
        group, stream = folder / f"{number:04}", material.Stream(folder / "stream", material.SMALL, number)
        group.mkdir()
        for instance in range(min(each, count - number * each)):
            item = stream.become(0, instance)
            (group / f"{instance:05}.dcm").write_bytes(item.path.read_bytes())
        groups.append(group)
    return groups


def _is_over(there: Hospital) -> bool:
    return all(line.delivery.state == State.DELIVERED for line in there.images())


SECTIONS: Mapping[str, Callable[[Run], str]] = {"backlog": backlog, "profile": profile}
