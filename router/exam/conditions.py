"""Rules of appendix B, and of the standards that it refers to, about single values and values together.

A rule gets a value of the right type that is not empty, and yields remarks; it never changes anything.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from router.exam.age import age_days
from router.exam.codes import Table, Tables
from router.exam.faults import RIS, Severity, shape, show, table_file
from router.exam.fields import BY_PATH, TABLE_NAMES, Field, VisitKind
from router.exam.identifiers import (
    citizen_birth_date,
    citizen_division_ok,
    citizen_number_ok,
    citizen_sex,
    uid_ok,
    uid_strict,
    usci_ok,
)
from router.exam.key import REPORTED
from router.exam.placeholders import is_identity_number, is_spoiled, is_telephone, says_nothing
from router.exam.times import instant
from router.exam.values import stripped

_IDENTITY_CARD = "01"  # CV02.01.101
_AGE = re.compile(r"(?=.)(?:[0-9]+岁)?(?:[0-9]+月)?(?:[0-9]+周)?(?:[0-9]+天)?(?:[0-9]+小时)?")
# The events of an exam in their usual order; another order is odd.
_ORDER_OF_TIMES = (
    "Order.ApplyTime", "Order.RegisterTime", "Order.CheckInTime", "Study.StudyDate", "Report.SubmitTime",
    "Report.ApproveTime",
)  # fmt: skip

# The ends of the keys that hold a code or a number as text.
_OF_CODES = ("Id", "Code", "CodeStd", "Number", "No", "Type", "Telephone")
_FREE_TEXT = frozenset({"Report.Findings", "Report.Impression"})


@dataclass(frozen=True, slots=True)
class Remark:
    """Remark of a rule. `at` is appended to the field's path; `found` None means the field's own value."""

    expected: str
    severity: Severity = "error"
    _: KW_ONLY
    at: str = ""
    found: str | None = None
    mend: str = RIS


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Context of a rule beside its own value. `holder` is the object that the value is in."""

    document: Mapping[str, object]
    tables: Tables
    accept_empty: Collection[str]
    now: datetime | None
    tolerance: timedelta
    zone: ZoneInfo

    def text(self, path: str) -> str:
        """The text at the path of a field outside Procedures, stripped; "" when there is none."""
        return stripped(self.value(path))

    def value(self, path: str) -> object:
        """The value at the path of a field outside Procedures; None when there is none."""
        section, _, key = path.partition(".")
        holder = self.document.get(section)
        return holder.get(key) if isinstance(holder, Mapping) else None

    def says(self, path: str) -> bool:
        """Whether there is text at the path, and not a word for none."""
        return bool(given := self.text(path)) and not says_nothing(given)

    @property
    def visit(self) -> VisitKind | None:
        """The kind of the visit by the visit-type table; None when its code is unknown."""
        return self.tables["visit_types"].kinds.get(self.text("Visit.PatientType"))


def remarks(one: Field, value: object, holder: Mapping[str, object], terms: Terms) -> Iterator[Remark]:
    """All remarks on a value of the right type."""
    if isinstance(value, str) and (spoiled := _spoiled(one, value, terms)) is not None:
        yield spoiled
        return
    if isinstance(value, str) and _stands_for_none(one, value):
        yield Remark("a value or nothing", "warning", found="a word for none")
    if one.table and isinstance(value, str):
        yield from _coded(one, value, holder, terms.tables[one.table])
    if one.path in _ORDER_OF_TIMES and isinstance(value, str):
        yield from _in_order(one, value, terms)
    if one.path in _RULES:
        yield from _RULES[one.path](value, terms)


def missing(one: Field, terms: Terms) -> Iterator[Remark]:
    """Remarks on an optional field without a value that another field asks for."""
    if one.path == "Report.CriticalType" and terms.value("Report.IsCritical") is True:
        yield Remark("missing: IsCritical (是否危急) is true", "warning", mend=RIS)
    if one.path == "Report.IsCritical" and terms.says("Report.CriticalType"):
        yield Remark("missing: there is a CriticalType (危急类型)", "warning", mend=RIS)


def _spoiled(one: Field, value: str, terms: Terms) -> Remark | None:
    """A code that a spreadsheet has made a number."""
    known = one.table and terms.tables[one.table].entry(stripped(value))
    if one.kind != "string" or not one.key.endswith(_OF_CODES) or not is_spoiled(value) or known:
        return None
    due = one.required == "always" or (one.required == "when" and terms.visit in one.visits)
    found = f"{show(one, value)}, as a spreadsheet writes a number"
    return Remark("the code as text", "error" if due else "warning", found=found)


def _stands_for_none(one: Field, value: str) -> bool:
    due_text = one.kind == "string" and one.required != "never" and not one.table
    return due_text and one.path not in _FREE_TEXT and one.path not in _RULES and says_nothing(value)


def _coded(one: Field, value: str, holder: Mapping[str, object], table: Table) -> Iterator[Remark]:
    if not table.names:
        return
    code = stripped(holder.get(one.key.replace("NameStd", "CodeStd"))) if one.is_name else stripped(value)
    entry = table.entry(code)
    if entry is None and not one.is_name:
        expected = f"a code of {TABLE_NAMES[one.table]}"
        if one.table == "visit_types":
            expected += _VISIT_UNKNOWN
        yield Remark(expected, "error" if table.complete else "warning", mend=f"{RIS} or {table_file(one)}")
    elif entry is not None and one.is_name and entry.name != stripped(value):
        yield Remark(f'"{entry.name}", the name of code "{code}"', "warning", mend=f"{RIS} or {table_file(one)}")


def _in_order(one: Field, value: str, terms: Terms) -> Iterator[Remark]:
    for before in reversed(_ORDER_OF_TIMES[: _ORDER_OF_TIMES.index(one.path)]):
        earlier = instant(terms.text(before), terms.zone)
        if earlier is not None:
            mine = instant(value, terms.zone)
            if mine is not None and mine < earlier:
                yield Remark(f"a time not before {before} ({BY_PATH[before].name})", "warning", found="an earlier one")
            return


def _unless(fits: Callable[[Any], bool], expected: str) -> Callable[[object, Terms], Iterator[Remark]]:
    """The rule of a value that is right or wrong by itself."""
    return lambda value, _: iter(() if fits(value) else (Remark(expected),))


def _status(value: str, terms: Terms) -> Iterator[Remark]:
    if value != REPORTED:
        approved = ", and ApproveTime (审核时间) says that it is" if terms.text("Report.ApproveTime") else ""
        yield Remark(f"{REPORTED}: only an approved report is shared{approved}")


def _age(value: str, terms: Terms) -> Iterator[Remark]:
    if _AGE.fullmatch(value) is None:
        yield Remark("an age like 45岁 / 1岁3月 / 10月3周4天 / 1天8小时")
        return
    born, day = _day(terms.text("Patient.DateOfBirth")), _day(terms.text("Study.StudyDate")[:10])
    if born is None or day is None or day < born:
        return
    least, most = age_days(value)
    if not least <= (day - born).days <= most:
        yield Remark("the age at StudyDate (检查日期) by DateOfBirth (出生日期)", "warning", found="another one")


def _born(value: str, terms: Terms) -> Iterator[Remark]:
    studied = _day(terms.text("Study.StudyDate")[:10])
    born = _day(value)
    if born is not None and studied is not None and born > studied:
        yield Remark("a day not after StudyDate (检查日期)", "warning", found="a later one")


def _identity_number(value: str, terms: Terms) -> Iterator[Remark]:
    if terms.text("Patient.IdNoType") != _IDENTITY_CARD:
        if not is_identity_number(value):
            yield Remark("the number of an identity document", "warning")
        return
    if not citizen_number_ok(value):
        yield Remark("a citizen identity number: 18 characters with a birth date and a check digit (GB 11643)")
        return
    if not citizen_division_ok(value):
        yield Remark("an identity number whose first two digits are a province's (GB/T 2260)", "warning")
    born = terms.text("Patient.DateOfBirth")
    if _day(born) is not None and born != citizen_birth_date(value):
        yield Remark("the same date of birth as DateOfBirth (出生日期)", "warning", found="another one in the number")
    if (sex := terms.text("Patient.Gender")) in {"1", "2"} and sex != citizen_sex(value):
        yield Remark("the same sex as Gender (性别)", "warning", found="another one in the number")


def _exam_id(value: str, _terms: Terms) -> Iterator[Remark]:
    visit, _, item = stripped(value).partition("_")
    if not (visit and item):
        yield Remark("就诊单号_检查项目编号 with _ between the two numbers", "warning")


def _telephone(value: str, _terms: Terms) -> Iterator[Remark]:
    if not is_telephone(value):
        yield Remark("a telephone number that receives the notice of the report", "warning")


def _critical(value: bool, terms: Terms) -> Iterator[Remark]:
    if not value and terms.says("Report.CriticalType"):
        yield Remark("true where there is a CriticalType (危急类型)", "warning", found="false")


def _critical_type(value: str, terms: Terms) -> Iterator[Remark]:
    if says_nothing(value) and terms.value("Report.IsCritical") is True:
        yield Remark("the type of what IsCritical (是否危急) says is critical", "warning", found="a word for none")


def _positive(value: int, terms: Terms) -> Iterator[Remark]:
    if value not in (-1, 0, 1):
        yield Remark("-1 (unknown), 0 (negative) or 1 (positive)")
    elif value == 0 and terms.value("Report.IsCritical") is True:
        yield Remark("1 (positive) where IsCritical (是否危急) is true", "warning")


def _approval(value: str, terms: Terms) -> Iterator[Remark]:
    when = instant(value, terms.zone)
    if terms.now is None or when is None or when <= terms.now:
        return
    beyond = when > terms.now + terms.tolerance
    yield Remark("a time that has come", "error" if beyond else "warning", found="one in the future", mend=_CLOCK)


def _study_uids(value: list[object], _terms: Terms) -> Iterator[Remark]:
    seen: set[str] = set()
    for index, uid in enumerate(value):
        at = f"[{index}]"
        if not isinstance(uid, str) or not uid_ok(uid):
            yield Remark("a UID (PS3.5 9.1)", at=at, found=shape(uid))
            continue
        if uid in seen:
            yield Remark("each UID once", at=at, found="one that is listed already")
        elif not uid_strict(uid):
            yield Remark("a UID without components that begin with 0 (PS3.5 9.1)", "warning", at=at, found=shape(uid))
        seen.add(uid)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if len(text) == 10 else None
    except ValueError:
        return None


_CLOCK = "the clock of the RIS"
_VISIT_UNKNOWN = "; without it nobody can tell whether 门诊号 or 住院号 is due"

_RULES: Mapping[str, Callable[..., Iterator[Remark]]] = {
    "ExamId": _exam_id,
    "USCI": _unless(usci_ok, "a unified social credit code: 18 characters, the last a check character (GB 32100)"),
    "Order.Status": _status,
    "Patient.AgeDisplay": _age,
    "Patient.DateOfBirth": _born,
    "Patient.IdNo": _identity_number,
    "Report.ApproveTime": _approval,
    "Patient.Telephone": _telephone,
    "Report.CriticalType": _critical_type,
    "Report.IsCritical": _critical,
    "Report.PositiveStatus": _positive,
    "Study.ImageCount": _unless(lambda value: value >= 0, "0 or more"),
    "Study.StudyInstanceUIDs": _study_uids,
}
"""The rules of single fields; what a code table or the order of times asks comes from FIELDS."""
