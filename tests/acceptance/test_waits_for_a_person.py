"""What waits for a person, through a running node: one exam a cause, all of them in one list, with its command."""

import json
import re
import secrets
import socket
import sqlite3
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from functools import cached_property
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from pydicom import dcmread

from router.model import Channel
from router.policy.states import State
from router.trial.demo.report import report_pdf
from router.trial.demo.studies import DemoFile, read_studies
from support import raw_pdus
from support.harness import Exam, Site, SlowCloud, command_here, make_exam, send_all

REPORT, IMAGES = (Channel.REPORT,), (Channel.IMAGES,)
REFUSING, WRONG, UNSIGNED = "refusing", "wrong", "unsigned"
CUT = Path(__file__).parents[1] / "cases" / "dicom" / "420.dcmds"
CUT_STUDY = "1.2.826.0.1.3680043.9.7777.420"
SETTINGS = """
[share]
shared_study = "all"
shared_study_then = "hold"
late_window = "1 s"
[[destination]]
name = "wrong"
[destination.http]
url = "http://127.0.0.1:{http}"
api_key_file = "wrong.key"
signing_key_file = "keys/hospital-sign.pem"
platform_signing_key_file = "keys/platform-sign.pub.pem"
platform_encryption_key_file = "keys/platform-encrypt.pub.pem"
[[destination]]
name = "unsigned"
[destination.http]
url = "http://127.0.0.1:{unsigned}"
api_key_file = "keys/api.key"
signing_key_file = "keys/hospital-sign.pem"
platform_signing_key_file = "keys/platform-sign.pub.pem"
platform_encryption_key_file = "keys/platform-encrypt.pub.pem"
"""
SECOND = '\n[[destination]]\nname = "refusing"\n[destination.dicom]\nport = {}\n'


class Refusing(SlowCloud):
    """A destination that refuses every image."""

    def _store(self, event: Any) -> int:
        super()._store(event)
        return 0xC001


class Unsigned(BaseHTTPRequestHandler):
    """Something on the line to the platform: it gives a token, and refuses every report without a signature."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        token = self.path.endswith("/v1/token")
        body = json.dumps({"token": "t", "expires_in": 3600} if token else {"errors": []}).encode()
        self.send_response(200 if token else 422)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class TroubledNode:
    """A hospital in which everything has gone wrong that only a person can put right."""

    def __init__(self, folder: Path) -> None:
        self.cloud = Refusing()
        self.unsigned = ThreadingHTTPServer(("127.0.0.1", 0), Unsigned)
        threading.Thread(target=self.unsigned.serve_forever, daemon=True).start()
        self.site = site = Site(folder, stable_after="300 ms", accept_empty=["Patient.Telephone"])
        self.exams: dict[str, Exam] = {}
        (folder / "wrong.key").write_text(secrets.token_hex(32))
        (folder / "wrong.key").chmod(0o600)
        self.mapping = folder / "ris.toml"
        self.mapping.write_text("", encoding="utf-8")
        site.configure()
        text = site.config_file.read_text(encoding="utf-8").replace(
            'folder = "drop"', 'folder = "drop"\nmapping = "ris.toml"'
        )
        self.text = text + SETTINGS.format(
            http=site.platform.ports["http"], unsigned=self.unsigned.server_address[1]
        )  # fmt: skip
        site.config_file.write_text(self.text + SECOND.format(self.cloud.port), encoding="utf-8")
        kept = site.data / "quarantine" / "20260301T000000-unreadable"
        kept.mkdir(parents=True)
        (kept / "reason.txt").write_text("no DICOM\n")
        assert site.node.running

    def stop(self) -> None:
        self.site.stop()
        self.cloud.stop()
        self.unsigned.shutdown()
        self.unsigned.server_close()

    # -- what goes wrong

    def make(self, name: str, *, images: bool = True, report: bool = True, **changes: Any) -> Exam:
        exam = self.exams[name] = make_exam(self.site, len(self.exams) + 1, instances=2)
        if images:
            send_all(self.site.port, exam.study.files)
        if report:
            self.site.report(exam, **changes)
        return exam

    def drop(self, exam: Exam, *, approved: float | None, submitted: float, **changes: Any) -> None:
        """The JSON alone; minutes before now."""
        at = None if approved is None else exam.made - timedelta(minutes=approved)
        document = exam.document(approved=at, submitted=exam.made - timedelta(minutes=submitted), **changes)
        taken = self.taken(exam)
        self.site.drop(f"{exam.id}.json", json.dumps(document, ensure_ascii=False).encode())
        self.site.wait_until(lambda: self.taken(exam) > taken, "the JSON is taken")

    def taken(self, exam: Exam) -> int:
        """How many JSONs of the exam the node has."""
        kept = (self.site.data / "reports").rglob("exam.json")
        return sum(exam.id in path.read_text(encoding="utf-8") for path in kept)

    def another(self, name: str, file: DemoFile, **changes: Any) -> None:
        """An image as it comes again with other values."""
        dataset = dcmread(file.path)
        for keyword, value in changes.items():
            setattr(dataset, keyword, value)
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        path = self.site.folder / f"{name}.dcm"
        dataset.save_as(path)
        send_all(self.site.port, read_studies([path])[0].files)

    def cut_off(self) -> None:
        """An image whose pixels are half there."""
        sop = f"{CUT_STUDY}.1.1".encode()
        command_set = raw_pdus.store_command(sop + b"\0" * (len(sop) % 2))
        with socket.create_connection(("127.0.0.1", self.site.port), timeout=10) as peer:
            peer.sendall(raw_pdus.association_request())
            assert raw_pdus.answer(peer)[0] == 2
            data_set = raw_pdus.p_data(CUT.read_bytes(), raw_pdus.DATA | raw_pdus.LAST)
            peer.sendall(raw_pdus.p_data(command_set, raw_pdus.COMMAND | raw_pdus.LAST) + data_set)
            assert raw_pdus.status(peer) == 0

    def go_wrong(self) -> None:
        site, make = self.site, self.make
        late, newer = make("late-images"), make("newer-version")
        make("approval", Order__Status="已审核")
        make("exam-json", Report__ApproveDoctorName=None)
        make("identity", Patient__PatientId="P9", Patient__Name="李四")
        make("hospital", USCI="911100000000000001")
        make("failed", Patient__Telephone="")
        make("images-missing", images=False, report=False)
        site.drop("m.json", self.exams["images-missing"].json(minutes_ago=400))
        pdf = make("pdf", report=False)
        site.drop(f"{pdf.id}.json", pdf.json())
        other = site.folder / "other.pdf"
        report_pdf(other, hospital="示范医院", patient_name="王五", exam_id="EXM-OTHER", accession_number="ACC-OTHER")
        site.drop(f"{pdf.id}.pdf", other.read_bytes())
        held = make("person", report=False)
        self.drop(held, approved=None, submitted=30)
        damaged = make("damaged", report=False)
        self.drop(damaged, approved=None, submitted=30)
        folder = site.data / "studies" / damaged.study.uid
        site.wait_until(lambda: len(list(folder.rglob("*.dcm"))) == len(damaged.study.files), "they are stored")
        stored = next(folder.rglob("*.dcm"))
        data = bytearray(stored.read_bytes())
        data[-9] ^= 1
        stored.write_bytes(data)
        site.report(damaged)
        site.wait_until(lambda: bool(site.lines(held.id)), "it is known")
        assert self.tell("hold", held.id, "--why", "the patient objects").returncode == 0
        versions = make("versions", report=False)
        self.drop(versions, approved=20, submitted=30)
        self.drop(versions, approved=21, submitted=15, Report__Findings="another finding")
        gone = make("withdrawn", images=False, report=False)
        self.drop(gone, approved=20, submitted=30)
        self.drop(gone, approved=None, submitted=10)
        shared = make("others", report=False)
        site.drop("draft.json", make("draft", images=False, report=False).json(
            approved=False, Study__StudyInstanceUIDs=[shared.study.uid],
            Order__AccessionNumber=shared.study.accession_number, Patient__PatientId=shared.study.patient.patient_id,
        ))  # fmt: skip
        site.wait_until(lambda: bool(site.lines(self.exams["draft"].id)), "the draft is taken")
        site.drop("shared.json", shared.json(minutes_ago=340))
        cut = make("cut-off", images=False, report=False)
        self.cut_off()
        site.drop("cut.json", cut.json(
            Study__StudyInstanceUIDs=[CUT_STUDY], Order__AccessionNumber="A420", Patient__PatientId="P420",
            Patient__Name="张三", Patient__Gender="1", Patient__DateOfBirth="1970-12-31",
            Study__StudyDate="2026-11-29 10:00:00",
        ))  # fmt: skip
        make("stuck", report=False)
        site.drop("stuck.json", self.exams["stuck"].json(approved=False))
        site.wait_until(lambda: bool(site.lines(self.exams["stuck"].id)), "it is known")
        site.wait_until(lambda: self.delivered(late) and self.delivered(newer), "delivered")
        self.another("late", late.study.files[0], SOPInstanceUID=f"{late.study.uid}.1.99")
        self.another("newer", newer.study.files[0], PatientName="Qian^Wu")
        site.wait_until(lambda: self.forget(self.exams["stuck"]), "nobody looks at it")

    def forget(self, exam: Exam) -> bool:
        """As a defect would leave it: approved, its images wait for nothing that anybody looks at. False while the
        node has it on its list of exams to evaluate."""
        one = self.site.line(exam.id, Channel.IMAGES).delivery
        with closing(sqlite3.connect(self.site.data / "router.db", timeout=30)) as database, database:
            left = "UPDATE exam SET approved_at = created WHERE id = ? AND check_at IS NULL"
            if not database.execute(left, (one.exam,)).rowcount:
                return False
            stands = "waiting_for = 'stable', changed = changed - 600000000, due = changed + 21600000000"
            return bool(database.execute(f"UPDATE delivery SET {stands} WHERE id = ?", (one.id,)).rowcount)

    def delivered(self, exam: Exam) -> bool:
        mine = [line.delivery for line in self.site.lines(exam.id) if line.delivery.destination == "cloud"]
        return {one.state for one in mine} == {State.DELIVERED}

    # -- what is told

    def tell(self, *arguments: str) -> Any:
        return command_here("queue", *arguments, "--config", self.site.config_file)

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(command_here("status", "--json", "--config", self.site.config_file).stdout)
        return found

    def attention(self) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = self.status()["attention"]
        return entries

    def entry(self, what: str, destination: str | None = "cloud") -> dict[str, Any]:
        self.site.wait_until(lambda: bool(self.entries(what, destination)), f"{what} is in the list")
        (found,) = self.entries(what, destination)
        return found

    def entries(self, what: str, destination: str | None) -> list[dict[str, Any]]:
        return [one for one in self.attention() if (one["what"], one["destination"]) == (what, destination)]

    def number(self, name: str) -> str:
        return f"e{self.site.lines(self.exams[name].id)[0].delivery.exam}"

    def alarms(self) -> set[str]:
        return {one["alarm"] for one in self.status()["alarms"]}

    @cached_property
    def admin(self) -> str:
        return f"http://127.0.0.1:{self.site.node.ports['admin']}"

    def asked(self, path: str) -> str:
        with urllib.request.urlopen(f"{self.admin}{path}", timeout=5) as answer:
            return str(answer.read().decode())


@pytest.fixture(scope="module")
def ward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TroubledNode]:
    ward = TroubledNode(tmp_path_factory.mktemp("attention"))
    try:
        ward.go_wrong()
        yield ward
    finally:
        ward.stop()


@pytest.mark.parametrize(("what", "destination", "name"), [
    ("identity", "cloud", "identity"), ("hospital", "cloud", "hospital"), ("pdf", "cloud", "pdf"),
    ("versions", "cloud", "versions"), ("withdrawn", "cloud", "withdrawn"), ("damaged", "cloud", "damaged"),
    ("late-images", "cloud", "late-images"), ("others", "cloud", "others"), ("person", "cloud", "person"),
    ("failed", "cloud", "failed"), ("exam-json", "cloud", "exam-json"), ("images-missing", "cloud", "images-missing"),
    ("newer-version", "cloud", "newer-version"), ("cut-off", "cloud", "cut-off"), ("stuck", "cloud", "stuck"),
])  # fmt: skip
def test_an_exam_that_only_a_person_can_move_is_in_the_list_with_the_command_that_explains_it(
    ward: TroubledNode, what: str, destination: str, name: str
) -> None:
    found = ward.entry(what, destination)
    assert (found["count"], found["exams"]) == (1, [ward.number(name)])
    assert found["command"] == f"scripts/queue explain {ward.number(name)}"
    story = ward.tell(*found["command"].split()[1:])
    assert story.returncode == 0
    assert f"Exam {ward.exams[name].id}" in story.stdout


def test_what_is_no_single_exam_is_in_the_list_too(ward: TroubledNode) -> None:
    assert ward.entry("quarantine", None)["command"] == "scripts/quarantine list"
    assert ward.entry("account", WRONG)["command"] == "scripts/doctor"
    refused = ward.entry("refused", REFUSING)
    assert refused["count"] > 1
    assert refused["command"] == "scripts/queue list --attention"
    assert ward.entry("pdf-missing")["count"] >= 1
    assert ward.entry("unproved", UNSIGNED)["command"] == "scripts/queue list --attention"


def test_status_queue_list_console_and_metrics_show_the_same(ward: TroubledNode) -> None:
    total = sum(one["count"] for one in ward.attention())
    shown = command_here("status", "--config", ward.site.config_file).stdout
    assert f"Waits for a person: {total}\n" in shown
    assert "Alarms: none" not in shown
    assert "1 x held by a person (cloud), since" in shown
    assert f'<div class="tile warn">Waits for a person<b>{total}</b></div>' in ward.asked("/")
    page = ward.asked("/metrics")
    metric = dict(re.findall(r'router_attention\{destination="cloud",what="([a-z-]+)"\} ([0-9.]+)', page))
    assert (metric["identity"], metric["person"]) == ("1.0", "1.0")
    listed = json.loads(ward.tell("list", "--attention", "--json").stdout)
    assert {one["attention"] for one in listed} >= {one["what"] for one in ward.attention()} - {"account"}
    deliveries = {one["id"]: one["attention"] for one in listed if one["id"]}
    held = {str(line.delivery.id) for line in ward.site.lines() if line.delivery.state in (State.HELD, State.FAILED)}
    assert held <= deliveries.keys()
    assert all(set(one) >= {"id", "exam_id", "state", "due", "waiting_for", "error", "command"} for one in listed)
    text = ward.tell("list", "--attention").stdout
    assert "received files are in quarantine" in text
    assert ward.exams["person"].id in text


def test_pages_of_a_running_node_show_its_last_exchange_and_its_configuration(ward: TroubledNode) -> None:
    page = ward.asked("/exchange?destination=cloud&lang=en")
    assert "Decided by" in page
    assert not [secret for exam in ward.exams.values() for secret in exam.secrets() if secret in page]
    console = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    form = urlencode({"token": (ward.site.data / "console-token").read_text(encoding="ascii")}).encode()
    with console.open(f"{ward.admin}/login", form, timeout=5) as answer:
        assert answer.status == 200
    with console.open(f"{ward.admin}/configuration?lang=en", timeout=5) as answer:
        page = answer.read().decode()
    assert f"<code>{ward.site.config_file}</code>" in page
    assert "The node runs with the file as it is." in page
    assert f"destination {REFUSING}.dicom" in page


def test_every_cause_has_its_alarm_within_a_minute(ward: TroubledNode) -> None:
    wanted = {"doubt", "damaged", "shared-study", "failed", "held", "exam-json", "approval", "quarantine", "breaker"}
    ward.site.wait_until(lambda: ward.alarms() >= wanted, "the alarms stand", 30)
    alarms = [one for one in ward.status()["alarms"] if one["alarm"] == "failed"]
    assert {one["destination"] for one in alarms} == {"cloud", REFUSING}
    assert len(alarms) == 2  # one a destination, not one an exam
    told = json.dumps(ward.status()["alarms"], ensure_ascii=False)
    assert not [secret for exam in ward.exams.values() for secret in exam.secrets() if secret in told]


def test_a_status_that_no_table_knows_is_an_alarm_by_its_word_and_goes_when_its_line_is_pasted(
    ward: TroubledNode,
) -> None:
    found = ward.entry("approval", None)
    assert (found["count"], found["about"]) == (1, "branch 01: Order.Status 已审核")
    assert found["exams"] == [ward.number("approval")]
    exam = ward.exams["approval"]
    story = ward.tell("explain", exam.id).stdout
    assert "ApproveTime with Order.Status '已审核'; `scripts/codes unknown` prints the line to paste" in story
    printed = command_here("codes", "unknown", "--config", ward.site.config_file).stdout
    paste = printed.split(f"{ward.mapping}:\n\n")[1].split("\n\n")[0]
    assert paste == '[values."Order.Status"]\n"已审核" = "Reported"'
    ward.mapping.write_text(paste, encoding="utf-8")
    ward.site.wait_until(lambda: ward.delivered(exam), "the exam goes")
    ward.site.wait_until(lambda: not ward.entries("approval", None), "it is not in the list any more")
    assert "已审核" not in command_here("codes", "unknown", "--config", ward.site.config_file).stdout


def test_what_goes_to_a_destination_that_is_gone_and_a_faulty_file_wait_for_a_person_and_end_with_a_restart(
    ward: TroubledNode,
) -> None:
    site = ward.site
    first = site.node.number
    site.config_file.write_text(f"{ward.text}\n[faulty]\n", encoding="utf-8")
    site.node.hang_up()
    site.wait_until(lambda: "alarm: the configuration has faults" in site.log, "the faulty file is told")
    site.config_file.write_text(ward.text, encoding="utf-8")
    assert ward.entry("settings", None)["command"] == "scripts/doctor"
    site.node.stop()
    assert site.node.number != first
    site.wait_until(lambda: not ward.entries("settings", None), "the file is read at the start")
    assert ward.entry("not-configured", REFUSING)["command"] == f"scripts/queue list --destination {REFUSING}"
    site.config_file.write_text(ward.text + SECOND.format(ward.cloud.port), encoding="utf-8")
    site.node.hang_up()
    site.wait_until(lambda: not ward.entries("not-configured", REFUSING), "it is configured again")


def test_what_a_person_has_put_right_is_not_in_the_list_any_more(ward: TroubledNode) -> None:
    assert ward.tell("release", ward.number("person"), "--yes", "--why", "done").returncode == 0
    assert "cancel: " in ward.tell("cancel", ward.number("failed"), "--why", "done").stdout
    ward.site.wait_until(lambda: not (ward.entries("person", "cloud") or ward.entries("failed", "cloud")), "it is over")


def test_what_is_held_as_the_ledger_was_lost_is_in_the_list_of_the_node_that_starts_again(ward: TroubledNode) -> None:
    site = ward.site
    site.node.stop()
    for path in site.data.glob("router.db*"):
        path.unlink()
    assert command_here("verify", "--rebuild", "--config", site.config_file).returncode == 0
    assert site.node.running
    found = ward.entry("ledger")
    assert found["count"] > 1
    assert found["command"] == "scripts/queue list --attention"
    assert "ledger" in ward.alarms()
    assert ward.tell("cancel", "--destination", "cloud", "--yes", "--why", "compared").returncode == 0
    assert not ward.entries("ledger", "cloud")
