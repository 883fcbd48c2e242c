"""Disks of the harness: the recorded one, and the one that holds a state. Each is unmounted whatever happens."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

RECORDER = Path(__file__).with_name("recorder.py")
MEMORY = Path("/dev/shm")  # images and logs are written often and are gone afterwards
# Small, so that a state is soon there; XFS takes none below 300 MiB.
SIZES = {"ext4": 160 * 2**20, "xfs": 320 * 2**20}
_MAKE = {
    "ext4": ("mkfs.ext4", "-q", "-F", "-b", "4096", "-J", "size=8", "-E", "lazy_itable_init=0,lazy_journal_init=0"),
    "xfs": ("mkfs.xfs", "-q", "-f"),
}
_OPTIONS = {"ext4": "noatime", "xfs": "noatime,nouuid"}
_CHECK = {"ext4": ("e2fsck", "-fn"), "xfs": ("xfs_repair", "-n")}


class Call(Exception):
    """A program of the system failed."""


def call(*arguments: str | Path) -> str:
    """Run a program of the system; its output. Raises Call when it fails."""
    done = subprocess.run(list(map(str, arguments)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise Call(f"{' '.join(map(str, arguments))}: {done.stdout}{done.stderr}".strip())
    return done.stdout


def missing(fs: str) -> str:
    """What the harness lacks here, in words; "" when it can run."""
    if os.geteuid() != 0:
        return "it takes root: a loop device is mounted"
    for device in (Path("/dev/fuse"), Path("/dev/loop-control")):
        if not device.exists():
            return f"{device} is not there"
    try:
        import mfusepy  # noqa: F401  # whether it finds its library shows here
    except (ImportError, OSError):
        return "libfuse is not installed: as root, apt-get install fuse3"
    program = _MAKE[fs][0]
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
        return f"{program} is not installed: as root, apt-get install {'e2fsprogs' if fs == 'ext4' else 'xfsprogs'}"
    return ""


def make(image: Path, fs: str) -> None:
    """An empty file system."""
    with image.open("wb") as file:
        file.truncate(SIZES[fs])
    call(*_MAKE[fs], image)


@contextmanager
def mounted(image: Path, folder: Path, fs: str) -> Iterator[None]:
    """The image as the file system at `folder`.

    One program attaches the loop device and mounts it, and the last user's end detaches it. Between two programs
    another run may have detached the device, by its name, and attached it to an image of its own.
    """
    folder.mkdir(exist_ok=True)
    call("mount", "-t", fs, "-o", f"loop,{_OPTIONS[fs]}", image, folder)
    try:
        _require_mounted(image, folder)
        yield
    finally:
        _unmount(folder)


def _require_mounted(image: Path, folder: Path) -> None:
    device = call("findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", folder).strip()
    there = Path("/sys/block", Path(device).name, "loop", "backing_file").read_text(encoding="utf-8").strip()
    if there != str(image.resolve()):
        raise Call(f"{folder} shows {there} in place of {image}")


def faults(image: Path, folder: Path, fs: str) -> str:
    """What the file system's own check finds once the journal was replayed, by mounting at `folder`; "" for nothing."""
    try:
        with mounted(image, folder, fs):
            pass
        call(*_CHECK[fs], image)
    except Call as error:
        return str(error)[:300]
    return ""


def _unmount(folder: Path) -> None:
    for _ in range(100):
        try:
            call("umount", folder)
        except Call:
            time.sleep(0.05)
        else:
            return
    call("umount", "--lazy", folder)
    raise Call(f"{folder} was in use for five seconds")


class RecordedDisk:
    """A file system at `folder` whose writes and flushes are in `log`, on an image that begins as `first`."""

    def __init__(self, scratch: Path, folder: Path) -> None:
        self.first, self.log = scratch / "first.img", scratch / "writes.log"
        self._image = scratch / "disk.img"
        self._fuse = scratch / "fuse"
        self._folder = folder
        self._marks = -1

    @contextmanager
    def started(self, fs: str) -> Iterator["RecordedDisk"]:
        """While it is mounted."""
        make(self.first, fs)
        shutil.copyfile(self.first, self._image)
        self._fuse.mkdir()
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._recording(), mounted(self._fuse / "disk", self._folder, fs):
            yield self
        self._image.unlink()

    def mark(self, text: str) -> None:
        """Put down that something has happened: it stands behind all that was written before."""
        os.pwrite(self._marks, text.encode(), 0)  # at most a page, so one request

    def fail_flush(self, number: int) -> None:
        """Have the flush of that number from now on fail, once."""
        (self._fuse / "control").write_text(f"eio {number}", encoding="ascii")

    @contextmanager
    def _recording(self) -> Iterator[None]:
        server = subprocess.Popen([sys.executable, str(RECORDER), str(self._fuse), str(self._image), str(self.log)])
        try:
            _wait(lambda: (self._fuse / "disk").exists() or server.poll() is not None)
            self._marks = os.open(self._fuse / "marks", os.O_WRONLY)
            try:
                yield
            finally:
                os.close(self._marks)
                _unmount(self._fuse)
            server.wait(20)
        finally:
            server.kill()
            server.wait()


def _wait(condition: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise Call("the recording file system does not come up")
        time.sleep(0.01)
