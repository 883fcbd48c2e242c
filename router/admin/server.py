"""The administrator's HTTP listener: bounded requests, one thread each, routes by path."""

import logging
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.message import Message
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from router.errors import InvalidData, RouterError, traceback_of

MAX_FORM = 16384
_MAX_FIELDS = 1200
_TIMEOUT = 10.0
_POLL = 0.1  # seconds that stopping takes at most
_AT_ONCE = 32
_log = logging.getLogger("router")


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked: GET or POST; of repeated names in `query` and `form` the last counts."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    cookies: Mapping[str, str]
    headers: Message
    address: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


Handle = Callable[[Request], Answer]


class AdminServer:
    """Answers each path by its route. `after` runs on the thread of a request when it is answered."""

    def __init__(
        self, routes: Mapping[str, Handle], after: Callable[[], None], context: ssl.SSLContext | None = None
    ) -> None:
        self._routes = routes
        self._after = after
        self._context = context
        self._server: _Server | None = None

    def start(self, host: str, port: int) -> int:
        """Listen; the real port. Raises OSError when it is taken."""
        server = _Server((host, port), self._routes, self._after, self._context)
        threading.Thread(target=server.serve_forever, args=(_POLL,), name="admin", daemon=True).start()
        self._server = server
        return int(server.server_address[1])

    def renew(self, context: ssl.SSLContext | None) -> None:
        """Show this certificate from the next connection on."""
        self._context = context
        if self._server is not None:
            self._server.context = context

    def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], routes: Mapping[str, Handle], after: Callable[[], None],
        context: ssl.SSLContext | None,
    ) -> None:  # fmt: skip
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.routes, self.after = routes, after
        self.context = context
        self._places = threading.BoundedSemaphore(_AT_ONCE)
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        """A connection too many is closed, so that nobody can use up the node's threads."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # the system gives no thread
            self._places.release()
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The TLS handshake is the thread's, so that a silent client keeps nobody else waiting."""
        try:
            context = self.context
            if context is not None:
                request.settimeout(_TIMEOUT)
                request = context.wrap_socket(request, server_side=True)
            super().process_request_thread(request, client_address)
        except OSError:
            self.shutdown_request(request)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    timeout = _TIMEOUT
    server_version = "router"
    sys_version = ""

    def do_GET(self) -> None:
        self._answer(lambda: b"")

    def do_POST(self) -> None:
        self._answer(self._body)

    def _answer(self, body: Callable[[], bytes]) -> None:
        handle = self.server.routes.get(urlsplit(self.path).path)
        try:
            answer = Answer(404, b"not found\n") if handle is None else handle(self._request(body()))
        except InvalidData as error:
            answer = Answer(400, f"{error.message}\n".encode())
        except RouterError as error:
            answer = Answer(503, f"{error.message}\n".encode())
        except Exception as error:  # noqa: BLE001  # the top of a request's thread: answered, and told
            _log.error("a defect in %s: %s", urlsplit(self.path).path, traceback_of(error))
            answer = Answer(500, b"a defect; see the log\n")
        finally:
            self.server.after()
        self._write(answer)

    def _write(self, answer: Answer) -> None:
        self.send_response(answer.status)
        fixed = {"Content-Type": answer.content_type, "Content-Length": str(len(answer.body)),
                 "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}  # fmt: skip
        for name, value in {**fixed, **answer.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body)

    def _body(self) -> bytes:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > MAX_FORM:
            raise InvalidData(f"expected a form of at most {MAX_FORM} bytes")
        return self.rfile.read(int(length))

    def _request(self, body: bytes) -> Request:
        url = urlsplit(self.path)
        return Request(
            self.command, url.path, _fields(url.query), _fields(body.decode("utf-8", "replace")),
            _cookies(self.headers.get("Cookie", "")), self.headers, str(self.client_address[0]),
        )  # fmt: skip

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
        """Probes come every few seconds; they are not logged."""


def _fields(text: str) -> dict[str, str]:
    try:
        return dict(parse_qsl(text, keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError as error:
        raise InvalidData("too many fields") from error


def _cookies(text: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(text).items()}
    except CookieError:
        return {}
