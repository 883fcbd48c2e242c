"""Which version of an exam JSON counts, and which PDF belongs to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.matching.exam.versions import (
    Approval,
    JsonVersion,
    PdfVersion,
    contradicted,
    given_up,
    is_later,
    of_patient,
    successive,
    unapproved,
    withdrawn,
)

T = datetime(2026, 3, 2, 8, tzinfo=UTC)


def at(minute: int) -> datetime:
    return T + timedelta(minutes=minute)


def json(
    arrived: int,
    *,
    file: int | None = None,
    submit: int | None = None,
    approve: int | None = None,
    text: str = "x",
    approved: bool | None = None,
) -> JsonVersion:
    """A version; times in minutes, `text` stands for findings and impression. Approved when it has an approve time."""
    submit_time, approve_time = (None if m is None else at(m) for m in (submit, approve))
    is_approved = approve is not None if approved is None else approved
    whole = f"{text}|{submit_time}|{approve_time}"
    file_time = at(arrived if file is None else file)
    return JsonVersion(
        document=arrived,
        arrived=at(arrived),
        file_time=file_time,
        submit_time=submit_time,
        approve_time=approve_time,
        approved=is_approved,
        content=text,
        reported=whole,
    )


def pdf(arrived: int) -> PdfVersion:
    return PdfVersion(document=arrived, arrived=at(arrived), file_time=at(arrived))


# The current version, the new one, and whether the new one replaces it.
_LATER = [
    # ApproveTime first
    (json(0, approve=1), json(9, approve=2), True),
    (json(0, approve=2), json(9, approve=1), False),
    (json(0, approve=2, submit=1), json(9, approve=1, submit=5, file=9), False),
    # else SubmitTime
    (json(0, approve=2, submit=1), json(9, approve=2, submit=2), True),
    (json(0, submit=2), json(9, submit=1, file=9), False),
    (json(0, approve=5, submit=3), json(9, submit=2), False),  # an old draft after the final
    (json(0, approve=5, submit=3), json(9, submit=4), True),  # withdrawn and written anew
    # else file time
    (json(0, file=5), json(9, file=4), False),
    (json(0, file=5), json(9, file=6), True),
    (json(0, approve=5), json(9, file=1, submit=4), True),
    (json(5, approve=5), json(9, file=4), False),  # a draft without times, written before the final
    # else arrival
    (json(0, file=5), json(9, file=5), True),
    (json(0, approve=1, submit=1, file=5), json(9, approve=1, submit=1, file=5), True),
]  # fmt: skip


@pytest.mark.parametrize(("current", "new", "later"), _LATER)
def test_the_later_one_counts_by_approve_submit_file_time_and_arrival(
    current: JsonVersion, new: JsonVersion, later: bool
) -> None:
    assert is_later(new, current) == later
    assert successive([current, new]) == ([current, new] if later else [current])


def test_a_stale_version_does_not_stand_in_the_way_of_the_next() -> None:
    final, draft, corrected = json(0, approve=10), json(1, submit=5, file=-5), json(2, approve=11)
    assert successive([final, draft, corrected]) == [final, corrected]


def test_nothing_taken_is_no_version() -> None:
    assert successive([]) == []
    assert contradicted([]) is None
    assert not withdrawn([])


@pytest.mark.parametrize(
    ("versions", "gone"),
    [
        ([json(0)], False),
        ([json(0, approve=0)], False),
        ([json(0), json(1)], False),  # never approved
        ([json(0), json(1, approve=1)], False),
        ([json(0, approve=0), json(1)], True),
        ([json(0, approve=0), json(1), json(2)], True),
        ([json(0, approve=0), json(1), json(2, approve=2)], False),
        ([json(0, approve=0), json(1, approve=0, approved=False)], True),  # the time stays, the status goes back
    ],
)
def test_a_later_version_that_is_not_approved_withdraws(versions: list[JsonVersion], gone: bool) -> None:
    assert withdrawn(versions) == gone


_VERSIONS = st.builds(
    json,
    arrived=st.integers(0, 5),
    file=st.integers(0, 5),
    submit=st.none() | st.integers(0, 5),
    approve=st.none() | st.integers(0, 5),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_VERSIONS, min_size=1, max_size=6))
def test_what_counted_is_a_chain_in_order_of_arrival_from_the_first(taken: list[JsonVersion]) -> None:
    kept = successive(taken)
    assert kept[0] is taken[0]
    assert all(is_later(after, before) for before, after in pairwise(kept))
    rest = iter(taken)
    assert all(any(version is one for one in rest) for version in kept)


@settings(max_examples=60, deadline=None)
@given(_VERSIONS, _VERSIONS)
def test_of_two_versions_at_least_one_replaces_the_other(one: JsonVersion, other: JsonVersion) -> None:
    assert is_later(one, other) or is_later(other, one)


def test_of_an_exam_with_versions_of_two_patients_only_pdfs_that_name_the_right_one_or_are_confirmed_serve() -> None:
    named, other, silent, said = (
        replace(pdf(n), named=frozenset(words)) for n, words in enumerate([{"A1", "王五"}, {"A2"}, set(), {"A2"}])
    )
    found = of_patient([named, other, silent, replace(said, confirmed=7)], frozenset({"A1", "张三"}))
    assert [bool(one.doubt) for one in found] == [False, True, True, False]


# What counts, what came after it and is older by its ApproveTime, and whether its times contradict each other.
_CONTRADICTED = [
    (json(0, approve=20, submit=0), json(30, approve=15, submit=14, text="y"), True),  # the second approver's clock
    (json(0, approve=20, submit=0), json(30, approve=15, submit=0, text="y"), True),  # written later, changed
    (json(0, approve=20, submit=0), json(30, approve=15, submit=-1, text="y"), False),  # older by both
    (json(0, approve=20, submit=0), json(30, file=-5, approve=15, submit=-1, text="y"), False),  # older by everything
    (json(30, approve=20), json(31, file=29, approve=15, text="y"), False),
    (json(0, approve=20), json(30, approve=15), False),  # reports the same
    (json(0, approve=20, submit=3), json(30, submit=2, text="y"), False),  # an old draft, written late by the export
]  # fmt: skip


@pytest.mark.parametrize(("current", "late", "odd"), _CONTRADICTED)
def test_a_version_that_is_older_by_one_time_and_later_by_another_contradicts(
    current: JsonVersion, late: JsonVersion, odd: bool
) -> None:
    assert successive([current, late]) == [current]
    assert contradicted([current, late]) == (late if odd else None)


def test_a_contradiction_ends_with_a_later_version_or_a_persons_word_and_does_not_begin_with_a_copy() -> None:
    first, late = json(0, approve=20, submit=0), json(30, approve=15, submit=14, text="y")
    assert contradicted([first, late, json(40, approve=35, submit=34, text="y")]) is None
    chosen = replace(late, chosen=True)
    assert contradicted([first, chosen]) is None
    assert successive([first, chosen]) == [first, chosen]
    draft, final = json(0, submit=0), json(5, approve=5, submit=4)
    assert contradicted([draft, final, replace(draft, document=90, file_time=at(900))]) is None


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("Withdrawn", Approval.WITHDRAWN),
        ("Cancelled", Approval.WITHDRAWN),
        ("Submitted", Approval.OPEN),
        ("Registered", Approval.OPEN),
        ("Reported", Approval.UNREADABLE),  # its ApproveTime does not read
        ("已审核", Approval.UNREADABLE),
        ("", Approval.UNREADABLE),
    ],
)
def test_only_an_explicit_word_withdraws(status: str, found: Approval) -> None:
    assert unapproved(status) == found


@pytest.mark.parametrize(("status", "found"), [
    ("Cancelled", True), ("CANCELED", True), ("Withdrawn", True), ("取消", True), ("已作废", True), ("撤销申请", True),
    ("检查已取消", True), ("已退费", True), ("Reported", False), ("Registered", False), ("", False),
    ("取消审核", False), ("已撤回报告", False), ("待取消", False), ("未取消", False), ("取消审核中", False),
])  # fmt: skip
def test_an_exam_is_given_up_by_its_own_word_and_not_by_that_of_its_approval(status: str, *, found: bool) -> None:
    assert given_up(status) == found
