"""What the JSON Schema of the exam JSON says of a document, by a validator that is not ours."""

from typing import Any

from jsonschema import Draft202012Validator


def breaches(schema: dict[str, Any], value: Any) -> list[str]:
    """The paths at which `value` breaks the schema, with the keyword that it breaks; a schema that is none raises."""
    Draft202012Validator.check_schema(schema)
    return [f"{error.json_path.removeprefix('$')}: {error.validator}" for error in _errors(schema, value)]


def fits(schema: dict[str, Any], value: Any) -> bool:
    """Whether `value` fits a schema that was looked at before."""
    return next(_errors(schema, value), None) is None


def _errors(schema: dict[str, Any], value: Any) -> Any:
    return Draft202012Validator(schema).iter_errors(value)
