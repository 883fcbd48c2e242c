"""Holidays: the file of days off, read again when it has changed."""

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
    """Reads the file that the configuration names, else the shipped one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: _Stamp | None = None
        self._found = Reading()

    def reconfigure(self, path: Path) -> None:
        """Read another file from now on."""
        self._path = path

    def reading(self) -> Reading:
        """The dates of the file; the former ones while it cannot be read."""
        try:
            path = self._path if self._path.exists() else shipped(_NAME)
            stamp = _stamp(path)
            if stamp != self._stamp:
                with path.open("rb") as file:
                    data = file.read(_LARGEST)
                # Dates are ASCII in whatever an editor writes; remarks are not needed.
                self._found = read(data.decode("utf-16" if data.startswith(_UTF_16) else "utf-8-sig", "replace"))
                self._stamp = stamp
        except OSError as error:
            _log.warning("[study] holidays cannot be read, what was known stays: %s", error.strerror)
        return self._found


def _stamp(path: Path) -> _Stamp:
    found = path.stat()
    return path, found.st_mtime_ns, found.st_size, found.st_ino
