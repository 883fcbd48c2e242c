"""Conversations made by hand: PDUs as bytes, sent to a server and read from it over a plain socket (PS3.8 9.3)."""

import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from router.dicom.ul import pdu

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
VERIFICATION = "1.2.840.10008.1.1"


def item(kind: int, value: bytes) -> bytes:
    """An item or sub-item of an association PDU."""
    return struct.pack(">BxH", kind, len(value)) + value


def context(number: int, sop_class: str, *syntaxes: str) -> bytes:
    """A proposed presentation context."""
    names = item(0x30, sop_class.encode()) + b"".join(item(0x40, syntax.encode()) for syntax in syntaxes)
    return item(0x20, bytes((number, 0, 0, 0)) + names)


def maximum_length(size: int) -> bytes:
    return item(0x51, struct.pack(">L", size))


IMPLEMENTATION = item(0x52, b"1.2.3")
CONTEXTS = context(1, CT_CLASS, EXPLICIT) + context(3, VERIFICATION, EXPLICIT)


def association_request(
    contexts: bytes = CONTEXTS, user_information: bytes = maximum_length(16384) + IMPLEMENTATION, called: str = "ROUTER"
) -> bytes:
    """An A-ASSOCIATE-RQ: CT in context 1 and Verification in context 3 unless told otherwise."""
    body = struct.pack(">HH16s16s32x", 1, 0, called.encode().ljust(16), b"HOSTILE".ljust(16))
    body += item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + item(0x50, user_information)
    return struct.pack(">BxL", pdu.PduType.ASSOCIATE_RQ, len(body)) + body


REQUEST = association_request()


def element(group: int, number: int, value: bytes, vr: bytes = b"UI") -> bytes:
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


def data_set(sop: bytes = b"1.2.3.4.5\0", study: bytes = b"1.2.3\0", pixels: int = 0) -> bytes:
    """A small data set in explicit VR little endian; its UIDs exactly as given."""
    return (
        element(0x0008, 0x0016, CT_CLASS.encode() + b"\0")
        + element(0x0008, 0x0018, sop)
        + element(0x0020, 0x000D, study)
        + element(0x0020, 0x000E, b"1.2.3.4\0")
        + (struct.pack("<HH2sHL", 0x7FE0, 0x10, b"OB", 0, pixels) + bytes(pixels) if pixels else b"")
    )


def store_command(sop: bytes = b"1.2.3.4.5\0") -> bytes:
    elements = b"".join(
        struct.pack("<HHL", 0, number, len(value)) + value
        for number, value in (
            (0x0002, CT_CLASS.encode() + b"\0"), (0x0100, b"\1\0"), (0x0110, b"\7\0"), (0x0700, b"\0\0"),
            (0x0800, b"\0\0"), (0x1000, sop),
        )
    )  # fmt: skip
    return struct.pack("<HHLL", 0, 0, 4, len(elements)) + elements


def p_data(value: bytes, control: int, context: int = 1) -> bytes:
    pdv = struct.pack(">LBB", len(value) + 2, context, control) + value
    return struct.pack(">BxL", 4, len(pdv)) + pdv


COMMAND, DATA, LAST = pdu.COMMAND, 0, pdu.LAST
GOOD = p_data(store_command(), COMMAND | LAST) + p_data(data_set(pixels=2000), DATA | LAST)


@contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as peer:
        yield peer


@contextmanager
def associated(port: int) -> Iterator[socket.socket]:
    with connected(port) as peer:
        peer.sendall(REQUEST)
        kind, _ = answer(peer)
        assert kind == pdu.PduType.ASSOCIATE_AC
        yield peer


def answer(peer: socket.socket) -> tuple[int, bytes]:
    """The next PDU; (0, b"") when the connection was closed instead."""
    try:
        head = exactly(peer, 6)
        return head[0], exactly(peer, int.from_bytes(head[2:], "big"))
    except (EOFError, ConnectionResetError):
        return 0, b""


def exactly(peer: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = peer.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def status(peer: socket.socket) -> int:
    """The status of the C-STORE response that comes next."""
    kind, body = answer(peer)
    assert kind == pdu.PduType.P_DATA_TF
    return int.from_bytes(body[body.index(struct.pack("<HHL", 0, 0x0900, 2)) + 8 :][:2], "little")


def aborted(peer: socket.socket) -> tuple[int, int]:
    """Source and reason of the A-ABORT that comes next."""
    kind, body = answer(peer)
    assert kind == pdu.PduType.ABORT
    return body[2], body[3]
