"""Which version of an exam JSON counts, and which PDF belongs to it (design: Reports)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise


@dataclass(frozen=True, slots=True)
class JsonVersion:
    """A taken exam JSON. `content` is a digest of findings and impression, `reported` also of the two times."""

    document: int
    arrived: datetime
    file_time: datetime
    submit_time: datetime | None
    approve_time: datetime | None
    approved: bool
    content: str
    reported: str


@dataclass(frozen=True, slots=True)
class PdfVersion:
    """A taken report PDF that is bound to the exam."""

    document: int
    arrived: datetime
    file_time: datetime


def is_later(new: JsonVersion, current: JsonVersion) -> bool:
    """Whether `new`, which arrived after `current`, replaces it: by ApproveTime, else SubmitTime, else file time."""
    pairs = ((new.approve_time, current.approve_time), (new.submit_time, current.submit_time))
    for mine, theirs in pairs:
        if mine is not None and theirs is not None and mine != theirs:
            return mine > theirs
    return new.file_time >= current.file_time


def successive(taken: Sequence[JsonVersion]) -> list[JsonVersion]:
    """The versions that counted when they came, in order of arrival; the last one counts now. The rest are stale."""
    kept: list[JsonVersion] = []
    for version in taken:
        if not kept or is_later(version, kept[-1]):
            kept.append(version)
    return kept


def pdf_for(versions: Sequence[JsonVersion], pdfs: Sequence[PdfVersion]) -> PdfVersion | None:
    """The PDF that belongs to the last of `versions` (as `successive` gives them); None while it is still to come.

    A version that reports something else than the one before needs a PDF that came after the one which
    first served that version; otherwise, and where none had come for that version, what there is serves.
    """
    usable = list(pdfs)
    for before, version in pairwise(versions):
        if _reports_otherwise(before, version):
            first = _first_serving(before, [pdf for pdf in usable if pdf.arrived <= version.arrived])
            usable = [pdf for pdf in usable if first is None or pdf.arrived > first.arrived]
    return max(usable, key=lambda pdf: (pdf.arrived, pdf.document)) if versions and usable else None


def withdrawn(versions: Sequence[JsonVersion]) -> bool:
    """Whether an earlier version was approved and the one that counts now is not."""
    return bool(versions) and not versions[-1].approved and any(v.approved for v in versions[:-1])


def _reports_otherwise(before: JsonVersion, version: JsonVersion) -> bool:
    return before.reported != version.reported if before.approved else before.content != version.content


def _first_serving(version: JsonVersion, pdfs: Sequence[PdfVersion]) -> PdfVersion | None:
    earlier = [pdf for pdf in pdfs if pdf.arrived <= version.arrived]
    if earlier:
        return max(earlier, key=lambda pdf: pdf.arrived)
    return min(pdfs, key=lambda pdf: pdf.arrived, default=None)
