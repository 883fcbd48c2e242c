"""Slices as a stack: how many there are and how far apart. Pure."""

from collections.abc import Iterable
from itertools import pairwise
from statistics import median

_SAME_PLACE = 0.01  # mm


def distance_of(positions: Iterable[float]) -> tuple[int | None, float | None]:
    """How many places there are along the normal, and the usual distance between neighbours, in mm.

    Several instances at one place (phases, echoes, kernels in one series) are one slice. None where there are no
    positions, and no distance where there is one place only. The median bears slices that are missing.
    """
    places = sorted(positions)
    if not places:
        return None, None
    steps = [after - before for before, after in pairwise(places) if after - before > _SAME_PLACE]
    return len(steps) + 1, round(median(steps), 2) if steps else None
