"""The HTTP client: no proxy but the configured one, no redirects, bounded time and memory."""

import re
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3 import exceptions as transport

from router.clock import Clock
from router.config.sections import HttpPeer
from router.config.types import is_within
from router.crypto.keys import read_secret
from router.errors import ConfigurationError, DestinationDown, Outage, TransientError
from router.forward.answer import Answer
from router.forward.blocks.values import Document
from router.forward.route import resolve
from router.policy.bandwidth import Paced, unbounded

MAX_ANSWER = 1024 * 1024
_CHUNK = 256 * 1024
# Without a version, which would reveal known faults.
_USER_AGENT = "imaging-cloud-router"
_LINE = "check address, port and line"


@dataclass(frozen=True, slots=True)
class Limits:
    """Time limits in seconds: to connect and send each piece of the body; to the answer's headers; for its body."""

    connect: float = 10.0
    answer: float = 60.0


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body; a path or document is streamed while it is sent. Its file is named after it."""

    name: str
    content_type: str
    content: bytes | Path | Document
    filename: str = ""


class Stream:
    """A body of known length, read from its files while it is sent."""

    def __init__(self, pieces: Sequence[bytes | Document], paced: Paced = unbounded) -> None:
        """`paced` waits before each piece of a file until the bandwidth allows it."""
        self._paced = paced
        self._pieces = pieces

    def __len__(self) -> int:
        return sum(piece.size if isinstance(piece, Document) else len(piece) for piece in self._pieces)

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Document):
                yield from self._read(piece)
            else:
                yield piece

    def _read(self, piece: Document) -> Iterator[bytes]:
        left = piece.size
        with piece.path.open("rb") as file:
            file.seek(piece.offset)
            while left and (chunk := file.read(min(_CHUNK, left))):
                left -= len(chunk)
                self._paced(len(chunk))
                yield chunk


class Multipart(Stream):
    """A multipart/form-data body (RFC 7578) of known length."""

    def __init__(self, parts: Sequence[Part], paced: Paced = unbounded) -> None:
        """`paced` as for any stream."""
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        pieces: list[bytes | Document] = []
        for part in parts:
            content = Document.whole(part.content) if isinstance(part.content, Path) else part.content
            # A file part names a file: otherwise form parsers take it for text.
            name = part.filename or (part.name if isinstance(part.content, Path) else "")
            filename = f'; filename="{name}"' if name else ""
            head = f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"{filename}\r\n'
            head += f"Content-Type: {part.content_type}\r\n\r\n"
            pieces += [head.encode(), content, b"\r\n"]
        super().__init__([*pieces, f"--{boundary}--\r\n".encode()], paced)


Body = bytes | Stream


class Session:
    """Requests to one destination, by any thread. ConfigurationError for a wrong URL, certificate file or key file."""

    def __init__(self, destination: HttpPeer, clock: Clock, limits: Limits = DEFAULT_LIMITS) -> None:
        self._base = destination.url.rstrip("/")
        self._allowed = destination.allowed_networks
        self._clock = clock
        self._limits = limits
        self._source = destination.source_address
        self._proxy = destination.proxy
        self._verify = _certificates(destination)
        self._certificate = _client_certificate(destination)
        try:
            self._prepare("POST", "", {}, b"")
        except requests.exceptions.RequestException as error:
            # The path may be a secret, such as a webhook's token.
            begin = "/".join(destination.url.split("/", 3)[:3]).rpartition("@")[2]
            raise ConfigurationError(f"url that begins {begin!r} is not a URL: {type(error).__name__}") from error

    def path(self, endpoint: str) -> str:
        """The path of a request to `endpoint`, which begins with "/"."""
        return self._prepare("POST", endpoint, {}, b"").path_url

    def post(self, endpoint: str, headers: Mapping[str, str], body: Body) -> Answer:
        """Send and read the whole answer, whatever its status; a redirect is an answer like any other.

        DestinationDown when there is no connection (name, network, TLS). TransientError when it breaks later, is too
        slow, or the answer is longer than MAX_ANSWER bytes or cut short.
        """
        return self.ask("POST", endpoint, headers, body)

    def ask(self, method: str, endpoint: str, headers: Mapping[str, str], body: Body = b"") -> Answer:
        """Likewise by any method."""
        with self._opened(method, endpoint, headers, body) as response:
            return Answer(response.status_code, response.headers, self._read(response))

    def status(self, method: str, headers: Mapping[str, str], body: bytes = b"") -> int:
        """Send to the URL itself; the status of the answer, whose body is not read. Raises as `post` does."""
        with self._opened(method, "", headers, body) as response:
            return response.status_code

    @contextmanager
    def _opened(
        self, method: str, endpoint: str, headers: Mapping[str, str], body: Body
    ) -> Iterator[requests.Response]:
        request = self._prepare(method, endpoint, headers, body)
        url = urllib3.util.parse_url(self._proxy or request.url or "")
        resolve((url.host or "").strip("[]"), url.port or (443 if url.scheme == "https" else 80), self._allowed)
        with self._connections() as connections, _send(connections, request, self._limits) as response:
            yield response

    def _connections(self) -> requests.Session:
        """Connections for one request, closed with it: a connection that the peer closed would fail the next upload."""
        connections = requests.Session()
        connections.trust_env = False
        connections.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        connections.proxies = {"all": self._proxy} if self._proxy else {}
        connections.verify, connections.cert = self._verify, self._certificate
        adapter = _Adapter(self._source, self._allowed)
        connections.mount("https://", adapter)
        connections.mount("http://", adapter)
        return connections

    def _prepare(self, method: str, endpoint: str, headers: Mapping[str, str], body: Body) -> requests.PreparedRequest:
        fixed = {"Accept-Encoding": "identity", "Connection": "close", "User-Agent": _USER_AGENT}
        return requests.Request(method, self._base + endpoint, headers={**fixed, **headers}, data=body).prepare()

    def _read(self, response: requests.Response) -> bytes:
        headers = response.headers
        if response.status_code == 200 and not ("Content-Length" in headers or "Transfer-Encoding" in headers):
            raise TransientError("the answer was cut short")
        deadline = self._clock.monotonic() + self._limits.answer
        body = bytearray()
        while chunk := _read_some(response):
            body += chunk
            if len(body) > MAX_ANSWER or self._clock.monotonic() > deadline:
                raise TransientError("the answer is too long or too slow", received=len(body))
        return bytes(body)


def _certificates(destination: HttpPeer) -> bool | str:
    if destination.ca_file is None:
        return True
    if not destination.ca_file.exists():
        raise ConfigurationError(f"no such file: ca_file = {destination.ca_file}")
    return str(destination.ca_file)


def _client_certificate(destination: HttpPeer) -> str | tuple[str, str] | None:
    """The client's certificate and key; one file may hold both."""
    certificate, key = destination.client_certificate_file, destination.client_key_file
    if certificate is None:
        return None
    read_secret(key or certificate)
    if not certificate.exists():
        raise ConfigurationError(f"no such file: client_certificate_file = {certificate}")
    return (str(certificate), str(key)) if key else str(certificate)


def _send(session: requests.Session, request: requests.PreparedRequest, limits: Limits) -> requests.Response:
    settings = session.merge_environment_settings(request.url, {}, True, None, None)
    times = (limits.connect, limits.answer)
    try:
        return session.send(request, allow_redirects=False, timeout=times, **settings)
    except requests.exceptions.SSLError as error:
        raise DestinationDown(
            "no TLS connection",
            outage=Outage.CERTIFICATE,
            hint=f"check ca_file and the client certificate: {_reason(error)}",
        ) from error
    except requests.exceptions.ConnectTimeout as error:
        text = "cannot connect: no answer in time"
        raise DestinationDown(text, outage=Outage.CONNECTION, hint=_LINE) from error
    except requests.exceptions.RequestException as error:
        cause = error.args[0] if error.args else None
        if isinstance(cause, transport.MaxRetryError) and isinstance(cause.reason, transport.NewConnectionError):
            text = f"cannot connect: {_reason(error)}"
            raise DestinationDown(text, outage=Outage.CONNECTION, hint=_LINE) from error
        raise TransientError(f"the connection broke: {_reason(error)}") from error


def _reason(error: requests.exceptions.RequestException) -> str:
    """The innermost cause in words, without the name and address of an object that urllib3 may put before it."""
    cause: BaseException = error
    while inner := next(
        (a for a in (getattr(cause, "reason", None), *cause.args) if isinstance(a, BaseException)), None
    ):
        cause = inner
    where = r"^<?[^\s]*(?:Connection|Guard|Pool).*?(object at 0x\w+>|\)): "
    return re.sub(where, "", str(cause)) or type(cause).__name__


def _read_some(response: requests.Response) -> bytes:
    try:
        chunk: bytes = response.raw.read1(_CHUNK, decode_content=False)
    except (transport.HTTPError, OSError) as error:
        raise TransientError("the answer was cut short") from error
    return chunk


class _Guard(urllib3.connection.HTTPConnection):
    """Additions to both kinds of connection: a check of the peer's address, and a time limit on all headers."""

    def __init__(self, *args: Any, allowed_networks: Sequence[str], **options: Any) -> None:
        self._allowed = allowed_networks
        super().__init__(*args, **options)

    def connect(self) -> None:
        """Connect; a connection that breaks in the TLS handshake counts as none."""
        try:
            super().connect()
        except (ConnectionError, TimeoutError) as error:
            raise transport.NewConnectionError(self, str(error)) from error
        address = self.sock.getpeername()[0]
        if not is_within(address, self._allowed):
            self.close()
            raise transport.NewConnectionError(self, f"{address} is outside allowed_networks")

    def getresponse(self) -> urllib3.response.HTTPResponse:  # type: ignore[override] # as urllib3 itself narrows it
        """Read the headers within one limit: a socket's time-out would restart with every byte."""
        expired = threading.Event()
        timer = threading.Timer(float(self.timeout or 0), _cut, (self.sock, expired))
        timer.start()
        try:
            response = super().getresponse()
        except (OSError, HTTPException) as error:
            if not expired.is_set():
                raise
            raise TimeoutError("timed out") from error
        finally:
            timer.cancel()
        if expired.is_set():
            response.close()
            raise TimeoutError("timed out")
        return response


def _cut(sock: socket.socket, expired: threading.Event) -> None:
    expired.set()
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class _TlsGuard(_Guard, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Guard


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsGuard


class _Adapter(HTTPAdapter):
    """Connections that leave from `source_address` and end in `allowed_networks`."""

    def __init__(self, source_address: str, allowed_networks: Sequence[str]) -> None:
        self._source = (source_address, 0) if source_address else None
        self._allowed = allowed_networks
        super().__init__(max_retries=0)

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, source_address=self._source, **options)
        self.poolmanager.pool_classes_by_scheme = self._pools()

    def proxy_manager_for(self, proxy: str, **options: Any) -> urllib3.ProxyManager:
        found: urllib3.ProxyManager = super().proxy_manager_for(proxy, source_address=self._source, **options)
        found.pool_classes_by_scheme = self._pools()
        return found

    def _pools(self) -> dict[str, Any]:
        return {
            "http": partial(_Pool, allowed_networks=self._allowed),
            "https": partial(_TlsPool, allowed_networks=self._allowed),
        }


def overhear(note: Callable[[int, bytes], None]) -> None:
    """Call `note` with each answer that a library gets by requests. It changes requests: for a program of its own."""
    send = requests.Session.send

    def heard(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        response = send(session, request, **options)
        note(response.status_code, response.content)
        return response

    requests.Session.send = heard  # type: ignore[method-assign,assignment]
