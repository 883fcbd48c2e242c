"""HL7 over MLLP on a real socket: framing, answers, limits, and what is durable when AA is said."""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from router.config.sections import Hl7Listener, Tls
from router.dicom.ul.tls import client_context, server_context
from router.errors import TransientError
from router.reports.hl7.mllp import MllpServer
from support.certificates import Authority
from support.hl7_messages import Sender, oru
from support.intake_folder import E1, E2, IntakeFolder, printed
from support.resource_costs import cost

ONE = printed(f"report of {E1}")
MESSAGE = oru(exam_id=E1, pdf=ONE).encode()
CASES = Path(__file__).parents[2] / "cases" / "field" / "reports"
Listen = Callable[..., int]


@pytest.fixture
def refusals() -> list[str]:
    return []


@pytest.fixture
def listen(desk: IntakeFolder, refusals: list[str]) -> Iterator[Listen]:
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


def test_a_message_is_durable_when_it_is_answered_aa(desk: IntakeFolder, connect: Connect) -> None:
    assert "MSA|AA|M1" in connect().send(MESSAGE)
    assert desk.pdf_of() == ONE
    (kept,) = (desk.config.node.data / "reports").glob("*/*/exam.hl7")
    assert kept.read_bytes() == MESSAGE


def test_frames_may_come_in_pieces_and_several_at_once(desk: IntakeFolder, connect: Connect) -> None:
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
    desk: IntakeFolder, connect: Connect, findings: str
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


def test_half_a_message_is_not_taken(desk: IntakeFolder, connect: Connect, refusals: list[str]) -> None:
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
        from support.hl7_messages import Sender, oru
        from router.clock import SystemClock
        from router.config.sections import Hl7Listener
        from router.process.heap import share_one_heap
        from router.reports.hl7.hl7v2 import Message
        from router.reports.hl7.mllp import MllpServer
        share_one_heap()  # as a node does
        message = oru(more="OBX|9|ED|PDF||^^^^" + "A" * (30 * 2**20)).encode()
        config = Hl7Listener(max_connections_per_sender=8)
        server = MllpServer(config, lambda data: None, print, lambda: None, SystemClock())
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
    assert found.memory < 120, found


def test_tls_is_spoken_where_it_is_set(listen: Listen, desk: IntakeFolder, tmp_path: Path, refusals: list[str]) -> None:
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


def test_a_sender_that_waits_does_not_keep_the_node_from_stopping(desk: IntakeFolder) -> None:
    server = MllpServer(Hl7Listener(), desk.intake.take_message, print, lambda: None, desk.clock)
    with closing(Sender(server.start("127.0.0.1", 0)).socket) as waiting:
        waiting.sendall(b"\x0b" + MESSAGE[:50])
        before = time.monotonic()
        server.stop(30)
    assert time.monotonic() - before < 20


def test_the_node_stops_while_a_connection_is_just_being_taken(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
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


def asking(accept: str, application: str, message: bytes = MESSAGE) -> bytes:
    """The message with MSH-15 and MSH-16."""
    head, _, rest = message.partition(b"\r")
    fields = (head.split(b"|") + [b""] * 20)[:20]
    fields[14:16] = accept.encode(), application.encode()  # MSH-1 is the first separator itself
    return b"|".join(fields) + b"\r" + rest


def answers(sender: Sender, message: bytes) -> list[str]:
    """The codes of all answers; a message in original mode ends them."""
    sender.socket.sendall(b"\x0b" + message + b"\x1c\r\x0b" + oru(exam_id=E2, control="LAST").encode() + b"\x1c\r")
    codes: list[str] = []
    while "|LAST" not in (answer := sender.answer()):
        found = re.search(r"MSA\|(\w\w)\|M1", answer)
        codes.append(found[1] if found else answer)
    return codes


@pytest.mark.parametrize(("accept", "application", "well", "wrong"), [
    ("AL", "NE", ["CA"], ["CE"]), ("AL", "AL", ["CA", "AA"], ["CE"]), ("NE", "AL", ["AA"], ["AE"]),
    ("NE", "NE", [], []), ("ER", "NE", [], ["CE"]), ("SU", "ER", ["CA"], ["AE"]), ("ER", "SU", ["AA"], ["CE"]),
    ("", "", ["AA"], ["AE"]), ('""', '""', ["AA"], ["AE"]), ("Y", "2.5", ["AA"], ["AE"]),
    ("", "al", ["AA"], ["AE"]), ("AL", "", ["CA"], ["CE"]), ("", "ER", [], ["AE"]),
])  # fmt: skip
def test_the_sender_says_which_answers_it_wants(
    connect: Connect, refusals: list[str], accept: str, application: str, well: list[str], wrong: list[str]
) -> None:
    sender = connect()
    assert answers(sender, asking(accept, application)) == well
    assert refusals == []
    assert answers(sender, asking(accept, application, oru(exam_id="").encode())) == wrong
    assert len(refusals) == 1, "what nobody is told is journaled all the same"


def test_an_accept_acknowledgement_says_why_a_message_of_another_kind_is_rejected(connect: Connect) -> None:
    answer = connect().send(asking("AL", "NE", MESSAGE.replace(b"ORU^R01", b"ADT^A01")))
    assert "MSA|CR|M1" in answer
    assert "ERR|||200^^HL70357|E" in answer


def test_a_separator_within_a_chinese_name_of_the_header_moves_no_field(connect: Connect) -> None:
    name = "竱"
    assert name.encode("gb18030").endswith(b"|"), "its second byte is the separator's"
    written = asking("AL", "NE", MESSAGE.replace(b"|RIS|", b"|%s|")).decode().replace("%s", name)
    sender = connect()
    sender.socket.sendall(b"\x0b" + written.encode("gb18030") + b"\x1c\r")
    assert sender.answer().endswith("\rMSA|CA|M1")


@pytest.mark.parametrize("kind", [b"ACK^R01^ACK", b"ACK", b"MCF"])
def test_an_answer_is_not_answered(connect: Connect, refusals: list[str], kind: bytes) -> None:
    ack = b"MSH|^~\\&|RIS|H|NODE|C|20240506||" + kind + b"|M1|P|2.5.1\rMSA|AA|X\r"
    assert answers(connect(), ack) == []
    assert refusals == []


@pytest.mark.parametrize("end", [b"\x1c", b"\x1c\n", b"\x1c\0", b"\x1c\r\r\n", b"\x1c\r"])
def test_a_message_may_end_without_a_carriage_return(desk: IntakeFolder, connect: Connect, end: bytes) -> None:
    sender = connect()
    for control in ("M1", "M2"):
        sender.socket.sendall(b"\x0b" + oru(exam_id=E1, pdf=ONE, control=control).encode() + end)
        assert f"MSA|AA|{control}" in sender.answer()
    assert desk.pdf_of() == ONE


def test_messages_that_end_without_a_carriage_return_may_come_at_once(connect: Connect) -> None:
    sender = connect()
    frames = [b"\x0b" + oru(exam_id=E1, control=f"M{n}").encode() + b"\x1c" for n in range(3)]
    sender.socket.sendall(b"\0\r\n".join(frames))
    assert [f"MSA|AA|M{n}" in sender.answer() for n in range(3)] == [True] * 3


@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_a_file_separator_within_a_text_cuts_no_finding(desk: IntakeFolder, connect: Connect, pause: float) -> None:
    sender = connect()
    data = b"\x0b" + oru(exam_id=E1, findings="左肺\x1c右肺结节。").encode() + b"\x1c\r"
    cut = data.index(b"\x1c") + 1
    for piece in (data[:cut], data[cut:]):
        sender.socket.sendall(piece)
        time.sleep(pause)
    assert "MSA|AA|M1" in sender.answer()
    (kept,) = (desk.config.node.data / "reports").glob("*/*/exam.hl7")
    assert kept.read_bytes() == data[1:-2]


def test_nuls_and_line_ends_between_messages_are_passed_over_however_many(connect: Connect) -> None:
    sender = connect()
    assert "MSA|AA|M1" in sender.send(MESSAGE)
    for _ in range(50):
        sender.socket.sendall(b"\0" * 1000 + b"\r\n")
    assert "MSA|AA|M1" in sender.send(MESSAGE)


@pytest.mark.parametrize("said", [b"", b"\0"])
def test_a_connection_that_sends_no_message_is_closed(connect: Connect, said: bytes) -> None:
    sender = connect(idle="1 s")
    began = time.monotonic()
    assert "MSA|AA|M1" in sender.send(MESSAGE)
    sender.socket.settimeout(0.1)
    while time.monotonic() - began < 20:
        try:
            sender.socket.sendall(said)
            if sender.socket.recv(1) == b"":
                break
        except TimeoutError:
            continue
        except OSError:
            break
    assert 0.9 < time.monotonic() - began < 15


def test_a_sender_that_is_gone_is_noticed_by_probes(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    options: list[tuple[int, int]] = []

    class Watched(socket.socket):
        def setsockopt(self, level: int, option: int, value: object, *rest: object) -> None:
            options.append((option, int(str(value))))
            super().setsockopt(level, option, int(str(value)))

    monkeypatch.setattr(socket, "socket", Watched)
    assert "MSA|AA|M1" in connect().send(MESSAGE)
    asked = dict(options)
    assert asked[socket.SO_KEEPALIVE] == 1
    assert asked[socket.TCP_KEEPIDLE] + asked[socket.TCP_KEEPINTVL] * asked[socket.TCP_KEEPCNT] <= 120


def test_one_sender_does_not_hold_every_place(listen: Listen, connect: Connect, refusals: list[str]) -> None:
    port = listen(max_connections=3, max_connections_per_sender=2)
    held = [connect(port), connect(port)]
    assert ["MSA|AA" in sender.send(MESSAGE) for sender in held] == [True, True]
    assert connect(port).answer() == ""
    _wait(lambda: any("max_connections_per_sender" in why for why in refusals))
    other = Sender(port, "127.0.0.2")
    with closing(other.socket):
        assert "MSA|AA" in other.send(MESSAGE)
    held[0].socket.close()
    _wait(lambda: "MSA|AA" in _tried(port))


def test_a_tls_handshake_that_dribbles_does_not_hold_a_place(
    listen: Listen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.reports.hl7.mllp._SEND_SECONDS", 1.0)
    port = listen(tls=Authority(tmp_path).issue("node"))
    began = time.monotonic()
    with closing(Sender(port).socket) as slow:
        slow.settimeout(0.2)
        for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 40:
            try:
                slow.sendall(bytes([byte]))
                if slow.recv(100) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
    assert time.monotonic() - began < 8


def _tried(port: int) -> str:
    sender = Sender(port)
    with closing(sender.socket):
        try:
            return sender.send(MESSAGE)
        except OSError:
            return ""


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)
