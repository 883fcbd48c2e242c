"""The checksum of a stored data set, compared while the data set is read for sending.

XXH3-128 detects accidental changes in a fraction of SHA-256's time. Files without a checksum are compared by SHA-256.
"""

import errno
import hashlib
import os
from collections.abc import Sequence
from typing import BinaryIO, Protocol

import xxhash

from router.errors import IntegrityError, TransientError
from router.policy.bandwidth import Paced, unbounded

NOT_AS_IT_CAME = "its file is not what came"
_SHA256 = 64  # digits
_WINDOW = 2**19
# Errors of the machine or the share that pass; every other one is the file's.
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ESTALE, errno.ETIMEDOUT, errno.EINTR})


class Hash(Protocol):
    """A hash with the interface of hashlib."""

    def update(self, data: bytes | bytearray | memoryview, /) -> None:
        """Add bytes."""

    def hexdigest(self) -> str:
        """The digest of all bytes so far."""


def new_checksum() -> Hash:
    """A new checksum of a data set: XXH3-128, 32 hex digits."""
    return xxhash.xxh3_128()


class Comparison:
    """Compares a data set, added in order, with its checksum or SHA-256; "" agrees with everything."""

    def __init__(self, expected: str) -> None:
        self._expected = expected
        self._hash: Hash = hashlib.sha256() if len(expected) == _SHA256 else new_checksum()

    def add(self, data: memoryview) -> None:
        """Add the next bytes."""
        if self._expected:
            self._hash.update(data)

    def close(self) -> None:
        """Raise IntegrityError when the bytes are not those that were stored."""
        if self._expected and self._hash.hexdigest() != self._expected:
            raise IntegrityError(NOT_AS_IT_CAME)


def read(file: BinaryIO, parts: Sequence[memoryview], offset: int) -> None:
    """Fill the parts in order, from `offset` on. IntegrityError when the file is too short; else as `unreadable`."""
    done, wanted = 0, sum(map(len, parts))
    while done < wanted:
        try:
            got = os.preadv(file.fileno(), _after(parts, done) if done else parts, offset + done)
        except OSError as error:
            raise unreadable(error) from error
        if not got:
            raise IntegrityError("its file is shorter than it was")
        done += got


def _after(parts: Sequence[memoryview], done: int) -> list[memoryview]:
    """The parts without the first `done` bytes of all."""
    left = []
    for part in parts:
        left.append(part[done:])
        done = max(done - len(part), 0)
    return [part for part in left if len(part)]


def compare(file: BinaryIO, offset: int, size: int, expected: str, paced: Paced = unbounded) -> None:
    """Read and compare a data set; `paced` gets each piece's size. IntegrityError when it differs; else as `read`."""
    if not expected:
        return
    comparison, room = Comparison(expected), memoryview(bytearray(min(size, _WINDOW)))
    for start in range(0, size, _WINDOW):
        part = room[: size - start]
        read(file, [part], offset + start)
        comparison.add(part)
        paced(len(part))
    comparison.close()


def unreadable(error: OSError) -> IntegrityError | TransientError:
    """The error to raise when a stored file cannot be read."""
    if error.errno in _PASSING:
        return TransientError(f"a stored file cannot be read now: {error.strerror}")
    return IntegrityError("its file is missing or cannot be read")
