"""Checks of a document against appendices A and B: every fault at once, nothing filled."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from router.config.sections import Hospital
from router.exam.codes import Tables
from router.exam.conditions import Remark, Terms, missing, remarks
from router.exam.faults import Fault, Findings, mend_gap, noun, shape, show
from router.exam.fields import BY_PATH, FIELDS_OF, LOCAL, PROCEDURE, SECTION_NAMES, Field, Kind
from router.exam.times import EARLIEST, LATEST, obscure
from router.exam.values import is_absent, is_empty

_DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]{1,64}")


@dataclass(slots=True)
class _Collected:
    errors: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def add(self, path: str, name: str, remark: Remark) -> None:
        into = self.warnings if remark.severity == "warning" else self.errors
        into.append(Fault(
            path=path + remark.at, name=name, expected=remark.expected, found=remark.found or "", mend=remark.mend
        ))  # fmt: skip


def validate(
    document: Mapping[str, object], *, tables: Tables, zone: ZoneInfo, accept_empty: Collection[str] = frozenset(),
    hospital: Hospital | None = None, now: datetime | None = None, tolerance: timedelta | None = None,
) -> Findings:  # fmt: skip
    """Every fault of `document`, in appendix A's order.

    `tables` are the code tables, `zone` is that of the document's times. `accept_empty` names required fields by
    their path in FIELDS that may be absent or empty. With `hospital`, disagreement with it is a warning. With `now`
    (aware), an approval later than that by more than `tolerance` is an error, by less a warning.
    """
    terms = Terms(
        document=document, tables=tables, accept_empty=accept_empty, now=now, tolerance=tolerance or timedelta(),
        zone=zone,
    )  # fmt: skip
    found = _Collected()
    _check_object(document, "", "", terms, found)
    for section, name in SECTION_NAMES.items():
        given = document.get(section)
        if given is None or isinstance(given, Mapping):
            _check_object(given or {}, section, section + ".", terms, found)
        else:
            found.add(section, name, Remark("expected an object", found=noun(given)))
    if hospital is not None:
        _compare(document, hospital, found)
    return Findings(tuple(found.errors), tuple(found.warnings))


def unlisted(given: Mapping[str, object], parent: str) -> Iterator[str]:
    """The keys of the object `parent` that the standard does not list; "?" for a key that is no plain word."""
    listed = _KEYS_OF[parent]
    for key, value in given.items():
        local = not parent and isinstance(value, Mapping) and value.keys() <= LOCAL.get(key, frozenset())
        if key not in listed and not local:
            yield key if _PLAIN_KEY.fullmatch(key) else "?"


def _check_object(given: Mapping[str, object], parent: str, prefix: str, terms: Terms, found: _Collected) -> None:
    for key in unlisted(given, parent):
        found.add(prefix + key, "", Remark("not a key of the standard: it is not sent", "warning"))
    for one in FIELDS_OF[parent]:
        value = given.get(one.key)
        for remark in _remarks(one, value, given, terms):
            found.add(prefix + one.key, one.name, remark)
        for index, element in enumerate(value if one.path == "Order.Procedures" and isinstance(value, list) else ()):
            path = f"Order.Procedures[{index}]"
            if isinstance(element, Mapping):
                _check_object(element, PROCEDURE, path + ".", terms, found)
            else:
                found.add(path, one.name, Remark("expected an object", found=noun(element)))


def _remarks(one: Field, value: object, holder: Mapping[str, object], terms: Terms) -> Iterator[Remark]:
    if is_absent(value, one.kind, terms.zone):
        yield from _absence(one, holder, terms)
    elif not _OF_KIND[one.kind](value):
        why = obscure(value) if one.kind == "datetime" else ""
        yield Remark(f"expected {_EXPECTED[one.kind]}", found=shape(value, why) if one.kind in _DAYS else noun(value))
    else:
        for remark in remarks(one, value, holder, terms):
            quoted = show(one, value) if remark.found is None else remark.found
            yield Remark(f"expected {remark.expected}", remark.severity, at=remark.at, found=quoted, mend=remark.mend)


def _absence(one: Field, holder: Mapping[str, object], terms: Terms) -> Iterator[Remark]:
    if one.required == "never" or one.path in terms.accept_empty:
        yield from missing(one, terms)
        return
    if one.required == "always":
        yield Remark("missing: the standard requires it", mend=mend_gap(one))
    elif one.required == "known":
        yield Remark("missing: the standard requires it where there is one (有则必填)", "warning", mend=mend_gap(one))
    elif (visit := terms.visit) in one.visits:
        yield Remark(f"missing: the standard requires it of {visit} visits", mend=mend_gap(one))
    elif one.key not in holder:
        yield Remark("the key is absent: it stays, empty, when the visit has no such number", "warning")


def _is_on_calendar(value: object, form: re.Pattern[str]) -> bool:
    try:
        return isinstance(value, str) and form.fullmatch(value) is not None and bool(datetime.fromisoformat(value))
    except ValueError:
        return False


_OF_KIND: Mapping[Kind, Callable[[object], bool]] = {
    "string": lambda value: isinstance(value, str),
    "datetime": lambda value: _is_on_calendar(value, _DATETIME) and EARLIEST <= int(str(value)[:4]) <= LATEST,
    "date": lambda value: _is_on_calendar(value, _DATE),
    "integer": lambda value: type(value) is int,
    "boolean": lambda value: type(value) is bool,
    "array": lambda value: type(value) is list,
}
_DAYS = frozenset({"datetime", "date"})
_EXPECTED: Mapping[Kind, str] = {
    "string": "text",
    "datetime": "yyyy-MM-dd HH:mm:ss",
    "date": "yyyy-MM-dd",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "an array",
}
_KEYS_OF: Mapping[str, frozenset[str]] = {
    parent: frozenset(one.key for one in fields) | (frozenset(SECTION_NAMES) if not parent else frozenset())
    for parent, fields in FIELDS_OF.items()
}


def _compare(document: Mapping[str, object], hospital: Hospital, found: _Collected) -> None:
    expected: Mapping[str, Collection[str]] = {
        "USCI": {hospital.USCI},
        "HospitalCode": {hospital.HospitalCode},
        "HospitalName": {hospital.HospitalName},
        "HospitalBranchCode": {hospital.HospitalBranchCode, *(branch.code for branch in hospital.branch)},
    }
    for path, allowed in expected.items():
        given, one = document.get(path), BY_PATH[path]
        if isinstance(given, str) and not is_empty(given) and given not in allowed:
            text = f"expected what [hospital] {path} in the configuration says"
            mend = "the RIS export or [hospital] of the configuration"
            found.add(path, one.name, Remark(text, "warning", found=show(one, given), mend=mend))
