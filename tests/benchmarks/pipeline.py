"""From the first C-STORE to the last instance at the receiver, storescp --fork +B: the node against Orthanc's routing.

The exam is approved beforehand. A study is stable after a second for both: Orthanc waits for that; the node sends what
is shared in any case at once, and only a choice between stacks waits.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import material
import rivals
import senders
import spent
from hospital import await_arrival, cores, hospital
from limit import RELAYED_LIMIT, limit
from material import CT_BYTES
from measure import Case, Run, Table, Timing, compare, markdown, say
from orthanc import orthanc
from processes import fresh, have

from router.policy.states import State
from router.trial.demo.studies import read_studies

OURS, OURS_FOUR = "the node, 2 associations to the cloud (its default)", "the node, 4 associations to the cloud"
ORTHANC, ORTHANC_DEFAULT = "Orthanc, SyncStorageArea off, 128 KiB PDU, TCP_NODELAY=1", "Orthanc (its defaults)"


def ct(run: Run) -> Table:
    """A study of 600 CT instances over one association."""
    return _compared(run, 600)


def half(run: Run) -> Table:
    """A study of 300 CT instances over one association."""
    return _compared(run, 300)


def profile(run: Run) -> str:
    """Where the node's time goes with 600 CT instances. Being watched costs time, too."""
    folder = material.instances(run.folder / "material", run.count(600), CT_BYTES)
    count = material.count(folder)
    with hospital(run.folder, profiled=True) as there:
        there.approve(read_studies(sorted(folder.iterdir())))
        before, began = there.spending(), time.perf_counter()
        senders.storescu(there.site.port, [folder])
        steps = {"acknowledged": time.perf_counter() - began}
        there.site.wait_until(lambda: there.images()[0].selected == count, "all are catalogued", 120)
        steps["catalogued and selected"] = time.perf_counter() - began
        await_arrival(there.cloud, count, CT_BYTES)
        steps["at the receiver"] = time.perf_counter() - began
        there.site.wait_until(lambda: there.images()[0].delivery.state == State.DELIVERED, "the exam is delivered", 120)
        steps["delivered"] = time.perf_counter() - began
        in_use = cores(before, there.spending(), steps["delivered"])
        profiled = there.profile()
    rows = [[f"{step}, all {count}", f"{seconds:.2f}"] for step, seconds in steps.items()]
    steps_table = markdown("The node's steps", ["", "s since the first C-STORE"], rows)
    return "\n\n".join([steps_table, f"Processors in use: {in_use}.", profiled])


def processor(run: Run) -> str:
    """Processor seconds a GB that receiving, cataloguing and forwarding 600 CT instances take, beside Orthanc's."""
    return spent.table(run, 600)


def _compared(run: Run, whole: int) -> Table:
    folder = material.instances(run.folder / "material", run.count(whole), CT_BYTES)
    cases = {OURS: _node(run, folder, 2), OURS_FOUR: _node(run, folder, 4)}
    if have("Orthanc"):
        cases |= {ORTHANC: _orthanc(run, folder, best=True), ORTHANC_DEFAULT: _orthanc(run, folder, best=False)}
    else:
        say("Orthanc is not installed: left out")
    cases[RELAYED_LIMIT] = limit(run, [folder], durable=True, relayed=True)
    title = f"{material.work([folder], CT_BYTES)}, received and forwarded"
    return compare(title, cases, run, [[RELAYED_LIMIT], [ORTHANC], [ORTHANC_DEFAULT]])


def _node(run: Run, folder: Path, associations: int) -> Case:
    studies = read_studies(sorted(folder.iterdir()))

    @contextmanager
    def case() -> Iterator[Timing]:
        with hospital(run.folder, associations=associations) as there:
            there.approve(studies)
            yield lambda: _through(there.site.port, folder, there.cloud)

    return case


def _orthanc(run: Run, folder: Path, *, best: bool) -> Case:
    @contextmanager
    def case() -> Iterator[Timing]:
        with (
            fresh(run.folder) as cloud,
            rivals.storescp("--fork", best=True)(cloud) as receiver,
            fresh(run.folder) as own,
            orthanc(own, best=best, route_to=receiver.port) as peer,
        ):
            yield lambda: _through(peer.port, folder, cloud)

    return case


def _through(port: int, folder: Path, cloud: Path) -> float:
    """Seconds until the last instance of the folder has arrived at the cloud."""
    began = time.perf_counter()
    senders.storescu(port, [folder])
    await_arrival(cloud, material.count(folder), CT_BYTES)
    return time.perf_counter() - began


SECTIONS: Mapping[str, Callable[[Run], object]] = {"ct": ct, "half": half, "profile": profile, "processor": processor}
