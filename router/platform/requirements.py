"""What the platform asks of an exam JSON: the required fields of DB11 appendix B, each of its type and not empty."""

from collections.abc import Iterator, Mapping

_TEXT = """
ExamId USCI HospitalCode HospitalName HospitalBranchCode
Order.AccessionNumber Order.ApplyDepartmentName Order.ApplyDepartmentNameStd Order.ApplyDepartmentCodeStd
Order.ApplyDoctorName Order.CheckInTime Order.DeviceAETitle Order.ExecDepartmentCode Order.ExecDepartmentName
Order.ExecDepartmentCodeStd Order.ExecDepartmentNameStd Order.HisOrderCode Order.ModalityCode Order.RegisterTime
Order.Status
Visit.PatientType Visit.VisitSerialNumber
Patient.AgeDisplay Patient.DateOfBirth Patient.Gender Patient.IdNo Patient.IdNoType Patient.Name Patient.PatientId
Patient.Telephone
Report.SubmitDoctorName Report.SubmitDoctorCode Report.ApproveDoctorCode Report.ApproveDoctorName
Report.ApproveDoctorCertificateNo Report.ApproveTime Report.SubmitTime Report.Findings Report.Impression
Study.StudyDate
"""
_TEXT_PATHS = tuple(_TEXT.split())
_INTEGER_PATHS = ("Report.PositiveStatus", "Study.ImageCount")
_PROCEDURE_FIELDS = (
    "CheckItemCode", "CheckItemName", "BodyPartCode", "BodyPartName",
    "CheckItemCodeStd", "CheckItemNameStd", "BodyPartCodeStd", "BodyPartNameStd",
)  # fmt: skip
_NUMBER_OF_VISIT_TYPE = {"1": "Visit.ClinicalNumber", "3": "Visit.InpatientNumber"}  # CV09.00.404

Fault = tuple[str, str]


def faults(exam: Mapping[str, object]) -> list[Fault]:
    """(path, message) of every required field that is missing, empty or of the wrong type."""
    return [*_texts(exam), *_integers(exam), *_status(exam), *_procedures(exam), *_study_uids(exam)]


def _at(exam: Mapping[str, object], path: str) -> object:
    value: object = exam
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _texts(exam: Mapping[str, object]) -> Iterator[Fault]:
    visit_type = _at(exam, "Visit.PatientType")
    number = _NUMBER_OF_VISIT_TYPE.get(visit_type) if isinstance(visit_type, str) else None
    for path in (*_TEXT_PATHS, *([number] if number else [])):
        if not _is_text(_at(exam, path)):
            yield path, "required: text that is not empty"


def _integers(exam: Mapping[str, object]) -> Iterator[Fault]:
    for path in _INTEGER_PATHS:
        if type(_at(exam, path)) is not int:
            yield path, "required: an integer"


def _status(exam: Mapping[str, object]) -> Iterator[Fault]:
    status = _at(exam, "Order.Status")
    if _is_text(status) and status != "Reported":
        yield "Order.Status", "only Reported (approved) is accepted"


def _procedures(exam: Mapping[str, object]) -> Iterator[Fault]:
    procedures = _at(exam, "Order.Procedures")
    if not isinstance(procedures, list) or not procedures:
        yield "Order.Procedures", "required: an array with at least one element"
        return
    for place, procedure in enumerate(procedures):
        for field in _PROCEDURE_FIELDS:
            if not isinstance(procedure, Mapping) or not _is_text(procedure.get(field)):
                yield f"Order.Procedures[{place}].{field}", "required: text that is not empty"


def _study_uids(exam: Mapping[str, object]) -> Iterator[Fault]:
    uids = _at(exam, "Study.StudyInstanceUIDs")
    if not isinstance(uids, list) or not uids or not all(_is_text(uid) for uid in uids):
        yield "Study.StudyInstanceUIDs", "required: an array of UIDs with at least one element"
