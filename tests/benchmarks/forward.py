"""How long senders take for the same instances to DCMTK's storescp --fork +B: the node's against the others."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import material
import rivals
import senders
from material import CT_BYTES, LARGE_BYTES, SMALL_BYTES
from measure import Run, compare, say
from orthanc import orthanc
from processes import fresh, have

BEST = "storescu, 128 KiB PDU, TCP_NODELAY=1"
STORESCU, PYNETDICOM = "storescu (its defaults)", "pynetdicom (its defaults)"
ORTHANC, ORTHANC_DEFAULT = "Orthanc of a stored study, TCP_NODELAY=1", "Orthanc of a stored study (its defaults)"
SLOW = (STORESCU, PYNETDICOM, ORTHANC_DEFAULT)

Send = Callable[[int], float]


def ct(run: Run) -> str:
    """600 CT instances."""
    folder = material.instances(run.folder / "material", run.count(600), CT_BYTES)
    with _all(run, folder) as found:
        return _compared(f"{material.work([folder], CT_BYTES)}, receiver at its best", run, found, best=True)


def small(run: Run) -> str:
    """5,000 small instances; without senders that wait 44 ms for each answer, which `default` shows."""
    folder = material.instances(run.folder / "material", run.count(5000), SMALL_BYTES)
    with _all(run, folder) as found:
        quick = {name: send for name, send in found.items() if name not in SLOW}
        return _compared(f"{material.work([folder], SMALL_BYTES)}, receiver at its best", run, quick, best=True)


def default(run: Run) -> str:
    """100 small instances to a receiver at its defaults: with Nagle's algorithm on each answer comes in two parts."""
    folder = material.instances(run.folder / "material", run.count(100), SMALL_BYTES)
    with _all(run, folder) as found:
        return _compared(f"{material.work([folder], SMALL_BYTES)}, receiver at its defaults", run, found, best=False)


def large(run: Run) -> str:
    """One multi-frame instance of 1 GiB, and how much the sender grows meanwhile."""
    size, grown = run.count(LARGE_BYTES), list[float]()
    folder = material.instances(run.folder / "material", 1, size)

    def ours(port: int) -> float:
        result = senders.ours(port, folder, 1)
        grown.append(result["grown"] / 2**20)
        return result["seconds"]

    found: dict[str, Send] = {BEST: partial(senders.storescu, groups=[folder]), "ours, 1 association": ours}
    table = _compared(f"{material.work([folder], size)}, receiver at its best", run, found, best=True)
    return f"{table}\n\nThe memory of ours grew by {max(grown, default=0):.1f} MiB."


@contextmanager
def _all(run: Run, folder: Path) -> Iterator[dict[str, Send]]:
    """Every sender that this machine has, for the instances of a folder."""
    storescu = partial(senders.storescu, groups=[folder])
    found: dict[str, Send] = {BEST: storescu, STORESCU: partial(storescu, nagle=True, pdu=16384)}
    for associations in (1, 2, 4):
        found[f"ours, {associations} association(s)"] = partial(_ours, folder=folder, associations=associations)
    found[PYNETDICOM] = lambda port: senders.pynetdicom(port, folder)["seconds"]
    with ExitStack() as stack:
        for name, best in ((ORTHANC, True), (ORTHANC_DEFAULT, False)):
            if not have("Orthanc"):
                say("Orthanc is not installed: left out")
            elif run.has(name):
                peer = stack.enter_context(orthanc(stack.enter_context(fresh(run.folder)), best=best))
                storescu(peer.port)
                found[name] = peer.store
        yield found


def _ours(port: int, folder: Path, associations: int) -> float:
    return senders.ours(port, folder, associations)["seconds"]


def _compared(title: str, run: Run, found: Mapping[str, Send], *, best: bool) -> str:
    cases = {name: rivals.case(run.folder, rivals.storescp("--fork", best=best), send) for name, send in found.items()}
    return compare(title, cases, run, [[name] for name in (BEST, *SLOW, ORTHANC)]).markdown()


SECTIONS: Mapping[str, Callable[[Run], str]] = {"ct": ct, "small": small, "large": large, "default": default}
