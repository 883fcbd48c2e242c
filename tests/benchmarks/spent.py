"""Processor seconds a GB, step by step: the node's processes and Orthanc's, in one run."""

import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import material
import rivals
import senders
from hospital import await_arrival, hospital
from material import CT_BYTES
from measure import Run, become_quiet, markdown, say
from orthanc import orthanc
from processes import busy, family, fresh, have
from rivals import Receiver

from router.policy.states import State
from router.trial.demo.studies import read_studies

_ACKNOWLEDGED, _RECEIVED, _FORWARDED = "acknowledged", "received and indexed", "forwarded"
_STEPS = (_ACKNOWLEDGED, _RECEIVED, _FORWARDED)
_SECONDS = 120.0
OURS, ORTHANC = "the node, durable", "Orthanc, SyncStorageArea off"

Spent = Mapping[str, float]


def table(run: Run, whole: int) -> str:
    """Of so many CT instances over one association; each step with the programs' waiting in between."""
    work, size, found = _measured(run, whole)
    rows = [[name, *_medians(spent, size), _ratio(spent, found)] for name, spent in found.items()]
    heads = ["", *_STEPS, "received, indexed and forwarded", "against the node"]
    return markdown(f"{work}: processor seconds a GB, all processes of each", heads, rows)


def whole(run: Run, count: int) -> dict[str, float]:
    """Processor seconds a GB of all steps, by case."""
    _, size, found = _measured(run, count)
    return {name: _whole(spent) / size for name, spent in found.items()}


def _measured(run: Run, whole: int) -> tuple[str, float, Mapping[str, list[Spent]]]:
    """The work in words, its GB, and what each case spent in each round."""
    folder = material.instances(run.folder / "material", run.count(whole), CT_BYTES)
    cases: dict[str, Callable[[Run, Path], Spent]] = {OURS: _node}
    if have("Orthanc"):
        cases[ORTHANC] = partial(_orthanc, sync=False)
        cases["Orthanc, SyncStorageArea on"] = partial(_orthanc, sync=True)
    else:
        say("Orthanc is not installed: left out")
    found: dict[str, list[Spent]] = defaultdict(list)
    for number in range(run.rounds):
        for name, case in cases.items():
            if run.has(name):
                found[name].append(case(run, folder))
                spent = ", ".join(f"{step} {seconds:.2f}" for step, seconds in found[name][-1].items())
                say(f"  round {number + 1}: {name}: {spent} s")
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e9
    return material.work([folder], CT_BYTES), size, found


def _medians(spent: list[Spent], size: float) -> Iterator[str]:
    for step in _STEPS:
        each = [one[step] / size for one in spent if step in one]
        yield f"{statistics.median(each):.2f}" if each else "-"
    yield f"{_whole(spent) / size:.2f}"


def _ratio(spent: list[Spent], found: Mapping[str, list[Spent]]) -> str:
    node = next(iter(found.values()))
    return f"{_whole(spent) / _whole(node):.2f}"


def _whole(spent: list[Spent]) -> float:
    return statistics.median(one[_RECEIVED] + one[_FORWARDED] for one in spent)


def _node(run: Run, folder: Path) -> Spent:
    """Its exam waits while sending is paused, so that receiving and forwarding are apart."""
    found = {_ACKNOWLEDGED: _acknowledging(run, folder, rivals.ours(2))}
    count = material.count(folder)
    with hospital(run.folder) as there:
        there.pause(begin=True)
        there.approve(read_studies(sorted(folder.iterdir())))
        with _counted(run, there.site.node.number, found, _RECEIVED):
            senders.storescu(there.site.port, [folder])
            there.site.wait_until(lambda: there.ready(count), "all are catalogued and selected", _SECONDS)
        with _counted(run, there.site.node.number, found, _FORWARDED):
            there.pause(begin=False)
            await_arrival(there.cloud, count, CT_BYTES)
            there.site.wait_until(
                lambda: all(line.delivery.state == State.DELIVERED for line in there.images()), "delivered", _SECONDS
            )
    return found


def _acknowledging(run: Run, folder: Path, receiver: Receiver) -> float:
    found: dict[str, float] = {}
    with fresh(run.folder) as own, receiver(own) as peer, _counted(run, peer.process, found, _ACKNOWLEDGED):
        senders.storescu(peer.port, [folder])
    return found[_ACKNOWLEDGED]


def _orthanc(run: Run, folder: Path, *, sync: bool) -> Spent:
    """It has indexed what it acknowledges."""
    found: dict[str, float] = {}
    with (
        fresh(run.folder) as cloud,
        rivals.storescp("--fork", best=True)(cloud) as receiver,
        fresh(run.folder) as own,
        orthanc(own, best=True, SyncStorageArea=sync) as peer,
    ):
        with _counted(run, peer.process, found, _RECEIVED):
            senders.storescu(peer.port, [folder])
        with _counted(run, peer.process, found, _FORWARDED):
            peer.store(receiver.port)
    return found


@contextmanager
def _counted(run: Run, process: int, found: dict[str, float], step: str) -> Iterator[None]:
    """Note what the process and those that it started have spent meanwhile; none of them ends."""
    if run.quiet:
        become_quiet()
    before = _spent(process)
    yield
    found[step] = _spent(process) - before


def _spent(process: int) -> float:
    return sum(map(busy, family(process)))
