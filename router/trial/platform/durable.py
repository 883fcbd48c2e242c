"""Durable files, which survive power loss under their final name or are not there."""

import os
import uuid
from io import BufferedRandom
from pathlib import Path
from typing import BinaryIO


def new_file(folder: Path) -> BufferedRandom:
    """An empty file under a name of its own (`.name`), for reading and writing."""
    return (folder / uuid.uuid4().hex).open("x+b")


def sync(file: BinaryIO) -> None:
    """Put the file's bytes on the disk before returning."""
    file.flush()
    os.fsync(file.fileno())


def place(ready: Path, target: Path) -> None:
    """Give an already synced file its final name, in the place of any former one; both survive power loss."""
    make_folder(target.parent)
    ready.replace(target)
    sync_folder(target.parent)


def make_folder(folder: Path) -> None:
    """Make the folder and those above it, each durable in the one that holds it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in the folder on the disk before returning."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
