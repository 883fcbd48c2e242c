"""The physical floor: making one file durable on this disk, and ways to do so that cost more or less."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

Way = Callable[[Path, int, bytes], None]


def synced(folder: Path, number: int, data: bytes) -> None:
    """What the node does for a large instance: fsync, rename, fsync of the folder."""
    part = folder / f"{number}.part"
    handle = os.open(part, os.O_WRONLY | os.O_CREAT)
    os.write(handle, data)
    os.fsync(handle)
    os.close(handle)
    part.rename(folder / f"{number}.dcm")
    _sync_folder(folder)


def unsynced(folder: Path, number: int, data: bytes) -> None:
    """What survives no power loss."""
    handle = os.open(folder / f"{number}.dcm", os.O_WRONLY | os.O_CREAT)
    os.write(handle, data)
    os.close(handle)


def allocated(folder: Path, number: int, data: bytes) -> None:
    """fallocate, fdatasync, rename, fsync of the folder."""
    part = folder / f"{number}.part"
    handle = os.open(part, os.O_WRONLY | os.O_CREAT)
    os.posix_fallocate(handle, 0, len(data))
    os.write(handle, data)
    os.fdatasync(handle)
    os.close(handle)
    part.rename(folder / f"{number}.dcm")
    _sync_folder(folder)


def recycled(folder: Path, number: int, data: bytes) -> None:
    """Overwrite a file written before, fdatasync, rename, fsync of the folder."""
    part = folder / f"{number}.old"
    handle = os.open(part, os.O_WRONLY)
    os.write(handle, data)
    os.fdatasync(handle)
    os.close(handle)
    part.rename(folder / f"{number}.dcm")
    _sync_folder(folder)


def bus(folder: Path, number: int, data: bytes) -> None:
    """fdatasync into a segment written before; filing its contents comes on top, behind the acknowledgement."""
    handle = os.open(folder / "segment.old", os.O_WRONLY)
    os.pwrite(handle, data, (number % 1000) * len(data))
    os.fdatasync(handle)
    os.close(handle)


WAYS: dict[str, Way] = {
    "written, not synced": unsynced,
    "fsync, rename, folder fsync (large instances)": synced,
    "fallocate, fdatasync, rename, folder fsync": allocated,
    "recycled file, fdatasync, rename, folder fsync": recycled,
    "preallocated journal, fdatasync (small instances)": bus,
}


def prepare(way: Way, folder: Path, threads: int, count: int, size: int) -> None:
    """What a way needs to find, outside its time."""
    for thread in range(threads):
        own = folder / str(thread)
        own.mkdir()
        if way is recycled:
            for number in range(count):
                (own / f"{number}.old").write_bytes(bytes(size))
        if way is bus:
            (own / "segment.old").write_bytes(bytes(size * count))
    os.sync()


def run(way: Way, folder: Path, threads: int, count: int, size: int) -> float:
    """Seconds for each of `threads` to make `count` files of `size` bytes, in a folder that is prepared."""
    data = os.urandom(size)

    def work(own: Path) -> None:
        for number in range(count):
            way(own, number, data)

    working = [threading.Thread(target=work, args=(folder / str(thread),)) for thread in range(threads)]
    began = time.perf_counter()
    for thread in working:
        thread.start()
    for thread in working:
        thread.join()
    return time.perf_counter() - began


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(handle)
    os.close(handle)
