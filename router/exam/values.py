"""Conversion of single values of a RIS into the forms of appendix B; None where a value does not read so."""

import re
from datetime import date
from zoneinfo import ZoneInfo

from router.exam.fields import Kind
from router.exam.times import instant, is_no_time

_BLANK = " \t\r\n\0\u3000"
_MIDNIGHT = r"(?:[ T]00:00(?::00(?:\.0+)?)?)?"
_SEPARATED_DATE = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})" + _MIDNIGHT)
_COMPACT_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})")
_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_BETWEEN_UIDS = re.compile(r"[\\,;|\s]+")
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def is_empty(value: object) -> bool:
    """Whether it is absent, null, blank text, or an empty array or object."""
    if isinstance(value, str):
        return not value.strip(_BLANK)
    return value is None or value in ([], {})


def is_absent(value: object, kind: Kind, zone: ZoneInfo) -> bool:
    """Whether it is empty, or a time that means "none" (`is_no_time`); a date counts as given."""
    return is_empty(value) or (kind == "datetime" and is_no_time(value, zone))


def text(value: object) -> str | None:
    """The text unchanged but without NULs; numbers in decimal."""
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(value)


def stripped(value: object) -> str:
    """The text without blanks around it, "" for other values: for comparing, never for output."""
    return (text(value) or "").strip(_BLANK)


def integer(value: object) -> int | None:
    """A whole number, or text that is one."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return int(value) if value == value // 1 else None
    given = stripped(value)
    return int(given) if _INTEGER.fullmatch(given) else None


def boolean(value: object) -> bool | None:
    """true, false, 1 or 0, also as text."""
    return value if isinstance(value, bool) else _BOOLEANS.get(stripped(value).lower())


def datetime_text(value: object, zone: ZoneInfo) -> str | None:
    """`instant` as yyyy-MM-dd HH:mm:ss of `zone`."""
    moment = instant(value, zone)
    return None if moment is None else moment.replace(tzinfo=None).isoformat(sep=" ", timespec="seconds")


def date_text(value: object) -> str | None:
    """yyyy-MM-dd from the same form, yyyy/M/d or a DICOM DA; a midnight after it is ignored."""
    given = stripped(value)
    match = _SEPARATED_DATE.fullmatch(given) or _COMPACT_DATE.fullmatch(given)
    try:
        return match and date(*map(int, match.groups())).isoformat()
    except ValueError:
        return None


def uids(value: object) -> list[object]:
    """The UIDs of an array or text, of which each element may hold several; blanks and empty ones are dropped."""
    listed = value if isinstance(value, list) else [value]
    single = [uid for one in listed for uid in (_BETWEEN_UIDS.split(one) if isinstance(one, str) else [one])]
    return [stripped(uid) if isinstance(uid, str) else uid for uid in single if not is_empty(uid)]


def converted(value: object, kind: Kind, zone: ZoneInfo) -> object:
    """`value` converted to `kind`; None when that is impossible. Arrays must be arrays already."""
    match kind:
        case "string":
            return text(value)
        case "datetime":
            return datetime_text(value, zone)
        case "date":
            return date_text(value)
        case "integer":
            return integer(value)
        case "boolean":
            return boolean(value)
        case "array":
            return value if isinstance(value, list) else None
