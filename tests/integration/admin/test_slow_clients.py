"""The administrator's listener among clients that are slow, idle, many or hostile: who means well is answered."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from router.admin.http.server import LIMITS, MAX_FORM, SPARE_THREADS, AdminServer, Answer, Request
from router.dicom.ul.tls import server_context
from router.web.pending import Limits, is_whole
from support.certificates import Authority

QUICK = replace(LIMITS, head=1.0, request=2.0, idle=1.0)
LARGE = b"x" * 30_000_000
FORM = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n"


class House:
    """A listener with a quick page, one that is long in coming and one that is large."""

    def __init__(self, limits: Limits = LIMITS, context: ssl.SSLContext | None = None) -> None:
        self.asked: list[Request] = []
        self.going = threading.Event()
        routes: dict[str, Callable[[Request], Answer]] = {
            "/health": lambda _: Answer(200, b"well"), "/large": lambda _: Answer(200, LARGE),
            "/echo": self._echo, "/long": self._long,
        }  # fmt: skip
        self._server = AdminServer(routes, lambda: None, context, limits=limits, prompt=("/health",))
        self.port = self._server.start("127.0.0.1", 0)

    def stop(self) -> None:
        self.going.set()
        self._server.stop()

    def connect(self, address: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 5, (address, 0))

    def health(self, address: str = "127.0.0.1") -> float:
        """How long /health takes, in seconds."""
        began = time.monotonic()
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=(address, 0))
        with closing(asking):
            asking.request("GET", "/health")
            answer = asking.getresponse()
            assert (answer.status, answer.read()) == (200, b"well")
        return time.monotonic() - began

    def _echo(self, request: Request) -> Answer:
        self.asked.append(request)
        return Answer(200, repr(sorted(request.form.items())).encode())

    def _long(self, _: Request) -> Answer:
        self.going.wait(20)
        return Answer(200, b"at last")


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    yield house
    house.stop()


@pytest.fixture
def quick() -> Iterator[House]:
    house = House(QUICK)
    yield house
    house.stop()


BEGINNINGS = {
    "nothing": b"",
    "half a line": b"GET /hea",
    "half a head": b"GET /health HTTP/1.1\r\nHost: x\r\nA: ",
    "half a form": FORM + b"a=1",
    "a form that is expected": FORM.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"),
    "a chunked form": b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
    "an answer that is not taken": b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("others", ["the same address", "another address"])
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_slow_clients_do_not_silence_health(house: House, beginning: str, others: str) -> None:
    with ExitStack() as stack:
        for _ in range(50):
            slow = stack.enter_context(closing(house.connect()))
            with suppress(OSError):
                slow.sendall(BEGINNINGS[beginning])
        time.sleep(0.2)
        assert house.health("127.0.0.1" if others == "the same address" else "127.0.0.9") < 8
        assert house.health("127.0.0.1" if others == "the same address" else "127.0.0.9") < 8


def test_many_idle_connections_of_one_address_leave_room_and_push_out_only_each_other(house: House) -> None:
    with ExitStack() as stack:
        other = stack.enter_context(closing(house.connect("127.0.0.7")))
        idle = [stack.enter_context(closing(house.connect())) for _ in range(400)]
        assert house.health("127.0.0.9") < 8
        assert house.health() < 8
        _wait(lambda: sum(map(_is_open, idle)) <= LIMITS.places_of_one)
        assert not _is_open(idle[0])
        assert _is_open(idle[-1])
        assert _is_open(other)


def test_many_idle_connections_of_many_addresses_leave_room(house: House) -> None:
    with ExitStack() as stack:
        for n in range(400):
            stack.enter_context(closing(house.connect(f"127.0.1.{n % 200 + 1}")))
        assert house.health("127.0.0.9") < 8


@pytest.mark.parametrize("beginning", ["nothing", "half a head", "half a form"])
def test_a_request_that_dribbles_is_ended_as_a_whole(quick: House, beginning: str) -> None:
    began = time.monotonic()
    with closing(quick.connect()) as slow:
        slow.sendall(BEGINNINGS[beginning])
        while _is_open(slow) and time.monotonic() - began < 20:
            with suppress(OSError):
                slow.sendall(b"x" if beginning != "nothing" else b"")
            time.sleep(0.1 if beginning != "half a form" else 0.5)
    assert 0.8 < time.monotonic() - began < 15


def test_an_answer_that_is_taken_byte_by_byte_is_ended(quick: House) -> None:
    began = time.monotonic()
    with closing(quick.connect()) as slow:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.sendall(BEGINNINGS["an answer that is not taken"])
        got = 0
        with suppress(OSError):
            while part := slow.recv(200 if time.monotonic() - began < 3 else 2**20):
                got += len(part)
                time.sleep(0.01)
    assert got < len(LARGE)


def test_a_connection_is_kept_for_a_while_and_then_closed(quick: House) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", quick.port, timeout=20)) as asking:
        for _ in range(3):
            asking.request("GET", "/health")
            assert asking.getresponse().read() == b"well"
        assert asking.sock is not None
        began = time.monotonic()
        assert asking.sock.recv(1) == b""
        assert 0.8 < time.monotonic() - began < 15


def test_who_asks_for_long_work_is_not_taken_for_slow(house: House) -> None:
    with ExitStack() as stack:
        asking = [
            stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=20)))
            for _ in range(LIMITS.threads - SPARE_THREADS)
        ]
        for one in asking:
            one.request("GET", "/long")
        threading.Timer(2.5, house.going.set).start()
        assert [one.getresponse().read() for one in asking] == [b"at last"] * len(asking)


def test_while_as_many_wait_as_may_health_is_answered_and_further_ones_are_refused(house: House) -> None:
    with ExitStack() as stack:
        asking = [
            stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", house.port, timeout=20)))
            for _ in range(2 * LIMITS.threads)
        ]
        for one in asking:
            one.request("GET", "/long")
        time.sleep(0.5)
        for _ in range(5):
            assert house.health() < 8
        house.going.set()
        answers = [one.getresponse() for one in asking]
        assert sorted({answer.status for answer in answers}) == [200, 503]
        assert sum(answer.status == 200 for answer in answers) == LIMITS.threads - SPARE_THREADS


def test_a_silent_tls_client_keeps_nobody_waiting(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    house = House(context=server_context(authority.issue("node").model_copy(update={"ca": None})))
    trusting = ssl.create_default_context(cafile=str(authority.certificate))
    try:
        with ExitStack() as stack:
            for n in range(60):
                silent = stack.enter_context(closing(house.connect()))
                silent.sendall(b"\x16\x03\x01\x02\x00\x01"[: n % 7])
            connection = http.client.HTTPSConnection("127.0.0.1", house.port, timeout=5, context=trusting)
            for _ in range(3):
                connection.request("GET", "/health")
                assert connection.getresponse().read() == b"well"
            connection.close()
    finally:
        house.stop()


RUBBISH = [
    b"\0" * 100 + b"\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /health\n\n",
    b"GET //[ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\r\n\r\n",
    b"GET /health HTTP/9.9\r\n\r\n",
    b"G\xffT / HTTP/1.1\r\n\r\n",
    b"GET /%ff%00\xff HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n",
    b"GET / HTTP/1.1\r\n: \r\n\r\n",
    b"GET / HTTP/1.1\r\nA\r\n\r\n",
    b"A" * 40_000,
    b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nContent-Length: 999999999999999999999\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"POST /echo HTTP/1.1\r\nContent-Length: \xb2\r\n\r\n",
    b"POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    b"DELETE /echo HTTP/1.1\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\n\r\n",
    b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n",
    b"GET /health HTTP/1.1\r\nCookie: \xff=\x01;;=\r\n\r\n",
    b"GET /health HTTP/1.1\r\nHost: [\r\n\r\n",
]


@pytest.mark.parametrize("rubbish", RUBBISH, ids=range(len(RUBBISH)))
def test_rubbish_is_answered_or_ended_and_neither_logged_nor_in_the_way(
    quick: House, rubbish: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(quick.connect()) as hostile:
        with suppress(OSError):
            hostile.sendall(rubbish)
            hostile.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(OSError):
            while part := hostile.recv(65536):
                answer += part
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 5")) or rubbish.startswith(b"GET /health")
    assert quick.asked == []
    assert quick.health() < 1
    assert caplog.records == []


def test_a_form_in_pieces_is_whole_and_the_connection_goes_on(house: House) -> None:
    with closing(house.connect()) as sender:
        for piece in (FORM[:30], FORM[30:], b"a=1", b"&b=2&", b"c="):
            sender.sendall(piece)
            time.sleep(0.02)
        assert _until(sender, b"[('a', '1'), ('b', '2'), ('c', '')]")
        sender.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        assert _until(sender, b"\r\n\r\nwell")


@pytest.mark.parametrize(
    ("held", "whole"),
    [
        (b"", False),
        (b"GET / HTTP/1.1\r\n", False),
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET /\n\n", True),
        (FORM + b"a=1", False),
        (FORM + b"a=12345678", True),
        (b"x" * 20_000, True),
        (b"POST / HTTP/1.1\r\ncontent-length:  3\r\n\r\nab", False),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999\r\n\r\n", True),
        (b"POST / HTTP/1.1\r\nX-Content-Length: 9\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nA: b\r\n\r\nContent-Length: 5\r\n", True),
    ],
)
def test_a_request_waits_until_it_is_whole(held: bytes, whole: bool) -> None:
    assert is_whole(held, LIMITS) == whole


def test_the_listener_stops_soon_whatever_clients_do() -> None:
    house = House()
    with ExitStack() as stack:
        for beginning in BEGINNINGS.values():
            stack.enter_context(closing(house.connect())).sendall(beginning)
        time.sleep(0.3)
        began = time.monotonic()
        house.stop()
        assert time.monotonic() - began < 5
        with pytest.raises(ConnectionRefusedError):
            house.connect()


def test_a_port_that_is_taken_is_said_and_leaves_nothing(house: House) -> None:
    before = _descriptors()
    for _ in range(3):
        with pytest.raises(OSError, match="in use") as said:
            AdminServer({}, lambda: None).start("127.0.0.1", house.port)
        assert said.value.strerror
    assert _descriptors() == before
    assert house.health() < 8


def test_neither_threads_nor_descriptors_grow(house: House) -> None:
    house.health()
    before = threading.active_count(), _descriptors()
    for _ in range(4):
        with ExitStack() as stack:
            for n in range(100):
                one = stack.enter_context(closing(house.connect(f"127.0.2.{n + 1}")))
                one.sendall(b"GET /health HTTP/1.1\r\nHost: x\r\n" + (b"\r\n" if n % 2 else b""))
            time.sleep(0.1)
    house.health()
    _wait(lambda: _descriptors() <= before[1] + 2)
    assert threading.active_count() == before[0]


def test_a_form_that_is_too_long_is_answered_without_reading_it(house: House) -> None:
    with closing(house.connect()) as sender:
        sender.sendall(FORM.replace(b"10", str(MAX_FORM + 1).encode()))
        assert _until(sender, b"\r\n").startswith(b"HTTP/1.1 400 ")


def _until(connection: socket.socket, ending: bytes) -> bytes:
    """What comes, up to and with this ending, in as many pieces as it comes; b"" when it does not."""
    found = b""
    while ending not in found:
        if not (part := connection.recv(4096)):
            return b""
        found += part
    return found


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(4096) != b""
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(5)


def _wait(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)
