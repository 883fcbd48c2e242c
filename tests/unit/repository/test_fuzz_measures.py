"""The fuzzer's own measures: a process that keeps memory, descriptors or threads is told of."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[2] / "torture"))

from fuzz import Grown, _of, held_by, require_no_growth


@pytest.fixture
def kept() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_a_process_that_keeps_nothing_has_not_grown() -> None:
    first = held_by(os.getpid())
    assert first.memory > 2**20
    require_no_growth("http", first, held_by(os.getpid()))


def test_kept_memory_is_found() -> None:
    first = held_by(os.getpid())
    kept = bytearray(b"\1") * (100 * 2**20)
    with pytest.raises(Grown, match="json: memory"):
        require_no_growth("json", first, held_by(os.getpid()))
    assert kept


def test_pages_of_files_are_not_kept_memory() -> None:
    resident = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    libraries = int(resident.split()[1]) * 1024 - _of(os.getpid()).memory
    assert libraries > 2**20


def test_kept_descriptors_are_found(kept: ExitStack) -> None:
    first = held_by(os.getpid())
    for _ in range(20):
        kept.callback(os.close, os.open(os.devnull, os.O_RDONLY))
    with pytest.raises(Grown, match="descriptors"):
        require_no_growth("pdf", first, held_by(os.getpid()))


def test_kept_threads_are_found(kept: ExitStack) -> None:
    first, end = held_by(os.getpid()), threading.Event()
    threads = [threading.Thread(target=end.wait) for _ in range(20)]
    for one in threads:
        one.start()
        kept.callback(one.join)
    kept.callback(end.set)
    with pytest.raises(Grown, match="threads"):
        require_no_growth("mllp", first, held_by(os.getpid()))
