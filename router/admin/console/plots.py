"""Plots: counts by the hour as columns, rates by time as lines, measured in units of the drawing."""

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


@dataclass(frozen=True, slots=True)
class Point:
    """The rate of a day, week or month: `count` of `of` exams, None where there was none; where it is drawn."""

    label: str
    count: int
    of: int
    rate: float | None
    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Rating:
    """Names of a rate: its own, that of the exams which it counts, and that of those which they are a part of."""

    name: str
    counted: str
    among: str


@dataclass(frozen=True, slots=True)
class RatePlot:
    """A rate by time, drawn between `floor` per cent and 100; `total` is the rate of the whole time."""

    rating: Rating
    points: Sequence[Point]
    floor: int
    total: float | None

    @property
    def runs(self) -> Sequence[str]:
        """Points of each line: it is broken where nothing counts."""
        runs: list[list[str]] = [[]]
        for one in self.points:
            if one.rate is None:
                runs.append([])
            else:
                runs[-1].append(f"{one.x:.1f},{one.y:.1f}")
        return [" ".join(run) for run in runs if len(run) > 1]

    @property
    def ticks(self) -> Sequence[Point]:
        """Points whose labels stand below the drawing: the first, one in the middle, the last."""
        last = len(self.points) - 1
        return [self.points[n] for n in sorted({0, last // 2, last})] if self.points else []


def rate_plot(rating: Rating, counts: Sequence[tuple[str, int, int]]) -> RatePlot:
    """The plot of counts, each with its label and what it is a part of."""
    rates = [count / of if of else None for _, count, of in counts]
    floor = min(min((int(rate * 10) * 10 for rate in rates if rate is not None), default=90), 90)
    step = WIDTH / max(len(counts), 1)
    points = [
        Point(label, count, of, rate, (n + 0.5) * step, (1.0 - (rate or 0.0)) * 100 / (100 - floor) * HEIGHT)
        for n, ((label, count, of), rate) in enumerate(zip(counts, rates, strict=True))
    ]
    whole = sum(of for _, _, of in counts)
    return RatePlot(rating, points, floor, sum(count for _, count, _ in counts) / whole if whole else None)
