"""Received instances: dicom/<study>/<series>/<instance>.dcm; an instance that comes again replaces its file."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from router.model import InstanceUids
from router.trial.platform.durable import new_file, place, sync


class ImageFolder:
    """A `Sink` of the Storage SCP. `spool` is on the same file system as `folder`."""

    def __init__(self, folder: Path, spool: Path) -> None:
        self._folder = folder
        self._spool = spool

    def has_room(self) -> bool:
        """Always true: a full disk is an OSError of the write, which is answered with A700."""
        return True

    def create(self) -> "ImageFile":
        return ImageFile(self._folder, self._spool)


class ImageFile:
    """One instance on its way to disk."""

    def __init__(self, folder: Path, spool: Path) -> None:
        self._folder = folder
        self._file = new_file(spool)

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        self._file.writelines(parts)

    def written(self) -> BinaryIO:
        """Its bytes so far."""
        self._file.flush()
        return Path(self._file.name).open("rb")

    def commit(self, uids: InstanceUids) -> None:
        """Make bytes and name durable before returning."""
        with self._file:
            sync(self._file)
        place(Path(self._file.name), self._folder / uids.study / uids.series / f"{uids.sop}.dcm")

    def discard(self) -> None:
        self._file.close()
        Path(self._file.name).unlink(missing_ok=True)
