"""Series rules as data: an ordered TOML file of named rules, each with a class and conditions over SeriesFacts.

    [[rule]]
    name = "ImageType LOCALIZER"
    class = "scout"
    image_type = { contains = "LOCALIZER" }

All conditions of a rule must hold; the first rule that holds decides. Text is compared without regard to case.

    equals, one_of   the whole value; of several values, joined by backslash as DICOM writes them
    contains         a part of the text, or one of a list of parts; of ImageType, one of its values
    matches          a regular expression found anywhere; ImageType joined by backslash
    min, max         a number's range, both ends included; an absent number is in no range
    above, below     the same, the end excluded
    present          true or false

The number "thin" is the configured limit for the instance's modality and body part; without one the condition fails.
A rule may name a `kind`: the thinnest stack is chosen within each kind.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, get_type_hints

from router.errors import ConfigurationError
from router.model import SeriesClass, SeriesFacts
from router.text.spelling import did_you_mean

TEXT_TESTS = ("equals", "one_of", "contains", "matches", "present")
RANGE_TESTS = ("min", "max", "above", "below")
NUMBER_TESTS = ("equals", "one_of", *RANGE_TESTS, "present")
THIN = "thin"

Operand = str | float | bool | tuple[str, ...] | tuple[float, ...] | re.Pattern[str]

_NUMERIC = {
    field.name: "int" in str(hint) or "float" in str(hint)
    for field, hint in ((f, get_type_hints(SeriesFacts)[f.name]) for f in fields(SeriesFacts))
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One test of one field; text operands are in lower case already."""

    field: str
    test: str
    operand: Operand


@dataclass(frozen=True, slots=True)
class Rule:
    """A named rule: the class of an instance for which all conditions hold. `kind` separates reformats, projections."""

    name: str
    series_class: SeriesClass
    conditions: tuple[Condition, ...] = ()
    kind: str = ""


def load(path: Path) -> tuple[Rule, ...]:
    """The rules of a file, in order. ConfigurationError lists every fault with line, rule and key."""
    try:
        text = path.read_text(encoding="utf-8")
        raw = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigurationError(f"cannot read the series rules {path}: {error}") from error
    lines = tuple(n for n, line in enumerate(text.splitlines(), 1) if re.match(r"\s*\[\[\s*rule\s*\]\]", line))
    return parse(raw, source=str(path), lines=lines)


def parse(raw: Mapping[str, Any], *, source: str, lines: tuple[int, ...] = ()) -> tuple[Rule, ...]:
    """Rules from a decoded TOML document; `lines` are the numbers of the `[[rule]]` lines."""
    faults = [f"{key}: unknown key; expected [[rule]]" for key in raw if key != "rule"]
    tables = raw.get("rule", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigurationError(f"{source}: expected [[rule]] tables")
    rules: list[Rule] = []
    names: set[object] = set()
    for number, table in enumerate(tables):
        where = f"rule {table.get('name', number + 1)!r}" + (f" (line {lines[number]})" if number < len(lines) else "")
        faults += [f"{where}: {fault}" for fault in _rule(table, rules)]
        if table.get("name") in names:
            faults.append(f"{where}: name: another rule has it already")
        names.add(table.get("name"))
    if faults:
        raise ConfigurationError(f"{source} has {len(faults)} fault(s):", faults=tuple(faults))
    return tuple(rules)


def _rule(table: Mapping[str, Any], rules: list[Rule]) -> list[str]:
    """Append the rule to `rules` unless it has faults, which are returned."""
    faults: list[str] = []
    name, series_class, kind = table.get("name"), table.get("class"), table.get("kind", "")
    if not isinstance(name, str) or not name:
        faults.append("name: missing")
    if not isinstance(kind, str):
        faults.append(f"kind = {kind!r}: expected text")
    if series_class not in list(SeriesClass):
        faults.append(f"class = {series_class!r}: expected one of {', '.join(SeriesClass)}")
    conditions: list[Condition] = []
    for field, tests in table.items():
        if field not in {"name", "class", "kind"}:
            faults += _conditions(field, tests, conditions)
    if not conditions and not faults:
        faults.append("no condition: it would decide everything")
    if not faults:
        rules.append(Rule(str(name), SeriesClass(str(series_class)), tuple(conditions), str(kind)))
    return faults


def _conditions(field: str, tests: object, conditions: list[Condition]) -> list[str]:
    if field not in _NUMERIC:
        return [f"{field}: unknown field; expected one of {', '.join(_NUMERIC)}{did_you_mean(field, _NUMERIC)}"]
    if not isinstance(tests, dict) or not tests:
        return [f'{field} = {tests!r}: expected a condition like {{ equals = "..." }}']
    faults: list[str] = []
    for test, value in tests.items():
        try:
            conditions.append(Condition(field, test, _operand(test, value, numeric=_NUMERIC[field])))
        except ValueError as error:
            faults.append(f"{field}.{test} = {value!r}: {error}")
    return faults


def _operand(test: str, value: object, *, numeric: bool) -> Operand:
    allowed = NUMBER_TESTS if numeric else TEXT_TESTS
    if test not in allowed:
        raise ValueError(f"unknown condition here; expected one of {', '.join(allowed)}")
    if test == "present":
        if not isinstance(value, bool):
            raise ValueError("expected true or false")
        return value
    if test == "one_of" or (test == "contains" and isinstance(value, list)):
        if not isinstance(value, list) or not value:
            raise ValueError("expected a list")
        return tuple(_single(one, numeric=numeric) for one in value)  # type: ignore[return-value]  # all of one kind
    if test in RANGE_TESTS and value == THIN:
        return THIN
    single = _single(value, numeric=numeric)
    try:
        return re.compile(str(value), re.IGNORECASE) if test == "matches" else single
    except re.error as error:
        raise ValueError(f"expected a regular expression: {error}") from error


def _single(value: object, *, numeric: bool) -> str | float:
    if numeric and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if not numeric and isinstance(value, str):
        return value.casefold()
    raise ValueError("expected a number" if numeric else "expected text")
