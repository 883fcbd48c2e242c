"""What a peer's misbehaviour costs: a pause, one item, or a breaker with one alarm and a slow start."""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.catalogue import Catalogue
from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock, SystemClock
from router.config.sections import HttpDestination
from router.crypto.keys import new_folder
from router.delivery.breaker_gate import Route
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import SendResult
from router.dicom.scu.client import StorageClient
from router.dicom.ul.status import Verdict
from router.errors import DestinationDown, PermanentError, TransientError
from router.events import Event, EventBus, Kind
from router.forward.credentials import load_credentials
from router.forward.report import ReportAgent
from router.model import Channel
from router.policy.breaker import CLOSED, Position
from router.policy.states import State
from support.catalogue_rows import CLOUD, NOW, Database, exam
from support.dicom_peers import client, free_port, made, stored
from support.scripted_acceptors import (
    RELEASE_RP,
    Acceptor,
    Script,
    accept,
    command_of,
    fixed,
    obliging,
    pdata,
    read_instance,
    read_pdu,
)
from support.selective_destination import Picky

DONE = SendResult(State.DELIVERED, "sent", units=1)
REJECTED = b"\x03\x00\x00\x00\x00\x04\x00\x01\x01\x07"  # for good: called AE title not recognised


class Bench:
    """A queue of ready deliveries, and what the event bus told."""

    def __init__(self, catalogue: Catalogue, told: list[Event], channel: Channel, ready: int) -> None:
        self.catalogue, self.told, self.channel = catalogue, told, channel
        self.clock = FakeClock(NOW)
        self.dispatcher = Dispatcher(catalogue, "node1", EventBus(), self.clock)
        self.made = [self._make(n) for n in range(ready)]

    def _make(self, n: int) -> int:
        number = exam(self.catalogue, f"E{n}")
        self.catalogue.queue.make(number, [(CLOUD, self.channel)], NOW)
        [one] = self.catalogue.queue.of_exam(number)
        changes = {"due": NOW + timedelta(hours=1)}
        self.catalogue.queue.move(one, State.READY, NOW, "all there", changes=changes)
        return one.id

    def get(self, n: int) -> Delivery:
        found = self.catalogue.queue.get(self.made[n])
        assert found is not None
        return found

    def states(self) -> list[State]:
        return [self.get(n).state for n in range(len(self.made))]

    def position(self) -> Position:
        return self.catalogue.breakers.of(CLOUD, self.channel).position

    def alarms(self) -> list[Kind]:
        return [event.kind for event in self.told if event.alarm == Alarm.BREAKER]


class Scripted:
    """Ends as the script says; its last word stands."""

    def __init__(self, *script: Exception | SendResult) -> None:
        self._script = list(script)

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        del delivery, stop
        step = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if isinstance(step, Exception):
            raise step
        return step


class Images:
    """C-STORE of one instance."""

    def __init__(self, to: StorageClient, folder: Path) -> None:
        self._to, self._item = to, stored(made(folder, 1))

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        del delivery
        [result] = self._to.send([self._item], stop)
        if result.verdict == Verdict.LATER:
            raise TransientError(result.why)
        return DONE if result.verdict == Verdict.STORED else SendResult(State.FAILED, result.why)


@pytest.fixture
def bench(sqlite: Database) -> Iterator[Callable[[Channel, int], Bench]]:
    told: list[Event] = []
    catalogue = sqlite.open(told.append)
    yield lambda channel, ready: Bench(catalogue, told, channel, ready)
    catalogue.engine.close_thread()


Make = Callable[[Channel, int], Bench]


def test_trouble_of_one_delivery_puts_off_that_one_inside_its_due_time(bench: Make) -> None:
    desk = bench(Channel.REPORT, 2)
    lane = Route(destination=CLOUD, channel=Channel.REPORT, width=1, sender=Scripted(TransientError("503"), DONE))
    assert desk.dispatcher.run_one(lane)
    assert desk.dispatcher.run_one(lane)
    assert desk.states() == [State.DEFERRED, State.DELIVERED]
    put_off = desk.get(0)
    assert put_off.next_try is not None
    assert timedelta(seconds=4) <= put_off.next_try - NOW <= timedelta(seconds=5)
    assert (put_off.attempts, desk.position(), desk.alarms()) == (1, Position.CLOSED, [])


def test_a_refusal_fails_that_item_and_the_rest_goes_on(bench: Make) -> None:
    desk = bench(Channel.REPORT, 2)
    lane = Route(destination=CLOUD, channel=Channel.REPORT, width=1, sender=Scripted(PermanentError("422"), DONE))
    while desk.dispatcher.run_one(lane):
        pass
    assert (desk.states(), desk.alarms()) == ([State.FAILED, State.DELIVERED], [])


@pytest.mark.fires("breaker")
def test_a_thousand_deliveries_to_a_dead_destination_are_one_try_and_one_alarm(bench: Make) -> None:
    desk = bench(Channel.IMAGES, 20)
    lane = Route(
        destination=CLOUD,
        channel=Channel.IMAGES,
        width=2,
        sender=Scripted(DestinationDown("cannot connect")),
        probe=_unreachable,
    )
    tries = sum(desk.dispatcher.run_one(lane) for _ in range(50))
    assert tries == 1
    assert set(desk.states()) == {State.READY}
    assert (desk.get(0).attempts, desk.get(0).error) == (0, "cannot connect")
    for _ in range(100):
        desk.clock.advance(1)
        assert not desk.dispatcher.run_one(lane)
    assert (desk.position(), desk.alarms()) == (Position.OPEN, [Kind.ALARM])
    assert desk.catalogue.breakers.of(CLOUD, Channel.IMAGES).failures >= 4


def test_the_start_is_slow_and_the_alarm_ends_with_it(bench: Make) -> None:
    desk, narrowed = bench(Channel.IMAGES, 6), list[int]()
    sender = Scripted(DestinationDown("cannot connect"), DONE)
    lane = Route(
        destination=CLOUD, channel=Channel.IMAGES, width=3, sender=sender, probe=lambda: None, narrow=narrowed.append
    )
    assert desk.dispatcher.run_one(lane)
    desk.clock.advance(5)
    while desk.dispatcher.run_one(lane):
        pass
    assert narrowed[:5] == [3, 1, 2, 3, 3]
    assert (desk.position(), desk.alarms()) == (Position.CLOSED, [Kind.ALARM, Kind.CLEARED])
    assert set(desk.states()) == {State.DELIVERED}


def test_while_it_starts_no_lane_sends_beside_the_first(bench: Make) -> None:
    desk, beside = bench(Channel.IMAGES, 3), list[bool]()

    class Sender:
        def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
            del delivery, stop
            if desk.position() == Position.HALF_OPEN and not beside:
                beside.append(desk.dispatcher.run_one(lane))
            return DONE

    down = Route(destination=CLOUD, channel=Channel.IMAGES, width=2, sender=Scripted(DestinationDown("cannot connect")))
    lane = Route(destination=CLOUD, channel=Channel.IMAGES, width=2, sender=Sender())
    assert desk.dispatcher.run_one(down)
    desk.clock.advance(5)
    assert desk.dispatcher.run_one(lane)
    assert beside == [False]


def test_a_breaker_closes_also_where_nothing_waits_any_more(bench: Make) -> None:
    desk = bench(Channel.IMAGES, 1)
    lane = Route(destination=CLOUD, channel=Channel.IMAGES, width=2, sender=Scripted(DestinationDown("cannot connect")))
    assert desk.dispatcher.run_one(lane)
    assert desk.catalogue.queue.move(desk.get(0), State.CANCELLED, NOW, "no more")
    desk.clock.advance(5)
    for _ in range(3):
        assert not desk.dispatcher.run_one(lane)
    assert (desk.position(), desk.alarms()) == (Position.CLOSED, [Kind.ALARM, Kind.CLEARED])


def _unreachable() -> None:
    raise DestinationDown("still cannot connect")


def _refusing(status: int) -> Script:
    def script(connection: socket.socket) -> None:
        accept(connection)
        number, message, _ = read_instance(connection)
        connection.sendall(pdata(number, 3, command_of(message, status)))
        read_pdu(connection)

    return script


@pytest.mark.parametrize(
    ("status", "ends"),
    [(0xA700, State.DEFERRED), (0x0213, State.DEFERRED), (0xA900, State.FAILED), (0xC123, State.FAILED)],
)
def test_a_status_concerns_the_item_never_the_destination(
    bench: Make, tmp_path: Path, status: int, ends: State
) -> None:
    desk, peer = bench(Channel.IMAGES, 1), Acceptor(_refusing(status))
    to = client(peer.port)
    assert desk.dispatcher.run_one(
        Route(
            destination=CLOUD,
            channel=Channel.IMAGES,
            width=1,
            sender=Images(to, tmp_path),
            probe=to.probe,
            narrow=to.narrow,
        )
    )
    peer.close()
    assert (desk.states(), desk.position()) == ([ends], Position.CLOSED)


def _rejecting(connection: socket.socket) -> None:
    read_pdu(connection)
    connection.sendall(REJECTED)


def _echoing(connection: socket.socket) -> None:
    accept(connection)
    _, pdu = read_pdu(connection)
    message = pdu[pdu.index(b"\x00\x00\x10\x01\x02\x00\x00\x00") + 8]
    connection.sendall(pdata(pdu[10], 3, command_of(message, field=0x8030)))
    read_pdu(connection)
    connection.sendall(fixed(RELEASE_RP))


@pytest.mark.parametrize("first", [(), (_rejecting, _rejecting)], ids=["nobody listens", "it rejects us"])
def test_a_dicom_destination_that_comes_back_is_found_by_c_echo(
    bench: Make, tmp_path: Path, first: tuple[Script, ...]
) -> None:
    desk, port, scripts = bench(Channel.IMAGES, 3), free_port(), [*first, _echoing]
    to = client(port)
    lane = Route(
        destination=CLOUD,
        channel=Channel.IMAGES,
        width=2,
        sender=Images(to, tmp_path),
        probe=to.probe,
        narrow=to.narrow,
    )
    peer = None

    def script(connection: socket.socket) -> None:
        (scripts.pop(0) if scripts else obliging)(connection)

    if first:
        peer = Acceptor(script, port)
    assert desk.dispatcher.run_one(lane)
    desk.clock.advance(5)
    assert not desk.dispatcher.run_one(lane)
    assert desk.catalogue.breakers.of(CLOUD, Channel.IMAGES).failures == 2
    peer = peer or Acceptor(script, port)
    desk.clock.advance(10)
    while desk.dispatcher.run_one(lane):
        pass
    peer.close()
    assert set(desk.states()) == {State.DELIVERED}
    assert {desk.get(n).attempts for n in range(3)} == {1}
    assert desk.catalogue.breakers.of(CLOUD, Channel.IMAGES) == CLOSED
    assert desk.alarms() == [Kind.ALARM, Kind.CLEARED]


@pytest.mark.parametrize("ending", [State.WAITING, State.HELD, State.DELIVERED])
def test_a_destination_does_not_take_again_what_ended_without_its_word(bench: Make, ending: State) -> None:
    """Not sent, held for a damaged file, or sent before the outage: the destination was not asked."""
    desk = bench(Channel.REPORT, 3)
    script = Scripted(DestinationDown("no connection"), SendResult(ending, "not sent"), DONE)
    lane = Route(destination=CLOUD, channel=Channel.REPORT, width=1, sender=script)
    assert desk.dispatcher.run_one(lane)
    desk.clock.advance(60)
    assert desk.dispatcher.run_one(lane)
    assert (desk.position(), desk.alarms()) == (Position.HALF_OPEN, [Kind.ALARM])
    assert desk.dispatcher.run_one(lane)
    assert (desk.position(), desk.alarms()) == (Position.CLOSED, [Kind.ALARM, Kind.CLEARED])


def test_a_destination_that_accepts_no_context_for_a_while_has_nothing_failed(bench: Make, tmp_path: Path) -> None:
    desk, picky = bench(Channel.IMAGES, 3), Picky(lambda contexts: [])
    peer = Acceptor(picky)
    to = client(peer.port)
    lane = Route(
        destination=CLOUD,
        channel=Channel.IMAGES,
        width=2,
        sender=Images(to, tmp_path),
        probe=lambda: None,
        narrow=to.narrow,
    )
    for _ in range(10):
        while desk.dispatcher.run_one(lane):
            pass
        desk.clock.advance(60)
    assert (set(desk.states()), desk.position()) == ({State.READY}, Position.OPEN)
    assert desk.alarms() == [Kind.ALARM]
    assert "accepts no image" in desk.get(0).error
    picky.accepts = lambda contexts: contexts
    while desk.dispatcher.run_one(lane):
        pass
    peer.close()
    assert set(desk.states()) == {State.DELIVERED}
    assert desk.alarms() == [Kind.ALARM, Kind.CLEARED]


@contextmanager
def _platform(statuses: Sequence[int]) -> Iterator[str]:
    """Answers token calls with these, the last one for ever."""
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status = left.pop(0) if len(left) > 1 else left[0]
            body = json.dumps({"token": "t", "expires_in": 60}).encode() if status == 200 else b""
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """The test's output is no log."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _agent(folder: Path, url: str) -> ReportAgent:
    new_folder(folder)
    settings = HttpDestination.model_validate(
        {
            "url": url,
            "api_key_file": folder / "api.key",
            "signing_key_file": folder / "hospital-sign.pem",
            "platform_signing_key_file": folder / "platform-sign.pub.pem",
            "platform_encryption_key_file": folder / "platform-encrypt.pub.pem",
        }
    )
    keys = load_credentials(settings)
    return ReportAgent(settings, lambda: keys, SystemClock())


class Reports:
    """A token, as before each upload."""

    def __init__(self, agent: ReportAgent) -> None:
        self._agent = agent

    def send(self, delivery: Delivery, stop: Callable[[], bool]) -> SendResult:
        del delivery, stop
        self._agent.probe()
        return DONE


@pytest.mark.parametrize("status", [401, 403])
def test_a_platform_that_refuses_us_is_asked_for_a_token_until_it_takes_us(
    bench: Make, tmp_path: Path, status: int
) -> None:
    desk = bench(Channel.REPORT, 3)
    with _platform([status, status, 200]) as url:
        agent = _agent(tmp_path / "keys", url)
        lane = Route(destination=CLOUD, channel=Channel.REPORT, width=1, sender=Reports(agent), probe=agent.probe)
        assert desk.dispatcher.run_one(lane)
        desk.clock.advance(5)
        assert not desk.dispatcher.run_one(lane)
        desk.clock.advance(10)
        while desk.dispatcher.run_one(lane):
            pass
    assert set(desk.states()) == {State.DELIVERED}
    assert desk.alarms() == [Kind.ALARM, Kind.CLEARED]


@pytest.mark.parametrize("status", [429, 503, 500])
def test_a_busy_platform_is_no_dead_one(bench: Make, tmp_path: Path, status: int) -> None:
    desk = bench(Channel.REPORT, 1)
    with _platform([status]) as url:
        agent = _agent(tmp_path / "keys", url)
        assert desk.dispatcher.run_one(
            Route(destination=CLOUD, channel=Channel.REPORT, width=1, sender=Reports(agent), probe=agent.probe)
        )
    assert (desk.states(), desk.position()) == ([State.DEFERRED], Position.CLOSED)
