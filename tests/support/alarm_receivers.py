"""Receivers of alarms on loopback: HTTP servers that answer as they are told, byte for byte, and a mail server."""

import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

from router.config.sections import Mail
from support.certificates import Authority

Answer = bytes | Callable[[socket.socket], None]
TAKEN = b"HTTP/1.1 204 No Content\r\n\r\n"


def status(code: int) -> bytes:
    """An answer with this status and an empty body."""
    return f"HTTP/1.1 {code} x\r\nContent-Length: 0\r\n\r\n".encode()


def never(connection: socket.socket) -> None:
    """No answer, until the other side gives up."""
    with suppress(OSError):
        connection.settimeout(20)
        connection.recv(1)


def drip(connection: socket.socket) -> None:
    """An answer that comes byte by byte and has no end."""
    with suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
            connection.sendall(bytes([byte]))
            time.sleep(0.05)


class Hook:
    """An HTTP server that keeps what it is told. `answers` are its first ones, all others are TAKEN.

    `judge` may answer by the message instead. Each connection has one request and is closed after the answer.
    """

    def __init__(self, *answers: Answer, judge: Callable[[dict[str, Any]], Answer] | None = None) -> None:
        self.told: list[dict[str, Any]] = []
        self.asked = 0
        self.heads: list[str] = []
        self._answers = list(answers)
        self._judge = judge
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}/hook"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Refuse connections from now on."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            head, body = _request(connection)
            message = json.loads(body) if body else {}
            self.asked += 1
            self.heads.append(head)
            answer = self._judge(message) if self._judge else self._answers.pop(0) if self._answers else TAKEN
            if not callable(answer):
                if answer.split(b" ")[1][:1] in b"12":
                    self.told.append(message)
                connection.sendall(answer)
            else:
                answer(connection)


def _request(connection: socket.socket) -> tuple[str, bytes]:
    stream = connection.makefile("rb")
    head = ""
    while (line := stream.readline().decode("latin-1")).strip():
        head += line
    length = next(
        (int(each.split(":")[1]) for each in head.splitlines() if each.lower().startswith("content-length")), 0
    )
    return head, stream.read(length)


@contextmanager
def hooked(*answers: Answer, judge: Callable[[dict[str, Any]], Answer] | None = None) -> Iterator[Hook]:
    """A Hook, closed at the end."""
    hook = Hook(*answers, judge=judge)
    try:
        yield hook
    finally:
        hook.close()


class MailSession(socketserver.StreamRequestHandler):
    """As much of SMTP as a mail submission takes."""

    server: "MailServer"

    def handle(self) -> None:
        self.secure = False
        self.say("220 here")
        with suppress(OSError), closing(self):
            while line := self.rfile.readline().decode().strip():
                if self.command(line):
                    return

    def close(self) -> None:
        self.connection.close()

    def say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def command(self, line: str) -> bool:
        """Whether the session is over."""
        verb = line.split(" ", 1)[0].upper()
        if verb == "EHLO":
            self.say("250-here\r\n250-AUTH PLAIN\r\n250 STARTTLS" if not self.secure else "250-here\r\n250 AUTH PLAIN")
        elif verb == "STARTTLS":
            self.say("220 go")
            self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), cast("Any", self.connection.makefile("wb", 0))
            self.secure = True
        elif verb == "RCPT" and self.server.refusals:
            self.say(f"{self.server.refusals.pop(0)} no")
        elif verb == "DATA":
            self.say("354 go")
            self.take()
        else:
            self.server.said.append(line)
            self.say({"AUTH": "235 in", "QUIT": "421 go away"}.get(verb, "250 well"))
        return verb == "QUIT"

    def take(self) -> None:
        text = b""
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            text += line
        self.server.mails.append((message_from_bytes(text, policy=policy.default), self.secure))
        self.say("250 taken")


class MailServer(socketserver.ThreadingTCPServer):
    """Takes mail after STARTTLS; `refusals` answer its first recipients."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        super().__init__(("127.0.0.1", 0), MailSession)
        self.authority = Authority(folder)
        tls = self.authority.issue("mail")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(str(tls.certificate), str(tls.key))
        self.mails: list[tuple[EmailMessage, bool]] = []
        self.said: list[str] = []
        self.refusals: list[int] = []

    def settings(self, **more: object) -> Mail:
        here = {"host": "127.0.0.1", "port": self.server_address[1], "ca_file": self.authority.certificate}
        return Mail.model_validate({"from": "router@hospital.cn", "to": ["it@hospital.cn"], **here, **more})


@contextmanager
def mail_served(folder: Path) -> Iterator[MailServer]:
    """A MailServer that serves, closed at the end."""
    with MailServer(folder) as server:
        threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
        yield server
        server.shutdown()
