"""What is shared at all: scope, exclusions, and the day on which sharing began."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from router.matching.exam.share import Aside, ExcludeRule, SharePolicy, aside
from router.policy.states import MOVES, State

START = datetime(2026, 12, 1, tzinfo=UTC)
AFTER, BEFORE = START + timedelta(days=1), START - timedelta(seconds=1)
TESTS = ExcludeRule("test patients", {"PatientID": "^TEST", "StationName": "CT"})
POLICY = SharePolicy(frozenset({"CT", "MR"}), START, (TESTS,))
REAL = {"PatientID": "P1", "StationName": "CT1"}
PHANTOM = {"PatientID": "TEST7", "StationName": "CT1"}


@pytest.mark.parametrize(
    ("modalities", "state"),
    [
        ({"CT"}, None),
        ({"CT", "US"}, None),  # one that is in scope is enough
        ({"US"}, State.OUT_OF_SCOPE),
        ({"US", "ES"}, State.OUT_OF_SCOPE),
        ({"CT", "SR", "KO", "PR"}, None),
        ({"US", "SR"}, State.OUT_OF_SCOPE),
        ({"SR"}, None),  # a dose report alone says nothing of the kind of exam
        ({"KO", "PR", "DOC", "SEG", "REG", "OT", ""}, None),
        (set(), None),  # no image yet: nothing can be said
    ],
)
def test_the_modalities_of_the_images_bound_the_scope(modalities: set[str], state: State | None) -> None:
    found = aside(POLICY, [REAL], frozenset(modalities), AFTER)
    assert (found.state if found else None) == state


@pytest.mark.parametrize(
    ("headers", "excluded"),
    [
        ([], False),
        ([REAL], False),
        ([PHANTOM], True),
        ([REAL, PHANTOM], True),  # one excluded study excludes the exam
        ([{"PatientID": "TEST7", "StationName": "MR1"}], False),  # every field of a rule must match
        ([{"PatientID": "TEST7"}], False),  # an absent field matches no text
        ([{"PatientID": "LATEST", "StationName": "CT1"}], False),  # anchors are the rule's own
        ([{"PatientID": "TEST7", "StationName": ""}, {"PatientID": "P1", "StationName": "CT1"}], False),
    ],
)
def test_a_rule_excludes_when_every_field_of_one_study_matches(headers: list[dict[str, str]], excluded: bool) -> None:
    found = aside(POLICY, headers, frozenset({"CT"}), AFTER)
    assert (found is not None and found.state == State.EXCLUDED) == excluded


@pytest.mark.parametrize(
    ("approved_at", "state"),
    [(None, None), (BEFORE, State.NOT_SHARED), (START, None), (AFTER, None)],
)
def test_an_approval_before_the_first_day_is_recorded_and_not_sent(
    approved_at: datetime | None, state: State | None
) -> None:
    found = aside(POLICY, [REAL], frozenset({"CT"}), approved_at)
    assert (found.state if found else None) == state


def test_without_a_first_day_the_oldest_approval_is_shared() -> None:
    policy = SharePolicy(POLICY.modalities, None, ())
    assert aside(policy, [REAL], frozenset({"CT"}), datetime(1, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("headers", "modalities", "approved_at"),
    list(product([[PHANTOM], [REAL]], [{"US"}, {"CT"}], [BEFORE, AFTER, None])),
)
def test_whatever_is_set_aside_can_be_reached_from_waiting_and_taken_back(
    headers: list[Mapping[str, str]], modalities: set[str], approved_at: datetime | None
) -> None:
    found = aside(POLICY, headers, frozenset(modalities), approved_at)
    if found is not None:
        assert (State.WAITING, found.state) in MOVES
        assert (found.state, State.WAITING) in MOVES


def test_the_reason_names_the_rule_and_never_the_patient() -> None:
    assert aside(POLICY, [PHANTOM], frozenset({"US"}), BEFORE) == Aside(
        State.EXCLUDED, "rule 'test patients' of [[share.exclude]]"
    )
    found = aside(POLICY, [REAL], frozenset({"US", "ES", "SR"}), BEFORE)
    assert found == Aside(State.OUT_OF_SCOPE, "modality ES, US is not in [share] modalities")


VIPS = ExcludeRule("vip", {}, {"$.vip": "^true$", "Visit.PatientType": "4"})
MIXED = ExcludeRule("mixed", {"StationName": "CT"}, {"Patient.Name": "测试"})


@pytest.mark.parametrize(
    ("rule", "headers", "said", "excluded"),
    [
        (VIPS, [], {"$.vip": ("true",), "Visit.PatientType": ("体检", "4")}, True),  # before any image has come
        (VIPS, [REAL], {"$.vip": ("true",), "Visit.PatientType": ("4",)}, True),
        (VIPS, [REAL], {"$.vip": ("true",), "Visit.PatientType": ("1",)}, False),  # every field of a rule must match
        (VIPS, [REAL], {"Visit.PatientType": ("4",)}, False),  # an absent field matches no text
        (VIPS, [REAL], {}, False),
        (MIXED, [REAL], {"Patient.Name": ("测试一",)}, True),
        (MIXED, [], {"Patient.Name": ("测试一",)}, False),  # nothing can be said of a header that is not here
        (MIXED, [REAL], {"Patient.Name": ("张三",)}, False),
        (ExcludeRule("blank", {}, {"Order.Note": "^$"}), [REAL], {"Order.Note": ()}, True),
    ],
)
def test_a_rule_may_name_fields_of_the_exam_json(
    rule: ExcludeRule, headers: list[dict[str, str]], said: dict[str, tuple[str, ...]], excluded: bool
) -> None:
    found = aside(SharePolicy(frozenset({"CT"}), None, (rule,)), headers, frozenset({"CT"}), AFTER, said)
    assert (found is not None and found.state == State.EXCLUDED) == excluded
