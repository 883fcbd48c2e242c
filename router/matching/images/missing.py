"""Missing images: an approved exam has none, or fewer than the RIS or the PACS has counted."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """Facts about an approved exam's images. `announced` is the RIS's ImageCount, None where it gives none.

    `approved_at` is the approval's time, or its arrival where that is later. `in_pacs` is the PACS's count, None where
    it has not counted every study. `absent` is the number of joined studies without any image here, `damaged` of images
    that are set aside because their files have changed.
    """

    approved_at: datetime
    announced: int | None
    here: int
    absent: int
    in_pacs: int | None = None
    damaged: int = 0


def missing(expected: Expected) -> str:
    """The missing images in words; "" when none are known to be missing."""
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
    """The images to ask the PACS for, in words: missing ones, and those whose files have changed."""
    damaged = f"{expected.damaged} image(s) here are damaged" if expected.damaged else ""
    return "; ".join(text for text in (missing(expected), damaged) if text)


def ask_again(tries: int, asked: datetime | None, first: datetime, most: int, pause: timedelta) -> datetime | None:
    """The time of the next question to the PACS: first at `first`, then after doubling pauses; None after `most`."""
    if asked is None:
        return first
    return asked + pause * 2 ** (tries - 1) if tries < most else None


def worth_pulling(in_pacs: int | None, here: int, *, lacking: bool) -> bool:
    """Whether to fetch a study from the PACS: it has more than is here, or does not count and images are needed."""
    if in_pacs is None:
        return lacking or not here
    return in_pacs > here
