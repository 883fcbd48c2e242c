"""Setting originals aside once the node has its own durable copy, or refusing them with a reason."""

import os
from pathlib import Path

from router.reports.settle import Seen
from router.reports.watch import SET_ASIDE
from router.text import reading

DONE, REJECTED = SET_ASIDE


def stem_of(folder: Path, path: Path) -> str:
    """The name by which JSON and PDF pair: the path below the folder without its ending.

    Shares of older systems may hold names in GB18030, which are bytes that are no UTF-8.
    """
    name = os.fsencode(path.relative_to(folder).with_suffix("").as_posix())
    certain = reading(name)
    return name.decode("gb18030", "backslashreplace") if certain is None else certain


def read_still(seen: Seen) -> bytes | None:
    """The file's bytes; None when it is gone or has changed since the scan, so that it must settle again.

    A share may tell the size of a file that is being written late: then more or less is read than was scanned.
    """
    try:
        data = seen.path.read_bytes()
        return data if (len(data), *_state(seen.path)) == (seen.size, seen.size, seen.mtime) else None
    except FileNotFoundError:
        return None


def set_aside(folder: Path, seen: Seen, into: str) -> Path | None:
    """Move the original below `into`, keeping its subfolder; a taken name gets ~2. Where it lies now.

    A RIS may put a new version under the name after the old one was read. What was moved and is not what was
    read goes back under its name and None is returned: it is taken as the new file that it is, unless the RIS has
    put a still newer one there, which replaces it.
    """
    target = _free(folder / into / seen.path.relative_to(folder))
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        moved = seen.path.rename(target)
    except FileNotFoundError:
        return None
    if _state(moved) == (seen.size, seen.mtime):
        return moved
    if not seen.path.exists():
        moved.rename(seen.path)
    return None


def reject(folder: Path, seen: Seen, reason: str) -> None:
    """Move an original to rejected/ with NAME.reason.txt beside it."""
    moved = set_aside(folder, seen, REJECTED)
    if moved is not None:
        with moved.with_name(f"{moved.stem}.reason.txt").open("a", encoding="utf-8") as file:
            file.write(reason)


def _state(path: Path) -> tuple[int, int]:
    state = path.stat()
    return state.st_size, state.st_mtime_ns


def _free(path: Path) -> Path:
    candidate, n = path, 1
    while candidate.exists():
        n += 1
        candidate = path.with_name(f"{path.stem}~{n}{path.suffix}")
    return candidate
