"""Peers that are slow, wrong or hostile: each costs only itself, and leaves no file, thread or socket behind."""

import os
import random
import resource
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from router.dicom.scp.admission import Admission
from router.dicom.scp.pending import MOST
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.ul import dimse, pdu
from router.dicom.ul.socket import Limits
from router.refusals import Why
from router.storage.incoming import IncomingFolder
from support.raw_pdus import (
    COMMAND,
    DATA,
    GOOD,
    LAST,
    REQUEST,
    aborted,
    answer,
    associated,
    connected,
    data_set,
    p_data,
    status,
    store_command,
)

QUICK = Limits(association_request=0.5, idle=1.0, message=0.6, slowest=2**20, write=1.0, linger=0.3)


class Node:
    """A server of ours that writes to a real folder."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder = folder
        self.outcomes: list[Received | Refused] = []
        self.server = StorageServer(
            IncomingFolder(folder, 0), admission=Admission(), record=self.outcomes.append, limits=limits
        )
        self.port = self.server.start("127.0.0.1", 0)

    def files(self) -> list[str]:
        return sorted(path.suffix for path in self.folder.iterdir())


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "incoming", QUICK)
    yield node
    node.server.stop(2)


def works(node: Node) -> bool:
    """Whether a good sender is served."""
    with associated(node.port) as peer:
        peer.sendall(GOOD)
        return status(peer) == 0


def wait_until_gone(threads: set[threading.Thread], seconds: float = 3) -> None:
    until = time.monotonic() + seconds
    while set(threading.enumerate()) - threads:
        assert time.monotonic() < until, "a thread stays"
        time.sleep(0.02)


def test_a_good_sender_is_served(node: Node) -> None:
    assert works(node)
    assert node.files() == [".dcm"]


def test_a_pdu_of_4_gib_before_the_association_is_aborted_without_taking_memory(node: Node) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with connected(node.port) as peer:
        peer.sendall(b"\1\0\xff\xff\xff\xff" + bytes(100))
        assert aborted(peer) == (2, 6)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
    assert works(node)


@pytest.mark.parametrize("kind", [4, 5, 6, 7])
def test_a_pdu_of_4_gib_in_the_association_is_aborted_without_taking_memory(node: Node, kind: int) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with associated(node.port) as peer:
        peer.sendall(bytes((kind, 0)) + b"\xff\xff\xff\xff")
        assert aborted(peer) == (2, 6)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_something_else_than_dicom_is_aborted_at_once(node: Node) -> None:
    with connected(node.port) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert aborted(peer) == (2, 1)
    with connected(node.port) as peer:
        peer.sendall(pdu.release_response())
        assert aborted(peer) == (2, 2)


def test_an_association_request_of_rubbish_is_aborted(node: Node) -> None:
    with connected(node.port) as peer:
        peer.sendall(struct.pack(">BxL", 1, 200) + os.urandom(200))
        kind, _ = answer(peer)
        assert kind in {pdu.PduType.ABORT, pdu.PduType.ASSOCIATE_RJ}


@pytest.mark.parametrize(
    ("offset", "value", "rejection"),
    [(7, b"\2", b"\1\2\2"), (78, b"9", b"\1\1\2")],
    ids=["protocol version", "application context"],
)
def test_a_request_of_another_protocol_is_rejected_for_good(
    node: Node, offset: int, value: bytes, rejection: bytes
) -> None:
    changed = REQUEST[:offset] + value + REQUEST[offset + 1 :]
    with connected(node.port) as peer:
        peer.sendall(changed)
        kind, body = answer(peer)
        assert (kind, body[1:]) == (pdu.PduType.ASSOCIATE_RJ, rejection)


@pytest.mark.parametrize("kind", [1, 2, 3, 6])
def test_an_unexpected_pdu_is_aborted_with_its_reason(node: Node, kind: int) -> None:
    with associated(node.port) as peer:
        peer.sendall(struct.pack(">BxL", kind, 4) + bytes(4))
        assert aborted(peer) == (2, 2)


def test_a_pdu_of_unknown_type_is_aborted_with_its_reason(node: Node) -> None:
    with associated(node.port) as peer:
        peer.sendall(struct.pack(">BxL", 0x2A, 4) + bytes(4))
        assert aborted(peer) == (2, 1)


@pytest.mark.parametrize("size", [0, 1, 3, 100, 0xFFFFFFFF])
def test_a_pdv_whose_length_lies_is_aborted(node: Node, size: int) -> None:
    with associated(node.port) as peer:
        peer.sendall(struct.pack(">BxLLBB", 4, 12, size, 1, COMMAND | LAST) + bytes(6))
        if size == 3:  # the PDV fits, and what follows it does not
            peer.sendall(bytes(6))
        assert aborted(peer) == (2, 6)


def test_data_before_its_command_is_aborted(node: Node) -> None:
    with associated(node.port) as peer:
        peer.sendall(p_data(data_set(), DATA | LAST))
        assert aborted(peer) == (2, 5)
    assert node.files() == []


def test_a_command_inside_a_data_set_is_aborted_and_leaves_no_file(node: Node) -> None:
    with associated(node.port) as peer:
        peer.sendall(p_data(store_command(), COMMAND | LAST) + p_data(data_set(), DATA))
        peer.sendall(p_data(store_command(), COMMAND | LAST))
        assert aborted(peer) == (2, 5)
    assert node.files() == []


def test_another_context_inside_a_message_is_aborted(node: Node) -> None:
    with associated(node.port) as peer:
        peer.sendall(p_data(store_command(), COMMAND | LAST) + p_data(data_set(), DATA | LAST, context=3))
        assert aborted(peer) == (2, 5)


def test_a_context_that_was_never_accepted_is_aborted(node: Node) -> None:
    with associated(node.port) as peer:
        peer.sendall(p_data(store_command(), COMMAND | LAST, context=99))
        assert aborted(peer) == (2, 6)


def test_a_command_set_of_a_gigabyte_is_aborted_at_its_cap(node: Node) -> None:
    fragment = p_data(bytes(16000), COMMAND)
    sent = 0
    with associated(node.port) as peer:
        try:
            while sent < 2**30:
                peer.sendall(fragment)
                sent += len(fragment)
        except OSError:
            pass
    assert sent < 64 * 2**20
    assert works(node)


def test_a_command_set_of_rubbish_is_aborted(node: Node) -> None:
    with associated(node.port) as peer:
        peer.sendall(p_data(os.urandom(40), COMMAND | LAST))
        assert aborted(peer) == (2, 6)


def test_an_operation_that_the_node_does_not_know_is_answered_so(node: Node) -> None:
    find = store_command().replace(struct.pack("<HHLH", 0, 0x0100, 2, 1), struct.pack("<HHLH", 0, 0x0100, 2, 0x20))
    with associated(node.port) as peer:
        peer.sendall(p_data(find, COMMAND | LAST) + p_data(data_set(), DATA | LAST))
        assert status(peer) == dimse.UNRECOGNIZED_OPERATION
        peer.sendall(GOOD)
        assert status(peer) == 0


def test_c_store_in_the_context_of_verification_is_refused(node: Node) -> None:
    with associated(node.port) as peer:
        peer.sendall(p_data(store_command(), COMMAND | LAST, 3) + p_data(data_set(), DATA | LAST, 3))
        assert status(peer) == dimse.NO_SUCH_SOP_CLASS


@pytest.mark.parametrize(
    ("sop", "expected"),
    [
        (b"../../x\0", 0xA900),
        (b"/etc/passwd\0", 0xA900),
        (b"1" * 64, 0),
        (b"1" * 65 + b"\0", 0xA900),
        (b"1.2.3.4\0\0\0\0", 0),
        (b"1.2.3.4   ", 0),
        (b"1..2\0\0", 0xA900),
        (b"", 0xA900),
    ],
)
def test_a_uid_becomes_a_value_or_is_refused_never_a_path(node: Node, sop: bytes, expected: int) -> None:
    with associated(node.port) as peer:
        peer.sendall(p_data(store_command(sop), COMMAND | LAST) + p_data(data_set(sop), DATA | LAST))
        assert status(peer) == expected
    assert node.files() == ([] if expected else [".dcm"])
    assert {path.name for path in node.folder.parent.iterdir()} == {"incoming"}


def test_a_wrong_study_uid_in_the_data_set_is_refused_and_the_association_goes_on(node: Node) -> None:
    with associated(node.port) as peer:
        peer.sendall(p_data(store_command(), COMMAND | LAST) + p_data(data_set(study=b"../../x\0"), DATA | LAST))
        assert status(peer) == 0xA900
        peer.sendall(GOOD)
        assert status(peer) == 0
    assert node.files() == [".dcm"]


@pytest.mark.parametrize("last_word", [pdu.abort(pdu.AbortSource.SERVICE_USER), b"", b"\4\0\0"])
def test_an_end_in_the_middle_leaves_no_file(node: Node, last_word: bytes) -> None:
    before = set(threading.enumerate())
    with associated(node.port) as peer:
        peer.sendall(p_data(store_command(), COMMAND | LAST) + p_data(bytes(5000), DATA) + last_word)
    wait_until_gone(before)
    assert node.files() == []
    assert node.outcomes == []


def test_a_byte_a_second_ends_in_time_before_and_in_the_association(node: Node) -> None:
    began = time.monotonic()
    with connected(node.port) as peer:
        assert ended_while_dripping(peer, REQUEST) < began + 8
    began = time.monotonic()
    with associated(node.port) as peer:
        assert ended_while_dripping(peer, GOOD) < began + 8
    assert node.files() == []


def ended_while_dripping(peer: socket.socket, data: bytes) -> float:
    """Send byte by byte until the other side has had enough; when that was."""
    peer.settimeout(0.05)
    for byte in data:
        try:
            peer.send(bytes((byte,)))
            while peer.recv(100):
                pass
        except TimeoutError:
            continue
        except OSError:
            break
        break
    return time.monotonic()


def test_an_idle_association_is_aborted(node: Node) -> None:
    with associated(node.port) as peer:
        assert aborted(peer) == (2, 0)


def test_a_peer_that_takes_no_answer_is_given_up(node: Node) -> None:
    before = set(threading.enumerate())
    echo = struct.pack("<HHLH", 0, 0x0100, 2, 0x30) + struct.pack("<HHLH", 0, 0x0110, 2, 1)
    echo += struct.pack("<HHLH", 0, 0x0800, 2, 0x0101)
    with connected(node.port) as peer:
        peer.sendall(REQUEST)
        peer.settimeout(20)
        with suppress(OSError):  # ends when the node has had enough
            for _ in range(200):
                peer.sendall(p_data(echo, COMMAND | LAST, 3) * 500)
        wait_until_gone(before, 30)


def test_a_release_is_answered_and_makes_room_at_once(tmp_path: Path) -> None:
    server = StorageServer(
        IncomingFolder(tmp_path / "in", 0), admission=Admission(max_associations=1), record=lambda _: None
    )
    port = server.start("127.0.0.1", 0)
    try:
        for _ in range(20):
            with associated(port) as peer:
                peer.sendall(struct.pack(">BxL", 5, 4) + bytes(4))
                assert answer(peer)[0] == pdu.PduType.RELEASE_RP
    finally:
        server.stop(2)


def test_an_association_that_gets_no_thread_costs_itself_alone(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched, connected(node.port) as peer:
        patched.setattr(threading.Thread, "start", none_left)
        peer.sendall(REQUEST)
        assert answer(peer) == (0, b"")
    assert works(node)


def test_a_file_that_cannot_be_discarded_does_not_count_its_association_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = IncomingFolder(tmp_path / "in", 0)
    server = StorageServer(sink, admission=Admission(max_associations=1), record=lambda _: None)
    port = server.start("127.0.0.1", 0)

    def broken(_part: str) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(sink, "unlink", broken)
    try:
        before = set(threading.enumerate())
        with associated(port) as peer:
            peer.sendall(p_data(store_command(), COMMAND | LAST) + p_data(bytes(5000), DATA))
        wait_until_gone(before)
        with associated(port):
            pass
    finally:
        server.stop(2)


def good_seconds(port: int, count: int = 60) -> float:
    began = time.monotonic()
    with associated(port) as peer:
        for _ in range(count):
            peer.sendall(GOOD)
            assert status(peer) == 0
    return time.monotonic() - began


@contextmanager
def half_open(port: int, count: int) -> Iterator[None]:
    """So many connections that never finish their association request."""
    with ExitStack() as crowd:
        for number in range(count):
            peer = crowd.enter_context(socket.create_connection(("127.0.0.1", port)))
            peer.sendall(REQUEST[: number % 80])
        yield


def test_a_hundred_half_open_sockets_do_not_slow_a_good_sender(tmp_path: Path) -> None:
    node = Node(tmp_path / "in", Limits())
    alone, beside = [], []
    try:
        for _ in range(8):  # in pairs: whatever else the machine does slows both, and only some of them
            alone.append(good_seconds(node.port))
            with half_open(node.port, 100):
                beside.append(good_seconds(node.port))
            if len(beside) > 2 and min(beside) < 2 * min(alone):
                return
    finally:
        node.server.stop(2)
    pytest.fail(f"seconds alone {alone}, beside {beside}")


def test_more_half_open_sockets_than_seats_push_out_the_oldest(tmp_path: Path) -> None:
    node = Node(tmp_path / "in", Limits())
    try:
        idle = [socket.create_connection(("127.0.0.1", node.port)) for _ in range(MOST + 40)]
        assert works(node)
        idle[0].settimeout(2)
        assert idle[0].recv(1) == b""
        for peer in idle:
            peer.close()
    finally:
        node.server.stop(2)


def mutated(random_: random.Random) -> bytes:
    """A conversation with some bytes changed, cut, doubled or moved."""
    data = bytearray(REQUEST + GOOD + p_data(store_command(), COMMAND | LAST) + struct.pack(">BxL", 5, 4) + bytes(4))
    start = 0 if random_.random() < 0.4 else len(REQUEST)
    for _ in range(random_.randint(1, 6)):
        at = random_.randrange(start, len(data))
        kind = random_.randrange(4)
        if kind == 0:
            data[at] = random_.choice((0, 1, 2, 3, 4, 5, 7, 0x7F, 0x80, 0xFF, random_.randrange(256)))
        elif kind == 1:
            data[at : at + 4] = struct.pack(">L", random_.choice((0, 1, 2, 2**31, 2**32 - 1, random_.randrange(2**17))))
        elif kind == 2:
            del data[at : at + random_.randrange(1, 40)]
        else:
            data[at:at] = data[at - random_.randrange(1, 40) : at]
        start = min(start, len(data) - 1)
    return bytes(data)


def test_two_seconds_of_mutated_conversations_break_and_leak_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seed = random.randrange(2**32)
    random_ = random.Random(seed)
    node = Node(tmp_path / "in", Limits(association_request=0.1, idle=0.1, message=0.1, write=0.1, linger=0.05))
    before = set(threading.enumerate())
    handles = len(list(Path("/proc/self/fd").iterdir()))
    try:
        until = time.monotonic() + 2
        while time.monotonic() < until:
            with connected(node.port) as peer:
                peer.sendall(mutated(random_))
                if random_.random() < 0.3:
                    answer(peer)
        wait_until_gone(before)
        assert works(node), f"seed {seed}"
        wait_until_gone(before)
        assert "Traceback" not in caplog.text, f"seed {seed}"
        assert ".part" not in node.files(), f"seed {seed}"
        assert len(list(Path("/proc/self/fd").iterdir())) <= handles, f"seed {seed}"
    finally:
        node.server.stop(2)


def refused(node: Node) -> tuple[str, str, str, str]:
    """Cause, called AE, study and instance of the one refusal so far."""
    until = time.monotonic() + 20
    while not (found := [outcome for outcome in node.outcomes if isinstance(outcome, Refused)]):
        assert time.monotonic() < until
        time.sleep(0.02)
    [one] = found
    return one.code, one.called_ae, one.study, one.sop


BEGUN = p_data(store_command(), COMMAND | LAST) + p_data(data_set(pixels=20_000)[:10_000], DATA)


def test_an_instance_that_is_cut_short_by_a_violation_is_named(node: Node) -> None:
    with associated(node.port) as peer:
        peer.sendall(BEGUN + b"\x01\0\0\0\0\4abcd")
        assert aborted(peer)[0] == 2
    assert refused(node) == (Why.PROTOCOL, "ROUTER", "1.2.3", "1.2.3.4.5")


def test_an_instance_that_comes_too_slowly_is_named(node: Node) -> None:
    with associated(node.port) as peer:
        peer.sendall(BEGUN)
        assert aborted(peer)[0] == 2
    assert refused(node) == (Why.SLOW, "ROUTER", "1.2.3", "1.2.3.4.5")


def test_an_association_that_is_idle_too_long_is_told_apart_from_one_that_is_slow(node: Node) -> None:
    with associated(node.port) as peer:
        peer.sendall(GOOD)
        assert status(peer) == 0
        assert aborted(peer)[0] == 2
    assert refused(node) == (Why.IDLE, "ROUTER", "", "")


def test_a_peer_that_speaks_something_else_is_known_by_its_address_alone(node: Node) -> None:
    with connected(node.port) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        answer(peer)
    assert refused(node) == (Why.PROTOCOL, "", "", "")
