"""A journal segment: a file written in full beforehand, into which an instance is made durable by one write.

The fsync of a new file commits its blocks and its name to the file system's journal; here only bytes change that the
disk holds already. Its records are filed as files of their own later, then the segment is used again.

In slots of 4,096 bytes. The first is the head: a mark, the key of this use, how far everything is filed. A record
begins at a slot with the key, its time of arrival, its size, the XXH3-64 of its bytes and the CRC-32 of all these; its
bytes follow. The key is random, so neither what a former use has left nor what a sender puts into an image reads as a
record. Under the mark of former versions the bytes have a CRC-32, too: it takes seven times as long.
"""

import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import xxhash

from router.storage.durable import opened, sync_folder

SLOT = 4096
_MARK, _FORMER_MARK = b"INCOMIN2", b"INCOMING"
_KEY_BYTES = 16
_HEAD = struct.Struct("<8s16sQ")
_CHECK = struct.Struct("<L")
_ZEROS = bytes(2**20)
_MOST_PARTS = 1000  # of one write; the system's own limit is 1,024

Bytes = bytes | bytearray | memoryview


class _Form(NamedTuple):
    """Form of a record: its fields before the check, and the checksum of its bytes."""

    fields: struct.Struct
    checksum: Callable[[Bytes], int]


_FORMS = {
    _MARK: _Form(struct.Struct("<16sQLQ"), xxhash.xxh3_64_intdigest),
    _FORMER_MARK: _Form(struct.Struct("<16sQLL"), zlib.crc32),
}
_FIELDS = _FORMS[_MARK].fields
RECORD_BYTES = _FIELDS.size + _CHECK.size  # before an instance's own


@dataclass(frozen=True, slots=True)
class Record:
    """Place of an instance's bytes in a segment; `arrived` in nanoseconds since 1970."""

    offset: int
    size: int
    arrived: int


def slots(size: int) -> int:
    """The bytes that a record of `size` bytes takes in a segment."""
    return -(-(RECORD_BYTES + size) // SLOT) * SLOT


class Segment:
    """One segment. Several threads may write, each to its own place; who hands out the places is above."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle = os.open(path, os.O_RDWR)
        self.size = os.fstat(self._handle).st_size
        self._key = b""

    @classmethod
    def prepare(cls, path: Path, size: int) -> "Segment":
        """A new one, its blocks written and its name durable; OSError when there is no room."""
        with opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as handle:
            for _ in range(0, size, len(_ZEROS)):
                os.write(handle, _ZEROS)
            os.fsync(handle)
        sync_folder(path.parent)
        return cls(path)

    def begin(self, key: bytes) -> int:
        """A new use under a key of 16 random bytes, durable before anything is written; the first free offset."""
        self._key = key
        os.pwritev(self._handle, [_HEAD.pack(_MARK, key, SLOT)], 0, os.RWF_DSYNC)
        return SLOT

    def write(self, offset: int, parts: Sequence[Bytes], arrived: int) -> Record:
        """Make a record of the parts at `offset`; durable when this returns, OSError when it is not."""
        size = sum(map(len, parts))
        checksum = xxhash.xxh3_64()
        for part in parts:
            checksum.update(part)
        fields = _FIELDS.pack(self._key, arrived, size, checksum.intdigest())
        if len(parts) > _MOST_PARTS:
            parts = [b"".join(parts)]
        written = os.pwritev(self._handle, [fields, _CHECK.pack(zlib.crc32(fields)), *parts], offset, os.RWF_DSYNC)
        if written != RECORD_BYTES + size:
            raise OSError("a journal segment took only a part")
        return Record(offset + RECORD_BYTES, size, arrived)

    def copy(self, record: Record, target: int) -> None:
        """Write a record's bytes to a file's descriptor."""
        at, end = record.offset, record.offset + record.size
        while at < end:
            at += os.sendfile(target, self._handle, at, end - at)

    def filed(self, offset: int) -> None:
        """Note that all before `offset` is filed. Not durable: after a power loss it is filed again."""
        os.pwrite(self._handle, _HEAD.pack(_MARK, self._key, offset), 0)

    def records(self) -> Iterator[Record]:
        """Whole records not known to be filed, in order; for a segment that nobody writes to."""
        content = os.pread(self._handle, self.size, 0)
        mark, key, at = _HEAD.unpack_from(content) if len(content) >= SLOT else (b"", b"", 0)
        form = _FORMS.get(mark)
        while form and at + RECORD_BYTES <= len(content):
            record = _whole(content, at, key, form)
            if record is not None:
                yield record
            at = at + SLOT if record is None else -(-(record.offset + record.size) // SLOT) * SLOT

    def close(self) -> None:
        """Its file stays."""
        os.close(self._handle)


def _whole(content: bytes, at: int, key: bytes, form: _Form) -> Record | None:
    if content[at : at + _KEY_BYTES] != key:
        return None
    check_at = at + form.fields.size
    _, arrived, size, checksum = form.fields.unpack_from(content, at)
    (check,) = _CHECK.unpack_from(content, check_at)
    begin = check_at + _CHECK.size
    if check != zlib.crc32(content[at:check_at]) or checksum != form.checksum(
        memoryview(content)[begin : begin + size]
    ):
        return None
    return Record(begin, size, arrived)
