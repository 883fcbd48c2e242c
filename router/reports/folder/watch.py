"""Looking at the drop folder: a scan is the truth, events only make the next scan come sooner."""

import logging
import os
import threading
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from errno import ENAMETOOLONG
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from router.reports.folder.directory import DEEPEST, device, inside, opened
from router.reports.folder.settle import Seen

# At the end its threads log errors about each other; the rescan reports a folder that is gone.
logging.getLogger("watchdog").setLevel(logging.CRITICAL)
ENDINGS = frozenset({".json", ".xml", ".pdf", ".hl7"})
SET_ASIDE = ("done", "rejected")
MOST_OTHERS = 1000
"""Files of each kind that a scan names; further ones are counted."""
_TEMPORARY = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".swp", ".lock")
_OF_THE_SYSTEM = frozenset({"thumbs.db", "desktop.ini", "ehthumbs.db"})


class OtherKind(StrEnum):
    """Reason why a scan leaves a file alone."""

    ENDING = "ending"
    TEMPORARY = "temporary"
    LINK = "link"
    SPECIAL = "special"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Other:
    """A file that is no document, and lies there. `mtime` in nanoseconds since 1970; as `size`, 0 where unknown."""

    path: Path
    kind: OtherKind
    size: int
    mtime: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Result of a scan; `empty`: nothing at all lies there. `others`: MOST_OTHERS of a kind, `counted`: all of them."""

    files: tuple[Seen, ...]
    unreadable: frozenset[Path]
    empty: bool
    others: tuple[Other, ...] = ()
    counted: Mapping[OtherKind, int] = field(default_factory=dict)


def scan(folder: Path, without: Container[Path] = ()) -> Listing:
    """Every regular file of ENDINGS below, not set aside, hidden or temporary. OSError: the share has vanished.

    `without`: folders inside it that are looked at by themselves.
    """
    with opened(folder) as top:
        walk = _Walk(without)
        entries = _listed(top)
        files = tuple(walk.files(folder, top, entries, depth=0))
    return Listing(
        files=files, unreadable=frozenset(walk.unreadable), empty=not entries, others=tuple(walk.others),
        counted=dict(walk.counted),
    )  # fmt: skip


class _Walk:
    """One scan. `unreadable` gathers the paths that cannot be looked at; the rest is found all the same."""

    def __init__(self, without: Container[Path] = ()) -> None:
        self._without = without
        self.unreadable: set[Path] = set()
        self.others: list[Other] = []
        self.counted: Counter[OtherKind] = Counter()

    def files(
        self, folder: Path, handle: int, entries: "Sequence[os.DirEntry[str]]", *, depth: int, home: bool = True
    ) -> Iterator[Seen]:
        """Of the folder's entries and below; `home`: the folder has a done/ and a rejected/ of its own."""
        for entry in entries:
            try:
                if entry.name.startswith((".", "~")):
                    self._note_hidden(folder, entry)
                elif entry.is_dir(follow_symlinks=False):
                    # A share may tell apart no upper and lower case, and give back `Done` where `done` was made.
                    aside = home and entry.name.lower() in SET_ASIDE
                    if not aside and folder / entry.name not in self._without:
                        yield from self._below(folder / entry.name, handle, depth + 1)
                elif Path(entry.name).suffix.lower() in ENDINGS and entry.is_file(follow_symlinks=False):
                    state = entry.stat(follow_symlinks=False)
                    yield Seen(folder / entry.name, state.st_size, state.st_mtime_ns)
                else:
                    self._note(folder, entry, _kind(entry))
            except FileNotFoundError:
                continue
            except OSError:
                self.unreadable.add(folder / entry.name)
                self._note(folder, entry, OtherKind.UNREADABLE)

    def _note_hidden(self, folder: Path, entry: "os.DirEntry[str]") -> None:
        """Hidden files are nobody's business, but for a document that somebody is writing, or has ceased to write."""
        if any(ending in entry.name.lower() for ending in ENDINGS):
            with suppress(OSError):
                if entry.is_file(follow_symlinks=False):
                    self._note(folder, entry, OtherKind.TEMPORARY)

    def _note(self, folder: Path, entry: "os.DirEntry[str]", kind: OtherKind) -> None:
        unreadable = kind is OtherKind.UNREADABLE
        if entry.name.lower() in _OF_THE_SYSTEM and not unreadable:
            return
        self.counted[kind] += 1
        if self.counted[kind] <= MOST_OTHERS:
            size = time = 0
            with suppress(OSError):
                state = None if unreadable else entry.stat(follow_symlinks=False)
                size, time = (state.st_size, state.st_mtime_ns) if state else (0, 0)
            self.others.append(Other(folder / entry.name, kind, size, time))

    def _below(self, folder: Path, parent: int, depth: int) -> Iterator[Seen]:
        """OSError when the folder cannot be read, or when it lies deeper than any export does."""
        if depth > DEEPEST:
            raise OSError(ENAMETOOLONG, "too many folders, one in the other")
        with inside(parent, folder.name) as handle:
            home = device(handle) != device(parent)
            yield from self.files(folder, handle, _listed(handle), depth=depth, home=home)


def _listed(handle: int) -> "list[os.DirEntry[str]]":
    with os.scandir(handle) as entries:
        return list(entries)


def _kind(entry: "os.DirEntry[str]") -> OtherKind:
    if entry.is_symlink():
        return OtherKind.LINK
    if not entry.is_file(follow_symlinks=False):
        return OtherKind.SPECIAL
    return OtherKind.TEMPORARY if entry.name.lower().endswith(_TEMPORARY) else OtherKind.ENDING


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
        self._observer: BaseObserver | None = None

    def start(self) -> None:
        """Begin to listen; a folder that cannot be watched (no watches left, nested too deep) is only rescanned."""
        try:
            self._observer = Observer()  # takes one of the system's few inotify instances
            self._observer.schedule(_Bell(self._ring), str(self._folder), recursive=True)
            self._observer.start()
        except (OSError, RecursionError):
            self._end()

    def again(self) -> None:
        """Listen to the folder that is there by now, a share that was mounted again for instance."""
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
        observer, self._observer = self._observer, None
        if observer is not None:
            observer.stop()
            if observer.is_alive():
                observer.join()
