"""How long receivers take for the same work: the node's, durable, against the others as they are."""

import functools
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import material
import probe
import rivals
import senders
from limit import DURABLE_LIMIT, limit
from material import CT_BYTES, LARGE_BYTES, SMALL_BYTES
from measure import Case, Run, Table, Timing, compare, markdown, say
from processes import connections, family, fresh, have, resident, watching
from rivals import LARGE_PDU, Receiver

CORES = os.cpu_count() or 1
OURS = f"ours, durable, {CORES} workers"
THREADS = "ours, durable, threads of one process"
STORESCP, STORESCP_DEFAULT = "storescp +B, 128 KiB PDU", "storescp (its defaults)"
FORK, FORK_DEFAULT = "storescp --fork +B, 128 KiB PDU", "storescp --fork (its defaults)"
_FORKING = (("--fork",), FORK, FORK_DEFAULT)
ORTHANC, ORTHANC_DEFAULT = "Orthanc, SyncStorageArea on, 128 KiB PDU", "Orthanc (its defaults: SyncStorageArea on)"
ORTHANC_UNSYNCED = "Orthanc, SyncStorageArea off, 128 KiB PDU"
PYNETDICOM, PYNETDICOM_DURABLE = "pynetdicom, 128 KiB PDU, no sync", "pynetdicom, 128 KiB PDU, fsync"
PYNETDICOM_DEFAULT = "pynetdicom (its defaults), no sync"
PROBE = "probe, one file after the other"
TITLES = [f"SENDER{number}" for number in range(1, 9)]


def receivers(associations: int, *, defaults: bool = True) -> dict[str, Receiver]:
    """Every receiver that this machine has, at its best setting and at its default, which may be left out."""
    found = {OURS: rivals.ours(CORES), THREADS: rivals.ours(0)}
    options, name, name_by_default = ((), STORESCP, STORESCP_DEFAULT) if associations == 1 else _FORKING
    found[name] = rivals.storescp(*options, best=True)
    if have("Orthanc"):
        found[ORTHANC] = rivals.orthanc(best=True, sync=True)
        found[ORTHANC_UNSYNCED] = rivals.orthanc(best=True, sync=False)
    else:
        say("Orthanc is not installed: left out")
    found[PYNETDICOM_DURABLE] = rivals.pynetdicom(durable=True, max_pdu=LARGE_PDU)
    found[PYNETDICOM] = rivals.pynetdicom(durable=False, max_pdu=LARGE_PDU)
    if defaults:
        found[name_by_default] = rivals.storescp(*options, best=False)
        found[PYNETDICOM_DEFAULT] = rivals.pynetdicom(durable=False, max_pdu=16382)
    if defaults and have("Orthanc"):
        found[ORTHANC_DEFAULT] = rivals.orthanc(best=False, sync=True)
    return found


def disk(run: Run) -> str:
    """What making one file durable costs, by way, size and number at once."""
    tables = []
    for size, count in ((CT_BYTES, 100), (SMALL_BYTES, 250)):
        for threads in (1, 4):
            each = run.count(count) // threads
            unit = 1000 / (each * threads)
            cases = {name: _disk_case(run, way, threads, each, size, unit) for name, way in probe.WAYS.items()}
            title = f"one durable file of {size} bytes, {threads} at once"
            tables.append(compare(title, cases, run, [[_PLAIN_WAY]], "ms"))
    return "\n\n".join(map(str, tables))


def one(run: Run) -> Table:
    """600 CT instances over one association."""
    return _against_all("one association", run, 600, CT_BYTES, 1, STORESCP)


def four(run: Run) -> Table:
    """600 CT instances over four associations at once."""
    return _against_all("four associations", run, 600, CT_BYTES, 4, FORK)


def small(run: Run) -> Table:
    """5,000 small instances over four associations at once; without defaults, with which they take a minute."""
    return _against_all("four associations", run, 5000, SMALL_BYTES, 4, FORK, defaults=False)


def single(run: Run) -> Table:
    """3,000 small instances over one association; without defaults, as above."""
    return _against_all("one association", run, 3000, SMALL_BYTES, 1, STORESCP, defaults=False)


def nagle(run: Run) -> Table:
    """A sender at DCMTK's default, Nagle's algorithm on: where its last segments wait for an acknowledgement."""
    groups = _groups(run, 100, CT_BYTES, 1)
    others = (STORESCP, STORESCP_DEFAULT, ORTHANC, ORTHANC_DEFAULT)
    send = functools.partial(senders.storescu, groups=groups, nagle=True, pdu=16384)
    found = receivers(1)
    cases = {name: rivals.case(run.folder, found[name], send) for name in (OURS, *others) if name in found}
    title = f"{material.work(groups, CT_BYTES)}, sender with Nagle's algorithm on"
    return compare(title, cases, run, [[name] for name in others])


def pdu(run: Run) -> str:
    """The longest P-DATA that the node asks for, with a sender that takes up to 128 KiB and one that takes any."""
    sizes = {f"{size // 1024} KiB": size for size in (2**14, 2**16, 2**17, 2**18, 2**20)}
    groups = _groups(run, 300, CT_BYTES, 1)
    ways: dict[str, Callable[[int], Callable[[int], float]]] = {
        "storescu": lambda _: functools.partial(senders.storescu, groups=groups),
        "the node's own sender": lambda size: lambda port: senders.ours(port, groups[0], 1, size)["seconds"],
    }
    tables = []
    for sender, sending in ways.items():
        cases = {
            f"max_pdu {name}": rivals.case(run.folder, rivals.ours(CORES, size), sending(size))
            for name, size in sizes.items()
        }
        title = f"{material.work(groups, CT_BYTES)}, one association, sent by {sender}"
        tables.append(compare(title, cases, run, [["max_pdu 128 KiB"]]))
    return "\n\n".join(map(str, tables))


def workers(run: Run) -> str:
    """Whether more than one core helps: threads of one process against receive workers."""
    halls = {"threads of one process": rivals.ours(0), **{f"workers: {n}": rivals.ours(n) for n in (1, 2, 4)}}
    tables = []
    for whole, size in ((600, CT_BYTES), (5000, SMALL_BYTES)):
        for associations in (1, 4):
            groups = _groups(run, whole, size, associations)
            send = functools.partial(senders.storescu, groups=groups)
            cases = {name: rivals.case(run.folder, hall, send) for name, hall in halls.items()}
            title = f"{material.work(groups, size)}, {associations} association(s)"
            tables.append(compare(title, cases, run, [["threads of one process"], ["workers: 1"]]))
    return "\n\n".join(map(str, tables))


def memory(run: Run) -> str:
    """How much the receiver grows while it takes one instance of 1 GiB."""
    size = run.count(LARGE_BYTES)
    first, large = material.instances(run.folder / "first", 1, SMALL_BYTES), _groups(run, 1, size, 1)
    with fresh(run.folder) as folder, rivals.ours(1)(folder) as peer:
        senders.storescu(peer.port, [first])
        processes = family(peer.process)
        with watching(lambda: resident(processes)) as seen:
            seconds = senders.storescu(peer.port, large)
    grown = (max(seen) - seen[0]) / 2**20
    return (
        f"**One instance of {size / 2**20:.0f} MiB**: {seconds:.1f} s, "
        f"memory grew by {grown:.1f} MiB (from {seen[0] / 2**20:.0f} MiB)"
    )


def many(run: Run) -> str:
    """64 associations at once from 8 calling AE titles, again and again for a minute, at the node's default limits."""
    group, sent = material.instances(run.folder / "material", run.count(60), SMALL_BYTES), 0
    at_once = run.count(64, least=len(TITLES))
    send = functools.partial(senders.storescu, groups=[group] * at_once, titles=TITLES)  # raises when one is refused
    with fresh(run.folder) as folder, rivals.ours(CORES)(folder) as peer:
        processes, began = family(peer.process), time.monotonic()
        with watching(lambda: connections(peer.port)) as open_ones, watching(lambda: resident(processes)) as seen:
            early = 0
            while time.monotonic() - began < run.duration():
                send(peer.port)
                sent += at_once
                if not early and time.monotonic() - began > run.duration() / 6:
                    early = max(seen)
        seconds, early = time.monotonic() - began, early or max(seen)
    return (
        f"**{at_once} associations at once from 8 calling AE titles, for {seconds:.0f} s**: {sent} associations, none "
        f"refused, up to {max(open_ones)} open at once, {sent * material.count(group) / seconds:.0f} instances/s, "
        f"memory after a sixth of the time {(max(seen) - early) / 2**20:+.1f} MiB (from {early / 2**20:.0f} MiB)"
    )


def slow(run: Run) -> str:
    """20 KB instances where each fsync takes 1 or 10 ms, over 1, 4 and 16 associations."""
    rows = []
    for associations in (1, 4, 16):
        groups = _groups(run, _EACH * associations, SMALL_BYTES, associations)
        count, send = sum(map(material.count, groups)), functools.partial(senders.storescu, groups=groups)
        cases = {name: rivals.case(run.folder, rivals.ours(CORES, slower=t), send) for name, t in _FSYNCS.items()}
        title = f"{material.work(groups, SMALL_BYTES)}, {associations} association(s)"
        times = compare(title, cases, run).times
        rates = {name: [count / seconds for seconds in found] for name, found in times.items()}
        rows += [_slow_row(associations, name, found, rates.get(_FAST, [])) for name, found in rates.items()]
    heads = ["associations", "fsync", "median instances/s", "range", "least", "reached"]
    title = "20 KB instances received; least: 0.8 x associations / fsync, or what goes with the disk as it is"
    return markdown(title, heads, rows)


def _slow_row(associations: int, name: str, rates: Sequence[float], fast: Sequence[float]) -> list[str]:
    median, seconds = statistics.median(rates), _FSYNCS[name]
    least = min([0.8 * associations / seconds if seconds else median, *([statistics.median(fast)] if fast else [])])
    span = f"{min(rates):.0f} - {max(rates):.0f}"
    return [str(associations), name, f"{median:.0f}", span, f"{least:.0f}", f"{median / least:.2f}"]


def _against_all(
    title: str, run: Run, whole: int, size: int, associations: int, floor: str, *, defaults: bool = True
) -> Table:
    groups = _groups(run, whole, size, associations)
    send = functools.partial(senders.storescu, groups=groups)
    found = receivers(associations, defaults=defaults)
    cases = {name: rivals.case(run.folder, receiver, send) for name, receiver in found.items()}
    cases[PROBE] = _disk_case(run, probe.synced, 1, run.count(whole), size)
    cases[DURABLE_LIMIT] = limit(run, groups, durable=True)
    against = [[PROBE], [floor], [floor, PROBE], [DURABLE_LIMIT], [ORTHANC], [PYNETDICOM_DURABLE]]
    return compare(f"{material.work(groups, size)}, {title}", cases, run, against)


def _disk_case(run: Run, way: probe.Way, threads: int, count: int, size: int, unit: float = 1) -> Case:
    @contextmanager
    def case() -> Iterator[Timing]:
        with fresh(run.folder) as folder:
            probe.prepare(way, folder, threads, count, size)
            yield lambda: unit * probe.run(way, folder, threads, count, size)

    return case


def _groups(run: Run, whole: int, size: int, associations: int) -> list[Path]:
    """A folder of instances for each association."""
    each = run.count(whole, least=associations) // associations
    folder = run.folder / f"{whole} of {size} over {associations}"
    return [material.instances(folder / str(n), each, size, series=n) for n in range(1, associations + 1)]


_FAST = "as it is"
_FSYNCS = {_FAST: 0.0, "1 ms": 0.001, "10 ms": 0.01}
_EACH = 1000  # instances of each association
_PLAIN_WAY = next(name for name, way in probe.WAYS.items() if way is probe.synced)
SECTIONS: Mapping[str, Callable[[Run], object]] = {
    "disk": disk, "one": one, "four": four, "small": small, "single": single, "nagle": nagle, "pdu": pdu,
    "workers": workers, "memory": memory, "many": many, "slow": slow,
}  # fmt: skip
