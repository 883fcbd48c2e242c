"""`bench series`: how fast headers are classified, and when the classes of a large study stand."""

import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import material
import rivals
from measure import say

from router.app import Node
from router.clock import SystemClock
from router.config import Series, parse
from router.dicom.header import read_header
from router.flow.rules import rulebook
from router.series.classify import classify

_INSTANCES, _GROUPS, _BYTES = 10_000, 4, 20_000
_OTHERS, _OTHER_BYTES = 4000, 24_000
_CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "bench"
HospitalBranchCode = "01"
[node]
data = "data"
[receive]
ae_title = "ANY-SCP"
port = 0
[admin]
port = 0
"""


def run(folder: Path, sections: Sequence[str], rounds: int) -> Iterator[str]:
    """A line for each section."""
    for section in sections:
        yield _SECTIONS[section](folder / section, rounds)


def headers(folder: Path, rounds: int) -> str:
    """Files through header, facts and rules, on one core."""
    paths = material.instances(folder, 1000, _BYTES)
    book = rulebook(Series())
    speeds = []
    for _ in range(rounds):
        began = time.process_time()
        for path in paths:
            classify(read_header(path).facts, book)
        speeds.append(len(paths) / (time.process_time() - began))
    return f"**headers**: {statistics.median(speeds):,.0f} a second of one core, file to class"


def study(folder: Path, _rounds: int) -> str:
    """A study of 10,000 instances over four associations, while another study keeps coming."""
    say("making 14,000 instances")
    groups = [folder / f"study{n}" for n in range(_GROUPS)]
    for n, group in enumerate(groups):
        material.instances(group, _INSTANCES // _GROUPS, _BYTES, series=n + 1, thickness="")
    material.instances(folder / "other", _OTHERS, _OTHER_BYTES)
    node = Node(parse(_CONFIG, base=folder), SystemClock())
    ports = node.start()
    try:
        with ThreadPoolExecutor(1) as pool:
            others = pool.submit(_keep_sending, ports.dicom, folder / "other")
            sent = rivals.storescu(ports.dicom, groups)
            last = time.monotonic()
            while _thin(folder / "data" / "router.db") < _INSTANCES:
                time.sleep(0.1)
            took = time.monotonic() - last
            going_on = not others.done()
            others.result()
    finally:
        node.stop()
    return (
        f"**study of {_INSTANCES:,}**: received at {_INSTANCES / sent:.0f} instances/s beside another study, all "
        f"classified by their distance {took:.1f} s after the last one, receiving "
        f"{'went on' if going_on else 'had ended'}"
    )


def _keep_sending(port: int, group: Path) -> None:
    for _ in range(3):
        rivals.storescu(port, [group])


def _thin(database: Path) -> int:
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        query = (
            "SELECT count(*) FROM instance JOIN study ON study.id = study_id WHERE uid = ? AND series_class = 'thin'"
        )
        return int(connection.execute(query, (f"{material.ROOT}.{_BYTES}",)).fetchone()[0])


_SECTIONS: Mapping[str, Callable[[Path, int], str]] = {"headers": headers, "study": study}
SECTIONS = tuple(_SECTIONS)
