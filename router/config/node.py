"""Sections about the node itself: its data, database, retention, backups, daily report, audit trail and console."""

import re
import socket
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from router.config.section import Section, Tls, plain_only_on_loopback
from router.config.types import Budget, ConfigPath, Duration, Port, TimeOfDay, Zone, is_loopback


class Node(Section):
    data: ConfigPath = Field(
        Path("../data"),
        validate_default=True,
        description="everything the node keeps; on a local disk or NFS (hard links are needed)",
    )
    name: str = Field("", description="the host's name when empty; it owns leases, so each running node needs its own")
    language: Literal["zh_CN", "en"] = Field(
        "zh_CN", description='or "en": alarms, console, commands; the log and --json stay English'
    )
    timezone: Zone = Field(
        ZoneInfo("Asia/Shanghai"), description="of times without a zone in DICOM and in the exam JSON"
    )
    lease: Budget = Field(
        timedelta(seconds=30),
        description="after this long without a heartbeat, other nodes on the same database take over; the limits of "
        "sessions with PostgreSQL follow from it, see [database]",
    )

    @property
    def owner(self) -> str:
        """The name that owns leases and names folders: the host's when none is set."""
        return re.sub(r"[^A-Za-z0-9._-]", "-", self.name or socket.gethostname()) or "node"


class Database(Section):
    url: str = Field(
        "",
        description="SQLite in the data folder when not set. Every session with PostgreSQL has limits, by [node] "
        "lease (at least 5 s). Its locks are gone after the lease within a transaction in which its process is frozen "
        "or gone. A lock is waited for 5 s longer than the lease; a statement may take 15 s longer (at least 30 s); a "
        "server that is silent for 5 s more is given up. A session is there within 6 s; TCP keep-alives and "
        "tcp_user_timeout find a lost line within the lease. A limit that the URL sets itself counts "
        "(connect_timeout, keepalives_idle)",
    )


class Retention(Section):
    delivered: Duration = Field(
        timedelta(days=30),
        description="images and copies of report PDFs, after everything of every exam that has them was confirmed or "
        "closed",
    )
    unmatched: Duration = Field(timedelta(days=30), description="studies that no exam ever named")
    done: Duration = Field(timedelta(days=30), description="originals in done/ and rejected/")
    audit: Duration = Field(
        timedelta(days=1095),
        description="the history, by what purged images are known when they come again, and how each exam counted in "
        "the statistics (the sums of days stay)",
    )
    records: Duration = Field(
        timedelta(days=1825),
        description="exams, deliveries, exam JSONs, uploads and receipts, after everything of the exam is done; not "
        "less than audit",
    )
    scrub: Duration = Field(
        timedelta(days=1),
        description="how often stored images that no destination has confirmed yet are read, slowly, and compared "
        "with what came; a damaged one is set aside, with an alarm. 0: never",
    )

    @field_validator("scrub", mode="before")
    @classmethod
    def _never(cls, value: object) -> object:
        return timedelta(0) if type(value) is int and value == 0 else value

    @model_validator(mode="after")
    def _records_last(self) -> Self:
        if self.records < max(self.audit, self.delivered):
            raise ValueError("records must not end before audit and delivered")
        return self


class Daily(Section):
    at: TimeOfDay = Field(time(6, 30), description="the time of day at which both are made")


class Backup(Section):
    hourly: Annotated[int, Field(ge=1)] = Field(24, description="so many of the newest are kept")
    daily: Annotated[int, Field(ge=0)] = Field(7, description="and the newest of each of so many days")


class Syslog(Section):
    host: str = Field(description="of the collector")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(6514, description="of the collector")
    tls: Tls | None = Field(None, description="as in [receive], for our own certificate too")
    allow_plain: bool = Field(False, description="beyond loopback without TLS")

    _plain = model_validator(mode="after")(plain_only_on_loopback)


class Audit(Section):
    syslog: Syslog | None = Field(
        None,
        description="RFC 5425; plain beyond loopback only with allow_plain = true; tls as in [receive], for our own "
        "certificate too",
    )


class Admin(Section):
    host: str = Field("127.0.0.1", description="beyond loopback: set tls and token_file")
    port: Port = Field(8080, description="the console, /health, /metrics")
    names: tuple[str, ...] = Field(
        (),
        description="further names by which browsers call it, such as a proxy's or a DNS alias. Loopback's own are "
        "known; beyond loopback also addresses, this machine's name and the certificate's. Any other name is refused: "
        "it may be a web page's that resolves to here",
    )
    link: Annotated[str, Field(pattern=r"^(https?://[^\s/]+\S*)?$")] = Field(
        "", description='where people reach the console, "https://router.hospital:8080": alarms link to it'
    )
    token_file: ConfigPath | None = Field(
        None,
        description="the token for the console's login, 0600; made when it is not there; else console-token in the "
        "data folder. Beyond loopback it must be named, and tls set",
    )
    tls: Tls | None = Field(None, description="with ca, browsers must show a certificate of its own")

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> Self:
        if not is_loopback(self.host) and (self.tls is None or self.token_file is None):
            raise ValueError(f"host {self.host!r} is beyond loopback: set tls and token_file")
        return self
