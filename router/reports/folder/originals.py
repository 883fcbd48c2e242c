"""Setting originals aside once the node has its own durable copy, or refusing them with a reason."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from errno import EEXIST, ELOOP, ENOENT, ENOTDIR, ENXIO
from pathlib import Path

from router.model import SetAside
from router.reports.folder.directory import DEEPEST, Spot, aside, inside, opened, spot
from router.reports.folder.settle import Seen
from router.reports.folder.watch import SET_ASIDE
from router.text.decoding import reading

DONE, REJECTED = SET_ASIDE
_REASON = ".reason.txt"
_LAST_SECOND = datetime(9000, 1, 1, tzinfo=UTC).timestamp()
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_NONBLOCK
# Of a name that was swapped since the scan: it is gone, a link, or no folder where one was; a socket or a pipe.
_SWAPPED = {ENOENT, ELOOP, ENOTDIR, ENXIO}
# Of further files of one name: ever further apart, so that a folder full of taken names costs no time.
_NUMBERS = (*range(1, 100), *(2**power for power in range(7, 60)))
_SHORT = 100  # bytes of a name that every file system takes


def stem_of(folder: Path, path: Path) -> str:
    """The name by which JSON and PDF pair: the path without ending. Older shares hold names in GB18030, no UTF-8."""
    name = os.fsencode(path.relative_to(folder).with_suffix("").as_posix())
    certain = reading(name)
    return name.decode("gb18030", "backslashreplace") if certain is None else certain


def name_of(folder: Path, path: Path) -> str:
    """The path below the folder as people see it, whatever bytes it has."""
    return stem_of(folder, path) + os.fsencode(path.suffix).decode("utf-8", "backslashreplace")


def file_time(seen: Seen, arrived: datetime) -> datetime:
    """The instant at which the file was written; its arrival where its time is before 1970 or after the year 9000."""
    seconds = seen.mtime / 1e9
    return datetime.fromtimestamp(seconds, UTC) if 0 <= seconds < _LAST_SECOND else arrived


def read_still(folder: Path, seen: Seen) -> bytes | None:
    """The file's bytes; None when it is gone or is not what the scan saw, so that it must settle again.

    A share may tell the size of a file that is being written late: then more or less is read than was scanned. The name
    may lead to a link or a pipe by now, or to a file that grows for ever: no more than was scanned is read.
    """
    *parents, name = _parts(folder, seen)
    with _unless_swapped(), opened(folder) as top, spot(top, parents) as at:
        return _content(at.parent, name, seen) if _is_still(_look(at.parent, name), seen) else None
    return None


@contextmanager
def _unless_swapped() -> Iterator[None]:
    """End the block where a name was swapped since the scan."""
    try:
        yield
    except OSError as error:
        if error.errno not in _SWAPPED:
            raise


def _content(parent: int, name: str, seen: Seen) -> bytes | None:
    handle = os.open(name, _READ, dir_fd=parent)
    with os.fdopen(handle, "rb") as file:
        if not _is_still(os.fstat(handle), seen):
            return None
        data = file.read(seen.size + 1)
        return data if len(data) == seen.size and _is_still(os.fstat(handle), seen) else None


def set_aside(folder: Path, seen: Seen, into: str) -> SetAside | None:
    """Move the original below `into`, keeping its subfolder; a taken name gets ~2. Where it lies now.

    A RIS may put a new version under the name after the old one was read. What was moved and is not what was
    read goes back under its name and None is returned: it is taken as the new file that it is, unless the RIS has
    put a still newer one there, which replaces it.
    """
    try:
        with _both(folder, seen, into) as (at, target):
            moved = _moved(at.parent, target, seen)
            return _lies(at, target, into, moved) if moved is not None else None
    except FileNotFoundError:
        return None


def reject(folder: Path, seen: Seen, reason: str) -> tuple[SetAside, ...]:
    """Move an original to rejected/ and write NAME.reason.txt beside it: what lies there by that, the original first.

    Nothing where the file is not what was read; the original alone where its reason could not be written.
    """
    try:
        with _both(folder, seen, REJECTED) as (at, target):
            moved = _moved(at.parent, target, seen)
            if moved is None:
                return ()
            written = _write_reason(target, moved, reason)
            return tuple(_lies(at, target, REJECTED, name) for name in (moved, written) if name is not None)
    except FileNotFoundError:
        return ()


@contextmanager
def _both(folder: Path, seen: Seen, into: str) -> Iterator[tuple[Spot, int]]:
    """The place of the file, and the folder that it is to be moved to."""
    with (
        opened(folder) as top,
        spot(top, _parts(folder, seen)[:-1]) as at,
        aside(at.home, (into, *at.below), make=True) as target,
    ):
        yield at, target


def _moved(parent: int, target: int, seen: Seen) -> str | None:
    """The name that the file has below `target`; None where it is gone or was another one."""
    name = seen.path.name
    if not _is_still(_look(parent, name), seen):
        return None
    free = _free(target, Path(name).stem, Path(name).suffix)
    os.rename(name, free, src_dir_fd=parent, dst_dir_fd=target)
    if _is_still(_look(target, free), seen):
        return free
    if not _exists(parent, name):
        os.rename(free, name, src_dir_fd=target, dst_dir_fd=parent)
    return None


def _write_reason(target: int, moved: str, reason: str) -> str | None:
    """The name of the file, which nobody else has made; None where it cannot be written."""
    stem = Path(moved).stem
    try:
        name = _free(target, stem, _REASON)
        with os.fdopen(os.open(name, _MAKE, 0o666, dir_fd=target), "w", encoding="utf-8") as file:
            # Two files of one name, a PDF and a JSON, may be refused: the second reason says which it is about.
            file.write(reason if name == stem + _REASON else f"{os.fsencode(moved).decode(errors='replace')}: {reason}")
    except OSError:
        return None
    return name


def _lies(at: Spot, target: int, into: str, name: str) -> SetAside:
    state = _look(target, name)
    place = os.fsencode("/".join((into, *at.below, name)))
    return SetAside(home=os.fsencode("/".join(at.lead)), place=place, inode=state.st_ino, size=state.st_size)


def remove(top: int, lying: SetAside) -> bool | None:
    """Remove from done/ or rejected/ what was put there; None when it is gone, False when another file lies there.

    OSError when it cannot be reached or removed: the share may be away, and come again.
    """
    *parents, name = os.fsdecode(lying.place).split("/")
    with spot(top, _home(lying)) as at, aside(at.parent, parents[:1]) as first:
        with _unless_swapped(), spot(first, parents[1:]) as below:
            state = _look(below.parent, name)
            if not stat.S_ISREG(state.st_mode) or (state.st_ino, state.st_size) != (lying.inode, lying.size):
                return False
            os.unlink(name, dir_fd=below.parent)
            return True
        return None


def read_aside(top: int, lying: SetAside) -> bytes | None:
    """The bytes of a file that was put below done/ or rejected/; None where it is gone or another one lies there."""
    *parents, name = os.fsdecode(lying.place).split("/")
    with _unless_swapped(), spot(top, _home(lying)) as at, spot(at.parent, parents) as below:
        handle = os.open(name, _READ, dir_fd=below.parent)
        with os.fdopen(handle, "rb") as file:
            state = os.fstat(handle)
            whole = stat.S_ISREG(state.st_mode) and state.st_size == lying.size
            return file.read(lying.size) if whole else None
    return None


def where(folder: Path, seen: Seen) -> SetAside:
    """The place of a file in the drop folder, as `lies` asks for it; OSError when it cannot be reached."""
    *parents, name = _parts(folder, seen)
    with opened(folder) as top, spot(top, parents) as at:
        state = _look(at.parent, name)
        home, place = (os.fsencode("/".join(parts)) for parts in (at.lead, (*at.below, name)))
    return SetAside(home=home, place=place, inode=state.st_ino, size=state.st_size)


def lies(top: int, lying: SetAside) -> bool | None:
    """Whether a file lies at that place below the open drop folder; None where nobody can tell.

    Any regular file counts: inodes of a share change when it is mounted again. A folder that was a mount of its own
    and is none now says nothing of the files in it.
    """
    *parents, name = os.fsdecode(lying.place).split("/")
    try:
        with spot(top, _home(lying)) as at:
            if at.lead != _home(lying):
                return None
            with spot(at.parent, parents) as below:
                return stat.S_ISREG(_look(below.parent, name).st_mode)
    except OSError as error:
        return False if error.errno in _SWAPPED else None


def lying(top: int) -> Iterator[tuple[SetAside, datetime]]:
    """Every file below done/ and rejected/ of the open drop folder, and since when it may lie there.

    Its own time is the RIS's, the change of its name is the move. Links, and what cannot be read, are passed by.
    """
    for into in SET_ASIDE:
        with suppress(OSError), aside(top, (into,)) as handle:
            yield from _lying(handle, into, depth=1)


def _lying(handle: int, place: str, *, depth: int) -> Iterator[tuple[SetAside, datetime]]:
    with os.scandir(handle) as listed:
        entries = list(listed)
    for entry in entries:
        with suppress(OSError):
            if entry.is_dir(follow_symlinks=False) and depth <= DEEPEST:
                with inside(handle, entry.name) as below:
                    yield from _lying(below, f"{place}/{entry.name}", depth=depth + 1)
            elif entry.is_file(follow_symlinks=False):
                state, where_ = entry.stat(follow_symlinks=False), os.fsencode(f"{place}/{entry.name}")
                since = datetime.fromtimestamp(min(max(state.st_mtime, state.st_ctime, 0.0), _LAST_SECOND), UTC)
                yield SetAside(home=b"", place=where_, inode=state.st_ino, size=state.st_size), since


def _parts(folder: Path, seen: Seen) -> tuple[str, ...]:
    return seen.path.relative_to(folder).parts


def _home(lying: SetAside) -> tuple[str, ...]:
    return tuple(part for part in os.fsdecode(lying.home).split("/") if part)


def _look(parent: int, name: str) -> os.stat_result:
    return os.stat(name, dir_fd=parent, follow_symlinks=False)


def _exists(parent: int, name: str) -> bool:
    try:
        _look(parent, name)
    except FileNotFoundError:
        return False
    return True


def _is_still(state: os.stat_result, seen: Seen) -> bool:
    """Whether it is a file as the scan saw it."""
    return stat.S_ISREG(state.st_mode) and (state.st_size, state.st_mtime_ns) == (seen.size, seen.mtime)


def _free(target: int, stem: str, suffix: str) -> str:
    """A name that nothing has. OSError when somebody has taken every one that is tried."""
    for number in _NUMBERS:
        name = _fitted(target, stem, (f"~{number}" if number > 1 else "") + suffix)
        if not _exists(target, name):
            return name
    raise FileExistsError(EEXIST, "done/ or rejected/ holds too many files of one name")


def _fitted(target: int, stem: str, tail: str) -> str:
    """The name, its stem cut to what the file system takes, no character of it broken."""
    data = os.fsencode(stem)
    if len(data) + len(tail) <= _SHORT:  # a share may have to be asked over the network
        return stem + tail
    cut = data[: os.fpathconf(target, "PC_NAME_MAX") - len(tail)]
    try:
        data.decode()
    except UnicodeDecodeError:
        return os.fsdecode(cut) + tail
    return cut.decode(errors="ignore") + tail
