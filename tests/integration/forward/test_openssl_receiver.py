"""A second implementation of the receiving side, on OpenSSL's command line: it shares no code with ours.

SM3, HMAC, SM2, SM4 and HKDF are OpenSSL's. What its command line lacks is spelt out here: GCM's counter and GHASH
(NIST SP 800-38D), over SM4 blocks that it computes.
"""

import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from router.clock import FakeClock
from router.config.sections import HttpDestination
from router.crypto.keys import new_folder
from router.errors import UnprovedRefusal
from router.forward.credentials import load_credentials
from router.forward.report import ReportAgent, Upload

ORG, APP = "121100004000000001", "hospital-1"
EXAM, PDF = '{"ExamId": "张三"}'.encode(), b"%PDF-1.7\n" + bytes(range(251)) * 20
ID = "distid:1234567812345678"
SIGNATURE = "X-GM-Signature"


def openssl(*arguments: str | Path, data: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, check=False, timeout=30)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module", autouse=True)
def able() -> None:
    """OpenSSL 3 with SM2, SM3 and SM4, or a plain word about it."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command line is not installed")
    listed = subprocess.run(["openssl", "list", "-cipher-algorithms"], capture_output=True, text=True, check=False)
    version = subprocess.run(["openssl", "version"], capture_output=True, text=True, check=False).stdout
    if "SM4-CTR" not in listed.stdout.upper() or not version.startswith("OpenSSL 3") or shutil.which("openssl") is None:
        pytest.skip(f"this openssl has no SM4, or is not of version 3: {version.strip()}")


def sm3(data: bytes) -> bytes:
    return openssl("dgst", "-sm3", "-binary", data=data)


def hmac(key: bytes, data: bytes, folder: Path) -> bytes:
    (folder / "text").write_bytes(data)
    return bytes.fromhex(
        openssl("mac", "-digest", "SM3", "-macopt", f"hexkey:{key.hex()}", "-in", folder / "text", "HMAC").decode()
    )


def sm4(mode: str, key: bytes, data: bytes, iv: bytes = b"", *, decrypt: bool = False) -> bytes:
    options = ["-d" if decrypt else "-e", "-K", key.hex(), *(["-iv", iv.hex()] if iv else ["-nopad"])]
    return openssl("enc", f"-sm4-{mode}", *options, data=data)


def times(x: int, y: int) -> int:
    """The product in GF(2^128) (SP 800-38D 6.3)."""
    product = 0
    for bit in range(127, -1, -1):
        if x >> bit & 1:
            product ^= y
        y = y >> 1 ^ (0xE1 << 120 if y & 1 else 0)
    return product


def gcm_tag(key: bytes, iv: bytes, aad: bytes, ciphertext: bytes) -> bytes:
    """SP 800-38D 7.1 for vectors of 96 bits and tags of 128."""
    h = int.from_bytes(sm4("ecb", key, bytes(16)))
    padded = b"".join(each + bytes(-len(each) % 16) for each in (aad, ciphertext))
    padded += (8 * len(aad)).to_bytes(8) + (8 * len(ciphertext)).to_bytes(8)
    s = 0
    for at in range(0, len(padded), 16):
        s = times(s ^ int.from_bytes(padded[at : at + 16]), h)
    return (s ^ int.from_bytes(sm4("ecb", key, iv + b"\0\0\0\1"))).to_bytes(16)


class Receiver:
    """The platform's side of both profiles."""

    def __init__(self, keys: Path, folder: Path) -> None:
        self.keys, self.folder = keys, folder
        self.got: dict[str, bytes] = {}
        self.psk = bytes.fromhex((keys / "psk.key").read_text())

    def token(self, body: bytes) -> bytes:
        asked = json.loads(body)
        text = f"GM1-TOKEN\n{asked['app']}\n{asked['ts']}\n{asked['nonce']}\n".encode()
        key = bytes.fromhex((self.keys / "api.key").read_text())
        assert hmac(key, text, self.folder).hex() == asked["mac"]
        return json.dumps({"token": "t", "expires_in": 60}).encode()

    def upload(self, path: str, headers: Any, body: bytes) -> tuple[bytes, dict[str, str]]:
        form: Any = message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
        parts: dict[str, bytes] = {}
        for part in form.get_payload():
            name = part.get_param("name", header="content-disposition")
            parts[str(name)] = part.get_payload(decode=True)
        meta = json.loads(parts["meta"])
        digest = sm3(parts["meta"]).hex()
        for described in meta["parts"]:
            data = parts[described["name"]]
            assert (described["length"], described["sm3"]) == (len(data), sm3(data).hex())
        answer = json.dumps({"receipt": "R", "idem": meta["idem"], "nonce": meta["nonce"], "ts": 1}).encode()
        profile: Callable[..., dict[str, str]] = {"gm-envelope/1": self.envelope, "gm-psk/1": self.shared}[
            meta["profile"]
        ]
        return answer, profile(f"POST\n{path}\n{digest}\n", headers, meta, parts, answer)

    def envelope(self, text: str, headers: Any, meta: Any, parts: dict[str, bytes], answer: bytes) -> dict[str, str]:
        files = {name: self.folder / name for name in ("signed", "signature", "wrapped")}
        files["signed"].write_bytes(f"GM1\n{text}".encode())
        files["signature"].write_bytes(base64.b64decode(headers[SIGNATURE]))
        public = self.keys / "hospital-sign.pub.pem"
        openssl("dgst", "-sm3", "-verify", public, "-sigopt", ID, "-signature", files["signature"], files["signed"])
        assert headers["X-GM-Key-Id"] == self.key_id("hospital-sign")
        assert meta["key"]["platform_kid"] == self.key_id("platform-encrypt")
        files["wrapped"].write_bytes(base64.b64decode(meta["key"]["wrapped"]))
        key = openssl("pkeyutl", "-decrypt", "-inkey", self.keys / "platform-encrypt.pem", "-in", files["wrapped"])
        for part in meta["parts"]:
            data, iv = parts[part["name"]], base64.b64decode(part["iv"])
            aad = f"gm-envelope/1|{ORG}|{APP}|{meta['idem']}|{part['name']}".encode()
            assert gcm_tag(key, iv, aad, data) == base64.b64decode(part["tag"])
            self.got[part["name"]] = sm4("ctr", key, data, iv + b"\0\0\0\2", decrypt=True)
        files["signed"].write_bytes(f"GM1-RESP\n200\n{meta['nonce']}\n{sm3(answer).hex()}\n".encode())
        signing = self.keys / "platform-sign.pem"
        signature = openssl("dgst", "-sm3", "-sign", signing, "-sigopt", ID, files["signed"])
        return {"X-GM-Key-Id": self.key_id("platform-sign"), SIGNATURE: base64.b64encode(signature).decode()}

    def key_id(self, name: str) -> str:
        return sm3(openssl("pkey", "-pubin", "-in", self.keys / f"{name}.pub.pem", "-outform", "DER"))[:8].hex()

    def shared(self, text: str, headers: Any, meta: Any, parts: dict[str, bytes], answer: bytes) -> dict[str, str]:
        salt = base64.b64decode(meta["key"]["salt"])

        def key(purpose: str, length: int) -> bytes:
            info = f"gm-psk/1|{ORG}|{APP}|{meta['idem']}|{purpose}"
            options = {"digest": "SM3", "hexkey": self.psk.hex(), "hexsalt": salt.hex(), "info": info}
            given = [each for name, value in options.items() for each in ("-kdfopt", f"{name}:{value}")]
            return openssl("kdf", "-keylen", str(length), "-binary", *given, "HKDF")

        request = hmac(key("request", 32), f"PSK1\n{text}".encode(), self.folder)
        assert base64.b64decode(headers["X-GM-Mac"]) == request
        assert headers["X-GM-Key-Id"] == hmac(self.psk, b"gm-psk/1", self.folder)[:8].hex()
        for part in meta["parts"]:
            data, iv = parts[part["name"]], base64.b64decode(part["iv"])
            bound = f"gm-psk/1|{ORG}|{APP}|{meta['idem']}|{part['name']}\n".encode()
            assert hmac(key("mac", 32), bound + iv + data, self.folder) == base64.b64decode(part["tag"])
            self.got[part["name"]] = sm4("cbc", key("encrypt", 16), data, iv, decrypt=True)
        signed = f"PSK1-RESP\n200\n{meta['nonce']}\n{sm3(answer).hex()}\n".encode()
        mac = hmac(key("answer", 32), signed, self.folder)
        return {"X-GM-Key-Id": headers["X-GM-Key-Id"], "X-GM-Mac": base64.b64encode(mac).decode()}


class Handler(BaseHTTPRequestHandler):
    """Hands requests to the receiver of its server; what it does not accept is answered 400."""

    server: "Server"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        proof: dict[str, str] = {}
        try:
            if self.path == "/v1/token":
                answer = self.server.receiver.token(body)
            else:
                answer, proof = self.server.receiver.upload(self.path, self.headers, body)
            status = 200
        except AssertionError as error:
            self.server.refused.append(repr(error))
            status, answer = 400, b"{}"
        self.send_response(status)
        for name, value in {"Content-Length": str(len(answer)), **proof}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Quiet."""


class Server(ThreadingHTTPServer):
    """A receiver that listens."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.refused: list[str] = []
        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    new_folder(tmp_path / "keys", psk=True)
    server = Server(Receiver(tmp_path / "keys", tmp_path))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("profile", ["gm-envelope/1", "gm-psk/1"])
def test_a_receiver_on_openssl_takes_a_real_upload_and_its_receipt_is_believed(
    server: Server, profile: str, tmp_path: Path
) -> None:
    keys = tmp_path / "keys"
    (tmp_path / "exam.json").write_bytes(EXAM)
    (tmp_path / "report.pdf").write_bytes(PDF)
    destination = HttpDestination(
        url=f"http://127.0.0.1:{server.server_port}",
        profile=profile,
        api_key_file=keys / "api.key",
        signing_key_file=keys / "hospital-sign.pem",
        platform_signing_key_file=keys / "platform-sign.pub.pem",
        platform_encryption_key_file=keys / "platform-encrypt.pub.pem",
        psk_file=keys / "psk.key",
    )
    credentials = load_credentials(destination)
    clock = FakeClock(datetime(2026, 11, 20, tzinfo=UTC))
    agent = ReportAgent(destination, lambda: credentials, clock)
    upload = Upload(
        org=ORG, idem="i-1", revision=1, exam_file=tmp_path / "exam.json", report_file=tmp_path / "report.pdf"
    )
    assert agent.send(upload).receipt == "R", server.refused
    assert server.receiver.got == {"exam": EXAM, "report": PDF}
    assert not server.refused

    new_folder(tmp_path / "other", psk=True)
    server.receiver.psk = bytes(32)
    (tmp_path / "other/hospital-sign.pub.pem").replace(keys / "hospital-sign.pub.pem")
    with pytest.raises(UnprovedRefusal):
        agent.send(upload)
    assert len(server.refused) == 1
