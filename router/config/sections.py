"""The whole configuration, and the sections that it is made of."""

from typing import Self

from pydantic import Field, model_validator

from router.config.alarms import Alarms, Heartbeat, Mail
from router.config.destinations import KEY_FILES, Destination, DicomDestination, HttpDestination
from router.config.hospital import Branch, Codes, CodeTable, Department, Device, Hospital
from router.config.node import Admin, Audit, Backup, Daily, Database, Node, Retention, Syslog
from router.config.section import HttpPeer, Section, Tls
from router.config.sharing import EXCLUDE_FIELDS, OF_EXAM, Exclude, Identity, Series, Share, Study, Thin
from router.config.sources import Hl7Listener, Query, Receive, Reports, Sender

__all__ = [
    "EXCLUDE_FIELDS", "KEY_FILES", "OF_EXAM", "Admin", "Alarms", "Branch", "CodeTable", "Config", "Department",
    "Destination", "Device", "DicomDestination", "Exclude", "Heartbeat", "Hl7Listener", "Hospital", "HttpDestination",
    "HttpPeer", "Identity", "Mail", "Node", "Query", "Receive", "Reports", "Retention", "Sender", "Series", "Share",
    "Syslog", "Thin", "Tls",
]  # fmt: skip


class Config(Section):
    """Everything the administrator decides. Built by `load` or `parse`, then never changed."""

    # default_factory: the relative paths that are defaults need the base folder.
    node: Node = Field(default_factory=dict, validate_default=True, description="the node as a whole")
    hospital: Hospital = Field(description="constants of every exam JSON (appendix B, global)")
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
        names = [d.name for d in self.destination]
        for name in sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"destination: two are named {name!r}")
        return self

    @model_validator(mode="after")
    def _departments_are_there(self) -> Self:
        known = {department.name for department in self.department}
        for unknown in sorted({d.department for d in self.device if d.department} - known):
            raise ValueError(f"device: no [[department]] has the name {unknown!r}")
        return self

    def destination_named(self, name: str) -> Destination | None:
        """The destination of that name; None when it is no longer configured."""
        return next((d for d in self.destination if d.name == name), None)
