"""Versions of an exam's JSON, and which of them counts; the PDFs that came for it (design: Reports)."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum, StrEnum

_OF_ANOTHER = "a version of this exam names another patient, and the report PDF does not name the one that counts"


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonVersion:
    """A version of an exam JSON. `content` is a digest of findings and impression, `reported` also of the two times.

    `text` is findings and impression where they were read; `chosen`: a person has said that this version counts.
    """

    document: int
    arrived: datetime
    file_time: datetime
    submit_time: datetime | None
    approve_time: datetime | None
    approved: bool
    content: str
    reported: str
    stem: str = ""
    text: tuple[str, ...] = ()
    chosen: bool = False


class Unread(IntEnum):
    """How often a PDF's text could not be read in its processor time."""

    ONCE = 1
    FOR_GOOD = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfVersion:
    """A report PDF that is bound to the exam.

    `doubt` is the reason why it may be another exam's. A person said that it belongs to the version `confirmed` (its
    document). Its text named the exam by the words `named` when it came; `here`: its copy is still kept. `vouched`: its
    text names the exam, or that is not checked. It came in one message with the version `message`. `unread`: its text
    could not be read in its processor time, at the first try or for good. `learnt`: its source is calibrated by it.
    """

    document: int
    arrived: datetime
    file_time: datetime
    doubt: str = ""
    confirmed: int | None = None
    named: frozenset[str] = frozenset()
    here: bool = True
    stem: str = ""
    message: int | None = None
    vouched: bool = False
    unread: Unread | None = None
    learnt: bool = False


def is_later(new: JsonVersion, current: JsonVersion) -> bool:
    """Whether `new`, which came after `current`, replaces it: by ApproveTime, else SubmitTime, else file time."""
    if new.chosen:
        return True
    for mine, theirs in _pairs(new, current):
        if mine is not None and theirs is not None and mine != theirs:
            return mine > theirs
    return new.file_time >= current.file_time


def contradicted(taken: Sequence[JsonVersion]) -> JsonVersion | None:
    """The stale version that came last and may be the later one after all, since its times contradict each other.

    A workstation's clock may be wrong. The version is later by SubmitTime; or, without that, it is approved, reports
    something else and was written later. A version that merely came again does not count.
    """
    counting = successive(taken)[-1:]
    for current in counting:
        since = taken.index(current) + 1
        known = {version.reported for version in taken[:since]}
        for late in reversed(taken[since:]):
            if late.reported not in known and _contradicts(late, current):
                return late
    return None


def _contradicts(late: JsonVersion, current: JsonVersion) -> bool:
    said = [mine > theirs for mine, theirs in _pairs(late, current) if mine and theirs and mine != theirs]
    if len(said) > 1:
        return True in said  # stale by the other time
    changed = late.approved and current.approved and late.content != current.content
    return changed and late.file_time > current.file_time


def _pairs(one: JsonVersion, other: JsonVersion) -> tuple[tuple[datetime | None, datetime | None], ...]:
    return (one.approve_time, other.approve_time), (one.submit_time, other.submit_time)


def successive(taken: Sequence[JsonVersion]) -> list[JsonVersion]:
    """The versions that counted on arrival, in that order; the last one counts now. The others are stale."""
    kept: list[JsonVersion] = []
    for version in taken:
        if not kept or is_later(version, kept[-1]):
            kept.append(version)
    return kept


def approval_arrived(versions: Sequence[JsonVersion]) -> datetime:
    """Arrival of the first of the approved versions at the end of the list; of the last if that is not approved."""
    found = versions[-1].arrived
    for version in reversed(versions):
        if not version.approved:
            break
        found = version.arrived
    return found


def of_patient(pdfs: Sequence[PdfVersion], own: frozenset[str]) -> list[PdfVersion]:
    """The PDFs of an exam whose versions name different patients, in doubt unless they name the right one.

    `own` are the exam's accession number and patient's name of the version that counts; its ExamId proves nothing here.
    """
    return [
        pdf if pdf.doubt or pdf.confirmed is not None or pdf.named & own else replace(pdf, doubt=_OF_ANOTHER)
        for pdf in pdfs
    ]


def withdrawn(versions: Sequence[JsonVersion]) -> bool:
    """Whether an earlier version was approved and the one that counts now is not."""
    return bool(versions) and not versions[-1].approved and any(v.approved for v in versions[:-1])


class Approval(StrEnum):
    """Kinds of versions that are not approved; only an explicit word may take a delivery back."""

    WITHDRAWN = "it is withdrawn or cancelled by an explicit word (Order.Status)"
    OPEN = "it is not approved"
    UNREADABLE = "its approval cannot be read (Order.Status or Report.ApproveTime)"


def unapproved(status: str) -> Approval:
    """The kind of a version that is not approved, by its Order.Status in the standard's words.

    The approval cannot be read where the status is Reported without a readable time, or has unknown words.
    """
    if status in _TAKEN_BACK:
        return Approval.WITHDRAWN
    return Approval.OPEN if status in _OPEN else Approval.UNREADABLE


def given_up(status: str) -> bool:
    """Whether an Order.Status says that the exam will not be reported, in the standard's words or a RIS's own.

    Its images then need not be waited for. Taking back a delivery needs a word of the mapping.
    """
    return status.casefold() in _GIVEN_UP or _NO_EXAM.fullmatch(status) is not None


_TAKEN_BACK = frozenset({"Withdrawn", "Cancelled", "Canceled"})
_GIVEN_UP = frozenset(map(str.casefold, _TAKEN_BACK)) | {"discontinued", "void", "voided", "deleted", "revoked"}
_NO_EXAM = re.compile(
    "(?:已|被)?(?:取消|作废|撤销|撤消|撤回|撤单|退费|退单|退检|弃检|删除|废弃|注销|终止)"
    "(?:登记|检查|申请|申请单|预约|医嘱)?|(?:检查|申请|申请单|预约|医嘱|登记)(?:已|被)?(?:取消|作废|撤销|撤消|撤回|删除|终止)"
)
_OPEN = frozenset({"Registered", "CheckedIn", "Scheduled", "InProgress", "Completed", "Submitted", "Preliminary"})


def reports_otherwise(before: JsonVersion, version: JsonVersion) -> bool:
    """Whether a version reports something else than the one before, so that it needs another PDF.

    Times count from an approval on: the PDF of a draft, or of a version without its time, stays good while nothing
    else changes.
    """
    timed = before.approved and before.approve_time is not None
    return before.reported != version.reported if timed else before.content != version.content
