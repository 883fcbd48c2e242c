"""A document against appendices A and B, as given: every fault at once, nothing filled.

Messages show the shape of a value at most, since most values are the patient's.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from router.config import Hospital
from router.exam.fields import BY_PATH, FIELDS_OF, PROCEDURE, SECTION_NAMES, Field, Kind, VisitKind
from router.exam.identifiers import (
    citizen_birth_date,
    citizen_number_ok,
    citizen_sex,
    uid_ok,
    uid_strict,
    usci_ok,
)
from router.exam.key import REPORTED
from router.exam.values import instant, is_empty, stripped

VISIT_KINDS: Mapping[str, VisitKind] = {"1": "outpatient", "2": "emergency", "3": "inpatient", "9": "other"}
"""Visit type code to what it means (CV09.00.404)."""

_SEX_CODES = frozenset({"0", "1", "2", "9"})  # GB/T 2261.1
_IDENTITY_CARD = "01"  # CV02.01.101
_DATETIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_AGE = re.compile(r"(?=.)(?:[0-9]+岁)?(?:[0-9]+月)?(?:[0-9]+周)?(?:[0-9]+天)?(?:[0-9]+小时)?")
_TIME_SHAPES = frozenset({"9999-99-99 99:99:99", "9999-99-99"})
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_]{1,64}")
_NOUNS: Mapping[type, str] = {
    str: "text", bool: "a boolean", int: "a number", float: "a number", list: "an array", dict: "an object",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong or worth knowing: `Order.Procedures[0].CheckItemCode`, 检查项目编码, what is expected."""

    path: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class Findings:
    """Errors keep a report from being sent; warnings do not."""

    errors: tuple[Fault, ...]
    warnings: tuple[Fault, ...]

    @property
    def valid(self) -> bool:
        return not self.errors


@dataclass(frozen=True, slots=True)
class _Remark:
    message: str
    at: str = ""
    warning: bool = False


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a rule may look at beside its own value."""

    document: Mapping[str, object]
    accept_empty: Collection[str]
    now: datetime | None
    tolerance: timedelta
    zone: ZoneInfo

    def text(self, path: str) -> str:
        section, _, key = path.partition(".")
        holder = self.document.get(section)
        value = holder.get(key) if isinstance(holder, Mapping) else None
        return stripped(value)


@dataclass(slots=True)
class _Collected:
    errors: list[Fault] = field(default_factory=list)
    warnings: list[Fault] = field(default_factory=list)

    def add(self, path: str, name: str, remark: _Remark) -> None:
        into = self.warnings if remark.warning else self.errors
        into.append(Fault(path + remark.at, name, remark.message))


def validate(
    document: Mapping[str, object],
    *,
    accept_empty: Collection[str] = frozenset(),
    hospital: Hospital | None = None,
    now: datetime | None = None,
    tolerance: timedelta | None = None,
    zone: ZoneInfo,
) -> Findings:
    """Every fault of `document`, in appendix A's order.

    `accept_empty` names required fields by their path in FIELDS that may be absent or empty. With `hospital`,
    disagreement with it is a warning. With `now` (aware), an approval later than that by more than `tolerance` is an
    error, by less a warning. `zone` is that of the document's times.
    """
    terms = _Terms(document, accept_empty, now, tolerance or timedelta(), zone)
    found = _Collected()
    _check_object(document, "", "", terms, found)
    for section, name in SECTION_NAMES.items():
        given = document.get(section)
        if given is None or isinstance(given, Mapping):
            _check_object(given or {}, section, section + ".", terms, found)
        else:
            found.add(section, name, _Remark(f"expected an object, found {_noun(given)}"))
    if hospital is not None:
        _compare(document, hospital, found)
    return Findings(tuple(found.errors), tuple(found.warnings))


def unlisted(given: Mapping[str, object], parent: str) -> Iterator[str]:
    """The keys of the object `parent` that the standard does not list; "?" for one that is no plain word."""
    listed = _KEYS_OF[parent]
    for key in given:
        if key not in listed:
            yield key if _PLAIN_KEY.fullmatch(key) else "?"


def _check_object(given: Mapping[str, object], parent: str, prefix: str, terms: _Terms, found: _Collected) -> None:
    for key in unlisted(given, parent):
        found.add(prefix + key, "", _Remark("not a key of the standard; it is not sent", warning=True))
    for one in FIELDS_OF[parent]:
        path = prefix + one.key
        value = given.get(one.key)
        for remark in _remarks(one, value, one.key in given, terms):
            found.add(path, one.name, remark)
        if one.path == "Order.Procedures" and isinstance(value, list):
            _check_procedures(value, terms, found)


def _check_procedures(given: list[object], terms: _Terms, found: _Collected) -> None:
    for index, element in enumerate(given):
        path = f"Order.Procedures[{index}]"
        if isinstance(element, Mapping):
            _check_object(element, PROCEDURE, path + ".", terms, found)
        else:
            found.add(path, BY_PATH["Order.Procedures"].name, _Remark(f"expected an object, found {_noun(element)}"))


def _remarks(one: Field, value: object, present: bool, terms: _Terms) -> Iterator[_Remark]:
    if is_empty(value):
        yield from _absence(one, present, terms)
    elif wrong := _type_fault(one.kind, value):
        yield _Remark(wrong)
    elif rule := _RULES.get(one.path):
        yield from rule(value, terms)


def _absence(one: Field, present: bool, terms: _Terms) -> Iterator[_Remark]:
    if one.required == "never" or one.path in terms.accept_empty:
        return
    visit = VISIT_KINDS.get(terms.text("Visit.PatientType"))
    if one.required == "always":
        yield _Remark("missing: the standard requires it")
    elif visit in one.visits:
        yield _Remark(f"missing: the standard requires it of {visit} visits")
    elif not present:
        yield _Remark("the key is absent; it stays, empty, when the visit has no such number", warning=True)


def _type_fault(kind: Kind, value: object) -> str:
    if kind == "string":
        return "" if isinstance(value, str) else f"expected text, found {_noun(value)}"
    if kind == "datetime":
        return "" if _is_datetime(value) else f"expected yyyy-MM-dd HH:mm:ss, found {_shape(value)}"
    if kind == "date":
        return "" if _is_date(value) else f"expected yyyy-MM-dd, found {_shape(value)}"
    python = {"integer": int, "boolean": bool, "array": list}[kind]
    noun = {"integer": "a whole number", "boolean": "true or false", "array": "an array"}[kind]
    return "" if type(value) is python else f"expected {noun}, found {_noun(value)}"


def _is_datetime(value: object) -> bool:
    return isinstance(value, str) and _DATETIME.fullmatch(value) is not None and _parses(datetime.fromisoformat, value)


def _is_date(value: object) -> bool:
    return isinstance(value, str) and _DATE.fullmatch(value) is not None and _parses(date.fromisoformat, value)


def _parses(parse: Callable[[str], object], value: str) -> bool:
    try:
        parse(value)
    except ValueError:
        return False
    return True


def _noun(value: object) -> str:
    return _NOUNS.get(type(value), "null")


def _shape(value: object) -> str:
    """The value with every digit as 9 and every letter as x: enough to mend a format, nothing of the patient."""
    if not isinstance(value, str):
        return _noun(value)
    shown = "".join("9" if c.isdigit() else "x" if c.isalpha() else c if c in " -/.:+" else "?" for c in value[:30])
    return f'"{shown}"' if shown not in _TIME_SHAPES else f'"{shown}" that is on no calendar'


def _usci(value: str, _terms: _Terms) -> Iterator[_Remark]:
    if not usci_ok(value):
        yield _Remark("not a unified social credit code: 18 characters, the last a check character (GB 32100)")


def _status(value: str, _terms: _Terms) -> Iterator[_Remark]:
    if value != REPORTED:
        yield _Remark(f"expected {REPORTED}: only an approved report is shared")


def _visit_type(value: str, _terms: _Terms) -> Iterator[_Remark]:
    if value not in VISIT_KINDS:
        yield _Remark("unknown visit type: whether a clinic or inpatient number is due is not known", warning=True)


def _age(value: str, _terms: _Terms) -> Iterator[_Remark]:
    if _AGE.fullmatch(value) is None:
        yield _Remark(f"expected an age like 45岁, 1岁3月, 10月3周4天 or 1天8小时, found {_shape(value)}")


def _gender(value: str, _terms: _Terms) -> Iterator[_Remark]:
    if value not in _SEX_CODES:
        yield _Remark("expected a code of GB/T 2261.1: 0, 1, 2 or 9", warning=True)


def _identity_number(value: str, terms: _Terms) -> Iterator[_Remark]:
    if terms.text("Patient.IdNoType") != _IDENTITY_CARD:
        return
    if not citizen_number_ok(value):
        yield _Remark("not a citizen identity number: its birth date or check digit is wrong (GB 11643)")
        return
    if _is_date(born := terms.text("Patient.DateOfBirth")) and born != citizen_birth_date(value):
        yield _Remark("holds another date of birth than DateOfBirth (出生日期)", warning=True)
    if (sex := terms.text("Patient.Gender")) in {"1", "2"} and sex != citizen_sex(value):
        yield _Remark("holds another sex than Gender (性别)", warning=True)


def _approval(value: str, terms: _Terms) -> Iterator[_Remark]:
    when = instant(value, terms.zone)
    if terms.now is None or when is None or when <= terms.now:
        return
    beyond = when > terms.now + terms.tolerance
    yield _Remark("lies in the future: check the clock of the RIS", warning=not beyond)


def _positive(value: int, _terms: _Terms) -> Iterator[_Remark]:
    if value not in {-1, 0, 1}:
        yield _Remark("expected -1 (unknown), 0 (negative) or 1 (positive)")


def _image_count(value: int, _terms: _Terms) -> Iterator[_Remark]:
    if value < 0:
        yield _Remark("expected 0 or more")


def _study_uids(value: list[object], _terms: _Terms) -> Iterator[_Remark]:
    seen: set[str] = set()
    for index, uid in enumerate(value):
        at = f"[{index}]"
        if not isinstance(uid, str) or not uid_ok(uid):
            yield _Remark(f"not a UID (PS3.5 9.1), found {_shape(uid)}", at)
            continue
        if uid in seen:
            yield _Remark("listed twice", at)
        elif not uid_strict(uid):
            yield _Remark("a component of the UID begins with 0 (PS3.5 9.1)", at, warning=True)
        seen.add(uid)


_RULES: Mapping[str, Callable[..., Iterator[_Remark]]] = {
    "USCI": _usci,
    "Order.Status": _status,
    "Visit.PatientType": _visit_type,
    "Patient.AgeDisplay": _age,
    "Patient.Gender": _gender,
    "Patient.IdNo": _identity_number,
    "Report.ApproveTime": _approval,
    "Report.PositiveStatus": _positive,
    "Study.ImageCount": _image_count,
    "Study.StudyInstanceUIDs": _study_uids,
}

_KEYS_OF: Mapping[str, frozenset[str]] = {
    parent: frozenset(one.key for one in fields) | (frozenset(SECTION_NAMES) if not parent else frozenset())
    for parent, fields in FIELDS_OF.items()
}


def _compare(document: Mapping[str, object], hospital: Hospital, found: _Collected) -> None:
    branches = {hospital.HospitalBranchCode, *(branch.code for branch in hospital.branch)}
    expected: Mapping[str, Collection[str]] = {
        "USCI": {hospital.USCI},
        "HospitalCode": {hospital.HospitalCode},
        "HospitalName": {hospital.HospitalName},
        "HospitalBranchCode": branches,
    }
    for path, allowed in expected.items():
        given = document.get(path)
        if isinstance(given, str) and not is_empty(given) and given not in allowed:
            remark = _Remark(f"differs from [hospital] {path} in the configuration", warning=True)
            found.add(path, BY_PATH[path].name, remark)
