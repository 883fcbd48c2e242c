"""Times in exports of RIS, read where they are certain: no day, month or half of the day is guessed."""

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_BLANK = " \t\r\n\0\u3000"
EARLIEST, LATEST = 1901, 2199  # years of an exam
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Days of the week, ignored before the date, behind it or behind the clock.
_WEEKDAY = re.compile(
    r"\s*(?:[(\[]?(?:星期|周|礼拜)[一二三四五六日天][)\]]?|(?<![A-Z])[(\[]?(?:Mon|Tues?|Wed(?:nes)?|Thu(?:rs)?|Fri|Sat(?:ur)?"
    r"|Sun)(?:day)?(?![A-Z])[)\].]?),?\s*",
    re.IGNORECASE,
)
_MONTHS = {
    name: i
    for i, name in enumerate(["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"], 1)
}
_MONTH = r"(?P<name>[A-Za-z]{3,9})\.?"
_DATES = (
    r"(?P<year>\d{4})(?:[-/.]|年\s*)(?P<month>\d{1,2})(?:[-/.]|月\s*)(?P<day>\d{1,2})[日号]?",
    r"(?P<year>\d{4})(?P<month>\d{2})(?P<day>\d{2})",
    r"(?P<one>\d{1,2})(?P<between>[-/.])(?P<other>\d{1,2})(?P=between)(?P<year>\d{4})",
    rf"{_MONTH}\s+(?P<day>\d{{1,2}}),?\s+(?P<year>\d{{4}})",
    rf"(?P<day>\d{{1,2}})[-\s]{_MONTH}[-\s](?P<year>\d{{4}})",
)
_BEFORE_NOON, _AFTER_NOON = ("AM", "上午", "凌晨", "早上"), ("PM", "下午", "晚上")
_HALF = "|".join((*_BEFORE_NOON, *_AFTER_NOON, "中午", r"A\.M\.", r"P\.M\."))
_COLONS = r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,:]\d{1,9})?)?"
_CLOCKS = (
    rf"(?P<half>{_HALF})?\s*{_COLONS}(?:\s*(?P<after>{_HALF}))?",
    rf"(?P<half>{_HALF})?\s*(?P<hour>\d{{1,2}})[时点](?P<minute>\d{{1,2}})分(?:(?P<second>\d{{1,2}})秒)?(?P<after>)",
    r"(?P<half>)(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})?(?:[.,]\d{1,9})?(?P<after>)",
)
_ZONE = r"\s*(?P<zone>Z|GMT|UTC|[+-]\d{2}(?::?\d{2})?)?"
_AFTER_DATE, _AFTER_DAY, _AFTER_DIGITS = r"[T\s]\s*", r"(?<=[日号])\s*", r"[T\s]?"
# The forms of asctime and Java.
_ASCTIME = (
    rf"{_MONTH}\s+(?P<day>\d{{1,2}})\s+(?P<half>){_COLONS}(?P<after>)"
    r"(?:\s+(?P<zone>GMT|UTC|[+-]\d{2}:?\d{2}))?\s+(?P<year>\d{4})"
)
# Date and clock have the same style: 20240506 with 101112, 2024-05-06 with 10:11:12.
_WITH_CLOCKS = (
    *((date, _CLOCKS[0], _AFTER_DATE) for date in _DATES),
    *((_DATES[0], clock, _AFTER_DAY) for clock in _CLOCKS[:2]),
    (_DATES[0], _CLOCKS[1], _AFTER_DATE),
    (_DATES[1], _CLOCKS[2], _AFTER_DIGITS),
)
_WRITTEN = (*(rf"{date}(?:{between}{clock}{_ZONE})?" for date, clock, between in _WITH_CLOCKS), _ASCTIME)
_FORMS = tuple(re.compile(form, re.IGNORECASE) for form in _WRITTEN)
_DOTNET = re.compile(r"/Date\((-?\d{1,15})([+-]\d{4})?\)/")
_UNIX = re.compile(r"(-?\d{1,15})(?:\.\d{1,9})?")
_SECONDS, _MILLISECONDS = (10**9, 4_102_444_800), (10**12, 4_102_444_800_000)  # 2001 to 2100
_HOURLY = re.compile(r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])")
# Days that programs write for "none": .NET, SQL Server, Windows, Delphi, MySQL and others; 0001 in any zone.
_NO_DAYS = frozenset({
    (0, 0, 0), (1, 1, 1), (1, 1, 2), (1601, 1, 1), (1753, 1, 1), (1899, 12, 30), (1900, 1, 1),
})  # fmt: skip
_NO_DAY, _NO_HOURS = (1970, 1, 1), frozenset({(0, 0, 0), (8, 0, 0)})

Parts = tuple[int, int, int, int | None, int, int]
"""Year, month, day, hour (None: a day alone), minute, second."""


def instant(value: object, zone: ZoneInfo) -> datetime | None:
    """The aware time, in `zone` unless it names another; None where there is no certain time.

    Forms: year, month and day with -, /, . or 年月日; 12/31/2026 where one number is over 12; Dec 31 2026; DICOM DA and
    TM; each with a time of day, of 12 hours where it says which half; /Date(...)/; seconds or milliseconds since 1970.
    A day of the week is ignored. A day alone is no time: midnight would be invented.
    """
    given = _given(value)
    if is_no_time(given, zone):
        return None
    moments = [_moment(parts, offset, zone) for parts, offset in _written(given)] or [_counted(given)]
    try:
        local = moments[0] and moments[0].astimezone(zone)
    except (ValueError, OverflowError):
        return None
    return local if local is not None and EARLIEST <= local.year <= LATEST else None


def is_no_time(value: object, zone: ZoneInfo) -> bool:
    """Whether it is a day that programs write for "none": their first one, such as 0001-01-01 or 1900-01-01."""
    given = _given(value)
    for (year, month, day, *clock), _ in _written(given):
        without = clock[0] is None or tuple(clock) in _NO_HOURS
        return (year, month, day) in _NO_DAYS or ((year, month, day) == _NO_DAY and without)
    number = _DOTNET.fullmatch(given) or _UNIX.fullmatch(given)
    if number is None:
        return False
    count, midnight = int(number[1]), -(_EPOCH.astimezone(zone).utcoffset() or timedelta()).total_seconds()
    return count == 0 or any(  # 0, 0 by local time, or a day about the year 1, in seconds or milliseconds
        seconds == midnight or -62_135_769_600 <= seconds <= -62_135_510_400 for seconds in (count, count * 0.001)
    )


def obscure(value: object) -> str:
    """The reason why a text with the form of a time is no certain time; "" for other texts."""
    given = _given(value)
    for (_, _, _, hour, *_), _ in _written(given):
        if hour is None:
            return "a day without its time"
    for form in _FORMS:
        match = form.fullmatch(given)
        if match and match.groupdict().get("one") and not _day_and_month(int(match["one"]), int(match["other"])):
            return "of which day and month cannot be told apart"
    return ""


def _given(value: object) -> str:
    text = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(text, str) or len(text) > 80:
        return ""
    return _WEEKDAY.sub(" ", unicodedata.normalize("NFKC", text), count=1).strip(_BLANK)


def _counted(given: str) -> datetime | None:
    """A time counted since 1970, where that is certain: 2026112910 may as well be a date with its hour."""
    if dotnet := _DOTNET.fullmatch(given):
        return _since_1970(int(dotnet[1]))
    match = _UNIX.fullmatch(given)
    if match is None or (len(match[1]) == 10 and _HOURLY.fullmatch(match[1])):
        return None
    number = int(match[1])
    if _SECONDS[0] <= number < _SECONDS[1]:
        return _since_1970(number * 1000)
    return _since_1970(number) if _MILLISECONDS[0] <= number < _MILLISECONDS[1] else None


def _since_1970(milliseconds: int) -> datetime | None:
    try:
        return (_EPOCH + timedelta(milliseconds=milliseconds)).replace(microsecond=0)
    except OverflowError:
        return None


def _written(given: str) -> Iterator[tuple[Parts, str]]:
    """The parts of a written time, and its offset or ""; nothing where it is no certain time."""
    for form in _FORMS:
        if (match := form.fullmatch(given)) and (parts := _parts(match.groupdict())):
            yield parts, (match["zone"] or "").upper()
            return


def _parts(found: dict[str, str | None]) -> Parts | None:
    date = _date(found)
    if date is None or found["hour"] is None:
        return None if date is None else (*date, None, 0, 0)
    hour = _hour(int(found["hour"]), (found["half"] or "").upper(), (found["after"] or "").upper())
    return None if hour is None else (*date, hour, int(found["minute"] or 0), int(found["second"] or 0))


def _date(found: dict[str, str | None]) -> tuple[int, int, int] | None:
    year = int(found["year"] or 0)
    if found.get("one"):
        pair = _day_and_month(int(found["one"] or 0), int(found["other"] or 0))
        return pair and (year, pair[1], pair[0])
    name = found.get("name")
    month = int(found["month"] or 0) if name is None else _MONTHS.get(name[:3].lower(), 0)
    return None if name is not None and not month else (year, month, int(found["day"] or 0))


def _day_and_month(one: int, other: int) -> tuple[int, int] | None:
    """Day and month out of two numbers, where it is certain: a month is at most 12."""
    if one == other:
        return one, other
    if (one > 12) == (other > 12):
        return None
    return (one, other) if one > 12 else (other, one)


def _hour(hour: int, before: str, after: str) -> int | None:
    """The hour of 24; None where the half of the day contradicts it."""
    half = (before or after).replace(".", "")
    if not half:
        return hour
    if (before and after) or hour > 23:
        return None
    if half in _BEFORE_NOON:
        return hour % 12 if hour <= 12 else None
    if half == "中午":
        return hour if hour in (11, 12) else 13 if hour == 1 else None
    if hour > 12:
        return hour
    return None if hour == 0 or (hour == 12 and half == "晚上") else hour % 12 + 12


def _moment(parts: Parts, offset: str, zone: ZoneInfo) -> datetime | None:
    year, month, day, hour, minute, second = parts
    if hour is None:
        return None
    try:
        naive = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - the zone follows
        if not offset:
            return naive.replace(tzinfo=zone)
        return datetime.fromisoformat(f"{naive.isoformat()}{'Z' if offset in ('GMT', 'UTC') else offset}")
    except ValueError:
        return None
