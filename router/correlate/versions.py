"""Which version of an exam JSON counts, and which PDF belongs to it (design: Reports)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

_OF_ANOTHER = "a version of this exam names another patient, and the report PDF does not name the one that counts"


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
    """A taken report PDF that is bound to the exam.

    `doubt` is why it may be another exam's; `confirmed` the version (its document) that a person said it belongs to;
    `named` are the words by which its text named the exam when it was taken; `here` whether its copy is still kept.
    """

    document: int
    arrived: datetime
    file_time: datetime
    doubt: str = ""
    confirmed: int | None = None
    named: frozenset[str] = frozenset()
    here: bool = True


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


def approval_arrived(versions: Sequence[JsonVersion]) -> datetime:
    """When the approval that counts came: with the first of the approved versions at the end.

    Where the last one is not approved, when that came.
    """
    found = versions[-1].arrived
    for version in reversed(versions):
        if not version.approved:
            break
        found = version.arrived
    return found


def pdf_for(versions: Sequence[JsonVersion], pdfs: Sequence[PdfVersion]) -> PdfVersion | None:
    """The PDF that belongs to the last of `versions` (as `successive` gives them); None while it is still to come.

    A version that reports something else than the one before needs a PDF that came after the one which
    first served that version; otherwise, and where none had come for that version, what there is serves. So does one
    that a person has confirmed. One in doubt serves nothing.
    """
    found = usable(versions, pdfs)
    return _latest([pdf for pdf in found if not pdf.doubt])


def of_patient(pdfs: Sequence[PdfVersion], own: frozenset[str]) -> list[PdfVersion]:
    """The PDFs of an exam whose versions name different patients: those are in doubt that do not name the right one.

    `own` are the exam's accession number and patient's name as they count now; its ExamId tells nothing here.
    """
    return [
        pdf if pdf.doubt or pdf.confirmed is not None or pdf.named & own else replace(pdf, doubt=_OF_ANOTHER)
        for pdf in pdfs
    ]


def usable(versions: Sequence[JsonVersion], pdfs: Sequence[PdfVersion]) -> list[PdfVersion]:
    """The PDFs that are new enough for the last of `versions`, those in doubt among them."""
    found = list(pdfs)
    for before, version in pairwise(versions):
        if _reports_otherwise(before, version):
            here = [pdf for pdf in found if pdf.arrived <= version.arrived and not pdf.doubt]
            first = _first_serving(before, here)
            found = [pdf for pdf in found if first is None or pdf.arrived > first.arrived]
        found += [pdf for pdf in pdfs if pdf.confirmed == version.document and pdf not in found]
    return found if versions else []


def to_confirm(versions: Sequence[JsonVersion], pdfs: Sequence[PdfVersion]) -> PdfVersion | None:
    """The PDF that a person may confirm: the last one in doubt that is new enough, else the last that served before."""
    if not versions or pdf_for(versions, pdfs) is not None:
        return None
    return _latest(usable(versions, pdfs)) or _latest([pdf for pdf in pdfs if not pdf.doubt])


def _latest(pdfs: Sequence[PdfVersion]) -> PdfVersion | None:
    return max(pdfs, key=lambda pdf: (pdf.arrived, pdf.document), default=None)


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
