"""Sections about where images and reports come from: senders, the drop folder, HL7, a PACS that is asked."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from router.config.destinations import DicomDestination
from router.config.section import (
    Section,
    Tls,
    beyond_loopback,
    nobody_named,
    open_only_on_loopback,
    plain_only_on_loopback,
)
from router.config.types import (
    AeTitle,
    Budget,
    ConfigPath,
    Duration,
    Network,
    Pattern,
    Port,
    Size,
    WrittenPath,
    is_loopback,
)


class Sender(Section):
    ae_title: AeTitle = Field(description="its calling AE title")
    address: Network = Field("", description="its address or network; any when empty")
    modality: bool = Field(False, description="its AE title is the device's (设备AETitle), not a PACS's")
    certificate: str = Field("", description="a name in the TLS certificate that it must show (tls with ca)")


class Receive(Section):
    ae_title: AeTitle = Field("ROUTER", description="the AE title that senders call")
    host: str = Field("127.0.0.1", description="beyond loopback: name the senders, and set tls or allow_plain")
    port: Port = Field(11112, description="0: any free one")
    workers: Annotated[int, Field(ge=0, le=64)] = Field(
        0, description="processes that receive; 0: as many as there are cores"
    )
    senders: tuple[Sender, ...] = Field(
        (),
        description='[{ ae_title = "CT01", address = "10.1.2.0/24", modality = true, certificate = "ct01.hospital" '
        "}]; certificate: a name in the TLS certificate that the sender must show (tls with ca); modality: its AE "
        "title is the device's (设备AETitle), not a PACS's",
    )
    max_associations: Annotated[int, Field(ge=1)] = Field(64, description="at the same time, of all senders")
    max_associations_per_sender: Annotated[int, Field(ge=1)] = Field(16, description="at the same time, of one sender")
    max_pdu: Annotated[Size, Field(ge=4096, le=2**24)] = Field(
        2**17, description="the longest P-DATA that senders are asked for; smaller costs speed"
    )
    idle: Budget = Field(timedelta(seconds=60), description="an association without a request for so long is aborted")
    irregular: Literal["hold", "refuse", "send"] = Field(
        "hold",
        description='cut-off data sets: accepted and set aside; or "refuse" (C000), or "send". "refuse" stops the '
        "whole job of many a sender: the rest of it does not come",
    )
    min_free: Size = Field(5 * 2**30, description="below it images are refused with A700; forwarding goes on")
    journal: Size = Field(
        2**29,
        description="of all workers together. Instances up to 1 MiB are made durable in the journal, in a third of "
        'the time, and get their files just after. As long as it has room, a burst is received at full speed. "0": '
        "every byte is written only once",
    )
    proxies: tuple[Network, ...] = Field(
        (),
        description="load balancers, as addresses or networks: each connection of theirs must begin with a PROXY "
        "protocol version 2 header, which names the client (router/docs/cluster.md)",
    )
    allow_plain: bool = Field(False, description="beyond loopback without TLS")
    tls: Tls | None = Field(
        None,
        description="PEM; then every sender must use TLS 1.2 or newer. With `ca` only senders that show a certificate "
        "of it are let in. The key must be readable by its owner only. Read at start and on SIGHUP",
    )

    @model_validator(mode="after")
    def _is_open_to_its_senders(self) -> Self:
        if self.senders and (fault := self.fault_of(self.senders)):
            raise ValueError(fault)
        return self

    def fault_of(self, senders: Sequence[Sender]) -> str:
        """Why these may not be all its senders, those of hospitals included; "" where they may."""
        if not is_loopback(self.host) and not senders:
            return nobody_named(self.host)
        if not is_loopback(self.host) and self.tls is None and not self.allow_plain:
            return beyond_loopback(self.host)
        if any(sender.certificate for sender in senders) and (self.tls is None or self.tls.ca is None):
            return "senders: certificate: only tls with ca asks senders for one"
        return ""


class Hl7Listener(Section):
    host: str = Field("127.0.0.1", description="beyond loopback: name the senders, and set tls or allow_plain")
    port: Port = Field(2575, description="0: any free one")
    senders: tuple[Network, ...] = Field((), description="addresses or networks; none: anyone")
    max_connections: Annotated[int, Field(ge=1, le=256)] = Field(8, description="at the same time, of all senders")
    max_connections_per_sender: Annotated[int, Field(ge=1, le=256)] = Field(4, description="a sender is an address")
    idle: Budget = Field(timedelta(hours=1), description="a connection without a message for so long is closed")
    max_message: Annotated[Size, Field(ge=1024, le=2**27)] = Field(2**25, description="with its PDF in Base64")
    message_within: Budget = Field(timedelta(seconds=30), description="from its first byte to its last")
    allow_plain: bool = Field(False, description="beyond loopback without TLS")
    tls: Tls | None = Field(None, description="as in [receive]")

    _open = model_validator(mode="after")(open_only_on_loopback)


class Reports(Section):
    folder: ConfigPath = Field(
        Path("../reports"), validate_default=True, description="the drop folder, which the RIS writes to"
    )
    settle: Duration = Field(
        timedelta(seconds=2), description="a file is read once its size and time have not changed for so long"
    )
    rescan: Budget = Field(
        timedelta(seconds=30),
        description="time between two listings of the folder; events of the file system only save time",
    )
    on_pickup: Literal["move", "keep"] = Field(
        "move", description='a file that was read goes to done/ in the folder; or "keep", for read-only shares'
    )
    name_pattern: Pattern | None = Field(
        None,
        description="finds the exam of a PDF without JSON by its name: exam_id, accession, study_uid. A name that is "
        "the ExamId or accession number as a whole needs no pattern",
    )
    mapping: WrittenPath | None = Field(
        None, description="for a RIS whose JSON has other keys or values: router/docs/reports.md"
    )
    hl7_mapping: WrittenPath | None = Field(
        None, description="for HL7 messages, instead of the shipped hl7_mapping.toml"
    )
    hl7_repeat: Literal["auto", "line", "text"] = Field(
        "auto",
        description="`~` within the text of an HL7 message: text between numbers and after a unit (3~5mm, 3mm~5mm), "
        'else a new line; "line": always a new line; "text": always text',
    )
    hl7: Hl7Listener | None = Field(None, description="HL7 v2 ORU^R01 over MLLP; off unless this table is there")
    encapsulated_pdf: bool = Field(
        False,
        description="true: a PDF received by C-STORE (Encapsulated PDF) is the report of the exam that its study "
        "belongs to; leave it off where the PACS keeps consent forms or the like in this form",
    )
    pdf_text_check: bool = Field(
        True,
        description="a PDF whose text names only other exams is held for a person; so is a PDF that names none, under "
        "a file name that several exams had",
    )
    approved_only: bool = Field(
        False,
        description="true: the RIS exports approved reports only, so that the export is the approval; a missing "
        "ApproveTime (审核时间) is still a fault of the JSON",
    )
    pair_within: Duration = Field(
        timedelta(minutes=10),
        description="the longest time between JSON and PDF of one report, in any order. A new PDF of an exam that has "
        "one waits so long for its JSON. A PDF that no exam has claimed by then raises an alarm",
    )
    clock_tolerance: Duration = Field(timedelta(minutes=10), description="an approval may lie so far in the future")


class Query(Section):
    ae_title: AeTitle = Field(description="of the PACS")
    host: str = Field("127.0.0.1", description="of the PACS")
    port: Annotated[int, Field(ge=1, le=65535)] = Field(104, description="of the PACS")
    calling_ae_title: AeTitle | None = Field(None, description="ours; [receive] ae_title when not set")
    move_destination: AeTitle | None = Field(
        None, description="the AE title that the PACS sends to; [receive] ae_title when not set"
    )
    tries: Annotated[int, Field(ge=1, le=20)] = Field(5, description="how many times it is asked for an exam")
    pause: Budget = Field(timedelta(minutes=10), description="before it is asked again; doubled each time")
    move_within: Budget = Field(timedelta(minutes=30), description="for one study; then the move is given up")
    allow_plain: bool = Field(False, description="beyond loopback without TLS")
    source_address: str = Field("", description="our own address on the way")
    allowed_networks: tuple[Network, ...] = Field((), description="a PACS that resolves elsewhere is refused")
    tls: Tls | None = Field(None, description="as in [destination.dicom]")

    _plain = model_validator(mode="after")(plain_only_on_loopback)

    def peer(self, own: str) -> DicomDestination:
        """The PACS as something to connect to; `own` is [receive] ae_title."""
        return DicomDestination(
            ae_title=self.ae_title, calling_ae_title=self.calling_ae_title or own, host=self.host, port=self.port,
            allow_plain=self.allow_plain, source_address=self.source_address, allowed_networks=self.allowed_networks,
            tls=self.tls,
        )  # fmt: skip
