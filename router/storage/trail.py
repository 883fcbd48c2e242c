"""The audit trail: lines that are only ever added, each sealed together with the seal of the one before.

A line that is changed, moved, put in or taken out breaks the chain from there on, which nobody can close again without
the key. One file a day, named by the day in UTC and the number of its first record; the chain runs through all of them.
Several processes may write, one at a time.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from hmac import compare_digest
from itertools import islice
from pathlib import Path

from router.storage.durable import FILE_MODE, make_folder, sync_folder, write
from router.storage.lock import take

FIRST = "0" * 64
_LOCK, _SENT = ".lock", "sent"
_PATIENCE = 10.0
_USUAL, _LONGEST = 2**14, 2**20  # bytes of a line

Digest = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True)
class Key:
    """Key that records are sealed under: `mac` needs it, `id` tells keys apart."""

    id: str
    mac: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line. `n` counts from 1; `previous` and `seal` are hex digits; `key` is the key's id, "" for none."""

    n: int
    at: str
    message: str
    previous: str
    seal: str
    key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """Result of `verify`: how many records, the first and the last one, and where the chain breaks.

    The key vouches for the records from `vouched` on. Before them lie `unkeyed` ones, which anybody who may write the
    files could have made, and `foreign` ones, sealed under a key that is not here.
    """

    count: int
    first: Record | None
    last: Record | None
    vouched: Record | None
    unkeyed: int
    foreign: int
    faults: tuple[str, ...]


class Trail:
    """The files below `folder`. Seals are made under `key`; `digest` makes those of records without one."""

    def __init__(self, folder: Path, digest: Digest, key: Key | None = None) -> None:
        self.folder = folder
        self._digest = digest
        self._key = key

    def append(self, messages: Sequence[str], at: datetime) -> list[Record]:
        """Add the messages durably; their records. OSError when they cannot be written or the trail stays locked."""
        make_folder(self.folder)
        with take(self.folder / _LOCK, _PATIENCE) as alone:
            if not alone:
                raise TimeoutError("the audit trail is locked")
            newest = self._files()[-1:]
            for path in newest:
                _cut_off(path)
            last = self.last()
            path = self.folder / f"{at:%Y-%m-%d}.{last.n + 1 if last else 1:012}.jsonl"
            if newest and newest[0].name[:10] >= f"{at:%Y-%m-%d}":  # a clock that was set back keeps the order
                path = newest[0]
            records: list[Record] = []
            for message in messages:
                last = self._sealed(message, at, last)
                records.append(last)
            self._write(path, records)
        return records

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

    def last(self) -> Record | None:
        """The newest record; None where there is none. ValueError where it is none of ours."""
        return next((_record(line) for path in reversed(self._files()) if (line := _end(path)) is not None), None)

    def at(self, n: int) -> Record | None:
        """Record number `n`; None where it is not there."""
        path = next((path for path in reversed(self._files()) if _first(path) <= n), None)
        if path is None:
            return None
        line = next(islice(_lines(path), n - _first(path), None), None)
        record = None if line is None else _record(line)
        return record if record is not None and record.n == n else None

    def begins(self) -> int:
        """The number of the first record that retention has left."""
        return next((_first(path) for path in self._files()), 1)

    def is_sealed(self, record: Record) -> bool:
        """Whether the record's seal is of its content: under our key, or without one where the record is older."""
        if not record.key:
            return compare_digest(record.seal, _seal(record, self._digest))
        key = self._key
        return key is not None and key.id == record.key and compare_digest(record.seal, _seal(record, key.mac))

    def sent(self) -> int:
        """Number of the last record sent on; 0 before any, or where the mark is not ours: all is sent again then."""
        try:
            number, _, mac = (self.folder / _SENT).read_text(encoding="ascii").partition(" ")
            n = int(number)
        except (FileNotFoundError, ValueError):
            return 0
        if mac or not self._key:
            return n if n >= 0 and mac == self._mark(n) else 0
        record = self.at(n)  # of before the trail had a key
        return n if n >= 0 and (record is None or not record.key) else 0

    def note_sent(self, n: int) -> None:
        """Everything up to record `n` was sent on."""
        write(self.folder / _SENT, f"{n} {self._mark(n)}".strip().encode())

    def _mark(self, n: int) -> str:
        return self._key.mac(f"sent {n}".encode()).hex() if self._key else ""

    def verify(self, accepted: int = 0) -> Verified:
        """Go along the chain; what retention removed before it cannot be judged. Records up to number `accepted` a
        person has taken as they are, though their key is lost."""
        walk = _Walk(self._digest, self._key, accepted)
        for path in self._files():
            for number, line in enumerate(_lines(path), 1):
                walk.add(line, path, number)
        return walk.found()

    def purge(self, before: date) -> int:
        """Remove the files of earlier days, but never the newest one; how many there were."""
        old = [path for path in self._files()[:-1] if path.name < before.isoformat()]
        for path in old:
            path.unlink(missing_ok=True)  # a command purges too
        return len(old)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("*.*.jsonl"))

    def _sealed(self, message: str, at: datetime, last: Record | None) -> Record:
        n, previous = (last.n + 1, last.seal) if last else (1, FIRST)
        bare = Record(
            n=n, at=at.isoformat(), message=message, previous=previous, seal="", key=self._key.id if self._key else ""
        )
        return replace(bare, seal=_seal(bare, self._key.mac if self._key else self._digest))

    def _write(self, path: Path, records: Sequence[Record]) -> None:
        """Add the lines durably. OSError when they are not: none of them stays then, since the system may take pages
        that it could not write for written."""
        contents = ({name: value for name, value in asdict(one).items() if value or name != "key"} for one in records)
        lines = b"".join(json.dumps(content, ensure_ascii=False).encode() + b"\n" for content in contents)
        new = not path.exists()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, FILE_MODE)
        with os.fdopen(handle, "wb", buffering=0) as file:
            size = os.fstat(handle).st_size
            try:
                _write_whole(handle, lines)
                os.fsync(handle)
                if new:
                    sync_folder(self.folder)
            except OSError:
                file.truncate(size)
                if new:
                    path.unlink()
                raise


class _Walk:
    """Goes along the chain, a line at a time."""

    def __init__(self, digest: Digest, key: Key | None, accepted: int) -> None:
        self._digest = digest
        self._key = key
        self._accepted = accepted
        self._first: Record | None = None
        self._last: Record | None = None
        self._vouched: Record | None = None
        self._kinds: Counter[str] = Counter()
        self._faults: list[str] = []

    def add(self, line: bytes, path: Path, number: int) -> None:
        """The next line."""
        try:
            record = _record(line)
        except ValueError:
            self._faults.append(f"{path.name} line {number}: is no record")
            return
        found = [*self._wrong(record), *self._misplaced(record, _first(path) + number - 1)]
        self._faults += [f"{path.name} line {number}: {fault}" for fault in found]
        self._first, self._last = self._first or record, record
        self._kinds[self._kind(record)] += 1

    def found(self) -> Verified:
        """The result so far."""
        return Verified(
            count=self._kinds.total(), first=self._first, last=self._last, vouched=self._vouched,
            unkeyed=self._kinds["unkeyed"], foreign=self._kinds["foreign"], faults=tuple(self._faults),
        )  # fmt: skip

    def _kind(self, record: Record) -> str:
        if not record.key:
            return "unkeyed"
        return "own" if self._key and record.key == self._key.id else "foreign"

    def _wrong(self, record: Record) -> Iterator[str]:
        kind = self._kind(record)
        if kind == "foreign" and record.n > self._accepted:
            yield f"record {record.n} is sealed under a key that is not here"
        if kind == "own" and self._key:
            self._vouched = self._vouched or record
            if not compare_digest(record.seal, _seal(record, self._key.mac)):
                yield f"record {record.n} was changed"
        elif self._vouched is not None:
            yield f"record {record.n} is not sealed under the key of those before it"
        elif kind == "unkeyed":
            if self._kinds["foreign"]:
                yield f"record {record.n} is sealed under no key after those that were"
            if record.seal != _seal(record, self._digest):
                yield f"record {record.n} was changed"

    def _misplaced(self, record: Record, wanted: int) -> Iterator[str]:
        last = self._last
        if last is None and record.n == 1 and record.previous != FIRST:
            yield "the first record does not begin the chain"
        if last is not None and (record.n, record.previous) != (last.n + 1, last.seal):
            yield f"record {record.n} does not follow record {last.n}"
        if record.n != wanted:
            yield f"record {record.n} is not where it belongs"


def _seal(record: Record, digest: Digest) -> str:
    content: list[object] = [record.n, record.at, record.message, record.previous]
    return digest(json.dumps(content + ([record.key] if record.key else [])).encode()).hex()


def _record(line: bytes) -> Record:
    try:
        record = Record(**json.loads(line))
    except (TypeError, RecursionError) as error:
        raise ValueError("not a record") from error
    texts = (record.at, record.message, record.previous, record.seal, record.key)
    if (
        type(record.n) is not int
        or not all(isinstance(text, str) for text in texts)
        or not "".join(texts[2:]).isascii()
    ):
        raise ValueError("not a record")
    return record


def _lines(path: Path) -> Iterator[bytes]:
    """Whole lines; the rest that a crash left of another one was never entered."""
    with path.open("rb") as file:
        yield from (line for line in file if line.endswith(b"\n"))


def _write_whole(handle: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def _first(path: Path) -> int:
    """The number of the file's first record, by its name."""
    return int(path.name.split(".")[1])


def _end(path: Path) -> bytes | None:
    """The last whole line; a further one may be in the making."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        for reach in (_USUAL, _LONGEST):
            file.seek(max(size - reach, 0))
            lines = file.read(reach).split(b"\n")
            if len(lines) > 2:
                break
    return lines[-2] if len(lines) > 1 else None


def _cut_off(path: Path) -> None:
    """Remove the rest that a crash left of another line."""
    with path.open("rb+") as file:
        start = max(file.seek(0, os.SEEK_END) - _LONGEST, 0)
        file.seek(start)
        tail = file.read()
        if not tail.endswith(b"\n"):
            file.truncate(start + tail.rfind(b"\n") + 1)
