"""JSON Schema 2020-12, as far as the schema of the exam JSON uses it; any other keyword is refused."""

import json
import re
from collections.abc import Iterator
from typing import Any

_TYPES = {"object": dict, "array": list, "string": str, "boolean": bool}
_ANNOTATIONS = {"$schema", "title", "description", "examples"}
_KNOWN = _ANNOTATIONS | {
    "type", "properties", "required", "additionalProperties", "items", "minItems", "uniqueItems", "pattern",
    "maxLength", "const", "enum", "minimum", "allOf", "if", "then",
}  # fmt: skip


def breaches(schema: dict[str, Any], value: Any, path: str = "") -> list[str]:
    """The paths at which `value` breaks the schema, with the keyword that it breaks."""
    assert not set(schema) - _KNOWN, set(schema) - _KNOWN
    return [f"{path}: {keyword}" for keyword in _own(schema, value)] + list(_inner(schema, value, path))


def _own(schema: dict[str, Any], value: Any) -> Iterator[str]:
    if "type" in schema and not _is(schema["type"], value):
        yield "type"
    if "const" in schema and value != schema["const"]:
        yield "const"
    if "enum" in schema and value not in schema["enum"]:
        yield "enum"
    if isinstance(value, int) and value < schema.get("minimum", value):
        yield "minimum"
    if isinstance(value, str):
        yield from _of_text(schema, value)
    if isinstance(value, list):
        yield from _of_array(schema, value)


def _of_text(schema: dict[str, Any], value: str) -> Iterator[str]:
    if not re.search(schema.get("pattern", ""), value):
        yield "pattern"
    if len(value) > schema.get("maxLength", len(value)):
        yield "maxLength"


def _of_array(schema: dict[str, Any], value: list[Any]) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield "minItems"
    if schema.get("uniqueItems") and len({json.dumps(one) for one in value}) < len(value):
        yield "uniqueItems"


def _is(name: str, value: Any) -> bool:
    if name == "integer":
        return isinstance(value, int | float) and not isinstance(value, bool) and value == int(value)
    return isinstance(value, _TYPES[name])


def _inner(schema: dict[str, Any], value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (f"{path}.{key}: required" for key in schema.get("required", []) if key not in value)
        properties = schema.get("properties", {})
        for key, one in value.items():
            if key in properties:
                yield from breaches(properties[key], one, f"{path}.{key}")
            elif schema.get("additionalProperties") is False:
                yield f"{path}.{key}: additionalProperties"
    if isinstance(value, list) and "items" in schema:
        for index, one in enumerate(value):
            yield from breaches(schema["items"], one, f"{path}[{index}]")
    for one in schema.get("allOf", []):
        yield from breaches(one, value, path)
    if "if" in schema and not breaches(schema["if"], value):
        yield from breaches(schema["then"], value, path)
