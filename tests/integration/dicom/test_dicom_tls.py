"""DICOM over TLS: our sender to DCMTK's receiver, our two sides to each other, and what is refused."""

import contextlib
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from router.config.sections import Tls
from router.dicom.ul.status import Verdict
from router.dicom.ul.tls import client_context, server_context
from router.errors import ConfigurationError, DestinationDown
from support.certificates import Authority, as_given
from support.dicom_peers import CT, client, data_set, free_port, listens, send, stored, tool, wait_until


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "authority")


@contextmanager
def storescp_tls(folder: Path, tls: Tls) -> Iterator[int]:
    """DCMTK's receiver with a certificate of its own; it wants one of ours."""
    program = tool("storescp")
    if "+tls" not in subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("DCMTK's storescp is built without TLS")
    port = free_port()
    folder.mkdir()
    command = [program, "+B", "+xa", "--fork", "+tls", str(tls.key), str(tls.certificate), "+cf", str(tls.ca), "-rc"]
    with subprocess.Popen([*command, "-od", str(folder), str(port)], stderr=subprocess.DEVNULL) as process:
        try:
            wait_until(lambda: listens(port))
            yield port
        finally:
            process.kill()


def test_dcmtk_receives_over_tls_with_certificates_on_both_sides(authority: Authority, tmp_path: Path) -> None:
    with storescp_tls(tmp_path / "dcmtk", authority.issue("peer")) as port:
        [result] = send(port, [stored(CT)], tls=as_given(authority.issue("node")))
        assert result.verdict is Verdict.STORED
        wait_until(lambda: len(list((tmp_path / "dcmtk").iterdir())) == 1)
    [kept] = (tmp_path / "dcmtk").iterdir()
    assert data_set(kept) == data_set(CT)


def test_dcmtk_does_not_take_us_without_a_certificate(authority: Authority, tmp_path: Path) -> None:
    with storescp_tls(tmp_path / "dcmtk", authority.issue("peer")) as port, pytest.raises(DestinationDown):
        client(port, tls={"ca": str(authority.certificate)}).echo()


def test_a_certificate_of_a_stranger_or_for_another_host_is_not_accepted(authority: Authority, tmp_path: Path) -> None:
    strangers = Authority(tmp_path, "stranger")
    node = as_given(authority.issue("node"))
    for number, peer in enumerate((strangers.issue("other"), authority.issue("elsewhere", "10.0.0.1"))):
        with (
            storescp_tls(tmp_path / str(number), peer) as port,
            pytest.raises(DestinationDown, match=r"certificate of .* is not accepted"),
        ):
            client(port, tls=node).echo()


def test_a_peer_without_tls_is_down(authority: Authority) -> None:
    def greet() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(b"no TLS here\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(DestinationDown, match="no TLS connection"):
            client(listener.getsockname()[1], tls=as_given(authority.issue("node"))).echo()
        thread.join()


def test_a_peer_that_stops_in_the_handshake_is_given_up(authority: Authority) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        sender = client(listener.getsockname()[1], tls=as_given(authority.issue("node")))
        sender._waits = type(sender._waits)(connect=0.3)
        with pytest.raises(DestinationDown, match="no TLS connection"):
            sender.echo()
        assert time.monotonic() - began < 15


def handshake(server: ssl.SSLContext, client_side: ssl.SSLContext) -> str:
    """The TLS version and cipher that our two sides agree on."""
    ours, theirs = socket.socketpair()
    answer: list[ssl.SSLError] = []

    def serve() -> None:
        try:
            with server.wrap_socket(theirs, server_side=True) as wrapped:
                wrapped.send(b"x")
        except ssl.SSLError as error:
            answer.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client_side.wrap_socket(ours, server_hostname="127.0.0.1") as wrapped:
            wrapped.recv(1)
            return str(wrapped.cipher())
    finally:
        ours.close()
        theirs.close()
        thread.join()


def test_both_sides_agree_on_tls_1_2_and_1_3_with_authenticated_encryption(authority: Authority) -> None:
    server, node = server_context(authority.issue("peer")), client_context(authority.issue("node"))
    assert "TLSv1.3" in handshake(server, node)
    node.maximum_version = ssl.TLSVersion.TLSv1_2
    assert "ECDHE" in handshake(server, node)
    assert all("GCM" in one["name"] or "CHACHA20" in one["name"] for one in server.get_ciphers())
    assert server.minimum_version == node.minimum_version == ssl.TLSVersion.TLSv1_2


def test_our_listener_refuses_a_client_without_a_certificate(authority: Authority) -> None:
    server, node = server_context(authority.issue("peer")), client_context(Tls(ca=authority.certificate))
    with contextlib.suppress(ConnectionResetError), pytest.raises(ssl.SSLError):
        handshake(server, node)


def test_files_that_do_not_serve_are_named(authority: Authority, tmp_path: Path) -> None:
    peer, node = authority.issue("peer"), authority.issue("node")
    with pytest.raises(ConfigurationError, match=r"tls\.certificate is missing"):
        server_context(Tls(ca=authority.certificate))
    with pytest.raises(ConfigurationError, match="do not belong together"):
        client(11112, tls={"certificate": str(peer.certificate), "key": str(node.key)})
    with pytest.raises(ConfigurationError, match=r"tls\.ca"):
        client_context(Tls(ca=tmp_path / "absent"))
