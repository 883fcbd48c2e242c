"""Every field of the exam JSON, once, in the order of appendix A (DB11 6.4.2, 6.4.3).

Structure, checks, filling and output order derive from FIELDS. `[]` in a path stands for any element of an array.
`table` is the code table, a file of conf/codes/, that the value is taken from.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "datetime", "date", "integer", "boolean", "array"]
Required = Literal["always", "when", "never"]
VisitKind = Literal["outpatient", "emergency", "inpatient", "other"]

PROCEDURE = "Order.Procedures[]"


@dataclass(frozen=True, slots=True)
class Field:
    """One row of table B.1 or B.2. `visits` are the kinds of visit that require a field required "when"."""

    path: str
    name: str
    kind: Kind = "string"
    required: Required = "always"
    table: str = ""
    visits: frozenset[VisitKind] = frozenset()

    @property
    def parent(self) -> str:
        """The path of the object that holds it; "" for the document itself."""
        return self.path.rpartition(".")[0]

    @property
    def key(self) -> str:
        """Its key in that object."""
        return self.path.rpartition(".")[2]


FIELDS: tuple[Field, ...] = (
    Field("ExamId", "检查记录ID"),
    Field("USCI", "统一社会信用代码"),
    Field("HospitalCode", "医疗机构编码"),
    Field("HospitalName", "医疗机构名称"),
    Field("HospitalBranchCode", "医疗机构分院编码", table="branches"),
    Field("Order.AccessionNumber", "检查号"),
    Field("Order.ApplyDepartmentName", "申请科室"),
    Field("Order.ApplyDepartmentCode", "申请科室编码", required="never"),
    Field("Order.ApplyDepartmentNameStd", "申请科室标准名称", table="departments"),
    Field("Order.ApplyDepartmentCodeStd", "申请科室标准编码", table="departments"),
    Field("Order.ApplyDoctorName", "申请医生"),
    Field("Order.ApplyDoctorCode", "申请医生执业资格证书号码", required="never"),
    Field("Order.ApplyTime", "申请时间", "datetime", "never"),
    Field("Order.CheckInTime", "登记时间", "datetime"),
    Field("Order.DeviceAETitle", "设备AETitle"),
    Field("Order.DeviceCode", "设备编码", required="never"),
    Field("Order.DeviceName", "设备名称", required="never"),
    Field("Order.DeviceManufacturer", "设备生产厂家", required="never"),
    Field("Order.DeviceModel", "设备型号", required="never"),
    Field("Order.ExamRoom", "检查室", required="never"),
    Field("Order.ExecDepartmentCode", "检查科室编码"),
    Field("Order.ExecDepartmentName", "检查科室名称"),
    Field("Order.ExecDepartmentCodeStd", "检查科室标准编码", table="departments"),
    Field("Order.ExecDepartmentNameStd", "检查科室标准名称", table="departments"),
    Field("Order.ExecDoctorCode", "检查技师编码", required="never"),
    Field("Order.ExecDoctorName", "检查技师姓名", required="never"),
    Field("Order.HisOrderCode", "HIS申请单号"),
    Field("Order.ModalityCode", "设备标准类型", table="device_types"),
    Field("Order.Note", "备注", required="never"),
    Field("Order.RegisterTime", "登记时间", "datetime"),
    Field("Order.Status", "申请单状态"),
    Field("Order.Suggestion", "建议", required="never"),
    Field("Order.Procedures", "检查项目", "array"),
    Field("Order.Procedures[].CheckItemCode", "检查项目编码"),
    Field("Order.Procedures[].CheckItemName", "检查项目名称"),
    Field("Order.Procedures[].BodyPartCode", "部位编码"),
    Field("Order.Procedures[].BodyPartName", "部位名称"),
    Field("Order.Procedures[].CheckItemCodeStd", "检查项目标准编码", table="items"),
    Field("Order.Procedures[].CheckItemNameStd", "检查项目标准名称", table="items"),
    Field("Order.Procedures[].BodyPartCodeStd", "部位标准编码", table="body_parts"),
    Field("Order.Procedures[].BodyPartNameStd", "部位标准名称", table="body_parts"),
    Field("Visit.AllergyHistory", "过敏史", required="never"),
    Field("Visit.BedNumber", "病床号", required="never"),
    Field("Visit.ClinicalDiagnosis", "临床诊断", required="never"),
    Field("Visit.ClinicalNumber", "门诊号", required="when", visits=frozenset({"outpatient", "emergency"})),
    Field("Visit.DiseaseHistory", "病史", required="never"),
    Field("Visit.InpatientNumber", "住院号", required="when", visits=frozenset({"inpatient"})),
    Field("Visit.OtherDiagnosis", "其他诊断结果", required="never"),
    Field("Visit.LaboratoryReport", "化验结果", required="never"),
    Field("Visit.MedicalRecordNumber", "病案号", required="never"),
    Field("Visit.PastHistory", "既往史", required="never"),
    Field("Visit.PatientType", "受检者来源", table="visit_types"),
    Field("Visit.Symptom", "症状", required="never"),
    Field("Visit.Sign", "体征", required="never"),
    Field("Visit.VisitSerialNumber", "就诊流水号"),
    Field("Patient.Address", "地址", required="never"),
    Field("Patient.AgeDisplay", "年龄"),
    Field("Patient.DateOfBirth", "出生日期", "date"),
    Field("Patient.Email", "电子邮箱地址", required="never"),
    Field("Patient.Gender", "性别", table="sex"),
    Field("Patient.IdNo", "身份证件号"),
    Field("Patient.IdNoType", "身份证件类别", table="identity_types"),
    Field("Patient.Name", "姓名"),
    Field("Patient.Note", "备注", required="never"),
    Field("Patient.PatientId", "受检者ID"),
    Field("Patient.Telephone", "手机号码"),
    Field("Report.ApproveDoctorCode", "审核医生编码"),
    Field("Report.ApproveDoctorName", "审核医生"),
    Field("Report.ApproveDoctorCertificateNo", "审核医师执业证书编号"),
    Field("Report.ApproveTime", "审核时间", "datetime"),
    Field("Report.CriticalType", "危急类型", required="never"),
    Field("Report.Findings", "检查所见"),
    Field("Report.Impression", "印象"),
    Field("Report.IsCritical", "是否危急", "boolean", "never"),
    Field("Report.PositiveStatus", "阴阳性", "integer"),
    Field("Report.SubmitDoctorCode", "报告医生编码"),
    Field("Report.SubmitDoctorName", "报告医生"),
    Field("Report.SubmitTime", "报告时间", "datetime"),
    Field("Study.ImageCount", "影像数量", "integer"),
    Field("Study.StudyDate", "检查日期", "datetime"),
    Field("Study.StudyInstanceUIDs", "检查影像唯一ID", "array"),
    Field("Study.StudyDescription", "检查描述", required="never"),
)

SECTION_NAMES: Mapping[str, str] = {
    "Order": "检查单信息",
    "Visit": "就诊信息",
    "Patient": "受检者信息",
    "Report": "报告信息",
    "Study": "影像信息",
}

BY_PATH: Mapping[str, Field] = {field.path: field for field in FIELDS}

FIELDS_OF: Mapping[str, tuple[Field, ...]] = {
    parent: tuple(field for field in FIELDS if field.parent == parent) for parent in ("", *SECTION_NAMES, PROCEDURE)
}
"""The fields of each object by the object's path, in appendix A's order."""
