"""How long senders take for the same instances to DCMTK's storescp --fork +B: the node's against the others."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import long_line
import material
import rivals
import senders
from limit import LIMIT, limit
from material import CT_BYTES, LARGE_BYTES, SMALL_BYTES
from measure import Run, Table, compare, say
from orthanc import orthanc
from processes import fresh, have

BEST = "storescu, 128 KiB PDU, TCP_NODELAY=1"
STORESCU, PYNETDICOM = "storescu (its defaults)", "pynetdicom's send_c_store, reading in chunks"
ORTHANC, ORTHANC_DEFAULT = "Orthanc of a stored study, TCP_NODELAY=1", "Orthanc of a stored study (its defaults)"

Send = Callable[[int], float]


def ct(run: Run) -> Table:
    """600 CT instances."""
    return _of_all(run, 600, CT_BYTES, best=True)


def small(run: Run) -> Table:
    """5,000 small instances, without senders that wait 44 ms for each answer: see `default`."""
    return _of_all(run, 5000, SMALL_BYTES, best=True, slow=False)


def default(run: Run) -> Table:
    """100 small instances to a receiver at its defaults: with Nagle's algorithm on, which delays half an answer."""
    return _of_all(run, 100, SMALL_BYTES, best=False)


def large(run: Run) -> str:
    """One multi-frame instance of 1 GiB, and how much the sender grows meanwhile."""
    size, grown = run.count(LARGE_BYTES), list[float]()
    folder = material.instances(run.folder / "material", 1, size)

    def ours(port: int) -> float:
        result = senders.ours(port, folder, 1)
        grown.append(result["grown"] / 2**20)
        return result["seconds"]

    found: dict[str, Send] = {BEST: partial(senders.storescu, groups=[folder]), "ours, 1 association": ours}
    table = _compared(folder, size, run, found, best=True)
    return f"{table}\n\nThe memory of ours grew by {max(grown, default=0):.1f} MiB."


def line(run: Run) -> str:
    """200 CT and 2,000 small instances over a long line: round trip 20 ms, 100 Mbit/s, plain and TLS."""
    return long_line.table(run, long_line.SIZES)


def whole_line(run: Run) -> str:
    """The same with 2,000 CT instances: 80 s each timing."""
    return long_line.table(run, long_line.WHOLE)


def _of_all(run: Run, count: int, size: int, *, best: bool, slow: bool = True) -> Table:
    folder = material.instances(run.folder / "material", run.count(count), size)
    with _senders(run, folder, slow=slow) as found:
        return _compared(folder, size, run, found, best=best)


@contextmanager
def _senders(run: Run, folder: Path, *, slow: bool) -> Iterator[dict[str, Send]]:
    """The senders that this machine has, for the instances of a folder; `slow`: also those with Nagle's algorithm."""
    storescu = partial(senders.storescu, groups=[folder])
    found: dict[str, Send] = {BEST: storescu}
    for associations in (1, 2, 4):
        found[f"ours, {associations} association(s)"] = partial(_ours, folder=folder, associations=associations)
    if slow:
        found[STORESCU] = partial(storescu, nagle=True, pdu=16384)
        found[PYNETDICOM] = lambda port: senders.pynetdicom(port, folder)["seconds"]
    with ExitStack() as stack:
        for name, best in ((ORTHANC, True), (ORTHANC_DEFAULT, False))[: 1 + slow]:
            if not have("Orthanc"):
                say("Orthanc is not installed: left out")
            elif run.has(name):
                peer = stack.enter_context(orthanc(stack.enter_context(fresh(run.folder)), best=best))
                storescu(peer.port)
                found[name] = peer.store
        yield found


def _ours(port: int, folder: Path, associations: int) -> float:
    return senders.ours(port, folder, associations)["seconds"]


def _compared(folder: Path, size: int, run: Run, found: Mapping[str, Send], *, best: bool) -> Table:
    receiver = rivals.storescp("--fork", best=best)
    cases = {name: rivals.case(run.folder, receiver, send) for name, send in found.items()}
    cases[LIMIT] = limit(run, [folder])
    against = [[name] for name in (BEST, LIMIT, STORESCU, ORTHANC, ORTHANC_DEFAULT, PYNETDICOM)]
    work = material.work([folder], size)
    return compare(f"{work}, receiver at its {'best' if best else 'defaults'}", cases, run, against)


SECTIONS: Mapping[str, Callable[[Run], object]] = {
    "ct": ct, "small": small, "large": large, "default": default, "line": line, "whole-line": whole_line,
}  # fmt: skip
