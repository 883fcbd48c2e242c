"""AgeDisplay (年龄) from dates."""

from datetime import date

import pytest

from router.exam.age import age_display


@pytest.mark.parametrize(
    ("birth", "day", "shown"),
    [
        ("1949-12-31", "2024-05-06", "74岁"),
        ("2018-05-06", "2024-05-06", "6岁"),
        ("2018-05-07", "2024-05-06", "5岁11月"),
        ("2023-02-06", "2024-05-06", "1岁3月"),
        ("2023-05-06", "2024-05-06", "1岁"),
        ("2023-06-11", "2024-05-06", "10月3周4天"),
        ("2023-06-15", "2024-05-06", "10月3周"),
        ("2024-04-06", "2024-05-06", "1月"),
        ("2024-04-07", "2024-05-06", "29天"),
        ("2024-01-31", "2024-03-01", "1月1天"),
        ("2020-02-29", "2021-02-28", "11月4周2天"),
        ("2024-05-06", "2024-05-06", "0天"),
        ("2024-05-07", "2024-05-06", ""),
        ("0001-01-01", "9999-12-31", "9998岁"),
    ],
)
def test_age_is_told_as_the_standard_does(birth: str, day: str, shown: str) -> None:
    assert age_display(date.fromisoformat(birth), date.fromisoformat(day)) == shown
