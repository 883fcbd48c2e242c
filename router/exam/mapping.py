"""The mapping file of a RIS whose export has other keys or values: JSON path -> field, value -> value. Pure.

    [fields]
    "data.examNo" = "ExamId"
    "data.regTime" = ["Order.RegisterTime", "Order.CheckInTime"]
    "data.items[].code" = "Order.Procedures[].CheckItemCode"
    "data.images[].uid" = "Study.StudyInstanceUIDs"
    "data.day + data.time" = "Study.StudyDate"

    "data.visit + '_' + data.item" = "ExamId"
    "data.born" = { to = "Patient.DateOfBirth", date = "dd.MM.yyyy" }

    [values."Order.Status"]
    "已审核" = "Reported"

    [constants]
    "Patient.IdNoType" = "01"

A path is keys with dots between them, from the outermost object; a key that holds a dot is written ['a.b'], one
element of an array [0], every element []. Several paths with + between them give one text, blanks between its parts;
with text in '...' among them nothing but that stands between, and a part without a value leaves the field alone. A
table in the place of a field says how the value is converted (conversions.py). In [values] "*" is every other value. A
constant fills its field where the RIS gives nothing.
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
from router.exam import conversions, hl7_paths
from router.exam.conversions import Conversion, are_values, looked_up, written
from router.exam.fields import BY_PATH, LOCAL, PROCEDURE, SECTION_NAMES
from router.exam.values import is_empty
from router.text.spelling import did_you_mean

_PATH = re.compile(r"(?:\$\.?)?(?:\.?[^.\[\]'\"$]+|\['[^']+'\]|\[\d*\])+")
_STEP = re.compile(r"\.?([^.\[\]'\"$]+)|\['([^']+)'\]|\[(\d*)\]")
_EVERY = -1
_PROCEDURES = "Order.Procedures"
_UIDS = "Study.StudyInstanceUIDs"

TEXT = "#text"
"""Key of the text of an XML element that has attributes."""
Step = str | int
"""A key, a place in an array, or _EVERY."""


@dataclass(frozen=True, slots=True)
class Target:
    """A field that takes a value, and the conversion of the value; None: it is taken as it is."""

    field: str
    conversion: Conversion | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Paths whose values are joined. `between`: the texts before, between and behind them; () for blanks between."""

    paths: tuple[tuple[Step, ...], ...]
    between: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldRule:
    """A line of [fields]: the source of a value as it is written and as it is read, and the fields that take it."""

    written: str
    source: Source
    targets: tuple[Target, ...]

    @property
    def sources(self) -> tuple[tuple[Step, ...], ...]:
        """The paths that it reads."""
        return self.source.paths


@dataclass(frozen=True, slots=True)
class RisMapping:
    """A parsed mapping file. `values` by field, then by the text that the RIS writes; `constants` by field."""

    rules: tuple[FieldRule, ...] = ()
    values: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    constants: Mapping[str, object] = field(default_factory=dict)

    def apply(self, document: Mapping[str, object]) -> dict[str, object]:
        """`document` in the standard's structure; the one given is not changed."""
        result: dict[str, Any] = copy.deepcopy(dict(document))
        found = list(self._found(document))
        for rule, _, _ in found:
            for source in rule.sources:
                _remove(result, source)
        for _, target, values in found:
            _put(result, target.field, values)
        for path, table in self.values.items():
            for holder, key in _places(result, path):
                holder[key] = looked_up(table, holder[key])
        for path, constant in self.constants.items():
            _fill(result, path, constant)
        return result

    def origins(self, document: Mapping[str, object]) -> dict[str, str]:
        """By field, the line of the mapping that gives it in this document, as the file writes it."""
        found = {target.field: rule.written for rule, target, _ in self._found(document)}
        result = self.apply(document)
        for path, constant in self.constants.items():
            if path not in found and any(holder[key] == constant for holder, key in _places(result, path)):
                found[path] = "[constants]"
        return found

    def _found(self, document: Mapping[str, object]) -> Iterator[tuple[FieldRule, Target, list[object]]]:
        """The fields that get something, with it, in the file's order: of several for one field the last counts."""
        for rule in self.rules:
            given = _copied(document, rule.source)
            for target in rule.targets if given else ():
                values = target.conversion.apply(given) if target.conversion else given
                if values:
                    yield rule, target, values


def parse(raw: Mapping[str, object], *, source: str, of_hl7: bool = False) -> RisMapping:
    """A mapping from a decoded TOML document, of JSON paths or of HL7 paths. ConfigurationError lists every fault."""
    faults = [f"{key}: unknown table; expected [fields], [values.FIELD] and [constants]" for key in raw
              if key not in _TABLES]  # fmt: skip
    fields, values, constants = (_table(raw, name, faults) for name in _TABLES)
    rules = [_rule(path, given, _source(path, of_hl7=of_hl7), faults) for path, given in fields.items()]
    for path, table in values.items():
        if path not in BY_PATH:
            faults.append(f"values.{path}: not a field of appendix B{did_you_mean(path, BY_PATH)}")
        elif not are_values(table):
            faults.append(f'values.{path}: expected values like "已审核" = "Reported"')
    faults += [f"constants.{path}: {why}" for path, value in constants.items() if (why := _no_constant(path, value))]
    if faults:
        raise ConfigurationError(f"the mapping file {source} has {len(faults)} fault(s):", faults=tuple(faults))
    return RisMapping(
        tuple(rule for rule in rules if rule), {p: dict(t) for p, t in values.items()}, dict(constants)
    )  # fmt: skip


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


_TABLES = ("fields", "values", "constants")
_EXAMPLES = "data.items[].code, or of HL7 PID-3.1 or OBX[59776-5]-5"
_PLUS = re.compile(r" \+ (?=(?:[^']*'[^']*')*[^']*$)")  # not within '...'
_QUOTED = re.compile(r"'([^']*)'")
_TYPES = {"string": str, "integer": int, "boolean": bool}


def _table(raw: Mapping[str, object], name: str, faults: list[str]) -> Mapping[str, Any]:
    given = raw.get(name, {})
    if isinstance(given, Mapping):
        return given
    faults.append(f"{name}: expected a table")
    return {}


def _no_constant(path: str, value: object) -> str:
    """The reason why a field has no such constant; "" where it may have it."""
    one = BY_PATH.get(path)
    if one is None:
        return f"not a field of appendix B{did_you_mean(path, BY_PATH)}"
    if path == "Order.Status":
        return "a constant approves every exam; set [reports] approved_only instead"
    if not one.shown or one.kind not in _TYPES or path == "Study.ImageCount":
        return "each exam has a value of its own"
    return "" if type(value) is _TYPES[one.kind] and not is_empty(value) else "a value of another type"


def _source(path: str, *, of_hl7: bool) -> Source | None:
    """The paths and the texts between them; None where one is wrong."""
    paths: list[tuple[Step, ...]] = []
    between = [""]
    parts = _PLUS.split(path)
    for part in parts:
        if quoted := _QUOTED.fullmatch(part):
            between[-1] += quoted[1]
        elif steps := _path(part, of_hl7=of_hl7):
            paths.append(steps)
            between.append("")
        else:
            return None
    return Source(tuple(paths), tuple(between) if len(paths) < len(parts) else ()) if paths else None


def _path(written: str, *, of_hl7: bool) -> tuple[Step, ...]:
    """The steps of a path; none where it is wrong."""
    if not of_hl7:
        return tuple(_steps(written)) if is_path(written) else ()
    try:
        found = hl7_paths.parse(written)
    except ValueError:
        return ()
    # The message's reader returns each value under its path as it is written.
    return (found.written, _EVERY) if found.every else (found.written,)


def _rule(path: str, given: object, source: Source | None, faults: list[str]) -> FieldRule | None:
    wrong = [] if source else [f"{path!r}: expected a path like {_EXAMPLES}"]
    targets: list[Target] = []
    for each in given if isinstance(given, list) else [given]:
        table = each if isinstance(each, Mapping) else {"to": each}
        names = table.get("to")
        for name in names if isinstance(names, list) and names else [names]:
            named, found = str(name), list[str]()
            found += _no_target(named, source)
            conversion = conversions.parse(table, named, found) if isinstance(each, Mapping) else None
            wrong += [f"{path!r} = {named!r}: {fault}" for fault in found]
            targets.append(Target(named, conversion))
    faults += wrong
    return None if wrong or source is None else FieldRule(written=path, source=source, targets=tuple(targets))


def _no_target(target: str, source: Source | None) -> Iterator[str]:
    section, _, key = target.partition(".")
    known = target in BY_PATH or key in LOCAL.get(section, frozenset())
    many = target == _UIDS or target.startswith(PROCEDURE)
    if not known or target == _PROCEDURES:
        yield f"not a field of appendix B that holds a value{did_you_mean(target, BY_PATH)}"
    elif source is not None and any(steps.count(_EVERY) > many for steps in source.paths):
        yield "[] leads to many values, and the field takes one"


def _steps(path: str) -> Iterator[Step]:
    for match in _STEP.finditer(path.removeprefix("$")):
        key, quoted, index = match.groups()
        yield key or quoted or (int(index) if index else _EVERY)


def _values(value: object, steps: tuple[Step, ...]) -> Iterator[object]:
    """The values at a path: one, or one for each element where it says []; none where it ends early.

    One element that stands alone, as XML and some exports write it, is an array of one.
    """
    if not steps:
        yield value.get(TEXT) if isinstance(value, Mapping) and TEXT in value else value
    elif steps[0] == _EVERY:
        for element in value if isinstance(value, list) else [] if is_empty(value) else [value]:
            yield next(_values(element, steps[1:]), None)
    else:
        inner = _inner(value, steps[0])
        if inner is not None:
            yield from _values(inner, steps[1:])


def _copied(document: Mapping[str, object], source: Source) -> list[object]:
    """The values of one path unchanged; those of several paths joined as text, one by one."""
    values = [list(_values(document, path)) for path in source.paths]
    if not source.between and len(values) == 1:
        return values[0]
    many = max((len(each) for each, path in zip(values, source.paths, strict=True) if _EVERY in path), default=1)
    alike = [each * many if len(each) == 1 and _EVERY not in path else each
             for each, path in zip(values, source.paths, strict=True)]  # fmt: skip
    joined = [_joined([written(part) for part in parts], source.between) for parts in zip(*alike, strict=False)]
    return list(joined) if not source.between or any(joined) else []


def _joined(parts: list[str], between: tuple[str, ...]) -> str:
    """One text; "" where texts stand between the parts and one of these is empty: half of a number is another one."""
    if not between:
        return " ".join(part for part in parts if part)
    first, *others = between
    return first + "".join(part + text for part, text in zip(parts, others, strict=True)) if all(parts) else ""


def _inner(value: object, step: Step) -> Any:
    if isinstance(step, str):
        return value.get(step) if isinstance(value, Mapping) else None
    if step == 0 and isinstance(value, Mapping):
        return value
    return value[step] if isinstance(value, list) and step < len(value) else None


def _remove(value: Any, steps: tuple[Step, ...]) -> bool:
    """Remove the values at a path, and objects and arrays that become empty; whether there were any."""
    step, rest = steps[0], steps[1:]
    if step == _EVERY:
        elements = [] if not rest else value if isinstance(value, list) else [value]
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


def _fill(document: dict[str, Any], path: str, constant: object) -> None:
    """Put a constant where the field is empty, of procedures into each. What is no object stays: it is a fault."""
    section, _, key = path.rpartition(".")
    if section == PROCEDURE:
        holders = _procedures(document)
    else:
        holders = (
            [_section(document, section)] if not section or is_empty(document.get(section)) else [document[section]]
        )
    for holder in holders:
        if isinstance(holder, dict) and is_empty(holder.get(key)):
            holder[key] = constant


def _procedures(document: dict[str, Any]) -> list[Any]:
    order = document.get("Order")
    procedures = order.get("Procedures") if isinstance(order, dict) else None
    return procedures if isinstance(procedures, list) else []


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
        holders = _procedures(document)
    elif (section := path.rpartition(".")[0]) in SECTION_NAMES:
        holders = [document.get(section)]
    yield from ((holder, key) for holder in holders if isinstance(holder, dict) and key in holder)
