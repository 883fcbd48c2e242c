"""The whole configuration, and the sections that it is made of."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Self, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from router.config.alarms import Alarms, Heartbeat, Mail
from router.config.destinations import KEY_FILES, Destination, DicomDestination, HttpDestination
from router.config.hospital import Branch, Codes, CodeTable, Department, Device, Hospital, StudyRule
from router.config.node import Admin, Audit, Backup, Daily, Database, Node, Retention, Syslog
from router.config.section import HttpPeer, Section, Tls, one_or_several
from router.config.sharing import EXCLUDE_FIELDS, OF_EXAM, Exclude, Identity, Series, Share, Study, Thin
from router.config.sources import Hl7Listener, Query, Receive, Reports, Sender

__all__ = [
    "EXCLUDE_FIELDS", "KEY_FILES", "OF_EXAM", "Admin", "Alarms", "Branch", "CodeTable", "Config", "Department",
    "Destination", "Device", "DicomDestination", "Exclude", "Heartbeat", "Hl7Listener", "Hospital",
    "HospitalConfig", "HttpDestination", "HttpPeer", "Identity", "Mail", "Node", "Query", "Receive", "Reports",
    "Retention", "Sender", "Series", "Share", "StudyRule", "Syslog", "Thin", "Tls",
]  # fmt: skip


_PARTS = ("reports", "identity", "codes", "share", "series")
"""Sections of which a hospital may have keys of its own."""

_AnySection = TypeVar("_AnySection", bound=Section)


class Config(Section):
    """Everything the administrator decides. Built by `load` or `parse`, then never changed."""

    # default_factory: the relative paths that are defaults need the base folder.
    node: Node = Field(default_factory=dict, validate_default=True, description="the node as a whole")
    hospital: Annotated[tuple[Hospital, ...], BeforeValidator(one_or_several), Field(min_length=1)] = Field(
        description="constants of every exam JSON (appendix B, global). Several: [[hospital]], one table each with a "
        "name, or a file each, hospitals/NAME.toml beside this one (router/docs/hospitals.md)"
    )
    device: tuple[Device, ...] = Field(
        (),
        description="devices, recognised in the images by serial number (0018,1000), else by station name "
        "(0008,1010). They fill fields that the RIS leaves empty: Order.DeviceAETitle (设备AETitle) and the others. "
        "Behind a PACS only this table knows the AE title",
    )
    department: tuple[Department, ...] = Field(
        (),
        description="departments. One that the RIS names by code or name is completed (申请科室, 检查科室). Where the "
        "RIS names no executing one (检查科室), the device's counts, else the first whose modalities include the "
        "exam's",
    )
    codes: Codes = Field(
        Codes(), description="code tables of the exam JSON; a changed file applies while the node runs"
    )
    receive: Receive = Field(Receive(), description="Storage SCP: PACS and modalities send to it")
    reports: Reports = Field(default_factory=dict, validate_default=True, description="the drop folder of the RIS")
    share: Share = Field(Share(), description="which exams are shared at all")
    identity: Identity = Field(Identity(), description="whether report and images are of one patient")
    series: Series = Field(Series(), description="the class of a series; rule files are read again on SIGHUP")
    study: Study = Field(
        default_factory=dict, validate_default=True, description="when a study is complete, and when it is missing"
    )
    query: Query | None = Field(
        None,
        description="a PACS that is asked for images that are missing after missing_after, and told to send them here "
        "(C-FIND, C-MOVE, study root). Where the RIS gives no ImageCount, its count is the one to expect. Off unless "
        "this table is there. The PACS must know our move_destination with address and port, and be among the "
        "[receive] senders",
    )
    database: Database = Field(Database(), description="where exams and deliveries are kept")
    destination: tuple[Destination, ...] = Field((), description="a platform that exams are sent to; one table each")
    retention: Retention = Field(
        Retention(),
        description="deliveries that are waiting, held, deferred or failed keep their files; quarantine stays until "
        "you decide. Below 1.5 x min_free delivered images go early, then unmatched ones that are older than a "
        "quarter of their time, oldest first, with an alarm",
    )
    backup: Backup = Field(
        Backup(),
        description="of SQLite's database, every hour, to backup/ in the data folder; copy that folder to another "
        "machine. Each is as large as the database",
    )
    daily: Daily = Field(
        Daily(),
        description="the report of the day before, and the reconciliation of the last week, made by the node itself: "
        "text and CSV in daily/ of the data folder, kept as long as the audit trail",
    )
    alarms: Alarms = Field(
        Alarms(),
        description="one message a cause (kind of alarm and destination), then their count at most every ten minutes "
        "while more come, and one when it is over; always in the log, too. A message that cannot be delivered waits "
        "in the database, and `status` says so. `doctor --alarm` sends a test",
    )
    audit: Audit = Field(
        Audit(),
        description="the trail is always written, to data/audit/<node>, and kept for [retention] audit; here, where "
        "to send it on",
    )
    admin: Admin = Field(Admin(), description="the console, and what monitoring reads")

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        named = {"destination": [d.name for d in self.destination], "hospital": [h.name for h in self.hospital]}
        for section, names in named.items():
            for name in sorted({n for n in names if names.count(n) > 1}):
                raise ValueError(f"{section}: two are named {name!r}")
        if len(self.hospital) > 1 and "" in named["hospital"]:
            raise ValueError("hospital: of several, each needs a name")
        return self

    @model_validator(mode="after")
    def _hospitals_are_told_apart(self) -> Self:
        for what, values in _distinct(self.hospital).items():
            if twice := sorted({value for value in values if values.count(value) > 1}):
                raise ValueError(f"hospital: two have the same {what}: {twice[0]}")
        if sum(one.former for one in self.hospital) > 1:
            raise ValueError("hospital: former: the exams of before are of one hospital")
        return self

    @model_validator(mode="after")
    def _senders_are_named(self) -> Self:
        if fault := self.receive.fault_of(self.senders):
            raise ValidationError.from_exception_data("receive", [{
                "type": "value_error", "loc": ("receive",), "input": {}, "ctx": {"error": ValueError(fault)},
            }])  # fmt: skip
        return self

    @model_validator(mode="after")
    def _hospitals_are_there(self) -> Self:
        known = {one.name for one in self.hospital}
        for destination in self.destination:
            named = {*destination.hospitals, *(account.hospital for account in destination.account)}
            if unknown := sorted(named - known):
                raise ValueError(f"destination {destination.name}: no [[hospital]] has the name {unknown[0]!r}")
        if unknown := sorted(self.alarms.hospitals - known):
            raise ValueError(f"alarms: hospitals: no [[hospital]] has the name {unknown[0]!r}")
        return self

    @model_validator(mode="after")
    def _departments_are_there(self) -> Self:
        for one in self.hospital:
            known = {department.name for department in (*self.department, *one.department)}
            for unknown in sorted({d.department for d in (*self.device, *one.device) if d.department} - known):
                raise ValueError(f"device: no [[department]] has the name {unknown!r}")
        return self

    @property
    def senders(self) -> tuple[Sender, ...]:
        """Everybody who may send images: those of [receive], and those of hospitals."""
        return (*self.receive.senders, *(sender for one in self.hospital for sender in one.senders))

    @property
    def several(self) -> bool:
        """Whether the node serves more than one hospital, or may soon: it has a name."""
        return any(one.name for one in self.hospital)

    @property
    def hospitals(self) -> Iterator["HospitalConfig"]:
        """The configuration as each hospital has it."""
        return (self._of(one) for one in self.hospital)

    def for_hospital(self, name: str) -> "HospitalConfig | None":
        """The configuration as the hospital of that name has it; None when it is not registered."""
        return next((self._of(one) for one in self.hospital if one.name == name), None)

    def _of(self, one: Hospital) -> "HospitalConfig":
        fields: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        fields |= {name: _merged(fields[name], getattr(one, name)) for name in _PARTS}
        fields |= {"device": (*one.device, *self.device), "department": (*one.department, *self.department)}
        return HospitalConfig.model_construct(**fields | {"hospital": (one,)})

    def served(self, destination: Destination, account: str | None = None) -> tuple[str, ...]:
        """The names of the hospitals whose exams go there; of one `account` alone, those whose reports go by it."""
        names = [one.name for one in self.hospital if not destination.hospitals or one.name in destination.hospitals]
        return tuple(name for name in names if account is None or destination.account_of(name) == account)

    def accounts(self, destination: Destination) -> tuple[str, ...]:
        """The accounts by which reports go there, the shared one, "", first."""
        return tuple(sorted({destination.account_of(name) for name in self.served(destination)}))

    def destination_named(self, name: str) -> Destination | None:
        """The destination of that name; None when it is no longer configured."""
        return next((d for d in self.destination if d.name == name), None)


class HospitalConfig(Config):
    """The configuration as one hospital has it: its own devices, departments and keys come before the common ones.

    The same settings as in Config otherwise; `hospital` holds that hospital alone.
    """

    @property
    def own(self) -> Hospital:
        """The hospital, where there is one alone."""
        (one,) = self.hospital
        return one


def _merged(common: _AnySection, own: _AnySection | None) -> _AnySection:
    if own is None:
        return common
    return common.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})


def _distinct(hospitals: tuple[Hospital, ...]) -> Mapping[str, list[str]]:
    """Values of which no two hospitals have the same, by what they are."""
    reports = [one.reports for one in hospitals if one.reports is not None]
    return {
        "USCI and HospitalCode": [f"{one.USCI} {one.HospitalCode}" for one in hospitals],
        "sender": [f"{sender.ae_title} {sender.address}" for one in hospitals for sender in one.senders],
        "reports.folder": [str(own.folder) for own in reports if "folder" in own.model_fields_set],
        "reports.hl7.port": [str(own.hl7.port) for own in reports if own.hl7 is not None and own.hl7.port],
        "facility": [facility for one in hospitals for facility in one.facility],
    }
