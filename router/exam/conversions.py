"""Conversions of a RIS's value on its way to a field, as a mapping file says: split, match, values, date, age. Pure.

    "data.items" = { to = "Order.Procedures[].CheckItemCode", split = "[,;]" }
    "data.no"    = { to = "Order.AccessionNumber", match = "^RIS-(\\d+)$", as = "\\1" }
    "data.kind"  = { to = "Visit.PatientType", values = { "门" = "1", "住" = "3", "*" = "9" } }
    "data.born"  = { to = "Patient.DateOfBirth", date = "dd.MM.yyyy" }
    "data.age + data.unit" = { to = "Patient.AgeDisplay", age = true }

They follow each other in this order. A text that does not match gives nothing; a date or an age that does not read so
stays as it is, and `validate` tells of it.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from router.exam.fields import BY_PATH, PROCEDURE
from router.exam.values import is_empty, text
from router.text.spelling import did_you_mean

KEYS = ("to", "split", "match", "as", "values", "date", "age")
OTHERWISE = "*"
"""Stands in a table of values for every value that it does not list."""
_TAKES_MANY = (PROCEDURE, "Study.StudyInstanceUIDs")
_LONGEST = 20_000  # characters that a pattern is tried on: a patient's record has fewer

# Letters of a date's form, as Java and .NET write it.
_TOKENS = {
    "yyyy": r"(?P<year>[0-9]{4})", "MM": r"(?P<month>[0-9]{2})", "M": r"(?P<month>[0-9]{1,2})",
    "dd": r"(?P<day>[0-9]{2})", "d": r"(?P<day>[0-9]{1,2})", "HH": r"(?P<hour>[0-9]{2})",
    "H": r"(?P<hour>[0-9]{1,2})", "hh": r"(?P<twelfth>[0-9]{2})", "h": r"(?P<twelfth>[0-9]{1,2})",
    "mm": r"(?P<minute>[0-9]{2})", "m": r"(?P<minute>[0-9]{1,2})", "ss": r"(?P<second>[0-9]{2})",
    "s": r"(?P<second>[0-9]{1,2})", "a": r"(?P<half>AM|PM|上午|下午)",
}  # fmt: skip
_WRITTEN = re.compile(r"(?P<token>([yMdHhms])\2*|S{1,9}|a)|'(?P<quoted>[^']*)'|(?P<other>.)", re.DOTALL)

_UNITS = {
    "岁": "岁 周岁 年 Y YR YRS YEAR YEARS A",
    "月": "月 个月 M MO MOS MON MONTH MONTHS",
    "周": "周 星期 W WK WKS WEEK WEEKS",
    "天": "天 日 D DAY DAYS",
    "小时": "小时 时 H HR HRS HOUR HOURS",
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_AMOUNT = re.compile(r"([0-9]{1,4})\s*([^0-9\s]+)\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """The steps to one field; none of them by default. `units` are words for units of age, None without `age`."""

    split: re.Pattern[str] | None = None
    pattern: re.Pattern[str] | None = None
    template: str = ""
    values: Mapping[str, object] = field(default_factory=dict)
    date: re.Pattern[str] | None = None
    with_time: bool = False
    units: Mapping[str, str] | None = None

    def apply(self, given: Sequence[object]) -> list[object]:
        """The values of the field; empty where there is nothing for it."""
        found = [each for value in given for each in self._parted(value)]
        for step in self._steps():
            found = [step(value) for value in found]
        return found if any(not is_empty(value) for value in found) else []

    def _parted(self, value: object) -> list[object]:
        if self.split is None or isinstance(value, list | dict):
            return [value]
        parts = [part.strip() for part in self.split.split(written(value))]
        while parts and not parts[-1]:
            parts.pop()
        return list(parts)

    def _steps(self) -> Iterator[Callable[[object], object]]:
        if self.pattern is not None:
            yield self._matched
        if self.values:
            yield lambda value: looked_up(self.values, value)
        if self.date is not None:
            yield self._dated
        if self.units is not None:
            yield self._aged

    def _matched(self, value: object) -> object:
        given = written(value)
        match = self.pattern.search(given) if self.pattern is not None and len(given) <= _LONGEST else None
        return "" if match is None else match.expand(self.template)

    def _dated(self, value: object) -> object:
        match = self.date.fullmatch(written(value)) if self.date is not None else None
        moment = None if match is None else _moment(match.groupdict())
        if moment is None:
            return value
        return moment.isoformat(sep=" ", timespec="seconds") if self.with_time else moment.date().isoformat()

    def _aged(self, value: object) -> object:
        return _age(written(value), self.units or {}) or value


def looked_up(values: Mapping[str, object], value: object) -> object:
    """The value that a table has for what the RIS writes; unchanged where it has none."""
    given = written(value)
    return values.get(given, values.get(OTHERWISE, value) if given else value)


def written(value: object) -> str:
    """A value as the mapping file writes it: true and false as in JSON, text without blanks around it."""
    if isinstance(value, bool):
        return str(value).lower()
    return (text(value) or "").strip()


def parse(table: Mapping[str, Any], target: str, faults: list[str]) -> Conversion:
    """The conversion that a table of the mapping file names for a field; what is wrong is added to `faults`."""
    faults += [
        f"{key}: unknown; expected {', '.join(KEYS)}{did_you_mean(key, KEYS)}" for key in table if key not in KEYS
    ]
    if "split" in table and not target.startswith(_TAKES_MANY):
        faults.append("split: gives many values, and the field takes one")
    if "as" in table and "match" not in table:
        faults.append("as: belongs to a match")
    split, pattern = _pattern(table, "split", faults), _pattern(table, "match", faults)
    form, with_time = _date_form(table.get("date"), target, faults)
    return Conversion(
        split=split, pattern=pattern, template=_template(table, pattern, faults), date=form, with_time=with_time,
        values=_values(table.get("values", {}), faults), units=_units(table.get("age", False), target, faults),
    )  # fmt: skip


def are_values(table: object) -> bool:
    """Whether a table of a mapping file gives values for words."""
    return isinstance(table, Mapping) and all(isinstance(value, str | int | bool) for value in table.values())


def _values(table: object, faults: list[str]) -> Mapping[str, object]:
    if not are_values(table) or not isinstance(table, Mapping):
        faults.append('values: expected values like { "已审核" = "Reported" }')
        return {}
    return dict(table)


def _pattern(table: Mapping[str, Any], key: str, faults: list[str]) -> re.Pattern[str] | None:
    if key not in table:
        return None
    try:
        found = re.compile(table[key]) if isinstance(table[key], str) else None
    except re.error as error:
        faults.append(f"{key}: not a regular expression: {error.msg}")
        return None
    if found is None or (key == "split" and found.fullmatch("") is not None):
        faults.append(f"{key}: expected a regular expression that matches something")
        return None
    return found


def _template(table: Mapping[str, Any], pattern: re.Pattern[str] | None, faults: list[str]) -> str:
    """The text that a match becomes: what `as` says, else the first group, else the whole match."""
    if pattern is None:
        return ""
    template = table.get("as", r"\1" if pattern.groups else r"\g<0>")
    names = {number: name for name, number in pattern.groupindex.items()}
    groups = (f"(?P<{names[n]}>)" if n in names else "()" for n in range(1, pattern.groups + 1))
    alike = re.match("".join(groups), "")
    if isinstance(template, str) and alike is not None:
        with suppress(re.error, IndexError):
            alike.expand(template)
            return template
    faults.append(r"as: expected text with groups of the match, like \1")
    return ""


def _date_form(form: object, target: str, faults: list[str]) -> tuple[re.Pattern[str] | None, bool]:
    """The pattern of a date's form, and whether the field has a time of day."""
    if form is None:
        return None, False
    one = BY_PATH.get(target)
    with_time = one is not None and one.kind == "datetime"
    fault = ""
    if one is None or one.kind not in ("date", "datetime"):
        fault = "the field is no date"
    elif not isinstance(form, str) or (pattern := _of_form(form)) is None:
        fault = "expected a form like yyyyMMddHHmmss or dd.MM.yyyy HH:mm, other letters in '...'"
    else:
        names = pattern.groupindex
        if not {"year", "month", "day"} <= names.keys():
            fault = "the form lacks yyyy, MM or dd"
        elif with_time and not ("hour" in names or {"twelfth", "half"} <= names.keys()):
            fault = "the form lacks the time of day: HH, or hh with a"
        else:
            return pattern, with_time
    faults.append(f"date: {fault}")
    return None, with_time


def _of_form(form: str) -> re.Pattern[str] | None:
    parts = []
    for match in _WRITTEN.finditer(form):
        token, other = match["token"], match["other"]
        if token and token.startswith("S"):
            parts.append(f"[0-9]{{{len(token)}}}")
        elif token:
            if token not in _TOKENS:
                return None
            parts.append(_TOKENS[token])
        elif other is not None and (other == "'" or (other.isascii() and other.isalpha())):
            return None
        else:
            parts.append(re.escape(match["quoted"] if other is None else other))
    try:
        return re.compile("".join(parts), re.IGNORECASE)
    except re.error:  # a part of the date comes twice
        return None


def _moment(found: Mapping[str, str | None]) -> datetime | None:
    hour = int(found.get("hour") or 0)
    if twelfth := found.get("twelfth"):
        late = (found.get("half") or "").upper() in ("PM", "下午")
        hour = int(twelfth) % 12 + 12 * late if 1 <= int(twelfth) <= 12 else 24
    year, month, day, minute, second = (
        int(found.get(name) or 0) for name in ("year", "month", "day", "minute", "second")
    )
    try:
        return datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - as the RIS writes it, without a zone
    except ValueError:
        return None


def _units(given: object, target: str, faults: list[str]) -> Mapping[str, str] | None:
    if given is False:
        return None
    if target != "Patient.AgeDisplay":
        faults.append("age: the field is not Patient.AgeDisplay")
    elif given is True:
        return {}
    elif isinstance(given, Mapping) and given and set(given.values()) <= _UNITS.keys():
        return dict(given)
    else:
        faults.append(f'age: expected true, or units like {{ "1" = "岁" }}; there is {", ".join(_UNITS)}')
    return None


def _age(given: str, own: Mapping[str, str]) -> str:
    """An age as the standard writes it; "" where the text is no amounts with units, the larger ones first."""
    if len(parts := given.split()) == 2 and parts[0].isdecimal() and parts[1] in own:
        amounts = [(parts[0], parts[1])]
    elif re.fullmatch(f"(?:{_AMOUNT.pattern})+", given):
        amounts = _AMOUNT.findall(given)
    else:
        return ""
    units = [own.get(word) or _UNIT_OF.get(word.upper(), "") for _, word in amounts]
    order = [list(_UNITS).index(unit) for unit in units if unit]
    if len(order) < len(units) or order != sorted(set(order)):
        return ""
    return "".join(f"{int(number)}{unit}" for (number, _), unit in zip(amounts, units, strict=True))
