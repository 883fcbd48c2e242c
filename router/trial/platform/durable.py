"""Files that survive power loss under their final name, or are not there."""

import os
import uuid
from io import BufferedRandom
from pathlib import Path
from typing import BinaryIO


def new_file(folder: Path) -> BufferedRandom:
    """An empty file under a name of its own (`.name`), for reading and writing."""
    return (folder / uuid.uuid4().hex).open("x+b")


def sync(file: BinaryIO) -> None:
    """The file's bytes are on the disk once this returns."""
    file.flush()
    os.fsync(file.fileno())


def place(ready: Path, target: Path) -> None:
    """Give an already synced file its final name, in the place of any former one; both survive power loss."""
    make_folder(target.parent)
    ready.replace(target)
    sync_folder(target.parent)


def make_folder(folder: Path) -> None:
    """The folder and those above it, each made durable in the one that holds it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """The names in the folder are on the disk once this returns."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
