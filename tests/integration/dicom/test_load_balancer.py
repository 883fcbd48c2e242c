"""Nodes behind a load balancer: whose connection it is comes by the PROXY protocol, and HAProxy leaves out the sick."""

import ipaddress
import socket
import ssl
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.admin.http.health import health
from router.admin.http.server import AdminServer
from router.config.sections import Sender, Tls
from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.ul import proxy
from router.dicom.ul.pdu import PduType
from router.dicom.ul.socket import Limits
from router.errors import InvalidData, TransientError
from router.storage.incoming import IncomingFolder
from support.certificates import Authority
from support.dicom_peers import made, send, stored, wait_until
from support.haproxy import haproxy
from support.raw_pdus import REQUEST, answer, connected

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
PACS = "127.0.0.9"


def header(address: str = PACS, *, command: int = 0x21, further: bytes = b"") -> bytes:
    """As a proxy sends it."""
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    addresses = socket.inet_pton(kind, address) * 2 + struct.pack("!HH", 1040, 11112) + further
    return SIGNATURE + struct.pack("!BBH", command, 0x21 if ":" in address else 0x11, len(addresses)) + addresses


class Node:
    """A server that takes its senders' addresses from proxies, and a health that can be set."""

    def __init__(self, folder: Path, tls: Tls | None = None, proxies: tuple[str, ...] = ("127.0.0.1",)) -> None:
        self.well = True
        self.outcomes: list[Received | Refused] = []
        admission = Admission(senders=(Sender(ae_title="PACS", address=PACS), Sender(ae_title="HOSTILE", address=PACS)))
        limits = Limits(association_request=1.0, proxies=proxies)
        sink = IncomingFolder(folder, 0)
        self._server = StorageServer(sink, admission=admission, record=self.outcomes.append, limits=limits, tls=tls)
        self._health = AdminServer({"/health": health(lambda: {"ok": self.well})}, lambda: None)
        self.port, self.health_port = self._server.start("127.0.0.1", 0), self._health.start("127.0.0.1", 0)

    def stop(self) -> None:
        self._server.stop(1)
        self._health.stop()


@contextmanager
def running(folder: Path, tls: Tls | None = None, proxies: tuple[str, ...] = ("127.0.0.1",)) -> Iterator[Node]:
    node = Node(folder, tls, proxies)
    try:
        yield node
    finally:
        node.stop()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    with running(tmp_path / "in") as found:
        yield found


def test_a_sender_is_judged_by_the_address_that_the_proxy_says(node: Node) -> None:
    with connected(node.port) as peer:
        for byte in header(further=b"\3\0\4abcd") + REQUEST[:20]:
            peer.sendall(bytes([byte]))
        peer.sendall(REQUEST[20:])
        assert answer(peer)[0] == PduType.ASSOCIATE_AC
    with connected(node.port) as peer:
        peer.sendall(header("10.9.9.9") + REQUEST)
        assert answer(peer)[0] == PduType.ASSOCIATE_RJ
    wait_until(lambda: [one.address for one in node.outcomes] == ["10.9.9.9"])


@pytest.mark.parametrize(
    ("said", "reason"),
    [(REQUEST, "not a PROXY protocol"), (header(command=0x22), "without an address"),
     (SIGNATURE + b"\x21\x31\0\x08" + bytes(8), "without an address"),
     (SIGNATURE + b"\x21\x11\xff\xff", "header of 65535 bytes")],
    ids=["none", "unknown command", "no TCP", "long"],
)  # fmt: skip
def test_a_proxy_that_does_not_say_whose_connection_it_is_is_refused(node: Node, said: bytes, reason: str) -> None:
    with connected(node.port) as peer:
        peer.sendall(said)
        assert answer(peer) == (0, b"")
    wait_until(lambda: len(node.outcomes) == 1)
    [refused] = node.outcomes
    assert isinstance(refused, Refused)
    assert reason in refused.reason


def test_a_sender_that_is_no_proxy_cannot_say_that_it_is_another(tmp_path: Path) -> None:
    with running(tmp_path / "in", proxies=("10.0.0.0/8",)) as node, connected(node.port) as peer:
        peer.sendall(header() + REQUEST)
        assert answer(peer)[0] != PduType.ASSOCIATE_AC


def test_a_health_check_of_the_proxy_is_nothing_to_tell(node: Node) -> None:
    with connected(node.port) as peer:
        peer.sendall(SIGNATURE + b"\x20\0\0\0")
    test_a_sender_is_judged_by_the_address_that_the_proxy_says(node)


def test_the_header_comes_before_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    theirs = authority.issue("sender")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    context.load_cert_chain(str(theirs.certificate), str(theirs.key))
    with running(tmp_path / "in", authority.issue("node")) as node, connected(node.port) as plain:
        plain.sendall(header())
        with context.wrap_socket(plain, server_hostname="127.0.0.1") as peer:
            peer.sendall(REQUEST)
            assert answer(peer)[0] == PduType.ASSOCIATE_AC


@given(st.binary(max_size=64), st.integers(0, 40))
def test_whatever_comes_is_a_header_or_refused(noise: bytes, kept: int) -> None:
    coming, data = header("2001:db8::7")[:kept] + noise + bytes(3000), b""
    with suppress(InvalidData):
        while missing := proxy.missing(data):
            data, coming = data + coming[:missing], coming[missing:]
        said = proxy.source(data)
        assert said is None or ipaddress.ip_address(said)


def test_an_address_of_ipv6_is_read() -> None:
    data = header("2001:db8::7")
    assert [proxy.missing(data[:n]) for n in (0, 15, 16, 51, 52)] == [16, 1, 36, 1, 0]
    assert proxy.source(data) == "2001:db8::7"


def test_haproxy_spreads_associations_says_whose_they_are_and_leaves_out_a_node_that_is_not_well(
    tmp_path: Path,
) -> None:
    with (
        running(tmp_path / "1") as first,
        running(tmp_path / "2") as second,
        haproxy(tmp_path, [(one.port, one.health_port) for one in (first, second)]) as port,
    ):
        items = [stored(made(tmp_path, n), n) for n in range(2)]

        def go(address: str = PACS) -> list[int | None]:
            settings = {"calling_ae_title": "PACS", "source_address": address, "associations": 1}
            return [result.status for result in send(port, items, **settings)]

        for _ in range(4):
            assert go() == [0, 0]
        assert {len(one.outcomes) for one in (first, second)} == {4}, "each took half of the associations"
        assert {one.address for node in (first, second) for one in node.outcomes} == {PACS}
        first.well = False
        wait_until(lambda: "node1 is DOWN" in (tmp_path / "haproxy.log").read_text("utf-8"))
        for _ in range(2):
            assert go() == [0, 0]
        assert (len(first.outcomes), len(second.outcomes)) == (4, 8)
        with pytest.raises(TransientError):
            go("127.0.0.8")
        wait_until(lambda: second.outcomes[-1].address == "127.0.0.8")
