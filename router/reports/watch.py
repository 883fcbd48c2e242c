"""Looking at the drop folder: a scan is the truth, events only make the next scan come sooner."""

import logging
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from router.reports.settle import Seen

# At the end its threads tell of each other as of errors; what matters, a folder that is gone, the rescan tells.
logging.getLogger("watchdog").setLevel(logging.CRITICAL)
ENDINGS = frozenset({".json", ".pdf", ".hl7"})
SET_ASIDE = ("done", "rejected")


@dataclass(frozen=True, slots=True)
class Listing:
    """What a scan found. `empty`: nothing at all lies in the folder, not even what was set aside."""

    files: tuple[Seen, ...]
    unreadable: frozenset[Path]
    empty: bool


def scan(folder: Path) -> Listing:
    """Every regular .json, .pdf and .hl7 file below the folder that is not set aside, hidden or temporary.

    OSError when the folder itself cannot be read: the share has vanished.
    """
    unreadable: set[Path] = set()
    entries = list(os.scandir(folder))
    return Listing(tuple(_walk(entries, unreadable, top=True)), frozenset(unreadable), not entries)


def _walk(entries: "list[os.DirEntry[str]]", unreadable: set[Path], *, top: bool = False) -> Iterator[Seen]:
    for entry in entries:
        if entry.name.startswith((".", "~")):
            continue
        if entry.is_dir(follow_symlinks=False):
            if not (top and entry.name in SET_ASIDE):
                yield from _walk(_listed(entry.path, unreadable), unreadable)
        elif Path(entry.name).suffix.lower() in ENDINGS:
            yield from _seen(entry, unreadable)


def _listed(folder: str, unreadable: set[Path]) -> "list[os.DirEntry[str]]":
    try:
        return list(os.scandir(folder))
    except FileNotFoundError:
        return []
    except OSError:
        unreadable.add(Path(folder))
        return []


def _seen(entry: "os.DirEntry[str]", unreadable: set[Path]) -> Iterator[Seen]:
    try:
        if entry.is_file(follow_symlinks=False):
            state = entry.stat(follow_symlinks=False)
            yield Seen(Path(entry.path), state.st_size, state.st_mtime_ns)
    except FileNotFoundError:
        return
    except OSError:
        unreadable.add(Path(entry.path))


class _Bell(FileSystemEventHandler):
    def __init__(self, ring: threading.Event) -> None:
        self._ring = ring

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type in {"created", "modified", "moved", "closed"}:
            self._ring.set()


class Watch:
    """Waits for a reason to scan: a file event, or the time of the next rescan."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ring = threading.Event()
        self._observer = Observer()

    def start(self) -> None:
        """Begin to listen for events; a folder that cannot be watched is only rescanned."""
        self._observer = Observer()
        try:
            self._observer.schedule(_Bell(self._ring), str(self._folder), recursive=True)
            self._observer.start()
        except OSError:
            self._observer.unschedule_all()

    def again(self) -> None:
        """Listen anew: the folder is another one than before, a share that was mounted again for instance."""
        self._end()
        self.start()

    def wait(self, seconds: float) -> None:
        """Return at an event, or after `seconds`."""
        self._ring.wait(seconds)
        self._ring.clear()

    def wake(self) -> None:
        """Make `wait` return."""
        self._ring.set()

    def stop(self) -> None:
        """Stop listening."""
        self.wake()
        self._end()

    def _end(self) -> None:
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()
