"""Two nodes on a fake clock keep every promise in runs by chance, and each planted fault is found."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from simulation.faults import FAULTS, Fault
from simulation.runs import Outcome, Runs, told
from simulation.steps import Step, drawn, shrunk
from simulation.watch import Breach
from support.postgres import Server


def failure(folder: Path, outcome: Outcome) -> str:
    """What did not hold, with the steps that it needs."""
    if outcome.found is None:
        return ""
    return told(outcome, Runs(folder / "again").shortened(outcome.seed, outcome.found))


@pytest.mark.parametrize("seed", range(1, 3))
def test_two_nodes_keep_every_promise_in_runs_by_chance(tmp_path: Path, seed: int) -> None:
    outcome = Runs(tmp_path / "first").run(seed)
    assert outcome.found is None, failure(tmp_path, outcome)
    assert outcome.steps > 100


def test_two_nodes_keep_every_promise_on_postgresql(tmp_path: Path, server: Server) -> None:
    outcome = Runs(tmp_path, url=server.emptied).run(1, drawn(1, 25))
    assert outcome.found is None, outcome


@pytest.mark.parametrize("fault", [one for one in FAULTS if one.seed], ids=lambda fault: fault.name)
def test_each_planted_fault_is_found(tmp_path: Path, fault: Fault) -> None:
    """Its seed finds it at once; where the product has changed since, another one soon does."""
    runs = Runs(tmp_path, fault.plant)
    assert any(runs.run(seed).found for seed in range(fault.seed, fault.seed + 3)), (
        "no run finds it: `scripts/torture simulated --faults` says which seed does"
    )


def test_a_trace_is_shortened_to_the_steps_that_a_failure_needs() -> None:
    crash = Step("crash")
    steps = [Step("drop", 0, 1), *drawn(3, 40), Step("images", 1, 7, ((3, Step("freeze")), (9, crash))), *drawn(4, 40)]

    def fails(some: Sequence[Step]) -> bool:
        dropped = [place for place, step in enumerate(some) if step.pick == 1]
        return any((9, crash) in step.meanwhile for step in some[dropped[0] :]) if dropped else False

    found = shrunk(steps, fails)
    assert found == [Step("drop", 0, 1), Step("images", 1, 7, ((9, crash),))]
    outcome = Outcome(seed=7, found=Breach("nothing is lost", "d1"), steps=82)
    assert told(outcome, found) == "seed 7: nothing is lost (d1)\n  drop n1 1\n  images n2 7 [at 9: crash n1 0]"
