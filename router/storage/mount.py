"""Volume of a folder, by Linux: the mount, and whether its disk is encrypted (dm-crypt, LUKS)."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_PROC, _SYS, _FSTAB = Path("/proc/self/mounts"), Path("/sys/dev/block"), Path("/etc/fstab")


@dataclass(frozen=True, slots=True)
class Mount:
    """A line of fstab(5): what is mounted where, as which kind of file system."""

    source: str
    folder: Path
    kind: str


def mount_of(folder: Path, table: Path = _PROC) -> Mount | None:
    """The mount that a folder lies on; None where the system does not tell."""
    return _deepest(folder, _mounts(table))


def not_mounted(folder: Path, wanted: Path = _FSTAB, table: Path = _PROC) -> Mount | None:
    """The mount that fstab has for a folder and that is not there."""
    due = _deepest(folder, _mounts(wanted))
    here = {mount.folder for mount in _mounts(table)}
    return due if due is not None and here and due.folder not in here else None


def is_encrypted(mount: Mount, sys: Path = _SYS) -> bool | None:
    """Whether every byte goes through dm-crypt on its way to the disk; None for what is no disk of this machine."""
    try:
        number = os.stat(mount.source).st_rdev if mount.source.startswith("/dev/") else 0  # noqa: PTH116 st_rdev
    except OSError:
        return None
    device = sys / f"{os.major(number)}:{os.minor(number)}"
    return _through_crypt(device) if number and device.exists() else None


def _through_crypt(device: Path) -> bool:
    uuid = device / "dm" / "uuid"
    if uuid.exists() and uuid.read_text(encoding="ascii").startswith("CRYPT-"):
        return True
    below = device / "slaves"
    parts = list(below.iterdir()) if below.is_dir() else []
    return bool(parts) and all(_through_crypt(part) for part in parts)


def _deepest(folder: Path, mounts: Iterable[Mount]) -> Mount | None:
    path = folder.resolve()
    found = [mount for mount in mounts if path.is_relative_to(mount.folder)]
    return max(reversed(found), key=lambda mount: len(mount.folder.parts), default=None)


def _mounts(table: Path) -> list[Mount]:
    try:
        text = table.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return []
    lines = [line.split() for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [Mount(_plain(f[0]), Path(_plain(f[1])), f[2]) for f in lines if len(f) >= 3 and f[1].startswith("/")]


def _plain(field: str) -> str:
    """proc(5): blanks are written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)
