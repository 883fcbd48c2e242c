"""Writing so that bytes and names survive power loss: temporary name, fsync, rename, fsync of the folder."""

import os
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

FOLDER_MODE = 0o700
FILE_MODE = 0o600
_AT_ONCE = 4

_T = TypeVar("_T")
_R = TypeVar("_R")


def make_folder(folder: Path) -> None:
    """Make the folder and its missing parents, private, their names durable."""
    for path in make_tree(folder):
        sync_folder(path.parent)


def make_tree(folder: Path) -> Iterator[Path]:
    """Make the folder and its missing parents, private, from the top; each as it is made. Durable after `sync_tree`."""
    missing = list(takewhile(lambda at: not at.exists(), (folder, *folder.parents)))
    for path in reversed(missing):
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)
        yield path


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """A descriptor of the file, closed at the end; one that is made is private."""
    handle = os.open(path, flags, FILE_MODE)
    try:
        yield handle
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make the names in the folder durable."""
    with opened(folder, os.O_RDONLY | os.O_DIRECTORY) as handle:
        os.fsync(handle)


def sync_folders(folders: Iterable[Path]) -> None:
    """`sync_folder` once for each different folder."""
    for folder in sorted(set(folders)):
        sync_folder(folder)


def write(path: Path, data: bytes) -> None:
    """Write a whole file; when this returns, it is there in full after any crash, and never in part."""
    make_folder(path.parent)
    _write_part(path, data).replace(path)
    sync_folder(path.parent)


def write_beside(path: Path, data: bytes, own: Path) -> Path:
    """Write a whole file at `path`, or at `own`, a name that no other writer has, where another content is there.

    Nothing is written over, whoever else writes at the same time or was frozen while it wrote. Returns its place; as
    durable as `write`.
    """
    make_folder(path.parent)
    part, found = _write_part(own, data), path
    try:
        os.link(part, path)
    except FileExistsError:
        found = path if path.read_bytes() == data else part.replace(own)
    part.unlink(missing_ok=True)
    sync_folder(path.parent)
    return found


def try_write(folder: Path, *, durable: bool = False) -> None:
    """Write a few bytes to a file without a name, `durable` through to the disk; OSError when they are not taken."""
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(bytes(4096))
        file.flush()
        if durable:
            os.fsync(file.fileno())


def side_by_side(work: Callable[[_T], _R], each: Iterable[_T]) -> list[_R]:
    """Call `work`, which waits for the disk, for each, some at a time: they share the disk's own commits.

    Returns or raises when all have ended.
    """
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(work, each))


def write_all(files: Mapping[Path, bytes]) -> None:
    """Many whole files, written side by side. Their names last after `sync_tree`."""
    for folder in {path.parent for path in files}:
        deque(make_tree(folder))
    for path, part in zip(files, side_by_side(lambda file: _write_part(*file), files.items()), strict=True):
        part.replace(path)


def sync_tree(folders: Iterable[Path], top: Path) -> None:
    """Make the names in these folders durable, and those of the folders themselves up to `top`."""
    every = {at for folder in folders for at in (folder, *folder.parents) if at.is_relative_to(top)}
    side_by_side(sync_folder, sorted(every, reverse=True))


def _write_part(path: Path, data: bytes) -> Path:
    part = path.with_name(path.name + ".part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    return part


def link(source: Path, target: Path) -> None:
    """Give the file a second name; FileExistsError when another file has it. Durable after `sync_folder`."""
    try:
        os.link(source, target)
    except FileExistsError:
        if not target.samefile(source):
            raise
