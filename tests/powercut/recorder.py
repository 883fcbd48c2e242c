"""A disk of one file, by FUSE, that records each write and each flush in their order, with marks of events between.

    recorder.py FOLDER IMAGE LOG

FOLDER becomes the mount: `disk` is the image, written to a loop device makes it a disk; what is written to `marks` goes
into the log; a line in `control` makes the disk ill: `eio N`, the N-th flush from then on fails, once. Requests are
served one at a time, so the log has one order.
"""

import errno
import os
import stat
import struct
import sys
import time
from typing import Any

import mfusepy

HEAD = struct.Struct("<cQL")  # kind, offset, size; the bytes follow
WRITE, FLUSH, MARK = b"W", b"F", b"M"
_FILES = {"/disk": 0o600, "/marks": 0o600, "/control": 0o600}


class Recorder(mfusepy.Operations):  # type: ignore[misc]
    """The file system: three files."""

    use_ns = True

    def __init__(self, image: str, log: str) -> None:
        self._image = os.open(image, os.O_RDWR)
        self._size = os.fstat(self._image).st_size
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._failing = 0

    def getattr(self, path: str, fh: int | None = None) -> dict[str, Any]:
        now = time.time_ns()
        times = {"st_atime": now, "st_mtime": now, "st_ctime": now, "st_uid": os.getuid(), "st_gid": os.getgid()}
        if path == "/":
            return {"st_mode": stat.S_IFDIR | 0o700, "st_nlink": 2, **times}
        if path not in _FILES:
            raise mfusepy.FuseOSError(errno.ENOENT)
        size = self._size if path == "/disk" else 0
        return {"st_mode": stat.S_IFREG | _FILES[path], "st_nlink": 1, "st_size": size, **times}

    def readdir(self, path: str, fh: int) -> list[str]:
        return [".", "..", *(name[1:] for name in _FILES)]

    def read(self, path: str, size: int, offset: int, fh: int) -> bytes:
        return os.pread(self._image, size, offset) if path == "/disk" else b""

    def write(self, path: str, data: bytes, offset: int, fh: int) -> int:
        if path == "/disk":
            os.pwrite(self._image, data, offset)
            self._note(WRITE, offset, data)
        elif path == "/marks":
            self._note(MARK, 0, data)
        else:
            self._failing = int(data.split()[1])
        return len(data)

    def truncate(self, path: str, length: int, fh: int | None = None) -> int:
        return 0

    def fsync(self, path: str, datasync: int, fh: int) -> int:
        if path != "/disk":
            return 0
        self._failing -= 1
        if self._failing == 0:
            raise mfusepy.FuseOSError(errno.EIO)
        self._note(FLUSH, 0, b"")
        return 0

    def _note(self, kind: bytes, offset: int, data: bytes) -> None:
        os.write(self._log, HEAD.pack(kind, offset, len(data)) + data)


def main(folder: str, image: str, log: str) -> None:
    """Serve until it is unmounted."""
    mfusepy.FUSE(Recorder(image, log), folder, foreground=True, nothreads=True, big_writes=True, max_write=2**17)


if __name__ == "__main__":
    main(*sys.argv[1:])
