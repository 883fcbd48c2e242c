"""Joining of studies to an exam: by the listed UIDs, or by accession number and patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from router.exam.key import ExamPatient
from router.matching.patient.identity import Comparison, IdentityPolicy, StudyIdentity, compare

_PERSON = frozenset({"name", "birth date"})


class JoinedBy(StrEnum):
    """The key that joined a study to an exam."""

    LISTED = "listed in StudyInstanceUIDs"
    ACCESSION = "accession number and patient"
    PERSON = "by hand"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A study that may belong to an exam; `date` is the study's local day, None when the header has none.

    `own`: it is of the exam's hospital for certain, so that its numbers are that hospital's.
    """

    uid: str
    identities: tuple[StudyIdentity, ...]
    date: datetime | None
    own: bool = True


@dataclass(frozen=True, slots=True)
class ExamSide:
    """The exam's values for joining; `date` as in Candidate, from StudyDate, RegisterTime or ApproveTime."""

    listed: tuple[str, ...]
    accession_number: str
    patient: ExamPatient
    date: datetime | None


def by_accession(
    exam: ExamSide, candidates: Sequence[Candidate], policy: IdentityPolicy, within: timedelta
) -> list[str]:
    """UIDs of the candidates that join by accession number: the patient agrees, nothing contradicts, dates are near.

    Hospitals have the same numbers for different patients. So of a study that may be another's both name and birth date
    must agree, and of several hospitals' own the birth date, or patient id and name: the images of a CD bear the
    numbers of where they were made. There a name agrees not by its pinyin alone, which other names have, too.
    """
    found = []
    for one in (c for c in candidates if exam.accession_number and c.uid not in exam.listed):
        comparisons = [compare(exam.patient, exam.accession_number, i, policy) for i in one.identities]
        agreeing = all("accession number" in c.agree and _is_patients(c, policy, own=one.own) for c in comparisons)
        near = exam.date is None or one.date is None or abs(exam.date - one.date) <= within
        if comparisons and near and agreeing and not any(c.differ for c in comparisons):
            found.append(one.uid)
    return found


def _is_patients(found: Comparison, policy: IdentityPolicy, *, own: bool) -> bool:
    if not own:
        return found.agree >= _PERSON
    certain = "birth date" in found.agree or (found.alike and "patient id" in found.agree)
    return bool(found.agree & {"patient id", "name"}) and (certain or not policy.several)
