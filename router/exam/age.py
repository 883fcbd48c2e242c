"""AgeDisplay (年龄) from dates, and back."""

import re
from calendar import monthrange
from datetime import date

_DAYS = {"岁": 365.2425, "月": 30.436875, "周": 7, "天": 1, "小时": 1 / 24}


def age_display(birth: date, day: date) -> str:
    """The age at `day` as 45岁, 1岁3月 (under six years), 10月3周4天 (under one), 12天 (under a month).

    Parts that are zero are left out; "" when `day` lies before birth. Only the RIS can give hours.
    """
    if day < birth:
        return ""
    months = (day.year - birth.year) * 12 + day.month - birth.month - (day.day < birth.day)
    if months >= 72:
        return f"{months // 12}岁"
    if months >= 12:
        return _parts((months // 12, "岁"), (months % 12, "月"))
    years, month = divmod(birth.year * 12 + birth.month - 1 + months, 12)
    begun = date(years, month + 1, min(birth.day, monthrange(years, month + 1)[1]))
    days = (day - begun).days
    if months == 0:
        return f"{days}天"
    return _parts((months, "月"), (days // 7, "周"), (days % 7, "天"))


def age_days(shown: str) -> tuple[float, float]:
    """The least and the greatest number of days that a displayed age may stand for.

    Its last unit leaves room; three days more are for months of different length. Years alone may be one too many,
    since many systems only subtract the years.
    """
    amounts = [(int(number), unit) for number, unit in re.findall(r"([0-9]+)(岁|月|周|天|小时)", shown)]
    days = sum(number * _DAYS[unit] for number, unit in amounts)
    room = _DAYS[amounts[-1][1]]
    fewest = days - room if [unit for _, unit in amounts] == ["岁"] else days
    return fewest - 3, days + room + 3


def _parts(*amounts: tuple[int, str]) -> str:
    return "".join(f"{amount}{unit}" for amount, unit in amounts if amount)
