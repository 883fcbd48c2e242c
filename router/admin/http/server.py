"""The administrator's HTTP listener: bounded requests, routes by path, and only under names of this machine."""

import hashlib
import logging
import ssl
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, urlsplit

from router.errors import InvalidData, RouterError, traceback_of
from router.web.pending import Limits
from router.web.server import Exchange, WebServer

MAX_FORM = 16384
_MAX_FIELDS = 1200
SPARE_THREADS = 4  # for routes that wait for nothing, whatever the others wait for
LIMITS = Limits(form=MAX_FORM, threads=12 + SPARE_THREADS)
_METHODS = ("GET", "HEAD", "POST")
_FIXED = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_log = logging.getLogger("router")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request: GET or POST; of repeated names in `query` and `form` the last counts."""

    method: str
    path: str
    query: Mapping[str, str]
    form: Mapping[str, str]
    cookies: Mapping[str, str]
    headers: Message
    address: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer."""

    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = field(default_factory=dict)


_HTML = "text/html; charset=utf-8"


def html(body: bytes) -> Answer:
    """A page."""
    return Answer(200, body, _HTML)


def see_other(path: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Another page to get, as after every form (RFC 9110 15.4.4)."""
    return Answer(303, b"", _HTML, {"Location": path, **(headers or {})})


def unchanged(answer: Answer, request: Request) -> Answer:
    """The answer with the mark of its body, or 304 where the browser has this very body (RFC 9110 15.4.5)."""
    if request.method == "POST" or answer.status != HTTPStatus.OK:
        return answer
    mark = f'"{hashlib.sha256(answer.body).hexdigest()[:32]}"'
    headers = {**answer.headers, "ETag": mark}
    if request.headers.get("If-None-Match", "") == mark:
        headers["Content-Length"] = str(len(answer.body))  # of the body that is not sent (RFC 9110 8.6)
        return Answer(HTTPStatus.NOT_MODIFIED, b"", answer.content_type, headers)
    return replace(answer, headers=headers)


Handle = Callable[[Request], Answer]


class AdminServer:
    """Answers each path by its route. `after` runs on the thread of a request when it is answered.

    `is_ours` says whether a Host header names this node: another name that resolves to here is somebody's web page
    that has a browser ask on its behalf. Routes named in `prompt` wait for nothing, and are answered also while as many
    of the others wait, for the database say, as may at once.
    """

    def __init__(
        self, routes: Mapping[str, Handle], after: Callable[[], None], context: ssl.SSLContext | None = None,
        is_ours: Callable[[str], bool] = lambda _: True,
        limits: Limits = LIMITS,
        prompt: Collection[str] = (),
    ) -> None:  # fmt: skip
        self._routes = routes
        self._prompt = frozenset(prompt)
        self._waiting = threading.Semaphore(max(limits.threads - SPARE_THREADS, 1))
        self._after = after
        self._is_ours = is_ours
        self._server = WebServer("router", self._respond, limits, context)

    def start(self, host: str, port: int) -> int:
        """Listen; the real port. Raises OSError when it is taken."""
        return self._server.start(host, port)

    def renew(self, context: ssl.SSLContext | None, is_ours: Callable[[str], bool]) -> None:
        """Show this certificate from the next connection on, and answer under these names."""
        self._is_ours = is_ours
        self._server.renew(context)

    def stop(self) -> None:
        """Stop listening."""
        self._server.stop()

    def _respond(self, exchange: Exchange) -> None:
        try:
            answer = self._answer(exchange)
        finally:
            self._after()
        unread = exchange.body.has_data() or (answer.status == 400 and exchange.method == "POST")
        given = {"Content-Type": answer.content_type, **_FIXED, **answer.headers}
        exchange.answer(answer.status, given, answer.body, unread=unread)

    def _answer(self, exchange: Exchange) -> Answer:
        path = urlsplit(exchange.target).path
        try:
            if not self._is_ours(exchange.headers.get("Host", "")):
                return Answer(403, b"this is another name than the node's own\n")
            if exchange.method not in _METHODS:
                return Answer(405, b"GET or POST only\n")
            handle = self._routes.get(path)
            return Answer(404, b"not found\n") if handle is None else self._handled(handle, _request(exchange))
        except InvalidData as error:
            return Answer(400, f"{error.message}\n".encode())
        except RouterError as error:
            return Answer(503, f"{error.message}\n".encode())
        except (TimeoutError, ConnectionError):
            raise
        except Exception as error:  # noqa: BLE001  # the top of a request's thread: answered, and logged
            _log.error("a defect in %s: %s", path, traceback_of(error))
            return Answer(500, b"a defect; see the log\n")

    def _handled(self, handle: Handle, request: Request) -> Answer:
        if request.path in self._prompt:
            return handle(request)
        if not self._waiting.acquire(blocking=False):
            return Answer(503, b"too many requests wait: the database does not answer, or slowly\n")
        try:
            return handle(request)
        finally:
            self._waiting.release()


def _request(exchange: Exchange) -> Request:
    url = urlsplit(exchange.target)
    body = _body(exchange) if exchange.method == "POST" else b""
    return Request(
        method=exchange.method, path=url.path, query=_fields(url.query), form=_fields(body.decode("utf-8", "replace")),
        cookies=_cookies(exchange.headers.get("Cookie", "")), headers=exchange.headers, address=exchange.address,
    )  # fmt: skip


def _body(exchange: Exchange) -> bytes:
    lengths = exchange.headers.get_all("Content-Length", [])
    length = lengths[0].strip() if len(lengths) == 1 else ""
    if (
        not (length.isascii() and length.isdecimal())
        or int(length) > MAX_FORM
        or "Transfer-Encoding" in exchange.headers
    ):
        raise InvalidData(f"expected a form of at most {MAX_FORM} bytes")
    body = b""
    while len(body) < int(length):
        part = exchange.body.read(int(length) - len(body))
        if not part:
            raise InvalidData("the form ends early")
        body += part
    return body


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
