"""Each way by which alarms leave the node, against real servers, programs and apprise."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from router.admin.notify import ways
from router.admin.notify.notification import Notification, from_json
from router.admin.notify.ways import to_mail, to_program, to_webhook, ways_of
from router.clock import SystemClock
from router.config.sections import Alarms, HttpPeer, Mail
from router.errors import ConfigurationError, PermanentError, TransientError
from router.forward import chat
from router.forward.http import Limits
from support.alarm_receivers import TAKEN, Answer, Hook, MailServer, drip, hooked, mail_served, never, status
from support.certificates import Authority

NOW = datetime(2026, 3, 1, 9, tzinfo=UTC)
MESSAGE = Notification(
    id="1", node="n1", alarm="disk", state="standing", subject="disk", text="满 full", at=NOW.isoformat(),
    title="[n1] 告警：磁盘", body="满\nfull", remedy="make room", commands=("scripts/status",),
)  # fmt: skip
OK = b"HTTP/1.1 200 OK\r\n"
LEGAL = {
    "HTTP/1.0, ended by closing": b"HTTP/1.0 200 OK\r\n\r\nok",
    "HTTP/1.1, ended by closing": OK + b"Connection: close\r\nContent-Type: text/plain\r\n\r\nok",
    "an empty body ended by closing": OK + b"\r\n",
    "a length of nothing": OK + b"Content-Length: 0\r\n\r\n",
    "a length": OK + b"Content-Length: 2\r\n\r\nok",
    "chunks": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunks that break off": OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\no",
    "a body that breaks off": OK + b"Content-Length: 2000\r\n\r\nok",
    "a long body": OK + b"\r\n" + b"x" * 3_000_000,
    "201": b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
    "202 without a length": b"HTTP/1.1 202 Accepted\r\n\r\n",
    "204": TAKEN,
    "206": b"HTTP/1.1 206 Partial Content\r\n\r\n",
    "lines that end in a line feed": b"HTTP/1.1 200 OK\n\nok",
    "a continue before it": b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"\r\n",
}


def peer(hook: Hook) -> HttpPeer:
    return HttpPeer(url=hook.url)


@pytest.fixture(autouse=True)
def _brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "LIMITS", Limits(connect=1.0, answer=0.6))


# -- webhook


@pytest.mark.parametrize("answer", LEGAL.values(), ids=LEGAL)
def test_every_legal_answer_of_2xx_counts(answer: bytes) -> None:
    with hooked(answer) as hook:
        to_webhook(peer(hook), SystemClock())(MESSAGE)
    assert hook.told == [json.loads(MESSAGE.to_json())]
    assert hook.heads[0].startswith("POST /hook HTTP/1.1")


@pytest.mark.parametrize("code", [401, 403, 404, 408, 410, 429, 500, 502, 503, 599])
def test_what_time_or_a_person_sets_right_is_tried_again(code: int) -> None:
    with hooked(status(code)) as hook, pytest.raises(TransientError, match=f"it answers {code}"):
        to_webhook(peer(hook), SystemClock())(MESSAGE)


@pytest.mark.parametrize("code", [301, 302, 400, 413, 415, 422])
def test_what_is_said_of_this_message_is_for_good(code: int) -> None:
    with hooked(status(code)) as hook, pytest.raises(PermanentError, match=f"it answers {code}"):
        to_webhook(peer(hook), SystemClock())(MESSAGE)


@pytest.mark.parametrize(
    "answer", [never, drip, b"SSH-2.0-OpenSSH_9.2 x\r\n", b"HTTP/1.1 abc x\r\n\r\n"],
    ids=["never", "byte by byte", "SSH", "no status"],
)  # fmt: skip
def test_a_server_that_does_not_answer_in_time_or_in_http_is_tried_again(answer: Answer) -> None:
    began = time.monotonic()
    with hooked(answer) as hook, pytest.raises(TransientError) as failed:
        to_webhook(peer(hook), SystemClock())(MESSAGE)
    assert time.monotonic() - began < 10
    assert "Pool(" not in failed.value.message


def test_a_server_that_is_not_there_is_tried_again() -> None:
    hook = Hook()
    hook.close()
    with pytest.raises(TransientError, match="cannot connect"):
        to_webhook(peer(hook), SystemClock())(MESSAGE)


# -- mail


@pytest.fixture
def mail_server(tmp_path: Path) -> Iterator[MailServer]:
    with mail_served(tmp_path) as server:
        yield server


def test_a_mail_goes_under_tls_with_title_and_body(mail_server: MailServer) -> None:
    to_mail(mail_server.settings())(MESSAGE)
    ((mail, secure),) = mail_server.mails
    assert secure
    assert (mail["From"], mail["To"]) == ("router@hospital.cn", "it@hospital.cn")
    assert mail["Subject"] == "[n1] 告警：磁盘"
    assert mail.get_content().splitlines() == ["满", "full"]


def test_a_mail_server_that_wants_a_passphrase_gets_it_from_a_private_file(
    mail_server: MailServer, tmp_path: Path
) -> None:
    secret = tmp_path / "passphrase"
    secret.write_text("open sesame\n")
    secret.chmod(0o600)
    to_mail(mail_server.settings(user="router", passphrase_file=secret))(MESSAGE)
    assert any(line.startswith("AUTH PLAIN") for line in mail_server.said)
    assert len(mail_server.mails) == 1


def test_a_mail_server_without_a_trusted_certificate_gets_nothing(mail_server: MailServer, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    with pytest.raises(TransientError):
        to_mail(mail_server.settings(ca_file=other.certificate))(MESSAGE)
    assert mail_server.mails == []


@pytest.mark.parametrize(("code", "error"), [(451, TransientError), (550, PermanentError)])
def test_what_a_mail_server_says_decides_whether_it_is_tried_again(
    mail_server: MailServer, code: int, error: type[Exception]
) -> None:
    mail_server.refusals = [code]
    with pytest.raises(error):
        to_mail(mail_server.settings())(MESSAGE)


def test_a_title_with_line_breaks_makes_no_header_of_its_own(mail_server: MailServer) -> None:
    found = json.loads(MESSAGE.to_json()) | {"title": "x\r\nBcc: thief@x.cn"}
    to_mail(mail_server.settings())(from_json(json.dumps(found)))
    ((mail, _),) = mail_server.mails
    assert mail["Bcc"] is None


def test_a_mail_server_that_speaks_byte_by_byte_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ways, "_WHOLE_MAIL_SECONDS", 0.5)
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        threading.Thread(target=_drip_greeting, args=(listener,), daemon=True).start()
        port = listener.getsockname()[1]
        mail = {"host": "127.0.0.1", "port": port, "from": "a@b", "to": ["c@d"], "starttls": False}
        began = time.monotonic()
        with pytest.raises(TransientError):
            to_mail(Mail.model_validate(mail))(MESSAGE)
    assert time.monotonic() - began < 10


def _drip_greeting(listener: socket.socket) -> None:
    with suppress(OSError):
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"220")
            for _ in range(400):
                connection.sendall(b"-")
                time.sleep(0.05)


# -- program


def script(folder: Path, text: str, mode: int = 0o755) -> Path:
    """A shell script that is a program."""
    file = folder / "tell"
    file.write_text(f"#!/bin/sh\n{text}\n")
    file.chmod(mode)
    return file


def test_a_program_gets_the_message_as_json_with_its_arguments_and_an_empty_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ROUTER_PASSPHRASE", "s3cret")
    out = tmp_path / "out"
    text = f'cat > {out}; echo "$1" > {out}.to; pwd > {out}.folder; env > {out}.env; echo loud; echo loud >&2'
    to_program((str(script(tmp_path, text)), "--to=138 0000; exit 1"))(MESSAGE)
    assert from_json(out.read_text(encoding="utf-8")) == MESSAGE
    assert Path(f"{out}.to").read_text() == "--to=138 0000; exit 1\n", "no shell reads the arguments"
    assert Path(f"{out}.folder").read_text() == "/\n"
    assert "s3cret" not in Path(f"{out}.env").read_text()
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("ends", "error"),
    [
        ("exit 1", TransientError),
        ("exit 75", TransientError),
        ("kill -9 $$", TransientError),
        ("exit 65", PermanentError),
    ],
)
def test_the_exit_status_of_a_program_decides(tmp_path: Path, ends: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        to_program((str(script(tmp_path, ends)),))(MESSAGE)


def test_a_program_that_reads_nothing_and_prints_much_counts_by_its_status(tmp_path: Path) -> None:
    to_program((str(script(tmp_path, "head -c 1000000 /dev/zero; exit 0")),))(MESSAGE)


def test_a_program_that_does_not_end_is_ended_with_all_that_it_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "_PROGRAM_SECONDS", 0.5)
    child = tmp_path / "child"
    program = script(tmp_path, f"sleep 60 & echo $! > {child}; wait")
    with pytest.raises(TransientError, match="does not end within"):
        to_program((str(program),))(MESSAGE)
    assert _ends(int(child.read_text()))


def _ends(process: int) -> bool:
    for _ in range(200):
        try:
            os.kill(process, 0)
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)
    return False


@pytest.mark.parametrize("mode", [0o775, 0o757, 0o777])
def test_a_program_that_others_may_change_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigurationError, match="can be changed by others"):
        to_program((str(script(tmp_path, "exit 0", mode)),))


def test_a_program_that_is_not_there_or_is_none_is_refused(tmp_path: Path) -> None:
    for command in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigurationError):
            to_program((str(command),))


# -- targets of apprise


def said(document: object) -> bytes:
    """An answer with status 200 and this document, to the end of the connection."""
    return OK + b"\r\n" + json.dumps(document).encode()


@pytest.fixture
def own_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """apprise in a program that is started, as by the product; elsewhere it is forked from one that has loaded it."""
    monkeypatch.setattr(chat, "subprocess", subprocess)


def targets(*urls: str, **more: Any) -> Alarms:
    return Alarms.model_validate({"targets": urls, **more})


@pytest.mark.usefixtures("own_program")
def test_a_target_of_apprise_gets_title_and_body() -> None:
    with hooked(status(200)) as hook:
        (way,) = ways_of(targets(f"json://127.0.0.1:{hook.port}/s3cret"), SystemClock())
        way.send(MESSAGE)
        assert way.name == "target 1 (json)"
    (told,) = hook.told
    assert (told["title"], told["message"]) == (MESSAGE.title, MESSAGE.body)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (status(500), "it answers 500"),
        (said({"errcode": 93000, "errmsg": "invalid webhook url"}), "it answers 200, error code 93000"),
        (said({"errcode": "310000"}), "it answers 200, error code 310000"),
        (never, "cannot be reached, or does not answer"),
    ],
)
def test_a_service_that_refuses_is_tried_again_also_where_it_does_so_with_status_200(
    answer: Answer, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    with hooked(answer) as hook, pytest.raises(TransientError, match=why) as failed:
        chat.send(f"json://127.0.0.1:{hook.port}/s3cret?rto=1", "t", "b", "")
    assert "s3cret" not in f"{failed.value} {caplog.text}"


def test_a_service_that_says_success_in_its_own_way_is_believed() -> None:
    with hooked(said({"errcode": 0, "errmsg": "ok"}), said({"code": 200})) as hook:
        for _ in range(2):
            chat.send(f"json://127.0.0.1:{hook.port}/", "t", "b", "")
    assert hook.asked == 2


@pytest.mark.usefixtures("own_program")
def test_a_service_that_takes_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat, "SECONDS", 2.5)
    with hooked(_body_without_end) as hook:
        began = time.monotonic()
        with pytest.raises(TransientError, match="no answer within"):
            chat.send(f"json://127.0.0.1:{hook.port}/", "t", "b", "")
    assert time.monotonic() - began < 12


def _body_without_end(connection: socket.socket) -> None:
    with suppress(OSError):
        connection.sendall(OK + b"\r\n")
        for _ in range(400):
            connection.sendall(b"x")
            time.sleep(0.05)


def test_targets_are_reached_by_the_proxy_where_one_is_named() -> None:
    with hooked(status(200)) as proxy:
        chat.send("json://chat.example/x", "t", "b", f"http://127.0.0.1:{proxy.port}")
    assert proxy.heads[0].startswith("POST http://chat.example/x")


def test_an_address_that_apprise_does_not_read_is_named_by_its_number_only() -> None:
    with pytest.raises(ConfigurationError) as refused:
        ways_of(targets("json://127.0.0.1/", "wecombott://s3cret"), SystemClock())
    assert refused.value.faults == ("target 2 (wecombott): no address that apprise reads (it is not shown)",)


def test_the_chinese_services_are_known_by_their_addresses() -> None:
    chat.require_known(["wecombot://abcdefghijklmnop", "dingtalk://abcdef123456", "feishu://abcdef12345"])


def test_more_targets_come_from_a_private_file(tmp_path: Path) -> None:
    file = tmp_path / "targets"
    file.write_text("# ours\n\njson://127.0.0.1:1/a\n  xml://127.0.0.1:1/b  \n")
    file.chmod(0o600)
    found = ways_of(targets("json://127.0.0.1:1/0", targets_file=file), SystemClock())
    assert [way.name for way in found] == ["target 1 (json)", "target 2 (json)", "target 3 (xml)"]
    file.chmod(0o640)
    with pytest.raises(ConfigurationError, match="open to group or others"):
        ways_of(targets(targets_file=file), SystemClock())


def test_without_apprise_targets_are_a_configuration_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chat, "find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match="apprise is not installed") as refused:
        ways_of(targets("wecombot://s3cret"), SystemClock())
    assert "pip install 'imaging-cloud-router[notify]'" in refused.value.hint
    assert ways_of(Alarms(), SystemClock()) == ()


def test_the_node_itself_does_not_load_apprise() -> None:
    program = "import sys, router.node.node; print('apprise' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True)
    assert found.stdout == "False\n"


def test_ways_for_some_hospitals_are_named_by_them_and_one_is_for_the_rest(tmp_path: Path) -> None:
    mail = {"host": "127.0.0.1", "from": "r@h.cn", "to": ["it@h.cn"]}
    own = {"hospitals": ["a", "b"]}
    target = {"url": "json://127.0.0.1:1/0", **own}
    several = {"mail": [mail, mail | own, mail | own], "targets": [target, "json://127.0.0.1:1/1"]}
    found = ways_of(Alarms.model_validate(several), SystemClock())
    names = ["mail", "mail of a, b", "mail of a, b 2", "target 1 (json) of a, b", "target 2 (json)"]
    assert [one.name for one in found] == names
    assert [one.hospitals for one in found] == [(), ("a", "b"), ("a", "b"), ("a", "b"), ()]
    with pytest.raises(ConfigurationError, match="would reach nobody"):
        ways_of(Alarms.model_validate({"mail": mail | own, "targets": [target]}), SystemClock())
