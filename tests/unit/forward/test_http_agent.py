"""The report agent against a platform that answers well, wrongly, late, or not at all, over real sockets."""

import base64
import contextlib
import hashlib
import io
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import multipart
import pytest

from router.clock import Clock, FakeClock, SystemClock
from router.config.sections import HttpDestination
from router.crypto import keys
from router.crypto.curve import new_secret
from router.crypto.sm2 import PrivateKey
from router.crypto.symmetric import hmac_sm3, sm3, unseal
from router.errors import (
    ConfigurationError,
    Damaged,
    DestinationDown,
    PermanentError,
    RouterError,
    TransientError,
    UnprovedRefusal,
    Unproven,
)
from router.forward import http
from router.forward.credentials import Credentials, load_credentials
from router.forward.http import DEFAULT_LIMITS, Limits, Multipart, Part, Session
from router.forward.profiles import gm_envelope_1
from router.forward.report import ReportAgent, Upload
from router.forward.route import resolve

NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
ORG = "121100004000000001"
EXAM = '{"Patient": {"Name": "张三"}}'.encode()
PDF = b"%PDF-1.7 " + bytes(range(256)) * 2000
IDEM = "0123456789abcdef" * 2
Reply = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One request: reads it, then does what the script says, or what a good platform would do."""

    protocol_version = "HTTP/1.1"
    server: "Platform"
    sent: bytes

    def do_POST(self) -> None:
        self.sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append(self)
        name = "token" if self.path.endswith("/v1/token") else "exams"
        script = self.server.scripts[name]
        reply = script.pop(0) if script else _token if name == "token" else _receipt
        reply(self)

    def log_message(self, *_: object) -> None:
        """Quiet."""

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def parts(self) -> dict[str, bytes]:
        boundary = self.headers["Content-Type"].partition("boundary=")[2]
        parser = multipart.MultipartParser(io.BytesIO(self.sent), boundary, spool_limit=2**20)
        with contextlib.ExitStack() as closing:
            parts = [closing.enter_context(contextlib.closing(part)) for part in parser]
            return {part.name: part.raw for part in parts}

    def meta(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.parts()["meta"])
        return document


class Platform(ThreadingHTTPServer):
    """The platform's end, with its keys and a script of odd answers for each endpoint."""

    daemon_threads = True

    def __init__(self, site: "Site") -> None:
        self.folder = site.folder
        self.signing = site.signing
        self.decryption = site.decryption
        self.scripts: dict[str, list[Reply]] = {"token": [], "exams": []}
        self.seen: list[Handler] = []
        self.released = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, *_: object) -> None:
        """A client that hangs up is what some cases are about."""

    def asked(self, endpoint: str) -> int:
        return sum(handler.path == endpoint for handler in self.seen)


def _token(handler: Handler) -> None:
    count = handler.server.asked("/v1/token")
    handler.answer(200, json.dumps({"token": f"t{count}", "expires_in": 600}).encode())


def _receipt(handler: Handler, *, signer: PrivateKey | None = None, status: int = 200, **changes: object) -> None:
    meta = handler.meta()
    document = {"receipt": "R1", "idem": meta["idem"], "nonce": meta["nonce"], "ts": 1795161600123, **changes}
    body = json.dumps(document).encode()
    key = signer or handler.server.signing
    signature = base64.b64encode(key.sign(gm_envelope_1.signed_response(status, meta["nonce"], sm3(body)))).decode()
    handler.answer(status, body, X_GM_Key_Id=keys.key_id(handler.server.signing.public), X_GM_Signature=signature)


def plain(status: int, body: object = None, **headers: str) -> Reply:
    return lambda handler: handler.answer(status, b"" if body is None else json.dumps(body).encode(), **headers)


def signed(status: int, document: object, *, text: int | None = None) -> Reply:
    """Signed by the platform; `text` is the status under the signature, where that is another."""

    def reply(handler: Handler) -> None:
        body, key = json.dumps(document).encode(), handler.server.signing
        proof = key.sign(gm_envelope_1.signed_response(text or status, handler.meta()["nonce"], sm3(body)))
        kid = keys.key_id(key.public)
        handler.answer(status, body, X_GM_Key_Id=kid, X_GM_Signature=base64.b64encode(proof).decode())

    return reply


def raw(*pieces: bytes, pause: float = 0.0) -> Reply:
    def reply(handler: Handler) -> None:
        for piece in pieces:
            handler.wfile.write(piece)
            handler.server.released.wait(pause)
        handler.close_connection = True

    return reply


@dataclass(frozen=True)
class Site:
    """The keys of both sides."""

    folder: Path
    signing: PrivateKey
    decryption: PrivateKey
    hospital: Credentials

    def agent(
        self,
        url: str,
        clock: Clock | None = None,
        limits: Limits = DEFAULT_LIMITS,
        spool: Path | None = None,
        **settings: Any,
    ) -> ReportAgent:
        wanted = destination(self.folder, url, **settings)
        return ReportAgent(wanted, lambda: self.hospital, clock or FakeClock(NOW), spool=spool, limits=limits)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("keys") / "k"
    keys.new_folder(folder)
    return Site(
        folder,
        signing=keys.load_private(folder / "platform-sign.pem"),
        decryption=keys.load_private(folder / "platform-encrypt.pem"),
        hospital=load_credentials(destination(folder, "http://127.0.0.1")),
    )


@pytest.fixture(scope="module")
def folder(site: Site) -> Path:
    return site.folder


@contextlib.contextmanager
def serving(platform: Platform) -> Iterator[Platform]:
    thread = threading.Thread(target=platform.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield platform
    finally:
        platform.released.set()
        platform.shutdown()
        thread.join()
        platform.server_close()


@pytest.fixture
def platform(site: Site) -> Iterator[Platform]:
    with serving(Platform(site)) as started:
        yield started


def destination(folder: Path, url: str, **settings: Any) -> HttpDestination:
    return HttpDestination(
        url=url,
        api_key_file=folder / "api.key",
        signing_key_file=folder / "hospital-sign.pem",
        platform_signing_key_file=folder / "platform-sign.pub.pem",
        platform_encryption_key_file=folder / "platform-encrypt.pub.pem",
        **settings,
    )


def at(platform: Platform) -> str:
    return f"http://127.0.0.1:{platform.server_port}"


@dataclass
class Bench:
    """An agent that talks to the platform, and an upload for it."""

    platform: Platform
    agent: ReportAgent
    upload: Upload
    spool: Path
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))

    def refused(self, kind: type[RouterError], *exams: Reply, agent: ReportAgent | None = None) -> RouterError:
        """The error that sending ends in when the platform answers so; of exactly this kind."""
        self.platform.scripts["exams"] = list(exams)
        with pytest.raises(kind) as caught:
            (agent or self.agent).send(self.upload)
        assert type(caught.value) is kind
        assert not list(self.spool.iterdir())
        return caught.value


@pytest.fixture
def bench(platform: Platform, site: Site, tmp_path: Path) -> Bench:
    spool = tmp_path / "spool"
    spool.mkdir()
    (tmp_path / "exam.json").write_bytes(EXAM)
    (tmp_path / "report.pdf").write_bytes(PDF)
    clock = FakeClock(NOW)
    agent = site.agent(at(platform), clock, spool=spool)
    return Bench(
        platform,
        agent,
        Upload(org=ORG, idem=IDEM, revision=2, exam_file=tmp_path / "exam.json", report_file=tmp_path / "report.pdf"),
        spool,
        clock,
    )


def test_an_upload_arrives_as_the_profile_says_and_brings_a_receipt(bench: Bench, folder: Path) -> None:
    receipt = bench.agent.send(bench.upload)
    token_call, call = bench.platform.seen
    asked = json.loads(token_call.sent)
    api_key = keys.load_api_key(folder / "api.key")
    text = f"GM1-TOKEN\nhospital-1\n{asked['ts']}\n{asked['nonce']}\n".encode()
    assert asked["mac"] == hmac_sm3(api_key, text).hex()
    assert asked["ts"] == int(NOW.timestamp() * 1000)

    parts, meta = call.parts(), call.meta()
    assert list(parts) == ["meta", "exam", "report"]
    assert call.headers["Authorization"] == "Bearer t1"
    hospital = keys.load_public(folder / "hospital-sign.pub.pem")
    signed = f"GM1\nPOST\n/v1/exams\n{sm3(parts['meta']).hex()}\n".encode()
    assert hospital.verify(signed, base64.b64decode(call.headers["X-GM-Signature"]))
    assert call.headers["X-GM-Key-Id"] == keys.key_id(hospital)
    assert {one.headers["User-Agent"] for one in bench.platform.seen} == {"imaging-cloud-router"}  # of no library
    assert (meta["profile"], meta["org"], meta["app"]) == ("gm-envelope/1", ORG, "hospital-1")
    assert (meta["idem"], meta["revision"]) == (IDEM, 2)
    assert meta["key"]["platform_kid"] == keys.key_id(bench.platform.decryption.public)
    session_key = bench.platform.decryption.decrypt(base64.b64decode(meta["key"]["wrapped"]))
    for part, content in zip(meta["parts"], (EXAM, PDF), strict=True):
        assert (part["length"], part["sm3"]) == (len(parts[part["name"]]), sm3(parts[part["name"]]).hex())
        assert opened(session_key, part, parts[part["name"]]) == content

    assert (receipt.receipt, receipt.idem, receipt.nonce, receipt.status) == ("R1", IDEM, meta["nonce"], 200)
    assert receipt.at == datetime.fromtimestamp(1795161600.123, UTC)
    assert not list(bench.spool.iterdir())


def opened(key: bytes, part: dict[str, str], ciphertext: bytes) -> bytes:
    sink = io.BytesIO()
    aad = f"gm-envelope/1|{ORG}|hospital-1|{IDEM}|{part['name']}".encode()
    tag, iv = base64.b64decode(part["tag"]), base64.b64decode(part["iv"])
    unseal(key, iv, aad, tag, io.BytesIO(ciphertext), sink)
    return sink.getvalue()


def test_the_written_receipt_is_enough_to_verify_again(bench: Bench, folder: Path) -> None:
    written = json.loads(json.dumps(bench.agent.send(bench.upload).to_document()))
    body = base64.b64decode(written["body"])
    text = f"GM1-RESP\n{written['status']}\n{written['nonce']}\n{sm3(body).hex()}\n"
    key = keys.load_public(folder / "platform-sign.pub.pem")
    assert written["signed"] == text
    assert key.verify(text.encode(), base64.b64decode(written["signature"]))
    assert (written["key_id"], json.loads(body)["receipt"]) == (keys.key_id(key), written["receipt"])
    assert datetime.fromisoformat(written["at"]).tzinfo is not None


def test_a_path_before_the_interface_is_signed_as_it_is_sent(
    site: Site, platform: Platform, folder: Path, bench: Bench
) -> None:
    site.agent(at(platform) + "/share cloud/").send(bench.upload)
    call = platform.seen[-1]
    assert call.path == "/share%20cloud/v1/exams"
    signed = f"GM1\nPOST\n{call.path}\n{sm3(call.parts()['meta']).hex()}\n".encode()
    hospital = keys.load_public(folder / "hospital-sign.pub.pem")
    assert hospital.verify(signed, base64.b64decode(call.headers["X-GM-Signature"]))


def test_every_message_has_its_own_nonce_session_key_and_vectors(bench: Bench) -> None:
    bench.agent.send(bench.upload)
    bench.agent.send(bench.upload)
    first, second = (call.meta() for call in bench.platform.seen if call.path == "/v1/exams")
    assert first["idem"] == second["idem"]
    assert first["nonce"] != second["nonce"]
    assert first["key"]["wrapped"] != second["key"]["wrapped"]
    assert len({part["iv"] for meta in (first, second) for part in meta["parts"]}) == 4


def test_the_plaintext_is_never_spooled(bench: Bench) -> None:
    spooled: list[bytes] = []

    def look(handler: Handler) -> None:
        spooled.extend(file.read_bytes() for file in bench.spool.rglob("*") if file.is_file())
        _receipt(handler)

    bench.platform.scripts["exams"] = [look]
    bench.agent.send(bench.upload)
    assert len(spooled) == 2
    beginnings = [plain[start : start + 16] for plain in (EXAM, PDF) for start in (0, 16)]
    assert not [part for content in spooled for part in beginnings if part in content]


def test_a_token_serves_until_shortly_before_it_expires(bench: Bench) -> None:
    bench.agent.send(bench.upload)
    bench.clock.advance(560)
    bench.agent.send(bench.upload)
    assert bench.platform.asked("/v1/token") == 1
    bench.clock.advance(20)
    bench.agent.send(bench.upload)
    assert bench.platform.asked("/v1/token") == 2
    assert bench.platform.seen[-1].headers["Authorization"] == "Bearer t2"


def test_threads_share_one_token(bench: Bench) -> None:
    with ThreadPoolExecutor(4) as pool:
        assert len({r.nonce for r in pool.map(bench.agent.send, [bench.upload] * 4)}) == 4
    assert bench.platform.asked("/v1/token") == 1


def test_probing_asks_for_a_new_token_each_time(bench: Bench) -> None:
    bench.agent.probe()
    bench.agent.probe()
    assert [call.path for call in bench.platform.seen] == ["/v1/token"] * 2


def test_a_refused_token_is_renewed_once(bench: Bench) -> None:
    bench.platform.scripts["exams"] = [plain(401, {"error": "token"})]
    assert bench.agent.send(bench.upload).receipt == "R1"
    assert bench.platform.seen[-1].headers["Authorization"] == "Bearer t2"


def test_a_token_refused_twice_is_the_destinations_trouble(bench: Bench) -> None:
    error = bench.refused(DestinationDown, plain(401, {"error": "token"}), plain(401, {"error": "token"}))
    assert "API key" in str(error)
    assert bench.platform.asked("/v1/exams") == 2


def test_a_stale_message_is_signed_anew_once(bench: Bench) -> None:
    bench.platform.scripts["exams"] = [plain(401, {"error": "stale"})]
    bench.agent.send(bench.upload)
    first, second = (call for call in bench.platform.seen if call.path == "/v1/exams")
    assert first.meta()["nonce"] != second.meta()["nonce"]
    assert first.headers["X-GM-Signature"] != second.headers["X-GM-Signature"]
    assert bench.platform.asked("/v1/token") == 1


def test_a_message_stale_twice_is_tried_later_with_a_warning_about_the_clock(bench: Bench) -> None:
    error = bench.refused(TransientError, plain(401, {"error": "stale"}), plain(401, {"error": "stale"}))
    assert "clock" in error.hint


def test_a_refused_token_and_then_a_stale_message_are_each_mended(bench: Bench) -> None:
    bench.platform.scripts["exams"] = [plain(401, {"error": "token"}), plain(401, {"error": "stale"})]
    assert bench.agent.send(bench.upload).receipt == "R1"
    assert bench.platform.asked("/v1/exams") == 3


def test_a_forbidden_app_is_the_destinations_trouble(bench: Bench) -> None:
    error = bench.refused(DestinationDown, plain(403))
    assert "API key" in error.message
    assert "keys show" in error.hint


@pytest.mark.parametrize("status", [400, 409, 413])
def test_a_refused_envelope_fails_for_good_with_the_platforms_words_apart(bench: Bench, status: int) -> None:
    error = bench.refused(PermanentError, signed(status, {"error": "no, 张三"}))
    assert isinstance(error, PermanentError)
    assert error.faults == (("", "no, 张三"),)
    assert "张三" not in str(error)
    assert bench.platform.asked("/v1/exams") == 1


@pytest.mark.parametrize("status", [400, 409, 410, 413, 422])
def test_a_refusal_that_nothing_proves_is_not_for_good_and_shows_the_words(bench: Bench, status: int) -> None:
    words = {"error": "no, 张三", "errors": [{"path": "Order.Status", "message": "no, 张三"}]}
    error = bench.refused(UnprovedRefusal, plain(status, words))
    assert isinstance(error, UnprovedRefusal)
    assert error.faults == (("Order.Status" if status == 422 else "", "no, 张三"),)
    assert error.message.startswith("unproved: ")
    assert "张三" not in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 429, 500, 503])
def test_a_signature_that_is_there_and_wrong_is_an_integrity_error_whatever_the_status(
    bench: Bench, site: Site, status: int
) -> None:
    bench.refused(Unproven, signed(status, {"error": "stale"}, text=200))
    gateway = site.agent(at(bench.platform), spool=bench.spool, gateway=True)
    bench.refused(Unproven, signed(status, {"error": "stale"}, text=200), agent=gateway)


def test_a_gateway_on_loopback_vouches_for_a_refusal_but_not_for_a_receipt(bench: Bench, site: Site) -> None:
    gateway = site.agent(at(bench.platform), spool=bench.spool, gateway=True)
    bench.refused(PermanentError, plain(422, {"errors": []}), agent=gateway)
    bench.refused(Unproven, plain(200, {"receipt": "R1", "idem": IDEM}), agent=gateway)


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("http://10.1.1.1:8443", {"allow_plain": True}),
        ("https://platform.example", {}),
        ("http://127.0.0.1.example:80", {"allow_plain": True}),
        ("http://127.0.0.1:8443", {"proxy": "http://10.1.1.1:3128"}),
    ],
)
def test_a_gateway_is_on_loopback_or_the_configuration_is_wrong(
    folder: Path, url: str, settings: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="gateway"):
        destination(folder, url, gateway=True, **settings)
    assert not destination(folder, url, **settings).vouched


def test_a_certificate_file_vouches_only_where_there_is_tls(folder: Path, tmp_path: Path) -> None:
    assert destination(folder, "https://platform.example", ca_file=tmp_path / "ca.pem").vouched
    assert not destination(folder, "http://127.0.0.1:8443", ca_file=tmp_path / "ca.pem").vouched


def test_a_refused_exam_json_is_shown_field_by_field(bench: Bench) -> None:
    told = [
        {"path": "Order.Procedures[0].CheckItemCode", "message": "unknown 张三"},
        {"path": "张三", "message": 5},
        "odd",
    ]
    error = bench.refused(PermanentError, signed(422, {"errors": told}))
    assert isinstance(error, PermanentError)
    assert error.faults == (("Order.Procedures[0].CheckItemCode", "unknown 张三"), ("", "5"))
    assert "张三" not in str(error)
    assert "张三" not in str(error.fields)


def test_a_422_with_a_flood_of_faults_is_cut(bench: Bench) -> None:
    told = [{"path": "Order.Status", "message": "x" * 5000}] * 201
    error = bench.refused(PermanentError, signed(422, {"errors": told}))
    assert isinstance(error, PermanentError)
    assert len(error.faults) == 200
    assert all(len(message) == 500 for _, message in error.faults)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("17", 17.0),
        ("Fri, 20 Nov 2026 08:01:30 GMT", 90.0),
        ("Fri, 20 Nov 2026 07:00:00 GMT", 0.0),
        ("999999999", 86400.0),
        ("soon", None),
        ("-5", None),
    ],
)
def test_retry_after_is_taken_as_seconds_or_as_a_date(bench: Bench, said: str, seconds: float | None) -> None:
    error = bench.refused(TransientError, plain(429, Retry_After=said))
    assert isinstance(error, TransientError)
    assert error.retry_after == seconds


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504, 599])
def test_a_platform_in_trouble_is_tried_later(bench: Bench, status: int) -> None:
    error = bench.refused(TransientError, plain(status, "<html>"))
    assert isinstance(error, TransientError)
    assert error.retry_after is None


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_is_the_destinations_trouble(bench: Bench, site: Site, status: int) -> None:
    with serving(Platform(site)) as elsewhere:
        error = bench.refused(DestinationDown, plain(status, Location=at(elsewhere) + "/v1/exams"))
        assert elsewhere.seen == []
    assert "redirects" in error.message


@pytest.mark.parametrize("status", [201, 202, 204, 404, 405])
def test_an_answer_of_some_other_service_is_the_destinations_trouble(bench: Bench, status: int) -> None:
    assert "url" in bench.refused(DestinationDown, plain(status)).hint


def changed(**changes: object) -> Reply:
    return lambda handler: _receipt(handler, **changes)  # type: ignore[arg-type] # fields of the document


def resigned(handler: Handler) -> None:
    _receipt(handler, signer=PrivateKey.from_secret(new_secret()))


@pytest.mark.parametrize(
    "reply",
    [
        resigned,
        changed(idem="f" * 32),
        changed(nonce="AAAAAAAAAAAAAAAAAAAAAA"),
        changed(receipt=""),
        changed(receipt=None),
        changed(ts="noon"),
        changed(ts=10**30),
        plain(200, {"receipt": "R1", "idem": IDEM}),
        plain(200, {"receipt": "R1"}, X_GM_Key_Id="0" * 16, X_GM_Signature="AAAA"),
    ],
)
def test_a_receipt_that_does_not_hold_is_no_delivery(bench: Bench, reply: Reply) -> None:
    bench.refused(Unproven, reply)


@pytest.mark.parametrize("signature", ["", "*", "AAAA", "é"])
def test_a_malformed_signature_is_no_delivery(bench: Bench, folder: Path, signature: str) -> None:
    kid = keys.key_id(keys.load_public(folder / "platform-sign.pub.pem"))
    error = bench.refused(Unproven, plain(200, {"receipt": "R1"}, X_GM_Key_Id=kid, X_GM_Signature=signature))
    assert "signature" in error.message


def test_a_receipt_for_another_status_does_not_verify(bench: Bench) -> None:
    def reply(handler: Handler) -> None:
        meta = handler.meta()
        body = json.dumps({"receipt": "R1", "idem": IDEM, "nonce": meta["nonce"], "ts": 1}).encode()
        text = gm_envelope_1.signed_response(202, meta["nonce"], sm3(body))
        signature = base64.b64encode(handler.server.signing.sign(text)).decode()
        handler.answer(200, body, X_GM_Key_Id=keys.key_id(handler.server.signing.public), X_GM_Signature=signature)

    bench.refused(Unproven, reply)


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    "reply",
    [
        raw(),
        raw(b"HTTP/1.1 2"),
        raw(b"garbage\r\n\r\n"),
        raw(HEAD),
        raw(HEAD + b"Content-Length: 100\r\n\r\nshort"),
        raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\nshort"),
        raw(HEAD + b"Content-Length: 2000000\r\n\r\n" + bytes(2000000)),
    ],
    ids=["nothing", "half a status", "no http", "half a head", "half a body", "half a chunk", "a flood"],
)
def test_an_answer_cut_short_is_tried_later(bench: Bench, reply: Reply) -> None:
    bench.refused(TransientError, reply)


@pytest.mark.parametrize(
    "reply",
    [
        raw(b"", pause=30),
        raw(HEAD + b"Content-Length: 10\r\n\r\n", pause=30),
        raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n", pause=30),
        raw(HEAD, *[b"X: y\r\n"] * 100, pause=0.1),
        raw(HEAD + b"Content-Length: 100\r\n\r\n", *[b" "] * 100, pause=0.1),
    ],
    ids=["silence", "a head and silence", "a chunk and silence", "a dripping head", "a dripping body"],
)
def test_a_platform_that_takes_too_long_does_not_hold_us(site: Site, bench: Bench, reply: Reply) -> None:
    impatient = site.agent(at(bench.platform), SystemClock(), Limits(connect=5, answer=0.4), bench.spool)
    impatient.probe()
    began = time.monotonic()
    bench.refused(TransientError, reply, agent=impatient)
    assert time.monotonic() - began < 8


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_interface_key_is_the_destinations_trouble(bench: Bench, status: int) -> None:
    bench.platform.scripts["token"] = [plain(status)]
    with pytest.raises(DestinationDown, match="API key"):
        bench.agent.send(bench.upload)
    assert bench.platform.asked("/v1/exams") == 0


@pytest.mark.parametrize(
    "reply",
    [
        plain(200, {}),
        plain(200, {"token": "t", "expires_in": -1}),
        plain(200, {"token": "t", "expires_in": True}),
        plain(200, {"token": "t", "expires_in": "600"}),
        plain(200, {"token": "a\r\nb", "expires_in": 600}),
        plain(200, ["t"]),
        plain(400, {"error": "x"}),
        plain(404),
        plain(302, Location="/elsewhere"),
        raw(HEAD + b"Content-Length: 6\r\n\r\n<html>"),
    ],
)
def test_a_token_call_that_is_not_answered_as_the_profile_says_is_the_destinations_trouble(
    bench: Bench, reply: Reply
) -> None:
    bench.platform.scripts["token"] = [reply]
    with pytest.raises(DestinationDown, match=r"profile|redirects"):
        bench.agent.probe()


def test_a_busy_token_call_is_tried_later(bench: Bench) -> None:
    bench.platform.scripts["token"] = [plain(503, Retry_After="9")]
    with pytest.raises(TransientError) as caught:
        bench.agent.send(bench.upload)
    assert type(caught.value) is TransientError
    assert caught.value.retry_after == 9


def test_a_closed_port_and_an_unknown_name_are_the_destinations_trouble(site: Site) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{taken.getsockname()[1]}"
        for url, said in ((closed, "cannot connect"), ("https://nowhere.invalid", "does not resolve")):
            with pytest.raises(DestinationDown, match=said) as caught:
                site.agent(url).probe()
            assert "0x" not in str(caught.value)
            assert "_Guard" not in str(caught.value)


def test_an_upload_whose_file_is_gone_is_not_sent(bench: Bench) -> None:
    bench.upload.report_file.unlink()
    error = bench.refused(Damaged)
    assert (error.fields["idem"], error.fields["part"]) == (IDEM, "report")


@pytest.mark.parametrize("part", ["exam", "report"])
def test_an_upload_of_which_a_file_was_changed_is_not_sent(bench: Bench, part: str) -> None:
    files = {"exam": bench.upload.exam_file, "report": bench.upload.report_file}
    exam, report = (hashlib.sha256(path.read_bytes()).hexdigest() for path in files.values())
    bench.upload = replace(bench.upload, exam_checksum=exam, report_checksum=report)
    bench.agent.send(bench.upload)
    seen = len(bench.platform.seen)
    data = bytearray(files[part].read_bytes())
    data[-1] ^= 1
    files[part].write_bytes(data)
    assert bench.refused(Damaged).fields["part"] == part
    assert len(bench.platform.seen) == seen


def test_proxies_and_cookies_of_the_environment_are_left_alone(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    bench.platform.scripts["token"] = [
        lambda handler: handler.answer(200, b'{"token": "t", "expires_in": 60}', Set_Cookie="a=b")
    ]
    bench.agent.send(bench.upload)
    assert bench.platform.seen[-1].headers["Cookie"] is None


def test_a_peer_that_takes_no_body_does_not_hold_us(site: Site, tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(2**24))
    body = Multipart([Part("report", "application/octet-stream", tmp_path / "large")])
    with socket.create_server(("127.0.0.1", 0)) as listening:
        wanted = destination(site.folder, f"http://127.0.0.1:{listening.getsockname()[1]}")
        began = time.monotonic()
        with pytest.raises(TransientError, match="timed out"):
            Session(wanted, FakeClock(NOW), Limits(connect=0.2, answer=0.2)).post("/v1/exams", {}, body)
    assert time.monotonic() - began < 15


@pytest.mark.parametrize(
    ("url", "line"),
    [
        ("http://platform.invalid/gw", b"POST http://platform.invalid/gw/v1/token HTTP/1.1"),
        ("https://platform.invalid/gw", b"CONNECT platform.invalid:443 HTTP/1"),
    ],
)
def test_a_configured_proxy_is_asked_and_resolves_the_name(site: Site, url: str, line: bytes) -> None:
    asked: list[bytes] = []

    def serve(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            asked.append(connection.recv(4096))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(5)
        proxy = threading.Thread(target=serve, args=(listening,))
        proxy.start()
        there = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(TransientError):
            site.agent(url=url, proxy=there, allow_plain=True, allowed_networks=["127.0.0.0/8"]).probe()
        proxy.join()
    assert asked[0].startswith(line)


def test_a_proxy_with_a_password_in_it_is_wrong_configuration(site: Site) -> None:
    with pytest.raises(ValueError, match="proxy"):
        site.agent("http://127.0.0.1", proxy="http://user:secret@proxy:3128")


def test_the_connection_leaves_from_the_configured_address(platform: Platform, site: Site, bench: Bench) -> None:
    site.agent(at(platform), source_address="127.0.0.9").probe()
    assert platform.seen[0].client_address[0] == "127.0.0.9"


def test_a_peer_outside_the_allowed_networks_is_sent_nothing(platform: Platform, site: Site) -> None:
    with pytest.raises(DestinationDown, match="outside allowed_networks"):
        site.agent(at(platform), allowed_networks=("10.9.0.0/16",)).probe()
    assert platform.seen == []


def test_a_name_that_leads_elsewhere_between_check_and_connection_is_noticed(
    platform: Platform, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "resolve", lambda *_: ("10.9.0.1",))
    with pytest.raises(DestinationDown, match="outside allowed_networks"):
        site.agent(at(platform), allowed_networks=("10.9.0.0/16",)).probe()
    assert platform.seen == []


def test_a_peer_inside_the_allowed_networks_is_served(platform: Platform, site: Site) -> None:
    site.agent(at(platform), allowed_networks=("10.0.0.0/8", "127.0.0.0/8")).probe()
    assert resolve("127.0.0.1", 80, ("127.0.0.0/8",)) == ("127.0.0.1",)


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999", "http://[::1", "http://:80"])
def test_a_url_that_does_not_read_is_a_configuration_error(site: Site, url: str) -> None:
    with pytest.raises(ConfigurationError, match="url"):
        site.agent(url, allow_plain=True)


def test_a_missing_certificate_or_an_open_client_key_is_a_configuration_error(site: Site, tmp_path: Path) -> None:
    (tmp_path / "client.pem").touch(0o644)
    with pytest.raises(ConfigurationError, match="ca_file"):
        site.agent("https://127.0.0.1", ca_file=tmp_path / "none")
    with pytest.raises(ConfigurationError, match=r"client\.pem is open"):
        site.agent("https://127.0.0.1", client_certificate_file=tmp_path / "client.pem")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed certificate for 127.0.0.1, key included."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command line is not installed")
    folder = tmp_path_factory.mktemp("tls")
    both = folder / "both.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=platform", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", folder / "key.pem", "-out", folder / "cert.pem"],
        check=True, capture_output=True, timeout=30,
    )  # fmt: skip
    both.write_bytes((folder / "key.pem").read_bytes() + (folder / "cert.pem").read_bytes())
    both.chmod(0o600)
    return both


@pytest.fixture
def secure(site: Site, certificate: Path) -> Iterator[Platform]:
    """A platform behind TLS that asks for a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.load_verify_locations(certificate)
    context.verify_mode = ssl.CERT_REQUIRED
    made = Platform(site)
    made.socket = context.wrap_socket(made.socket, server_side=True)
    with serving(made) as started:
        yield started


def test_an_upload_goes_over_tls_with_a_client_certificate(
    site: Site, secure: Platform, certificate: Path, bench: Bench
) -> None:
    url = f"https://127.0.0.1:{secure.server_port}"
    settings: dict[str, Any] = {
        "ca_file": certificate,
        "client_certificate_file": certificate,
        "allowed_networks": ("127.0.0.0/8",),
    }
    assert site.agent(url, **settings).send(bench.upload).receipt == "R1"
    secure.scripts["exams"] = [plain(422, {"errors": []})]
    with pytest.raises(PermanentError):
        site.agent(url, **settings).send(bench.upload)


def test_a_certificate_that_is_not_trusted_is_the_destinations_trouble(site: Site, secure: Platform) -> None:
    with pytest.raises(DestinationDown, match="TLS"):
        site.agent(f"https://127.0.0.1:{secure.server_port}").probe()
    assert secure.seen == []


def hang_up(listener: socket.socket) -> None:
    listener.accept()[0].close()


def test_a_peer_that_is_silent_in_the_tls_handshake_is_the_destinations_trouble(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(DestinationDown, match="cannot connect"):
            site.agent(url, limits=Limits(connect=0.3, answer=5)).probe()


def test_a_peer_that_hangs_up_in_the_tls_handshake_is_the_destinations_trouble(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=hang_up, args=(listener,))
        thread.start()
        with pytest.raises(DestinationDown):
            site.agent(f"https://127.0.0.1:{listener.getsockname()[1]}").probe()
        thread.join()


def test_no_secret_is_printed_with_the_keys(folder: Path) -> None:
    loaded = load_credentials(destination(folder, "http://127.0.0.1"))
    assert repr(loaded) == "Credentials(...)"
