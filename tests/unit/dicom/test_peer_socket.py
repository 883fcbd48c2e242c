"""The acceptor's end of a connection: what it waits for, for how long, and what it acknowledges early."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from router.dicom.ul.socket import ConnectionLost, Limits, PeerSocket, TooSlow

SHORT = Limits(idle=0.2, message=0.2, write=0.2, linger=0.2)


class Watched(socket.socket):
    """A socket that notes what is asked of it."""

    notes: list[str]

    def setsockopt(self, level: int, option: int, *value: Any) -> None:
        if (level, option) == (socket.IPPROTO_TCP, socket.TCP_QUICKACK):
            self.notes.append("acknowledge")
        super().setsockopt(level, option, *value)

    def recv_into(self, *arguments: Any) -> int:
        self.notes.append("read")
        return super().recv_into(*arguments)


@pytest.fixture
def pair() -> Iterator[tuple[Watched, socket.socket]]:
    """Our end, and the peer's."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as peer:
        accepted, _ = server.accept()
        with Watched(fileno=accepted.detach()) as ours:
            ours.notes = []
            yield ours, peer


def test_what_came_is_acknowledged_before_more_is_waited_for_but_not_behind_an_answer(
    pair: tuple[Watched, socket.socket],
) -> None:
    ours, peer = pair
    connection = PeerSocket(ours, Limits())
    for text in (b"one", b"two"):
        peer.sendall(text)
        connection.fill()
    connection.send(b"answer")
    peer.sendall(b"three")
    connection.fill()
    assert ours.notes == ["read", "acknowledge", "read", "read"]
    assert bytes(connection.take(11)) == b"onetwothree"


def test_a_peer_that_sends_nothing_is_too_slow(pair: tuple[Watched, socket.socket]) -> None:
    connection = PeerSocket(pair[0], SHORT)
    with pytest.raises(TooSlow):
        connection.await_more()


def test_a_peer_that_reads_nothing_is_too_slow(pair: tuple[Watched, socket.socket]) -> None:
    connection = PeerSocket(pair[0], SHORT)
    with pytest.raises(TooSlow):
        connection.send(bytes(2**25))


def test_a_peer_that_reads_late_gets_all_of_it(pair: tuple[Watched, socket.socket]) -> None:
    ours, peer = pair
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**14)
    text = bytes(range(256)) * 2**12
    connection = PeerSocket(ours, Limits())
    with socket.socket(fileno=peer.detach()) as reader, pytest.MonkeyPatch.context() as patch:
        got = bytearray()
        send = Watched.send

        def sent(self: Watched, data: Any, *arguments: Any) -> int:
            try:
                return send(self, data, *arguments)
            except (TimeoutError, BlockingIOError):
                got.extend(reader.recv(2**20))  # it reads when nothing can be sent
                raise

        patch.setattr(Watched, "send", sent)
        connection.send(text)
        ours.shutdown(socket.SHUT_WR)
        while more := reader.recv(2**20):
            got.extend(more)
    assert bytes(got) == text


def test_a_wait_ends_when_the_peer_closes(pair: tuple[Watched, socket.socket]) -> None:
    ours, peer = pair
    connection = PeerSocket(ours, Limits())
    peer.close()
    with pytest.raises(ConnectionLost):
        connection.await_more()
