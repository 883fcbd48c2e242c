"""Receiving over TLS (BCP 195): real senders, what is refused and how it is told, and peers that misbehave."""

import os
import socket
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from router.config.sections import Sender, Tls
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.scp.admission import Admission
from router.dicom.scp.pending import MOST
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.ul import pdu
from router.dicom.ul.socket import Limits
from router.dicom.ul.status import Verdict
from router.dicom.ul.tls import client_context
from router.errors import ConfigurationError
from router.node import receive_worker
from router.refusals import Why
from router.storage.incoming import Incoming, IncomingFolder
from support.certificates import Authority, as_given
from support.dicom_peers import CT, CT_CLASS, data_set, send, stored, tool, wait_until
from support.raw_pdus import (
    COMMAND,
    DATA,
    GOOD,
    LAST,
    REQUEST,
    aborted,
    answer,
    exactly,
    p_data,
    status,
    store_command,
)
from support.raw_pdus import data_set as small_data_set

QUICK = Limits(association_request=0.5, idle=1.0, message=0.6, slowest=2**20, write=1.0, linger=0.3)
RELEASE = struct.pack(">BxL", pdu.PduType.RELEASE_RQ, 4) + bytes(4)


class Node:
    """A server of ours that wants TLS and writes to real folders; with worker processes or without."""

    def __init__(self, folder: Path, tls: Tls, limits: Limits = QUICK, workers: int = 0, bound: str = "") -> None:
        self.incoming = Incoming(folder)
        self.outcomes: list[Received | Refused] = []
        sink = receive_worker.commands(self.incoming, workers, 0, 2**23) if workers else IncomingFolder(folder / "1", 0)
        senders = (Sender(ae_title="HOSTILE", certificate=bound),) if bound else ()
        rules, tell = Admission(senders=senders), self.outcomes.append
        self.server = StorageServer(sink, admission=rules, record=tell, limits=limits, tls=tls)
        self.port = self.server.start("127.0.0.1", 0)

    def files(self) -> list[Path]:
        return self.incoming.files(99)

    def parts(self) -> list[Path]:
        """What is being received, or was left behind."""
        return [path for path in self.incoming.worker_folder(1).iterdir() if path.suffix != ".dcm"]

    def reason(self) -> str:
        """Why the one peer so far was refused."""
        wait_until(lambda: bool(self.outcomes))
        [refused] = self.outcomes
        assert isinstance(refused, Refused)
        assert (refused.calling_ae, refused.address, refused.status, refused.why) == ("", "127.0.0.1", None, Why.TLS)
        return refused.reason


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def ours(authority: Authority) -> Tls:
    """The node's files: with them it wants certificates of the authority."""
    return authority.issue("node")


@pytest.fixture(scope="module")
def theirs(authority: Authority) -> Tls:
    """The files of a sender that is welcome."""
    return authority.issue("sender")


@pytest.fixture
def node(tmp_path: Path, ours: Tls) -> Iterator[Node]:
    node = Node(tmp_path / "incoming", ours)
    yield node
    node.server.stop(2)


@contextmanager
def secured(port: int, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
    """A TLS connection before its association request; one that ends without close_notify raises."""
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1", suppress_ragged_eofs=False) as peer,
    ):
        yield peer


@contextmanager
def associated(port: int, tls: Tls) -> Iterator[ssl.SSLSocket]:
    with secured(port, client_context(tls)) as peer:
        peer.sendall(REQUEST)
        assert answer(peer)[0] == pdu.PduType.ASSOCIATE_AC
        yield peer


def works(node: Node, tls: Tls) -> bool:
    """Whether a good sender is served."""
    with associated(node.port, tls) as peer:
        peer.sendall(GOOD)
        return status(peer) == 0


def part10(path: Path, pixels: int) -> Path:
    """An instance of so many random bytes."""
    meta = preamble_and_meta(CT_CLASS, "1.2.3.4.5", ExplicitVRLittleEndian, "A", "B")
    header = struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, pixels)
    path.write_bytes(meta + small_data_set() + header + os.urandom(pixels))
    return path


def storescu(port: int, path: Path, *options: object) -> int:
    """DCMTK's sender; its exit status."""
    program = tool("storescu")
    if "+tls" not in subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("DCMTK's storescu is built without TLS")
    command = [program, "-ta", "5", "-td", "5", *map(str, options), "127.0.0.1", str(port), str(path)]
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode


# -- real senders


def test_dcmtk_sends_with_a_client_certificate(node: Node, theirs: Tls, tmp_path: Path) -> None:
    path = part10(tmp_path / "one.dcm", 2**20)
    assert storescu(node.port, path, "+tls", theirs.key, theirs.certificate, "+cf", theirs.ca) == 0
    [kept] = node.files()
    assert data_set(kept) == data_set(path)


def test_dcmtk_without_a_certificate_is_taken_only_where_no_authority_is_set(
    node: Node, ours: Tls, tmp_path: Path
) -> None:
    anonymous = "+tla", "+cf", ours.ca
    assert storescu(node.port, CT, *anonymous) != 0
    assert node.reason() == "no TLS connection: the sender shows no certificate"
    open_node = Node(tmp_path / "open", Tls(certificate=ours.certificate, key=ours.key))
    try:
        assert storescu(open_node.port, CT, *anonymous) == 0
        assert len(open_node.files()) == 1
    finally:
        open_node.server.stop(2)


def test_a_large_instance_comes_through_a_worker_byte_for_byte(tmp_path: Path, ours: Tls, theirs: Tls) -> None:
    path = part10(tmp_path / "large.dcm", 2**24)
    node = Node(tmp_path / "incoming", ours, Limits(), workers=1)
    try:
        results = send(node.port, [stored(path, 1), stored(CT, 2)], tls=as_given(theirs))
        assert [result.verdict for result in results] == [Verdict.STORED] * 2
    finally:
        node.server.stop(2)  # a small one has its file at the end, at the latest
    first, second = node.files()
    assert data_set(first) == data_set(path)
    assert data_set(second) == data_set(CT)


def test_a_worker_tells_of_a_failed_handshake(tmp_path: Path, ours: Tls, theirs: Tls) -> None:
    node = Node(tmp_path / "incoming", ours, workers=2)
    try:
        with socket.create_connection(("127.0.0.1", node.port)) as peer:
            peer.sendall(REQUEST)
            assert node.reason() == "no TLS connection: the sender does not speak TLS"
        assert works(node, theirs)
    finally:
        node.server.stop(2)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_association_ends_politely_in_each_version(node: Node, theirs: Tls, version: ssl.TLSVersion) -> None:
    context = client_context(theirs)
    context.minimum_version = context.maximum_version = version
    with secured(node.port, context) as peer:
        peer.sendall(REQUEST)
        assert answer(peer)[0] == pdu.PduType.ASSOCIATE_AC
        peer.sendall(GOOD + RELEASE)
        assert status(peer) == 0
        assert answer(peer)[0] == pdu.PduType.RELEASE_RP
        peer.unwrap().close()  # raises when the node closes without close_notify


# -- what is refused


def old(context: ssl.SSLContext) -> None:
    context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_1


def without_forward_secrecy(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("AES128-GCM-SHA256:@SECLEVEL=0")


def without_authenticated_encryption(context: ssl.SSLContext) -> None:
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated:DeprecationWarning")
@pytest.mark.parametrize(
    ("weaken", "reason"),
    [
        (old, "offers no TLS 1.2 or newer"),
        (without_forward_secrecy, "offers no cipher of BCP 195"),
        (without_authenticated_encryption, "offers no cipher of BCP 195"),
    ],
)
def test_a_sender_with_weak_tls_is_refused(
    node: Node, theirs: Tls, weaken: Callable[[ssl.SSLContext], None], reason: str
) -> None:
    context = client_context(theirs)
    context.set_ciphers("ALL:@SECLEVEL=0")
    weaken(context)
    with pytest.raises(ssl.SSLError), secured(node.port, context):
        pass
    assert node.reason() == f"no TLS connection: the sender {reason}"
    assert works(node, theirs)


def test_a_sender_with_a_strangers_certificate_is_refused(node: Node, theirs: Tls, tmp_path: Path) -> None:
    stranger = Authority(tmp_path, "stranger").issue("other")
    context = client_context(stranger.model_copy(update={"ca": theirs.ca}))
    with suppress(OSError), secured(node.port, context) as peer:  # in TLS 1.3 the client learns of it late
        assert answer(peer) == (0, b"")
    assert "certificate is not accepted: unable to get local issuer certificate" in node.reason()
    assert works(node, theirs)


def test_a_sender_that_does_not_accept_our_certificate_is_told_of(node: Node, theirs: Tls, tmp_path: Path) -> None:
    context = client_context(theirs.model_copy(update={"ca": Authority(tmp_path, "stranger").certificate}))
    with pytest.raises(ssl.SSLCertVerificationError), secured(node.port, context):
        pass
    assert node.reason() == "no TLS connection: tlsv1 alert unknown ca"


def test_a_connection_that_is_just_closed_is_nothing_to_tell_of(node: Node, theirs: Tls) -> None:
    socket.create_connection(("127.0.0.1", node.port)).close()
    assert works(node, theirs)
    assert [type(outcome) for outcome in node.outcomes] == [Received]


def test_tls_to_a_node_without_it_is_aborted_and_told_of(tmp_path: Path, theirs: Tls) -> None:
    outcomes: list[Received | Refused] = []
    server = StorageServer(IncomingFolder(tmp_path / "in", 0), admission=Admission(), record=outcomes.append)
    port = server.start("127.0.0.1", 0)
    try:
        with pytest.raises((ssl.SSLError, ConnectionResetError)), secured(port, client_context(theirs)):
            pass
        wait_until(lambda: bool(outcomes))
        assert outcomes == [
            Refused(calling_ae="", address="127.0.0.1", reason="aborted: PDU of unknown type 16", why=Why.PROTOCOL)
        ]
    finally:
        server.stop(2)


def test_files_that_do_not_serve_are_told_of_before_anything_starts(tmp_path: Path, ours: Tls) -> None:
    wrong = ours.model_copy(update={"certificate": tmp_path / "absent.crt"})
    commands = receive_worker.commands(Incoming(tmp_path / "in"), 1, 0, 2**23)
    with pytest.raises(ConfigurationError, match=r"absent\.crt"):
        StorageServer(commands, admission=Admission(), record=print, tls=wrong)


# -- peers that misbehave


def client_hello(context: ssl.SSLContext) -> bytes:
    out = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="127.0.0.1").do_handshake()
    return out.read()


@contextmanager
def stalled(port: int, tls: Tls, each: int) -> Iterator[list[socket.socket]]:
    """So many connections that stop before, in and after the first message of the handshake, and so many after it."""
    hello = client_hello(client_context(tls))
    with ExitStack() as crowd:
        peers = []
        for said in (b"", hello[:3], hello[:100], hello):
            for _ in range(each):
                peers.append(crowd.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20)))
                peers[-1].sendall(said)
        peers += [crowd.enter_context(secured(port, client_context(tls))) for _ in range(each)]
        yield peers


def test_stalled_handshakes_lock_nobody_out(tmp_path: Path, ours: Tls, theirs: Tls) -> None:
    node = Node(tmp_path / "incoming", ours, Limits())
    try:
        with stalled(node.port, theirs, 25):
            began = time.monotonic()
            for _ in range(5):
                assert works(node, theirs)
            assert time.monotonic() - began < 20
    finally:
        node.server.stop(2)
    assert len(node.files()) == 5


def test_more_stalled_handshakes_than_seats_push_out_the_oldest(tmp_path: Path, ours: Tls, theirs: Tls) -> None:
    node = Node(tmp_path / "incoming", ours, Limits())
    try:
        with stalled(node.port, theirs, MOST // 4 + 5) as peers:
            assert works(node, theirs)
            assert peers[0].recv(1) == b""
    finally:
        node.server.stop(2)


def test_a_stalled_handshake_ends_within_the_time_for_the_association_request(node: Node, theirs: Tls) -> None:
    before = time.monotonic()
    with stalled(node.port, theirs, 2) as peers:
        for peer in peers:
            with suppress(OSError):
                while peer.recv(4096):
                    pass
    assert time.monotonic() - before < 15
    assert node.outcomes == []


def test_what_comes_in_one_piece_with_the_end_of_the_handshake_is_not_overlooked(node: Node, theirs: Tls) -> None:
    read, write = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client_context(theirs).wrap_bio(read, write, server_hostname="127.0.0.1")
    with socket.create_connection(("127.0.0.1", node.port), timeout=5) as peer:
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                peer.sendall(write.read())
                read.write(peer.recv(65536))
        tls.write(REQUEST + GOOD)
        tls.write(RELEASE)
        peer.sendall(write.read())  # the client's Finished goes with all the rest
        said = b""
        while pdu.release_response() not in said:
            try:
                said += tls.read(65536)
            except ssl.SSLWantReadError:
                read.write(peer.recv(65536))
    assert said[0] == pdu.PduType.ASSOCIATE_AC
    assert len(node.files()) == 1


class Dripping:
    """Passes TLS records on to a peer in small pieces."""

    def __init__(self, peer: socket.socket, context: ssl.SSLContext, size: int) -> None:
        self._peer = peer
        self._size = size
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="127.0.0.1")

    def do(self, step: Callable[[ssl.SSLObject], bytes | int | None]) -> bytes | int | None:
        while True:
            try:
                done = step(self._tls)
            except ssl.SSLWantReadError:
                self._drip()
                self._in.write(self._peer.recv(65536))
            else:
                self._drip()
                return done

    def _drip(self) -> None:
        data = self._out.read()
        for start in range(0, len(data), self._size):
            self._peer.sendall(data[start : start + self._size])
            time.sleep(0.0002)


def test_records_in_small_pieces_are_put_together(node: Node, theirs: Tls) -> None:
    with socket.create_connection(("127.0.0.1", node.port), timeout=5) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dripping = Dripping(peer, client_context(theirs), 60)
        dripping.do(lambda tls: tls.do_handshake())
        dripping.do(lambda tls: tls.write(REQUEST))
        accepted = dripping.do(lambda tls: tls.read(65536))
        assert isinstance(accepted, bytes)
        assert accepted[0] == pdu.PduType.ASSOCIATE_AC
        dripping.do(lambda tls: tls.write(GOOD))
        response = dripping.do(lambda tls: tls.read(65536))
        assert isinstance(response, bytes)
        assert response[0] == pdu.PduType.P_DATA_TF
    assert len(node.files()) == 1


def test_a_violation_and_an_idle_association_are_aborted_inside_tls(node: Node, theirs: Tls) -> None:
    with secured(node.port, client_context(theirs)) as peer:
        peer.sendall(b"\1\0\xff\xff\xff\xff")
        assert aborted(peer) == (2, 6)
        assert peer.recv(1) == b""
    with associated(node.port, theirs) as peer:
        peer.sendall(p_data(small_data_set(), DATA | LAST))
        assert aborted(peer) == (2, 5)
    with associated(node.port, theirs) as peer:
        assert aborted(peer) == (2, 0)
        assert peer.recv(1) == b""


def test_stopping_finishes_the_instance_at_hand_and_aborts_the_idle_inside_tls(node: Node, theirs: Tls) -> None:
    with associated(node.port, theirs) as peer, associated(node.port, theirs) as idle:
        command = len(store_command()) + 12
        peer.sendall(GOOD[: command + 500])
        wait_until(lambda: len(node.parts()) == 1)
        late = threading.Timer(0.1, peer.sendall, [GOOD[command + 500 :]])  # while the server is stopping
        late.start()
        stopping = threading.Thread(target=node.server.stop, args=(5,))
        stopping.start()
        assert aborted(idle) == (0, 0)
        assert status(peer) == 0
        assert aborted(peer) == (0, 0)
        late.join()
        stopping.join()
    assert len(node.files()) == 1


@pytest.mark.parametrize("end", [b"", b"\x17\x03\x03\x00\x20" + bytes(32), b"no record at all"])
def test_a_connection_cut_or_spoilt_in_an_instance_leaves_no_file(node: Node, theirs: Tls, end: bytes) -> None:
    before = set(threading.enumerate())
    with associated(node.port, theirs) as peer:
        peer.sendall(p_data(store_command(), COMMAND | LAST) + p_data(bytes(5000), DATA))
        wait_until(lambda: len(node.parts()) == 1)
        socket.socket.sendall(peer, end)
        with suppress(OSError):  # the node may have closed already
            socket.socket.shutdown(peer, socket.SHUT_WR)
        wait_until(lambda: set(threading.enumerate()) <= before)
    assert node.parts() == node.files() == []
    assert node.outcomes == []


def test_a_peer_that_takes_no_answer_is_given_up(tmp_path: Path, ours: Tls, theirs: Tls) -> None:
    node = Node(tmp_path / "incoming", ours, Limits(write=0.2, linger=0.1))
    before = set(threading.enumerate())
    echo = struct.pack("<HHLH", 0, 0x0100, 2, 0x30) + struct.pack("<HHLH", 0, 0x0110, 2, 1)
    echo += struct.pack("<HHLH", 0, 0x0800, 2, 0x0101)
    with associated(node.port, theirs) as peer:
        peer.settimeout(20)
        with suppress(OSError):  # ends when the node has had enough
            for _ in range(200):
                peer.sendall(p_data(echo, COMMAND | LAST, 3) * 500)
        wait_until(lambda: set(threading.enumerate()) <= before, 30)
    node.server.stop(2)


def test_spoilt_handshakes_and_records_break_and_leak_nothing(
    tmp_path: Path, ours: Tls, theirs: Tls, caplog: pytest.LogCaptureFixture
) -> None:
    quick = Limits(association_request=0.2, idle=0.2, message=0.2, write=0.2, linger=0.05)
    node = Node(tmp_path / "incoming", ours, quick)
    threads, handles = set(threading.enumerate()), len(list(Path("/proc/self/fd").iterdir()))
    context = client_context(theirs)
    hello = client_hello(context)
    try:
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            at = int.from_bytes(os.urandom(2)) % len(hello)
            with socket.create_connection(("127.0.0.1", node.port), timeout=1) as peer, suppress(OSError):
                peer.sendall(hello[:at] + os.urandom(4) + hello[at + 4 :])
            with suppress(OSError), secured(node.port, context) as peer:
                peer.sendall(REQUEST)
                exactly(peer, 6)
                socket.socket.sendall(peer, b"\x17\x03\x03\x00\x40" + os.urandom(64))
        wait_until(lambda: set(threading.enumerate()) <= threads)
        assert works(node, theirs)
        wait_until(lambda: set(threading.enumerate()) <= threads)
        assert "defect" not in caplog.text
        assert len(list(Path("/proc/self/fd").iterdir())) <= handles
    finally:
        node.server.stop(2)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize(("bound", "served"), [("sender", True), ("SENDER", True), ("another", False)])
def test_a_sender_shows_the_certificate_that_its_title_is_bound_to(
    tmp_path: Path, ours: Tls, theirs: Tls, workers: int, bound: str, served: bool
) -> None:
    node = Node(tmp_path / "incoming", ours, workers=workers, bound=bound)
    try:
        with secured(node.port, client_context(theirs)) as peer:
            peer.sendall(REQUEST)
            kind, _ = answer(peer)
        assert kind == (pdu.PduType.ASSOCIATE_AC if served else pdu.PduType.ASSOCIATE_RJ)
        wait_until(lambda: served or bool(node.outcomes))
        assert served or "certificate" in str(node.outcomes[0])
    finally:
        node.server.stop(2)
