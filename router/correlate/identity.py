"""Whether an exam and a study speak of the same patient. Any doubt is held for a person, never guessed.

The texts name the field that differs and never the values.
"""

import itertools
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from router.exam.key import ExamPatient
from router.model import Patient
from router.text import is_readable

_OWN = "PatientID"


@dataclass(frozen=True, slots=True)
class IdentityPolicy:
    """Which JSON fields may equal PatientID, what is stripped from both, and which values say nothing.

    `aliases`: stripped numbers of patients with several, each with the one that stands for all of its patient's.
    """

    patient_id_fields: tuple[str, ...] = ("Patient.PatientId",)
    strip: str = ""
    blank: frozenset[str] = frozenset({"0", "UNKNOWN", "ANONYMOUS"})
    aliases: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """What a header says of patient and order; those of a study may say several things, each compared by itself."""

    patient: Patient
    accession_number: str = ""
    other_accession_numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Fields that agree and fields that contradict each other; a field blank on one side is in neither."""

    agree: frozenset[str]
    differ: tuple[str, ...]


def compare(
    exam: ExamPatient,
    accession_number: str,
    study: StudyIdentity,
    policy: IdentityPolicy,
    sibling_accessions: frozenset[str] = frozenset(),
) -> Comparison:
    """Compare field by field. `sibling_accessions` are those of other exams of this patient that list the study."""
    accessions = {n for n in (study.accession_number, *study.other_accession_numbers) if n and is_readable(n)}
    answers = {
        "patient id": _same_id(exam, study.patient.patient_id, policy),
        "accession number": _same_accession(accession_number, accessions, sibling_accessions),
        "sex": _same_sex(exam.sex, study.patient.sex.strip().upper()),
        "birth date": _same_birth_date(exam.birth_date.replace("-", ""), study.patient.birth_date.strip()),
        "name": _same_name(exam.name, study.patient.name),
    }
    agree = frozenset(field for field, same in answers.items() if same is True)
    return Comparison(agree, tuple(field for field, same in answers.items() if same is False))


def contradictions(one: StudyIdentity, other: StudyIdentity, policy: IdentityPolicy) -> tuple[str, ...]:
    """The fields in which two headers name different patients or orders, by the same rules as `compare`."""
    patient = one.patient
    named = ExamPatient({_OWN: patient.patient_id}, patient.name, patient.birth_date, patient.sex.strip().upper())
    accessions = [number for number in (one.accession_number, *one.other_accession_numbers) if number]
    policy = replace(policy, patient_id_fields=(_OWN,))
    return compare(named, next(iter(accessions), ""), other, policy, frozenset(accessions)).differ


def stripped(value: str, policy: IdentityPolicy) -> str:
    """A patient number as it is compared, one for all of its patient's; "" for the values that say nothing."""
    if not is_readable(value):
        return ""
    value = value.strip(" \0")
    value = re.sub(policy.strip, "", value) if policy.strip else value
    return "" if value.upper() in policy.blank else policy.aliases.get(value, value)


def compared(
    exam: ExamPatient, accession_number: str, study: StudyIdentity, differ: tuple[str, ...], policy: IdentityPolicy
) -> tuple[object, ...]:
    """What both sides say, for each field that differs: as long as it is the same, it is the same disagreement."""
    patient = study.patient
    numbers = [stripped(exam.patient_ids.get(path, ""), policy) for path in policy.patient_id_fields]
    ours = {"patient id": numbers, "name": exam.name,
            "accession number": accession_number, "sex": exam.sex, "birth date": exam.birth_date}  # fmt: skip
    theirs = {"patient id": stripped(patient.patient_id, policy), "name": patient.name,
              "accession number": sorted({study.accession_number, *study.other_accession_numbers}),
              "sex": patient.sex, "birth date": patient.birth_date}  # fmt: skip
    return tuple((name, ours[name], theirs[name]) for name in differ)


def same_patient(one: ExamPatient, other: ExamPatient, policy: IdentityPolicy) -> bool:
    """Whether two versions of one exam, or two exams, name one patient as far as they say."""
    ids = [stripped(patient.patient_ids.get("Patient.PatientId", ""), policy) for patient in (one, other)]
    return not (all(ids) and ids[0] != ids[1]) and _same_name(one.name, other.name) is not False


def _same_id(exam: ExamPatient, patient_id: str, policy: IdentityPolicy) -> bool | None:
    ours = {stripped(exam.patient_ids.get(field, ""), policy) for field in policy.patient_id_fields} - {""}
    theirs = stripped(patient_id, policy)
    return theirs in ours if ours and theirs else None


def _same_accession(ours: str, theirs: set[str], siblings: frozenset[str]) -> bool | None:
    if not ours or not theirs:
        return None
    return ours in theirs or bool(theirs & siblings)


def _same_sex(ours: str, theirs: str) -> bool | None:
    return ours == theirs if {ours, theirs} <= {"M", "F"} else None


def _same_birth_date(ours: str, theirs: str) -> bool | None:
    if not re.fullmatch(r"\d{8}", ours) or not re.fullmatch(r"\d{8}", theirs):
        return None
    if ours == theirs:
        return True
    # 1 January stands for "only the year is known" in many systems.
    return None if ours[:4] == theirs[:4] and "0101" in (ours[4:], theirs[4:]) else False


def _same_name(ours: str, theirs: str) -> bool | None:
    """Script by script, where both names have it: one contradiction is enough. Numbers tell twins apart."""
    if not (is_readable(ours) and is_readable(theirs)):
        return None
    ours, theirs = (unicodedata.normalize("NFKC", name) for name in (ours, theirs))
    han = _overlap(frozenset({_han(ours)}) - {""}, frozenset({_han(theirs)}) - {""})
    scripts = {han, _overlap(_latin(ours), _latin(theirs))}
    if False in scripts or _overlap(_numbers(ours), _numbers(theirs)) is False:
        return False
    return True if True in scripts else None


def _overlap(one: frozenset[str], other: frozenset[str]) -> bool | None:
    return bool(one & other) if one and other else None


def _numbers(name: str) -> frozenset[str]:
    return frozenset(re.findall(r"\d+", name))


def _han(name: str) -> str:
    groups = ["".join(c for c in group if unicodedata.name(c, "").startswith("CJK ")) for group in name.split("=")]
    return next((group for group in groups if group), "")


def _latin(name: str) -> frozenset[str]:
    """The ways to write a name's words in a row, without case and accents: ZHANG^SAN, San Zhang and ZhangSan meet."""
    group = next((g for g in name.split("=") if re.search("[A-Za-z]", g)), "")
    plain = unicodedata.normalize("NFKD", group).encode("ascii", "ignore").decode().upper()
    words = re.findall("[A-Z]+", plain)
    orders = itertools.permutations(words) if len(words) <= 4 else [tuple(words), tuple(sorted(words))]
    return frozenset("".join(order) for order in orders if order)
