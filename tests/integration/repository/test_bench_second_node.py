"""The benchmark of a second node in short: two nodes do the work, each part of a machine is what it says."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from support.dicom_peers import tool
from support.postgres import Server

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
_WHERE = """
import os, socket, sys
socket.create_server((sys.argv[1], 0))
print(sorted(os.sched_getaffinity(0)), flush=True)
print(sys.stdin.readline() and open("/proc/self/cgroup").read())
"""


@pytest.fixture(autouse=True)
def _beside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))


def test_two_nodes_receive_and_send_everything_and_the_table_says_on_what_they_ran(
    server: Server, postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tool("storescu")
    bench, measure = importlib.import_module("second_node"), importlib.import_module("measure")

    @contextmanager
    def plain(count: int, _found: Any) -> Iterator[list[Any]]:
        yield [bench.Machine(address="127.0.0.1", outside="127.0.0.1", there=())] * count

    @contextmanager
    def running(_settings: Any) -> Iterator[str]:
        yield postgres

    monkeypatch.setattr(bench, "machines", plain)
    monkeypatch.setattr(bench, "postgres_server", running)
    monkeypatch.setattr(bench, "Server", lambda *_: server)
    run = measure.Run(tmp_path, rounds=1, share=0.005, only="^2 nodes, a whole", quiet=False)
    text = bench.second(run)
    assert "round 1: 2 nodes, a whole processor each: 8 MB received" in capsys.readouterr().err
    assert text.startswith("**4 studies, 16 instances, 8 MB: a whole processor each: median (range)**")
    assert "processors" in text.rpartition("| receiving, MB/s |")[2]


def test_a_machine_of_its_own_has_one_processor_and_its_address(tmp_path: Path) -> None:
    machines: Any = importlib.import_module("machines")
    found = machines.survey(tmp_path)
    assert not list(tmp_path.iterdir())
    with machines.machines(2, found) as both:
        for number, machine in enumerate(both):
            call = [sys.executable, *machine.there, sys.executable, "-c", _WHERE, machine.address]
            done = subprocess.run(call, input="\n", capture_output=True, text=True, timeout=60, check=True)
            processor = found.processors[number % len(found.processors)]
            assert done.stdout.splitlines()[0] == f"[{processor}]"
        apart = {machine.address for machine in both}
        assert len(apart) == (1 if found.network else 2)


def test_a_limit_is_of_the_processes_that_are_put_under_it_and_goes_with_them(tmp_path: Path) -> None:
    machines: Any = importlib.import_module("machines")
    if why := machines.survey(tmp_path).limit:
        pytest.skip(f"no processor can be limited here: {why}")
    call = [sys.executable, "-c", _WHERE, "127.0.0.1"]
    with (
        machines.limit(1, 0.25) as group,
        subprocess.Popen(call, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process,
    ):
        machines.into(group, [process.pid])
        assert group.parent.name in process.communicate("\n", timeout=60)[0]
    assert not group.parent.exists()
