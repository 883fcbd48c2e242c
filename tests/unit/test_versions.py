"""Which version of an exam JSON counts, and which PDF belongs to it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from router.correlate.versions import JsonVersion, PdfVersion, is_later, of_patient, pdf_for, successive, withdrawn

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
    return JsonVersion(arrived, at(arrived), file_time, submit_time, approve_time, is_approved, text, whole)


def pdf(arrived: int) -> PdfVersion:
    return PdfVersion(arrived, at(arrived), at(arrived))


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


def test_nothing_taken_is_no_version_and_no_pdf() -> None:
    assert successive([]) == []
    assert pdf_for([], [pdf(1)]) is None
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


# The versions that counted, the PDFs by arrival, and the PDF that belongs to the last version.
_PDFS = [
    # one version
    ([json(1, approve=1)], [], None),
    ([json(1, approve=1)], [0], 0),  # PDF first
    ([json(1, approve=1)], [2], 2),  # JSON first
    ([json(1, approve=1)], [0, 2], 2),  # the PDF alone was corrected
    # from draft to approved: the PDF stays unless findings or impression differ
    ([json(1), json(2, approve=2)], [0], 0),
    ([json(1, submit=1), json(2, submit=2, approve=2)], [0], 0),
    ([json(1, text="a"), json(2, approve=2, text="b")], [0], None),
    ([json(1, text="a"), json(2, approve=2, text="b")], [0, 3], 3),
    # the draft never had a PDF: the one that comes with the final report is the final report's
    ([json(1, text="a"), json(2, approve=2, text="b")], [3], 3),
    ([json(1, text=""), json(2, text="a"), json(3, approve=3, text="b")], [4], 4),
    # a revision of an approved report: findings, impression, submit or approve time
    ([json(1, approve=1), json(3, approve=3)], [2], None),
    ([json(1, approve=1, submit=0), json(3, approve=1, submit=2)], [2], None),
    ([json(1, approve=1, text="a"), json(3, approve=1, text="b")], [2], None),
    ([json(1, approve=1), json(3, approve=3)], [2, 4], 4),
    ([json(1, approve=1), json(4, approve=3)], [2, 3], 3),  # its PDF came before its JSON
    ([json(1, approve=1), json(3, approve=1)], [2], 2),  # something else was corrected: the PDF stays
    # a revision before any PDF came
    ([json(1, approve=1), json(2, approve=2)], [3], 3),
    ([json(1, approve=1), json(3, approve=3), json(4, approve=4)], [2, 5], 5),  # two in a row, printed once
    ([json(1, approve=1), json(3, approve=3), json(5, approve=5)], [2, 4], None),
    ([json(1, approve=1), json(3, approve=3), json(5, approve=5)], [2, 4, 6], 6),
    # withdrawn and approved again
    ([json(1, approve=1), json(3), json(4, approve=4)], [2], None),
    ([json(1, approve=1), json(3), json(4, approve=4)], [2, 5], 5),
]  # fmt: skip


@pytest.mark.parametrize(("versions", "arrivals", "expected"), _PDFS)
def test_the_pdf_that_belongs_to_the_version_that_counts(
    versions: list[JsonVersion], arrivals: list[int], expected: int | None
) -> None:
    found = pdf_for(versions, [pdf(minute) for minute in arrivals])
    assert (found.document if found else None) == expected
    assert pdf_for(versions, [pdf(minute) for minute in reversed(arrivals)]) == found


@st.composite
def _stories(draw: st.DrawFn) -> tuple[list[JsonVersion], list[PdfVersion]]:
    """Versions and PDFs at different minutes; texts and times repeat, so that some revisions change nothing."""
    minutes = draw(st.lists(st.integers(0, 30), unique=True, max_size=8))
    kinds = draw(st.lists(st.booleans(), min_size=len(minutes), max_size=len(minutes)))
    versions = [
        json(minute, approve=draw(st.sampled_from([None, 100, 101])), text=draw(st.sampled_from("ab")))
        for minute, is_json in sorted(zip(minutes, kinds, strict=True))
        if is_json
    ]
    return versions, [pdf(minute) for minute, is_json in zip(minutes, kinds, strict=True) if not is_json]


def _changes(before: JsonVersion, after: JsonVersion) -> bool:
    return before.reported != after.reported if before.approved else before.content != after.content


@settings(max_examples=60, deadline=None)
@given(_stories())
def test_a_changed_revision_never_gets_a_pdf_as_old_as_its_former_one(
    story: tuple[list[JsonVersion], list[PdfVersion]],
) -> None:
    versions, pdfs = story
    found = pdf_for(versions, pdfs)
    for before, after in pairwise(versions):
        former = max((p.arrived for p in pdfs if p.arrived <= before.arrived), default=None)
        if found is not None and former is not None and _changes(before, after):
            assert found.arrived > former


@settings(max_examples=60, deadline=None)
@given(_stories())
def test_a_pdf_that_comes_after_everything_serves_whatever_came_before(
    story: tuple[list[JsonVersion], list[PdfVersion]],
) -> None:
    versions, pdfs = story
    assume(versions)
    newest = pdf(99)
    assert pdf_for(versions, [*pdfs, newest]) == newest


@settings(max_examples=60, deadline=None)
@given(_stories())
def test_while_no_revision_changes_what_is_reported_the_latest_pdf_serves(
    story: tuple[list[JsonVersion], list[PdfVersion]],
) -> None:
    versions, pdfs = story
    assume(versions and not any(_changes(a, b) for a, b in pairwise(versions)))
    assert pdf_for(versions, pdfs) == max(pdfs, key=lambda p: p.arrived, default=None)


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
