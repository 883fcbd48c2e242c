"""The contract of a profile: what the agent sends, the reference platform takes, and neither takes anything else."""

import base64
import http.client
import io
import json
import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from router.clock import FakeClock
from router.config.sections import HttpDestination
from router.crypto.envelope import Message, new_nonce
from router.crypto.keys import api_key_fingerprint, new_folder
from router.errors import ConfigurationError, DestinationDown, PermanentError, RouterError, TransientError, Unproven
from router.forward.answer import Answer
from router.forward.credentials import load_credentials
from router.forward.profiles import Exchange
from router.forward.report import ReportAgent, Upload
from router.trial.platform.faults import Faults
from router.trial.platform.keyring import read_keyring
from router.trial.platform.service import ReferencePlatform
from support.sample_exam import exam_document

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
ORG, APP = "121100004000000001", "hospital-1"
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 40
Parts = dict[str, bytes]


@dataclass
class Site:
    """A platform, and an agent that speaks one profile to it."""

    keys: Path
    data: Path
    port: int
    destination: HttpDestination
    clock: FakeClock

    def agent(self) -> ReportAgent:
        found = load_credentials(self.destination)
        return ReportAgent(self.destination, lambda: found, self.clock)

    def exchange(self, idem: str, app: str = APP) -> Exchange:
        """A message begun, of this time."""
        profile = load_credentials(self.destination).profile
        ts = int(self.clock.now().timestamp() * 1000)
        return profile.exchange(
            Message(
                profile=profile.name,
                org=ORG,
                app=app,
                ts=ts,
                nonce=new_nonce(secrets.token_bytes(16)),
                idem=idem,
                revision=1,
            )
        )


@pytest.fixture(scope="module", params=["gm-envelope/1", "gm-psk/1"])
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    keys, data = tmp_path_factory.mktemp("keys") / "k", tmp_path_factory.mktemp("platform")
    new_folder(keys, psk=True)
    clock = FakeClock(NOW)
    platform = ReferencePlatform(data, read_keyring(keys), clock, app=APP)
    port = platform.start().http
    yield Site(keys, data, port, destination(keys, port, request.param), clock)
    platform.stop()


def destination(keys: Path, port: int, profile: str) -> HttpDestination:
    return HttpDestination(
        url=f"http://127.0.0.1:{port}",
        profile=profile,
        api_key_file=keys / "api.key",
        signing_key_file=keys / "hospital-sign.pem",
        platform_signing_key_file=keys / "platform-sign.pub.pem",
        platform_encryption_key_file=keys / "platform-encrypt.pub.pem",
        psk_file=keys / "psk.key",
    )


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    (tmp_path / "exam.json").write_text(json.dumps(exam_document()), encoding="utf-8")
    (tmp_path / "report.pdf").write_bytes(PDF)
    return Upload(
        org=ORG, idem="idem-agent", revision=1, exam_file=tmp_path / "exam.json", report_file=tmp_path / "report.pdf"
    )


def test_what_the_agent_sends_arrives_and_the_receipt_proves_it(site: Site, upload: Upload) -> None:
    receipt = site.agent().send(upload)
    [folder] = (site.data / "exams").glob("*/1")
    assert (folder / "report.pdf").read_bytes() == PDF
    assert json.loads((folder / "exam.json").read_bytes()) == exam_document()
    assert receipt.proof.profile == site.destination.profile
    assert receipt.to_document()["key_id"] == receipt.proof.key_id
    assert site.agent().send(upload).receipt == receipt.receipt


def sealed(exchange: Exchange, document: object = None) -> tuple[Parts, bytes]:
    """The encrypted parts and the bytes of meta."""
    parts, described = {}, []
    for name, plain in (("exam", json.dumps(document or exam_document()).encode()), ("report", PDF)):
        sink = io.BytesIO()
        described.append(exchange.seal(name, io.BytesIO(plain), sink))
        parts[name] = sink.getvalue()
    return parts, exchange.meta(described)


def post(site: Site, meta: bytes, parts: Parts, proof: dict[str, str], token: str = "") -> Answer:
    """One upload over the wire, byte by byte as given."""
    body = b"".join(
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\nContent-Type: {kind}\r\n\r\n'.encode()
        + data
        + b"\r\n"
        for name, kind, data in (
            ("meta", "application/json", meta),
            *((name, "application/octet-stream", data) for name, data in parts.items()),
        )
    )
    token = token or site.agent().token()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "multipart/form-data; boundary=x", **proof}
    connection = http.client.HTTPConnection("127.0.0.1", site.port, timeout=10)
    connection.request("POST", "/v1/exams", body + b"--x--\r\n", headers)
    with connection.getresponse() as response:
        answer = Answer(response.status, dict(response.headers), response.read())
    connection.close()
    return answer


def flipped(text: str) -> str:
    """The same length, another value, still base64 or hex."""
    return ("A" if text[0] != "A" else "B") + text[1:] if not _is_hex(text) else f"{int(text[0], 16) ^ 1:x}" + text[1:]


def _is_hex(text: str) -> bool:
    return set(text) <= set("0123456789abcdef")


def change(*path: str | int) -> Callable[[dict[str, Any]], None]:
    def carry_out(meta: dict[str, Any]) -> None:
        at: Any = meta
        for step in path[:-1]:
            at = at[step]
        old = at[path[-1]]
        at[path[-1]] = old + 1 if isinstance(old, int) else flipped(old)

    return carry_out


FIELDS = [
    ("org",), ("app",), ("ts",), ("nonce",), ("idem",), ("revision",), ("profile",), ("key", "alg"),
    ("parts", 0, "iv"), ("parts", 0, "tag"), ("parts", 0, "length"), ("parts", 0, "sm3"), ("parts", 1, "tag"),
]  # fmt: skip


@pytest.mark.parametrize("path", FIELDS, ids=lambda path: ".".join(map(str, path)))
def test_a_changed_field_of_meta_is_refused(site: Site, path: tuple[str | int, ...]) -> None:
    exchange = site.exchange("changed")
    parts, meta = sealed(exchange)
    document = json.loads(meta)
    change(*path)(document)
    answer = post(site, json.dumps(document).encode(), parts, dict(exchange.headers("/v1/exams", meta)))
    assert answer.status == 400


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        (("parts", 0, "iv"), 400, "the tag of exam"),
        (("parts", 0, "tag"), 400, "the tag of exam"),
        (("parts", 1, "tag"), 400, "the tag of report"),
        (("parts", 1, "iv"), 400, "the tag of report"),
        (("parts", 0, "length"), 400, "length or digest of exam"),
        (("parts", 1, "length"), 400, "length or digest of report"),
        (("parts", 0, "sm3"), 400, "length or digest of exam"),
        (("parts", 1, "sm3"), 400, "length or digest of report"),
        (("parts", 0, "name"), 400, "part exam is not where it belongs"),
        (("profile",), 400, "profile is not"),
        (("key", "alg"), 400, "key.alg"),
    ],
    ids=lambda value: value[-1] if isinstance(value, tuple) else str(value),
)
def test_a_changed_field_that_the_sender_vouches_for_has_its_own_reason(
    site: Site, path: tuple[str | int, ...], status: int, said: str
) -> None:
    exchange = site.exchange(f"vouched-{path[-1]}-{path[0]}")
    parts, meta = sealed(exchange)
    document = json.loads(meta)
    change(*path)(document)
    changed = json.dumps(document).encode()
    answer = post(site, changed, parts, dict(exchange.headers("/v1/exams", changed)))
    assert answer.status == status
    assert said in json.loads(answer.body)["error"]


OWN = [
    ("gm-envelope/1", "org", 400, "the tag of exam"),
    ("gm-envelope/1", "idem", 400, "the tag of exam"),
    ("gm-envelope/1", "app", 403, "unknown app"),
    ("gm-envelope/1", "platform_kid", 403, "platform_kid is not"),
    ("gm-envelope/1", "wrapped", 400, "the session key does not unwrap"),
    ("gm-psk/1", "org", 400, "signature does not match"),
    ("gm-psk/1", "idem", 400, "signature does not match"),
    ("gm-psk/1", "app", 400, "signature does not match"),
    ("gm-psk/1", "salt", 400, "signature does not match"),
    ("gm-psk/1", "kdf", 400, "key.kdf is not"),
]


@pytest.mark.parametrize(("profile", "field", "status", "said"), OWN)
def test_a_field_that_the_keys_are_bound_to_has_its_own_reason(
    site: Site, profile: str, field: str, status: int, said: str
) -> None:
    if site.destination.profile != profile:
        return
    exchange = site.exchange(f"bound-{field}")
    parts, meta = sealed(exchange)
    document = json.loads(meta)
    change(*((field,) if field in document else ("key", field)))(document)
    changed = json.dumps(document).encode()
    answer = post(site, changed, parts, dict(exchange.headers("/v1/exams", changed)))
    assert (answer.status, said in json.loads(answer.body)["error"]) == (status, True), answer.body


def test_an_unknown_app_and_a_nonce_seen_before_are_refused(site: Site) -> None:
    stranger = site.exchange("app", app="hospital-2")
    parts, meta = sealed(stranger)
    assert post(site, meta, parts, dict(stranger.headers("/v1/exams", meta))).status == 403
    exchange = site.exchange("replayed")
    parts, meta = sealed(exchange)
    proof = dict(exchange.headers("/v1/exams", meta))
    assert [post(site, meta, parts, proof).status for _ in range(2)] == [200, 401]


def test_every_refusal_of_a_request_whose_signature_holds_is_proved(site: Site) -> None:
    """What is wrong with it, of another app, seen before, of other content; the exam JSON itself."""
    names = (("p", "hospital-2"), ("q", APP), ("r", APP), ("r", APP), ("s", APP))
    stranger, torn, seen, taken, bare = (site.exchange(name, app) for name, app in names)
    answers: list[tuple[Exchange, Answer]] = []
    for exchange in (stranger, torn, seen, seen, taken, bare):
        parts, meta = sealed(exchange, {"ExamId": ""} if exchange in (taken, bare) else None)
        if exchange is torn:
            parts["exam"] = parts["exam"][:-1]
        if exchange is not seen or not answers[2:]:
            kept = (meta, parts, dict(exchange.headers("/v1/exams", meta)))
        answers.append((exchange, post(site, *kept)))
    assert [answer.status for _, answer in answers] == [403, 400, 200, 401, 409, 422]
    for exchange, answer in answers:
        assert exchange.proved(answer) is not None
    unknown = site.exchange("t")
    parts, meta = sealed(unknown)
    answer = post(site, meta, parts, dict(unknown.headers("/v1/exams", meta)), token="unknown")
    assert (answer.status, json.loads(answer.body)) == (401, {"error": "token"})
    assert unknown.proved(answer) is not None


def test_a_refusal_of_a_request_whose_signature_does_not_hold_carries_none(site: Site) -> None:
    exchange = site.exchange("unsigned")
    parts, meta = sealed(exchange)
    answer = post(site, meta, parts, dict(exchange.headers("/v1/other", meta)))
    assert (answer.status, exchange.proved(answer)) == (400, None)


def test_a_proof_of_one_status_is_none_of_another(site: Site) -> None:
    exchange = site.exchange("app", app="hospital-2")
    parts, meta = sealed(exchange)
    answer = post(site, meta, parts, dict(exchange.headers("/v1/exams", meta)))
    with pytest.raises(Unproven):
        exchange.proved(Answer(422, answer.headers, answer.body))


@pytest.mark.parametrize("part", ["exam", "report"])
@pytest.mark.parametrize("place", [0, -1])
def test_a_flipped_bit_of_a_part_is_refused(site: Site, part: str, place: int) -> None:
    exchange = site.exchange("flipped")
    parts, meta = sealed(exchange)
    data = bytearray(parts[part])
    data[place] ^= 1
    answer = post(site, meta, {**parts, part: bytes(data)}, dict(exchange.headers("/v1/exams", meta)))
    assert (answer.status, f"digest of {part}" in json.loads(answer.body)["error"]) == (400, True)


def test_a_proof_of_another_path_or_key_is_refused(site: Site) -> None:
    exchange = site.exchange("proof")
    parts, meta = sealed(exchange)
    assert post(site, meta, parts, dict(exchange.headers("/v1/other", meta))).status == 400
    known = dict(exchange.headers("/v1/exams", meta))
    assert post(site, meta, parts, {**known, "X-GM-Key-Id": "0" * 16}).status == 403


def test_an_answer_is_believed_as_it_was_given_only(site: Site) -> None:
    exchange = site.exchange("answer")
    parts, meta = sealed(exchange)
    good = post(site, meta, parts, dict(exchange.headers("/v1/exams", meta)))
    assert exchange.verified(good).idem == "answer"
    for wrong in (
        Answer(201, good.headers, good.body),
        Answer(200, good.headers, good.body.replace(b'"receipt": "', b'"receipt": "0')),
        Answer(200, {**dict(good.headers), "X-GM-Key-Id": "0" * 16}, good.body),
        Answer(200, {"X-GM-Key-Id": good.headers["X-GM-Key-Id"]}, good.body),
    ):
        with pytest.raises(Unproven):
            exchange.verified(wrong)
    with pytest.raises(Unproven):
        site.exchange("another").verified(good)


def test_a_sender_with_another_key_is_not_let_in(site: Site, upload: Upload, tmp_path: Path) -> None:
    new_folder(tmp_path / "other", psk=True)
    (tmp_path / "other/api.key").write_bytes((site.keys / "api.key").read_bytes())
    stranger = Site(
        tmp_path, site.data, site.port, destination(tmp_path / "other", site.port, site.destination.profile), site.clock
    )
    with pytest.raises(DestinationDown, match="signing key"):
        stranger.agent().send(upload)


def test_no_two_messages_share_a_key_or_a_vector(site: Site) -> None:
    fresh = set()
    for _ in range(2):
        document = json.loads(sealed(site.exchange("same"))[1])
        key = document["key"]
        fresh |= {key.get("wrapped") or key["salt"], *(part["iv"] for part in document["parts"])}
    assert len(fresh) == 6


def test_no_secret_is_printed_or_sent(site: Site) -> None:
    exchange = site.exchange("secret")
    secrets = [(site.keys / name).read_text().strip() for name in ("api.key", "psk.key")]
    _, meta = sealed(exchange)
    shown = repr(exchange) + meta.decode() + json.dumps(dict(exchange.headers("/v1/exams", meta)))
    for secret in secrets:
        raw = bytes.fromhex(secret)
        assert secret not in shown
        assert repr(raw)[2:-1] not in shown
        assert base64.b64encode(raw).decode() not in shown
        assert api_key_fingerprint(raw) not in meta.decode()


@dataclass
class Faulty:
    """A platform that misbehaves, and one upload to it."""

    agent: ReportAgent
    upload: Upload
    data: Path


@pytest.fixture
def faulty(request: pytest.FixtureRequest, site: Site, upload: Upload, tmp_path: Path) -> Iterator[Faulty]:
    platform = ReferencePlatform(tmp_path / "p", read_keyring(site.keys), site.clock, app=APP, faults=request.param)
    port = platform.start().http
    found = load_credentials(site.destination)
    there = destination(site.keys, port, site.destination.profile)
    yield Faulty(ReportAgent(there, lambda: found, site.clock), upload, tmp_path / "p")
    platform.stop()


@pytest.mark.parametrize(
    ("faulty", "kind", "stored"),
    [
        (["500"], TransientError, False),
        (["503"], TransientError, False),
        (["429"], TransientError, False),
        (["413"], PermanentError, False),
        (["422"], PermanentError, False),
        (["expired-token", "expired-token"], DestinationDown, False),
        (["stale", "stale"], TransientError, False),
        (["drop"], TransientError, True),
        (["signature"], Unproven, True),
        (["receipt"], Unproven, True),
    ],
    indirect=["faulty"],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_fault_is_what_it_should_be_and_the_next_try_delivers_once(
    faulty: Faulty, kind: type[RouterError], stored: bool
) -> None:
    with pytest.raises(kind) as caught:
        faulty.agent.send(faulty.upload)
    assert type(caught.value) is kind
    assert len((faulty.data / "receipts.jsonl").read_text().splitlines()) == stored
    assert faulty.agent.send(faulty.upload).receipt
    assert len((faulty.data / "receipts.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize("faulty", [["expired-token"], ["stale"], ["slow:0"]], indirect=True)
def test_a_fault_that_one_more_try_mends_is_mended_within_one_sending(faulty: Faulty) -> None:
    assert faulty.agent.send(faulty.upload).receipt


@pytest.mark.parametrize("name", ["501", "slow:x", "drop:3", ""])
def test_an_unknown_fault_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="unknown fault"):
        Faults([name])
