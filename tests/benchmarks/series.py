"""How fast headers are classified, and when the classes of a large study stand."""

import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import material
from measure import Run, say
from senders import storescu

from router.clock import SystemClock
from router.config.file import parse
from router.config.sections import Series
from router.dicom.dataset.header import read_glimpse
from router.images.rulebook import rulebook
from router.node.node import Node
from router.series.classify import classify

_STUDY, _ASSOCIATIONS, _OTHERS, _OTHER_BYTES = 10_000, 4, 4000, 24_000
_CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "bench"
HospitalBranchCode = "01"
[node]
data = "data"
[receive]
port = 0
min_free = "50 MiB"
[admin]
port = 0
"""


def headers(run: Run) -> str:
    """files through header, facts and rules, on one core"""
    paths = sorted(material.instances(run.folder / "headers", run.count(1000), material.SMALL_BYTES).iterdir())
    book = rulebook(Series())
    speeds = []
    for _ in range(run.rounds):
        began = time.process_time()
        for path in paths:
            classify(read_glimpse(path).facts, book)
        speeds.append(len(paths) / (time.process_time() - began))
    return f"**headers**: {statistics.median(speeds):,.0f} a second of one core, file to class"


def study(run: Run) -> str:
    """10,000 instances of one study over four associations, while another study keeps coming"""
    each = run.count(_STUDY // _ASSOCIATIONS)
    say(f"  making {each * _ASSOCIATIONS} instances")
    groups = [
        material.instances(run.folder / f"study{n}", each, material.SMALL_BYTES, series=n + 1, thickness="")
        for n in range(_ASSOCIATIONS)
    ]
    other = material.instances(run.folder / "other", run.count(_OTHERS), _OTHER_BYTES)
    node = Node(parse(_CONFIG, base=run.folder), SystemClock())
    ports = node.start()
    try:
        with ThreadPoolExecutor(1) as pool:
            others = pool.submit(_keep_sending, ports.dicom, other)
            sent = storescu(ports.dicom, groups)
            took = _await_classes(run.folder / "data" / "router.db", each * _ASSOCIATIONS)
            going_on = not others.done()
            others.result()
    finally:
        node.stop()
    return (
        f"**study of {each * _ASSOCIATIONS:,}**: received at {each * _ASSOCIATIONS / sent:.0f} instances/s beside "
        f"another study, all classified by their distance {took:.1f} s after the last one, "
        f"receiving {'went on' if going_on else 'had ended'}"
    )


def _keep_sending(port: int, group: Path) -> None:
    for _ in range(3):
        storescu(port, [group])


def _await_classes(database: Path, count: int) -> float:
    began = time.monotonic()
    query = "SELECT count(*) FROM instance JOIN study ON study.id = study_id WHERE uid = ? AND series_class = 'thin'"
    with closing(sqlite3.connect(database, timeout=30)) as connection:
        while connection.execute(query, (f"{material.ROOT}.{material.SMALL_BYTES}",)).fetchone()[0] < count:
            time.sleep(0.1)
    return time.monotonic() - began


SECTIONS: Mapping[str, Callable[[Run], str]] = {"headers": headers, "study": study}
