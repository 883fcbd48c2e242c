"""An exam JSON that the standard accepts, for tests to bend."""

import copy
import functools
from typing import Any

from router.config.file import shipped
from router.exam.codes import Tables, parse
from router.exam.fields import TABLE_NAMES

_EXAM: dict[str, Any] = {
    "ExamId": "V20240001_CT001",
    "USCI": "121100004000000001",
    "HospitalCode": "H0001",
    "HospitalName": "示范医院",
    "HospitalBranchCode": "01",
    "Order": {
        "AccessionNumber": "A0001",
        "ApplyDepartmentName": "呼吸内科门诊",
        "ApplyDepartmentCode": "0301",
        "ApplyDepartmentNameStd": "内科",
        "ApplyDepartmentCodeStd": "03",
        "ApplyDoctorName": "李医生",
        "ApplyDoctorCode": "110110000000001",
        "ApplyTime": "2024-05-06 08:00:00",
        "CheckInTime": "2024-05-06 08:30:00",
        "DeviceAETitle": "CT01",
        "DeviceCode": "D01",
        "DeviceName": "CT ROOM 1",
        "DeviceManufacturer": "SIEMENS",
        "DeviceModel": "SOMATOM Force",
        "ExamRoom": "CT1",
        "ExecDepartmentCode": "3202",
        "ExecDepartmentName": "放射科",
        "ExecDepartmentCodeStd": "32",
        "ExecDepartmentNameStd": "医学影像科",
        "ExecDoctorCode": "T01",
        "ExecDoctorName": "王技师",
        "HisOrderCode": "HIS0001",
        "ModalityCode": "CT",
        "Note": "",
        "RegisterTime": "2024-05-06 08:20:00",
        "Status": "Reported",
        "Suggestion": "",
        "Procedures": [
            {
                "CheckItemCode": "CT001",
                "CheckItemName": "胸部CT平扫",
                "BodyPartCode": "B01",
                "BodyPartName": "胸部",
                "CheckItemCodeStd": "S001",
                "CheckItemNameStd": "CT胸部平扫",
                "BodyPartCodeStd": "P01",
                "BodyPartNameStd": "胸部",
            }
        ],
    },
    "Visit": {
        "AllergyHistory": "",
        "BedNumber": "",
        "ClinicalDiagnosis": "咳嗽",
        "ClinicalNumber": "C0001",
        "DiseaseHistory": "",
        "InpatientNumber": "",
        "OtherDiagnosis": "",
        "LaboratoryReport": "",
        "MedicalRecordNumber": "M0001",
        "PastHistory": "",
        "PatientType": "1",
        "Symptom": "咳嗽三天",
        "Sign": "",
        "VisitSerialNumber": "V20240001",
    },
    "Patient": {
        "Address": "",
        "AgeDisplay": "74岁",
        "DateOfBirth": "1949-12-31",
        "Email": "",
        "Gender": "2",
        "IdNo": "11010519491231002X",
        "IdNoType": "01",
        "Name": "张三",
        "Note": "",
        "PatientId": "P0001",
        "Telephone": "13800000000",
    },
    "Report": {
        "ApproveDoctorCode": "R02",
        "ApproveDoctorName": "赵主任",
        "ApproveDoctorCertificateNo": "110110000000002",
        "ApproveTime": "2024-05-06 11:00:00",
        "CriticalType": "",
        "Findings": "双肺纹理清晰，未见异常密度影。",
        "Impression": "双肺未见明显异常。",
        "IsCritical": False,
        "PositiveStatus": 0,
        "SubmitDoctorCode": "R01",
        "SubmitDoctorName": "钱医生",
        "SubmitTime": "2024-05-06 10:30:00",
    },
    "Study": {
        "ImageCount": 3,
        "StudyDate": "2024-05-06 09:00:00",
        "StudyInstanceUIDs": ["1.2.826.0.1.3680043.2.1125.1"],
        "StudyDescription": "CHEST",
    },
}


def exam_document(changes: dict[str, object] | None = None) -> dict[str, Any]:
    """A valid outpatient's exam with every key of appendix A, in its order; a fresh copy.

    `changes` are put at their paths: `{"Visit.PatientType": "3", "Study.StudyInstanceUIDs": [uid]}`; a path to an
    element of Procedures is `Order.Procedures[0].CheckItemCode`.
    """
    document = copy.deepcopy(_EXAM)
    for path, value in (changes or {}).items():
        holder, key = holder_of(document, path)
        holder[key] = value
    return document


@functools.cache
def shipped_tables() -> Tables:
    """The code tables of conf/codes/."""
    return {name: parse((shipped("codes") / f"{name}.csv").read_text("utf-8"), name) for name in TABLE_NAMES}


def holder_of(document: dict[str, Any], path: str) -> tuple[dict[str, Any], str]:
    """The object that holds the value at `path`, and its key there."""
    *parents, key = path.split(".")
    holder: Any = document
    for parent in parents:
        name, _, index = parent.partition("[")
        holder = holder[name][int(index.rstrip("]"))] if index else holder[name]
    return holder, key
