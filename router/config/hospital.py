"""Sections about a hospital: its codes, branches, devices, departments, code tables, and what differs for it."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from router.config.section import Section
from router.config.sharing import Identity, Series, Share
from router.config.sources import Reports, Sender
from router.config.types import AeTitle, Name, Pattern, WrittenPath

CodeTable = Literal[
    "branches", "departments", "visit_types", "device_types", "items", "body_parts", "sex", "identity_types"
]


class Branch(Section):
    code: str = Field(description="医疗机构分院编码 of the branch")
    folder: str = Field("", description="the subfolder of the drop folder whose reports belong to the branch")
    senders: tuple[AeTitle, ...] = Field((), description="AE titles whose images belong to the branch")


class Device(Section):
    station_name: str = Field("", description="(0008,1010) of its images; this or the serial number is needed")
    serial_number: str = Field("", description="(0018,1000) of its images")
    DeviceAETitle: AeTitle | None = Field(None, description="设备AETitle")
    DeviceCode: str = Field("", description="设备编码")
    DeviceName: str = Field("", description="设备名称")
    DeviceManufacturer: str = Field("", description="设备生产厂家")
    DeviceModel: str = Field("", description="设备型号")
    ExamRoom: str = Field("", description="检查室")
    department: str = Field("", description="the [[department]] that examines with it")

    @model_validator(mode="after")
    def _can_be_recognised(self) -> Self:
        if not self.station_name and not self.serial_number:
            raise ValueError("expected station_name (0008,1010) or serial_number (0018,1000)")
        return self


class Department(Section):
    name: Annotated[str, Field(min_length=1)] = Field(description="科室名称, as the RIS writes it")
    code: str = Field("", description="科室编码, as the RIS writes it")
    code_std: str = Field("", description="诊疗科室类别代码表; left out: the code table departments.csv knows it")
    name_std: str = Field("", description="the name that belongs to code_std")
    modalities: tuple[str, ...] = Field((), description="of the exams that it performs")
    branch: str = Field("", description="only in this branch")


class Codes(Section):
    folder: WrittenPath | None = Field(
        None, description="holds the hospital's own CSV files, which replace the shipped ones of their name"
    )
    complete: tuple[CodeTable, ...] = Field(
        (),
        description='tables outside of which a code is an error, not only a warning: "branches", "departments", '
        '"visit_types", "device_types", "items", "body_parts", "sex", "identity_types"',
    )


class StudyRule(Section):
    InstitutionName: Pattern = Field("", description="a regular expression of the whole of (0008,0080)")
    StationName: Pattern = Field("", description="likewise of (0008,1010)")
    AccessionNumber: Pattern = Field("", description="likewise of (0008,0050)")

    @property
    def patterns(self) -> dict[str, str]:
        """The expressions by the element's name; each must match."""
        return {name: pattern for name in type(self).model_fields if (pattern := getattr(self, name))}

    @model_validator(mode="after")
    def _names_an_element(self) -> Self:
        if not self.patterns:
            raise ValueError(f"expected at least one of {', '.join(type(self).model_fields)}")
        return self


class Hospital(Section):
    name: Name | Literal[""] = Field(
        "", description="the node's own short name of it, for commands and logs; needed where there are several"
    )
    USCI: str = Field(description="统一社会信用代码")
    HospitalCode: str = Field(description="医疗机构编码")
    HospitalName: str = Field(description="医疗机构名称")
    HospitalBranchCode: str = Field(description="医疗机构分院编码")
    branch: tuple[Branch, ...] = Field(
        (),
        description="several campuses in one node: reports from a subfolder of the drop folder belong to that branch; "
        "so do reports without a branch whose images came from one of its senders",
    )
    former: bool = Field(
        False, description="the exams from before the node had several hospitals are of this one; needed once"
    )
    facility: tuple[str, ...] = Field(
        (), description="sending facilities (MSH-4) of its HL7 messages, beside its codes and its name"
    )
    senders: tuple[Sender, ...] = Field(
        (), description="as in [receive], beside those: their images are of this hospital"
    )
    study: tuple[StudyRule, ...] = Field(
        (), description="whose images of a shared PACS are of this hospital: one rule of them fits"
    )
    device: tuple[Device, ...] = Field((), description="as [[device]], before those")
    department: tuple[Department, ...] = Field((), description="as [[department]], before those")
    reports: Reports | None = Field(None, description="keys that differ from [reports], as folder and hl7")
    identity: Identity | None = Field(None, description="keys that differ from [identity]")
    codes: Codes | None = Field(None, description="keys that differ from [codes]")
    share: Share | None = Field(None, description="keys that differ from [share]")
    series: Series | None = Field(None, description="keys that differ from [series]")

    @property
    def branches(self) -> frozenset[str]:
        """The codes of all its branches."""
        return frozenset({self.HospitalBranchCode, *(branch.code for branch in self.branch)})
