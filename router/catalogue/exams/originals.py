"""Originals of the drop folder: those that the node put below done/ and rejected/, and which are needed once more."""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.tables.exams import Document, Exam, SeenFile, SetAsideRow
from router.catalogue.db.tables.queue import Delivery
from router.model import Channel, SetAside
from router.policy.states import CLOSED

_AT_ONCE = 100
_BEGUN = "begun"  # the key of a row that stands for no file


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed:
    """A report PDF needed once more whose copy was removed; `message`: place of the HL7 message it came in, or ""."""

    document: int
    exam: int
    stem: str
    digest: str
    file_time: datetime
    purged: datetime
    message: str


class Originals(Rows):
    """Files that retention may remove there, each known by its place, inode and size."""

    def note(self, lying: Sequence[SetAside], at: datetime) -> None:
        """Remember files that were put there at this time; one noted before at the same place is replaced."""
        self._insert([_row(one, at) for one in lying], preserve=[SetAsideRow.mark, SetAsideRow.at])

    def _insert(self, rows: Sequence[dict[str, Any]], **conflict: Any) -> None:
        for begin in range(0, len(rows), _AT_ONCE):
            adding = SetAsideRow.insert_many(rows[begin : begin + _AT_ONCE])
            with self._engine.write():
                self._engine.run(adding.on_conflict(conflict_target=[SetAsideRow.key], **conflict))

    def begun(self, folder: str = "") -> bool:
        """Whether the files are noted that lay there before this database noted anything of that folder."""
        return self._engine.has(SetAsideRow.select(SetAsideRow.key).where(SetAsideRow.key == _begun(folder)))

    def begin(self, lying: Iterable[tuple[SetAside, datetime]], now: datetime, folder: str = "") -> None:
        """Note the files that lie there, once: a former version noted nothing, and a database may be lost.

        `folder` is the hospital that has it for itself, "" for the common one.
        """
        self._insert([_row(one, at) for one, at in lying], action="IGNORE")
        with self._engine.write():
            self._engine.run(SetAsideRow.insert(key=_begun(folder), home="", place="", mark="", at=now))

    def before(self, at: datetime, after: str, limit: int) -> list[tuple[str, SetAside]]:
        """Files that lie there since before `at`, by their keys: the next ones after the key `after`."""
        columns = (SetAsideRow.key, SetAsideRow.home, SetAsideRow.place, SetAsideRow.mark)
        where = (SetAsideRow.at < at) & (SetAsideRow.key > after) & (SetAsideRow.mark != "")
        query = SetAsideRow.select(*columns).where(where).order_by(SetAsideRow.key).limit(limit)
        return [(key, _read(home, place, mark)) for key, home, place, mark in self._engine.rows(query)]

    def missed(self) -> list[Missed]:
        """The chosen PDFs of exams with a report to deliver whose copies were removed."""
        # of all hospitals: each with the exam that it has
        message = Document.alias()
        columns = (Document.id, Exam.id, Document.stem, Document.digest, Document.file_time, Document.purged,
                   message.place)  # fmt: skip
        query = Delivery.select(*columns).join(Exam).join(Document, on=Document.id == Exam.pdf)
        query = query.join(message, "LEFT JOIN", on=message.id == Document.message)
        open_ = (Delivery.channel == Channel.REPORT) & Delivery.state.not_in(sorted(CLOSED))
        rows = self._engine.rows(query.where(open_ & Document.purged.is_null(False)).distinct())
        return [
            Missed(document=document, exam=exam, stem=stem, digest=digest, file_time=file_time, purged=purged,
                   message=place or "")
            for document, exam, stem, digest, file_time, purged, place in rows
        ]  # fmt: skip

    def purged(self, exams: Collection[int]) -> dict[int, datetime]:
        """The instants at which copies of these exams' chosen PDFs were removed; copies that are here are left out."""
        columns, found = (Exam.id, Document.purged), dict[int, datetime]()
        for some in portions(sorted(exams)):
            query = Exam.select(*columns).join(Document, on=Document.id == Exam.pdf).where(Exam.id.in_(some))
            found |= dict(self._engine.rows(query.where(Document.purged.is_null(False))))
        return found

    def lying(self, places: Iterable[tuple[bytes, bytes]]) -> list[SetAside]:
        """Files that lie at one of these places, by the home and the place of a SetAside."""
        keys = [_key(home, place) for home, place in places]
        columns = (SetAsideRow.home, SetAsideRow.place, SetAsideRow.mark)
        query = SetAsideRow.select(*columns).where(SetAsideRow.key.in_(keys)).order_by(SetAsideRow.at.desc())
        return [_read(*row) for row in self._engine.rows(query)]

    def staying(self, digest: str) -> list[tuple[str, int, int]]:
        """Files of this content that were taken and stay in the drop folder: path below it, size, time in ns."""
        columns = (SeenFile.path, SeenFile.size, SeenFile.file_time)
        return list(self._engine.rows(SeenFile.select(*columns).where(SeenFile.digest == digest)))

    def remember(self, path: str, size: int, file_time: int, digest: str) -> None:
        """Note that a file which stays in the drop folder was dealt with. `file_time` in nanoseconds since 1970."""
        row = SeenFile.insert(path=path, size=size, file_time=_in_64_bits(file_time), digest=digest)
        same, changes = [SeenFile.path, SeenFile.digest], [SeenFile.size, SeenFile.file_time]
        with self._engine.write():
            self._engine.run(row.on_conflict(conflict_target=same, preserve=changes))

    def remembers(self, path: str, size: int, file_time: int) -> bool:
        """Whether this very file was dealt with."""
        return (size, _in_64_bits(file_time)) in self.remembered(path)

    def remembered(self, path: str) -> dict[tuple[int, int], str]:
        """The digests of the files that were dealt with under this path, by size and time."""
        query = SeenFile.select(SeenFile.size, SeenFile.file_time, SeenFile.digest).where(SeenFile.path == path)
        return {(size, at): digest for size, at, digest in self._engine.rows(query)}

    def forget_seen(self, path: str, digest: str) -> None:
        """Content that was refused under this path is refused again when it comes again."""
        with self._engine.write():
            self._engine.run(SeenFile.delete().where((SeenFile.path == path) & (SeenFile.digest == digest)))

    def forget(self, keys: Sequence[str]) -> None:
        """Forget files that are gone, or that somebody has replaced."""
        with self._engine.write():
            self._engine.run(SetAsideRow.delete().where(SetAsideRow.key.in_(list(keys))))


def _begun(folder: str) -> str:
    return f"{_BEGUN} {folder}".rstrip()


def _in_64_bits(file_time: int) -> int:
    """The file's time as a database keeps it: a share may give one of the year 30828."""
    return max(-(2**63), min(file_time, 2**63 - 1))


def _row(one: SetAside, at: datetime) -> dict[str, Any]:
    key = _key(one.home, one.place)
    paths = {"home": quote_from_bytes(one.home), "place": quote_from_bytes(one.place)}
    return {"key": key, **paths, "mark": f"{one.inode} {one.size}", "at": at}


def _key(home: bytes, place: bytes) -> str:
    return hashlib.sha256(home + b"\0" + place).hexdigest()


def _read(home: str, place: str, mark: str) -> SetAside:
    inode, size = map(int, mark.split())
    return SetAside(home=unquote_to_bytes(home), place=unquote_to_bytes(place), inode=inode, size=size)
