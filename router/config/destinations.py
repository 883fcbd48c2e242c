"""Sections about a destination: its budgets, classes and bandwidth, DICOM for images, HTTP for reports."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationInfo, model_validator

from router.config.section import HttpPeer, Section, Tls, host_of, plain_only_on_loopback
from router.config.sharing import Accept, Thin
from router.config.types import (
    AeTitle,
    Budget,
    ConfigPath,
    Duration,
    DurationOrOff,
    Name,
    Network,
    Size,
    TimeOfDay,
    is_loopback,
)
from router.errors import ConfigurationError
from router.model import Channel, SeriesClass

KEY_FILES = {
    "gm-envelope/1": ("signing_key_file", "platform_signing_key_file", "platform_encryption_key_file"),
    "gm-psk/1": ("psk_file",),
}
"""The key files that each built-in profile needs; one outside the package says so itself."""
OUTSIDE = "file:"


class DicomDestination(Section):
    ae_title: AeTitle = Field("CLOUD", description="the AE title that is called")
    calling_ae_title: AeTitle = Field("ROUTER", description="ours")
    host: str = Field("127.0.0.1", description="of the destination")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(11113, description="of the destination")
    associations: Annotated[int, Field(ge=1, le=16)] = Field(
        2,
        description="at the same time, of all nodes together: several exams share them, or one large exam uses all, "
        "those beyond 4 only while they carry more: allow 16 over a long line",
    )
    allow_plain: bool = Field(False, description="beyond loopback without TLS")
    source_address: str = Field("", description="our own address on the way, such as the dedicated line's (5.1)")
    allowed_networks: tuple[Network, ...] = Field((), description="a destination that resolves elsewhere is refused")
    rejection_notes: bool = Field(
        False,
        description="pass the PACS's rejection notes (113001, 113037, 113038) on about images that were sent, in place "
        "of the alarm that a person tells the platform",
    )
    decompress: bool = Field(
        False,
        description="where the destination refuses them so: compressed images are sent decoded, deflated ones "
        "inflated, and big endian ones as little endian; needs pip install 'imaging-cloud-router[decompress]', which "
        "a reload finds",
    )
    commitment: bool = Field(
        False,
        description="an instance counts as sent only when the destination has committed to keeping it (storage "
        "commitment). It reports on our association or on one that it opens to [receive]: then its AE title must be "
        "among the senders, where they are named",
    )
    commitment_wait: Duration = Field(
        timedelta(seconds=5),
        description='how long our association stays open for the report, at most, after each exam; "0 s" for a '
        "destination that reports later, on associations of its own",
    )
    commitment_within: Budget = Field(timedelta(hours=1), description="without a report for so long it is asked again")
    tls: Tls | None = Field(
        None,
        description="PEM; TLS 1.2 or newer. The destination proves by a certificate of `ca` (else of the system's) "
        "that it is `host`; ours is shown where it asks for one. The key must be readable by its owner only",
    )

    _plain = model_validator(mode="after")(plain_only_on_loopback)


def _profile(value: str, info: ValidationInfo) -> str:
    """The name of a built-in profile, or `file:` and the path of one outside the package, made absolute."""
    if value.startswith(OUTSIDE) and value.endswith(".py"):
        base: Path = (info.context or {}).get("base", Path.cwd())
        return OUTSIDE + os.path.normpath(base / value.removeprefix(OUTSIDE))
    if value not in KEY_FILES:
        raise ValueError(f'expected one of {", ".join(KEY_FILES)}, or "file:profiles/NAME.py"')
    return value


class HttpDestination(HttpPeer):
    profile: Annotated[str, AfterValidator(_profile)] = Field(
        "gm-envelope/1",
        description='or "gm-psk/1", which needs psk_file instead of the keys below api_key_file, or '
        '"file:profiles/NAME.py" for a platform with a wire format of its own (router/docs/profiles.md)',
    )
    settings: dict[Name, str] = Field(
        {}, description="names and numbers that a profile of its own file needs, by the name it gives them"
    )
    secrets: dict[Name, ConfigPath] = Field(
        {},
        description="files of the secrets that it needs, likewise: the first line of each; refused when readable by "
        "group or others",
    )
    gateway: bool = Field(
        False, description="the loopback address is a TLCP gateway: its answers count as the platform's"
    )
    app: Name = Field("hospital-1", description="our name at the platform")
    api_key_file: ConfigPath = Field(description="64 hex digits; refused when readable by group or others")
    signing_key_file: ConfigPath | None = Field(
        None,
        description="PKCS#8, may be encrypted; its passphrase comes from one of the next three keys, never from here",
    )
    signing_key_passphrase_file: ConfigPath | None = Field(None, description="its first line")
    signing_key_passphrase_env: Name | None = Field(None, description="a variable of the environment")
    signing_key_passphrase_credential: Name | None = Field(None, description="systemd: LoadCredential=passphrase:FILE")
    platform_signing_key_file: ConfigPath | None = Field(
        None, description="the platform's keys are pinned: see keys pin"
    )
    platform_encryption_key_file: ConfigPath | None = Field(None, description="likewise")
    key_ca_file: ConfigPath | None = Field(
        None,
        description="the CAs of SM2 certificates in key files (GB/T 20518). With it each key of the platform must come "
        "as a certificate that leads to one of these; without it there may be none",
    )
    psk_file: ConfigPath | None = Field(None, description="64 hex digits")

    @property
    def profile_file(self) -> Path | None:
        """The file of a profile outside the package, None for a built-in one."""
        return Path(self.profile.removeprefix(OUTSIDE)) if self.profile.startswith(OUTSIDE) else None

    @property
    def vouched(self) -> bool:
        """Whether the connection proves who answers: TLS to the configured ca_file, or a gateway on loopback."""
        return self.gateway or (self.ca_file is not None and self.url.startswith("https://"))

    @model_validator(mode="after")
    def _gateway_only_on_loopback(self) -> Self:
        if self.gateway and (self.proxy or not is_loopback(host_of(self.url))):
            raise ValueError("gateway = true: the gateway's url is on loopback (127.0.0.1, ::1), without a proxy")
        return self

    @model_validator(mode="after")
    def _names_the_keys_of_its_profile(self) -> Self:
        missing = [name for name in KEY_FILES.get(self.profile, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{', '.join(missing)}: missing; profile {self.profile} has no default for it")
        sources = ("signing_key_passphrase_file", "signing_key_passphrase_env", "signing_key_passphrase_credential")
        if len([name for name in sources if getattr(self, name) is not None]) > 1:
            raise ValueError(f"the passphrase comes from one place, not several: {', '.join(sources)}")
        return self

    def key_file(self, name: str) -> Path:
        """The path under one of the keys that the profile needs; ConfigurationError where it is not set."""
        path: Path | None = getattr(self, name)
        if path is None:
            raise ConfigurationError(f"{name}: missing; profile {self.profile} needs it")
        return path


class Account(Section):
    hospital: Name = Field(description="the hospital whose reports go by this account")
    app: Name | None = Field(None, description="its name at the platform; [destination.http] app when not set")
    api_key_file: ConfigPath | None = Field(None, description="likewise, as the following ones")
    signing_key_file: ConfigPath | None = Field(None, description="PKCS#8, may be encrypted")
    signing_key_passphrase_file: ConfigPath | None = Field(None, description="its first line")
    signing_key_passphrase_env: Name | None = Field(None, description="a variable of the environment")
    signing_key_passphrase_credential: Name | None = Field(None, description="systemd: LoadCredential=passphrase:FILE")
    psk_file: ConfigPath | None = Field(None, description="64 hex digits, of profile gm-psk/1")
    settings: dict[Name, str] | None = Field(None, description="in the place of [destination.http.settings]")
    secrets: dict[Name, ConfigPath] | None = Field(None, description="in the place of [destination.http.secrets]")


class Bandwidth(Section):
    from_: TimeOfDay = Field(alias="from", description="by [node] timezone")
    to: TimeOfDay = Field(description="over midnight where it is not later than `from`")
    limit: Annotated[Size, Field(ge=2**16)] = Field(description="a second; at least 64 KiB")


class Destination(Section):
    name: Name = Field(description="of the destination: commands, alarms and receipts use it")
    agreement: str = Field(
        "",
        description="number of the agreement under which data goes there (GB/T 39725); kept in every receipt, shown "
        "by queue explain",
    )
    purpose: str = Field("", description="the use that the agreement allows; likewise")
    report_within: Budget = Field(timedelta(hours=1), description="DB11 5.3.2")
    images_within: Budget = Field(timedelta(hours=6), description="DB11 5.3.3")
    classes: tuple[SeriesClass, ...] = Field(
        (SeriesClass.THIN, SeriesClass.KEY, SeriesClass.SCOUT, SeriesClass.DOSE, SeriesClass.IMAGE),
        description="of the series that are sent. Without image: of a scan that has no thin slices the thinnest stack "
        "of each kind goes instead, once the study is quiet or at half of the budget",
    )
    thin: tuple[Thin, ...] = Field((), description="instead of [series] thin")
    accept_empty: tuple[str, ...] = Field(
        (),
        description="required fields that this platform has agreed to accept empty, for newborns, unnamed "
        'emergencies, foreigners: "Patient.IdNo", "Patient.Telephone"',
    )
    resend: bool = Field(
        False,
        description="send again by itself what the platform turns out not to have any more: only while less than 1 % "
        "and fewer than 50 of a day are missing, and its answer is whole and holds at least 95 % of the former one",
    )
    withdraw_after: DurationOrOff = Field(
        "off",
        description="how long after an explicit word of the RIS (withdrawn, cancelled) the platform is told to take "
        'the exam back, for a platform that takes withdrawals: "10 min". "off": an alarm only. An approval that is '
        "renewed before that goes as a correction alone",
    )
    withdraw_at_most: Annotated[int, Field(ge=0)] = Field(
        5,
        description="withdrawals an hour and source (a branch); more, or more than 1 % of its last day, stop the "
        "source's until a person confirms them",
    )
    bandwidth: tuple[Bandwidth, ...] = Field(
        (),
        description="how fast by time of day, images and reports together, all nodes together; without limit outside "
        "of all windows, and of several in force the smallest counts. Times by [node] timezone; over midnight where "
        "`to` is not later than `from`",
    )
    hospitals: tuple[Name, ...] = Field((), description="whose exams go there; of all hospitals when empty")
    accept: tuple[Accept, ...] = Field(
        (),
        description="which exams go there, all when there is none: every field named of one of them must match its "
        "regular expression. Fields: branch, modality, device (DeviceAETitle), department (the executing one's name "
        "or code), fields of the exam JSON by their path in appendix B, and keys of the RIS as in [[share.exclude]]",
    )
    account: tuple[Account, ...] = Field(
        (),
        description="a hospital's own name and keys at this platform, where they differ from [destination.http]",
    )
    dicom: DicomDestination | None = Field(None, description="where images are sent; none without this table")
    http: HttpDestination | None = Field(
        None,
        description="where reports are uploaded; none without this table. Key files are read again when they change. "
        "Each but api_key_file may be a ring of several keys instead, *.toml (router/docs/security.md)",
    )

    @model_validator(mode="after")
    def _one_account_a_hospital(self) -> Self:
        names = [account.hospital for account in self.account]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"account: two are of hospital {twice[0]!r}")
        if self.account and self.http is None:
            raise ValueError("account: there is no [destination.http]")
        return self

    def account_of(self, hospital: str) -> str:
        """The account by which that hospital's reports go: its own by its name, or "", which others share."""
        return hospital if any(one.hospital == hospital for one in self.account) else ""

    def http_of(self, hospital: str) -> HttpDestination | None:
        """The way of that hospital's reports: its account's settings over the common ones."""
        own = next((one for one in self.account if one.hospital == hospital), None)
        if own is None or self.http is None:
            return self.http
        given = {name: getattr(own, name) for name in own.model_fields_set - {"hospital"}}
        if any("passphrase" in name or name == "signing_key_file" for name in given):
            given = dict.fromkeys((n for n in HttpDestination.model_fields if "passphrase" in n), None) | given
        return self.http.model_copy(update=given)

    @property
    def withdraws_after(self) -> timedelta | None:
        """How long after its word a withdrawal goes by itself; None: a person tells the platform."""
        return None if self.http is None or isinstance(self.withdraw_after, str) else self.withdraw_after

    @property
    def channels(self) -> tuple[Channel, ...]:
        """The channels that it has an address for."""
        ways = {Channel.REPORT: self.http, Channel.IMAGES: self.dicom}
        return tuple(channel for channel, way in ways.items() if way is not None)
