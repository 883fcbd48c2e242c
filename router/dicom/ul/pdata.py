"""Writing P-DATA-TF PDUs (PS3.8 9.3.5): a command from memory, a data set from its file.

Each PDU holds one presentation data value. A data set is read into PDUs, several at a time, and its checksum is
compared before the last one is sent. That costs less than having the kernel move the data from file to socket and
mapping its pages for the comparison.
"""

import socket
import ssl
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from router.dicom.dataset.checksum import Comparison, read
from router.dicom.ul.pdu import COMMAND, LAST, PDV_HEADER_BYTES, PduType
from router.policy.bandwidth import Paced, unbounded

ROOM = 5 * 2**17  # bytes of PDUs that are read and sent at once: a CT slice fits in, and they fit the processor's cache

_MOST = 1000  # the kernel reads into no more than 1024 places at once
_HEADER = struct.Struct(">BxLLBB")  # PDU type, its length; PDV length, context id, message control header
_P_DATA_TF = int(PduType.P_DATA_TF)


@dataclass(frozen=True, slots=True)
class FileSlice:
    """A data set's bytes in an open file, compared with `checksum` (or SHA-256; "" when unknown) as they are read."""

    file: BinaryIO
    offset: int
    size: int
    checksum: str = ""


class _Fragment(NamedTuple):
    """A part of a message; `last` is LAST or 0."""

    start: int
    size: int
    last: int

    @property
    def even(self) -> int:
        """Its size as sent: an odd data set gets a zero byte at its end, since fragments are even (PS3.8 E.2)."""
        return self.size + (self.size & 1)


def message_pdus(context_id: int, command: bytes, longest: int, data_set: bytes = b"") -> bytes:
    """A message from memory as P-DATA-TF PDUs of at most `longest` bytes (0: of any length)."""
    return _pdus(context_id, COMMAND, command, longest) + (_pdus(context_id, 0, data_set, longest) if data_set else b"")


def _pdus(context_id: int, kind: int, part: bytes, longest: int) -> bytes:
    return b"".join(
        _HEADER.pack(*_fields(context_id, kind | last, size)) + part[start : start + size]
        for start, size, last in _fragments(len(part), longest)
    )


def write_message(
    connection: socket.socket, context_id: int, command: bytes, data_set: FileSlice, longest: int, room: bytearray,
    paced: Paced,
) -> None:  # fmt: skip
    """Write a command set and a data set; the connection's time-out bounds the wait for a peer that does not read.

    `longest` is the longest PDU that the peer takes (PS3.8 D.1). `room` has ROOM bytes, for this connection only.
    `paced` waits before each PDU of the data set until it may go.

    Raises OSError when the connection is lost (TimeoutError: the peer does not read in time), IntegrityError when the
    file is not the one that was stored, TransientError when it cannot be read now. The message is then incomplete, and
    the association can only be aborted.
    """
    more = 0 if isinstance(connection, ssl.SSLSocket) else socket.MSG_MORE
    connection.sendall(message_pdus(context_id, command, longest), more)
    comparison, view = Comparison(data_set.checksum), memoryview(room)
    for batch in _batches(_fragments(data_set.size, longest)):
        end = _fill(view, context_id, data_set, batch, comparison)
        if paced is unbounded:
            connection.sendall(view[:end])
            continue
        start = 0
        for fragment in batch:
            paced(fragment.even)
            connection.sendall(view[start : (start := start + _HEADER.size + fragment.even)])


def _batches(fragments: Iterable[_Fragment]) -> Iterator[list[_Fragment]]:
    """Groups of fragments whose PDUs fit into the room."""
    batch: list[_Fragment] = []
    size = 0
    for fragment in fragments:
        size += _HEADER.size + fragment.even
        if size > ROOM or len(batch) == _MOST:
            yield batch
            batch, size = [], _HEADER.size + fragment.even
        batch.append(fragment)
    yield batch


def _fill(
    room: memoryview, context_id: int, data_set: FileSlice, batch: list[_Fragment], comparison: Comparison
) -> int:
    """Make the PDUs of a batch and compare what they hold; returns where they end."""
    end, values = 0, []
    for fragment in batch:
        _HEADER.pack_into(room, end, *_fields(context_id, fragment.last, fragment.even))
        values.append(room[end + _HEADER.size : (end := end + _HEADER.size + fragment.size)])
        if fragment.size & 1:
            room[end] = 0
            end += 1
    read(data_set.file, values, data_set.offset + batch[0].start)
    for value in values:
        comparison.add(value)
    if batch[-1].last:
        comparison.close()
    return end


def _fragments(size: int, longest: int) -> Iterator[_Fragment]:
    """The fragments of `size` bytes; each has an even size, but perhaps the last."""
    most = max((longest - PDV_HEADER_BYTES) & ~1, 1) if longest else size
    for start in range(0, size, most):
        yield _Fragment(start, min(most, size - start), LAST if start + most >= size else 0)


def _fields(context_id: int, control: int, size: int) -> tuple[int, int, int, int, int]:
    return _P_DATA_TF, size + PDV_HEADER_BYTES, size + 2, context_id, control
