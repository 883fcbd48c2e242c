"""Sending over a long line: 20 ms of round trip and 100 Mbit/s, plain and by TLS, against what the line allows."""

import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import material
import rivals
import senders
from line import RATE, ROUND_TRIP, line
from material import CT_BYTES, SMALL_BYTES
from measure import Case, Run, Timing, compare, markdown
from processes import fresh

from support.certificates import Authority

STORESCU = "storescu, 128 KiB PDU, TCP_NODELAY=1"
_NODE = {"ours, 1 association": 1, "ours, at most 2 (the default)": 2, "ours, at most 16": 16}


def table(run: Run, sizes: dict[int, int]) -> str:
    """So many instances of each size, plain and by TLS."""
    tables = []
    for size, whole in sizes.items():
        folder = material.instances(run.folder / f"{size}", run.count(whole), size)
        tables += [_of(run, folder, size, tls=tls) for tls in (False, True)]
    return "\n\n".join(tables)


def _of(run: Run, folder: Path, size: int, *, tls: bool) -> str:
    spent: dict[str, list[float]] = {name: [] for name in _NODE}
    cases = {name: _case(run, folder, at_most, spent[name], tls=tls) for name, at_most in _NODE.items()}
    if not tls:
        cases[STORESCU] = _case(run, folder, 0, [], tls=tls)
    title = f"{material.work([folder], size)} over 20 ms and 100 Mbit/s, {'TLS' if tls else 'plain'}"
    found, rows = compare(title, cases, run), []
    for name, times in found.times.items():
        least = _least(folder, _NODE.get(name, 1))
        processor = f"{statistics.median(spent[name]):.2f}" if spent.get(name) else ""
        span, ratio = f"{min(times):.2f} - {max(times):.2f}", f"{found.median(name) / least:.2f}"
        rows.append([name, f"{found.median(name):.2f}", span, f"{least:.2f}", ratio, processor])
    return markdown(title, ["", "median s", "range s", "least that the line allows, s", "ratio", "processor s"], rows)


def _least(folder: Path, associations: int) -> float:
    """Seconds that bytes take at the rate, or that answers take by the round trip, whichever is more."""
    size = sum(path.stat().st_size for path in folder.iterdir())
    return max(size / RATE, material.count(folder) * ROUND_TRIP / associations)


def _case(run: Run, folder: Path, at_most: int, spent: list[float], *, tls: bool) -> Case:
    @contextmanager
    def case() -> Iterator[Timing]:
        with fresh(run.folder) as own, fresh(run.folder) as keys:
            authority = Authority(keys)
            shown = authority.issue("peer")
            secure = ("+tls", str(shown.key), str(shown.certificate), "-ic") if tls else ()
            with rivals.storescp("--fork", *secure, best=True)(own) as receiver, line(receiver.port) as port:
                yield partial(_seconds, port, folder, at_most, spent, authority.certificate if tls else None)

    return case


def _seconds(port: int, folder: Path, at_most: int, spent: list[float], ca: Path | None) -> float:
    if not at_most:
        return senders.storescu(port, [folder])
    found = senders.ours(port, folder, at_most, ca=ca)
    spent.append(found["processor"])
    return found["seconds"]


SIZES = {CT_BYTES: 200, SMALL_BYTES: 2000}
WHOLE = {CT_BYTES: 2000, SMALL_BYTES: 2000}
