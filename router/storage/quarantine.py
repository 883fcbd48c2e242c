"""quarantine/: files that were received and cannot be filed, each in a folder of its own with the reason."""

import os
from datetime import datetime
from pathlib import Path

from router.storage.durable import make_folder, sync_folder, write


class Quarantine:
    """`quarantine/<when>-<why>/`: nothing in it goes anywhere until a person decides."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_folder(folder)

    def take(self, path: Path, now: datetime, why: str, reason: str) -> Path:
        """Move the file in, durably; `why` is a word for the folder's name, `reason` a sentence."""
        folder = self._free(f"{now:%Y%m%dT%H%M%S}-{why}")
        write(folder / "reason.txt", f"{reason}\n".encode())
        os.rename(path, folder / path.name)  # noqa: PTH104  # same file system: the data folder's
        sync_folder(folder)
        return folder

    def keep(self, name: str, data: bytes, now: datetime, why: str, reason: str) -> Path:
        """As `take`, for content whose original stays where it is."""
        folder = self._free(f"{now:%Y%m%dT%H%M%S}-{why}")
        write(folder / "reason.txt", f"{reason}\n".encode())
        write(folder / name, data)
        return folder

    def _free(self, name: str) -> Path:
        folder, n = self._folder / name, 1
        while folder.exists():
            n += 1
            folder = self._folder / f"{name}~{n}"
        make_folder(folder)
        return folder
