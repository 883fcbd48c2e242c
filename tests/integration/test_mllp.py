"""HL7 over MLLP on a real socket: framing, answers, limits, and what is durable when AA is said."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from certificates import Authority
from costs import cost
from desk import E1, E2, Desk, printed
from hl7_messages import Sender, oru
from router.config import Hl7Listener, Tls
from router.dicom.tls import client_context, server_context
from router.errors import TransientError
from router.reports.mllp import MllpServer

ONE = printed(f"report of {E1}")
MESSAGE = oru(exam_id=E1, pdf=ONE).encode()
CASES = Path(__file__).parents[1] / "cases" / "field" / "reports"
Listen = Callable[..., int]


@pytest.fixture
def refusals() -> list[str]:
    return []


@pytest.fixture
def listen(desk: Desk, refusals: list[str]) -> Iterator[Listen]:
    """Starts a listener on the desk's intake; its port."""
    servers: list[MllpServer] = []

    def started(take: Callable[[bytes], None] | None = None, tls: Tls | None = None, **settings: object) -> int:
        config = Hl7Listener.model_validate(settings)
        context = server_context(tls) if tls else None
        close = desk.catalogue.engine.close_thread
        refused = lambda _address, why: refusals.append(why)  # noqa: E731 - one line of the fixture
        servers.append(MllpServer(config, take or desk.intake.take_message, refused, close, desk.clock, context))
        return servers[-1].start("127.0.0.1", 0)

    yield started
    for server in servers:
        server.stop(5)


@pytest.fixture
def connect(listen: Listen) -> Iterator[Callable[..., Sender]]:
    senders: list[Sender] = []

    def connected(port: int = 0, **settings: object) -> Sender:
        senders.append(Sender(port or listen(**settings)))
        return senders[-1]

    yield connected
    for sender in senders:
        sender.socket.close()


Connect = Callable[..., Sender]


def test_a_message_is_durable_when_it_is_answered_aa(desk: Desk, connect: Connect) -> None:
    assert "MSA|AA|M1" in connect().send(MESSAGE)
    assert desk.pdf_of() == ONE
    (kept,) = (desk.config.node.data / "reports").glob("*/*/exam.hl7")
    assert kept.read_bytes() == MESSAGE


def test_frames_may_come_in_pieces_and_several_at_once(desk: Desk, connect: Connect) -> None:
    sender = connect()
    second = oru(exam_id=E2, accession="A2", control="M2").encode()
    stream = b"\x0b" + MESSAGE + b"\x1c\r\r\n\x0b" + second + b"\x1c\r"
    cut = len(MESSAGE) + 2  # between <FS> and <CR>
    for piece in (stream[:1], stream[1:40], stream[40:cut], stream[cut:]):
        sender.socket.sendall(piece)
        time.sleep(0.02)
    assert "MSA|AA|M1" in sender.answer()
    assert "MSA|AA|M2" in sender.answer()
    assert desk.counts(E2) == (1, 0)


def test_what_is_wrong_is_answered_ae_and_what_is_of_another_kind_ar_and_the_connection_goes_on(
    connect: Connect, refusals: list[str]
) -> None:
    sender = connect()
    assert "MSA|AE|M1" in sender.send(oru(exam_id="").encode())
    assert "MSA|AR|M1" in (answer := sender.send(MESSAGE.replace(b"ORU^R01", b"ADT^A01")))
    assert "ERR|||200^^HL70357|E" in answer
    assert "MSA|AE|M1" in sender.send(oru(pdf=b"%PDF-1.4 cut off").encode())
    assert "MSA|AE|" in sender.send(b"rubbish")
    assert "MSA|AA|M1" in sender.send(MESSAGE)
    assert len(refusals) == 4
    assert not [text for text in refusals if "张三" in text or "P0001" in text or E1 in text]


@pytest.mark.parametrize("case", ["04-ampersand", "05-backslash", "07-linefeed", "09-batch-of-one"])
def test_messages_of_the_field_are_answered_aa_under_their_own_number(connect: Connect, case: str) -> None:
    data = (CASES / f"{case}.hl7").read_bytes()
    assert re.search(r"MSA\|AA\|M\d+190\d+", connect().send(data))


@pytest.mark.parametrize("findings", ["右|左", "MRA|左侧\n中动脉", "\\XFF\\"])
def test_a_text_that_cannot_be_read_whole_is_answered_ae_and_leaves_nothing(
    desk: Desk, connect: Connect, findings: str
) -> None:
    assert "MSA|AE|M1" in connect().send(oru(exam_id=E1, findings=findings).encode())
    assert desk.exams.find(E1) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), TransientError("locked"), KeyError("x")])
def test_what_cannot_be_kept_is_answered_ar(connect: Connect, error: Exception) -> None:
    def fail(_message: bytes) -> None:
        raise error

    assert "MSA|AR|M1" in connect(take=fail).send(MESSAGE)


def test_too_large_a_message_is_answered_ar_and_the_connection_ends(connect: Connect, refusals: list[str]) -> None:
    sender = connect(max_message=2000)
    sender.socket.sendall(b"\x0b" + oru().encode() + b"OBX|" + b"x" * 200_000)
    assert "MSA|AR|M1" in sender.answer()
    sender.socket.close()
    _wait(lambda: bool(refusals))
    assert "max_message" in refusals[0]


def test_what_is_not_mllp_ends_the_connection(connect: Connect, refusals: list[str]) -> None:
    sender = connect()
    sender.socket.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 4)
    assert sender.answer() == ""
    _wait(lambda: refusals == ["what came is not HL7 over MLLP"])


def test_a_message_that_does_not_end_ends_the_connection(connect: Connect, refusals: list[str]) -> None:
    sender = connect(message_within="100 ms")
    sender.socket.sendall(b"\x0b" + MESSAGE[:100])
    assert sender.answer() == ""
    _wait(lambda: "message_within" in "".join(refusals))


def test_half_a_message_is_not_taken(desk: Desk, connect: Connect, refusals: list[str]) -> None:
    sender = connect()
    sender.socket.sendall(b"\x0b" + MESSAGE)
    sender.socket.close()
    _wait(lambda: bool(refusals))
    assert desk.exams.find(E1) == []


def test_no_more_connections_than_allowed_and_none_from_elsewhere(
    listen: Listen, connect: Connect, refusals: list[str]
) -> None:
    port = listen(max_connections=1)
    first = connect(port)
    assert "MSA|AA" in first.send(MESSAGE)
    assert connect(port).answer() == ""
    first.socket.close()
    _wait(lambda: "MSA|AA" in _tried(port))
    assert connect(senders=["10.1.2.3"]).answer() == ""
    _wait(lambda: "senders" in refusals[-1])


def test_large_messages_take_turns_and_small_ones_wait_for_nobody(connect: Connect, listen: Listen) -> None:
    large = oru(control="M2", more=f"OBX|9|ED|PDF||^^^^{'A' * 2**20}\r").encode()
    port = listen(message_within="3 s", take=lambda _: None)
    slow = [connect(port) for _ in range(2)]
    for sender in slow:
        sender.socket.sendall(b"\x0b" + large)
    time.sleep(0.2)
    third = connect(port)
    third.socket.sendall(b"\x0b" + large + b"\x1c\r")
    assert "MSA|AA|M1" in connect(port).send(MESSAGE)
    third.socket.settimeout(1)
    with pytest.raises(TimeoutError):
        third.answer()
    slow[0].socket.close()
    third.socket.settimeout(10)
    assert "MSA|AA|M2" in third.answer()
    assert "MSA|AA|M2" in third.send(large)


def test_eight_connections_together_hold_a_few_messages_only() -> None:
    found = cost("""
        import threading
        from hl7_messages import Sender, oru
        from router.clock import SystemClock
        from router.config import Hl7Listener
        from router.reports.hl7v2 import Message
        from router.reports.mllp import MllpServer
        message = oru(more="OBX|9|ED|PDF||^^^^" + "A" * (30 * 2**20)).encode()
        server = MllpServer(Hl7Listener(), lambda data: None, print, lambda: None, SystemClock())
        port = server.start("127.0.0.1", 0)
        def send():
            sender = Sender(port)
            for part in (b"\\x0b", message, b"\\x1c\\r"):
                sender.socket.sendall(part)
            assert "MSA|AA" in sender.answer()
        def work():
            threads = [threading.Thread(target=send) for _ in range(8)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            server.stop(5)
    """)
    assert found.said == "done"
    assert found.memory < 300, found


def test_tls_is_spoken_where_it_is_set(listen: Listen, desk: Desk, tmp_path: Path, refusals: list[str]) -> None:
    authority = Authority(tmp_path)
    port = listen(tls=authority.issue("node"))
    sender = Sender(port)
    context = client_context(authority.issue("ris"))
    with closing(context.wrap_socket(sender.socket, server_hostname="127.0.0.1")) as secured:
        sender.socket = secured
        assert "MSA|AA" in sender.send(MESSAGE)
    assert desk.pdf_of() == ONE
    plain = Sender(port)
    plain.socket.sendall(b"\x0b" + MESSAGE + b"\x1c\r")
    _wait(lambda: bool(refusals))
    plain.socket.close()
    assert "no TLS connection" in refusals[0]


def test_a_sender_that_waits_does_not_keep_the_node_from_stopping(desk: Desk) -> None:
    server = MllpServer(Hl7Listener(), desk.intake.take_message, print, lambda: None, desk.clock)
    with closing(Sender(server.start("127.0.0.1", 0)).socket) as waiting:
        waiting.sendall(b"\x0b" + MESSAGE[:50])
        before = time.monotonic()
        server.stop(5)
    assert time.monotonic() - before < 3


def test_the_node_stops_while_a_connection_is_just_being_taken(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    server = MllpServer(Hl7Listener(), desk.intake.take_message, print, lambda: None, desk.clock)
    port = server.start("127.0.0.1", 0)
    taking, start = threading.Event(), threading.Thread.start

    def late(thread: threading.Thread) -> None:
        taking.set()
        time.sleep(0.1)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", late)
    with closing(Sender(port).socket) as waiting:
        assert taking.wait(5)
        server.stop(5)
        assert waiting.recv(1) == b""


def test_a_connection_that_gets_no_thread_does_not_end_the_listener(
    listen: Listen, refusals: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = listen(max_connections=1)

    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", none_left)
        assert _tried(port) == ""
        _wait(lambda: bool(refusals))
    assert "MSA|AA" in _tried(port)


def _tried(port: int) -> str:
    sender = Sender(port)
    with closing(sender.socket):
        try:
            return sender.send(MESSAGE)
        except OSError:
            return ""


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
