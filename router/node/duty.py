"""A duty of a node: one piece of its recurring work, with its holder and its rhythm."""

from collections.abc import Callable
from dataclasses import dataclass

from router.loop import LONGEST_PAUSE, Untried

IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """One piece of recurring work.

    `step` does some of it and returns the seconds to rest, 0 when there is more to do, or None for `every`. `held_as`
    is the duty of cluster/membership.py that one node at a time holds and that the step needs; "" where every node
    works. `everywhere` is done before each step, also by nodes that do not hold the duty. `share`, `patience`,
    `longest`, `wait` and `wake` are as Loop has them.
    """

    name: str
    step: Callable[[], float | None]
    every: float = IDLE_SECONDS
    held_as: str = ""
    everywhere: Callable[[], object] | None = None
    share: float = 1.0
    patience: float | None = None
    longest: float = LONGEST_PAUSE
    wait: Callable[[float], object] | None = None
    wake: Callable[[], object] | None = None

    def run(self, has: Callable[[str], bool]) -> float:
        """Do a step, where it is this node's; the seconds to rest. `has`: whether this node holds a duty."""
        if self.everywhere is not None:
            self.everywhere()
        if self.held_as and not has(self.held_as):
            return Untried(IDLE_SECONDS)
        rest = self.step()
        return self.every if rest is None else rest
