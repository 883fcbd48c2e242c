"""What a second node brings, as a table of what was measured with one and with two."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from measure import markdown

RECEIVING, SENDING = "receiving", "sending"
STEPS = (RECEIVING, SENDING)
NODES, SERVER, OTHERS = "nodes", "PostgreSQL", "other work on the machine"
_MEANWHILE = f"processors that {OTHERS} had"
_NOTICED = 1.1  # a smaller gain is within what the rounds differ by
_Value = Callable[["Figures"], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One round, by step: what was moved, the seconds that it took, and processor seconds by who spent them."""

    megabytes: Mapping[str, float]
    seconds: Mapping[str, float]
    spent: Mapping[str, Mapping[str, float]]

    def rate(self, step: str) -> float:
        """MB/s."""
        return self.megabytes[step] / self.seconds[step]

    def cost(self, step: str, who: str) -> float:
        """Processor seconds a GB."""
        return self.spent[step][who] / self.megabytes[step] * 1000

    def others(self) -> float:
        """Processors that other work had meanwhile."""
        return sum(self.spent[step][OTHERS] for step in STEPS) / sum(self.seconds[step] for step in STEPS)


def table(title: str, rounds: Mapping[int, Sequence[Figures]]) -> str:
    """Medians and ranges of the rounds by the number of nodes; of one and two their ratio, and what it says."""
    values: dict[str, _Value] = {f"{step}, MB/s": partial(Figures.rate, step=step) for step in STEPS}
    for step in STEPS:
        for who in (NODES, SERVER):
            values[f"{step}, processor s a GB: {who}"] = partial(Figures.cost, step=step, who=who)
    values[_MEANWHILE] = Figures.others
    heads = ["", *(f"{nodes} node{'s' if nodes > 1 else ''}" for nodes in rounds), "two / one"]
    rows = [_row(name, value, list(rounds.values())) for name, value in values.items()]
    said = [_in_words(step, *rounds.values()) for step in STEPS] if len(rounds) == 2 else []
    return "\n\n".join([markdown(f"{title}: median (range)", heads, rows), *said])


def _row(name: str, value: _Value, rounds: Sequence[Sequence[Figures]]) -> list[str]:
    found = [[value(figures) for figures in each] for each in rounds]
    medians = [statistics.median(each) for each in found]
    cells = [f"{median:.2f} ({min(each):.2f} - {max(each):.2f})" for median, each in zip(medians, found, strict=True)]
    compared = len(medians) == 2 and medians[0] and name != _MEANWHILE
    return [name, *cells, f"{medians[1] / medians[0]:.2f}" if compared else ""]


def _in_words(step: str, one: Sequence[Figures], two: Sequence[Figures]) -> str:
    first, second = (statistics.median(figures.rate(step) for figures in rounds) for rounds in (one, two))
    if second / first < _NOTICED:
        return f"In {step} a second node shows nothing here: {first:.1f} MB/s with one, {second:.1f} MB/s with two."
    return f"In {step} a second node brings {(second / first - 1) * 100:.0f} % more."
