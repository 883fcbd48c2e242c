"""`bench receive`: how long receivers take for the same work, ours durable against the others as they are."""

import functools
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import material
import probe
import rivals
from measure import become_quiet, compare, say
from rivals import LARGE_PDU, Receiver

CT_BYTES, SMALL_BYTES, LARGE_BYTES = 500_000, 20_000, 2**30
OURS = f"ours, durable, {os.cpu_count()} workers"
THREADS = "ours, durable, threads of one process"
STORESCP, STORESCP_DEFAULT = "storescp +B, 128 KiB PDU", "storescp (its defaults)"
FORK, FORK_DEFAULT = "storescp --fork +B, 128 KiB PDU", "storescp --fork (its defaults)"
ORTHANC, ORTHANC_DEFAULT = "Orthanc, SyncStorageArea on (its default)", "Orthanc, SyncStorageArea off"
PYNETDICOM, PYNETDICOM_DURABLE = "pynetdicom, 128 KiB PDU, no sync", "pynetdicom, 128 KiB PDU, fsync"
PYNETDICOM_DEFAULT = "pynetdicom (its defaults), no sync"


def receivers(*, fork: bool) -> dict[str, Receiver]:
    """Every receiver that this machine has, at its best setting and at its default."""
    found = {OURS: rivals.ours(os.cpu_count() or 1), THREADS: rivals.ours(0)}
    best = ("+B", "-pdu", str(LARGE_PDU))
    if rivals.have("storescp"):
        found |= {STORESCP: rivals.storescp(*best), STORESCP_DEFAULT: rivals.storescp()}
        if fork:
            found |= {FORK: rivals.storescp("--fork", *best), FORK_DEFAULT: rivals.storescp("--fork")}
    else:
        say("DCMTK's storescp is not installed: left out")
    if rivals.have("Orthanc") and not fork:  # a minute for 5,000 small ones
        found |= {ORTHANC: rivals.orthanc(sync=True), ORTHANC_DEFAULT: rivals.orthanc(sync=False)}
    elif not fork:
        say("Orthanc is not installed: left out")
    found[PYNETDICOM_DURABLE] = rivals.pynetdicom(durable=True, max_pdu=LARGE_PDU)
    found[PYNETDICOM] = rivals.pynetdicom(durable=False, max_pdu=LARGE_PDU)
    found[PYNETDICOM_DEFAULT] = rivals.pynetdicom(durable=False, max_pdu=16382)
    return found


def run(folder: Path, sections: Sequence[str], rounds: int) -> Iterator[str]:
    """The tables, as they are measured."""
    for section in sections:
        yield _SECTIONS[section](folder / section, rounds)
        shutil.rmtree(folder / section, ignore_errors=True)


def disk(folder: Path, rounds: int) -> str:
    """What making one file durable costs, by way, size and number at once."""
    tables = []
    for size, count in ((CT_BYTES, 100), (SMALL_BYTES, 250)):
        for threads in (1, 4):
            cases = {
                name: functools.partial(_per_file, folder, way, threads, count, size)
                for name, way in probe.WAYS.items()
            }
            title = f"milliseconds for each file of {size} bytes, {threads} at once"
            tables.append(compare(title, cases, rounds, lambda medians: {"the node's": medians[_NODES_WAY]}).markdown())
    return "\n\n".join(tables)


def one(folder: Path, rounds: int) -> str:
    """600 CT instances over one association."""
    groups = [_group(folder, 1, 600, CT_BYTES)]
    return _against_all("600 x 0.5 MB, one association", folder, groups, rounds, CT_BYTES, STORESCP)


def four(folder: Path, rounds: int) -> str:
    """600 CT instances over four associations at once."""
    groups = [_group(folder, number, 150, CT_BYTES) for number in range(1, 5)]
    return _against_all("600 x 0.5 MB, four associations", folder, groups, rounds, CT_BYTES, FORK)


def small(folder: Path, rounds: int) -> str:
    """5,000 small instances over four associations at once."""
    groups = [_group(folder, number, 1250, SMALL_BYTES) for number in range(1, 5)]
    return _against_all("5,000 x 20 KB, four associations", folder, groups, rounds, SMALL_BYTES, FORK)


def nagle(folder: Path, rounds: int) -> str:
    """A sender at DCMTK's default, Nagle's algorithm on: where its last segments wait for an acknowledgement."""
    groups = [_group(folder, 1, 100, CT_BYTES)]
    wanted = (OURS, STORESCP, STORESCP_DEFAULT, ORTHANC)
    cases = {
        name: functools.partial(_receive, receiver, folder, groups, nagle=True, pdu=16384)
        for name, receiver in receivers(fork=False).items()
        if name in wanted
    }
    title = "100 x 0.5 MB, sender with Nagle's algorithm on"
    return compare(title, cases, rounds, lambda medians: {n: medians[n] for n in wanted[1:] if n in medians}).markdown()


def memory(folder: Path, _rounds: int) -> str:
    """How much the receiver grows while it takes one instance of 1 GiB."""
    groups = [_group(folder, 1, 1, LARGE_BYTES)]
    small_groups = [_group(folder, 2, 1, CT_BYTES)]
    with rivals.ours(1)(rivals.fresh(folder)) as port:
        _send(port, small_groups)
        processes = _processes(port)
        before, peak = _resident(processes), 0
        with _watching(lambda: _resident(processes)) as seen:
            seconds = _send(port, groups)
        peak = max(seen)
    grown = (peak - before) / 2**20
    return f"**1 GiB instance**: {seconds:.1f} s, memory grew by {grown:.1f} MiB (from {before / 2**20:.0f} MiB)"


def many(folder: Path, _rounds: int) -> str:
    """64 associations at once, again and again for a minute."""
    group = _group(folder, 1, 20, SMALL_BYTES)
    target = rivals.fresh(folder)
    with rivals.ours(os.cpu_count() or 1)(target) as port:
        processes = _processes(port)
        _send(port, [group] * 64)
        began, sent, early = time.monotonic(), 0, 0
        with _watching(lambda: _resident(processes)) as seen:
            while time.monotonic() - began < 60:
                _send(port, [group] * 64)
                sent += 64
                if not early and time.monotonic() - began > 10:
                    early = max(seen)
        growth = (max(seen) - early) / 2**20
    return (
        f"**64 associations at once, for a minute**: {sent} associations, none refused, "
        f"{sent * 20 / 60:.0f} instances/s, memory after the first ten seconds {growth:+.1f} MiB"
    )


def _against_all(title: str, folder: Path, groups: Sequence[Path], rounds: int, size: int, floor: str) -> str:
    count = sum(len(list(group.iterdir())) for group in groups)
    cases: dict[str, Callable[[], float]] = {
        name: functools.partial(_receive, receiver, folder, groups)
        for name, receiver in receivers(fork=len(groups) > 1).items()
    }
    probed = f"probe: {count} files made durable, one after the other"
    cases[probed] = lambda: probe.run(probe.synced, rivals.fresh(folder), 1, count, size)

    def floors(medians: Mapping[str, float]) -> dict[str, float]:
        found = {"probe": medians[probed]}
        if floor in medians:
            found |= {floor: medians[floor], f"{floor} + probe": medians[floor] + medians[probed]}
        return found | {name: medians[name] for name in (ORTHANC, PYNETDICOM_DURABLE) if name in medians}

    return compare(title, cases, rounds, floors).markdown()


def _receive(receiver: Receiver, folder: Path, groups: Sequence[Path], **options: bool | int) -> float:
    with receiver(rivals.fresh(folder)) as port:
        become_quiet()
        return _send(port, groups, **options)


def _send(port: int, groups: Sequence[Path], **options: bool | int) -> float:
    return rivals.storescu(port, groups, nagle=bool(options.get("nagle")), pdu=int(options.get("pdu", LARGE_PDU)))


def _per_file(folder: Path, way: probe.Way, threads: int, count: int, size: int) -> float:
    return 1000 * probe.run(way, rivals.fresh(folder), threads, count // threads, size) / count


def _group(folder: Path, number: int, count: int, size: int) -> Path:
    group = folder / "material" / str(number)
    material.instances(group, count, size, series=number)
    return group


def _processes(port: int) -> list[int]:
    """The process that listens on the port and those that it started."""
    found = subprocess.run(["pgrep", "-f", f"receiver.py ours .* {port} "], capture_output=True, text=True, check=True)
    main = int(found.stdout.split()[0])
    started = subprocess.run(["pgrep", "-P", str(main)], capture_output=True, text=True, check=False)
    return [main, *map(int, started.stdout.split())]


def _resident(processes: Sequence[int]) -> int:
    pages = [int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) for process in processes]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def _watching(value: Callable[[], int]) -> Iterator[list[int]]:
    seen = [value()]
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            seen.append(value())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join()


_NODES_WAY = next(name for name, way in probe.WAYS.items() if way is probe.synced)
_SECTIONS: dict[str, Callable[[Path, int], str]] = {
    "disk": disk, "one": one, "four": four, "small": small, "nagle": nagle, "memory": memory, "many": many,
}  # fmt: skip
SECTIONS = tuple(_SECTIONS)
