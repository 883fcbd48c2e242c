"""Faults of an exam JSON, in words for those who can correct them, without patient data."""

import re
from dataclasses import dataclass
from typing import Literal

from router.exam.fields import BY_PATH, SECTION_NAMES, SOURCES, Field

RIS = "the RIS export"
_LONGEST_SHOWN = 40
_NOUNS = {str: "text", bool: "a boolean", int: "a number", float: "a number", list: "an array", dict: "an object"}
_TIME_SHAPES = frozenset({"9999-99-99 99:99:99", "9999-99-99"})

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault or warning about a field: its path (`Order.Procedures[0].CheckItemCode`) and name (检查项目编码).

    `expected` and `found` describe the value, masked where it is personal; `mend` names who can correct it.
    """

    path: str
    name: str
    expected: str
    found: str = ""
    mend: str = ""

    @property
    def message(self) -> str:
        """The fault in one line."""
        found = f", found {self.found}" if self.found else ""
        mend = f"; to mend in {self.mend}" if self.mend else ""
        return f"{self.expected}{found}{mend}"


@dataclass(frozen=True, slots=True)
class Findings:
    """Faults of a document: errors keep a report from being sent, warnings do not."""

    errors: tuple[Fault, ...]
    warnings: tuple[Fault, ...]

    @property
    def valid(self) -> bool:
        return not self.errors


def name_of(path: str) -> str:
    """The Chinese name of a field or object by its path in a document, `[0]` or `[]` alike; "" for any other."""
    plain = re.sub(r"\[\d+\]", "[]", path)
    known = BY_PATH.get(plain) or BY_PATH.get(plain.removesuffix("[]"))
    return known.name if known else SECTION_NAMES.get(plain, "")


def show(one: Field, value: object) -> str:
    """A value as a fault may show it: quoted where it is not personal, else its shape."""
    if one.shown and isinstance(value, str | int | float):
        text = str(value)
        return f'"{text[:_LONGEST_SHOWN]}{"..." if len(text) > _LONGEST_SHOWN else ""}"'
    return shape(value)


def shape(value: object, why: str = "") -> str:
    """The value with every digit as 9 and every letter as x, which shows its format and nothing personal; and `why`."""
    if not isinstance(value, str):
        return noun(value)
    shown = mask(value)
    if why:
        return f'"{shown}", {why}'
    return f'"{shown}"' if shown not in _TIME_SHAPES else f'"{shown}" that is on no calendar'


def mask(text: str) -> str:
    """The first characters of a text with every digit as 9 and every letter as x."""
    return "".join("9" if c.isdigit() else "x" if c.isalpha() else c if c in " -/.:+" else "?" for c in text[:30])


def noun(value: object) -> str:
    """The kind of a JSON value in a word."""
    return _NOUNS.get(type(value), "null")


def mend_gap(one: Field) -> str:
    """Those who can fill a field that nothing fills."""
    ways = [RIS]
    for source in one.sources:
        if source in {"hospital", "device", "sender", "department", "study"}:
            ways.append(SOURCES[source])
        elif source == "table":
            ways.append(table_file(one))
    return " or ".join(ways)


def table_file(one: Field) -> str:
    """The file name of a field's code table."""
    return f"the code table {one.table}.csv"
