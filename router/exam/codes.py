"""Code tables: the hospital's own code or name -> the standard's code and name. Pure; the files are read elsewhere.

A table is a CSV file with a header line; lines that begin with # are comments:

    own_code,own_name,code,name
    0301,呼吸内科门诊,03.01,呼吸内科专业
    ,,03,内科

A row without own code and name only lists a standard value. visit_types has a fifth column, `kind`.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import get_args

from router.errors import ConfigurationError
from router.exam.fields import TABLE_NAMES, VisitKind
from router.exam.values import stripped

_COLUMNS = ("own_code", "own_name", "code", "name")
_KINDS: tuple[VisitKind, ...] = get_args(VisitKind)


@dataclass(frozen=True, slots=True)
class Entry:
    """A standard code with its name."""

    code: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One code table. `names` by standard code; `own_codes` and `own_names` map to standard codes.

    `complete`: a code that is not in it is an error, not only a warning. A table without rows checks nothing.
    """

    complete: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    own_codes: Mapping[str, str] = field(default_factory=dict)
    own_names: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, VisitKind] = field(default_factory=dict)

    def entry(self, code: str) -> Entry | None:
        """The row of a standard code."""
        return Entry(code, self.names[code]) if code in self.names else None

    def named(self, name: str) -> Entry | None:
        """The one row that has this standard name."""
        codes = [code for code, known in self.names.items() if known == name] if name else []
        return Entry(codes[0], name) if len(codes) == 1 else None

    def of_own(self, code: str, name: str) -> Entry | None:
        """The row for the hospital's own code, else its own name, else a name that is the standard's already."""
        if (found := self.own_codes.get(code)) or (found := self.own_names.get(name)):
            return self.entry(found)
        return self.named(name)

    def translated(self, value: str) -> Entry | None:
        """The row for the value of a field without a partner: a standard code, or the hospital's word for one."""
        return self.entry(value) or self.of_own(value, value)


Tables = Mapping[str, Table]
"""Code tables by name: every name of TABLE_NAMES is there."""

NO_TABLES: Tables = {name: Table() for name in TABLE_NAMES}


def parse(text: str, name: str, *, complete: bool = False) -> Table:
    """The table `name` from its CSV text. ConfigurationError lists every fault with its line."""
    rows, faults = _rows(text, name)
    names: dict[str, str] = {}
    own: tuple[dict[str, str], dict[str, str]] = ({}, {})
    kinds: dict[str, VisitKind] = {}
    for line, row in rows:
        faults += [f"line {line}: {fault}" for fault in _enter(row, names, own, kinds, with_kind=name == "visit_types")]
    if faults:
        raise ConfigurationError(f"the code table {name} has {len(faults)} fault(s):", faults=tuple(faults))
    return Table(complete=complete, names=names, own_codes=own[0], own_names=own[1], kinds=kinds)


def _rows(text: str, name: str) -> tuple[list[tuple[int, Mapping[str, str]]], list[str]]:
    lines = [(n, line) for n, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    parsed = [(n, [stripped(cell) for cell in next(csv.reader([line]))]) for n, line in lines]
    wanted = (*_COLUMNS, "kind") if name == "visit_types" else _COLUMNS
    header = [cell.lower() for cell in parsed[0][1]] if parsed else []
    if missing := [column for column in wanted if column not in header]:
        return [], [f"the first line must name the columns {','.join(wanted)}; missing: {', '.join(missing)}"]
    return [(n, dict(zip(header, cells, strict=False))) for n, cells in parsed[1:]], []


def _enter(
    row: Mapping[str, str], names: dict[str, str], own: tuple[dict[str, str], dict[str, str]],
    kinds: dict[str, VisitKind], *, with_kind: bool,
) -> Iterator[str]:  # fmt: skip
    code, name = row.get("code", ""), row.get("name", "")
    if not code or not name:
        yield "code and name must both be there"
        return
    if names.setdefault(code, name) != name:
        yield f"code {code} has the name {names[code]} in an earlier line"
    for column, known in zip(("own_code", "own_name"), own, strict=True):
        value = row.get(column, "")
        if value and known.setdefault(value, code) != code:
            yield f"{column} {value} stands for {known[value]} in an earlier line"
    if with_kind:
        kind = next((known for known in _KINDS if known == row.get("kind")), None)
        if kind is None or kinds.setdefault(code, kind) != kind:
            yield f"kind {row.get('kind')!r}: expected one of {', '.join(_KINDS)}, the same in every row of a code"
