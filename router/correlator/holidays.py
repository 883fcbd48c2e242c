"""The file of days off, as it is by now."""

import logging
from pathlib import Path

from router.config.file import shipped
from router.policy.workdays import Reading, read

_NAME = "holidays.txt"
_LARGEST = 2**20
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_Stamp = tuple[Path, int, int, int]
_log = logging.getLogger("router")


class Holidays:
    """Reads the file that the configuration names, else the shipped one, and again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._found = Reading()

    def reconfigure(self, path: Path) -> None:
        """Another file from now on."""
        self._path = path

    def reading(self) -> Reading:
        """The dates of the file; those of before while it cannot be read."""
        try:
            path = self._path if self._path.exists() else shipped(_NAME)
            stamp = _stamp(path)
            if stamp != self._stamp:
                self._found = read(_decoded(_start_of(path)))
                self._stamp = stamp
        except OSError as error:
            _log.warning("[study] holidays cannot be read, what was known stays: %s", error.strerror)
        return self._found


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LARGEST)


def _decoded(data: bytes) -> str:
    """Dates are ASCII in whatever an editor writes; of remarks nothing is wanted."""
    return data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig", "replace")


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return path, found.st_mtime_ns, found.st_size, found.st_ino
