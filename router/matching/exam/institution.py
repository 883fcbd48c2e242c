"""The hospital of an exam: another hospital's exam is held, never sent as this hospital's."""

import unicodedata

from router.config.sections import Hospital
from router.exam.fields import BY_PATH
from router.exam.key import ExamKey
from router.matching.patient.doubt import Doubt
from router.policy.states import HeldBy

_RULE = "another hospital"


def another_hospital(key: ExamKey, hospital: Hospital) -> Doubt | None:
    """Why an exam is not of `hospital`; None where USCI and HospitalCode (a branch's, too) name it or are empty."""
    branches = {hospital.HospitalBranchCode, *(branch.code for branch in hospital.branch)}
    ours = {"USCI": {hospital.USCI}, "HospitalCode": {hospital.HospitalCode, *branches}}
    said = dict(zip(ours, key.institution, strict=True))
    differ = [
        f"{path} ({BY_PATH[path].name})"
        for path, value in said.items()
        if value and _plain(value) not in map(_plain, ours[path])
    ]
    if not differ:
        return None
    named = f"{' and '.join(differ)} in the exam JSON"
    text = f"{HeldBy.HOSPITAL}: {named} is not that of [hospital]: it is another hospital's exam"
    return Doubt(rule=_RULE, text=text)


def _plain(code: str) -> str:
    """A code as it is compared: in ordinary width and capitals."""
    return unicodedata.normalize("NFKC", code).strip().upper()
