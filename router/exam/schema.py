"""The JSON Schema (draft 2020-12) of a sent exam JSON, derived from FIELDS and the visit-type table.

It has structure, types, forms and required fields. Only `validate` checks check digits, code tables, and values
against each other.
"""

from collections.abc import Mapping

from router.exam.codes import Table, Tables
from router.exam.fields import FIELDS_OF, PROCEDURE, SECTION_NAMES, SOURCES, TABLE_NAMES, Field, Kind
from router.exam.key import REPORTED

Schema = dict[str, object]

_FORMS: Mapping[Kind, Schema] = {
    "string": {"type": "string"},
    "datetime": {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}$"},
    "date": {"type": "string", "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"},
    "integer": {"type": "integer"},
    "boolean": {"type": "boolean"},
    "array": {"type": "array", "minItems": 1},
}
# Text that is not blank by values.is_empty: \S differs between readers of a schema.
_SAID = r"[^ \t\r\n\u0000\u3000]"
_UID = {"type": "string", "maxLength": 64, "pattern": r"^[0-9]+(\.[0-9]+)+$"}
_FURTHER: Mapping[str, Schema] = {
    "USCI": {"pattern": "^[0-9A-HJ-NPQRTUWXY]{18}$"},
    "Order.Status": {"const": REPORTED},
    "Report.PositiveStatus": {"enum": [-1, 0, 1]},
    "Study.ImageCount": {"minimum": 0},
    "Study.StudyInstanceUIDs": {"items": _UID, "uniqueItems": True},
    "Patient.AgeDisplay": {
        "pattern": "^(?=.)([0-9]+岁)?([0-9]+月)?([0-9]+周)?([0-9]+天)?([0-9]+小时)?$",
        "examples": ["45岁", "1岁3月", "10月3周4天", "1天8小时"],
    },
}


def schema(tables: Tables) -> Schema:
    """The whole schema. Codes are listed for the tables that are complete."""
    whole = _object("", tables)
    properties = whole["properties"]
    assert isinstance(properties, dict)  # made a line above
    properties |= {name: {"title": zh, **_object(name, tables)} for name, zh in SECTION_NAMES.items()}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "影像检查 JSON 数据 (DB11 6.4)",
        **whole,
        "required": [*_required(""), *SECTION_NAMES],
        "allOf": [_visit_rule(one, tables["visit_types"]) for one in FIELDS_OF["Visit"] if one.visits],
    }


def _object(parent: str, tables: Tables) -> Schema:
    properties = {one.key: _property(one, tables) for one in FIELDS_OF[parent]}
    return {
        "type": "object", "properties": properties, "required": _required(parent), "additionalProperties": False,
    }  # fmt: skip


def _required(parent: str) -> list[str]:
    """The required keys of an object. A key that only some visits require is always there, empty for the others."""
    return [one.key for one in FIELDS_OF[parent] if one.required in {"always", "when"}]


def _property(one: Field, tables: Tables) -> Schema:
    form: Schema = {"title": one.name, **_FORMS[one.kind], **_FURTHER.get(one.path, {})}
    if one.required == "always" and one.kind == "string":
        form = {"pattern": _SAID, **form}
    if one.path == "Order.Procedures":
        form["items"] = _object(PROCEDURE, tables)
    table = tables[one.table] if one.table else Table()
    if table.complete and not one.is_name:
        form["enum"] = list(table.names)
    return form | ({"description": text} if (text := describe(one)) else {})


def describe(one: Field) -> str:
    """A field's code table, and its sources where the RIS gives nothing, in words."""
    table = f"code table {one.table}.csv: {TABLE_NAMES[one.table]}" if one.table else ""
    filled = ", ".join(SOURCES[source] for source in one.sources)
    return "; ".join(part for part in (table, f"filled from {filled}" if filled else "") if part)


def _visit_rule(one: Field, visits: Table) -> Schema:
    codes = [code for code, kind in visits.kinds.items() if kind in one.visits]
    due = {"properties": {one.key: {"pattern": _SAID}}}
    of_kind = {"properties": {"PatientType": {"enum": codes}}, "required": ["PatientType"]}
    return {"if": {"properties": {"Visit": of_kind}, "required": ["Visit"]}, "then": {"properties": {"Visit": due}}}
