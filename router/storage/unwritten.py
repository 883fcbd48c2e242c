"""unwritten/<node>: results of sending that the database has not taken yet, so that they outlive the node.

A line a result: the CRC-32 of its JSON in eight hex digits, a blank, the JSON. The file keeps its size, so that a full
disk takes results too; NUL bytes are room for more of them.
"""

import json
import logging
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from router.storage.durable import FILE_MODE, make_folder, sync_folder

_ROOM = 2**18  # bytes: what every lane may have under way, several times
_log = logging.getLogger(__name__)


class UnwrittenFiles:
    """The files of all nodes on this data folder; `node` is who writes. For one caller at a time."""

    def __init__(self, folder: Path, node: str) -> None:
        self._folder = folder
        self._node = node
        self._end: int | None = None

    def reserve(self) -> None:
        """Make room on the disk for results to come, where there is none yet; OSError when it is full."""
        make_folder(self._folder)
        with _opened(self._path(self._node)) as handle:
            size = os.fstat(handle).st_size
            if size < _ROOM:
                _write(handle, bytes(_ROOM - size), size)
        sync_folder(self._folder)

    def add(self, results: Sequence[Mapping[str, object]]) -> None:
        """Return when the results survive power loss; OSError when the disk does not take them."""
        data = b"".join(map(_line, results))
        make_folder(self._folder)
        with _opened(self._path(self._node)) as handle:
            if self._end is None:
                self._end = _used(handle)
            _write(handle, data, self._end)
            self._end += len(data)
        sync_folder(self._folder)

    def read(self, node: str = "") -> list[dict[str, Any]]:
        """A node's results, ours by default, in the order in which they came. A line that is not whole is left out."""
        try:
            data = self._path(node or self._node).read_bytes()
        except FileNotFoundError:
            return []
        return list(_results(data, node or self._node))

    def clear(self) -> None:
        """Forget our results: the database has them. The room stays."""
        self._end = 0
        with suppress(FileNotFoundError), _opened(self._path(self._node), os.O_RDWR) as handle:
            _write(handle, bytes(_used(handle)), 0)

    def forget(self, node: str) -> None:
        """Remove another node's file: that node is dead, and the database has its results."""
        self._path(node).unlink(missing_ok=True)

    def others(self) -> list[str]:
        """The other nodes that have a file here."""
        with suppress(FileNotFoundError):
            return sorted({path.name for path in self._folder.iterdir()} - {self._node})
        return []

    def _path(self, node: str) -> Path:
        return self._folder / node


@contextmanager
def _opened(path: Path, flags: int = os.O_RDWR | os.O_CREAT) -> Iterator[int]:
    handle = os.open(path, flags | os.O_CLOEXEC, FILE_MODE)
    try:
        yield handle
    finally:
        os.close(handle)


def _line(result: Mapping[str, object]) -> bytes:
    text = json.dumps(result, ensure_ascii=False).encode()
    return b"\n%08x %s\n" % (zlib.crc32(text), text)  # one that was cut off before it is a line of its own


def _results(data: bytes, node: str) -> Iterator[dict[str, Any]]:
    for line in data.rstrip(b"\0").replace(b"\0", b"\n").splitlines():
        checksum, _, text = line.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(text):
            yield json.loads(text)
        elif line:
            _log.warning("a result in unwritten/%s does not read: what it was about may be sent once more", node)


def _used(handle: int) -> int:
    """Bytes before the room."""
    return len(os.pread(handle, os.fstat(handle).st_size, 0).rstrip(b"\0"))


def _write(handle: int, data: bytes, place: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(handle, view, place)
        view, place = view[written:], place + written
    os.fsync(handle)
