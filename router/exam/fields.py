"""Fields of the exam JSON, each once, in the order of appendix A (DB11 6.4.2, 6.4.3).

Structure, checks, filling, output order, JSON Schema and the table that `validate --fields` prints derive from FIELDS.
The reference platform has its own copy on purpose (trial/platform/requirements.py).
`[]` in a path stands for any element of an array.
"""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Literal

Kind = Literal["string", "datetime", "date", "integer", "boolean", "array"]
Required = Literal["always", "when", "known", "never"]
VisitKind = Literal["outpatient", "emergency", "inpatient", "health_check", "other"]
Source = Literal["hospital", "device", "sender", "study", "department", "table", "computed", "count"]

PROCEDURE = "Order.Procedures[]"


@dataclass(frozen=True, slots=True)
class Field:
    """One row of table B.1 or B.2.

    `table` is the code table of the value, a file of conf/codes/. `sources` fill the field, in this order, where the
    RIS gives nothing; see SOURCES. `visits` are the kinds of visit that require a field required "when". A field
    required "known" must be given where there is a value (有则必填). `shown`: a wrong value may be quoted, since it is
    not personal; other fields only show its shape.
    """

    path: str
    name: str
    _: KW_ONLY
    kind: Kind = "string"
    required: Required = "always"
    table: str = ""
    sources: tuple[Source, ...] = ()
    visits: frozenset[VisitKind] = frozenset()
    shown: bool = False
    key: str = field(init=False)  # in the object that holds it

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", self.path.rpartition(".")[2])

    @property
    def parent(self) -> str:
        """The path of the object that holds it; "" for the document itself."""
        return self.path.rpartition(".")[0]

    @property
    def is_name(self) -> bool:
        """Whether it holds the name, not the code, of a row of its code table."""
        return bool(self.table) and self.key.endswith("NameStd")

    @property
    def own(self) -> str:
        """The path, less Code or Name, of the hospital's own code and name that are translated into this one."""
        return self.path.removesuffix("NameStd").removesuffix("CodeStd") if self.key.endswith("Std") else ""


_DEPARTMENT: tuple[Source, ...] = ("department", "table")

FIELDS: tuple[Field, ...] = (
    Field("ExamId", "检查记录ID"),
    Field("USCI", "统一社会信用代码", sources=("hospital",), shown=True),
    Field("HospitalCode", "医疗机构编码", sources=("hospital",), shown=True),
    Field("HospitalName", "医疗机构名称", sources=("hospital",), shown=True),
    Field("HospitalBranchCode", "医疗机构分院编码", table="branches", sources=("hospital",), shown=True),
    Field("Order.AccessionNumber", "检查号", sources=("study",)),
    Field("Order.ApplyDepartmentName", "申请科室", sources=("department",), shown=True),
    Field("Order.ApplyDepartmentCode", "申请科室编码", required="never", sources=("department",), shown=True),
    Field("Order.ApplyDepartmentNameStd", "申请科室标准名称", table="departments", sources=_DEPARTMENT, shown=True),
    Field("Order.ApplyDepartmentCodeStd", "申请科室标准编码", table="departments", sources=_DEPARTMENT, shown=True),
    Field("Order.ApplyDoctorName", "申请医生"),
    Field("Order.ApplyDoctorCode", "申请医生执业资格证书号码", required="known"),
    Field("Order.ApplyTime", "申请时间", kind="datetime", required="never"),
    Field("Order.CheckInTime", "登记时间", kind="datetime", sources=("computed",)),
    Field("Order.DeviceAETitle", "设备AETitle", sources=("device", "sender"), shown=True),
    Field("Order.DeviceCode", "设备编码", required="never", sources=("device",), shown=True),
    Field("Order.DeviceName", "设备名称", required="never", sources=("device", "study"), shown=True),
    Field("Order.DeviceManufacturer", "设备生产厂家", required="never", sources=("device", "study"), shown=True),
    Field("Order.DeviceModel", "设备型号", required="never", sources=("device", "study"), shown=True),
    Field("Order.ExamRoom", "检查室", required="never", sources=("device",), shown=True),
    Field("Order.ExecDepartmentCode", "检查科室编码", sources=("department",), shown=True),
    Field("Order.ExecDepartmentName", "检查科室名称", sources=("department",), shown=True),
    Field("Order.ExecDepartmentCodeStd", "检查科室标准编码", table="departments", sources=_DEPARTMENT, shown=True),
    Field("Order.ExecDepartmentNameStd", "检查科室标准名称", table="departments", sources=_DEPARTMENT, shown=True),
    Field("Order.ExecDoctorCode", "检查技师编码", required="never"),
    Field("Order.ExecDoctorName", "检查技师姓名", required="never"),
    Field("Order.HisOrderCode", "HIS申请单号"),
    Field("Order.ModalityCode", "设备标准类型", table="device_types", sources=("study",), shown=True),
    Field("Order.Note", "备注", required="never"),
    Field("Order.RegisterTime", "登记时间", kind="datetime", sources=("computed",)),
    Field("Order.Status", "申请单状态", shown=True),
    Field("Order.Suggestion", "建议", required="never"),
    Field("Order.Procedures", "检查项目", kind="array"),
    Field("Order.Procedures[].CheckItemCode", "检查项目编码", shown=True),
    Field("Order.Procedures[].CheckItemName", "检查项目名称", shown=True),
    Field("Order.Procedures[].BodyPartCode", "部位编码", shown=True),
    Field("Order.Procedures[].BodyPartName", "部位名称", shown=True),
    Field("Order.Procedures[].CheckItemCodeStd", "检查项目标准编码", table="items", sources=("table",), shown=True),
    Field("Order.Procedures[].CheckItemNameStd", "检查项目标准名称", table="items", sources=("table",), shown=True),
    Field("Order.Procedures[].BodyPartCodeStd", "部位标准编码", table="body_parts", sources=("table",), shown=True),
    Field("Order.Procedures[].BodyPartNameStd", "部位标准名称", table="body_parts", sources=("table",), shown=True),
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
    Field("Visit.PatientType", "受检者来源", table="visit_types", shown=True),
    Field("Visit.Symptom", "症状", required="never"),
    Field("Visit.Sign", "体征", required="never"),
    Field("Visit.VisitSerialNumber", "就诊流水号"),
    Field("Patient.Address", "地址", required="never"),
    Field("Patient.AgeDisplay", "年龄", sources=("computed",)),
    Field("Patient.DateOfBirth", "出生日期", kind="date"),
    Field("Patient.Email", "电子邮箱地址", required="never"),
    Field("Patient.Gender", "性别", table="sex", shown=True),
    Field("Patient.IdNo", "身份证件号"),
    Field("Patient.IdNoType", "身份证件类别", table="identity_types", shown=True),
    Field("Patient.Name", "姓名"),
    Field("Patient.Note", "备注", required="never"),
    Field("Patient.PatientId", "受检者ID"),
    Field("Patient.Telephone", "手机号码"),
    Field("Report.ApproveDoctorCode", "审核医生编码"),
    Field("Report.ApproveDoctorName", "审核医生"),
    Field("Report.ApproveDoctorCertificateNo", "审核医师执业证书编号"),
    Field("Report.ApproveTime", "审核时间", kind="datetime"),
    Field("Report.CriticalType", "危急类型", required="never"),
    Field("Report.Findings", "检查所见"),
    Field("Report.Impression", "印象"),
    Field("Report.IsCritical", "是否危急", kind="boolean", required="never", shown=True),
    Field("Report.PositiveStatus", "阴阳性", kind="integer", sources=("computed",), shown=True),
    Field("Report.SubmitDoctorCode", "报告医生编码"),
    Field("Report.SubmitDoctorName", "报告医生"),
    Field("Report.SubmitTime", "报告时间", kind="datetime"),
    Field("Study.ImageCount", "影像数量", kind="integer", sources=("count",), shown=True),
    Field("Study.StudyDate", "检查日期", kind="datetime", sources=("study",)),
    Field("Study.StudyInstanceUIDs", "检查影像唯一ID", kind="array", sources=("study",)),
    Field("Study.StudyDescription", "检查描述", required="never", sources=("study",)),
)

TABLE_NAMES: Mapping[str, str] = {
    "branches": "院区代码表",
    "departments": "诊疗科室类别代码表",
    "visit_types": "就诊类型代码表 (CV09.00.404)",
    "device_types": "影像检查设备类型代码",
    "items": "北京市检查检验项目统一编码（影像类）",
    "body_parts": "放射影像投照部位代码表",
    "sex": "生理性别代码 (GB/T 2261.1)",
    "identity_types": "身份证件类别代码 (CV02.01.101)",
}
"""The code tables by the name of their file in conf/codes/."""

SOURCES: Mapping[Source, str] = {
    "hospital": "[hospital] of the configuration",
    "device": "[[device]] of the configuration",
    "sender": "a sender with modality = true in [receive]",
    "study": "the joined studies",
    "department": "[[department]] of the configuration",
    "table": "the code table",
    "computed": "other fields",
    "count": "the instances selected for the destination",
}
"""Sources that fill gaps, in the order in which they are asked."""

SECTION_NAMES: Mapping[str, str] = {
    "Order": "检查单信息",
    "Visit": "就诊信息",
    "Patient": "受检者信息",
    "Report": "报告信息",
    "Study": "影像信息",
}

LOCAL: Mapping[str, frozenset[str]] = {"Local": frozenset({"PatientId"})}
"""Fields that a mapping may give besides the standard's: compared with the images, never sent."""

BY_PATH: Mapping[str, Field] = {field.path: field for field in FIELDS}

FIELDS_OF: Mapping[str, tuple[Field, ...]] = {
    parent: tuple(field for field in FIELDS if field.parent == parent) for parent in ("", *SECTION_NAMES, PROCEDURE)
}
"""The fields of each object by the object's path, in appendix A's order."""
