"""The worked profiles of conf/profiles against receivers of their own: outage, wrong keys, replay, kill -9 and more."""

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.clock import SystemClock
from router.config.file import shipped
from router.config.sections import HttpDestination
from router.crypto.keys import new_folder
from router.errors import DestinationDown, NotOffered, Outage, PermanentError, TransientError, UnprovedRefusal, Unproven
from router.forward.credentials import Credentials, load_credentials
from router.forward.report import Notice, ReportAgent, Upload
from support.profile_receivers import EnvelopeReceiver, FrontEndReceiver, PartsReceiver, Receiver, serving

IDEM = "0123456789abcdef" * 2
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)
SMALL = b"%PDF-1.7\n" + bytes(range(256)) * 40
LARGE = SMALL * 220  # 2.1 MiB: three parts
EXAM = shipped("exam.json").read_bytes()
KINDS: dict[str, type[Receiver]] = {
    "signed_envelope": EnvelopeReceiver, "front_end": FrontEndReceiver, "parts": PartsReceiver
}  # fmt: skip
LAST = {"signed_envelope": "exam", "front_end": "report", "parts": "notify"}
FIRST = {"signed_envelope": "exam", "front_end": "exam", "parts": "open"}


def settings(name: str, url: str, keys: Path, **more: object) -> HttpDestination:
    secrets = dict.fromkeys(("app_secret", "sign_key", "master_key"), keys / "secret")
    given = {
        "url": url, "profile": f"file:{shipped('profiles')}/{name}.py", "gateway": True, "app": "hospital-1",
        "api_key_file": keys / "api.key", "signing_key_file": keys / "hospital-sign.pem",
        "platform_signing_key_file": keys / "platform-sign.pub.pem",
        "platform_encryption_key_file": keys / "platform-encrypt.pub.pem", "settings": {"org_code": "H0001"},
        "secrets": secrets, **more,
    }  # fmt: skip
    return HttpDestination(**given)


@dataclass
class Bench:
    """One receiver, the sender's settings and keys, and an upload."""

    name: str
    receiver: Receiver
    there: HttpDestination
    keys: Credentials
    upload: Upload
    pdf: bytes

    def agent(self, **more: object) -> ReportAgent:
        return ReportAgent(self.there.model_copy(update=more), lambda: self.keys, SystemClock())

    def plan(self, call: str, *faults: str) -> None:
        self.receiver.faults[call] = list(faults)

    def arrived(self) -> bool:
        got = self.receiver.exams.get(IDEM)
        return got is not None and json.loads(got["exam"]) == json.loads(EXAM) and got["report"] == self.pdf


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys") / "k"
    new_folder(folder)
    (folder / "secret").write_text("a secret of both sides\n")
    (folder / "secret").chmod(0o600)
    return folder


@pytest.fixture(scope="module", params=list(KINDS))
def known(request: pytest.FixtureRequest, keys: Path) -> tuple[str, Credentials]:
    """A profile, loaded once: its process serves every test of it."""
    return request.param, load_credentials(settings(request.param, "http://127.0.0.1:1", keys))


@pytest.fixture
def bench(known: tuple[str, Credentials], keys: Path, tmp_path: Path) -> Iterator[Bench]:
    name, credentials = known
    (tmp_path / "exam.json").write_bytes(EXAM)
    pdf = LARGE if name == "parts" else SMALL
    (tmp_path / "report.pdf").write_bytes(pdf)
    receiver = KINDS[name](tmp_path, keys, (keys / "secret").read_bytes().strip())
    upload = Upload(
        org="121100004000000001", idem=IDEM, revision=1, exam_file=tmp_path / "exam.json",
        report_file=tmp_path / "report.pdf", progress=tmp_path / "progress.json",
    )  # fmt: skip
    with serving(receiver) as url:
        yield Bench(name, receiver, settings(name, url, keys), credentials, upload, pdf)


def test_exam_and_report_arrive_whole_and_the_receipt_is_the_platforms(bench: Bench) -> None:
    receipt = bench.agent().send(bench.upload)
    assert bench.arrived()
    assert receipt.receipt == f"R-{IDEM[:8]}"
    assert receipt.proof.signature
    assert receipt.to_document()["profile"] == bench.keys.profile.name
    assert bench.agent().send(bench.upload).receipt == receipt.receipt  # the same again, as after a lost answer


def test_an_outage_at_any_call_is_tried_again_and_what_was_confirmed_is_not_sent_twice(bench: Bench) -> None:
    for call in (FIRST[bench.name], LAST[bench.name]):
        bench.plan(call, "cut", "lost")
    tries = 0
    while True:
        tries += 1
        try:
            bench.agent().send(bench.upload)
        except TransientError:
            continue
        break
    assert bench.arrived()
    assert tries == (3 if FIRST[bench.name] == LAST[bench.name] else 5)
    assert [one for one in bench.receiver.calls if one.startswith("part-")] == (
        ["part-1", "part-2", "part-3"] if bench.name == "parts" else []
    )


def test_a_platform_that_is_busy_or_forgets_the_upload_is_asked_again(bench: Bench) -> None:
    bench.plan(LAST[bench.name], "busy")
    with pytest.raises(TransientError, match="answers code"):
        bench.agent().send(bench.upload)
    bench.plan(LAST[bench.name], "gone")
    if bench.name == "signed_envelope":
        with pytest.raises(TransientError):
            bench.agent().send(bench.upload)
    else:  # once more from the first call
        bench.receiver.calls.clear()
        bench.agent().send(bench.upload)
        assert bench.receiver.calls.count(FIRST[bench.name]) == 1
    assert bench.agent().send(bench.upload).receipt


def test_a_wrong_key_stops_the_destination_and_not_the_exam(bench: Bench, keys: Path, tmp_path: Path) -> None:
    shutil.copytree(keys, tmp_path / "other")
    new_folder(tmp_path / "new")
    shutil.copy2(tmp_path / "new" / "hospital-sign.pem", tmp_path / "other")
    (tmp_path / "other" / "secret").write_text("another secret\n")
    wrong = load_credentials(settings(bench.name, bench.there.url, tmp_path / "other"))
    with pytest.raises(DestinationDown) as caught:
        replace(bench, keys=wrong).agent().send(bench.upload)
    assert caught.value.outage == Outage.CREDENTIALS


def test_neither_a_request_nor_an_answer_counts_twice(bench: Bench) -> None:
    agent = bench.agent()
    agent.send(bench.upload)
    method, path, headers, body = bench.receiver.sent[-1]
    bench.receiver.replayed = bench.receiver.last
    again = bench.receiver.take(method, path, headers, body)
    assert again is not None
    assert bench.receiver.CODES["stale"] in again[2].decode()
    bench.plan(LAST[bench.name], "replay")
    with pytest.raises(Unproven):
        agent.send(replace(bench.upload, idem="f" * 32, progress=None))


def test_an_answer_that_is_signed_wrongly_is_not_believed(bench: Bench) -> None:
    bench.plan(LAST[bench.name], "wrong")
    with pytest.raises(Unproven):
        bench.agent().send(bench.upload)
    assert bench.agent().send(bench.upload).receipt


def test_faults_of_fields_are_told_one_by_one_and_only_a_proved_refusal_is_for_good(bench: Bench) -> None:
    bench.plan(FIRST[bench.name], "fields", "fields")
    with pytest.raises(PermanentError) as caught:
        bench.agent().send(bench.upload)
    assert caught.value.faults == (("Patient.IdNo", "格式不对"),)
    assert "格式" not in str(caught.value)
    with pytest.raises(UnprovedRefusal) as unproved:
        bench.agent(gateway=False).send(bench.upload)
    assert unproved.value.faults == caught.value.faults


def test_what_is_too_large_is_refused_for_good(bench: Bench) -> None:
    bench.receiver.longest = 1024
    with pytest.raises(PermanentError):
        bench.agent().send(bench.upload)


def test_a_token_that_expires_under_way_is_renewed_once(bench: Bench) -> None:
    agent = bench.agent()
    bench.plan(LAST[bench.name], "expired")
    assert agent.send(bench.upload).receipt
    assert bench.receiver.tokens == 2
    bench.plan(LAST[bench.name], "expired", "expired")
    with pytest.raises(DestinationDown) as caught:
        agent.send(replace(bench.upload, idem="e" * 32, progress=None))
    assert caught.value.outage == Outage.CREDENTIALS


def test_a_clock_that_the_platform_refuses_is_asked_once_more(bench: Bench) -> None:
    bench.plan(FIRST[bench.name], "stale")
    assert bench.agent().send(bench.upload).receipt
    bench.plan(FIRST[bench.name], "stale", "stale")
    with pytest.raises(TransientError, match="time or nonce"):
        bench.agent().send(replace(bench.upload, idem="d" * 32, progress=None))


def test_a_delivered_exam_is_withdrawn_where_the_profile_has_a_call_for_it(bench: Bench) -> None:
    agent = bench.agent()
    words = {"ExamId": "E1", "HospitalBranchCode": "01", "Revision": "1", "WithdrawnTime": "", "Reason": "作废",
             "Idem": IDEM, "Receipt": agent.send(bench.upload).receipt}  # fmt: skip
    notice = Notice(org=bench.upload.org, idem="b" * 32, revision=1, words=words)
    if not bench.keys.profile.outline.withdraw:
        with pytest.raises(NotOffered):
            agent.withdraw(notice)
        return
    receipt = agent.withdraw(notice)
    assert receipt is not None
    assert (bench.receiver.withdrawn, receipt.idem) == ([IDEM], "b" * 32)


def test_a_profile_without_inventories_offers_none_and_asks_nobody(bench: Bench) -> None:
    with pytest.raises(NotOffered):
        bench.agent().inventory(bench.upload.org, NOW - timedelta(days=1), NOW)
    assert bench.receiver.calls == []


SENDER = """
    import json, sys
    from pathlib import Path
    from router.clock import SystemClock
    from router.config.sections import HttpDestination
    from router.forward.credentials import load_credentials
    from router.forward.report import ReportAgent, Upload
    given = json.load(sys.stdin)
    there = HttpDestination(**given["there"])
    found = load_credentials(there)
    upload = {name: Path(one) if name.endswith(("file", "progress")) else one for name, one in given["upload"].items()}
    ReportAgent(there, lambda: found, SystemClock()).send(Upload(**upload))
"""


def test_a_sender_killed_between_calls_or_parts_goes_on_where_it_was(bench: Bench) -> None:
    """Killed while the platform has the second part, or the last call, and has not answered."""
    at = "part-2" if bench.name == "parts" else LAST[bench.name]
    sender = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SENDER)], stdin=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip

    def kill(call: str) -> None:
        if call == at and sender.returncode is None:
            sender.send_signal(signal.SIGKILL)
            sender.wait()

    bench.receiver.before = kill
    fields = {name: getattr(bench.upload, name) for name in Upload.__dataclass_fields__}
    given = {"there": bench.there.model_dump(mode="json", exclude_unset=True), "upload": fields}
    sender.communicate(json.dumps(given, default=str), timeout=60)
    assert sender.returncode == -signal.SIGKILL
    assert bench.agent().send(bench.upload).receipt
    assert bench.arrived()
    wanted = {"parts": ["part-1", "part-2", "part-2", "part-3"]}.get(bench.name, [])
    assert [one for one in bench.receiver.calls if one.startswith("part-")] == wanted
    assert bench.receiver.calls.count(FIRST[bench.name]) == (2 if bench.name == "signed_envelope" else 1)
