"""The time when a report PDF was made, as evidence for its version (design: Reports, the second evidence).

Clocks of workstations differ, by minutes or by the hours of a zone; each source has a usual offset from the approvals.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from statistics import median

PAIRS = 50
"""Pairs by which a source's offset is known."""
SILENT = timedelta(minutes=5)
"""A difference that says nothing."""
_ZONE = timedelta(hours=8)
_USUAL = 0.8


def offset(seconds: Sequence[int]) -> timedelta | None:
    """The usual offset of a source's PDFs from their approvals, by the last pairs; None while few, or scattered."""
    if len(seconds) < PAIRS:
        return None
    middle = median(seconds)
    near = sum(abs(one - middle) <= SILENT.total_seconds() for one in seconds)
    return timedelta(seconds=middle) if near >= len(seconds) * _USUAL else None


def of(made: datetime, arrived: datetime, versions: Mapping[int, datetime]) -> frozenset[int] | None:
    """The approved versions, by number, of a PDF `made` then (its source's offset removed); None: no evidence.

    `versions` have the times of their approvals. A PDF is made after its approval, before the next one, and before it
    arrives; otherwise its clock was wrong.
    """
    a_zone_off = abs(abs(arrived - made) - _ZONE) < 2 * SILENT
    if a_zone_off or made > arrived + SILENT:
        return None
    over = [at for at in versions.values() if at <= made - SILENT]
    found = frozenset(
        number
        for number, at in versions.items()
        if at <= made + SILENT and not any(other - at >= SILENT for other in over)
    )
    return found if 0 < len(found) < len(versions) else None


def is_older(made: datetime | None, other: datetime | None) -> bool:
    """Whether a PDF was made clearly before another one of its source."""
    return made is not None and other is not None and made < other - SILENT
