"""The hospital of an exam: the one that its JSON and the way that it came by agree on, else the exam is held."""

import unicodedata
from collections.abc import Iterable, Sequence

from router.config.hospitals import NOBODY
from router.config.sections import Hospital
from router.exam.fields import BY_PATH
from router.exam.key import ExamKey
from router.matching.patient.doubt import Doubt
from router.policy.states import HeldBy

UNREGISTERED = NOBODY.name
"""The hospital of an exam that nothing says for certain whose it is; no registered one has this name."""

_RULE = "another hospital"
Institution = tuple[str, str]
"""USCI and HospitalCode of an exam JSON, "" where it has none."""


def hospital_of(institution: Institution, origin: str | None, hospitals: Sequence[Hospital]) -> str:
    """The name of the hospital that an exam is filed under.

    `origin` is the hospital whose folder, port or sending facility it came by; None where several share that. A JSON
    that contradicts it is filed there all the same, and `another_hospital` holds it.
    """
    if origin is not None:
        return origin
    if len(hospitals) == 1:
        return hospitals[0].name
    named = [one.name for one in hospitals if any(institution) and not _differ(institution, one)]
    return named[0] if len(named) == 1 else UNREGISTERED


def hospital_of_facility(facility: Iterable[str], hospitals: Sequence[Hospital]) -> str | None:
    """The hospital that the sending facility of an HL7 message (MSH-4, its components) names; None where several are,
    or none.
    """
    said = {plain for part in facility if (plain := _plain(part))}
    named = [
        one.name
        for one in hospitals
        if not said.isdisjoint(map(_plain, (one.USCI, one.HospitalCode, one.HospitalName, *one.facility)))
    ]
    return named[0] if len(named) == 1 else None


def another_hospital(key: ExamKey, hospital: Hospital | None) -> Doubt | None:
    """The reason why an exam is not of `hospital`; None where USCI and HospitalCode name it, or are empty.

    A branch's code (院区) as HospitalCode means the same hospital. `hospital` is None where it is not registered.
    """
    if hospital is None:
        return Doubt(rule=_RULE, text=f"{HeldBy.HOSPITAL}: the exam is of no registered hospital")
    differ = [f"{path} ({BY_PATH[path].name})" for path in _differ(key.institution, hospital)]
    if not differ:
        return None
    named = f"{' and '.join(differ)} in the exam JSON"
    text = f"{HeldBy.HOSPITAL}: {named} is not that of [hospital]: it is another hospital's exam"
    return Doubt(rule=_RULE, text=text)


def _differ(institution: Institution, hospital: Hospital) -> list[str]:
    """The fields of the JSON that name another hospital."""
    ours = {"USCI": {hospital.USCI}, "HospitalCode": {hospital.HospitalCode, *hospital.branches}}
    said = zip(ours, institution, strict=True)
    return [path for path, value in said if value and _plain(value) not in map(_plain, ours[path])]


def _plain(code: str) -> str:
    """A code as it is compared: in ordinary width and capitals."""
    return unicodedata.normalize("NFKC", code).strip().upper()
