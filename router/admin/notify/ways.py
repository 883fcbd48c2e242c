"""The ways by which alarms leave the node: webhook, mail, targets of apprise, a program of the hospital's own.

Each `send` has bounded time. It raises TransientError where the way as a whole does not work, and PermanentError where
this message is refused for good.
"""

import hashlib
import os
import signal
import smtplib
import socket
import ssl
import stat
import subprocess
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

from router.admin.notify.notification import Notification
from router.clock import Clock
from router.config.sections import Alarms, HttpPeer, Mail
from router.crypto.keys import load_passphrase, read_secret
from router.errors import ConfigurationError, PermanentError, TransientError
from router.forward import chat
from router.forward.http import Limits, Session

MAIL, WEBHOOK, PROGRAM = "mail", "webhook", "program"
LIMITS = Limits(connect=5.0, answer=10.0)
_MAIL_SECONDS, _WHOLE_MAIL_SECONDS = 10.0, 60.0
_PROGRAM_SECONDS = 30.0
_REFUSED = 65  # EX_DATAERR of sysexits(3)
# The address, the account or the moment is wrong, not the message: a person, or time, sets it right.
_NOT_NOW = frozenset({401, 403, 404, 405, 407, 408, 410, 425, 429})
_CLEAN = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"}

Send = Callable[[Notification], None]


@dataclass(frozen=True, slots=True)
class Way:
    """A way by its name: `webhook`, `mail`, `mail of renmin`, `program`, `target 1 (wecombot)`.

    `mark` stays the same for one receiver, wherever it stands in the list of targets. `hospitals`: it is for alarms
    about these alone; where none is named, for all alarms, and for those about the node.
    """

    name: str
    send: Send
    mark: str
    hospitals: tuple[str, ...] = ()


def ways_of(settings: Alarms, clock: Clock) -> tuple[Way, ...]:
    """Every way of `[alarms]`.

    ConfigurationError if a file that it names is unusable, or where each is for some hospitals alone: alarms about the
    node would reach nobody.
    """
    found = _numbered(WEBHOOK, [(to_webhook(one, clock), one.hospitals) for one in settings.webhook])
    found += _numbered(MAIL, [(to_mail(one), one.hospitals) for one in settings.mail])
    if settings.program:
        found.append(Way(PROGRAM, to_program(settings.program), PROGRAM))
    targets = [(one.url.get_secret_value(), one.hospitals) for one in settings.targets]
    targets += [(url, ()) for url in _listed(settings.targets_file)]
    chat.require_known([url for url, _ in targets])
    found += [_to_target(number, url, settings.proxy, of) for number, (url, of) in enumerate(targets, 1)]
    if found and all(one.hospitals for one in found):
        raise ConfigurationError(
            "[alarms]: every way is for some hospitals alone: alarms about the node would reach nobody",
            hint="name one without `hospitals`, such as [alarms.mail]",
        )
    return tuple(found)


def _numbered(kind: str, several: Iterable[tuple[Send, tuple[str, ...]]]) -> list[Way]:
    """Ways of a kind, named by their hospitals; further ones for the same have a number."""
    found: dict[str, Way] = {}
    for send, hospitals in several:
        name = usual = f"{kind}{_of(hospitals)}"
        number = 1
        while name in found:
            number += 1
            name = f"{usual} {number}"
        found[name] = Way(name, send, name, hospitals)
    return list(found.values())


def _of(hospitals: Sequence[str]) -> str:
    return f" of {', '.join(hospitals)}" if hospitals else ""


def _listed(file: Path | None) -> list[str]:
    """The addresses in a file, one a line; empty lines and lines beginning with # are skipped."""
    if file is None:
        return []
    lines = (line.strip() for line in read_secret(file).decode("utf-8", "replace").splitlines())
    found = [line for line in lines if line and not line.startswith("#")]
    if any("://" not in line for line in found):
        raise ConfigurationError(f"{file}: expected one address a line, like wecombot://KEY")
    return found


def _to_target(number: int, url: str, proxy: str, hospitals: tuple[str, ...]) -> Way:
    def send(notification: Notification) -> None:
        chat.send(url, notification.title, notification.body, proxy)

    # 16 bits of a digest: enough to tell a hospital's receivers apart, too few to find a key by.
    mark = f"{chat.service(url)} {hashlib.sha256(url.encode()).hexdigest()[:4]}{_of(hospitals)}"
    return Way(f"target {number} ({chat.service(url)}){_of(hospitals)}", send, mark, hospitals)


def to_webhook(peer: HttpPeer, clock: Clock) -> Send:
    """POST the notification as a JSON object. Any 2xx is success."""
    session = Session(peer, clock, LIMITS)

    def send(notification: Notification) -> None:
        status = session.status("POST", {"Content-Type": "application/json"}, notification.to_json().encode())
        if status in _NOT_NOW or status >= 500:
            raise TransientError(f"it answers {status}")
        if not 200 <= status < 300:
            raise PermanentError(f"it answers {status}", hint="see url in [alarms.webhook]")

    return send


def to_program(command: Sequence[str]) -> Send:
    """Give the notification as JSON to the program's stdin. ConfigurationError if others can change the program."""
    _require_safe(Path(command[0]))

    def send(notification: Notification) -> None:
        status = _run(command, notification.to_json().encode())
        if status == _REFUSED:
            raise PermanentError(f"it ends with status {status}", hint="see program in [alarms]")
        if status != 0:
            raise TransientError(f"it ends with status {status}" if status > 0 else f"it ends by signal {-status}")

    return send


def _run(command: Sequence[str], text: bytes) -> int:
    """Run the program; return its exit status. Its session is killed as a whole when the time is over."""
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(  # noqa: S603  # the administrator's own program, without a shell
            command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, env=_CLEAN, cwd="/", start_new_session=True
        )
    except OSError as error:
        raise TransientError(f"it cannot be started: {error.strerror}") from error
    with process:
        try:
            process.communicate(text, _PROGRAM_SECONDS)
        except subprocess.TimeoutExpired as error:
            raise TransientError(f"it does not end within {_PROGRAM_SECONDS:.0f} s") from error
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    return process.returncode


def _require_safe(program: Path) -> None:
    try:
        found = program.stat()
    except OSError as error:
        raise ConfigurationError(f"[alarms] program: {program}: {error.strerror}") from error
    if not stat.S_ISREG(found.st_mode) or not os.access(program, os.X_OK):
        raise ConfigurationError(f"[alarms] program: {program} is no program that this account may run")
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or found.st_uid not in (0, os.geteuid()):
        raise ConfigurationError(
            f"[alarms] program: {program} can be changed by others (mode {stat.S_IMODE(found.st_mode):04o})",
            hint=f"chown root {program}; chmod go-w {program}",
        )


def to_mail(mail: Mail) -> Send:
    """Send the notification as a mail by SMTP (RFC 5321), after STARTTLS (RFC 3207) if that is on."""
    passphrase = load_passphrase(mail.passphrase_file).decode() if mail.passphrase_file else ""
    context = _trusting(mail) if mail.starttls else None

    def send(notification: Notification) -> None:
        try:
            with closing(_Connection(mail.host, mail.port, timeout=_MAIL_SECONDS)) as server:
                if context is not None:
                    server.starttls(context=context)
                if mail.user:
                    server.login(mail.user, passphrase)
                server.send_message(_message(mail, notification))
                with suppress(OSError):  # it is taken, however the server says good-bye
                    server.quit()
        except smtplib.SMTPRecipientsRefused as error:
            _refused(max(code for code, _ in error.recipients.values()))
        except smtplib.SMTPResponseException as error:
            _refused(error.smtp_code)
        except OSError as error:
            raise TransientError(f"cannot send: {error.strerror or type(error).__name__}") from error

    return send


class _Connection(smtplib.SMTP):
    """A connection that ends after _WHOLE_MAIL_SECONDS: the socket's own time-out restarts with every byte."""

    def connect(self, host: str = "localhost", port: int = 0, source_address: object = None) -> tuple[int, bytes]:
        self._timer = threading.Timer(_WHOLE_MAIL_SECONDS, self._cut)
        self._timer.daemon = True
        self._timer.start()
        return super().connect(host, port)

    def close(self) -> None:
        self._timer.cancel()
        super().close()

    def _cut(self) -> None:
        with suppress(OSError, AttributeError):  # there may be no socket, or no more
            self.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]


def _refused(code: int) -> None:
    """Whether it is refused for good: 5yz (RFC 5321 4.2.1), except for a wrong passphrase, which a person corrects."""
    if 500 <= code < 600 and code not in (530, 534, 535):
        raise PermanentError(f"it answers {code}", hint="see from and to in [alarms.mail]")
    raise TransientError(f"it answers {code}")


def _trusting(mail: Mail) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=mail.ca_file)
    except OSError as error:
        raise ConfigurationError(f"[alarms.mail] ca_file: {error.strerror or 'is no certificate'}") from error


def _message(mail: Mail, notification: Notification) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"] = mail.from_, ", ".join(mail.to)
    message["Subject"] = " ".join(notification.title.split())
    message.set_content(f"{notification.body}\n")
    return message
