"""A node without sockets, for histories: what comes in is put in its place, what goes out is written down.

The real parts from the drop folder to the two senders, database and files among them; the clock, the program that
reads PDFs and the two clients at the peers' side are stood in for.
"""

import functools
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from router.catalogue import Catalogue, open_catalogue
from router.catalogue.images.instances import NewInstance
from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock
from router.config.file import parse
from router.config.sections import Config
from router.correlator.checks import resolved
from router.correlator.correlator import Correlator
from router.delivery.breaker_gate import Route
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import ImagesSender, ReportSender, Sender, SendResult
from router.delivery.unwritten import Unwritten
from router.delivery.withdrawal_sender import WithdrawalSender
from router.dicom.scu.client import Outgoing, Result, StorageClient
from router.dicom.ul.status import Verdict
from router.errors import InvalidData, NotOffered, TransientError
from router.events import Event, EventBus, Kind
from router.forward.answer import Proof, Receipt
from router.forward.credentials import Credentials
from router.forward.profiles import Profile
from router.forward.report import Notice, ReportAgent, Upload
from router.images.rulebook import rulebook
from router.images.selection import Selection
from router.intake.exam_reader import ExamReader
from router.intake.intake import Intake
from router.model import Channel, Digests, Header, InstanceUids, Patient, SeriesFacts
from router.reports.folder.settle import Seen
from router.reports.pdf.reader import PdfText, Readers
from router.series.classify import classify
from router.storage import open_storage
from support.catalogue_rows import driver, lay_tables

START = datetime(2026, 3, 2, 4, tzinfo=UTC)  # noon in Beijing
CT, KEY_OBJECT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.88.59"
CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
language = "en"
data = "data"
[reports]
folder = "in"
[[destination]]
name = "cloud"
report_within = "1 d"
images_within = "6 d"
classes = ["thin", "key", "scout", "dose"]
[destination.dicom]
port = 1
[destination.http]
api_key_file = "k"
signing_key_file = "k"
platform_signing_key_file = "k"
platform_encryption_key_file = "k"
"""


@dataclass(frozen=True)
class Report:
    """An upload: exam JSON and PDF as the destination got them, and the node's number of the exam."""

    number: int
    exam: Mapping[str, Any]
    pdf: str

    @property
    def listed(self) -> list[str]:
        found: list[str] = self.exam["Study"]["StudyInstanceUIDs"]
        return found

    @property
    def count(self) -> int:
        return int(self.exam["Study"]["ImageCount"])


@dataclass
class Cloud:
    """The destination, behind both clients: it takes everything and forgets nothing.

    `exam` is the node's number of the exam that is being sent; `files` are the instances' places below studies/,
    which tell their versions. It refuses the instances that are in `refuses`, and takes those in `puts_off` later.
    Withdrawals it `takes`, or it takes none ("refuses"), has no such exam ("unknown") or is "down".
    """

    reports: list[Report] = field(default_factory=list)
    images: list[str] = field(default_factory=list)
    files: list[tuple[int, str]] = field(default_factory=list)
    idems: list[str] = field(default_factory=list)
    exam: int = 0
    refuses: set[str] = field(default_factory=set)
    puts_off: set[str] = field(default_factory=set)
    notices: list[Mapping[str, Any]] = field(default_factory=list)
    takes_back: str = "takes"

    @contextmanager
    def session(self) -> Iterator["Cloud"]:
        yield self

    def send(self, what: Any, stop: Callable[[], bool] = lambda: False) -> Any:
        """An upload of the report agent, or a batch of the storage client."""
        return self._take(what) if isinstance(what, Upload) else self._store(what)

    def withdraw(self, _: ReportAgent, notice: Notice) -> Receipt | None:
        """A withdrawal, as the agent's."""
        if self.takes_back == "down":
            raise TransientError("503")
        if self.takes_back == "refuses":
            raise NotOffered("the platform takes no withdrawals")
        self.notices.append({**notice.words, "Revision": notice.revision, "idem": notice.idem, "org": notice.org})
        return None if self.takes_back == "unknown" else _receipt(f"w{len(self.notices)}", notice.idem)

    def _store(self, items: Sequence[Outgoing]) -> Iterator[Result]:
        for item in items:
            if item.sop_instance in self.refuses:
                yield Result(key=item.key, status=0xC000, verdict=Verdict.REFUSED, association="a1")
                continue
            if item.sop_instance in self.puts_off:
                yield Result(key=item.key, status=0xA700, verdict=Verdict.LATER, association="a1")
                continue
            self.images.append(item.sop_instance)
            self.files.append((self.exam, "/".join(item.path.parts[-3:])))
            yield Result(key=item.key, status=0, verdict=Verdict.STORED, association="a1")

    def _take(self, upload: Upload) -> Receipt:
        self.idems.append(upload.idem)
        exam, pdf = json.loads(upload.exam_file.read_bytes()), upload.report_file.read_text()
        self.reports.append(Report(self.exam, exam, pdf))
        return _receipt(f"r{len(self.reports)}", upload.idem)


def _receipt(name: str, idem: str) -> Receipt:
    proof = Proof(profile="none", key_id="k", signature=b"", text=b"", request_keys={})
    return Receipt(receipt=name, idem=idem, at=START, nonce="n", status=200, body=b"", proof=proof)


@dataclass(frozen=True)
class Watched:
    """A sender of the node, and the cloud told for which exam it sends."""

    sender: Sender
    cloud: Cloud

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        self.cloud.exam = delivery.exam
        return self.sender.send(delivery, stop)


class PlainReaders(Readers):
    """The text of a PDF is its bytes here."""

    def read(self, pdfs: Sequence[bytes]) -> list[PdfText | InvalidData]:
        return [PdfText(text=pdf.decode()) for pdf in pdfs]


@functools.cache
def _config(folder: Path, settings: str, of_destination: str, text: str) -> Config:
    text = text.replace('name = "cloud"\n', f'name = "cloud"\n{of_destination}\n')
    return parse(text + settings, base=folder)


class Node:
    """A node on a folder. `restart` throws away all that is in memory; the cloud and the clock are not the node's."""

    def __init__(self, folder: Path, settings: str = "", of_destination: str = "", text: str = "") -> None:
        self.config = _config(folder, settings, of_destination, text or CONFIG)
        self.config.reports.folder.mkdir(exist_ok=True)
        self.clock, self.cloud = FakeClock(START), Cloud()
        self.events: list[Event] = []
        self._book = rulebook(self.config.series)
        self._open()

    def _open(self) -> None:
        bus = self.bus = EventBus(self.events.append)
        clock = self.clock
        storage = open_storage(self.config.node.data, "n")
        lay_tables(self.config.node.data)
        self.catalogue: Catalogue = open_catalogue("", self.config.node.data, bus)
        self.config = config = resolved(self.config, self.catalogue.settings)
        driver(self.catalogue).execute_sql("PRAGMA synchronous=OFF")  # memory is lost here, power is not
        references = ExamReader(config)
        goes = config.receive.irregular == "send"
        selection = Selection(config, self.catalogue, lambda _: self._book, bus, cut_off_goes=goes)
        self._intake = Intake(config, references, self.catalogue.exams, storage, bus, clock, PlainReaders(1))
        self._correlator = Correlator(config, references, self.catalogue, storage, selection, bus, clock)
        self._unwritten = unwritten = Unwritten(storage.unwritten)
        self._dispatcher = Dispatcher(self.catalogue, "n", bus, clock, unwritten=unwritten)
        agent, client = cast(ReportAgent, self.cloud), cast(StorageClient, self.cloud)
        known = Credentials(b"k", cast(Profile, None))
        report = ReportSender(
            config=config, references=references, catalogue=self.catalogue, storage=storage, agent=agent,
            credentials=lambda: known, bus=bus, clock=clock, objection=self._correlator.objection, unwritten=unwritten,
        )  # fmt: skip
        images = ImagesSender(
            config=config, catalogue=self.catalogue, storage=storage, client=client, clock=clock, asker=None,
            objection=self._correlator.objection, unwritten=unwritten,
        )  # fmt: skip
        reports = WithdrawalSender(report=report, withdraw=self.cloud.withdraw)
        senders: dict[Channel, Sender] = {Channel.REPORT: reports, Channel.IMAGES: images}
        self._lanes = [
            Route(destination="cloud", channel=channel, width=1, sender=Watched(one, self.cloud))
            for channel, one in senders.items()
        ]

    def restart(self) -> None:
        self.catalogue.engine.close_thread()
        self._open()
        self._unwritten.take_up()
        self._unwritten.write_down(self.catalogue.late, EventBus(), self.clock)
        self.catalogue.queue.take_back("n", self.clock.now())
        self._correlator.reconsider()

    def close(self) -> None:
        self.catalogue.engine.close_thread()

    # -- what comes

    def drop(self, name: str, data: bytes) -> None:
        """A file of the RIS, written and taken now."""
        path = self.config.reports.folder / name
        path.write_bytes(data)
        os.utime(path, (self.clock.now().timestamp(),) * 2)
        state = path.stat()
        found = self._intake.read([Seen(path, state.st_size, state.st_mtime_ns)])
        assert not found.invalid
        self._intake.file(found.documents)

    def receive(self, header: Header, pixels: str = "p") -> None:
        """An instance, catalogued now as the cataloguer does it: the same bytes again are no second version.

        They are here again where retention had removed them and they may still have to go.
        """
        uids, now, instances = header.uids, self.clock.now(), self.catalogue.instances
        known = instances.known([uids.sop])[uids.sop]
        here = [one for one in known if one.study_uid == uids.study]
        digest = hashlib.sha256(repr((header, pixels)).encode()).hexdigest()
        if same := [one for one in here if one.digest == digest]:
            instances.returns.take([*instances.returns.awaited([one.key for one in same if one.purged])], now)
            return
        rule = classify(header.facts, self._book)
        digests = Digests(digest, "o", pixels)
        instances.add(
            [
                NewInstance(
                    header=header,
                    version=len(here) + 1,
                    digests=digests,
                    size=512,
                    series_class=rule.series_class,
                    rule=rule.name,
                    received=now,
                )
            ]
        )
        if others := {one.study_uid for one in known} - {uids.study}:
            instances.doubt({uids.study, *others}, f"instance {uids.sop} lies in two studies", now)

    # -- what follows

    def settle(self) -> None:
        """Evaluate and send until nothing is left to do at this instant."""
        while self._correlator.run_due() or any(map(self._dispatcher.run_one, self._lanes)):
            pass

    def wait(self, seconds: float) -> None:
        """Let time go by, with every evaluation that was planned meanwhile at its time."""
        until = self.clock.monotonic() + seconds
        while (at := self.catalogue.exams.next_check()) is not None:
            pause = max((at - self.clock.now()).total_seconds(), 0)
            if self.clock.monotonic() + pause > until:
                break
            self.clock.advance(pause)
            self.settle()
        self.clock.advance(max(until - self.clock.monotonic(), 0))
        self.settle()

    # -- what can be seen

    def counting(self, exam: int) -> Mapping[str, object]:
        """The exam JSON that counts, by the node's number."""
        return self._correlator.facts.jsons.counting(self.catalogue.exams.case(exam))[0]

    def delivery(self, exam_id: str, channel: Channel) -> Delivery | None:
        found = (d for exam in self.catalogue.exams.find(exam_id) for d in self.catalogue.queue.of_exam(exam))
        return next((d for d in found if d.channel == channel), None)

    def alarmed(self, text: str) -> bool:
        return any(event.kind == Kind.ALARM and text in event.text for event in self.events)


def slice_of(study: str, number: int, patient: Patient, accession: str, *, references: tuple[str, ...] = ()) -> Header:
    """The header of a thin slice, or of a rejection note (113001) where there are `references`."""
    facts = SeriesFacts("CT", sop_class_uid=CT, image_type=("ORIGINAL", "PRIMARY", "AXIAL"), slice_thickness=1.0)
    note = SeriesFacts("KO", sop_class_uid=KEY_OBJECT, concept_name="113001|DCM")
    series = f"{study}.{'9' if references else '1'}"
    head = Header(
        uids=InstanceUids(study, series, f"{series}.{number}"), sop_class=CT, transfer_syntax="1.2.840.10008.1.2.1",
        patient=patient, accession_number=accession, study_date="20260302", study_time="0900", facts=facts,
    )  # fmt: skip
    return replace(head, sop_class=KEY_OBJECT, facts=note, references=references) if references else head
