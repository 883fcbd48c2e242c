"""Corrections of a patient's data (name, sex, birth date, numbers): the differences between two states. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from router.exam.key import ExamPatient
from router.exam.values import stripped
from router.matching.patient.identity import IdentityPolicy, StudyIdentity, compare
from router.model import Patient
from router.text.language import N_

IDENTITY_NUMBER = N_("identity number")
# Fields of the exam JSON; headers have no identity number.
_PATHS = {"patient id": "PatientId", "name": "Name", "sex": "Gender", "birth date": "DateOfBirth",
          IDENTITY_NUMBER: "IdNo"}  # fmt: skip


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """A changed field by its displayed name, with its former and present value. Patient data."""

    field: str
    was: str
    now: str


def of_document(document: Mapping[str, object]) -> dict[str, str]:
    """The patient's data in an exam JSON of the standard's structure, by displayed name; "" where absent."""
    given = document.get("Patient")
    patient = given if isinstance(given, Mapping) else {}
    return {name: stripped(patient.get(key)) for name, key in _PATHS.items()}


def of_header(patient: Patient) -> dict[str, str]:
    """The patient's data in a header."""
    return {"patient id": patient.patient_id, "name": patient.name, "sex": patient.sex,
            "birth date": patient.birth_date}  # fmt: skip


def changes(was: Mapping[str, str], now: Mapping[str, str]) -> tuple[Change, ...]:
    """Fields that differ between two descriptions; a field that only one has is unchanged."""
    return tuple(Change(name, was[name], now[name]) for name in was if name in now and was[name] != now[name])


def contradicted(
    header: Patient, patient: ExamPatient, corrected: Iterable[Change], policy: IdentityPolicy
) -> tuple[Change, ...]:
    """The corrected fields of a JSON in which an image's header still differs."""
    found = compare(patient, "", StudyIdentity(header), policy)
    differ = {*found.differ, *(["name"] if found.unlike or (header.name and not found.readable) else [])}
    said = of_header(header)
    return tuple(Change(one.field, said[one.field], one.now) for one in corrected if one.field in differ)


def merged(found: Iterable[Sequence[Change]]) -> tuple[Change, ...]:
    """All changes, each once."""
    return tuple(dict.fromkeys(one for some in found for one in some))
