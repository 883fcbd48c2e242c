"""Rates in per cent, as they are shown."""

import pytest

from router.review.statistics import percent


@pytest.mark.parametrize(("part", "whole", "shown"), [
    (57, 100, "57.00%"), (29, 100, "29.00%"), (2, 3, "66.66%"), (99_999, 100_000, "99.99%"), (1, 1, "100.00%"),
    (0, 7, "0.00%"), (1_999_999, 2_000_000, "99.99%"),
])  # fmt: skip
def test_a_rate_is_cut_off_so_that_all_is_said_only_of_all(part: int, whole: int, shown: str) -> None:
    assert percent(part / whole) == shown


def test_a_rate_of_nothing_is_no_rate() -> None:
    assert percent(None) == ""
