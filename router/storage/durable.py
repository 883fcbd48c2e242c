"""Writing so that bytes and names survive power loss: temporary name, fsync, rename, fsync of the folder."""

import os
from collections.abc import Iterable
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_folder(folder: Path) -> None:
    """Make the folder and its missing parents, private, their names durable."""
    missing = []
    at = folder
    while not at.exists():
        missing.append(at)
        at = at.parent
    for path in reversed(missing):
        path.mkdir(mode=FOLDER_MODE, exist_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in the folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folders(folders: Iterable[Path]) -> None:
    """`sync_folder` once for each different folder."""
    for folder in sorted(set(folders)):
        sync_folder(folder)


def write(path: Path, data: bytes) -> None:
    """Write a whole file; when this returns, it is there in full after any crash, and never in part."""
    make_folder(path.parent)
    part = path.with_name(path.name + ".part")
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, FILE_MODE)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


def link(source: Path, target: Path) -> None:
    """Give the file a second name; FileExistsError when another file has it. Durable after `sync_folder`."""
    try:
        os.link(source, target)
    except FileExistsError:
        if not target.samefile(source):
            raise
