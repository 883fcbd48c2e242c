"""quarantine/: files that were received and cannot be filed, each in a folder of its own with the reason."""

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from router.storage.durable import make_folder, sync_folder, write

_REASON = "reason.txt"


@dataclass(frozen=True, slots=True)
class Kept:
    """Content of one folder; `name` is the folder's."""

    name: str
    reason: str
    files: Sequence[Path]
    size: int


class Quarantine:
    """`quarantine/<when>-<why>/`: kept until a person decides."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_folder(folder)

    def take(self, path: Path, now: datetime, why: str, reason: str) -> Path:
        """Move the file in, durably; `why` is a word for the folder's name, `reason` a sentence."""
        folder = self._begin(f"{now:%Y%m%dT%H%M%S}-{why}", reason)
        os.rename(path, folder / path.name)  # noqa: PTH104  # same file system: the data folder's
        sync_folder(folder)
        return folder

    def keep(self, name: str, data: bytes, now: datetime, why: str, reason: str) -> Path:
        """Like `take`, for content whose original stays where it is."""
        folder = self._begin(f"{now:%Y%m%dT%H%M%S}-{why}", reason)
        write(folder / name, data)
        return folder

    def listed(self) -> list[Kept]:
        """Everything in it, the oldest first."""
        return [_kept(folder) for folder in sorted(self._folder.iterdir()) if folder.is_dir()]

    def has(self, name: str) -> bool:
        """Whether the folder of that name is in it."""
        return (self._folder / name).is_dir()

    def delete(self, kept: Kept) -> None:
        """Remove it for good: a person has decided."""
        shutil.rmtree(self._folder / kept.name)
        sync_folder(self._folder)

    def _begin(self, name: str, reason: str) -> Path:
        """Make a folder of this name, or with a number, that has the reason in it."""
        folder, n = self._folder / name, 1
        while folder.exists():
            n += 1
            folder = self._folder / f"{name}~{n}"
        write(folder / _REASON, f"{reason}\n".encode())
        return folder


def count_in(quarantine: Path) -> int:
    """How many folders a quarantine holds, without looking into them; 0 where there is none."""
    return sum(1 for folder in quarantine.iterdir() if folder.is_dir()) if quarantine.is_dir() else 0


def _kept(folder: Path) -> Kept:
    files = [path for path in sorted(folder.iterdir()) if path.name != _REASON]
    reason = ""
    with suppress(FileNotFoundError):
        reason = (folder / _REASON).read_text(encoding="utf-8", errors="replace").strip()
    return Kept(folder.name, reason, files, sum(path.stat().st_size for path in files))
