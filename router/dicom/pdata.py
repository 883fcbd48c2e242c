"""Writing P-DATA-TF PDUs (PS3.8 9.3.5): a command from memory, a data set from its file to the socket.

Each PDU holds one presentation data value. On a plain connection the kernel moves the data set from file to socket;
under TLS it passes through memory, a PDU at a time.
"""

import os
import select
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from router.bandwidth import Paced, unbounded
from router.errors import IntegrityError

P_DATA_TF = 0x04
COMMAND, LAST = 1, 2  # message control header (PS3.8 E.2)

_HEADER = struct.Struct(">BxLLBB")  # PDU type, its length; PDV length, context id, message control header
_PDV_OVERHEAD = 6


@dataclass(frozen=True, slots=True)
class DataSet:
    """The bytes of a data set in an open file."""

    file: BinaryIO
    offset: int
    size: int


def write_command(
    connection: socket.socket, context_id: int, command: bytes, longest: int, *, data_set_follows: bool
) -> None:
    """Writes a command set; `longest` is the longest PDU that the peer takes (PS3.8 D.1). Raises OSError."""
    pdus = b"".join(
        _header(context_id, COMMAND | last, size) + command[start : start + size]
        for start, size, last in _fragments(len(command), longest)
    )
    connection.sendall(pdus, _more(connection) if data_set_follows else 0)


def write_from_memory(connection: socket.socket, context_id: int, data: bytes, longest: int) -> None:
    """Writes a small data set. Raises OSError."""
    fragments = _fragments(len(data), longest)
    connection.sendall(b"".join(_header(context_id, last, size) + data[at : at + size] for at, size, last in fragments))


def write_data_set(
    connection: socket.socket, context_id: int, data_set: DataSet, longest: int, paced: Paced = unbounded
) -> None:
    """Writes a data set; the connection's time-out bounds the wait for a peer that does not read.

    `paced` waits before each PDU until it may go.

    Raises OSError when the connection is lost (TimeoutError: not written to in time), IntegrityError when the file
    ends before `size`; then the PDU is torn and the association can only be aborted.
    """
    write = _through_memory if isinstance(connection, ssl.SSLSocket) else _in_kernel(connection)
    for start, size, last in _fragments(data_set.size, longest):
        paced(size)
        write(connection, _header(context_id, last, size), data_set.file, data_set.offset + start, size)


_Write = Callable[[socket.socket, bytes, BinaryIO, int, int], None]


def _fragments(size: int, longest: int) -> Iterator[tuple[int, int, int]]:
    """(start, size, LAST or 0) of each fragment; sizes are even but for an odd end."""
    most = (longest - _PDV_OVERHEAD) & ~1
    for start in range(0, size, most):
        yield start, min(most, size - start), LAST if start + most >= size else 0


def _header(context_id: int, control: int, size: int) -> bytes:
    return _HEADER.pack(P_DATA_TF, size + _PDV_OVERHEAD, size + 2, context_id, control)


def _more(connection: socket.socket) -> int:
    return 0 if isinstance(connection, ssl.SSLSocket) else socket.MSG_MORE


def _in_kernel(connection: socket.socket) -> _Write:
    ready = select.poll()
    ready.register(connection, select.POLLOUT)

    def write(connection: socket.socket, header: bytes, file: BinaryIO, offset: int, size: int) -> None:
        connection.sendall(header, socket.MSG_MORE)
        target, source = connection.fileno(), file.fileno()
        while size:
            try:
                sent = os.sendfile(target, source, offset, size)
            except BlockingIOError:
                _wait(ready, connection)
                continue
            if not sent:
                raise IntegrityError("the file ended while it was sent")
            offset, size = offset + sent, size - sent

    return write


def _wait(ready: select.poll, connection: socket.socket) -> None:
    if not ready.poll((connection.gettimeout() or 0) * 1000):
        raise TimeoutError("the peer does not read")


def _through_memory(connection: socket.socket, header: bytes, file: BinaryIO, offset: int, size: int) -> None:
    data = os.pread(file.fileno(), size, offset)
    if len(data) != size:
        raise IntegrityError("the file ended while it was sent")
    connection.sendall(header + data)
