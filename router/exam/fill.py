"""The gaps that a RIS leaves, filled from what the node knows for certain; never an invented value."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from zoneinfo import ZoneInfo

from router.config import Hospital
from router.exam.age import age_display
from router.exam.fields import BY_PATH, FIELDS, FIELDS_OF, PROCEDURE, SECTION_NAMES, Field
from router.exam.validate import Fault, unlisted
from router.exam.values import converted, datetime_text, is_empty, stripped
from router.exam.write import ordered

_CHINA = ZoneInfo("Asia/Shanghai")
_NOT_IMAGES = frozenset({"SR", "KO", "PR"})  # made from images, often on a workstation: they tell nothing of the device


@dataclass(frozen=True, slots=True)
class StudyFacts:
    """What DICOM says of one joined study.

    `study_date` is DA and TM joined, or yyyy-MM-dd HH:mm:ss; a day without a time is no source. `modality` may name
    several, separated by backslashes (0008,0061).
    """

    uid: str
    accession_number: str = ""
    study_date: str = ""
    description: str = ""
    modality: str = ""
    manufacturer: str = ""
    model: str = ""
    station_name: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where gaps are filled from.

    `image_count` is the number of instances selected for the destination, if known; `zone` that of times without one.
    """

    hospital: Hospital
    branch: str
    studies: tuple[StudyFacts, ...] = ()
    image_count: int | None = None
    zone: ZoneInfo = _CHINA


@dataclass(frozen=True, slots=True)
class Filled:
    """The document in appendix A's order, and what was done to it that somebody should know."""

    document: dict[str, object]
    notes: tuple[Fault, ...]


@dataclass(slots=True)
class _Draft:
    """The document as flat paths. Only what is not empty is in `values`."""

    zone: ZoneInfo
    values: dict[str, object] = field(default_factory=dict)
    notes: list[Fault] = field(default_factory=list)

    def note(self, path: str, message: str) -> None:
        known = BY_PATH.get(path)
        self.notes.append(Fault(path, known.name if known else SECTION_NAMES.get(path, ""), message))

    def gap(self, path: str, value: object) -> bool:
        """Take `value` where the RIS gave nothing; whether it was taken."""
        if path in self.values or is_empty(value):
            return False
        self.values[path] = value
        return True


def fill(document: Mapping[str, object], sources: Sources) -> Filled:
    """`document` with its gaps filled, its values in the standard's types, and nothing that the standard does not list.

    What the RIS gives wins; only ImageCount is the node's own. A value that cannot be what the standard wants stays
    as it is, for `validate` to name.
    """
    draft = _Draft(sources.zone)
    _take(draft, document)
    _from_hospital(draft, sources)
    _from_studies(draft, sources.studies)
    _computed(draft, sources.image_count)
    return Filled(ordered(_nested(draft)), tuple(draft.notes))


def _take(draft: _Draft, document: Mapping[str, object]) -> None:
    _take_object(draft, document, "", "")
    for section in SECTION_NAMES:
        given = document.get(section)
        if isinstance(given, Mapping):
            _take_object(draft, given, section, section + ".")
        elif not is_empty(given):
            draft.note(section, "not an object; left out")
    procedures = draft.values.get("Order.Procedures")
    if isinstance(procedures, list):
        draft.values["Order.Procedures"] = [_procedure(draft, i, given) for i, given in enumerate(procedures)]


def _take_object(draft: _Draft, given: Mapping[str, object], parent: str, prefix: str) -> None:
    _note_unlisted(draft, given, parent, prefix)
    for one in FIELDS_OF[parent]:
        if not is_empty(value := given.get(one.key)):
            draft.values[one.path] = _typed(one, value, draft.zone)


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


def _from_hospital(draft: _Draft, sources: Sources) -> None:
    hospital = sources.hospital
    draft.gap("USCI", hospital.USCI)
    draft.gap("HospitalCode", hospital.HospitalCode)
    draft.gap("HospitalName", hospital.HospitalName)
    draft.gap("HospitalBranchCode", sources.branch or hospital.HospitalBranchCode)


def _from_studies(draft: _Draft, given: Iterable[StudyFacts]) -> None:
    dated = {study: datetime_text(study.study_date, draft.zone) or "" for study in given}
    studies = sorted(dated, key=lambda study: (dated[study] or "9999", study.uid))
    imaging = [study for study in studies if not study.modality or _image_modality(study)]
    _gap_from(draft, "Order.AccessionNumber", studies, lambda study: study.accession_number)
    _gap_from(draft, "Order.DeviceName", imaging, lambda study: study.station_name)
    _gap_from(draft, "Order.DeviceManufacturer", imaging, lambda study: study.manufacturer)
    _gap_from(draft, "Order.DeviceModel", imaging, lambda study: study.model)
    _gap_from(draft, "Order.ModalityCode", imaging, _image_modality)
    _gap_from(draft, "Study.StudyDescription", studies, lambda study: study.description)
    draft.gap("Study.StudyDate", next((dated[study] for study in studies if dated[study]), ""))
    _list_studies(draft, studies)


def _image_modality(study: StudyFacts) -> str:
    return next((m for m in map(stripped, study.modality.split("\\")) if m and m not in _NOT_IMAGES), "")


def _gap_from(draft: _Draft, path: str, studies: list[StudyFacts], said: Callable[[StudyFacts], str]) -> None:
    values = list(dict.fromkeys(value for value in (stripped(said(study)) for study in studies) if value))
    if values and draft.gap(path, values[0]) and len(values) > 1:
        draft.note(path, "the joined studies differ; taken from the earliest")


def _list_studies(draft: _Draft, studies: list[StudyFacts]) -> None:
    path = "Study.StudyInstanceUIDs"
    given = draft.values.get(path, [])
    listed = [_plain_uid(uid) for uid in (given if isinstance(given, list) else [given]) if not is_empty(uid)]
    for study in studies:
        if study.uid not in listed:
            if given:
                draft.note(path, f"the RIS does not list {study.uid}, which is joined to this exam")
            listed.append(study.uid)
    draft.values[path] = [uid for i, uid in enumerate(listed) if uid not in listed[:i]]


def _plain_uid(given: object) -> object:
    return stripped(given) if isinstance(given, str) else given


def _computed(draft: _Draft, image_count: int | None) -> None:
    values = draft.values
    if image_count is not None:
        values["Study.ImageCount"] = image_count
    draft.gap("Study.ImageCount", 0)
    draft.gap("Patient.AgeDisplay", _age(values))
    for path, other in (("Order.CheckInTime", "Order.RegisterTime"), ("Order.RegisterTime", "Order.CheckInTime")):
        if draft.gap(path, values.get(other)):
            draft.note(path, f"absent; taken from {other} (登记时间)")
    if draft.gap("Report.PositiveStatus", -1):
        draft.note("Report.PositiveStatus", "absent; -1 (unknown) is sent")


def _age(values: Mapping[str, object]) -> str:
    born, studied = values.get("Patient.DateOfBirth"), values.get("Study.StudyDate")
    try:
        return age_display(date.fromisoformat(str(born)), date.fromisoformat(str(studied)[:10]))
    except ValueError:
        return ""


def _nested(draft: _Draft) -> dict[str, object]:
    document: dict[str, object] = {}
    sections: dict[str, dict[str, object]] = {"": document}
    for one in FIELDS:
        if one.parent == PROCEDURE or (one.path not in draft.values and _left_out(one)):
            continue
        section = sections.setdefault(one.parent, {})
        section[one.key] = draft.values.get(one.path, [] if one.kind == "array" else "")
    document.update((name, sections[name]) for name in SECTION_NAMES)
    return document


def _left_out(one: Field) -> bool:
    """Absent optional times and booleans have no empty form; every other absent key stays, empty."""
    return one.required == "never" and one.kind != "string"
