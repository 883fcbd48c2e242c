"""The key of an exam JSON: values by which it is paired, ordered, joined and timed; read leniently, never filled."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from router.errors import InvalidData
from router.exam.codes import Table
from router.exam.identifiers import uid_ok
from router.exam.times import instant
from router.exam.values import date_text, integer, is_absent, stripped, uids

REPORTED = "Reported"
MOST_STUDIES = 1000
"""As many as one exam may list."""

PATIENT_ID_PATHS = (
    "Patient.PatientId",
    "Visit.ClinicalNumber",
    "Visit.InpatientNumber",
    "Visit.MedicalRecordNumber",
    "Local.PatientId",
)

_LOCAL = "Local."  # not in the standard: only a mapping gives it

# GB/T 2261.1, and common words: a sex table without them must not weaken the comparison with the images.
_SEXES = {"1": "M", "2": "F", "M": "M", "F": "F", "O": "O", "男": "M", "女": "F"}


@dataclass(frozen=True, slots=True)
class ExamPatient:
    """The patient by the RIS. `patient_ids` by JSON path, "" where absent; `sex` as DICOM M, F, O or "".

    Local.PatientId is there only where a mapping gives it.
    """

    patient_ids: Mapping[str, str]
    name: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamKey:
    """One exam JSON's identity and times. Absent or unreadable is "", None or (); times are aware.

    `reported` is findings and impression: a new revision that changes them needs a new PDF. `unread_approval`: there is
    an ApproveTime, and it cannot be read for certain. `hospital` is the name that it is filed under, `institution` is
    USCI and HospitalCode as the JSON has them.
    """

    hospital: str
    branch: str
    exam_id: str
    accession_number: str
    study_uids: tuple[str, ...]
    patient: ExamPatient
    status: str
    approve_time: datetime | None
    submit_time: datetime | None
    image_count: int | None
    study_date: datetime | None
    reported: tuple[str, str]
    modality: str
    unread_approval: bool = False
    institution: tuple[str, str] = ("", "")


def approved(key: ExamKey) -> bool:
    """Whether the report may be shared: Status is Reported and there is an ApproveTime (DB11 5.3.1)."""
    return key.status == REPORTED and key.approve_time is not None


def key_of(
    document: Mapping[str, object], *, zone: ZoneInfo, hospital: str, default_branch: str, sexes: Table
) -> ExamKey:
    """The key of a document; InvalidData without ExamId, or with too many studies. `sexes`: the table of Gender."""
    exam_id = stripped(document.get("ExamId"))
    if not exam_id:
        hint = "without it the RIS's exam cannot be told from others"
        raise InvalidData("no ExamId (检查记录ID)", hint=hint, why="exam-id")
    order, report, study = (_section(document, name) for name in ("Order", "Report", "Study"))
    approve_time, given = instant(report.get("ApproveTime"), zone), report.get("ApproveTime")
    return ExamKey(
        hospital=hospital,
        branch=stripped(document.get("HospitalBranchCode")) or default_branch,
        exam_id=exam_id,
        accession_number=stripped(order.get("AccessionNumber")),
        study_uids=_uids(study.get("StudyInstanceUIDs")),
        patient=_patient(document, sexes),
        status=stripped(order.get("Status")),
        approve_time=approve_time,
        submit_time=instant(report.get("SubmitTime"), zone),
        image_count=integer(study.get("ImageCount")),
        study_date=instant(study.get("StudyDate"), zone),
        reported=(stripped(report.get("Findings")), stripped(report.get("Impression"))),
        modality=stripped(order.get("ModalityCode")),
        institution=institution_of(document),
        unread_approval=approve_time is None and not is_absent(given, "datetime", zone),
    )


def institution_of(document: Mapping[str, object]) -> tuple[str, str]:
    """USCI and HospitalCode as the JSON has them, "" where absent."""
    return stripped(document.get("USCI")), stripped(document.get("HospitalCode"))


def _section(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    given = document.get(name)
    return given if isinstance(given, Mapping) else {}


def _uids(given: object) -> tuple[str, ...]:
    listed = dict.fromkeys(uid for uid in map(stripped, uids(given)) if uid)
    if len(listed) > MOST_STUDIES:
        text = f"more than {MOST_STUDIES} studies in StudyInstanceUIDs"
        raise InvalidData(text, hint="one exam lists its own studies only")
    return tuple(filter(uid_ok, listed))


def _patient(document: Mapping[str, object], sexes: Table) -> ExamPatient:
    given = _section(document, "Patient")
    sex = stripped(given.get("Gender"))
    code = sexes.translated(sex)
    ids = {path: stripped(_section(document, path.split(".")[0]).get(path.split(".")[1])) for path in PATIENT_ID_PATHS}
    return ExamPatient(
        patient_ids={path: number for path, number in ids.items() if number or not path.startswith(_LOCAL)},
        name=stripped(given.get("Name")),
        birth_date=date_text(given.get("DateOfBirth")) or "",
        sex=_SEXES.get(code.code if code else sex.upper(), ""),
    )
