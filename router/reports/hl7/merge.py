"""Merges of patients by HL7 v2 ADT^A40 (3.3.40): pairs of numbers, which a person may accept."""

from collections.abc import Sequence
from dataclasses import dataclass

from router.errors import InvalidData
from router.reports.hl7.narrative import unescaped
from router.reports.hl7.segments import Segments, cut

_HEAD = 4096  # bytes
_LONGEST = 100  # characters of a patient number


@dataclass(frozen=True, slots=True)
class Merge:
    """Two numbers of one patient: `old` (MRG-1) goes on as `new` (PID-3)."""

    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Merges:
    """The merges of one message, and its sending facility (MSH-4), by components."""

    pairs: tuple[Merge, ...]
    facility: tuple[str, ...]


def merges(data: bytes) -> Merges | None:
    """The merges of an ADT^A40; None for a message of another kind. InvalidData for one without two numbers."""
    if b"ADT" not in data[:_HEAD]:  # a report may hold a large PDF
        return None
    found = cut(data)
    kind = _components(found, found.rows[0], 9)
    if kind[:2] != ("ADT", "A40"):
        return None
    pairs, patient = [], ""
    for row in found.rows:
        if row[0] == "PID":
            patient = _components(found, row, 3)[0]
        elif row[0] == "MRG":
            pairs.append(Merge(_components(found, row, 1)[0], patient))
    if not pairs or not all(0 < len(each) <= _LONGEST for one in pairs for each in (one.old, one.new)):
        raise InvalidData("a merge of patients (ADT^A40) without both numbers (PID-3, MRG-1)")
    different = tuple(dict.fromkeys(one for one in pairs if one.old != one.new))
    return Merges(pairs=different, facility=_components(found, found.rows[0], 4))


def _components(found: Segments, row: Sequence[str], number: int) -> tuple[str, ...]:
    """The components of a field's first repetition, at least one; that of MSH-1 is a field, too."""
    field = row[number] if len(row) > number else ""
    marks = found.marks
    first = field.split(marks.repetition)[0] if marks.repetition else field
    parts = first.split(marks.component) if marks.component else [first]
    texts = (unescaped(part.strip(), marks, found.encoding).strip() for part in parts)
    return tuple("" if text == '""' else text for text in texts)
