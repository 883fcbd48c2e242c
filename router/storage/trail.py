"""The audit trail: lines that are only ever added, each sealed together with the seal of the one before.

A line that is changed, moved, put in or taken out breaks the chain from there on. One file a day, named by the day in
UTC and the number of its first record; the chain runs through all of them. Several processes may write, one at a time.
"""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path

from router.storage.durable import FILE_MODE, make_folder, sync_folder, write
from router.storage.lock import take

FIRST = "0" * 64
_LOCK, _SENT = ".lock", "sent"
_PATIENCE = 10.0
_LONGEST = 2**20  # bytes of a line

Digest = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Record:
    """One line. `n` counts from 1; `previous` and `seal` are hex digits."""

    n: int
    at: str
    message: str
    previous: str
    seal: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What `verify` found: how many records, the last one, and where the chain breaks."""

    count: int
    last: Record | None
    faults: tuple[str, ...]


class Trail:
    """The files below `folder`. `digest` makes the seals."""

    def __init__(self, folder: Path, digest: Digest) -> None:
        self.folder = folder
        self._digest = digest

    def append(self, messages: Sequence[str], at: datetime) -> None:
        """Add the messages durably. OSError when they cannot be written, or another process does not let us."""
        make_folder(self.folder)
        with take(self.folder / _LOCK, _PATIENCE) as alone:
            if not alone:
                raise TimeoutError("the audit trail is locked")
            last = self._last()
            path = self._current(at, last)
            lines = []
            for message in messages:
                last = self._sealed(message, at, last)
                lines.append(_line(last))
            self._write(path, b"".join(lines))

    def records(self) -> Iterator[Record]:
        """Every record, the oldest first; ValueError at a line that is none."""
        for path in self._files():
            yield from map(_record, _lines(path))

    def after(self, n: int) -> Iterator[Record]:
        """The records that follow number `n`; earlier days are not read again."""
        files = self._files()
        begin = max((i for i, path in enumerate(files) if _first(path) <= n + 1), default=0)
        for path in files[begin:]:
            yield from (record for record in map(_record, _lines(path)) if record.n > n)

    def sent(self) -> int:
        """The number of the last record that was sent on; 0 before any was."""
        with suppress(FileNotFoundError, ValueError):
            return int((self.folder / _SENT).read_text(encoding="ascii"))
        return 0

    def note_sent(self, n: int) -> None:
        """Everything up to record `n` was sent on."""
        write(self.folder / _SENT, str(n).encode())

    def verify(self) -> Verified:
        """Go along the chain. What retention removed before the first record cannot be judged."""
        faults: list[str] = []
        count, last = 0, None
        for path in self._files():
            for number, line in enumerate(_lines(path), 1):
                try:
                    record = _record(line)
                except ValueError:
                    faults.append(f"{path.name} line {number}: is no record")
                    continue
                found = [*self._faults(record, last), *_out_of_place(record, path, number)]
                faults += [f"{path.name} line {number}: {fault}" for fault in found]
                count, last = count + 1, record
        return Verified(count, last, tuple(faults))

    def purge(self, before: date) -> int:
        """Remove the files of earlier days, but never the newest one; how many there were."""
        old = [path for path in self._files()[:-1] if path.name < before.isoformat()]
        for path in old:
            path.unlink(missing_ok=True)  # a command purges too
        return len(old)

    def _faults(self, record: Record, last: Record | None) -> Iterator[str]:
        if record.seal != self._seal(record.n, record.at, record.message, record.previous):
            yield f"record {record.n} was changed"
        if last is None and record.n == 1 and record.previous != FIRST:
            yield "the first record does not begin the chain"
        if last is not None and (record.n, record.previous) != (last.n + 1, last.seal):
            yield f"record {record.n} does not follow record {last.n}"

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.*.jsonl"))

    def _current(self, at: datetime, last: Record | None) -> Path:
        """The file of the day; a clock that was set back keeps the order."""
        newest = self._files()[-1:]
        if newest and newest[0].name[:10] >= f"{at:%Y-%m-%d}":
            return newest[0]
        return self.folder / f"{at:%Y-%m-%d}.{last.n + 1 if last else 1:012}.jsonl"

    def _last(self) -> Record | None:
        for path in reversed(self._files()):
            if (line := _last_line(path)) is not None:
                return _record(line)
        return None

    def _sealed(self, message: str, at: datetime, last: Record | None) -> Record:
        n, previous = (last.n + 1, last.seal) if last else (1, FIRST)
        return Record(n, at.isoformat(), message, previous, self._seal(n, at.isoformat(), message, previous))

    def _seal(self, n: int, at: str, message: str, previous: str) -> str:
        return self._digest(json.dumps([n, at, message, previous]).encode()).hex()

    def _write(self, path: Path, lines: bytes) -> None:
        new = not path.exists()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
        with os.fdopen(handle, "wb") as file:
            file.write(lines)
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self.folder)


def _line(record: Record) -> bytes:
    return json.dumps(asdict(record), ensure_ascii=False).encode() + b"\n"


def _record(line: bytes) -> Record:
    try:
        return Record(**json.loads(line))
    except TypeError as error:
        raise ValueError("not a record") from error


def _lines(path: Path) -> Iterator[bytes]:
    """Whole lines: what a crash left of a further one was never entered."""
    with path.open("rb") as file:
        yield from (line for line in file if line.endswith(b"\n"))


def _first(path: Path) -> int:
    """The number of the file's first record, by its name."""
    return int(path.name.split(".")[1])


def _out_of_place(record: Record, path: Path, line: int) -> Iterator[str]:
    if record.n != _first(path) + line - 1:
        yield f"record {record.n} is not where it belongs"


def _last_line(path: Path) -> bytes | None:
    """The last whole line; what a crash left of a further one is cut off."""
    with path.open("rb+") as file:
        start = max(file.seek(0, os.SEEK_END) - _LONGEST, 0)
        file.seek(start)
        tail = file.read()
        whole = tail.rfind(b"\n") + 1
        if whole < len(tail):
            file.truncate(start + whole)
    lines = tail[:whole].split(b"\n")
    return lines[-2] if len(lines) > 1 else None
