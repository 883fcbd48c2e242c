"""What the benchmark says of a second node, from figures that are given."""

import importlib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def gain(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("gain")


def _round(gain: Any, receiving: float, sending: float) -> Any:
    """A round in which 1,000 MB took so many seconds, a processor of the nodes and half of one of the server."""
    seconds = {gain.RECEIVING: receiving, gain.SENDING: sending}
    spent = {step: {gain.NODES: took, gain.SERVER: took / 2, gain.OTHERS: 0.1 * took} for step, took in seconds.items()}
    return gain.Figures(megabytes=dict.fromkeys(seconds, 1000.0), seconds=seconds, spent=spent)


def test_two_nodes_are_compared_with_one_by_their_medians(gain: Any) -> None:
    one = [_round(gain, seconds, 10) for seconds in (20, 25, 50)]
    two = [_round(gain, seconds, 10) for seconds in (10, 12.5, 100)]
    lines = gain.table("Work", {1: one, 2: two}).splitlines()
    assert lines[0] == "**Work: median (range)**"
    assert lines[2] == "|  | 1 node | 2 nodes | two / one |"
    assert "| receiving, MB/s | 40.00 (20.00 - 50.00) | 80.00 (10.00 - 100.00) | 2.00 |" in lines
    assert "| receiving, processor s a GB: nodes | 25.00 (20.00 - 50.00) | 12.50 (10.00 - 100.00) | 0.50 |" in lines
    assert "| sending, processor s a GB: PostgreSQL | 5.00 (5.00 - 5.00) | 5.00 (5.00 - 5.00) | 1.00 |" in lines
    assert lines[-5] == "| processors that other work on the machine had | 0.10 (0.10 - 0.10) | 0.10 (0.10 - 0.10) |  |"
    assert lines[-3] == "In receiving a second node brings 100 % more."
    assert lines[-1] == "In sending a second node shows nothing here: 100.0 MB/s with one, 100.0 MB/s with two."


def test_what_was_measured_with_one_number_of_nodes_is_compared_with_nothing(gain: Any) -> None:
    lines = gain.table("Work", {2: [_round(gain, 10, 10)]}).splitlines()
    assert lines[4] == "| receiving, MB/s | 100.00 (100.00 - 100.00) |  |"
    assert lines[-1].startswith("| processors that other work")


@pytest.mark.parametrize(
    ("processors", "network", "limit", "disk", "said"),
    [
        ((0, 1), "", "", "", "2 processor(s): senders, receiver and PostgreSQL share them with the nodes."),
        ((0, 1, 2), "", "", "", "3 processors: one for each node, the rest for senders, receiver and PostgreSQL."),
        ((0,), "not permitted", "", "", "No network namespace (not permitted): the nodes share loopback."),
        ((0,), "", "read-only", "", "No share of a processor could be limited (read-only): such cases are left out."),
        ((0,), "", "", "no room", "No loop device (no room): the shared data folder lies on the disk of all else."),
    ],
)
def test_a_part_that_cannot_be_had_is_named_with_its_reason(
    gain: Any, processors: tuple[int, ...], network: str, limit: str, disk: str, said: str
) -> None:
    machines: Any = importlib.import_module("machines")
    found = machines.Survey(processors=processors, network=network, limit=limit, disk=disk)
    assert said in found.lines(2)
