"""Rules of passwords and of lockout (GB/T 22239-2019 8.1.4.1)."""

from datetime import UTC, datetime, timedelta

import pytest

from router.policy.lockout import LOCKED_FOR, MOST, Tries
from router.policy.passwords import (
    COMPLEX,
    DISTINCT,
    FORMER,
    KINDS,
    LASTS,
    LENGTH,
    LONGEST,
    PLAIN,
    RULES,
    SHORTEST,
    VARIED,
    faults,
    is_expired,
    normal,
)  # fmt: skip

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "password", ["Tulpe-7-Wiese", "tulpe 7 wiese x", "春天来了Tulpe77", "T7!pzkwxym", "x7!Öqw9-" * 16]
)
def test_a_password_of_the_right_form_is_taken(password: str) -> None:
    assert list(faults(password, "wang")) == []


@pytest.mark.parametrize(("password", "broken"), [
    ("", {LENGTH, COMPLEX, VARIED}), ("Tulpe-7-W", {LENGTH}), ("x7!Öqw9-" * 16 + "x", {LENGTH}),
    ("Tulpe-7-\nWiese", {LENGTH}), ("Tulpe-7-\u202eWiese", {LENGTH}),
    ("tulpewiesen", {COMPLEX}), ("tulpe77wiesen", {COMPLEX}), ("TULPE77WIESEN", {COMPLEX}), ("8294017365", {COMPLEX}),
    ("Aa1!Aa1!Aa1!", {VARIED}), ("Wang-7-Wiese", {PLAIN}), ("7-GNAW-Wiese", {PLAIN}), ("Admin@2026xy", {PLAIN}),
    ("P@ssw0rd!2026", {PLAIN}), ("Xy!-12345-Zw", {PLAIN}), ("Xy!-54321-Zw", {PLAIN}), ("QwErTy!7-Wiese", {PLAIN}),
    ("Ｗａｎｇ-7-Wiese", {PLAIN}),
])  # fmt: skip
def test_a_password_that_breaks_a_rule_is_told_which(password: str, broken: set[str]) -> None:
    assert set(faults(password, "wang")) == broken


def test_a_name_in_chinese_is_not_part_of_a_password_either() -> None:
    assert list(faults("张三Tulpe-77", "张三")) == [PLAIN]


def test_what_an_input_method_types_wide_is_the_same_password() -> None:
    assert normal("Ｔｕｌｐｅ－７") == "Tulpe-7"


def test_the_rules_that_people_read_have_the_figures_that_are_kept() -> None:
    words = {3: "three", 5: "five"}
    figures = (SHORTEST, LONGEST), (KINDS,), (DISTINCT,), (), (FORMER,), (LASTS.days,)
    for rule, numbers in zip(RULES, figures, strict=True):
        assert [one for one in numbers if words.get(one, str(one)) not in rule] == []


def test_a_password_is_good_for_ninety_days() -> None:
    assert not is_expired(NOW, NOW + timedelta(days=90) - timedelta(seconds=1))
    assert is_expired(NOW, NOW + timedelta(days=90))


def test_the_fifth_failure_in_a_row_locks_for_a_quarter_of_an_hour_and_then_the_count_begins_anew() -> None:
    tries = Tries()
    for n in range(1, MOST):
        tries = tries.failed(NOW)
        assert (tries.failures, tries.is_locked(NOW)) == (n, False)
    tries = tries.failed(NOW)
    assert tries.is_locked(NOW + LOCKED_FOR - timedelta(seconds=1))
    assert not tries.is_locked(NOW + LOCKED_FOR)
    assert not tries.failed(NOW + LOCKED_FOR).is_locked(NOW + LOCKED_FOR)
