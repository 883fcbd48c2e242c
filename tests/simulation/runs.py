"""Runs: one for each seed, on a database of its own, with the shortened trace of what fails."""

import itertools
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from simulation.steps import Step, drawn, shrunk
from simulation.watch import Breach
from simulation.world import World, small_batches

STEPS = 150
Fault = Callable[[], AbstractContextManager[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run ended: the first breach, if any, and the steps taken by then."""

    seed: int
    found: Breach | None
    steps: int
    trace: Sequence[str] = ()


@dataclass
class Runs:
    """Runs in a folder. `fault` is planted in each; `url` gives a PostgreSQL database whose tables are empty."""

    folder: Path
    fault: Fault = nullcontext
    url: Callable[[], str] = lambda: ""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def __post_init__(self) -> None:
        (self.folder / "empty" / "data").mkdir(parents=True, exist_ok=True)
        self._empty = template(self.folder / "empty")

    def run(self, seed: int, steps: Sequence[Step] | None = None) -> Outcome:
        """The run of this seed, with other steps where they are given."""
        folder = copied(self._empty, self.folder / f"run{next(self._numbers)}")
        try:
            with small_batches(), self.fault():
                world = World(folder, seed, self.url())
                try:
                    found = world.run(drawn(seed, STEPS) if steps is None else steps)
                finally:
                    world.close()
            return Outcome(seed=seed, found=found, steps=world.count, trace=world.trace)
        finally:
            shutil.rmtree(folder)

    def shortened(self, seed: int, breach: Breach) -> list[Step]:
        """The steps of a run that failed, without those that the failure does not need."""

        def fails(steps: Sequence[Step]) -> bool:
            found = self.run(seed, steps).found
            return found is not None and found.name == breach.name

        return shrunk(drawn(seed, STEPS), fails)


def told(outcome: Outcome, steps: Sequence[Step]) -> str:
    """A failure with its seed and its trace."""
    assert outcome.found is not None
    lines = [f"seed {outcome.seed}: {outcome.found.name} ({outcome.found.about})", *(f"  {step}" for step in steps)]
    return "\n".join(lines)


def template(folder: Path) -> Path:
    """A folder with an empty database, to be copied for each run."""
    world = World(folder, 0)
    for node in world.nodes:
        node.close()
    world.close()
    return folder


def copied(source: Path, to: Path) -> Path:
    """A new folder with the empty database."""
    (to / "data").mkdir(parents=True)
    shutil.copyfile(source / "data" / "router.db", to / "data" / "router.db")
    return to
