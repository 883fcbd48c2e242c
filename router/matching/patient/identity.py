"""Comparison of the patients of an exam and a study. Any doubt is held for a person, never guessed.

The texts name the field that differs and never the values.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from router.exam.key import ExamPatient
from router.matching.patient.names import Likeness, likeness
from router.matching.patient.pinyin import Spelling
from router.model import Patient
from router.text.decoding import is_readable
from router.text.language import N_

_OWN = "PatientID"
# Entries of people and devices where there is no number, without marks: nothing, zeros, one digit, a word for
# "unknown" or "for the time being".
_NO_NUMBER = re.compile(
    r"0*|\d|X*|UNKNOWN|UNKNOW|ANONYMOUS|ANONYMIZED|NONE|NULL|NIL|NA|NO|UNDEFINED|NAN|TEMP|TMP|TEST|DEMO|无|不详|未知|暂无|没有|"
    r"空|临时|臨時|临时号|测试|測試|待定|待补",
    re.IGNORECASE,
)
# One repeated character, and digits that count up from 0 or 1 or down to 1 or 0.
_AGAIN = re.compile(r"(\w)\1{4,}")
_UP, _DOWN = ("12345678901234567890", "0123456789"), ("987654321", "9876543210")
_SHORTEST_ROW = 5
# Days that stand for "no date": the first of Unix time, and any up to 1900-01-01.
_NO_DATE = "19700101"
_OLDEST = "19000101"
_OF_SPELLING = 2  # the set of checks that compares Han with pinyin
FIELDS = N_(("patient id", "accession number", "sex", "birth date", "name"))
NUMBERS = frozenset({"patient id", "accession number"})


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityPolicy:
    """Rules of comparison: JSON fields that may equal PatientID, text stripped from both, and values that say nothing.

    `aliases`: stripped numbers of patients with several, each with the one that represents its patient. `blank_names`
    are regular expressions of names that say nothing. `ignore_case` is for patient ids and accession numbers. `checks`
    is the set of checks that applies ([identity] checks). `evidence` is how many of patient id, name with sex or birth
    date, and accession number must agree besides the study UID. `several`: there are several hospitals, whose numbers
    may be alike.
    """

    patient_id_fields: tuple[str, ...] = ("Patient.PatientId",)
    strip: str = ""
    blank: frozenset[str] = frozenset({"0", "UNKNOWN", "ANONYMOUS"})
    aliases: Mapping[str, str] = field(default_factory=dict)
    blank_names: tuple[str, ...] = ("无名氏", "无名男", "无名女", "不详", r"急诊\d*", "UNKNOWN")
    ignore_case: bool = False
    checks: int = 2
    evidence: int = 1
    several: bool = False


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """Patient and order in a header; a study may have several identities, each compared by itself."""

    patient: Patient
    accession_number: str = ""
    other_accession_numbers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """Fields that agree and fields that contradict each other; a field that cannot be compared is in neither.

    `spelling` is how a Latin name relates to the Han name of the other side, None where there are no two such names;
    `readable` is False where a name has no certain reading. `alike`: the names agree not only by pinyin.
    """

    agree: frozenset[str]
    differ: tuple[str, ...]
    spelling: Spelling | None = None
    readable: bool = True
    alike: bool = False

    @property
    def unlike(self) -> bool:
        """Whether no reading of the Han name spells the Latin one, and nothing else in the names agrees."""
        return self.spelling in {Spelling.NEAR, Spelling.FAR} and "name" not in self.agree

    @property
    def evidence(self) -> int:
        """The number that agree of patient id, accession number, and name with sex or birth date."""
        named = "name" in self.agree and bool(self.agree & {"sex", "birth date"})
        return len(self.agree & NUMBERS) + named


def compare(
    exam: ExamPatient, accession_number: str, study: StudyIdentity, policy: IdentityPolicy,
    sibling_accessions: frozenset[str] = frozenset(), vague_accessions: frozenset[str] = frozenset(),
) -> Comparison:  # fmt: skip
    """Compare field by field. `sibling_accessions` are of other exams of this patient that list the study.

    `vague_accessions` are of exams that list it and say too little of their patient to tell them from this one.
    """
    ours, mine = numbered(accession_number, policy), _accessions(study, policy)
    siblings, vague = (
        frozenset(numbered(number, policy) for number in some) for some in (sibling_accessions, vague_accessions)
    )
    sexes = (exam.sex, study.patient.sex.strip().upper())
    names = likeness(exam.name, study.patient.name, policy.blank_names)
    answers = {
        "patient id": _same_id(exam, study.patient.patient_id, policy),
        "accession number": _same_accession(ours, mine, siblings, vague),
        "sex": sexes[0] == sexes[1] if {*sexes} <= {"M", "F"} else None,
        "birth date": _same_birth_date(_day(exam.birth_date), _day(study.patient.birth_date)),
        "name": names.same,
    }
    agree = frozenset(field for field, same in answers.items() if same is True)
    differ = tuple(field for field, same in answers.items() if same is False)
    return Comparison(agree, differ, names.spelling, names.readable, names.alike)


def contradictions(one: StudyIdentity, other: StudyIdentity, policy: IdentityPolicy) -> tuple[str, ...]:
    """The fields in which two headers name different patients or orders, by the same rules as `compare`."""
    patient = one.patient
    named = ExamPatient({_OWN: patient.patient_id}, patient.name, patient.birth_date, patient.sex.strip().upper())
    policy = replace(policy, patient_id_fields=(_OWN,))
    accessions = sorted(_accessions(one, policy))
    found = compare(named, next(iter(accessions), ""), other, policy, frozenset(accessions))
    unlike = policy.checks >= _OF_SPELLING and found.unlike and not found.agree & NUMBERS
    return (*found.differ, "name") if unlike else found.differ


def stripped(value: str, policy: IdentityPolicy) -> str:
    """A patient number as it is compared, the same for all numbers of a patient; "" for values that say nothing."""
    if not is_readable(value):
        return ""
    value = value.strip(" \0")
    if policy.strip:  # matches in the value's own width, else in the usual one
        cut = re.sub(policy.strip, "", value)
        value = cut if cut != value else re.sub(policy.strip, "", _usual(value))
    value = numbered(value, policy)
    return policy.aliases.get(value, value)


def numbered(value: str, policy: IdentityPolicy) -> str:
    """A patient or accession number as it is compared, in the usual width; "" for values that say nothing."""
    value = _usual(value)
    plain = re.sub(r"[\W_]", "", value)
    row = any(up.startswith(value) for up in _UP) or any(down.endswith(value) for down in _DOWN)
    empty = (row and len(value) >= _SHORTEST_ROW) or _NO_NUMBER.fullmatch(plain) or _AGAIN.fullmatch(plain)
    if value.upper() in policy.blank or not is_readable(value) or empty:
        return ""
    return value.upper() if policy.ignore_case else value


def _usual(value: str) -> str:
    return unicodedata.normalize("NFKC", value).strip(" \0")


def compared(
    exam: ExamPatient, accession_number: str, study: StudyIdentity, differ: tuple[str, ...], policy: IdentityPolicy
) -> tuple[object, ...]:
    """The values of both sides for each field that differs: equal values mean the same disagreement."""
    patient = study.patient
    numbers = [stripped(exam.patient_ids.get(path, ""), policy) for path in policy.patient_id_fields]
    ours = {"patient id": numbers, "name": exam.name,
            "accession number": accession_number, "sex": exam.sex, "birth date": exam.birth_date}  # fmt: skip
    theirs = {"patient id": stripped(patient.patient_id, policy), "name": patient.name,
              "accession number": sorted({study.accession_number, *study.other_accession_numbers}),
              "sex": patient.sex, "birth date": patient.birth_date}  # fmt: skip
    return tuple((name, ours[name], theirs[name]) for name in differ)


def same_patient(one: ExamPatient, other: ExamPatient, policy: IdentityPolicy) -> bool:
    """Whether two versions of one exam, or two exams, name one patient as far as can be told."""
    first, second = _ids(one, other, policy)
    apart = first and second and first != second
    return not apart and _named(one, other, policy).same is not False


def agreeing_patients(one: ExamPatient, other: ExamPatient, policy: IdentityPolicy) -> bool:
    """Whether two exams name one patient: values that cannot be compared do not count as agreeing."""
    ids = _ids(one, other, policy)
    return same_patient(one, other, policy) and (bool(ids[0] and ids[1]) or _named(one, other, policy).same is True)


def agreeing_names(one: ExamPatient, other: ExamPatient, policy: IdentityPolicy) -> bool:
    """Whether exams of two hospitals, whose patient ids have nothing in common, name one patient."""
    return _named(one, other, policy).same is True


def _ids(one: ExamPatient, other: ExamPatient, policy: IdentityPolicy) -> tuple[str, str]:
    first, second = (stripped(each.patient_ids.get("Patient.PatientId", ""), policy) for each in (one, other))
    return first, second


def _named(one: ExamPatient, other: ExamPatient, policy: IdentityPolicy) -> Likeness:
    return likeness(one.name, other.name, policy.blank_names)


def _same_id(exam: ExamPatient, patient_id: str, policy: IdentityPolicy) -> bool | None:
    ours = {stripped(exam.patient_ids.get(field, ""), policy) for field in policy.patient_id_fields} - {""}
    theirs = stripped(patient_id, policy)
    return theirs in ours if ours and theirs else None


def _accessions(study: StudyIdentity, policy: IdentityPolicy) -> set[str]:
    given = (study.accession_number, *study.other_accession_numbers)
    return {numbered(number, policy) for number in given} - {""}


def _same_accession(ours: str, theirs: set[str], siblings: frozenset[str], vague: frozenset[str]) -> bool | None:
    if not ours or not theirs:
        return None
    if ours in theirs or theirs & siblings:
        return True
    return None if theirs & vague else False


def _day(text: str) -> str:
    return re.sub(r"[-./]", "", text.strip())


def _same_birth_date(ours: str, theirs: str) -> bool | None:
    if not all(re.fullmatch(r"\d{8}", day) and day > _OLDEST and day != _NO_DATE for day in (ours, theirs)):
        return None
    if ours == theirs:
        return True
    # 1 January stands for "only the year is known" in many systems.
    return None if ours[:4] == theirs[:4] and "0101" in (ours[4:], theirs[4:]) else False
