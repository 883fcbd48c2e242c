"""Alarms out: each alarm, and its end, told once to every receiver that is configured, with what to do about it.

The journal tells an alarm once (catalogue/alarms.py). Each receiver has a queue and a thread of its own, so that one
that is down delays nobody else. What is not delivered when the node stops is in the log only.
"""

import json
import logging
import random
import smtplib
import ssl
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from email.message import EmailMessage

from router.alarms import Alarm
from router.clock import Clock
from router.config import Alarms, HttpPeer, Mail
from router.crypto.keys import load_passphrase
from router.errors import ConfigurationError, PermanentError, RouterError, TransientError, traceback_of
from router.events import Event, Kind
from router.forward.http import Limits, Session
from router.language import Tongue
from router.retry import backoff

MOST_WAITING = 1000
_LIMITS = Limits(connect=5.0, answer=10.0)
_MAIL_SECONDS = 10.0
_NO_HURRY = timedelta(0)
_LAST_SECONDS = 2.0
_MAIL = "mail server"
_log = logging.getLogger("router")


@dataclass(frozen=True, slots=True)
class Notice:
    """An alarm as receivers see it. `state` is "standing" or "cleared", `at` ISO 8601; ids are the node's own.

    `subject`, `text` and `remedy` are in the node's language, `alarm` and `state` names for programs. The daily report,
    which goes by mail only, has the state "report".
    """

    node: str
    alarm: str
    state: str
    subject: str
    text: str
    remedy: str
    at: str
    exam: int | None
    delivery: int | None


def notice_of(event: Event, node: str, tongue: Tongue) -> Notice | None:
    """The notice of an event; None when it is no alarm's."""
    if event.alarm is None:
        return None
    standing = event.kind == Kind.ALARM
    return Notice(
        node, event.alarm, "standing" if standing else "cleared", tongue.told(event.subject), tongue.told(event.text),
        tongue.alarm(event.alarm)[1] if standing else "", event.at.isoformat(), event.exam, event.delivery,
    )  # fmt: skip


def report_of(event: Event, node: str) -> Notice | None:
    """The daily report as it is mailed, with the heads of the audit trails; None when the event is none."""
    if event.kind != Kind.REPORTED:
        return None
    heads = event.fields.get("heads", ())
    text = "\n".join([event.text, *(str(head) for head in heads)] if isinstance(heads, Sequence) else [event.text])
    return Notice(node, "daily", "report", "daily report", text, "", event.at.isoformat(), None, None)


Send = Callable[[Notice], None]
Pause = Callable[[int], timedelta]


def _pause(attempt: int) -> timedelta:
    return backoff(attempt, _NO_HURRY, random.random())  # noqa: S311  # only spreads


class Outbox:
    """Notices on their way to one receiver, in order. Beyond MOST_WAITING the oldest are given up, with a word.

    `send` raises TransientError to be tried again, any other RouterError to have the notice given up.
    """

    def __init__(self, name: str, send: Send, pause: Pause = _pause) -> None:
        self._name = name
        self._send = send
        self._pause = pause
        self._waiting: deque[Notice] = deque()
        self._lock = threading.Lock()
        self._came, self._stopping = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"alarms to {name}", daemon=True)

    def put(self, notice: Notice) -> None:
        """Never waits."""
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                self._waiting.popleft()
                _log.error("too many alarms wait for the %s: the oldest is given up", self._name)
            self._waiting.append(notice)
        self._came.set()

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self) -> None:
        """Send what goes within two seconds, then end."""
        self._stopping.set()
        self._came.set()
        if self._thread.is_alive():
            self._thread.join(_LAST_SECONDS)

    def _run(self) -> None:
        while not self._stopping.is_set() or self._waiting:
            self._came.wait()
            self._came.clear()
            while self._waiting:
                if not self._deliver(self._waiting[0]):
                    return

    def _deliver(self, notice: Notice) -> bool:
        """Send it, as often as it takes; False when the node stops meanwhile."""
        attempt = 0
        while (error := self._try(notice)) is not None:
            attempt += 1
            if attempt == 1:
                _log.warning("alarms wait for the %s: %s", self._name, error)
            if self._stopping.wait(self._pause(attempt).total_seconds()):
                return False
        with self._lock:
            if self._waiting and self._waiting[0] is notice:
                self._waiting.popleft()
        return True

    def _try(self, notice: Notice) -> TransientError | None:
        """What to wait for; None when the notice is sent or given up."""
        try:
            self._send(notice)
        except TransientError as error:
            return error
        except RouterError as error:
            _log.error("the %s does not take an alarm: %s", self._name, error)
        except Exception as error:  # noqa: BLE001  # the top of the thread: the next notice must go
            _log.error("a defect in telling the %s: %s", self._name, traceback_of(error))
        return None


class Herald:
    """Tells every receiver of `[alarms]`. ConfigurationError when a file that it names is not as it must be."""

    def __init__(self, settings: Alarms, node: str, clock: Clock, tongue: Tongue) -> None:
        self._node = node
        self._tongue = tongue
        self._only = frozenset(settings.only)
        sends: dict[str, Send] = {}
        if settings.webhook is not None:
            sends["webhook"] = to_webhook(settings.webhook, clock)
        if settings.mail is not None:
            sends[_MAIL] = to_mail(settings.mail, tongue)
        self._outboxes = [Outbox(name, send) for name, send in sends.items()]
        self._by_mail = [outbox for name, outbox in zip(sends, self._outboxes, strict=True) if name == _MAIL]

    def heard(self, event: Event) -> None:
        """The journal's subscriber."""
        notice = notice_of(event, self._node, self._tongue)
        if notice is not None and (not self._only or notice.alarm in self._only):
            for outbox in self._outboxes:
                outbox.put(notice)
        report = report_of(event, self._node)
        if report is not None:
            for outbox in self._by_mail:
                outbox.put(report)

    def start(self) -> None:
        """Begin to send."""
        for outbox in self._outboxes:
            outbox.start()

    def stop(self) -> None:
        """Send what goes at once, then end."""
        for outbox in self._outboxes:
            outbox.stop()


def to_webhook(peer: HttpPeer, clock: Clock) -> Send:
    """POST of the notice as a JSON object. 2xx is taken; 408, 429 and 5xx are tried again."""
    session = Session(peer, clock, _LIMITS)

    def send(notice: Notice) -> None:
        body = json.dumps(asdict(notice), ensure_ascii=False).encode()
        status = session.post("", {"Content-Type": "application/json"}, body).status
        if status in (408, 429) or status >= 500:
            raise TransientError(f"it answers {status}")
        if not 200 <= status < 300:
            raise PermanentError(f"it answers {status}", hint="see url in [alarms.webhook]")

    return send


def to_mail(mail: Mail, tongue: Tongue) -> Send:
    """One message a notice by SMTP (RFC 5321), after STARTTLS (RFC 3207) where that is on."""
    passphrase = load_passphrase(mail.passphrase_file).decode() if mail.passphrase_file else ""
    context = _trusting(mail) if mail.starttls else None

    def send(notice: Notice) -> None:
        try:
            with closing(smtplib.SMTP(mail.host, mail.port, timeout=_MAIL_SECONDS)) as server:
                if context is not None:
                    server.starttls(context=context)
                if mail.user:
                    server.login(mail.user, passphrase)
                server.send_message(_message(mail, notice, tongue))
                with suppress(OSError):  # it is taken, however the server says good-bye
                    server.quit()
        except smtplib.SMTPRecipientsRefused as error:
            _refused(max(code for code, _ in error.recipients.values()))
        except smtplib.SMTPResponseException as error:
            _refused(error.smtp_code)
        except OSError as error:
            raise TransientError(f"cannot send: {error.strerror or type(error).__name__}") from error

    return send


def _refused(code: int) -> None:
    """5yz is for good (RFC 5321 4.2.1), but for what a wrong passphrase is answered, which a person mends."""
    if 500 <= code < 600 and code not in (530, 534, 535):
        raise PermanentError(f"it answers {code}", hint="see from and to in [alarms.mail]")
    raise TransientError(f"it answers {code}")


def _trusting(mail: Mail) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=mail.ca_file)
    except OSError as error:
        raise ConfigurationError(f"[alarms.mail] ca_file: {error.strerror or 'is no certificate'}") from error


def _name(notice: Notice, tongue: Tongue) -> str:
    """Alarm that a notice is about, in words; that of the daily report is its own."""
    return tongue.alarm(Alarm(notice.alarm))[0] if notice.alarm in list(Alarm) else notice.alarm


def _message(mail: Mail, notice: Notice, tongue: Tongue) -> EmailMessage:
    say = tongue.say
    message = EmailMessage()
    message["From"], message["To"] = mail.from_, ", ".join(mail.to)
    message["Subject"] = " ".join(
        f"[{notice.node}] {_name(notice, tongue)} {say(notice.state)}: {notice.subject}".split()
    )
    todo = say("What to do: {remedy}", remedy=notice.remedy)
    told = {"standing": [todo, ""], "cleared": [say("It is over."), ""]}.get(notice.state, [])
    lines = [notice.text, "", *told,
             say("Node {node}, {subject}, {at}", node=notice.node, subject=notice.subject, at=notice.at)]  # fmt: skip
    message.set_content("\n".join(lines) + "\n")
    return message
