"""Whether images are missing: none have come of an approved exam, or fewer than the RIS has counted."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known of an approved exam's images. `announced` is the RIS's ImageCount, None where it gives none.

    `absent` is the number of joined studies of which nothing is here.
    """

    approved_at: datetime
    announced: int | None
    here: int
    absent: int


def missing(expected: Expected) -> str:
    """What is missing, in words; "" when nothing is known to be."""
    if not expected.here:
        return "no image of this approved exam has come"
    if expected.absent:
        return f"of {expected.absent} of the exam's studies no image has come"
    if expected.announced is not None and expected.here < expected.announced:
        return f"{expected.here} images have come, the exam JSON's ImageCount (影像数量) says {expected.announced}"
    return ""


def told_at(expected: Expected, after: timedelta) -> datetime:
    """When what is missing is told."""
    return expected.approved_at + after
