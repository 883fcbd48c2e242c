"""The configuration file: TOML in, one frozen Config out, or every fault at once.

Relative paths are relative to the file.
"""

import functools
import hashlib
import re
import socket
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from router.alarms import Alarm
from router.config.types import (
    AeTitle,
    Budget,
    ConfigPath,
    Duration,
    Name,
    Network,
    Pattern,
    Port,
    Size,
    TimeOfDay,
    WrittenPath,
    Zone,
    is_loopback,
)
from router.errors import ConfigurationError
from router.model import Channel, SeriesClass
from router.text.spelling import did_you_mean

CodeTable = Literal[
    "branches", "departments", "visit_types", "device_types", "items", "body_parts", "sex", "identity_types"
]

_PACKAGE = Path(__file__).parents[1]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=False, arbitrary_types_allowed=True)


class Tls(_Section):
    certificate: ConfigPath | None = None
    key: ConfigPath | None = None
    ca: ConfigPath | None = None


class Node(_Section):
    data: ConfigPath = Field(Path("../data"), validate_default=True)
    name: str = ""
    language: Literal["zh_CN", "en"] = "zh_CN"
    timezone: Zone = Field(ZoneInfo("Asia/Shanghai"))
    lease: Budget = timedelta(seconds=30)

    @property
    def owner(self) -> str:
        """The name that owns leases and names folders: the host's when none is set."""
        return re.sub(r"[^A-Za-z0-9._-]", "-", self.name or socket.gethostname()) or "node"


class Branch(_Section):
    code: str
    folder: str = ""
    senders: tuple[AeTitle, ...] = ()


class Hospital(_Section):
    USCI: str
    HospitalCode: str
    HospitalName: str
    HospitalBranchCode: str
    branch: tuple[Branch, ...] = ()


class Device(_Section):
    station_name: str = ""
    serial_number: str = ""
    DeviceAETitle: AeTitle | None = None
    DeviceCode: str = ""
    DeviceName: str = ""
    DeviceManufacturer: str = ""
    DeviceModel: str = ""
    ExamRoom: str = ""
    department: str = ""

    @model_validator(mode="after")
    def _can_be_recognised(self) -> "Device":
        if not self.station_name and not self.serial_number:
            raise ValueError("expected station_name (0008,1010) or serial_number (0018,1000)")
        return self


class Department(_Section):
    name: Annotated[str, Field(min_length=1)]
    code: str = ""
    code_std: str = ""
    name_std: str = ""
    modalities: tuple[str, ...] = ()
    branch: str = ""


class Codes(_Section):
    folder: WrittenPath | None = None
    complete: tuple[CodeTable, ...] = ()


class Sender(_Section):
    ae_title: AeTitle
    address: Network = ""
    modality: bool = False
    certificate: str = ""


class Receive(_Section):
    ae_title: AeTitle = "ROUTER"
    host: str = "127.0.0.1"
    port: Port = 11112
    workers: Annotated[int, Field(ge=0, le=64)] = 0
    senders: tuple[Sender, ...] = ()
    max_associations: Annotated[int, Field(ge=1)] = 64
    max_associations_per_sender: Annotated[int, Field(ge=1)] = 16
    max_pdu: Annotated[Size, Field(ge=4096, le=2**24)] = 2**17
    idle: Budget = timedelta(seconds=60)
    irregular: Literal["hold", "refuse", "send"] = "hold"
    min_free: Size = 5 * 2**30
    journal: Size = 2**29
    proxies: tuple[Network, ...] = ()
    allow_plain: bool = False
    tls: Tls | None = None

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> "Receive":
        if not is_loopback(self.host):
            if not self.senders:
                raise ValueError(f"senders: anyone may send on loopback only; host is {self.host!r}: name the senders")
            if self.tls is None and not self.allow_plain:
                raise ValueError(f"host {self.host!r} is beyond loopback: set tls, or allow_plain = true")
        return self

    @model_validator(mode="after")
    def _certificates_are_checked(self) -> Self:
        if any(sender.certificate for sender in self.senders) and (self.tls is None or self.tls.ca is None):
            raise ValueError("senders: certificate: only tls with ca asks senders for one")
        return self


class Hl7Listener(_Section):
    host: str = "127.0.0.1"
    port: Port = 2575
    senders: tuple[Network, ...] = ()
    max_connections: Annotated[int, Field(ge=1, le=256)] = 8
    max_connections_per_sender: Annotated[int, Field(ge=1, le=256)] = 4
    idle: Budget = timedelta(hours=1)
    max_message: Annotated[Size, Field(ge=1024, le=2**27)] = 2**25
    message_within: Budget = timedelta(seconds=30)
    allow_plain: bool = False
    tls: Tls | None = None

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> "Hl7Listener":
        if not is_loopback(self.host):
            if not self.senders:
                raise ValueError(f"senders: anyone may send on loopback only; host is {self.host!r}: name the senders")
            if self.tls is None and not self.allow_plain:
                raise ValueError(f"host {self.host!r} is beyond loopback: set tls, or allow_plain = true")
        return self


class Reports(_Section):
    folder: ConfigPath = Field(Path("../reports"), validate_default=True)
    settle: Duration = timedelta(seconds=2)
    rescan: Budget = timedelta(seconds=30)
    on_pickup: Literal["move", "keep"] = "move"
    name_pattern: Pattern | None = None
    mapping: WrittenPath | None = None
    hl7_mapping: WrittenPath | None = None
    hl7_repeat: Literal["auto", "line", "text"] = "auto"
    hl7: Hl7Listener | None = None
    encapsulated_pdf: bool = False
    pdf_text_check: bool = True
    approved_only: bool = False
    pair_within: Duration = timedelta(minutes=10)
    clock_tolerance: Duration = timedelta(minutes=10)


EXCLUDE_FIELDS = frozenset({
    "PatientID", "PatientName", "AccessionNumber", "StudyDescription", "StationName", "Manufacturer",
    "ManufacturerModelName", "StudyDate",
})  # fmt: skip


_OF_EXAM = frozenset({"ExamId", "USCI", "HospitalCode", "HospitalName", "HospitalBranchCode"})
_KEYWORD = re.compile("[A-Z][a-z][A-Za-z]*")  # as DICOM's and the standard's names are written
_EXCLUDE_EXPECTED = (
    f"expected at least one of {', '.join(sorted(EXCLUDE_FIELDS))}, a field of the exam JSON such as"
    ' "Visit.PatientType", or a key of the RIS such as "$.Vip"'
)


class Exclude(BaseModel):
    """A rule that keeps exams from being shared: every field named must match its expression.

    Fields are those of the DICOM header, and of the exam JSON by their path.
    """

    model_config = ConfigDict(extra="allow", frozen=True)
    __pydantic_extra__: dict[str, Pattern]
    name: str
    why: str = ""

    @model_validator(mode="before")
    @classmethod
    def _as_paths(cls, given: Any) -> Any:
        """Visit.PatientType without quotes is a table in TOML."""
        return _flat(given) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _knows_its_fields(self) -> "Exclude":
        named = set(self.model_extra or {})
        wrong = {one for one in named - EXCLUDE_FIELDS - _OF_EXAM if _KEYWORD.fullmatch(one)}
        if not named or wrong:
            raise ValueError(f"{', '.join(sorted(wrong)) or 'no field'}: {_EXCLUDE_EXPECTED}")
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


class Share(_Section):
    modalities: tuple[str, ...] = ("CT", "MR", "CR", "DX", "MG", "XA", "RF", "PT", "NM", "PX", "IO")
    from_: Annotated[datetime | None, BeforeValidator(_aware_day)] = Field(None, alias="from")
    late_window: Duration = timedelta(days=7)
    shared_study: Literal["first", "all"] = "first"
    shared_study_then: Literal["send", "hold"] = "send"
    count_revisions: bool = True
    level: Annotated[int, Field(ge=1, le=5)] = 4
    exclude: tuple[Exclude, ...] = ()


class Identity(_Section):
    patient_id: tuple[
        Literal[
            "Patient.PatientId", "Visit.ClinicalNumber", "Visit.InpatientNumber", "Visit.MedicalRecordNumber",
            "Local.PatientId",
        ], ...
    ] = ("Patient.PatientId",)  # fmt: skip
    strip: Pattern = ""
    ignore_case: bool = False
    blank: tuple[str, ...] = ("0", "UNKNOWN", "ANONYMOUS")
    blank_names: tuple[Pattern, ...] = ("无名氏", "无名男", "无名女", "不详", r"急诊\d*", "UNKNOWN")
    doubt: Literal["both", "images"] = "both"
    checks: Literal[1, 2] | None = None
    evidence: Annotated[int, Field(ge=0, le=3)] = 1
    study_date_within: Duration = timedelta(days=30)


class Thin(_Section):
    modality: str
    body_part: str = ""
    up_to: Annotated[float, Field(gt=0)]


class Series(_Section):
    rules: WrittenPath | None = None
    own_rules: WrittenPath | None = None
    thin: tuple[Thin, ...] = (Thin(modality="CT", up_to=1.25),)


class Study(_Section):
    stable_after: Duration = timedelta(seconds=60)
    missing_after: Duration = timedelta(hours=3)
    unreported_after: Budget = timedelta(days=3)
    holidays: ConfigPath = Field(Path("holidays.txt"), validate_default=True)


class Database(_Section):
    url: str = ""


class DicomDestination(_Section):
    ae_title: AeTitle = "CLOUD"
    calling_ae_title: AeTitle = "ROUTER"
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 11113
    associations: Annotated[int, Field(ge=1, le=16)] = 2
    allow_plain: bool = False
    source_address: str = ""
    allowed_networks: tuple[Network, ...] = ()
    decompress: bool = False
    commitment: bool = False
    commitment_wait: Duration = timedelta(seconds=5)
    commitment_within: Budget = timedelta(hours=1)
    tls: Tls | None = None

    @model_validator(mode="after")
    def _plain_only_on_loopback(self) -> "DicomDestination":
        if self.tls is None and not self.allow_plain and not is_loopback(self.host):
            raise ValueError(f"host {self.host!r} is beyond loopback: set tls, or allow_plain = true")
        return self


class Query(_Section):
    ae_title: AeTitle
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 104
    calling_ae_title: AeTitle | None = None
    move_destination: AeTitle | None = None
    tries: Annotated[int, Field(ge=1, le=20)] = 5
    pause: Budget = timedelta(minutes=10)
    move_within: Budget = timedelta(minutes=30)
    allow_plain: bool = False
    source_address: str = ""
    allowed_networks: tuple[Network, ...] = ()
    tls: Tls | None = None

    @model_validator(mode="after")
    def _plain_only_on_loopback(self) -> "Query":
        if self.tls is None and not self.allow_plain and not is_loopback(self.host):
            raise ValueError(f"host {self.host!r} is beyond loopback: set tls, or allow_plain = true")
        return self

    def peer(self, own: str) -> DicomDestination:
        """The PACS as something to connect to; `own` is [receive] ae_title."""
        return DicomDestination(
            ae_title=self.ae_title, calling_ae_title=self.calling_ae_title or own, host=self.host, port=self.port,
            allow_plain=self.allow_plain, source_address=self.source_address, allowed_networks=self.allowed_networks,
            tls=self.tls,
        )  # fmt: skip


KEY_FILES = {
    "gm-envelope/1": ("signing_key_file", "platform_signing_key_file", "platform_encryption_key_file"),
    "gm-psk/1": ("psk_file",),
}


def _profile(value: str) -> str:
    if value not in KEY_FILES:
        raise ValueError(f"expected one of {', '.join(KEY_FILES)}")
    return value


def _host(url: str) -> str:
    """The host's name or address, without the brackets of IPv6."""
    return re.sub(r"^https?://(?:[^/@]*@)?(\[[^\]]*\]|[^:/]*).*$", r"\1", url).strip("[]")


class HttpPeer(_Section):
    """An address that is POSTed to, and by which way."""

    url: Annotated[str, Field(pattern=r"^https?://[^/]+")] = "http://127.0.0.1:8443"
    allow_plain: bool = False
    ca_file: ConfigPath | None = None
    client_certificate_file: ConfigPath | None = None
    client_key_file: ConfigPath | None = None
    proxy: Annotated[str, Field(pattern=r"^(http://[^/@]+)?$")] = ""
    source_address: str = ""
    allowed_networks: tuple[Network, ...] = ()

    @model_validator(mode="after")
    def _plain_only_on_loopback(self) -> Self:
        if self.url.startswith("http://") and not self.allow_plain and not is_loopback(_host(self.url)):
            # Its path may be a secret, such as a webhook's token.
            host = _host(self.url)
            raise ValueError(f"url to {host!r} is plain http beyond loopback: use https, or allow_plain = true")
        return self


class HttpDestination(HttpPeer):
    profile: Annotated[str, AfterValidator(_profile)] = "gm-envelope/1"
    gateway: bool = False
    app: Name = "hospital-1"
    api_key_file: ConfigPath
    signing_key_file: ConfigPath | None = None
    signing_key_passphrase_file: ConfigPath | None = None
    signing_key_passphrase_env: Name | None = None
    signing_key_passphrase_credential: Name | None = None
    platform_signing_key_file: ConfigPath | None = None
    platform_encryption_key_file: ConfigPath | None = None
    psk_file: ConfigPath | None = None

    @property
    def vouched(self) -> bool:
        """Whether the connection proves who answers: TLS to the configured ca_file, or a gateway on loopback."""
        return self.gateway or (self.ca_file is not None and self.url.startswith("https://"))

    @model_validator(mode="after")
    def _gateway_only_on_loopback(self) -> Self:
        if self.gateway and (self.proxy or not is_loopback(_host(self.url))):
            raise ValueError("gateway = true: the gateway's url is on loopback (127.0.0.1, ::1), without a proxy")
        return self

    @model_validator(mode="after")
    def _names_the_keys_of_its_profile(self) -> "HttpDestination":
        missing = [name for name in KEY_FILES[self.profile] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{', '.join(missing)}: missing; profile {self.profile} has no default for it")
        sources = ("signing_key_passphrase_file", "signing_key_passphrase_env", "signing_key_passphrase_credential")
        if len([name for name in sources if getattr(self, name) is not None]) > 1:
            raise ValueError(f"the passphrase comes from one place, not several: {', '.join(sources)}")
        return self

    def key_file(self, name: str) -> Path:
        """The path under one of the keys that the profile needs."""
        path: Path = getattr(self, name)
        return path


class Bandwidth(_Section):
    from_: TimeOfDay = Field(alias="from")
    to: TimeOfDay
    limit: Annotated[Size, Field(ge=2**16)]


class Destination(_Section):
    name: Name
    agreement: str = ""
    purpose: str = ""
    report_within: Budget = timedelta(hours=1)
    images_within: Budget = timedelta(hours=6)
    classes: tuple[SeriesClass, ...] = (
        SeriesClass.THIN, SeriesClass.KEY, SeriesClass.SCOUT, SeriesClass.DOSE, SeriesClass.IMAGE,
    )  # fmt: skip
    thin: tuple[Thin, ...] = ()
    accept_empty: tuple[str, ...] = ()
    bandwidth: tuple[Bandwidth, ...] = ()
    dicom: DicomDestination | None = None
    http: HttpDestination | None = None

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What it takes."""
        ways = {Channel.REPORT: self.http, Channel.IMAGES: self.dicom}
        return tuple(channel for channel, way in ways.items() if way is not None)


class Retention(_Section):
    delivered: Duration = timedelta(days=30)
    unmatched: Duration = timedelta(days=30)
    done: Duration = timedelta(days=30)
    audit: Duration = timedelta(days=1095)
    records: Duration = timedelta(days=1825)
    scrub: Duration = timedelta(days=1)

    @field_validator("scrub", mode="before")
    @classmethod
    def _never(cls, value: object) -> object:
        return timedelta(0) if type(value) is int and value == 0 else value

    @model_validator(mode="after")
    def _records_last(self) -> Self:
        if self.records < max(self.audit, self.delivered):
            raise ValueError("records must not end before audit and delivered")
        return self


class Daily(_Section):
    at: TimeOfDay = time(6, 30)


class Backup(_Section):
    hourly: Annotated[int, Field(ge=1)] = 24
    daily: Annotated[int, Field(ge=0)] = 7


class Mail(_Section):
    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    from_: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", alias="from")]
    to: Annotated[tuple[Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")], ...], Field(min_length=1)]
    user: str = ""
    passphrase_file: ConfigPath | None = None
    ca_file: ConfigPath | None = None
    starttls: bool = True
    allow_plain: bool = False

    @model_validator(mode="after")
    def _plain_only_on_loopback(self) -> "Mail":
        if not self.starttls and not self.allow_plain and not is_loopback(self.host):
            raise ValueError("mail without starttls goes beyond loopback only with allow_plain = true")
        if bool(self.user) != (self.passphrase_file is not None):
            raise ValueError("user and passphrase_file go together")
        return self


class Heartbeat(HttpPeer):
    """An outside watcher that raises an alarm of its own where no call comes."""

    url: Annotated[str, Field(pattern=r"^https?://[^/]+")]
    every: Budget = timedelta(minutes=5)


def _target(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*://\S+", value.get_secret_value()):
        raise ValueError('expected an address that apprise reads, like "wecombot://KEY" (the value is not shown)')
    return value


Target = Annotated[SecretStr, AfterValidator(_target)]


class Alarms(_Section):
    only: tuple[Alarm, ...] = ()
    targets: tuple[Target, ...] = ()
    targets_file: ConfigPath | None = None
    proxy: Annotated[str, Field(pattern=r"^(http://[^/@]+)?$")] = ""
    program: tuple[str, ...] = ()
    webhook: HttpPeer | None = None
    mail: Mail | None = None
    heartbeat: Heartbeat | None = None

    @field_validator("program")
    @classmethod
    def _found_without_a_search(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if value and not value[0].startswith("/"):
            raise ValueError("expected the program's whole path, and then its arguments")
        return value


class Syslog(_Section):
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 6514
    tls: Tls | None = None
    allow_plain: bool = False

    @model_validator(mode="after")
    def _plain_only_on_loopback(self) -> "Syslog":
        if self.tls is None and not self.allow_plain and not is_loopback(self.host):
            raise ValueError(f"host {self.host!r} is beyond loopback: set tls, or allow_plain = true")
        return self


class Audit(_Section):
    syslog: Syslog | None = None


class Admin(_Section):
    host: str = "127.0.0.1"
    port: Port = 8080
    names: tuple[str, ...] = ()
    link: Annotated[str, Field(pattern=r"^(https?://[^\s/]+\S*)?$")] = ""
    token_file: ConfigPath | None = None
    tls: Tls | None = None

    @model_validator(mode="after")
    def _open_only_on_loopback(self) -> "Admin":
        if not is_loopback(self.host) and (self.tls is None or self.token_file is None):
            raise ValueError(f"host {self.host!r} is beyond loopback: set tls and token_file")
        return self


class Config(_Section):
    """Everything the administrator decides. Built by `load` or `parse`, then never changed."""

    node: Node = Field(default_factory=dict, validate_default=True)  # relative defaults need the base folder
    hospital: Hospital
    device: tuple[Device, ...] = ()
    department: tuple[Department, ...] = ()
    codes: Codes = Codes()
    receive: Receive = Receive()
    reports: Reports = Field(default_factory=dict, validate_default=True)
    share: Share = Share()
    identity: Identity = Identity()
    series: Series = Series()
    study: Study = Field(default_factory=dict, validate_default=True)
    query: Query | None = None
    database: Database = Database()
    destination: tuple[Destination, ...] = ()
    retention: Retention = Retention()
    backup: Backup = Backup()
    daily: Daily = Daily()
    alarms: Alarms = Alarms()
    audit: Audit = Audit()
    admin: Admin = Admin()

    @model_validator(mode="after")
    def _names_are_unique(self) -> "Config":
        names = [d.name for d in self.destination]
        for name in sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"destination: two are named {name!r}")
        return self

    @model_validator(mode="after")
    def _departments_are_there(self) -> "Config":
        known = {department.name for department in self.department}
        for unknown in sorted({d.department for d in self.device if d.department} - known):
            raise ValueError(f"device: no [[department]] has the name {unknown!r}")
        return self

    def destination_named(self, name: str) -> Destination | None:
        """The destination of that name; None when it is no longer configured."""
        return next((d for d in self.destination if d.name == name), None)


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """A configuration file as it was read: `digest` of its bytes, SHA-256 in hex digits."""

    path: Path
    digest: str

    @classmethod
    def of(cls, path: Path) -> "ConfigFile":
        """The file as it is; the digest is "" where it cannot be read."""
        try:
            data = path.read_bytes()
        except OSError:
            return cls(path.absolute(), "")
        return cls(path.absolute(), hashlib.sha256(data).hexdigest())


def shipped(name: str) -> Path:
    """A file or folder of conf/ as it travels with the package: beside it in a checkout, inside it once installed."""
    inside = _PACKAGE / "conf" / name
    return inside if inside.exists() else _PACKAGE.parent / "conf" / name


def load(path: Path) -> Config:
    """Read and check the file; ConfigurationError names every fault with its key, value and what is expected."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot read {path}: {error.strerror}", hint="name it with --config FILE") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8") from error
    return parse(text, base=path.resolve().parent, source=str(path))


def parse(text: str, *, base: Path, source: str = "configuration") -> Config:
    """Check a configuration given as TOML text; relative paths are relative to `base`."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{source} is not TOML: {error}") from error
    try:
        return Config.model_validate(raw, context={"base": base})
    except ValidationError as error:
        faults = tuple(_fault(e) for e in error.errors(include_url=False, include_context=False))
        raise ConfigurationError(f"{source} has {len(faults)} fault(s):", faults=faults) from error


def _hint(place: Sequence[str | int]) -> str:
    """The key that was meant: one of the same table that is spelled alike, else the table that has this key."""
    name = str(place[-1])
    if meant := did_you_mean(name, _tables().get(_table_of(place[:-1]), ())):
        return meant
    elsewhere = [table for table, keys in _tables().items() if name in keys and table]
    return f"; it belongs to [{elsewhere[0]}]" if len(elsewhere) == 1 else ""


def _table_of(place: Sequence[str | int]) -> str:
    return ".".join(part for part in place if isinstance(part, str))


@functools.cache
def _tables() -> Mapping[str, frozenset[str]]:
    """The keys of every table of the file by its name, `destination.http`; "" for the names of the tables."""
    found: dict[str, frozenset[str]] = {}
    waiting: list[tuple[str, type[BaseModel]]] = [("", Config)]
    for name, section in waiting:
        fields = {field.alias or key: field for key, field in section.model_fields.items()}
        found[name] = frozenset(fields)
        waiting += [
            (f"{name}.{key}".lstrip("."), below)
            for key, field in fields.items()
            if (below := _section_in(field.annotation)) is not None
        ]
    return found


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The kind of table that a key holds, alone, in a list or as one choice of several; None when it holds a value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := _section_in(each)) is not None), None)


def _fault(error: Any) -> str:
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "missing":
        return f"{key}: missing; it has no default"
    if error["type"] == "extra_forbidden":
        return f"{key}: unknown key{_hint(error['loc'])}"
    if isinstance(error["input"], dict) or not key or _is_secret(error["loc"]):
        return f"{key}: {message}" if key else message
    return f"{key} = {error['input']!r}: {message}"


def _is_secret(place: tuple[int | str, ...]) -> bool:
    """Whether the value may hold a secret: the addresses that alarms go to do."""
    return place[0] == "alarms" and not {"url", "targets"}.isdisjoint(place)
