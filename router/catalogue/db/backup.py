"""Copies of SQLite's database in data/backup/, made while the node works, from which a lost one is put back.

A copy is one snapshot: a read transaction is held while it is made, so writers go on and the copy need not start again.
It counts only after SQLite's own check has passed and it is durable.
"""

import fcntl
import hashlib
import os
import shutil
import sqlite3
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from router.errors import IntegrityError, InvalidData, TransientError

DATABASE = "router.db"
_UNFINISHED = "rebuild-unfinished"
_PAGES = 64
_PAUSE_SECONDS = 0.001
_STAMP = "%Y%m%dT%H%M%SZ"
_FOLDER_MODE, _FILE_MODE = 0o700, 0o600
# Reads a table that every database of ours has: that opens the log, too, and begins the snapshot of a transaction.
_READ = "SELECT version FROM schema"


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy; `at` is the instant whose state it holds, `size` in bytes."""

    path: Path
    at: datetime
    size: int


class Stopped(Exception):  # not an error: the node stops
    """The copy was given up."""


class Backups:
    """data/backup/: `router-<when>.db`."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._folder = data / "backup"

    def listed(self) -> list[Backup]:
        """The copies, the newest first."""
        found = []
        for path in self._folder.glob("router-*.db"):
            try:
                at = datetime.strptime(path.stem.removeprefix("router-"), _STAMP).replace(tzinfo=UTC)
            except ValueError:
                continue
            found.append(Backup(path, at, path.stat().st_size))
        return sorted(found, key=lambda backup: backup.at, reverse=True)

    def make(
        self, now: datetime, stop: Callable[[], bool] = lambda: False, *, spare: int = 0,
        source: "Original | None" = None,
    ) -> Backup:  # fmt: skip
        """Copy the database. TransientError when that would leave less than `spare` bytes or another one is being made,
        IntegrityError when the copy does not pass the check, Stopped when `stop` said so."""
        database = self._data / DATABASE
        size = database.stat().st_size if source is None else source.size
        if shutil.disk_usage(self._data).free - size < spare:
            raise TransientError("no room for a backup of the database", hint="make room on the data folder's volume")
        self._folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        with _alone(self._folder):
            part = self._folder / "router.db.part"
            _remove(part)
            part.touch(mode=_FILE_MODE)
            try:
                if source is None:
                    with closing(sqlite3.connect(database, isolation_level=None)) as opened:
                        _copy(opened, part, stop)
                else:
                    _copy(source.connection, part, stop)
                if not sound(part):
                    raise IntegrityError("the database's copy does not pass SQLite's check",
                                         hint="stop every node and run verify --rebuild")  # fmt: skip
                target = self._folder / f"router-{now:{_STAMP}}.db"
                _note_digest(part, target)
                try:
                    _settle(part, target)
                except OSError:
                    _remove(target)  # its name may not be durable
                    raise
            finally:
                _remove(part)
        return Backup(target, now, target.stat().st_size)

    def prune(self, hourly: int, daily: int) -> int:
        """Remove what need not be kept; how many."""
        listed = self.listed()
        keep = kept([backup.at for backup in listed], hourly, daily)
        gone = [backup for backup in listed if backup.at not in keep]
        for backup in gone:
            _remove(backup.path)
        return len(gone)

    def newest_sound(self) -> Backup | None:
        """The newest copy that passes SQLite's check."""
        return next((backup for backup in self.listed() if sound(backup.path)), None)

    def put_back(self, backup: Path, now: datetime) -> None:
        """With the node stopped: make the copy the database, set the former one aside; InvalidData: it is not sound."""
        if not sound(backup):
            raise InvalidData("this is not a sound copy of the database", hint="see `backup list`")
        part = self._data / f"{DATABASE}.part"
        shutil.copyfile(backup, part)
        part.chmod(_FILE_MODE)
        begin(self._data)
        set_aside(self._data, now, "before-restore")
        _settle(part, self._data / DATABASE)


class Original:
    """The database's file as opened, read also once its name is gone; `connection`: any thread, one at a time."""

    def __init__(self, data: Path) -> None:
        """OSError or sqlite3.Error when there is no database."""
        self._path = data / DATABASE
        self._mark = _mark_of(self._path)
        self.connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self.connection.execute(_READ).fetchall()

    @property
    def fate(self) -> str:
        """Change of the file under its name, in words; "" while it is there."""
        try:
            return "" if _mark_of(self._path) == self._mark else "was replaced"
        except FileNotFoundError:
            return "has vanished"

    @property
    def size(self) -> int:
        """In bytes."""
        [(pages,)], [(bytes_,)] = (
            self.connection.execute(f"PRAGMA page_{name}").fetchall() for name in ("count", "size")
        )
        return int(pages) * int(bytes_)

    def close(self) -> None:
        """Close it."""
        self.connection.close()


def _mark_of(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def kept(times: Collection[datetime], hourly: int, daily: int) -> frozenset[datetime]:
    """The newest `hourly` ones, and the newest of each of the last `daily` days that have one."""
    newest = sorted(times, reverse=True)
    days: dict[date, datetime] = {}
    for at in newest:
        days.setdefault(at.date(), at)
    return frozenset([*newest[:hourly], *list(days.values())[:daily]])


def mend(data: Path, now: datetime) -> Backup | None:
    """With the node stopped: set a damaged database aside, and where there is none take the newest sound backup.

    The backup that was taken; None when the database was sound, or there is none, so that a new one will be made.
    """
    path = data / DATABASE
    if path.exists() and sound(path):
        return None
    begin(data)
    set_aside(data, now, "damaged")  # its log, too: it belongs to no other file
    if backup := Backups(data).newest_sound():
        Backups(data).put_back(backup.path, now)
    return backup


def begin(data: Path) -> None:
    """Note durably that the database does not agree with the files, until `finish`."""
    part = data / f"{_UNFINISHED}.part"
    part.touch(mode=_FILE_MODE)
    _settle(part, data / _UNFINISHED)


def unfinished(data: Path) -> bool:
    """Whether a change that `begin` noted is unfinished: nothing may be sent by such a database."""
    return (data / _UNFINISHED).exists()


def finish(data: Path) -> None:
    """Note that the rows agree with the files again, and that what these cannot vouch for is held."""
    (data / _UNFINISHED).unlink(missing_ok=True)


def set_aside(data: Path, now: datetime, why: str) -> None:
    """Rename SQLite's files, those that are there."""
    for suffix in ("-wal", "-shm", ""):
        file = data / f"{DATABASE}{suffix}"
        if file.exists():
            file.rename(data / f"{DATABASE}{suffix}.{why}-{now:%Y%m%dT%H%M%S}")


def sound(path: Path) -> bool:
    """Whether the file is a database of ours and passes SQLite's own check; a copy must be what was written, too."""
    if not path.is_file() or not path.stat().st_size:  # SQLite would drop the log of an empty one
        return False
    if not _as_written(path):
        return False
    try:
        with closing(sqlite3.connect(path)) as connection:
            checked: Sequence[object] = connection.execute("PRAGMA quick_check(1)").fetchall()
            return checked == [("ok",)] and bool(connection.execute(_READ).fetchall())
    except sqlite3.DatabaseError:
        return False


def _digest_of(backup: Path) -> Path:
    return backup.with_name(f"{backup.name}.sha256")


def _remove(backup: Path) -> None:
    """Remove a copy with its digest: one that was left behind would condemn the next copy of that name."""
    backup.unlink(missing_ok=True)
    _digest_of(backup).unlink(missing_ok=True)


def _note_digest(part: Path, target: Path) -> None:
    """Write the copy's digest beside it: SQLite does not see every bit that a disk changes."""
    note = _digest_of(part)
    note.touch(mode=_FILE_MODE)
    note.write_text(f"{_sha256(part)}  {target.name}\n", encoding="ascii")
    _settle(note, _digest_of(target))


def _as_written(path: Path) -> bool:
    """Whether the file has the digest that is noted beside it; copies of former versions have none."""
    try:
        noted = _digest_of(path).read_text(encoding="ascii").split()
    except (FileNotFoundError, UnicodeDecodeError):
        return not _digest_of(path).exists()
    return noted[:1] == [_sha256(path)]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Lock the folder: two that write one copy would spoil it and take the database for damaged."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise TransientError("another copy of the database is just being made") from error
        yield
    finally:
        os.close(handle)


def _copy(old: sqlite3.Connection, target: Path, stop: Callable[[], bool]) -> None:
    def breathe(_status: int, _remaining: int, _total: int) -> None:
        if stop():
            raise Stopped
        time.sleep(_PAUSE_SECONDS)

    with closing(sqlite3.connect(target)) as new:
        new.execute("PRAGMA synchronous = OFF")  # it is made durable as a whole
        old.execute("BEGIN")
        try:
            old.execute(_READ).fetchall()
            old.backup(new, pages=_PAGES, progress=breathe)
        finally:
            old.rollback()


def _settle(part: Path, target: Path) -> None:
    """Make the file and its new name durable."""
    for path in (part, part.parent):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        if path == part:
            part.replace(target)
