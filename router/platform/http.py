"""The platform's HTTP interface: `POST /v1/token` and `POST /v1/exams` (every profile)."""

import json
import logging
import socket
import sys
import threading
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from router.clock import Clock
from router.platform.access import Tokens
from router.platform.answers import Refusal, unavailable, wrong
from router.platform.body import Body
from router.platform.envelope import read_object
from router.platform.faults import Fault, Faults
from router.platform.parts import receive
from router.platform.uploads import Confirmation, Signed, Uploads

_LARGEST_TOKEN_REQUEST = 4096
_LINGER_SECONDS = 2.0
_PATHS = ("/v1/token", "/v1/exams")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Interface:
    """What the requests are answered from. `largest_body` in bytes, `spool` for parts on their way."""

    tokens: Tokens
    uploads: Uploads
    clock: Clock
    spool: Path
    largest_body: int
    faults: Faults


class HttpServer(ThreadingHTTPServer):
    """Listens from construction; OSError when the port is taken. `stop` leaves nothing running."""

    daemon_threads = True

    def __init__(self, host: str, port: int, interface: Interface) -> None:
        self.interface = interface
        super().__init__((host, port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that goes away is worth one line, a fault of ours the whole story."""
        error = sys.exception()
        _log.warning(
            "http connection ended", exc_info=None if isinstance(error, TimeoutError | ConnectionError) else error
        )


class _Handler(BaseHTTPRequestHandler):
    server: HttpServer
    protocol_version = "HTTP/1.1"
    server_version = "reference-platform"
    sys_version = ""
    timeout = 60
    disable_nagle_algorithm = True
    error_content_type = "application/json"
    error_message_format = '{"error": "%(message)s"}'

    def do_POST(self) -> None:
        arrived = self.server.interface.clock.now().timestamp()
        began = self.server.interface.clock.monotonic()
        try:
            body = Body(self.rfile, self.headers, self.server.interface.largest_body)
        except Refusal as refusal:
            status, note = self._refuse(refusal, finished=False), ""
        else:
            status, note = self._respond(body, arrived)
        seconds = self.server.interface.clock.monotonic() - began
        _log.info("POST %s %d %.3f s %s", self.path if self.path in _PATHS else "?", status, seconds, note)

    def do_GET(self) -> None:
        self._refuse(Refusal(405, {"error": "only POST"}), finished=False)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Nothing: a request's path is the sender's text. do_POST logs what is known."""

    def _respond(self, body: Body, arrived: float) -> tuple[int, str]:
        try:
            note = self._answer(body, arrived)
        except Refusal as refusal:
            why = refusal.body.get("error", "required fields are missing")
            return self._refuse(refusal, finished=body.finished), str(why)
        except (TimeoutError, ConnectionError):
            raise
        except OSError as error:
            _log.error("cannot store: %s", error.strerror)
            return self._refuse(unavailable(), finished=body.finished), "cannot store"
        return 200, note

    def _answer(self, body: Body, arrived: float) -> str:
        if self.path == "/v1/token":
            return self._token(body, arrived)
        if self.path == "/v1/exams":
            return self._exams(body, arrived)
        raise Refusal(404, {"error": "no such path"})

    def _token(self, body: Body, arrived: float) -> str:
        try:
            asked = read_object(body.read_all(_LARGEST_TOKEN_REQUEST))
        except (ValueError, RecursionError) as error:
            raise wrong("not a JSON object") from error
        self._send(200, json.dumps(self.server.interface.tokens.issue(asked, arrived)).encode())
        return ""

    def _exams(self, body: Body, arrived: float) -> str:
        interface = self.server.interface
        fault = interface.faults.next()
        profile = interface.uploads.profile(self.headers.get("X-GM-Key-Id", ""))
        request = Signed(self.path, self.headers, arrived)
        with receive(body, self.headers, interface.spool) as parts:
            done = interface.uploads.accept(profile, request, parts, lambda: self._check(fault))
        if fault is None:
            self._send(200, done.body, **done.proof(200, done.body))
        else:
            self._misbehave(fault, done)
        return f"idem={done.idem}"

    def _check(self, fault: Fault | None) -> None:
        """What is refused by a signed answer, since the request's own signature verifies."""
        self.server.interface.tokens.check(self.headers.get("Authorization", ""))
        if fault is not None:
            fault.refuse()

    def _misbehave(self, fault: Fault, done: Confirmation) -> None:
        """What was received is stored; only the answer is not what it should be."""
        if fault.name == "drop":
            self.close_connection = True
            return
        threading.Event().wait(fault.seconds)
        body = done.body if fault.name != "receipt" else done.body.replace(done.idem.encode(), b"another")
        proof = done.proof(200, body)
        self._send(200, body if fault.name != "signature" else body + b" ", **proof)

    def _refuse(self, refusal: Refusal, *, finished: bool) -> int:
        unread, headers = refusal.close or not finished, refusal.headers
        if unread:
            headers["Connection"] = "close"
        body = json.dumps(refusal.body, ensure_ascii=False).encode()
        signed = refusal.proof(refusal.status, body) if refusal.proof else {}
        self._send(refusal.status, body, **headers, **signed)
        if unread:
            self._linger()
        return refusal.status

    def _send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(HTTPStatus(status))
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _linger(self) -> None:
        """Take in for a moment what the peer still sends: closing at once would lose the answer (RFC 9112 9.6)."""
        clock, connection = self.server.interface.clock, self.connection
        end = clock.monotonic() + _LINGER_SECONDS
        try:
            connection.shutdown(socket.SHUT_WR)
            while (left := end - clock.monotonic()) > 0:
                connection.settimeout(left)
                if not connection.recv(65536):
                    return
        except OSError:
            return
