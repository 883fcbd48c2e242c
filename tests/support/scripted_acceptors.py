"""Acceptors made by hand, each of which does what a test wants: PDUs as bytes over a plain socket (PS3.8 9.3)."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, ImplementationClassUIDNotification, MaximumLengthNotification

from support.raw_pdus import exactly

ABORT, RELEASE_RQ, RELEASE_RP = 7, 5, 6
Script = Callable[[socket.socket], None]


class Acceptor:
    """Runs `script` on each connection, in a thread of its own."""

    def __init__(self, script: Script, port: int = 0) -> None:
        self._script = script
        self._listener = socket.create_server(("127.0.0.1", port), backlog=16)
        self.port = int(self._listener.getsockname()[1])
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._run, args=(connection,)))
            self._threads[-1].start()

    def _run(self, connection: socket.socket) -> None:
        connection.settimeout(5)
        with connection, suppress(OSError, EOFError):  # the sender has had enough of it
            self._script(connection)

    def stop_listening(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def close(self) -> None:
        self.stop_listening()
        for thread in self._threads:
            thread.join()


@contextmanager
def acceptor(script: Script) -> Iterator[int]:
    running = Acceptor(script)
    try:
        yield running.port
    finally:
        running.close()


def read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    head = exactly(connection, 6)
    kind, length = struct.unpack(">BxL", head)
    return kind, head + exactly(connection, length)


def acceptance(request: bytes, longest: int = 16384) -> bytes:
    """An A-ASSOCIATE-AC that takes every proposed context."""
    proposed = A_ASSOCIATE_RQ()
    proposed.decode(request)
    answer = A_ASSOCIATE()
    answer.application_context_name = "1.2.840.10008.3.1.1.1"
    answer.calling_ae_title, answer.called_ae_title = "ROUTER", "CLOUD"
    answer.result = 0
    answer.presentation_context_definition_results_list = proposed.to_primitive().presentation_context_definition_list
    for context in answer.presentation_context_definition_results_list:
        context.result = 0
    maximum, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    maximum.maximum_length_received = longest
    implementation.implementation_class_uid = "1.2.3"
    answer.user_information = [maximum, implementation]
    return bytes(A_ASSOCIATE_AC(answer).encode())


def accept(connection: socket.socket, longest: int = 16384) -> None:
    connection.sendall(acceptance(read_pdu(connection)[1], longest))


def read_instance(connection: socket.socket) -> tuple[int, int, bytes]:
    """Context id, message id and data set of the next C-STORE; the PDUs' framing is checked."""
    command, received = b"", b""
    while True:
        kind, pdu = read_pdu(connection)
        if kind == RELEASE_RQ:
            connection.sendall(fixed(RELEASE_RP))
            raise ConnectionResetError
        length, number, control = struct.unpack_from(">LBB", pdu, 6)
        assert (kind, length) == (4, len(pdu) - 10)
        if control & 1:
            command += pdu[12:]
        else:
            received += pdu[12:]
        if control == 2:
            at = command.index(b"\x00\x00\x10\x01\x02\x00\x00\x00") + 8
            return number, struct.unpack_from("<H", command, at)[0], received


def element(number: int, value: int) -> bytes:
    return struct.pack("<HHLH", 0, number, 2, value)


def command_of(message_id: int, status: int = 0, field: int = 0x8001) -> bytes:
    return element(0x0100, field) + element(0x0120, message_id) + element(0x0800, 0x0101) + element(0x0900, status)


def pdata(context_id: int, control: int, fragment: bytes) -> bytes:
    return struct.pack(">BxLLBB", 4, len(fragment) + 6, len(fragment) + 2, context_id, control) + fragment


def fixed(kind: int) -> bytes:
    return struct.pack(">BxL4x", kind, 4)


def obliging(connection: socket.socket) -> None:
    """Accepts and takes everything, until released."""
    accept(connection)
    while True:
        number, message, _ = read_instance(connection)
        connection.sendall(pdata(number, 3, command_of(message)))
