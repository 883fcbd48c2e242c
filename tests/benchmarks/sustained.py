"""A mixed load for a minute with everything on: receiving, catalogue, classes, reports, forwarding to storescp.

216 instances/s of 0.5 MB on average are four times the peak hour of the largest hospital.
"""

import json
import math
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import load
import material
import processes
from hospital import Hospital, await_arrival, cores, hospital
from material import SMALL_BYTES, Stream
from measure import Run, become_quiet, markdown, say
from processes import family, fresh, resident, watching

from router.trial.demo.studies import DemoStudy, read_studies

RATE = 216.0
_TELL_SECONDS = 10.0


def mixed(run: Run) -> str:
    """216 instances/s for a minute."""
    return _measured(run, run.duration())


def most(run: Run) -> str:
    """As many instances as `mixed` has, as fast as the node takes them: how much room there is."""
    return _measured(run, 0)


def profile(run: Run) -> str:
    """Where the node's time goes in `mixed`. Being watched costs time, too."""
    return _measured(run, run.duration(), profiled=True)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What a load came to. Times in seconds since it began; `cores` while it was on."""

    took: Mapping[str, Sequence[float]]
    behind: float
    seconds: float
    there_then: int
    all_there: float
    cores: str

    @property
    def count(self) -> int:
        """Instances that were acknowledged."""
        return sum(map(len, self.took.values()))


def _measured(run: Run, seconds: float, *, profiled: bool = False) -> str:
    count = round(RATE * run.duration())
    with hospital(run.folder, profiled=profiled) as there, fresh(run.folder) as folder:
        there.approve([study for lane in load.plan(count, seconds) for study in _studies(folder, lane)])
        if run.quiet:
            say(f"  quiet after {become_quiet():.1f} s")
        node = family(there.site.node.number)
        with watching(lambda: resident(node)) as memory:
            seen = _carry_out(there, folder, count, seconds)
        alarms = sum(" ERROR " in line or " WARNING " in line for line in there.site.log.splitlines())
        tables = [_figures(seen, memory, alarms), _latencies(seen.took)]
        return "\n\n".join([*tables, there.profile()] if profiled else tables)


def _studies(folder: Path, lane: load.Lane) -> Iterator[DemoStudy]:
    stream = Stream(folder / f"{lane.number}.dcm", lane.kind, lane.number)
    for number in range(len(lane.studies)):
        yield from read_studies([stream.become(number, 0).path])


def _carry_out(there: Hospital, folder: Path, count: int, seconds: float) -> _Seen:
    before, began = there.spending(), time.perf_counter()
    program = processes.ours("load.py", there.site.port, count, seconds, folder)
    with subprocess.Popen(program, stdout=subprocess.PIPE) as pacs:
        answer = _followed(pacs, there.cloud, began)
    ended, there_then, after = time.perf_counter(), material.count(there.cloud), there.spending()
    if pacs.returncode:
        raise RuntimeError(f"the load ended with {pacs.returncode}\n{there.site.story()}")
    found = json.loads(answer)
    await_arrival(there.cloud, sum(map(len, found["took"].values())), SMALL_BYTES)
    in_use = cores(before, after, ended - began)
    return _Seen(found["took"], found["behind"], ended - began, there_then, time.perf_counter() - began, in_use)


def _followed(pacs: "subprocess.Popen[bytes]", cloud: Path, began: float) -> bytes:
    while True:
        try:
            return pacs.communicate(timeout=_TELL_SECONDS)[0]
        except subprocess.TimeoutExpired:
            say(f"  after {time.perf_counter() - began:.0f} s: {material.count(cloud)} instances at the cloud")


def _figures(seen: _Seen, memory: Sequence[int], alarms: int) -> str:
    late = seen.all_there - seen.seconds
    rows = [
        ["acknowledged", f"{seen.count:,} in {seen.seconds:.1f} s: {seen.count / seen.seconds:.0f} instances/s"],
        ["at the cloud by then", f"{seen.there_then:,}: {seen.count - seen.there_then} behind"],
        ["all at the cloud", f"{late:.1f} s later: {seen.count / seen.all_there:.0f} instances/s"],
        ["the PACS was behind its plan in the end by", f"{seen.behind:.1f} s"],
        ["processors in use", seen.cores],
        ["the node's memory", f"{memory[0] / 2**20:.0f} MiB at first, {max(memory) / 2**20:.0f} MiB at most"],
        ["warnings and alarms", str(alarms)],
    ]
    return markdown("A mixed load", ["", ""], rows)


def _latencies(took: Mapping[str, Sequence[float]]) -> str:
    rows = []
    for modality, seconds in {**took, "all": [one for some in took.values() for one in some]}.items():
        ordered = sorted(seconds)
        marks = statistics.median(ordered), ordered[math.ceil(0.99 * len(ordered)) - 1], ordered[-1]
        figures = [f"{1000 * one:.1f}" for one in marks]
        rows.append([modality, f"{len(seconds):,}", *figures])
    return markdown("From a C-STORE's request to its answer", ["", "instances", "median ms", "p99 ms", "most ms"], rows)


SECTIONS: Mapping[str, Callable[[Run], str]] = {"mixed": mixed, "most": most, "profile": profile}
