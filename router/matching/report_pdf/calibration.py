"""Calibration of a source of report PDFs by its earlier ones: how far their text, times and labels help."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from router.matching.report_pdf import times

LAST = 60
ENOUGH = 50
CARRIED = 20
"""In so many PDFs a label carried one of the exam's numbers, until another number under it says something."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """`agreed` has y or n for each of the last PDFs, `offsets` seconds from approval to making; newest last.

    `labels` counts the PDFs in which a label carried one of the exam's own numbers.
    """

    agreed: str = ""
    offsets: tuple[int, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)

    @property
    def content_speaks(self) -> bool:
        """Whether enough of the last PDFs had the text of their own JSON."""
        return self.agreed.count("y") >= ENOUGH

    @property
    def offset(self) -> timedelta | None:
        """The usual time from approval to the making of its PDFs; None while that is not known."""
        return times.offset(self.offsets)

    def told(self) -> str:
        """The reason why content proves nothing here, in words."""
        return (
            f"content says nothing until {ENOUGH} of the last {LAST} PDFs of its source agreed with their JSON:"
            f" {self.agreed.count('y')} of {len(self.agreed)} did"
        )


def learnt(known: Calibration, *, agreed: bool, offset: int | None, labels: Iterable[str]) -> Calibration:
    """The calibration after one more pair; `labels` are those that carried one of its exam's numbers."""
    counts = dict(known.labels)
    for label in labels:
        counts[label] = min(counts.get(label, 0) + 1, CARRIED)
    offsets = known.offsets if offset is None else (*known.offsets, offset)
    return Calibration(
        agreed=(known.agreed + ("y" if agreed else "n"))[-LAST:], offsets=offsets[-times.PAIRS :], labels=counts
    )
