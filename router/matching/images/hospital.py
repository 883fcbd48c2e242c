"""The hospital of a study: its sender's, where the sender is one hospital's; else that whose rule fits; else none."""

import re
from collections.abc import Mapping, Sequence

from router.config.sections import Config, Hospital
from router.config.types import is_within
from router.model import Header

NONE = ""
"""A study of a shared PACS: of no hospital until an exam lists its UID."""

_ELEMENTS = ("InstitutionName", "StationName", "AccessionNumber")
_REMEMBERED = 1024


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


class HospitalOf:
    """The hospital of an instance by its header, NONE where none is certain or there is one hospital alone.

    Instances of a series say the same of it, so that the last answers are remembered.
    """

    def __init__(self, hospitals: Sequence[Hospital]) -> None:
        self._hospitals = tuple(hospitals) if len(hospitals) > 1 else ()
        self._known: dict[tuple[str, str, str, str, str], str] = {}

    def __call__(self, header: Header) -> str:
        if not self._hospitals:
            return NONE
        said = header.institution_name, header.station_name, header.accession_number
        key = header.sending_ae, header.sending_address, *said
        if key not in self._known:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            elements = dict(zip(_ELEMENTS, said, strict=True))
            self._known[key] = hospital_of_study(header.sending_ae, header.sending_address, elements, self._hospitals)
        return self._known[key]


def hospital_of_sender(calling: str, address: str, config: Config) -> str:
    """The name of the hospital that a refused sender seems to be of, for people; NONE where nothing tells, or two may.

    It is the one whose sender it is, else the one whose senders have such an address, else the one that has a sender of
    this AE title. A sender of [receive] may be anybody's. `calling` and `address` are "" where they are unknown.
    """
    hospitals = config.hospital if len(config.hospital) > 1 else ()
    if any(one.ae_title == calling for one in config.receive.senders):
        return NONE
    sent = [one.name for one in hospitals if _sends(one, calling, address)]
    near = [one.name for one in hospitals if _has_address(one, address)]
    named = [one.name for one in hospitals if any(each.ae_title == calling for each in one.senders)]
    found = sent or near or named
    return found[0] if len(found) == 1 else NONE


def may_join(exam_of: str, study_of: frozenset[str]) -> bool:
    """Whether an exam of one hospital may have a study that came from these: from its own, or from no certain one."""
    return not study_of or exam_of in study_of


def is_own(exam_of: str, study_of: frozenset[str]) -> bool:
    """Whether the numbers in a study's headers are those of the exam's hospital for certain: nobody else sent it.

    A study that another hospital sent as well came on a CD to one of the two, with the numbers of the other.
    """
    return study_of == {exam_of}


def _sends(hospital: Hospital, ae_title: str, address: str) -> bool:
    return any(
        one.ae_title == ae_title and (not one.address or (address != "" and is_within(address, [one.address])))
        for one in hospital.senders
    )


def _has_address(hospital: Hospital, address: str) -> bool:
    return address != "" and any(one.address and is_within(address, [one.address]) for one in hospital.senders)


def _fits(patterns: Mapping[str, str], elements: Mapping[str, str]) -> bool:
    return all(re.fullmatch(pattern, elements.get(name, "").strip()) for name, pattern in patterns.items())
