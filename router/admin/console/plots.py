"""Plots of counts by the hour: columns measured in units of the drawing."""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 480, 64  # of the area that columns are drawn in
_HOURS = 24
_GAP, _LEAST = 3.0, 2.0


@dataclass(frozen=True, slots=True)
class Column:
    """The count of an hour, from 0 to 23, as it is drawn."""

    hour: int
    count: int
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Plot:
    """One row of columns; `most` is the count of the highest."""

    name: str
    columns: Sequence[Column]
    most: int
    total: int


def plot(name: str, counts: Sequence[int], hours: int = _HOURS) -> Plot:
    """A day's counts, of which those of later hours are not known yet; the highest is as high as the drawing."""
    most, step = max(counts, default=0), WIDTH / max(hours, len(counts))
    columns = []
    for hour, count in enumerate(counts):
        height = max(count / most * HEIGHT, _LEAST) if count else 0.0
        columns.append(Column(hour, count, hour * step, HEIGHT - height, step - _GAP, height))
    return Plot(name, columns, most, sum(counts))
