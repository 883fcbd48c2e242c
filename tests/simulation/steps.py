"""Steps of a run: drawn from a seed, and short enough to be read when a run fails."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

NODES = 2


@dataclass(frozen=True, slots=True, order=True)
class Step:
    """One call of a part, or one thing that happens: `pick` chooses among what there is at that moment.

    `meanwhile` are steps that happen within the call, each at the given one of the points where another thread, node
    or person could come between: before and after each transaction and each message.
    """

    kind: str
    node: int = 0
    pick: int = 0
    meanwhile: tuple[tuple[int, "Step"], ...] = ()

    def __str__(self) -> str:
        inner = "; ".join(f"at {point}: {step}" for point, step in self.meanwhile)
        return f"{self.kind} n{self.node + 1} {self.pick}" + (f" [{inner}]" if inner else "")

    @property
    def size(self) -> int:
        """Steps that this one is, those within it included."""
        return 1 + sum(step.size for _, step in self.meanwhile)


# How often each kind comes. Calls of a node's parts, then what happens around the nodes.
_CALLS = {"reports": 12, "images": 14, "region": 12, "correlate": 14, "lookout": 5, "retention": 4, "start": 3}
_AROUND = {
    "drop": 6, "receive": 7, "clock": 12, "pause": 2, "resume": 3, "person": 4, "weather": 5, "disk": 1, "crash": 1,
}  # fmt: skip
SENDING = ("reports", "images", "region")
_WITHIN = {
    "crash": 6, "lose": 6, "no database": 9, "freeze": 6, "clock": 6, "lapse": 5, "same": 8, "news": 5, "reports": 3,
    "images": 4, "region": 4, "correlate": 4, "drop": 4, "receive": 2, "pause": 3, "resume": 3, "person": 5,
    "weather": 4, "lookout": 1, "retention": 1,
}  # fmt: skip
_SCENES = ("freeze", "same", "news")
_ASLEEP = {k: weight for k, weight in _WITHIN.items() if k not in ("crash", "lose", "no database", *_SCENES)}
_POINTS = 20


def drawn(seed: int, number: int) -> list[Step]:
    """So many steps."""
    dice = random.Random(seed)
    return [_step(dice, {**_CALLS, **_AROUND}, 1) for _ in range(number)]


def _step(dice: random.Random, weights: dict[str, int], depth: int) -> Step:
    (kind,) = dice.choices(list(weights), list(weights.values()))
    found = Step(kind, dice.randrange(NODES), dice.randrange(1 << 20))
    interrupted = kind in SENDING or (kind in ("correlate", "retention") and dice.random() < 0.3)
    if not depth or not interrupted or dice.random() < 0.25:
        return found
    inner = sorted((dice.randrange(1, _POINTS), _within(dice, found)) for _ in range(dice.choice((1, 1, 2, 3))))
    return replace(found, meanwhile=tuple(inner))


def _within(dice: random.Random, outer: Step) -> Step:
    found, other = _step(dice, _WITHIN, 0), (outer.node + 1) % NODES
    if found.kind == "same":  # of several nodes, at the same time
        return replace(found, kind=outer.kind, node=other)
    if found.kind == "news":  # it is evaluated, too
        news = Step(dice.choice(("drop", "drop", "receive")), other, found.pick), Step("correlate", other)
        return replace(found, meanwhile=tuple(enumerate(news)))
    if found.kind != "freeze":
        return found
    asleep = [Step("lapse", other, dice.randrange(90)), _taken_over(dice, Step(outer.kind, other))]
    asleep += [replace(_step(dice, _ASLEEP, 0), node=other) for _ in range(2)]
    return replace(found, meanwhile=tuple(enumerate(asleep)))


def _taken_over(dice: random.Random, step: Step) -> Step:
    """The same call by the other node, which may not come to its end either."""
    if dice.random() < 0.5:
        return step
    end = Step(dice.choice(("crash", "no database")), step.node)
    return replace(step, meanwhile=((dice.randrange(3, 14), end),))


def shrunk(steps: Sequence[Step], fails: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """The steps without those that the failure does not need (ddmin); `fails` runs some of them anew."""
    left, size = list(steps), max(len(steps) // 2, 1)
    while size:
        start = 0
        while start < len(left):
            fewer = left[:start] + left[start + size :]
            if fewer and fails(fewer):
                left = fewer
            else:
                start += size
        size //= 2
    return _bare(left, fails)


def _bare(steps: list[Step], fails: Callable[[Sequence[Step]], bool]) -> list[Step]:
    """The steps without what happens within them, as far as the failure does not need it."""
    for place, step in enumerate(steps):
        for inner in step.meanwhile:
            now = steps[place]
            fewer = replace(now, meanwhile=tuple(one for one in now.meanwhile if one is not inner))
            trial = [*steps[:place], fewer, *steps[place + 1 :]]
            if fails(trial):
                steps = trial
    return steps
