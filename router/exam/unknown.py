"""Values of a document that no code table has, to be entered there."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from router.exam.codes import Table, Tables
from router.exam.fields import FIELDS, PROCEDURE, Field
from router.exam.values import stripped


@dataclass(frozen=True, slots=True, order=True)
class Unknown:
    """A value to be entered: the hospital's own code and name, or a standard code that the RIS gives."""

    table: str
    kind: Literal["own", "standard"]
    code: str
    name: str


def unknown(document: Mapping[str, object], tables: Tables) -> Iterator[Unknown]:
    """The unknown values, each once for every field of every object that has one."""
    for one in FIELDS:
        if not one.table or one.is_name:
            continue
        for holder in _holders(document, one):
            if found := _of_holder(one, holder, tables[one.table]):
                yield found


def _holders(document: Mapping[str, object], one: Field) -> list[Mapping[str, object]]:
    section = one.path.split(".")[0] if one.parent else ""
    outer = document.get(section) if section else document
    if one.parent != PROCEDURE:
        return [outer] if isinstance(outer, Mapping) else []
    procedures = outer.get("Procedures") if isinstance(outer, Mapping) else None
    return [each for each in procedures if isinstance(each, Mapping)] if isinstance(procedures, list) else []


def _of_holder(one: Field, holder: Mapping[str, object], table: Table) -> Unknown | None:
    if not one.own:
        value = stripped(holder.get(one.key))
        known = not value or not table.names or table.translated(value) is not None
        return None if known else Unknown(one.table, "own", value, "")
    base = one.key.removesuffix("CodeStd")
    ends = ("Code", "Name", "CodeStd", "NameStd")
    own_code, own_name, code, name = (stripped(holder.get(base + end)) for end in ends)
    if code or name:
        known = not table.names or (table.entry(code) if code else table.named(name)) is not None
        return None if known else Unknown(one.table, "standard", code, name)
    known = not (own_code or own_name) or table.of_own(own_code, own_name) is not None
    return None if known else Unknown(one.table, "own", own_code, own_name)
