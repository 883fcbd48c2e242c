"""Receivers of the worked profiles in conf/profiles, written from their descriptions on OpenSSL's command line.

They share no code with the sender. SM4-GCM is the package cryptography's, since OpenSSL's command line has none.
"""

import base64
import gzip
import hashlib
import hmac
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

ID = "distid:1234567812345678"
Reply = tuple[int, dict[str, str], bytes]


class Refusal(Exception):
    """A code of the platform, by the receiver's own name of it."""


def openssl(*arguments: str | Path, data: bytes = b"") -> bytes:
    done = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True, check=False, timeout=60)
    if done.returncode:
        raise Refusal("signature")
    return done.stdout


def der_of(rs: bytes) -> bytes:
    """r || s as SEQUENCE { INTEGER, INTEGER }, by hand."""
    parts = b""
    for number in (rs[:32], rs[32:]):
        octets = number.lstrip(b"\0") or b"\0"
        octets = (b"\0" if octets[0] & 0x80 else b"") + octets
        parts += b"\x02" + bytes((len(octets),)) + octets
    return b"\x30" + bytes((len(parts),)) + parts


def rs_of(der: bytes) -> bytes:
    """SEQUENCE { INTEGER, INTEGER } as r || s, by hand."""
    first = der[3]
    r, s = der[4 : 4 + first], der[6 + first :]
    return r[-32:].rjust(32, b"\0") + s[-32:].rjust(32, b"\0")


@dataclass
class Receiver:
    """One platform. `faults` are the next answers of a call, by name; `before` is called with each call's name."""

    folder: Path
    keys: Path
    secret: bytes
    faults: dict[str, list[str]] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    calls: list[str] = field(default_factory=list)
    exams: dict[str, dict[str, bytes]] = field(default_factory=dict)
    open: dict[str, dict[str, Any]] = field(default_factory=dict)
    withdrawn: list[str] = field(default_factory=list)
    now: Callable[[], float] = time.time
    before: Callable[[str], None] = lambda call: None
    replayed: Reply | None = None
    last: Reply | None = None
    sent: list[tuple[str, str, Mapping[str, str], bytes]] = field(default_factory=list)
    tokens: int = 0
    longest: int = 64 * 2**20
    CODES: ClassVar[dict[str, str]] = {}

    def take(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply | None:
        """The answer; None: the connection is cut."""
        self.sent.append((method, path, headers, body))
        call = self.call_of(path, body)
        self.calls.append(call)
        self.before(call)
        planned = self.faults.get(call, [])
        fault = planned.pop(0) if planned else ""
        if fault == "cut":
            return None
        if fault == "replay":
            return self.replayed
        if fault and fault not in ("wrong", "lost"):
            return self.refuse(fault, headers)
        try:
            answer = self.answer(call, path, headers, body, wrong=fault == "wrong")
        except Refusal as refusal:
            return self.refuse(str(refusal), headers)
        if fault == "lost":  # done, but nobody hears of it
            return None
        self.last = answer
        return answer

    def call_of(self, path: str, body: bytes) -> str:
        raise NotImplementedError

    def answer(self, call: str, path: str, headers: Mapping[str, str], body: bytes, *, wrong: bool) -> Reply:
        raise NotImplementedError

    def refuse(self, fault: str, headers: Mapping[str, str]) -> Reply:
        raise NotImplementedError

    def fresh(self, ts: object, nonce: str) -> None:
        if abs(int(str(ts)) / 1000 - self.now()) > 300 or nonce in self.seen:
            raise Refusal("stale")
        self.seen.add(nonce)

    def new_token(self) -> str:
        self.tokens += 1
        return f"token-{self.tokens}"

    def require_token(self, given: str | None) -> None:
        if given != f"token-{self.tokens}":
            raise Refusal("expired")

    def verify(self, text: str, signature: bytes) -> None:
        file, proof = self.folder / "signed", self.folder / "signature"
        file.write_bytes(text.encode())
        proof.write_bytes(signature)
        public = self.keys / "hospital-sign.pub.pem"
        openssl("dgst", "-sm3", "-verify", public, "-sigopt", ID, "-signature", proof, file)

    def sign(self, text: str) -> bytes:
        file = self.folder / "answered"
        file.write_bytes(text.encode())
        return openssl("dgst", "-sm3", "-sign", self.keys / "platform-sign.pem", "-sigopt", ID, file)


class EnvelopeReceiver(Receiver):
    """signed-envelope/1."""

    CODES: ClassVar[dict[str, str]] = {
        "expired": "1001", "stale": "1002", "signature": "1004", "fields": "2001", "large": "2002", "busy": "9001",
        "gone": "9999",
    }  # fmt: skip

    def call_of(self, path: str, body: bytes) -> str:
        return str(json.loads(body)["transType"])

    def canonical(self, given: Mapping[str, Any]) -> str:
        kept = {n: str(v) for n, v in given.items() if n != "signData" and v not in ("", None)}
        kept = {n: json.dumps(v, separators=(",", ":")) if isinstance(v, list) else v for n, v in kept.items()}
        return "&".join(f"{n}={kept[n]}" for n in sorted(kept)) + f"&key={self.secret.decode()}"

    def answer(self, call: str, path: str, headers: Mapping[str, str], body: bytes, *, wrong: bool) -> Reply:
        given = json.loads(body)
        self.verify(self.canonical(given), der_of(base64.b64decode(given["signData"])))
        self.fresh(given["timestamp"], given["nonce"])
        key = self.unwrap(base64.b64decode(given["encKey"]))
        sealed = base64.b64decode(given["encData"])
        data = json.loads(openssl("enc", "-d", "-sm4-cbc", "-K", key.hex(), "-iv", sealed[:16].hex(), data=sealed[16:]))
        if call != "token":
            self.require_token(given.get("accessToken"))
        return self.reply(given["nonce"], key, self.do(call, data), wrong=wrong)

    def do(self, call: str, data: dict[str, Any]) -> dict[str, Any]:
        if call == "token":
            return {"accessToken": self.new_token(), "expiresIn": 600}
        if call == "withdraw":
            self.withdrawn.append(data["serial"])
            return {"serial": data["serial"], "receiptNo": f"W-{data['serial'][:8]}"}
        pdf = base64.b64decode(data["file"]["content"])
        assert openssl("dgst", "-sm3", "-binary", data=pdf).hex() == data["file"]["sm3"]
        if len(pdf) > self.longest:
            raise Refusal("large")
        self.exams[data["serial"]] = {"exam": json.dumps(data["exam"]).encode(), "report": pdf}
        return {"serial": data["serial"], "receiptNo": f"R-{data['serial'][:8]}"}

    def unwrap(self, raw: bytes) -> bytes:
        """C1C3C2 by hand into what OpenSSL reads."""
        assert raw[0] == 4
        numbers = [b"\0" + part if part[0] & 0x80 else part.lstrip(b"\0") for part in (raw[1:33], raw[33:65])]
        inner = b"".join(b"\x02" + bytes((len(one),)) + one for one in numbers)
        inner += b"\x04\x20" + raw[65:97] + b"\x04" + bytes((len(raw) - 97,)) + raw[97:]
        file = self.folder / "wrapped"
        file.write_bytes(
            b"\x30" + (bytes((len(inner),)) if len(inner) < 128 else b"\x81" + bytes((len(inner),))) + inner
        )
        return openssl("pkeyutl", "-decrypt", "-inkey", self.keys / "platform-encrypt.pem", "-in", file)

    def reply(self, nonce: str, key: bytes, data: dict[str, Any], *, wrong: bool) -> Reply:
        iv = hashlib.sha256(nonce.encode()).digest()[:16]
        plain = json.dumps(data).encode()
        sealed = iv + openssl("enc", "-sm4-cbc", "-K", key.hex(), "-iv", iv.hex(), data=plain)
        fields = {"code": "0", "message": "", "nonce": nonce, "encData": base64.b64encode(sealed).decode()}
        signature = rs_of(self.sign(self.canonical(fields) + ("x" if wrong else "")))
        return 200, {}, json.dumps({**fields, "signData": base64.b64encode(signature).decode()}).encode()

    def refuse(self, fault: str, headers: Mapping[str, str]) -> Reply:
        errors = [{"field": "Patient.IdNo", "reason": "格式不对"}] if fault == "fields" else []
        return 200, {}, json.dumps({"code": self.CODES[fault], "message": fault, "errors": errors}).encode()


class FrontEndReceiver(Receiver):
    """front-end/1."""

    CODES: ClassVar[dict[str, str]] = {
        "expired": "TOKEN_EXPIRED", "stale": "NONCE_USED", "signature": "SIGN_WRONG", "fields": "DATA_INVALID",
        "large": "TOO_LARGE", "busy": "BUSY", "gone": "EXAM_UNKNOWN",
    }  # fmt: skip

    def call_of(self, path: str, body: bytes) -> str:
        return {"login": "login", "exam/save": "exam", "report/save": "report", "exam/markDeleted": "mark-deleted"}[
            path.removeprefix("/api/")
        ]

    def mac(self, text: str) -> str:
        return openssl("dgst", "-sha256", "-hmac", self.secret.decode(), "-r", data=text.encode())[:64].decode()

    def answer(self, call: str, path: str, headers: Mapping[str, str], body: bytes, *, wrong: bool) -> Reply:
        parts = self.parts(headers, body) if call == "report" else {}
        covered = hashlib.sha256(parts.get("info", body)).hexdigest()
        text = f"POST\n{path}\n{headers['X-Timestamp']}\n{headers['X-Nonce']}\n{covered}"
        if not hmac.compare_digest(self.mac(text), headers["X-Sign"]):
            raise Refusal("signature")
        self.fresh(headers["X-Timestamp"], headers["X-Nonce"])
        if call != "login":
            self.require_token(headers.get("X-Ticket"))
        return self.reply(headers["X-Nonce"], self.do(call, headers, body, parts), wrong=wrong)

    def do(self, call: str, headers: Mapping[str, str], body: bytes, parts: Mapping[str, bytes]) -> dict[str, Any]:
        if call == "login":
            return {"ticket": self.new_token(), "validMinutes": 10}
        if call == "exam":
            self.open[f"N{len(self.open) + 1}"] = {"exam": gzip.decompress(body), "no": headers["X-Request-No"]}
            return {"examNo": f"N{len(self.open)}"}
        if call == "mark-deleted":
            self.withdrawn.append(json.loads(body)["requestNo"])
            return {"requestNo": json.loads(body)["requestNo"], "serialNo": "D-1"}
        info = json.loads(parts["info"])
        if info["examNo"] not in self.open:
            raise Refusal("gone")
        if len(parts["file"]) > self.longest:
            raise Refusal("large")
        assert openssl("dgst", "-sm3", "-binary", data=parts["file"]).hex() == info["sm3"]
        self.exams[info["requestNo"]] = {"exam": self.open[info["examNo"]]["exam"], "report": parts["file"]}
        return {"requestNo": info["requestNo"], "serialNo": f"R-{info['requestNo'][:8]}"}

    def parts(self, headers: Mapping[str, str], body: bytes) -> dict[str, bytes]:
        form: Any = message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
        named = {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}
        return {str(name): part.get_payload(decode=True) for name, part in named.items()}

    def reply(self, nonce: str, data: dict[str, Any], *, wrong: bool) -> Reply:
        body = json.dumps({"success": True, "errCode": "0", "errMsg": "", "data": data}).encode()
        sign = self.mac(f"200\n{'other' if wrong else nonce}\n{hashlib.sha256(body).hexdigest()}")
        return 200, {"X-Sign": sign}, body

    def refuse(self, fault: str, headers: Mapping[str, str]) -> Reply:
        data = {"errors": [{"field": "Patient.IdNo", "msg": "格式不对"}]} if fault == "fields" else None
        said = {"success": False, "errCode": self.CODES[fault], "errMsg": fault, "data": data}
        return 200, {}, json.dumps(said).encode()


class PartsReceiver(Receiver):
    """parts/1."""

    CODES: ClassVar[dict[str, str]] = {
        "expired": "token-expired", "stale": "time-off", "signature": "signature-wrong", "fields": "exam-invalid",
        "large": "too-large", "busy": "busy", "gone": "upload-unknown",
    }  # fmt: skip

    def call_of(self, path: str, body: bytes) -> str:
        end = path.rpartition("/")[2]
        return {"token": "token", "uploads": "open", "complete": "notify"}.get(end, f"part-{end}")

    def answer(self, call: str, path: str, headers: Mapping[str, str], body: bytes, *, wrong: bool) -> Reply:
        method = "PUT" if call.startswith("part-") else "POST"
        digest = openssl("dgst", "-sm3", "-binary", data=body).hex()
        self.verify(f"{method}\n{path}\n{headers['X-Time']}\n{digest}", base64.b64decode(headers["X-Signature"]))
        self.fresh(headers["X-Time"], headers["X-Signature"])
        if call == "token":
            said = {"status": "ok", "token": self.new_token(), "ends": int(headers["X-Time"]) + 600_000}
            return 200, {}, json.dumps(said).encode()
        self.require_token(headers.get("Authorization", "").removeprefix("Bearer "))
        return 200, {}, json.dumps({"status": "ok", **self.do(call, path, body, wrong=wrong)}).encode()

    def do(self, call: str, path: str, body: bytes, *, wrong: bool) -> dict[str, Any]:
        if call == "open":
            said = json.loads(body)
            if said["size"] > self.longest:
                raise Refusal("large")
            exam = self.unseal(said["serial"], 0, base64.b64decode(said["exam"]))
            self.open[f"U{len(self.open) + 1}"] = {**said, "parts": {}, "exam_json": exam}
            return {"upload": f"U{len(self.open)}"}
        found = self.open.get(path.split("/")[2])
        if found is None:
            raise Refusal("gone")
        if call.startswith("part-"):
            number = int(call.removeprefix("part-"))
            found["parts"][number] = self.unseal(found["serial"], number, body)
            return {}
        report = b"".join(found["parts"][number] for number in sorted(found["parts"]))
        assert openssl("dgst", "-sm3", "-binary", data=report).hex() == found["sm3"]
        self.exams[found["serial"]] = {"exam": found["exam_json"], "report": report}
        receipt = f"R-{found['serial'][:8]}"
        signature = self.sign(f"receipt\n{'other' if wrong else found['serial']}\n{receipt}")
        return {"serial": found["serial"], "receipt": receipt, "signature": base64.b64encode(signature).decode()}

    def unseal(self, serial: str, number: int, sealed: bytes) -> bytes:
        key = hmac_sm3(self.secret, serial.encode(), self.folder)[:16]
        iv = bytes(8) + number.to_bytes(4, "big")
        opener = Cipher(algorithms.SM4(key), modes.GCM(iv, sealed[:16])).decryptor()
        opener.authenticate_additional_data(f"{serial}/{number}".encode())
        try:
            return opener.update(sealed[16:]) + opener.finalize()
        except InvalidTag:
            raise Refusal("signature") from None

    def refuse(self, fault: str, headers: Mapping[str, str]) -> Reply:
        faults = [{"at": "Patient.IdNo", "text": "格式不对"}] if fault == "fields" else []
        return 200, {}, json.dumps({"status": self.CODES[fault], "faults": faults}).encode()


def hmac_sm3(key: bytes, data: bytes, folder: Path) -> bytes:
    """HMAC-SM3 by OpenSSL."""
    file = folder / "text"
    file.write_bytes(data)
    return bytes.fromhex(
        openssl("mac", "-digest", "SM3", "-macopt", f"hexkey:{key.hex()}", "-in", file, "HMAC").decode()
    )


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        length = self.headers["Content-Length"]
        body = self.rfile.read(int(length or 0))
        with self.server.one_at_a_time:
            reply = self.server.receiver.take(self.command, self.path, dict(self.headers), body)
        if reply is None:
            self.close_connection = True
            return
        status, headers, answer = reply
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(answer))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    do_PUT = do_POST  # noqa: N815  # as the base class names it

    def log_message(self, *_: object) -> None:
        """Quiet."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.one_at_a_time = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, *_: object) -> None:
        """A sender that is killed is what some cases are about."""


@contextmanager
def serving(receiver: Receiver) -> Iterator[str]:
    """The receiver, listening; its URL."""
    server = _Server(receiver)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
