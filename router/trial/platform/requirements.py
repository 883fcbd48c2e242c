"""Requirements of the platform on an exam JSON, from DB11 appendices A and B and the standards that they name.

The module shares nothing with the sending side, so that each can check the other.
"""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import date, datetime, timedelta, timezone

Fault = tuple[str, str]

# Appendix A by object. After a key: its type where it is not text (t time, d day, i integer, b boolean, a array), and
# ! where appendix B requires it (是否必填: 是).
_APPENDIX: Mapping[str, str] = {
    "": "ExamId! USCI! HospitalCode! HospitalName! HospitalBranchCode!",
    "Order": """
        AccessionNumber! ApplyDepartmentName! ApplyDepartmentCode ApplyDepartmentNameStd! ApplyDepartmentCodeStd!
        ApplyDoctorName! ApplyDoctorCode ApplyTime:t CheckInTime:t! DeviceAETitle! DeviceCode DeviceName
        DeviceManufacturer DeviceModel ExamRoom ExecDepartmentCode! ExecDepartmentName! ExecDepartmentCodeStd!
        ExecDepartmentNameStd! ExecDoctorCode ExecDoctorName HisOrderCode! ModalityCode! Note RegisterTime:t! Status!
        Suggestion Procedures:a!""",
    "Visit": """
        AllergyHistory BedNumber ClinicalDiagnosis ClinicalNumber DiseaseHistory InpatientNumber OtherDiagnosis
        LaboratoryReport MedicalRecordNumber PastHistory PatientType! Symptom Sign VisitSerialNumber!""",
    "Patient": """
        Address AgeDisplay! DateOfBirth:d! Email Gender! IdNo! IdNoType! Name! Note PatientId! Telephone!""",
    "Report": """
        ApproveDoctorCode! ApproveDoctorName! ApproveDoctorCertificateNo! ApproveTime:t! CriticalType Findings!
        Impression! IsCritical:b PositiveStatus:i! SubmitDoctorCode! SubmitDoctorName! SubmitTime:t!""",
    "Study": "ImageCount:i! StudyDate:t! StudyInstanceUIDs:a! StudyDescription",
}
_PROCEDURE = """
    CheckItemCode! CheckItemName! BodyPartCode! BodyPartName! CheckItemCodeStd! CheckItemNameStd! BodyPartCodeStd!
    BodyPartNameStd!"""
_NUMBER_OF_VISIT = {"1": "ClinicalNumber", "2": "ClinicalNumber", "3": "InpatientNumber"}  # CV09.00.404
_CREDIT_CODE = "0123456789ABCDEFGHJKLMNPQRTUWXY"  # GB 32100-2015, table 2
_CHINA = timezone(timedelta(hours=8))  # without daylight saving
_AHEAD = timedelta(minutes=10)  # the largest error of a hospital's clock


def faults(exam: Mapping[str, object], now: datetime, accept_empty: Collection[str] = ()) -> list[Fault]:
    """(path, message) of every fault. `now` is aware; `accept_empty`: paths of required fields that may be empty."""
    found: list[Fault] = []
    for section, spec in _APPENDIX.items():
        given = exam.get(section) if section else exam
        if given is None:
            given = {}
        if isinstance(given, Mapping):
            found += _object(given, spec, f"{section}." if section else "")
        else:
            found.append((section, "an object is expected"))
    faulty = {path for path, _ in found}
    for check in (_credit_code, _status, _visit, _patient, _approval, _numbers, _procedures, _uids, _codes):
        found += [fault for fault in check(exam, now) if fault[0] not in faulty]
    may_be_empty = {path for path, _ in found if re.sub(r"\[\d+\]", "[]", path) in accept_empty}
    return [fault for fault in found if not (fault[0] in may_be_empty and _is_blank(_at(exam, fault[0])))]


def _at(exam: Mapping[str, object], path: str) -> object:
    value: object = exam
    for key, index in re.findall(r"([A-Za-z]+)|\[(\d+)\]", path):
        if key:
            value = value.get(key) if isinstance(value, Mapping) else None
        else:
            value = value[int(index)] if isinstance(value, list) else None
    return value


def _object(given: Mapping[str, object], spec: str, prefix: str) -> Iterator[Fault]:
    for entry in spec.split():
        key, _, kind = entry.rstrip("!").partition(":")
        path, value = prefix + key, given.get(key)
        if _is_blank(value):
            if entry.endswith("!"):
                yield path, "required, and missing or empty"
        elif not _TYPES[kind][0](value):
            yield path, f"{_TYPES[kind][1]} is expected"


def _is_blank(value: object) -> bool:
    if isinstance(value, str):
        return value.replace("\0", "").strip() == ""
    return value is None or (isinstance(value, list | dict) and len(value) == 0)


def _is_time(value: object) -> bool:
    form = r"\d{4}-\d\d-\d\d ([01]\d|2[0-3]):[0-5]\d:[0-5]\d"
    return isinstance(value, str) and re.fullmatch(form, value, re.ASCII) is not None and _is_day(value[:10])


def _is_day(value: object) -> bool:
    if not isinstance(value, str) or re.fullmatch(r"\d{4}-\d\d-\d\d", value, re.ASCII) is None:
        return False
    try:
        date(int(value[:4]), int(value[5:7]), int(value[8:]))
    except ValueError:
        return False
    return True


_TYPES: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "": (lambda value: isinstance(value, str), "text"),
    "t": (_is_time, "a time, yyyy-MM-dd HH:mm:ss,"),
    "d": (_is_day, "a day, yyyy-MM-dd,"),
    "i": (lambda value: isinstance(value, int) and not isinstance(value, bool), "an integer"),
    "b": (lambda value: isinstance(value, bool), "true or false"),
    "a": (lambda value: isinstance(value, list), "an array"),
}


def _text(exam: Mapping[str, object], section: str, key: str) -> str:
    holder = exam.get(section)
    value = holder.get(key) if isinstance(holder, Mapping) else None
    return "" if value is None or isinstance(value, bool | list | dict) else str(value).strip()


def _credit_code(exam: Mapping[str, object], _now: datetime) -> Iterator[Fault]:
    code = exam.get("USCI")
    known = isinstance(code, str) and len(code) == 18 and set(code) <= set(_CREDIT_CODE)
    digits = [_CREDIT_CODE.index(c) for c in code] if known and isinstance(code, str) else []
    # The check character completes the weighted sum of the others to a multiple of 31.
    if not digits or (sum(d * 3**i for i, d in enumerate(digits[:17])) + digits[17]) % 31:
        yield "USCI", "not a unified social credit code (GB 32100)"


def _status(exam: Mapping[str, object], _now: datetime) -> Iterator[Fault]:
    order = exam.get("Order")
    if isinstance(order, Mapping) and order.get("Status") != "Reported":
        yield "Order.Status", "only Reported (approved) is accepted"


def _visit(exam: Mapping[str, object], _now: datetime) -> Iterator[Fault]:
    number = _NUMBER_OF_VISIT.get(_text(exam, "Visit", "PatientType"))
    visit = exam.get("Visit")
    if number and isinstance(visit, Mapping) and _is_blank(visit.get(number)):
        yield f"Visit.{number}", "required of this visit type, and missing or empty"


def _patient(exam: Mapping[str, object], _now: datetime) -> Iterator[Fault]:
    age = _text(exam, "Patient", "AgeDisplay")
    if age and not re.fullmatch(r"(\d+岁)?(\d+月)?(\d+周)?(\d+天)?(\d+小时)?", age, re.ASCII):
        yield "Patient.AgeDisplay", "an age in 岁 月 周 天 小时 is expected"
    number = _text(exam, "Patient", "IdNo")
    if number and _text(exam, "Patient", "IdNoType") == "01" and not _is_citizen_number(number):
        yield "Patient.IdNo", "not a citizen identity number (GB 11643)"


def _is_citizen_number(number: str) -> bool:
    if not re.fullmatch(r"\d{17}[\dXx]", number, re.ASCII):
        return False
    if not _is_day(f"{number[6:10]}-{number[10:12]}-{number[12:14]}"):
        return False
    # ISO 7064, MOD 11-2: doubled digit by digit, the check digit makes it 1.
    total = 0
    for digit in number[:17]:
        total = (total + int(digit)) * 2 % 11
    return (total + (10 if number[17] in "Xx" else int(number[17]))) % 11 == 1


def _approval(exam: Mapping[str, object], now: datetime) -> Iterator[Fault]:
    written = _text(exam, "Report", "ApproveTime")
    if _is_time(written) and datetime.fromisoformat(written).replace(tzinfo=_CHINA) > now + _AHEAD:
        yield "Report.ApproveTime", "lies in the future"


def _numbers(exam: Mapping[str, object], _now: datetime) -> Iterator[Fault]:
    report, study = exam.get("Report"), exam.get("Study")
    status = report.get("PositiveStatus") if isinstance(report, Mapping) else None
    if isinstance(status, int) and status not in {-1, 0, 1}:
        yield "Report.PositiveStatus", "-1, 0 or 1 is expected"
    count = study.get("ImageCount") if isinstance(study, Mapping) else None
    if isinstance(count, int) and count < 0:
        yield "Study.ImageCount", "a count is expected"


def _procedures(exam: Mapping[str, object], _now: datetime) -> Iterator[Fault]:
    order = exam.get("Order")
    procedures = order.get("Procedures") if isinstance(order, Mapping) else None
    for place, procedure in enumerate(procedures if isinstance(procedures, list) else []):
        path = f"Order.Procedures[{place}]"
        if isinstance(procedure, Mapping):
            yield from _object(procedure, _PROCEDURE, path + ".")
        else:
            yield path, "an object is expected"


def _uids(exam: Mapping[str, object], _now: datetime) -> Iterator[Fault]:
    study = exam.get("Study")
    listed = study.get("StudyInstanceUIDs") if isinstance(study, Mapping) else None
    uids = listed if isinstance(listed, list) else []
    for place, uid in enumerate(uids):
        path = f"Study.StudyInstanceUIDs[{place}]"
        if not isinstance(uid, str) or not re.fullmatch(r"(?=.{1,64}$)\d+(\.\d+)+", uid, re.ASCII):
            yield path, "a UID (DICOM PS3.5 9.1) is expected"
        elif uid in uids[:place]:
            yield path, "listed before"


def _codes(exam: Mapping[str, object], _now: datetime) -> Iterator[Fault]:
    """A code that went through a spreadsheet: 2.103E+11 has lost its digits."""
    for section, spec in _APPENDIX.items():
        required = [
            entry[:-1] for entry in spec.split() if entry.endswith(("Code!", "CodeStd!", "Id!", "No!", "Number!"))
        ]
        for key in required:
            if _is_number(_text(exam, section, key) if section else str(exam.get(key))):
                yield f"{section}.{key}" if section else key, "a number is no code"
    order = exam.get("Order")
    procedures = order.get("Procedures") if isinstance(order, Mapping) else None
    for place, procedure in enumerate(procedures if isinstance(procedures, list) else []):
        for key in ("CheckItemCode", "CheckItemCodeStd", "BodyPartCode", "BodyPartCodeStd"):
            if isinstance(procedure, Mapping) and _is_number(str(procedure.get(key))):
                yield f"Order.Procedures[{place}].{key}", "a number is no code"


def _is_number(code: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+E[+-]?\d+|E[+]\d+|\.0)", code.strip(), re.ASCII | re.IGNORECASE) is not None
