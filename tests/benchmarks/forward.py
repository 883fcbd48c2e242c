"""Forwarding to DCMTK's storescp: our sender, DCMTK's storescu and pynetdicom's, over the same files.

The receiver has Nagle's algorithm off, as is best for storescu; with its default, storescu and pynetdicom wait 44 ms
for each response ("both ends at their default").
`cases(folder)` gives, for each kind of work, the timings to compare; each is called once a round and answers seconds.
"""

import os
import random
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from pynetdicom import AE, _config, build_context

from router.config import DicomDestination
from router.dicom.client import Outgoing, StorageClient
from router.dicom.part10 import preamble_and_meta

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
SYNTAX = "1.2.840.10008.1.2.1"
NODELAY = "DCMTK storescu, TCP_NODELAY=1"
ROOT = "1.2.826.0.1.3680043.9.9999"

Case = Callable[[], float]


def cases(folder: Path) -> Mapping[str, Mapping[str, Case]]:
    """Title to name to timing. Makes its files under `folder` (1.5 GB); nothing is received to keep."""
    one = _senders(folder / "one", made(folder / "one", 1, 2**30))
    return {
        "forward 600 CT of 0.5 MB": _senders(folder / "ct", made(folder / "ct", 600, 2**19)),
        "forward 5,000 of 20 KB": _senders(folder / "small", made(folder / "small", 5000, 20_000)),
        "forward 100 of 20 KB, both ends at their default": _by_default(
            folder / "few", made(folder / "few", 100, 20_000)
        ),
        "forward one of 1 GB": {name: one[name] for name in (NODELAY, "ours, 1 association")},
    }


def made(folder: Path, number: int, size: int) -> list[Outgoing]:
    """Instances with `size` bytes of pixel data, one study."""
    folder.mkdir(parents=True, exist_ok=True)
    return [_made(folder, key, size) for key in range(number)]


def _made(folder: Path, key: int, size: int) -> Outgoing:
    uid = f"{ROOT}.{size}.{key}"
    path = folder / f"{key}.dcm"
    with path.open("wb") as file:
        file.write(preamble_and_meta(CT_CLASS, uid, SYNTAX, "BENCH", "BENCH"))
        for tag, value in ((0x00080016, CT_CLASS), (0x00080018, uid), (0x0020000D, ROOT), (0x0020000E, ROOT)):
            text = value.encode() + b"\0" * (len(value) % 2)
            file.write(_tag(tag) + b"UI" + len(text).to_bytes(2, "little") + text)
        file.write(_tag(0x7FE00010) + b"OW\0\0" + size.to_bytes(4, "little"))
        for _ in range(0, size, 2**20):
            file.write(os.urandom(min(size, 2**20)))
    return Outgoing(key, path, CT_CLASS, uid, SYNTAX)


def _tag(tag: int) -> bytes:
    return (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")


def _senders(folder: Path, items: list[Outgoing]) -> Mapping[str, Case]:
    return {
        NODELAY: partial(_with_storescp, partial(_storescu, folder, nodelay=True)),
        "ours, 1 association": partial(_with_storescp, partial(ours, items, 1)),
        "ours, 2 associations (default)": partial(_with_storescp, partial(ours, items, 2)),
        "ours, 4 associations": partial(_with_storescp, partial(ours, items, 4)),
    }


def _by_default(folder: Path, items: list[Outgoing]) -> Mapping[str, Case]:
    return {
        "DCMTK storescu": partial(_with_storescp, partial(_storescu, folder, nodelay=False), nodelay=False),
        "pynetdicom": partial(_with_storescp, partial(_pynetdicom, items), nodelay=False),
        "ours": partial(_with_storescp, partial(ours, items, 2), nodelay=False),
    }


def _with_storescp(send: Callable[[int], None], *, nodelay: bool = True) -> float:
    with storescp(nodelay=nodelay) as port:
        started = time.monotonic()
        send(port)
        return time.monotonic() - started


@contextmanager
def storescp(*, nodelay: bool = True) -> Iterator[int]:
    """DCMTK's receiver, a process for each association, writing what it receives as it comes."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with tempfile.TemporaryDirectory() as folder:
        command = ["storescp", "--fork", "+B", "+xa", "-pdu", "131072", "-od", folder, str(port)]
        environment = {**os.environ, **({"TCP_NODELAY": "1"} if nodelay else {})}
        with subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment) as process:
            while not _listens(port):
                time.sleep(0.02)
            yield port
            process.terminate()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ours(items: list[Outgoing], associations: int, port: int) -> None:
    """Our sender."""
    client = StorageClient(DicomDestination.model_validate({"port": port, "associations": associations}))
    for result in client.send(items, lambda: False):
        assert result.status == 0


def _storescu(folder: Path, port: int, *, nodelay: bool) -> None:
    environment = {**os.environ, **({"TCP_NODELAY": "1"} if nodelay else {})}
    subprocess.run(
        ["storescu", "-pdu", "131072", "+sd", "-R", "127.0.0.1", str(port), str(folder)],
        check=True, capture_output=True, env=environment,
    )  # fmt: skip


def _pynetdicom(items: list[Outgoing], port: int) -> None:
    _config.STORE_SEND_CHUNKED_DATASET = True
    association = AE().associate("127.0.0.1", port, contexts=[build_context(CT_CLASS, SYNTAX)])
    for item in items:
        assert association.send_c_store(item.path).Status == 0
    association.release()


def growth(size: int) -> int:
    """Bytes by which this process's memory grows while it sends one instance of `size` bytes."""
    with tempfile.TemporaryDirectory() as folder:
        [warm], items = made(Path(folder) / "warm", 1, 2**10), made(Path(folder) / "large", 1, size)
        with storescp() as port:
            ours([warm], 1, port)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            ours(items, 1, port)
            return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


def compare(title: str, cases: Mapping[str, Case], rounds: int = 5) -> None:
    """Prints medians and ratios to the first case; the order is shuffled in each round."""
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name in random.sample(list(cases), len(cases)):
            os.sync()
            times[name].append(cases[name]())
    first = statistics.median(next(iter(times.values())))
    print(f"{title} ({rounds} rounds)")  # noqa: T201  # a benchmark prints
    for name, found in times.items():
        median = statistics.median(found)
        print(f"  {name:32} {median:7.3f} s  {median / first:5.2f}  ({min(found):.3f} - {max(found):.3f})", flush=True)  # noqa: T201


if __name__ == "__main__":
    if shutil.which("storescp") is None:
        sys.exit("DCMTK is not installed")
    with tempfile.TemporaryDirectory() as where:
        for title, timings in cases(Path(where)).items():
            compare(title, timings)
    print(f"memory grows by {growth(2**30) / 2**20:.1f} MiB while 1 GiB is sent")  # noqa: T201
