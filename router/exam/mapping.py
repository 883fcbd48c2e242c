"""The mapping file of a RIS whose export has other keys or values: JSON path -> field, value -> value. Pure.

    [fields]
    "data.examNo" = "ExamId"
    "data.regTime" = ["Order.RegisterTime", "Order.CheckInTime"]
    "data.items[].code" = "Order.Procedures[].CheckItemCode"
    "data.images[].uid" = "Study.StudyInstanceUIDs"
    "data.day + data.time" = "Study.StudyDate"

    [values."Order.Status"]
    "已审核" = "Reported"

A path is keys with dots between them, from the outermost object; a key that holds a dot is written ['a.b'], one
element of an array [0], every element []. Several paths with + between them give one text, blanks between its parts.
The value at a path is copied to its fields, and wins over a value at the standard's own path. A path that leads
nowhere changes nothing. Local.PatientId is a target that is no field of the standard: a number by which the patient is
compared with the images ([identity] patient_id), and which is never sent.
"""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from router.errors import ConfigurationError
from router.exam import hl7_paths
from router.exam.fields import BY_PATH, LOCAL, PROCEDURE, SECTION_NAMES
from router.exam.values import is_empty, text
from router.text.spelling import did_you_mean

_PATH = re.compile(r"(?:\$\.?)?(?:\.?[^.\[\]'\"$]+|\['[^']+'\]|\[\d*\])+")
_STEP = re.compile(r"\.?([^.\[\]'\"$]+)|\['([^']+)'\]|\[(\d*)\]")
_EVERY = -1
_PROCEDURES = "Order.Procedures"
_UIDS = "Study.StudyInstanceUIDs"

Step = str | int
"""A key, a place in an array, or _EVERY."""


@dataclass(frozen=True, slots=True)
class FieldRule:
    """The path of a value in the RIS's document, and the fields that it is copied to."""

    sources: tuple[tuple[Step, ...], ...]
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RisMapping:
    """A parsed mapping file. `values` by field, then by the text that the RIS writes."""

    rules: tuple[FieldRule, ...] = ()
    values: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def apply(self, document: Mapping[str, object]) -> dict[str, object]:
        """`document` in the standard's structure; the one given is not changed."""
        result: dict[str, Any] = copy.deepcopy(dict(document))
        found = [(rule, _copied(document, rule.sources)) for rule in self.rules]
        for rule, values in found:
            for source in rule.sources if values else ():
                _remove(result, source)
        for rule, values in found:
            for target in rule.targets if values else ():
                _put(result, target, values)
        for path, table in self.values.items():
            for holder, key in _places(result, path):
                holder[key] = table.get(_written(holder[key]), holder[key])
        return result


def parse(raw: Mapping[str, object], *, source: str, of_hl7: bool = False) -> RisMapping:
    """A mapping from a decoded TOML document, of JSON paths or of HL7 paths. ConfigurationError lists every fault."""
    faults = [f"{key}: unknown table; expected [fields] and [values.FIELD]" for key in raw if key not in _TABLES]
    fields, values = (_table(raw, name, faults) for name in _TABLES)
    rules = [_rule(path, given, _sources(path, of_hl7=of_hl7), faults) for path, given in fields.items()]
    for path, table in values.items():
        if path not in BY_PATH:
            faults.append(f"values.{path}: not a field of appendix B{did_you_mean(path, BY_PATH)}")
        elif not isinstance(table, Mapping) or not all(isinstance(v, str | int | bool) for v in table.values()):
            faults.append(f'values.{path}: expected values like "已审核" = "Reported"')
    if faults:
        raise ConfigurationError(f"the mapping file {source} has {len(faults)} fault(s):", faults=tuple(faults))
    return RisMapping(tuple(rule for rule in rules if rule), {p: dict(t) for p, t in values.items()})


def value_line(word: str, value: str) -> str:
    """The line of a [values.FIELD] table that gives a RIS's word the standard's value."""
    # A basic string of TOML 1.0 has JSON's form, but for DEL.
    return " = ".join(json.dumps(each, ensure_ascii=False).replace("\x7f", "\\u007f") for each in (word, value))


def is_path(written: str) -> bool:
    """Whether it is a JSON path."""
    return _PATH.fullmatch(written) is not None


def values_at(document: Mapping[str, object], written: str) -> list[object]:
    """Values that a JSON path leads to in a document; nothing where it ends early."""
    return list(_values(document, tuple(_steps(written))))


_TABLES = ("fields", "values")
_EXAMPLES = "data.items[].code, or of HL7 PID-3.1 or OBX[59776-5]-5"


def _table(raw: Mapping[str, object], name: str, faults: list[str]) -> Mapping[str, Any]:
    given = raw.get(name, {})
    if isinstance(given, Mapping):
        return given
    faults.append(f"{name}: expected a table")
    return {}


def _sources(path: str, *, of_hl7: bool) -> tuple[tuple[Step, ...], ...]:
    """The steps of the paths; none where one is wrong."""
    parts = path.split(" + ")
    if not of_hl7:
        return tuple(tuple(_steps(part)) for part in parts) if all(map(is_path, parts)) else ()
    try:
        paths = [hl7_paths.parse(part) for part in parts]
    except ValueError:
        return ()
    # The message's reader returns each value under its path as it is written.
    return tuple((found.written, _EVERY) if found.every else (found.written,) for found in paths)


def _rule(path: str, given: object, sources: tuple[tuple[Step, ...], ...], faults: list[str]) -> FieldRule | None:
    targets = [str(target) for target in (given if isinstance(given, list) else [given])]
    wrong = [] if sources else [f"{path!r}: expected a path like {_EXAMPLES}"]
    for target in targets:
        section, _, key = target.partition(".")
        known = target in BY_PATH or key in LOCAL.get(section, frozenset())
        if not known or target == _PROCEDURES:
            meant = did_you_mean(target, BY_PATH)
            wrong.append(f"{path!r} = {target!r}: not a field of appendix B that holds a value{meant}")
        elif any(steps.count(_EVERY) > (target == _UIDS or target.startswith(PROCEDURE)) for steps in sources):
            wrong.append(f"{path!r} = {target!r}: [] leads to many values, and the field takes one")
    faults += wrong
    return None if wrong else FieldRule(sources, tuple(targets))


def _steps(path: str) -> Iterator[Step]:
    for match in _STEP.finditer(path.removeprefix("$")):
        key, quoted, index = match.groups()
        yield key or quoted or (int(index) if index else _EVERY)


def _values(value: object, steps: tuple[Step, ...]) -> Iterator[object]:
    """The values at a path: one, or one for each element where it says []; none where it ends early."""
    if not steps:
        yield value
    elif steps[0] == _EVERY:
        for element in value if isinstance(value, list) else []:
            yield next(_values(element, steps[1:]), None)
    else:
        inner = _inner(value, steps[0])
        if inner is not None:
            yield from _values(inner, steps[1:])


def _copied(document: Mapping[str, object], sources: tuple[tuple[Step, ...], ...]) -> list[object]:
    """The values of one path unchanged; those of several paths joined as text, one by one."""
    values = [list(_values(document, source)) for source in sources]
    if len(values) == 1:
        return values[0]
    return [" ".join(part for part in map(_written, parts) if part) for parts in zip(*values, strict=False)]


def _inner(value: object, step: Step) -> Any:
    if isinstance(step, str):
        return value.get(step) if isinstance(value, Mapping) else None
    return value[step] if isinstance(value, list) and step < len(value) else None


def _remove(value: Any, steps: tuple[Step, ...]) -> bool:
    """Remove the values at a path, and objects and arrays that become empty; whether there were any."""
    step, rest = steps[0], steps[1:]
    if step == _EVERY:
        elements = value if isinstance(value, list) and rest else []
        return [_remove(element, rest) for element in elements].count(True) > 0
    inner = _inner(value, step)
    if inner is None or isinstance(step, int) or (rest and not _remove(inner, rest)):
        return False
    if not rest or _hollow(inner):
        del value[step]
    return True


def _hollow(value: object) -> bool:
    return is_empty(value) or (isinstance(value, list) and all(_hollow(one) for one in value))


def _put(document: dict[str, Any], target: str, values: list[object]) -> None:
    if target.startswith(PROCEDURE):
        order = _section(document, "Order")
        given = order.get("Procedures")
        procedures: list[Any] = given if isinstance(given, list) else []
        procedures += [{} for _ in range(len(values) - len(procedures))]
        order["Procedures"] = procedures
        for element, value in zip(procedures, values, strict=False):
            if isinstance(element, dict):
                element[target.rpartition(".")[2]] = value
        return
    section, _, key = target.rpartition(".")
    value = values if target == _UIDS and not (len(values) == 1 and isinstance(values[0], list)) else values[0]
    _section(document, section)[key] = value


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    if not name:
        return document
    if not isinstance(document.get(name), dict):
        document[name] = {}
    section: dict[str, Any] = document[name]
    return section


def _places(document: dict[str, Any], path: str) -> Iterator[tuple[dict[str, Any], str]]:
    """The objects that hold the field, and its key there."""
    key = path.rpartition(".")[2]
    holders: list[Any] = [document]
    if path.startswith(PROCEDURE):
        order = document.get("Order")
        procedures = order.get("Procedures") if isinstance(order, dict) else None
        holders = procedures if isinstance(procedures, list) else []
    elif (section := path.rpartition(".")[0]) in SECTION_NAMES:
        holders = [document.get(section)]
    yield from ((holder, key) for holder in holders if isinstance(holder, dict) and key in holder)


def _written(value: object) -> str:
    """A value as the mapping file writes it: true and false as in JSON, text without blanks around it."""
    if isinstance(value, bool):
        return str(value).lower()
    return (text(value) or "").strip()
