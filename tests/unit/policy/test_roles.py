"""What each role may do: one table, which the manual shows as it is."""

from pathlib import Path

import pytest

import router
from router.policy.roles import GRANTS, OF_ALL_HOSPITALS, Right, Role, may, sees

MANUAL = (Path(router.__file__).parent / "docs" / "security.md").read_text(encoding="utf-8")


def test_every_role_has_its_line_and_every_right_somebody_and_not_everybody_has_all() -> None:
    assert set(GRANTS) == set(Role)
    assert frozenset().union(*GRANTS.values()) == frozenset(Right)
    assert [role for role in Role if GRANTS[role] == frozenset(Right)] == [Role.ADMINISTRATOR]


def test_patient_data_is_for_operators_and_administrators_alone() -> None:
    assert [role for role in Role if may(role, (), Right.PATIENT)] == [Role.ADMINISTRATOR, Role.OPERATOR]


def test_who_reviews_does_not_act_and_who_acts_does_not_add_users() -> None:
    acts = {Right.PATIENT, Right.DECIDE, Right.OPERATE, Right.ADMINISTER}
    assert GRANTS[Role.AUDITOR] & acts == frozenset()
    assert Right.ADMINISTER not in GRANTS[Role.OPERATOR]
    assert GRANTS[Role.VIEWER] == {Right.OWN, Right.LOOK}


@pytest.mark.parametrize("right", Right)
def test_a_person_for_some_hospitals_does_nothing_that_concerns_all(right: Right) -> None:
    assert may(Role.ADMINISTRATOR, (), right)
    assert may(Role.ADMINISTRATOR, ("renmin",), right) == (right not in OF_ALL_HOSPITALS)


def test_a_person_for_some_hospitals_sees_their_exams_alone() -> None:
    assert [sees(("a", "b"), one) for one in ("a", "b", "c", "")] == [True, True, False, False]
    assert sees((), "a")


def test_the_manual_shows_this_table() -> None:
    cells = [[right, *("yes" if right in GRANTS[role] else "-" for role in Role)] for right in Right]
    rows = [f"| {' | '.join(row)} |" for row in (["right", *Role], *cells)]
    table = "\n".join([rows[0], "|---" * (len(Role) + 1) + "|", *rows[1:]])
    assert table in MANUAL, f"router/docs/security.md shows:\n{table}"
