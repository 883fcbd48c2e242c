"""Filling of the gaps that a RIS leaves, from facts that the node knows for certain; no value is invented.

FIELDS declares the sources of each field. The value of the RIS wins; a source that contradicts it is noted.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from router.config.sections import Department, Device, Hospital
from router.exam.age import age_display
from router.exam.codes import NO_TABLES, Table, Tables
from router.exam.faults import Fault, name_of, show
from router.exam.fields import BY_PATH, FIELDS, FIELDS_OF, PROCEDURE, SECTION_NAMES, SOURCES, Field, Source
from router.exam.offers import (
    StudyFacts,
    department_offers,
    device_offers,
    earliest_first,
    hospital_offers,
    sender_offers,
    study_offers,
)
from router.exam.validate import unlisted
from router.exam.values import converted, is_absent, is_empty, stripped, uids
from router.exam.write import ordered

_CHINA = ZoneInfo("Asia/Shanghai")
_FREE_TEXT = frozenset({"Order.DeviceName", "Study.StudyDescription"})  # these differ by nature: no contradiction


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Sources that gaps are filled from.

    `branch` is the exam's; `modality_aes` are the calling AE titles that belong to modalities; `image_count` is the
    number of instances selected for the destination, if known; times without a zone are in `zone`.
    """

    hospital: Hospital
    branch: str
    studies: tuple[StudyFacts, ...] = ()
    image_count: int | None = None
    zone: ZoneInfo = _CHINA
    tables: Tables = field(default_factory=lambda: NO_TABLES)
    devices: tuple[Device, ...] = ()
    departments: tuple[Department, ...] = ()
    modality_aes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Filled:
    """The document in appendix A's order, notes on the changes that people should know, and sources of filled gaps."""

    document: dict[str, object]
    notes: tuple[Fault, ...]
    sources: Mapping[str, Source] = field(default_factory=dict)


@dataclass(slots=True)
class _Draft:
    """The document by flat paths. `values` has no empty ones; `given` are the paths that the RIS fills."""

    zone: ZoneInfo
    given: frozenset[str] = frozenset()
    values: dict[str, object] = field(default_factory=dict)
    notes: list[Fault] = field(default_factory=list)
    sources: dict[str, Source] = field(default_factory=dict)

    def note(self, path: str, text: str) -> None:
        self.notes.append(Fault(path=path, name=name_of(path), expected=text))

    def text(self, path: str) -> str:
        return stripped(self.values.get(path))

    def take(self, source: Source, offers: Mapping[str, object]) -> None:
        """Fill the gaps that FIELDS lets `source` fill; note where it contradicts the RIS."""
        for path, offered in offers.items():
            one = BY_PATH[path]
            if source not in one.sources or is_absent(offered, one.kind, self.zone):
                continue
            if path not in self.values:
                self.sources[path] = source
            given = self.values.setdefault(path, offered)
            if path in self.given and path not in _FREE_TEXT and _contradict(one, given, offered):
                ris, other = show(one, given), show(one, offered)
                self.note(path, f"the RIS gives {ris}, which is sent; {SOURCES[source]}: {other}")


def fill(document: Mapping[str, object], sources: Sources) -> Filled:
    """`document` with its gaps filled, its values in the standard's types, and only the keys that the standard lists.

    Only ImageCount is always the node's own. A value that does not fit the standard stays unchanged: `validate`
    reports it.
    """
    draft = _Draft(sources.zone)
    _read(draft, document)
    _translate(draft, sources.tables)
    draft.given = frozenset(draft.values)
    _from_sources(draft, sources)
    _standardise(draft, sources.tables)
    _list_studies(draft, sources.studies)
    _compute(draft, sources.image_count)
    return Filled(ordered(_nested(draft)), tuple(draft.notes), draft.sources)


def _from_sources(draft: _Draft, sources: Sources) -> None:
    studies = earliest_first(sources.studies, draft.zone)
    facts, differ = study_offers(studies, draft.zone)
    for path in differ:
        if path not in draft.values and path not in _FREE_TEXT:
            draft.note(path, "the joined studies differ: taken from the first that tells it")
    device, of_device = device_offers(studies, sources.devices)
    given, hospital = draft.text("HospitalBranchCode"), sources.hospital
    configured = {hospital.HospitalBranchCode, *(branch.code for branch in hospital.branch)}
    draft.take("hospital", hospital_offers(hospital, given if given in configured else sources.branch))
    draft.take("device", device)
    draft.take("sender", sender_offers(studies, sources.modality_aes))
    draft.take("study", facts)
    draft.take("department", department_offers(sources.departments, draft.values, of_device, sources.branch))


# -- values of the RIS


def _read(draft: _Draft, document: Mapping[str, object]) -> None:
    _read_object(draft, document, "", "")
    for section in SECTION_NAMES:
        given = document.get(section)
        if isinstance(given, Mapping):
            _read_object(draft, given, section, section + ".")
        elif not is_empty(given):
            draft.note(section, "not an object; left out")
    procedures = draft.values.get("Order.Procedures")
    if isinstance(procedures, list):
        draft.values["Order.Procedures"] = [_procedure(draft, i, given) for i, given in enumerate(procedures)]


def _read_object(draft: _Draft, given: Mapping[str, object], parent: str, prefix: str) -> None:
    _note_unlisted(draft, given, parent, prefix)
    for one in FIELDS_OF[parent]:
        if not is_absent(value := given.get(one.key), one.kind, draft.zone):
            draft.values[one.path] = _typed(one, value, draft.zone)
        elif not is_empty(value):
            draft.note(one.path, "what programs write for no time; left out")


def _procedure(draft: _Draft, index: int, given: object) -> object:
    if not isinstance(given, Mapping):
        return given
    _note_unlisted(draft, given, PROCEDURE, f"Order.Procedures[{index}].")
    fields = FIELDS_OF[PROCEDURE]
    return {f.key: "" if is_empty(v := given.get(f.key)) else _typed(f, v, draft.zone) for f in fields}


def _note_unlisted(draft: _Draft, given: Mapping[str, object], parent: str, prefix: str) -> None:
    for key in unlisted(given, parent):
        draft.note(prefix + key, "not a key of the standard; left out")


def _typed(one: Field, value: object, zone: ZoneInfo) -> object:
    result = converted(value, one.kind, zone)
    return value if result is None else result


# -- code tables


def _translate(draft: _Draft, tables: Tables) -> None:
    """Translate the hospital's words into standard codes in fields without a partner for these; strip the status."""
    if status := draft.text("Order.Status"):
        draft.values["Order.Status"] = status
    for one in FIELDS:
        if one.table and not one.own and (value := draft.text(one.path)):
            entry = tables[one.table].translated(value)
            draft.values[one.path] = entry.code if entry else draft.values[one.path]


def _standardise(draft: _Draft, tables: Tables) -> None:
    """Add standard codes and names beside the hospital's own ones."""
    for one in FIELDS:
        if one.own and not one.is_name and one.parent != PROCEDURE:
            _pair(draft, one, draft.values, "", tables[one.table])
    procedures = draft.values.get("Order.Procedures")
    for index, element in enumerate(procedures if isinstance(procedures, list) else []):
        for one in FIELDS_OF[PROCEDURE]:
            if isinstance(element, dict) and one.own and not one.is_name:
                _pair(draft, one, element, f"Order.Procedures[{index}].", tables[one.table])


def _pair(draft: _Draft, one: Field, holder: dict[str, object], prefix: str, table: Table) -> None:
    """Fill one standard code and name; `prefix` is that of the holder's keys, "" where they are whole paths."""
    base = one.key.removesuffix("CodeStd") if prefix else one.own
    keys = [base + end for end in ("Code", "Name", "CodeStd", "NameStd")]
    own_code, own_name, code, name = (stripped(holder.get(key)) for key in keys)
    own = table.of_own(own_code, own_name)
    entry = table.entry(code) or (table.named(name) if not code else None) or (own if not code and not name else None)
    if own is not None and (own.code != code if code else name and own.name != name):
        ours = f'"{own.code}" "{own.name}" for the own code or name'
        draft.note(prefix + keys[2], f'the RIS gives "{code}" "{name}", which is sent; {SOURCES["table"]}: {ours}')
    if entry is not None:
        holder[keys[2]] = code or entry.code
        holder[keys[3]] = name or entry.name


# -- values that the node works out


def _list_studies(draft: _Draft, studies: tuple[StudyFacts, ...]) -> None:
    path = "Study.StudyInstanceUIDs"
    given = uids(draft.values.get(path, []))
    listed = {uid if isinstance(uid, str) else repr(uid): uid for uid in given}
    for study in earliest_first(studies, draft.zone):
        if study.uid not in listed:
            if given:
                draft.note(path, f"the RIS does not list {study.uid}, which is joined to this exam")
            listed[study.uid] = study.uid
    draft.values[path] = list(listed.values())


def _compute(draft: _Draft, ours: int | None) -> None:
    """Set what follows from other fields, and ImageCount (`ours`); the RIS's is sent only while the node has none."""
    values = draft.values
    for path, other in (("Order.CheckInTime", "Order.RegisterTime"), ("Order.RegisterTime", "Order.CheckInTime")):
        if path not in values and other in values:
            values[path] = values[other]
            draft.note(path, f"absent; taken from {other} ({name_of(other)})")
    with suppress(ValueError):
        born, studied = draft.text("Patient.DateOfBirth"), draft.text("Study.StudyDate")[:10]
        if age := age_display(date.fromisoformat(born), date.fromisoformat(studied)):
            values.setdefault("Patient.AgeDisplay", age)
    if "Report.PositiveStatus" not in values:
        values["Report.PositiveStatus"] = -1
        draft.note("Report.PositiveStatus", "absent; -1 (unknown) is sent")
    expected = values.get("Study.ImageCount")
    if ours is not None and type(expected) is int and expected not in (0, ours):
        draft.note("Study.ImageCount", f"the RIS expects {expected}; {ours} instances are sent")
    values["Study.ImageCount"] = ours if ours is not None else expected or 0


# -- the result


def _nested(draft: _Draft) -> dict[str, object]:
    document: dict[str, object] = {}
    sections: dict[str, dict[str, object]] = {"": document}
    for one in FIELDS:
        # An optional time or boolean has no empty form; every other key stays, empty.
        left_out = one.required == "never" and one.kind != "string" and one.path not in draft.values
        if one.parent == PROCEDURE or left_out:
            continue
        section = sections.setdefault(one.parent, {})
        section[one.key] = draft.values.get(one.path, [] if one.kind == "array" else "")
    document.update((name, sections[name]) for name in SECTION_NAMES)
    return document


def _contradict(one: Field, given: object, offered: object) -> bool:
    """Whether two values contradict each other: times by their day; texts by their words, script by script."""
    first, second = stripped(given).casefold(), stripped(offered).casefold()
    if one.kind == "datetime":
        return first[:10] != second[:10]
    if one.shown and first.isascii() != second.isascii():
        return False
    worded = one.path in ("Order.DeviceManufacturer", "Order.DeviceModel")
    return first != second and not (worded and (first in second or second in first))
