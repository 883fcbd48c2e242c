"""Sections about what is shared: which exams, whose images belong to them, the class of a series, a study's times."""

import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from router.config.section import Section
from router.config.types import Budget, ConfigPath, Duration, Pattern, WrittenPath

EXCLUDE_FIELDS = frozenset({
    "PatientID", "PatientName", "AccessionNumber", "StudyDescription", "StationName", "Manufacturer",
    "ManufacturerModelName", "StudyDate",
})  # fmt: skip
OF_EXAM = frozenset({"ExamId", "USCI", "HospitalCode", "HospitalName", "HospitalBranchCode"})
_KEYWORD = re.compile("[A-Z][a-z][A-Za-z]*")  # as DICOM's and the standard's names are written
_EXCLUDE_EXPECTED = (
    f"expected at least one of {', '.join(sorted(EXCLUDE_FIELDS))}, a field of the exam JSON such as"
    ' "Visit.PatientType", or a key of the RIS such as "$.Vip"'
)


_ACCEPT_EXPECTED = (
    "expected at least one of branch, modality, device, department, a field of the exam JSON such as"
    ' "Visit.PatientType", or a key of the RIS such as "$.Vip"'
)


class Exclude(BaseModel):
    """A rule that keeps exams from being shared: every field named must match its expression.

    Fields are those of the DICOM header, and of the exam JSON by their path.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Pattern]
    name: str = Field(description="of the rule, for people")
    why: str = Field("", description="the reason, for people")

    @model_validator(mode="before")
    @classmethod
    def _as_paths(cls, given: Any) -> Any:
        """Visit.PatientType without quotes is a table in TOML."""
        return _flat(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _knows_its_fields(self) -> Self:
        named = set(self.model_extra or {})
        wrong = {one for one in named - EXCLUDE_FIELDS - OF_EXAM if _KEYWORD.fullmatch(one)}
        if not named or wrong:
            raise ValueError(f"{', '.join(sorted(wrong)) or 'no field'}: {_EXCLUDE_EXPECTED}")
        return self


class Accept(BaseModel):
    """A rule of a destination: exams go there of which every field named matches its expression as a whole."""

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Pattern]

    @model_validator(mode="before")
    @classmethod
    def _as_paths(cls, given: Any) -> Any:
        return _flat(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _names_a_field(self) -> Self:
        named = set(self.model_extra or {})
        wrong = {one for one in named - OF_EXAM if _KEYWORD.fullmatch(one)}
        if not named or wrong:
            raise ValueError(f"{', '.join(sorted(wrong)) or 'no field'}: {_ACCEPT_EXPECTED}")
        return self


def _flat(given: dict[str, Any], before: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in given.items():
        found |= _flat(value, f"{before}{key}.") if isinstance(value, dict) else {f"{before}{key}": value}
    return found


def _aware_day(value: object) -> datetime | None:
    if value is None or isinstance(value, datetime):
        return value
    return datetime.fromisoformat(str(value))


class Share(Section):
    modalities: tuple[str, ...] = Field(
        ("CT", "MR", "CR", "DX", "MG", "XA", "RF", "PT", "NM", "PX", "IO"), description="exams of these are shared"
    )
    from_: Annotated[datetime | None, BeforeValidator(_aware_day)] = Field(
        None, alias="from", description="earlier approvals are recorded, not sent"
    )
    late_window: Duration = Field(
        timedelta(days=7),
        description="images that come longer after the delivery are held, for a person to release",
    )
    shared_study: Literal["first", "all"] = Field(
        "first",
        description='a study of several exams goes when "all" that can still be approved are (5.3.1), or at the '
        '"first", as in a file without this line',
    )
    shared_study_then: Literal["send", "hold"] = Field(
        "send", description='at 80 % of images_within without the others: "send" or "hold"'
    )
    count_revisions: bool = Field(True, description="one revision when only ImageCount changed")
    level: Annotated[int, Field(ge=1, le=5)] = Field(
        4, description="data level of an exam (GB/T 39725), kept in every receipt"
    )
    exclude: tuple[Exclude, ...] = Field(
        (),
        description="exams that must not be shared: every field named must match its regular expression. Fields of "
        "the DICOM header: PatientID, PatientName, AccessionNumber, StudyDescription, StationName, Manufacturer, "
        "ManufacturerModelName, StudyDate. Fields of the exam JSON by their path in appendix B, as the RIS writes "
        "them or as the standard's code or name; and keys of the RIS itself, mapped or not: a path from the outermost "
        'object ("$.data.vip"), or a name alone, wherever it stands ("拒绝共享")',
    )


class Identity(Section):
    patient_id: tuple[
        Literal[
            "Patient.PatientId", "Visit.ClinicalNumber", "Visit.InpatientNumber", "Visit.MedicalRecordNumber",
            "Local.PatientId",
        ], ...
    ] = Field(
        ("Patient.PatientId",),
        description="JSON fields that may equal DICOM PatientID; also Visit.ClinicalNumber, Visit.InpatientNumber, "
        "Visit.MedicalRecordNumber, and Local.PatientId, which a mapping gives for this comparison only (an image "
        "number) and which is never sent",
    )  # fmt: skip
    strip: Pattern = Field("", description="a regular expression removed from both before they are compared")
    ignore_case: bool = Field(
        False, description="true: p0001 and P0001 are one patient id; likewise with accession numbers"
    )
    blank: tuple[str, ...] = Field(
        ("0", "UNKNOWN", "ANONYMOUS"),
        description="patient ids and accession numbers that say nothing. Zeros, a single digit, marks, words such as "
        "NONE, N/A, TEST, 不详, 临时, 99999, 12345, and longer ones of these kinds say nothing without being named "
        "here",
    )
    blank_names: tuple[Pattern, ...] = Field(
        ("无名氏", "无名男", "无名女", "不详", r"急诊\d*", "UNKNOWN"),
        description="regular expressions of whole names that say nothing, with or without a number",
    )
    doubt: Literal["both", "images"] = Field(
        "both",
        description='held in doubt: "both" report and images, or "images": the report goes in time without the study '
        "in doubt, where its PDF names the patient and no other exam lists the study. Another study must remain that "
        "it names and whose images it counts; the report of an exam of one study alone waits as well",
    )
    checks: Literal[1, 2] | None = Field(
        None,
        description="the set of checks. A file without this line uses the data folder's: 1 where an earlier version "
        "began it, else 2. Doubts of a later set are warnings, shown by `queue compare`; `queue recheck` lists what 2 "
        "would hold",
    )
    evidence: Annotated[int, Field(ge=0, le=3)] = Field(
        1,
        description="how many of patient id, name with sex or birth date, accession number must agree besides the "
        "study UID; 0: the UID alone will do",
    )
    study_date_within: Duration = Field(timedelta(days=30), description="for joining by accession number")


class Thin(Section):
    modality: str = Field(description="of the slices")
    body_part: str = Field("", description="only of this body part")
    up_to: Annotated[float, Field(gt=0)] = Field(description="mm, by thickness and by distance")


class Series(Section):
    rules: WrittenPath | None = Field(None, description="instead of the shipped ones")
    own_rules: WrittenPath | None = Field(
        None, description="before the shipped ones; `classify --what-if FILE` tries one out"
    )
    thin: tuple[Thin, ...] = Field(
        (Thin(modality="CT", up_to=1.25),),
        description="mm, by thickness and by distance; the first that fits counts. One may name a body part: { "
        'modality = "CT", body_part = "CHEST", up_to = 1.0 }. A modality without a limit has no thin slices: its '
        "images go where thin ones are wanted",
    )


class Study(Section):
    stable_after: Duration = Field(
        timedelta(seconds=60), description="a study without a new image for so long is complete"
    )
    missing_after: Duration = Field(
        timedelta(hours=3),
        description="after approval (ApproveTime, or its arrival if later): no images, or fewer than the JSON's "
        "ImageCount, raise an alarm then",
    )
    unreported_after: Budget = Field(
        timedelta(days=3), description="working time; more studies without a report than usual raise an alarm"
    )
    holidays: ConfigPath = Field(
        Path("holidays.txt"),
        validate_default=True,
        description="days off and weekends that are worked (调休), one date a line; the shipped file where there is "
        "none",
    )
