"""The HTTP server: cheroot's parsing, answers and threads, behind pending connections under the node's limits."""

import io
import logging
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.client import HTTPException, parse_headers
from typing import Any

from cheroot import errors
from cheroot.server import Gateway, HTTPConnection, HTTPRequest, HTTPServer
from cheroot.ssl import Adapter

from router.errors import traceback_of
from router.web.pending import Limits, PendingConnections
from router.web.stream import Stream

_STOP_SECONDS = 2.0
_PAUSE = 0.5
# The system buffers the whole answer, since a page is smaller than this: no thread waits.
_SEND_BUFFER = 2**18
_log = logging.getLogger("router")

Handle = Callable[["Exchange"], None]
"""Answers one request, by `Exchange.answer`. What it raises ends the connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer. `target` is what was asked for, as written; `body` is what follows the head."""

    method: str
    target: str
    headers: Message
    address: str
    body: Stream
    request: HTTPRequest

    @property
    def waited(self) -> float:
        """Seconds since the head was complete."""
        return time.monotonic() - self.body.whole_at

    def answer(self, status: int, headers: Mapping[str, str], body: bytes, *, unread: bool = False) -> None:
        """Send it; `unread`: the request's body was not read to its end, so this connection ends."""
        request = self.request
        request.status = f"{status} {HTTPStatus(status).phrase}".encode("ascii")  # type: ignore[assignment]  # the stub says str
        given = {"Content-Length": str(len(body)), **headers}
        request.outheaders = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in given.items()]
        request.close_connection = request.close_connection or unread
        request.conn.over = unread
        request.ensure_headers_sent()
        if self.method != "HEAD":
            request.write(body)

    def hang_up(self) -> None:
        """End the connection without an answer."""
        self.request.sent_headers = self.request.close_connection = True


class WebServer:
    """Answers by `handle`, each request on one of the threads. `name` is its Server header."""

    def __init__(self, name: str, handle: Handle, limits: Limits, context: ssl.SSLContext | None = None) -> None:
        self._name = name
        self._handle = handle
        self._limits = limits
        self._context = context
        self._server: _Server | None = None

    def start(self, host: str, port: int) -> int:
        """Listen; return the real port. OSError if it is taken."""
        server = _Server((host, port), self._name, self._handle, self._limits)
        server.ssl_adapter = _adapter(self._context)
        listening: Future[int] = Future()
        # cheroot's threads are daemons like this one: none keeps the node from ending.
        threading.Thread(target=server.run, args=(listening,), name="http", daemon=True).start()
        self._server = server
        return listening.result()

    def renew(self, context: ssl.SSLContext | None) -> None:
        """Use this certificate, or none, from the next connection on."""
        self._context = context
        if self._server is not None:
            self._server.ssl_adapter = _adapter(context)

    def stop(self) -> None:
        """Stop listening; a current answer is finished, within some seconds."""
        if self._server is None:
            return
        stopping = threading.Thread(target=self._server.stop, name="http-stop", daemon=True)
        stopping.start()
        stopping.join(_STOP_SECONDS)
        self._server.pending.abandon()
        stopping.join(_STOP_SECONDS)
        self._server = None


class _Server(HTTPServer):
    timeout = 10
    shutdown_timeout = 1
    expiration_interval = 0.1  # that stopping takes at most
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], name: str, handle: Handle, limits: Limits) -> None:
        super().__init__(address, _Gateway, minthreads=limits.threads, maxthreads=limits.threads, server_name=name)
        self.handle = handle
        self.ConnectionClass = _Connection
        self.max_request_header_size = limits.largest_head
        self._failure: OSError | None = None
        self.pending = PendingConnections(
            limits, self.requests.put, lambda: bool(self.requests.qsize) and not self.requests.idle
        )

    def run(self, listening: "Future[int]") -> None:
        """Serve until `stop`; report the real port, or why there is none."""
        os.environ.pop("LISTEN_PID", None)  # cheroot would take descriptor 3 for its listener
        try:
            self.prepare()
            self.pending.open()
        except OSError as error:
            self.pending.discard()
            listening.set_exception(self._failure or error)
            return
        listening.set_result(int(self.bind_addr[1]))
        self.serve()

    def bind(self, family: int, type: int, proto: int = 0) -> socket.socket:  # noqa: A002  # cheroot's name
        """Bind as cheroot does, and keep the error, of which cheroot reports the words only."""
        try:
            return super().bind(family, type, proto)  # type: ignore[no-any-return]  # cheroot's stub leaves it open
        except OSError as error:
            self._failure = error
            raise

    @staticmethod
    def bind_socket(socket_: socket.socket, bind_addr: tuple[str, int]) -> socket.socket:
        """Bind as cheroot does, and leave no socket open if it fails.

        A port that the system picked is free again for the next start, whatever state its connections are left in.
        """
        try:
            socket_.bind(bind_addr)
        except OSError:
            socket_.close()
            raise
        socket_.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return socket_

    def stop(self) -> None:
        if self.ready:
            self.pending.close()
        super().stop()
        logging.statistics.pop(f"Cheroot HTTPServer {id(self)}", None)  # type: ignore[attr-defined]  # cheroot's own, which would keep every server

    def process_conn(self, conn: Any) -> None:
        """Put a connection among the pending ones: a new one, or one whose request is answered."""
        self.pending.enter(conn)

    put_conn = process_conn

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: bool = False) -> None:
        """Log only our own errors: nothing that a client sends or fails to send."""
        error = sys.exception()
        if error is None or level < logging.ERROR or not self.ready:
            return
        _log.error("http: %s %s", type(error).__name__, traceback_of(error))
        if isinstance(error, OSError):
            time.sleep(_PAUSE)  # no descriptor is left, and cheroot tries again at once


class _Request(HTTPRequest):
    def parse_request(self) -> None:
        """Parse as cheroot does, and answer 400 to rubbish that cheroot does not expect."""
        try:
            super().parse_request()
        except ValueError:
            self.simple_response("400 Bad Request")

    def respond(self) -> None:
        """Answer without reading the body, whose limits the handler knows."""
        self.server.gateway(self).respond()


class _Connection(HTTPConnection):
    RequestHandlerClass = _Request

    def __init__(self, server: _Server, sock: socket.socket, makefile: object = None) -> None:
        self.stream = Stream(sock)
        self.used = self.over = False
        super().__init__(server, sock, lambda *_: self.stream)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)

    @property
    def address(self) -> str:
        """The peer's."""
        return str(self.remote_addr)

    def communicate(self) -> bool:
        """Answer one request; return whether the connection goes on. What came of its head is kept for the handler."""
        self.head = bytes(self.stream.held[: self.server.max_request_header_size])
        try:
            going_on = bool(super().communicate())  # type: ignore[no-untyped-call]  # cheroot's stub leaves it open
        except OSError:  # the peer is gone, or its time is over, and cannot even learn so
            return False
        if self.over:
            self.stream.end()
        return going_on or self.over

    def close(self) -> None:
        """End the connection, whatever state the peer left it in."""
        self.server.pending.leave(self)
        self.stream.sever()
        self.stream.close()
        self.socket.close()


class _Gateway(Gateway):
    def respond(self) -> None:
        request = self.req
        try:
            headers = parse_headers(io.BytesIO(request.conn.head.partition(b"\n")[2]))
        except HTTPException:
            request.close_connection = True
            request.simple_response("400 Bad Request", "too many header fields")
            return
        request.server.handle(
            Exchange(
                method=request.method.decode("latin-1"), target=request.uri.decode("latin-1"), headers=headers,
                address=request.conn.address, body=request.conn.stream, request=request,
            )
        )  # fmt: skip


class _Tls(Adapter):
    """TLS, whose handshake is done while the connection is pending, so that a silent client blocks no thread."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.context = context

    def bind(self, sock: socket.socket) -> socket.socket:
        return sock

    def wrap(self, sock: socket.socket) -> tuple[socket.socket, dict[str, str]]:
        try:
            return self.context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False), {}
        except OSError as error:
            sock.close()
            raise errors.FatalSSLAlert(*error.args) from error

    def get_environ(self) -> dict[str, str]:
        return {}

    def makefile(self, sock: socket.socket, mode: str = "r", bufsize: int = -1) -> None:
        """None: a connection makes its own."""


def _adapter(context: ssl.SSLContext | None) -> _Tls | None:
    return None if context is None else _Tls(context)
