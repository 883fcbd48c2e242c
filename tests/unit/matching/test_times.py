"""When a PDF was made, what that says, and what is known of its source."""

from datetime import UTC, datetime, timedelta

import pytest

from router.matching.report_pdf.calibration import Calibration, learnt
from router.matching.report_pdf.times import is_older, of, offset

T = datetime(2026, 3, 2, 8, tzinfo=UTC)


def at(minute: float) -> datetime:
    return T + timedelta(minutes=minute)


@pytest.mark.parametrize(
    ("made", "arrived", "approvals", "found"),
    [
        (0, 0.1, [0], None),  # one version: nothing to tell apart
        (0, 61, [0, 60], {0}),  # the first version's, come late
        (60, 61, [0, 60], None),  # within five minutes of the second approval
        (66, 67, [0, 60], {1}),
        (30, 61, [0, 60], {0}),  # signed half an hour later
        (2, 5, [0, 4], None),  # under five minutes
        (4, 5, [0, 4], None),
        (480, 0.1, [0, 60], None),  # made after it came: a clock of its own
        (60 - 480, 61, [0, 60], None),  # eight hours off
        (60 + 480, 61, [0, 60], None),
        (-30, 61, [0, 60], None),  # before every approval
        (0, 121, [0, 60, 120], {0}),
        (61, 121, [0, 60, 120], {0, 1}),
        (66, 121, [0, 60, 120], {1}),
    ],
)
def test_a_pdf_is_of_the_version_that_was_approved_before_it_was_made(
    made: float, arrived: float, approvals: list[int], found: set[int] | None
) -> None:
    assert of(at(made), at(arrived), {n: at(minute) for n, minute in enumerate(approvals)}) == found


def test_the_offset_of_a_source_is_known_by_fifty_pairs_that_are_close_together() -> None:
    assert offset([5] * 49) is None
    assert offset([8 * 3600 + n for n in range(50)]) == timedelta(seconds=8 * 3600 + 24.5)
    assert offset([n * 3600 for n in range(50)]) is None  # a template's date
    assert offset([5] * 45 + [9000] * 5) == timedelta(seconds=5)


def test_five_minutes_say_nothing_of_which_is_older() -> None:
    assert is_older(at(0), at(6))
    assert not is_older(at(0), at(5))
    assert not is_older(at(6), at(0))
    assert not is_older(None, at(6))
    assert not is_older(at(0), None)


def test_content_speaks_once_fifty_of_the_last_sixty_agreed() -> None:
    known = Calibration()
    for number in range(50):
        assert not known.content_speaks, number
        assert f"{number} of {number} did" in known.told()
        known = learnt(known, agreed=True, offset=None, labels=())
    assert known.content_speaks
    for _ in range(10):
        known = learnt(known, agreed=False, offset=None, labels=())
    assert known.content_speaks
    known = learnt(known, agreed=False, offset=None, labels=())
    assert not known.content_speaks  # fonts without a mapping, since a new version of the RIS
    assert len(known.agreed) == 60


def test_labels_are_counted_and_offsets_are_the_last_fifty() -> None:
    known = Calibration()
    for number in range(60):
        known = learnt(known, agreed=True, offset=number, labels=["检查号"] if number % 2 else [])
    assert known.labels == {"检查号": 20}
    assert known.offsets == tuple(range(10, 60))
