"""Roles of the people at the console, and the one table of what each may do. Pure.

GB/T 22239-2019 8.1.4.2 (access control: least rights, the rights of those who administer kept apart).
"""

from collections.abc import Collection, Mapping
from enum import StrEnum

from router.text.language import N_


class Role(StrEnum):
    """The work that a person is here for."""

    ADMINISTRATOR = N_("administrator")
    OPERATOR = N_("operator")
    AUDITOR = N_("auditor")
    VIEWER = N_("viewer")


class Right(StrEnum):
    """The right that a page or an act needs; each has one."""

    OWN = "own session and password"
    LOOK = "pages with patient data masked"
    PATIENT = "patient data, and search by it"
    DECIDE = "decisions about an exam: hold, release, retry, resolve"
    OPERATE = "the node as a whole: pause, resume, dismissals, names of files"
    REVIEW = "users and their logins, the configuration"
    ADMINISTER = "adding and changing users"


_EVERYBODY = frozenset({Right.OWN, Right.LOOK})
GRANTS: Mapping[Role, frozenset[Right]] = {
    Role.ADMINISTRATOR: frozenset(Right),
    Role.OPERATOR: _EVERYBODY | {Right.PATIENT, Right.DECIDE, Right.OPERATE},
    Role.AUDITOR: _EVERYBODY | {Right.REVIEW},
    Role.VIEWER: _EVERYBODY,
}
OF_ALL_HOSPITALS = frozenset({Right.OPERATE, Right.REVIEW, Right.ADMINISTER})  # what these do concerns every hospital


def may(role: Role, hospitals: Collection[str], right: Right) -> bool:
    """Whether a person of this role, for these hospitals (none named: for all), has the right."""
    return right in GRANTS[role] and not (hospitals and right in OF_ALL_HOSPITALS)


def sees(hospitals: Collection[str], hospital: str) -> bool:
    """Whether a person for these hospitals (none named: for all) has to do with an exam of that one."""
    return not hospitals or hospital in hospitals
