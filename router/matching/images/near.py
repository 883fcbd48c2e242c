"""Near matches: studies and exams that no key joins, and the small difference between them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

_SAME_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Side:
    """Values of an exam or a study to compare; "" or None where absent. `patients` are its patient's numbers."""

    accessions: frozenset[str]
    patients: frozenset[str]
    day: datetime | None


def near(one: Side, other: Side) -> str:
    """The near match of two sides, in words; "" when there is none."""
    reasons = [_numbers("accession number", one.accessions, other.accessions)]
    same_patient = bool((one.patients & other.patients) - {""})
    if same_patient and one.day is not None and other.day is not None and abs(one.day - other.day) < _SAME_DAY:
        reasons.append("same patient number, same day")
    elif reasons[0]:
        reasons.append(
            "same patient number" if same_patient else _numbers("patient number", one.patients, other.patients)
        )
    return ", ".join(reason for reason in reasons if reason)


def slip(one: str, other: str) -> str:
    """The slip by which two different numbers may be meant as one; "" when they are not alike."""
    if len(one) == len(other):
        places = [place for place, (a, b) in enumerate(zip(one, other, strict=True)) if a != b]
        if len(places) == 1:
            return "one character differs"
        crossed = [(a, b) for a, b in pairwise(places) if one[a] == other[b] and one[b] == other[a] and b == a + 1]
        return "two characters are transposed" if len(places) == 2 and crossed else ""
    shorter, longer = sorted((one, other), key=len)
    if len(longer) == len(shorter) + 1 and any(longer[:at] + longer[at + 1 :] == shorter for at in range(len(longer))):
        return "one character is missing"
    return ""


def _numbers(name: str, ours: Iterable[str], theirs: Iterable[str]) -> str:
    """The near match of two numbers; those of fewer than four characters are alike by chance."""
    pairs = [(a, b) for a in sorted(ours) for b in sorted(theirs)]
    if any(a == b and a for a, b in pairs):
        return f"same {name}"
    found = (slip(a, b) for a, b in pairs if min(len(a), len(b)) > 3)
    return next((f"{name}: {how}" for how in found if how), "")
