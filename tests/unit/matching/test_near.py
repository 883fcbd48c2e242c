"""Which studies and exams nearly fit, and by which slip."""

from datetime import datetime

import pytest

from router.matching.images.near import Side, near, slip

DAY = datetime(2026, 3, 1)  # noqa: DTZ001  # a local day


def side(accession: str = "", patient: str = "", day: datetime | None = None) -> Side:
    return Side(frozenset({accession}), frozenset({patient}), day)


@pytest.mark.parametrize(
    ("one", "other", "how"),
    [
        ("A1234", "A1235", "one character differs"),
        ("A1234", "A1324", "two characters are transposed"),
        ("A1234", "A123", "one character is missing"),
        ("A1234", "1234", "one character is missing"),
        ("A1234", "A1432", ""),  # exchanged, but not beside each other
        ("A1234", "A1256", ""),
        ("A1234", "A1234", ""),
        ("A1234", "A12", ""),
    ],
)
def test_slips_of_the_hand_are_told_from_other_numbers(one: str, other: str, how: str) -> None:
    assert slip(one, other) == slip(other, one) == how


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (side("A1234"), side("A1235"), "accession number: one character differs"),
        (side("A1"), side("A2"), ""),  # alike by chance
        (side("A1234", "P1"), side("A1243", "P1"),
         "accession number: two characters are transposed, same patient number"),
        (side("A1234", "P1", DAY), side("B9", "P1", DAY), "same patient number, same day"),
        (side("A1234", "P1", DAY), side("B9", "P1", DAY.replace(day=3)), ""),
        (side("A1234", "P1", DAY), side("B9", "P1"), ""),
        (side("", "", DAY), side("", "", DAY), ""),
        (side("A1234", "P1234"), side("A1234", "P1243"),
         "same accession number, patient number: two characters are transposed"),
    ],
)  # fmt: skip
def test_what_nearly_fits_is_told_with_its_reason(one: Side, other: Side, why: str) -> None:
    assert near(one, other) == near(other, one) == why
