"""Whether images are missing: none have come of an approved exam, or fewer than the RIS or the PACS has counted."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What is known of an approved exam's images. `announced` is the RIS's ImageCount, None where it gives none.

    `approved_at` is the approval's time, or its arrival where that is later. `in_pacs` is what the PACS has said, None
    where it has not of every study. `absent` is the number of joined studies of which nothing is here, `damaged` of
    images here that are set aside because their files are not what came.
    """

    approved_at: datetime
    announced: int | None
    here: int
    absent: int
    in_pacs: int | None = None
    damaged: int = 0


def missing(expected: Expected) -> str:
    """What is missing, in words; "" when nothing is known to be."""
    if not expected.here:
        return "no image of this approved exam has come"
    if expected.absent:
        return f"of {expected.absent} of the exam's studies no image has come"
    if expected.announced is not None and expected.here < expected.announced:
        return f"{expected.here} images have come, the exam JSON's ImageCount (影像数量) says {expected.announced}"
    if expected.announced is None and expected.in_pacs is not None and expected.here < expected.in_pacs:
        return f"{expected.here} images have come, the PACS has {expected.in_pacs}"
    return ""


def wanted(expected: Expected) -> str:
    """What the PACS is to be asked for, in words: what is missing, and images whose files are not what came."""
    damaged = f"{expected.damaged} image(s) here are damaged" if expected.damaged else ""
    return "; ".join(text for text in (missing(expected), damaged) if text)


def told_at(expected: Expected, after: timedelta) -> datetime:
    """When what is missing is told."""
    return expected.approved_at + after


def ask_again(tries: int, asked: datetime | None, first: datetime, most: int, pause: timedelta) -> datetime | None:
    """When the PACS is asked for what is missing: first at `first`, then after doubling pauses; None after `most`."""
    if asked is None:
        return first
    return asked + pause * 2 ** (tries - 1) if tries < most else None


def worth_pulling(in_pacs: int | None, here: int, *, lacking: bool) -> bool:
    """Whether a study is to be had from the PACS: it has more than is here; where it does not count, as needed."""
    if in_pacs is None:
        return lacking or not here
    return in_pacs > here
