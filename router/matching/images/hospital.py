"""The hospital of a study: its sender's, where the sender is one hospital's; else that whose rule fits; else none."""

import re
from collections.abc import Mapping, Sequence

from router.config.sections import Hospital
from router.config.types import is_within

NONE = ""
"""A study of a shared PACS: of no hospital until an exam lists its UID."""


def hospital_of_study(
    sender: str, address: str, elements: Mapping[str, str], hospitals: Sequence[Hospital]
) -> str:  # fmt: skip
    """The name of the hospital, NONE where nothing tells, or two hospitals' rules fit.

    `sender` is the calling AE title, `address` its IP address ("": unknown), `elements` have values by name:
    InstitutionName, StationName, AccessionNumber.
    """
    if len(hospitals) == 1:
        return hospitals[0].name
    sent = [one.name for one in hospitals if _sends(one, sender, address)]
    found = sent or [one.name for one in hospitals if any(_fits(rule.patterns, elements) for rule in one.study)]
    return found[0] if len(found) == 1 else NONE


def may_join(exam_of: str, study_of: frozenset[str]) -> bool:
    """Whether an exam of one hospital may have a study that came from these: from its own, or from no certain one."""
    return not study_of or exam_of in study_of


def _sends(hospital: Hospital, ae_title: str, address: str) -> bool:
    return any(
        one.ae_title == ae_title and (not one.address or (address != "" and is_within(address, [one.address])))
        for one in hospital.senders
    )


def _fits(patterns: Mapping[str, str], elements: Mapping[str, str]) -> bool:
    return all(re.fullmatch(pattern, elements.get(name, "").strip()) for name, pattern in patterns.items())
