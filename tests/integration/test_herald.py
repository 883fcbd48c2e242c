"""Alarms out, to a real HTTP server and a real mail server on loopback."""

import json
import socketserver
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from catalogue_rows import Database
from certificates import Authority
from router.admin import herald
from router.admin.herald import Herald, Notice, Outbox
from router.alarms import REMEDY, Alarm
from router.clock import SystemClock
from router.config import Alarms, HttpPeer, Mail
from router.errors import PermanentError, TransientError
from router.events import Event, Journal, Kind
from router.language import Tongue

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
ENGLISH = Tongue("en")
NOTICE = Notice("n1", "disk", "standing", "disk", "full", "make room", NOW.isoformat(), None, None)
SOON = timedelta(milliseconds=5)


def event(alarm: Alarm = Alarm.BREAKER, kind: Kind = Kind.ALARM, subject: str = "destination beijing") -> Event:
    return Event(NOW, kind, "it takes nothing", alarm=alarm, subject=subject)


def wait(met: Callable[[], bool]) -> None:
    until = time.monotonic() + 5
    while not met():
        assert time.monotonic() < until, "it does not come"
        time.sleep(0.005)


class Hook:
    """An HTTP server that keeps what it is told; `statuses` are its first answers."""

    def __init__(self, *statuses: int) -> None:
        self.told: list[dict[str, Any]] = []
        self.asked = 0
        hook, answers = self, list(statuses)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = answers.pop(0) if answers else 204
                hook.asked += 1
                if status < 300:
                    hook.told.append(json.loads(body))
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the base class's name
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.005,), daemon=True).start()
        self.peer = HttpPeer(url=f"http://127.0.0.1:{self.server.server_address[1]}/hook")

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@contextmanager
def hooked(*statuses: int) -> Iterator[Hook]:
    hook = Hook(*statuses)
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


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    with MailServer(tmp_path) as server:
        threading.Thread(target=server.serve_forever, args=(0.005,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(herald, "backoff", lambda *_: SOON)


@contextmanager
def telling(settings: Alarms) -> Iterator[Herald]:
    made = Herald(settings, "n1", SystemClock(), ENGLISH)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.mark.parametrize("alarm", Alarm)
def test_every_alarm_and_its_end_reach_the_webhook_once_with_what_to_do(alarm: Alarm, tmp_path: Path) -> None:
    with hooked() as hook, telling(Alarms(webhook=hook.peer)) as told:
        journal = Journal()
        catalogue = Database("", tmp_path).open()
        journal.guard(catalogue.alarms.is_news)
        journal.subscribe(told.heard)
        for kind in (Kind.ALARM, Kind.ALARM, Kind.CLEARED, Kind.CLEARED):
            journal.record(event(alarm, kind))
        told.stop()
        catalogue.engine.close_thread()
        first, last = hook.told
    assert first == {
        "node": "n1", "alarm": alarm, "state": "standing", "subject": "destination beijing",
        "text": "it takes nothing", "remedy": REMEDY[alarm], "at": "2026-03-01T09:00:00+00:00",
        "exam": None, "delivery": None,
    }  # fmt: skip
    assert (last["alarm"], last["state"], last["remedy"]) == (alarm, "cleared", "")


def test_an_alarm_is_told_in_the_node_s_language_and_named_for_programs_in_english() -> None:
    told = Event(NOW, Kind.ALARM, "no report to beijing: timed out", alarm=Alarm.BREAKER, subject="report to beijing")
    notice = herald.notice_of(told, "n1", Tongue("zh_CN"))
    assert notice is not None
    assert (notice.alarm, notice.state) == ("breaker", "standing")
    assert (notice.text, notice.subject) == ("报告不能发往 beijing：超时", "报告到 beijing")
    assert "doctor" in notice.remedy
    assert not notice.remedy.isascii()


def test_what_is_no_alarm_and_what_was_not_asked_for_is_not_told() -> None:
    with hooked() as hook, telling(Alarms(webhook=hook.peer, only=(Alarm.DISK,))) as told:
        told.heard(event(Alarm.BREAKER))
        told.heard(Event(NOW, Kind.DOUBT, "x"))
        told.heard(event(Alarm.DISK))
        wait(lambda: bool(hook.told))
    assert [one["alarm"] for one in hook.told] == ["disk"]


def test_while_the_webhook_is_down_alarms_wait_in_order_and_each_comes_once() -> None:
    with hooked(503, 500, 429) as hook, telling(Alarms(webhook=hook.peer)) as told:
        for number in range(3):
            told.heard(event(subject=f"exam {number}"))
        wait(lambda: len(hook.told) == 3)
    assert [one["subject"] for one in hook.told] == ["exam 0", "exam 1", "exam 2"]
    assert hook.asked == 6


def test_a_webhook_that_cannot_be_reached_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    hook = Hook()
    hook.close()
    with telling(Alarms(webhook=hook.peer)) as told:
        told.heard(event())
        wait(lambda: "alarms wait for the webhook: cannot connect" in caplog.text)


def test_what_the_webhook_refuses_is_given_up_and_the_next_goes(caplog: pytest.LogCaptureFixture) -> None:
    with hooked(400) as hook, telling(Alarms(webhook=hook.peer)) as told:
        told.heard(event(subject="exam 1"))
        told.heard(event(subject="exam 2"))
        wait(lambda: bool(hook.told))
    assert [one["subject"] for one in hook.told] == ["exam 2"]
    assert "does not take an alarm: it answers 400" in caplog.text


def test_a_mail_goes_under_tls_with_subject_text_and_what_to_do(mail_server: MailServer) -> None:
    with telling(Alarms(mail=mail_server.settings())) as told:
        told.heard(event())
        told.heard(event(kind=Kind.CLEARED))
        wait(lambda: len(mail_server.mails) == 2)
    (first, secure), (last, _) = mail_server.mails
    assert secure
    assert first["Subject"] == "[n1] breaker standing: destination beijing"
    assert (first["From"], first["To"]) == ("router@hospital.cn", "it@hospital.cn")
    body = first.get_content()
    assert "it takes nothing" in body
    assert REMEDY[Alarm.BREAKER] in body.replace("\n", " ")
    assert "cleared" in last["Subject"]


def test_the_daily_report_is_mailed_with_the_heads_of_the_audit_trails_and_is_no_alarm(
    mail_server: MailServer,
) -> None:
    heads = ["Audit head n1:7:ab of today, signed by 12: c2ln", "Audit head n2:9:cd of today, signed by 34: bmF0"]
    with hooked() as hook, telling(Alarms(webhook=hook.peer, mail=mail_server.settings(), only=["disk"])) as told:
        told.heard(Event(NOW, Kind.REPORTED, "report of 2026-03-01: 1 met", fields={"heads": heads}))
        wait(lambda: len(mail_server.mails) == 1)
    mail, _ = mail_server.mails[0]
    assert mail["Subject"] == "[n1] daily report: daily report"
    text = mail.get_content()
    assert all(line in text for line in ("report of 2026-03-01: 1 met", *heads))
    assert "It is over" not in text
    assert hook.told == []


def test_a_mail_server_that_wants_a_passphrase_gets_it_from_a_private_file(
    mail_server: MailServer, tmp_path: Path
) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("open sesame\n")
    secret.chmod(0o600)
    herald.to_mail(mail_server.settings(user="router", passphrase_file=secret), ENGLISH)(NOTICE)
    assert any(line.startswith("AUTH PLAIN") for line in mail_server.said)
    assert len(mail_server.mails) == 1


def test_a_mail_server_without_a_trusted_certificate_gets_nothing(mail_server: MailServer, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    with pytest.raises(TransientError):
        herald.to_mail(mail_server.settings(ca_file=other.certificate), ENGLISH)(NOTICE)
    assert mail_server.mails == []


@pytest.mark.parametrize(("code", "error"), [(451, TransientError), (550, PermanentError)])
def test_what_a_mail_server_says_decides_whether_it_is_tried_again(
    mail_server: MailServer, code: int, error: type[Exception]
) -> None:
    mail_server.refusals = [code]
    with pytest.raises(error):
        herald.to_mail(mail_server.settings(), ENGLISH)(NOTICE)


def test_beyond_the_bound_the_oldest_is_given_up(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(herald, "MOST_WAITING", 2)
    sent: list[str] = []
    box = Outbox("test", lambda notice: sent.append(notice.subject))
    for number in range(3):
        box.put(Notice("n1", "disk", "standing", f"exam {number}", "", "", "", None, None))
    box.start()
    box.stop()
    assert sent == ["exam 1", "exam 2"]
    assert "the oldest is given up" in caplog.text


def test_a_subject_with_line_breaks_makes_no_header_of_its_own(mail_server: MailServer) -> None:
    notice = Notice("n1", "disk", "standing", "x\r\nBcc: thief@x.cn", "t", "", "", None, None)
    herald.to_mail(mail_server.settings(), ENGLISH)(notice)
    ((mail, _),) = mail_server.mails
    assert mail["Bcc"] is None
