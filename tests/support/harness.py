"""A node and the reference platform as processes of their own, and what a PACS and a RIS send them."""

import io
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian
from pynetdicom import AE, evt

from router import cli
from router.catalogue import open_catalogue
from router.clock import SystemClock
from router.config.file import load
from router.config.sections import Config, DicomDestination, Tls
from router.crypto.keys import new_folder
from router.dicom.dataset.header import digest
from router.dicom.scu.client import Outgoing, Result, StorageClient
from router.dicom.ul.status import Verdict
from router.errors import TransientError
from router.events import EventBus
from router.model import Channel
from router.policy.states import State
from router.review.deliveries import Line, Review
from router.trial.demo.report import accession_number, exam_json, report_pdf, spoken_name
from router.trial.demo.studies import DemoFile, DemoStudy, read_studies
from support.certificates import as_given
from support.forked_processes import FORK_SERVER, ForkedProcess
from support.sample_exam import holder_of

UID_ROOT = "1.2.826.0.1.3680043.10.9999"
BOTH = (Channel.REPORT, Channel.IMAGES)
_START_SECONDS = 60.0
_TAIL_LINES = 25
_CONFIGURATION = """
[node]
language = "en"
data = "node"
name = "acceptance"

{hospital}

[receive]
port = {receive_port}
{receive_settings}
workers = {workers}
min_free = "{min_free}"
journal = "{journal}"
{tls}

[reports]
folder = "drop"
settle = "200 ms"
rescan = "1 s"

[study]
stable_after = "{stable_after}"

[admin]
port = {admin_port}

[[destination]]
name = "cloud"
agreement = "A-2026-17"
purpose = "regional sharing"
accept_empty = [{accept_empty}]

[destination.dicom]
port = {dicom_port}
{dicom_settings}

[destination.http]
url = "http://127.0.0.1:{http_port}"
api_key_file = "keys/api.key"
signing_key_file = "keys/hospital-sign.pem"
platform_signing_key_file = "keys/platform-sign.pub.pem"
platform_encryption_key_file = "keys/platform-encrypt.pub.pem"
"""
HOSPITAL = """[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
"""


def _inline(table: Mapping[str, str]) -> str:
    return "{ " + ", ".join(f'{name} = "{value}"' for name, value in table.items()) + " }"


def command(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """One of the product's commands, as a process, to its end."""
    return FORK_SERVER.run(list(map(str, arguments)), 40)


def command_here(*arguments: object) -> "subprocess.CompletedProcess[str]":
    """The same in this process, without the time that an interpreter takes to start."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return subprocess.CompletedProcess(list(map(str, arguments)), ended.value.code, out.getvalue(), err.getvalue())


OURS = ("-m", "router.cli")


def _started(
    program: Sequence[str], arguments: Sequence[str], stderr: IO[bytes]
) -> "tuple[ForkedProcess | subprocess.Popen[bytes], IO[bytes]]":
    """The process, and its stdout."""
    stdout, into = os.pipe()
    try:
        process: ForkedProcess | subprocess.Popen[bytes]
        if program == OURS:
            process = FORK_SERVER.start(arguments, into, stderr.fileno())
        elif program[0] == "forked":
            process = FORK_SERVER.start(["-c", *program[1:], *arguments], into, stderr.fileno())
        else:
            process = subprocess.Popen([sys.executable, *program, *arguments], stdout=into, stderr=stderr)
    finally:
        os.close(into)
    return process, os.fdopen(stdout, "rb", buffering=0)


class Process:
    """A command in the background; its stderr is added to `log`. It is up once this is built.

    `program` is what Python runs, with the arguments; with "forked" before it, it is forked from there.
    """

    def __init__(self, log: Path, *arguments: object, program: Sequence[str] = OURS) -> None:
        self.log = log
        with log.open("ab") as stderr:
            self._process, self._stdout = _started(program, list(map(str, arguments)), stderr)
        self.ready_line = self._first_line()
        self.rest_of_stdout = b""
        if not self.ready_line.startswith("ready "):
            self.kill()
            pytest.fail(f"{arguments[0]} did not start; its log ends\n{tail(log)}")

    @property
    def ports(self) -> dict[str, int]:
        """By the names of the ready line."""
        return {name: int(port) for name, port in (word.split("=") for word in self.ready_line.split()[1:])}

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    @property
    def number(self) -> int:
        """As the system numbers processes."""
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        self._process.kill()
        self.ended(5)

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM, and wait as `ended` does."""
        self._process.terminate()
        return self.ended(seconds)

    def hang_up(self) -> None:
        """SIGHUP."""
        self._process.send_signal(signal.SIGHUP)

    def ask_to_stop(self) -> None:
        """SIGTERM, without waiting."""
        self._process.terminate()

    def _first_line(self) -> str:
        line, end = b"", time.monotonic() + _START_SECONDS
        while not line.endswith(b"\n") and select.select([self._stdout], [], [], end - time.monotonic())[0]:
            byte = os.read(self._stdout.fileno(), 1)
            if not byte:
                break
            line += byte
        return line.decode()

    def ended(self, seconds: float) -> int:
        """Wait for its end; its exit status. Fails when it takes longer."""
        try:
            status = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            pytest.fail(f"still running {seconds} s after it was asked to end; its log ends\n{tail(self.log)}")
        if not self._stdout.closed:
            self.rest_of_stdout = self._stdout.read()
            self._stdout.close()
        return status


class Site:
    """A hospital with its node, and the reference platform, below one folder. `stop` leaves nothing running.

    `dicom_port` and `http_port` name other peers than the platform; `accept_empty`, `journal` and `min_free`
    as in the configuration, `tls` as in its [receive]; `receive_settings` and `dicom_settings` are further lines of
    [receive] and [destination.dicom], `settings` further tables, `hospital` those of the hospitals; `apps` as the
    platform's --app; `program` and `platform_program` as of `Process`, for the node and the platform, which gets the
    `platform_options`, too.
    """

    def __init__(
        self, folder: Path, *, stable_after: str = "1 s", dicom_port: int = 0, http_port: int = 0,
        accept_empty: Sequence[str] = (), workers: int = 1, tls: Tls | None = None, dicom_settings: str = "",
        journal: str = "16 MiB", min_free: str = "50 MiB", settings: str = "", hospital: str = HOSPITAL,
        receive_settings: str = "", apps: Sequence[str] = (),
        program: Sequence[str] = OURS, platform_program: Sequence[str] = OURS, platform_options: Sequence[str] = (),
    ) -> None:  # fmt: skip
        self.folder = folder
        self.drop_folder = folder / "drop"
        self.platform_data = folder / "platform"
        self.data = folder / "node"
        self.config_file = folder / "router.toml"
        self._settings = {
            "stable_after": stable_after,
            "workers": workers,
            "tls": "" if tls is None else f"tls = {_inline(as_given(tls))}",
            "journal": journal,
            "min_free": min_free,
            "dicom_settings": dicom_settings,
            "receive_settings": receive_settings,
            "hospital": hospital,
            "accept_empty": ", ".join(f'"{p}"' for p in accept_empty),
        }
        self.program = program
        self._platform_program = platform_program
        self._platform_options = platform_options
        self._further = settings
        self._apps = [word for app in apps for word in ("--app", app)]
        self._other_ports = {"dicom_port": dicom_port, "http_port": http_port}
        self._platform_ports = {"dicom": 0, "http": 0}
        self._node: Process | None = None
        self._platform: Process | None = None
        self.drop_folder.mkdir(parents=True)
        new_folder(folder / "keys")

    # -- processes

    @property
    def node(self) -> Process:
        """The node, started when it is not running."""
        if self._node is None or not self._node.running:
            if self._node is not None:
                self._node.ended(5)  # by itself, perhaps: its pipe is closed
            self._node = Process(self.folder / "node.log", "run", "--config", self.config_file, program=self.program)
        return self._node

    @property
    def platform(self) -> Process:
        """The platform, started when it is not running: again on the ports that it had."""
        if self._platform is None or not self._platform.running:
            ports = self._platform_ports
            where = ["--data", self.platform_data, "--keys", self.folder / "keys"]
            self._platform = Process(
                self.folder / "platform.log", "platform", *where,
                "--dicom-port", ports["dicom"], "--http-port", ports["http"], *self._apps, *self._platform_options,
                program=self._platform_program,
            )  # fmt: skip
            self._platform_ports = self._platform.ports
        return self._platform

    @property
    def port(self) -> int:
        """Where the node takes C-STORE now."""
        return self.node.ports["dicom"]

    def configure(self, **ports: int) -> Config:
        """Write the configuration, for the platform as it runs; `receive_port` and `admin_port` may be given."""
        platform = self.platform.ports
        own = {"receive_port": 0, "admin_port": 0, **ports}
        peers = {
            "dicom_port": self._other_ports["dicom_port"] or platform["dicom"],
            "http_port": self._other_ports["http_port"] or platform["http"],
        }
        text = _CONFIGURATION.format(**self._settings, **own, **peers) + self._further
        self.config_file.write_text(text, encoding="utf-8")
        return load(self.config_file)

    def start(self) -> "Site":
        """Platform and node, up."""
        self.configure()
        assert self.node.running
        return self

    def workers(self) -> int:
        """How many receive workers of the node run: processes that were given a folder of incoming/."""
        folder = os.fsencode(self.data / "incoming")
        return sum(folder in _command_line(path) for path in Path("/proc").glob("[0-9]*/cmdline"))

    def stop(self) -> None:
        for process in (self._node, self._platform):
            if process is not None and process.running:
                process.kill()

    # -- the RIS

    def drop(self, name: str, data: bytes) -> None:
        """Put a file into the drop folder at once, as a RIS that renames does."""
        hidden = self.drop_folder / f".{name}"
        hidden.write_bytes(data)
        hidden.rename(self.drop_folder / name)

    def drop_slowly(self, name: str, data: bytes, pieces: int = 5, pause: float = 0.1) -> None:
        """Write a file under its own name piece by piece, each pause shorter than it takes to settle."""
        size = len(data) // pieces + 1
        with (self.drop_folder / name).open("wb", buffering=0) as file:
            for start in range(0, len(data), size):
                file.write(data[start : start + size])
                time.sleep(pause)

    def report(self, exam: "Exam", **changes: Any) -> None:
        """Exam JSON, approved, and PDF."""
        self.drop(f"{exam.id}.json", exam.json(**changes))
        self.drop(f"{exam.id}.pdf", exam.pdf(self.folder))

    # -- the queue

    def lines(self, exam_id: str = "") -> list[Line]:
        """The queue, of one exam or whole, read beside the node."""
        config = load(self.config_file)
        catalogue = open_catalogue(config.database.url, config.node.data, EventBus())
        try:
            lines = Review(catalogue, SystemClock()).listed((), None, None)
        finally:
            catalogue.engine.close_thread()
        return [line for line in lines if exam_id in ("", line.exam_id)]

    def line(self, exam_id: str, channel: Channel) -> Line:
        """One delivery of an exam; fails when there is none."""
        return next(line for line in self.lines(exam_id) if line.delivery.channel == channel)

    def is_in(self, state: State, exam_id: str, channels: Sequence[Channel] = BOTH) -> bool:
        """Whether these deliveries of the exam are there, in that state."""
        found = {line.delivery.channel: line.delivery.state for line in self.lines(exam_id)}
        return all(found.get(channel) == state for channel in channels)

    def wait_for(self, state: State, exam_id: str, channels: Sequence[Channel] = BOTH, seconds: float = 20) -> None:
        """Wait until these deliveries of the exam are in that state."""
        self.wait_until(lambda: self.is_in(state, exam_id, channels), f"{exam_id} is {state}", seconds)

    def wait_until(self, condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
        """Wait for the condition; fail with queue and logs when it does not come true."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"not within {seconds} s: {what}\n{self.story()}")
            time.sleep(0.03)

    def story(self) -> str:
        """Queue and the ends of the logs, for a failure's message."""
        queue = [
            f"{line.exam_id} {one.channel} {one.state} {line.sent}/{line.selected} {one.waiting_for} {one.error}"
            for line in self.lines()
            for one in [line.delivery]
        ]
        logs = [f"-- {name}\n{tail(self.folder / name)}" for name in ("node.log", "platform.log")]
        return "\n".join(["-- queue", *queue, *logs])

    @property
    def log(self) -> str:
        """All that the node has ever written to stderr."""
        return (self.folder / "node.log").read_text(encoding="utf-8")

    # -- the platform

    def stored_requests(self) -> Counter[str]:
        """How often the platform answered Success to a C-STORE of each SOP instance."""
        text = (self.folder / "platform.log").read_text(encoding="utf-8")
        return Counter(re.findall(r"C-STORE 0000 sop_instance=(\S+)", text))

    def receipts(self, exam_id: str) -> list[dict[str, Any]]:
        """The receipts that the platform has given for an exam."""
        lines = (self.platform_data / "receipts.jsonl").read_text(encoding="utf-8").splitlines()
        return [receipt for receipt in map(json.loads, lines) if receipt["exam"] == exam_id]

    def exam_at_platform(self, exam_id: str, revision: int = 1) -> Path:
        """Where the platform keeps what it decrypted."""
        return self.platform_data / "exams" / exam_id / str(revision)

    def has_nothing_of(self, exam: "Exam") -> bool:
        """Whether neither report nor images of the exam are at the platform."""
        images = self.platform_data / "dicom" / exam.study.uid
        return not images.exists() and not (self.platform_data / "exams" / exam.id).exists()

    def assert_images_equal(self, study: DemoStudy) -> None:
        """Every data set of the study is at the platform, byte for byte, and nothing else of it."""
        folder = self.platform_data / "dicom" / study.uid
        there = {path.stem: digest(path) for path in folder.rglob("*") if path.is_file()}
        assert there == {file.sop_instance: digest(file.path) for file in study.files}


@dataclass(frozen=True)
class Exam:
    """An exam with its one study, and the RIS's papers for it. Every patient is invented."""

    id: str
    study: DemoStudy
    config: Config
    made: datetime

    def document(self, *, approved: datetime | None, submitted: datetime, **changes: Any) -> dict[str, Any]:
        """The exam JSON; a change's name is a path with `__` for the dot, and None takes the field away."""
        zone = self.config.node.timezone
        document = exam_json(
            self.study, self.config.hospital[0], exam_id=self.id,
            submitted=submitted.astimezone(zone), approved=approved.astimezone(zone) if approved else None,
        )  # fmt: skip
        for path, value in changes.items():
            holder, key = holder_of(document, path.replace("__", "."))
            if value is None:
                del holder[key]
            else:
                holder[key] = value
        return document

    def json(self, *, approved: bool = True, minutes_ago: float = 30, **changes: Any) -> bytes:
        """The exam JSON as a file, submitted so many minutes before the test, and approved ten minutes later."""
        submitted = self.made - timedelta(minutes=minutes_ago)
        approval = submitted + timedelta(minutes=10) if approved else None
        document = self.document(approved=approval, submitted=submitted, **changes)
        return json.dumps(document, ensure_ascii=False).encode()

    def pdf(self, folder: Path, **texts: str) -> bytes:
        """The report as a file; `texts` as `report_pdf` takes them."""
        path = folder / f"{self.id}-made.pdf"
        report_pdf(
            path, hospital=self.config.hospital[0].HospitalName, patient_name=spoken_name(self.study),
            exam_id=self.id, accession_number=accession_number(self.study), **texts,
        )  # fmt: skip
        return path.read_bytes()

    def secrets(self) -> list[str]:
        """What must be in no log: the patient's data, and the ids of patient and exam."""
        patient = json.loads(self.json())["Patient"]
        latin = re.split(r"[\^=]", self.study.patient.name)[:2]
        return [self.id, self.study.accession_number, *latin,
                *(patient[name] for name in ("Name", "PatientId", "IdNo", "Telephone"))]  # fmt: skip


def wait_for(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something that no site knows about; fail when it does not come true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s"
        time.sleep(0.001)


def make_exam(site: Site, number: int, instances: int = 40, side: int = 100) -> Exam:
    """An exam with a thin-slice CT of `instances` slices of `side` x `side` pixels (100: 20 KB each)."""
    folder = site.folder / "made" / str(number)
    folder.mkdir(parents=True)
    paths = [_slice(folder, number, n, side) for n in range(1, instances + 1)]
    return Exam(f"EXM7183-{number:04}", read_studies(paths)[0], load(site.config_file), SystemClock().now())


def _slice(folder: Path, number: int, n: int, side: int) -> Path:
    dataset = Dataset()
    uid = f"{UID_ROOT}.{number}"
    values = {
        "SpecificCharacterSet": "GB18030", "SOPClassUID": CTImageStorage, "SOPInstanceUID": f"{uid}.1.{n}",
        "StudyInstanceUID": uid, "SeriesInstanceUID": f"{uid}.1", "Modality": "CT", "SeriesNumber": 1,
        "InstanceNumber": n, "PatientID": f"PAT7183-{number:04}", "PatientName": "Zhouzhou^Ceshiren=周^测试人",
        "PatientSex": "F", "PatientBirthDate": "19600501", "AccessionNumber": f"ACC7183-{number:04}",
        "StudyDate": "20260302", "StudyTime": "093000", "StudyDescription": "胸部CT平扫", "StationName": "CT01",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"], "SliceThickness": "1", "Rows": side, "Columns": side,
        "SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "BitsAllocated": 16, "BitsStored": 16,
        "HighBit": 15, "PixelRepresentation": 1,
    }  # fmt: skip
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.add_new("PixelData", "OW", n.to_bytes(2, "little") * side * side)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = folder / f"{n:04}.dcm"
    dcmwrite(path, dataset, enforce_file_format=True)
    return path


def send(
    port: int, files: Sequence[DemoFile], stop: Callable[[], bool] = lambda: False, tls: Tls | None = None,
    calling: str = "PACS",
) -> Iterator[Result]:  # fmt: skip
    """The PACS: every file by C-STORE over one association, the next when its result is taken; `key` counts from 0."""
    destination = DicomDestination(ae_title="ROUTER", calling_ae_title=calling, port=port, associations=1, tls=tls)
    client = StorageClient(destination)
    items = [
        Outgoing(
            key=n,
            path=file.path,
            sop_class=file.sop_class,
            sop_instance=file.sop_instance,
            transfer_syntax=file.transfer_syntax,
        )
        for n, file in enumerate(files)
    ]
    for result in client.send(items, stop):
        if result.verdict is Verdict.LOST:
            raise TransientError(result.why)
        yield result


def send_all(port: int, files: Sequence[DemoFile], tls: Tls | None = None, calling: str = "PACS") -> None:
    """Every file; fails unless each is answered Success."""
    assert [result.status for result in send(port, files, tls=tls, calling=calling)] == [0] * len(files)


class SlowCloud:
    """A destination for images that takes its time, and counts every C-STORE request that reached it."""

    def __init__(self, pause: float = 0.0) -> None:
        self.pause = pause
        self.requests: Counter[str] = Counter()
        self.data_sets: dict[str, bytes] = {}
        entity: Any = AE(ae_title="CLOUD")
        entity.add_supported_context(CTImageStorage, ExplicitVRLittleEndian)
        self._server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        self.port = int(self._server.socket.getsockname()[1])

    def stop(self) -> None:
        self._server.shutdown()

    def requests_of(self, study: DemoStudy) -> Counter[str]:
        """The requests that were for instances of the study."""
        mine = {file.sop_instance for file in study.files}
        return Counter({uid: n for uid, n in self.requests.copy().items() if uid in mine})

    def assert_has(self, study: DemoStudy) -> None:
        """Every data set of the study came, byte for byte."""
        for file in study.files:
            assert file.path.read_bytes().endswith(self.data_sets[file.sop_instance])

    def _store(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.requests[uid] += 1
        time.sleep(self.pause)
        self.data_sets[uid] = event.encoded_dataset(include_meta=False)
        return 0x0000


class Relay:
    """Stands before the platform's HTTP port. While `mute`, the answers to uploads never arrive; while `unsigned`,
    they arrive without their signature."""

    def __init__(self) -> None:
        self.target = 0
        self.mute = self.unsigned = False
        self.muted = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        threading.Thread(target=self._serve, name="relay", daemon=True).start()

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                node, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(node,), daemon=True).start()

    def _pass_on(self, node: socket.socket) -> None:
        with closing(node), socket.create_connection(("127.0.0.1", self.target)) as platform:
            first = node.recv(65536)
            platform.sendall(first)
            threading.Thread(target=_pump, args=(node, platform), daemon=True).start()
            answer = b"".join(iter(lambda: platform.recv(65536), b""))
            if self.mute and b"/v1/exams" in first:
                self.muted.set()
                return
            node.sendall(answer.replace(b"X-GM-Signature:", b"X-Other:") if self.unsigned else answer)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        return


def _command_line(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def tail(log: Path) -> str:
    """The last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-_TAIL_LINES:])
