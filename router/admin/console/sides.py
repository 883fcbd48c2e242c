"""The two sides of an identity doubt, beside each other: one row a field, one column a side."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from router.review.comparison import Side
from router.text.language import N_


class Verdict(StrEnum):
    """How a value of a study compares with the report's."""

    AGREES = "agrees"
    DIFFERS = "differs"
    UNKNOWN = "cannot be compared"


@dataclass(frozen=True, slots=True)
class Cell:
    """A side's value; `verdict` is None on the report's own side."""

    value: str
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class SideRow:
    """A field as each side has it, the report's first."""

    name: str
    cells: Sequence[Cell]

    @property
    def differs(self) -> bool:
        """Whether any study contradicts the report."""
        return any(cell.verdict == Verdict.DIFFERS for cell in self.cells)


# Heading, attribute of a Side, and the field's name in comparisons.
_ROWS = (
    (N_("Accession number"), "accession_number", "accession number"),
    (N_("Patient ID"), "patient_id", "patient id"),
    (N_("Patient's name"), "name", "name"),
    (N_("Sex"), "sex", "sex"),
    (N_("Birth date"), "birth_date", "birth date"),
)


def side_rows(sides: Sequence[Side]) -> list[SideRow]:
    """One row for each field that can tell patients apart; what differs comes first."""
    rows = [
        SideRow(name, [Cell(getattr(one, attribute), _verdict(one, field)) for one in sides])
        for name, attribute, field in _ROWS
    ]
    return sorted(rows, key=lambda row: not row.differs)


def _verdict(one: Side, field: str) -> Verdict | None:
    if not one.study_uid:
        return None
    return Verdict.AGREES if field in one.agree else Verdict.DIFFERS if field in one.differ else Verdict.UNKNOWN
