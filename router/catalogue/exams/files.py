"""Files of the drop folder that wait for a person, or lie there to no purpose: refused, unclaimed, near, others."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from functools import reduce
from itertools import islice
from operator import and_
from typing import Any
from urllib.parse import quote_from_bytes, unquote_to_bytes

from peewee import fn

from router.alarms import Alarm
from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.tables.exams import Document, Exam, ExamWord, FolderCount, FolderFileRow
from router.matching.report_pdf.near_names import near_key
from router.model import SetAside

MOST = 1000
"""Names of a kind that are kept of a scan."""
OF_STUDY = "dicom:"  # begins the stem of a PDF that came as a DICOM instance
SEVERAL = "several"  # why a PDF is unclaimed that several exams could claim
_LAST, _USED = "last", "used"
_PATH: Any = FolderFileRow.path


class FileKind(StrEnum):
    """Reason why a file is listed: refused; a PDF that no exam claims; a name that nearly pairs; anything else."""

    REJECTED = "rejected"
    UNCLAIMED = "unclaimed"
    NEAR = "near"
    OTHER = "other"


ALARMS = {FileKind.REJECTED: Alarm.REJECTED_FILE, FileKind.UNCLAIMED: Alarm.UNCLAIMED_PDF}
"""Kinds of which each file is an alarm until its cause ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lying:
    """A file as it was found: by its path below the drop folder, as people see it.

    `why` is a code and `text` the reason in words, without patient data. `near` is the name that it nearly pairs with,
    and `exam` that one's exam, or the exam that a refused file seems to be of. `document` is a PDF's that waits.
    `place` says where a refused file lies, None while that is not known, `kept` its folder in quarantine. `mark`
    changes when the file does.
    """

    kind: FileKind
    path: str
    why: str
    text: str = ""
    near: str = ""
    branch: str = ""
    exam: int | None = None
    document: int | None = None
    place: SetAside | None = None
    kept: str = ""
    mark: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFile:
    """A file that is listed, under a number that is never given twice. `dismissed` when `who` said that it may stay."""

    id: int
    found: Lying
    since: datetime
    dismissed: datetime | None
    who: str
    because: str

    @property
    def name(self) -> str:
        """The node's own name of it, which alarms and events use."""
        return f"f{self.id}"

    @property
    def subject(self) -> str:
        """The subject of its alarm."""
        return f"file {self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partner:
    """A document of a near name: key, kind, name with ending, exam (None: a PDF that waits); `lacks`: no PDF yet."""

    key: str
    kind: str
    name: str
    stem: str
    exam: int | None
    lacks: bool


@dataclass(frozen=True, slots=True)
class Part:
    """Part of the names of files and documents: those that begin with `prefix`, and with none of `without`."""

    prefix: str = ""
    without: tuple[str, ...] = ()

    def holds(self, column: Any) -> Any:
        """The condition that a name is of this part."""
        begins = [fn.SUBSTR(column, 1, len(one)) != one for one in self.without]
        begins += [fn.SUBSTR(column, 1, len(self.prefix)) == self.prefix] if self.prefix else []
        return reduce(and_, begins, column.is_null(False))

    def mark(self, name: str) -> str:
        """The name under which something of this part is counted."""
        return f"{name} {self.prefix}".rstrip()


ALL = Part()


class FolderFiles(Rows):
    """The rows. Those of one path and one kind are one row."""

    # -- entering

    def enter(self, found: Lying, now: datetime) -> tuple[FolderFile, bool]:
        """List a file; whether that is news: it was not listed, or has changed since, and is not dismissed any more."""
        with self._engine.write():
            mine = (FolderFileRow.path == found.path) & (FolderFileRow.kind == found.kind)
            former = next(iter(self._read(mine)), None)
            if former is None:
                row = {**_row(found), "id": self._next(), "since": now}
                self._engine.run(FolderFileRow.insert(row))
                return _listed(row), True
            changes = _row(found)
            if new := former.found.mark != found.mark:
                changes |= {"since": now, "dismissed": None, "who": "", "because": ""}
            self._engine.run(FolderFileRow.update(changes).where(FolderFileRow.id == former.id))
            return next(iter(self._read(FolderFileRow.id == former.id))), new

    def keep(
        self, kind: FileKind, found: Iterable[Lying], counted: int, now: datetime, part: Part = ALL
    ) -> None:  # fmt: skip
        """List these files of a kind and no others of that part, `counted` of them in all."""
        kept = (replace(one, path=_PATH.db_value(one.path)) for one in islice(found, MOST))
        wanted = {one.path: one for one in kept}
        with self._engine.write():
            known = {one.found.path: one for one in self.listed(kind, part=part)}
            self.end([one.id for path, one in known.items() if path not in wanted])
            for path, one in wanted.items():
                if path not in known or known[path].found != one:
                    self.enter(one, now)
            name = part.mark(kind)
            number = FolderCount.select(FolderCount.number).where(FolderCount.name == name)
            if self._engine.value(number) != counted:
                row = FolderCount.insert(name=name, number=counted)
                self._engine.run(row.on_conflict(conflict_target=[FolderCount.name], preserve=[FolderCount.number]))

    def _next(self) -> int:
        """A number that no file had before: an alarm that is read late must not name another one."""
        last = FolderCount.name == _LAST
        counted = FolderCount.update(number=FolderCount.number + 1).where(last).returning(FolderCount.number)
        for row in self._engine.run(counted):
            return int(row.number)
        self._engine.run(FolderCount.insert(name=_LAST, number=1))
        return 1

    def end(self, ids: Collection[int]) -> None:
        """List these no longer."""
        with self._engine.write():
            for portion in portions(sorted(ids)):
                self._engine.run(FolderFileRow.delete().where(FolderFileRow.id.in_(portion)))

    def dismiss(self, ids: Collection[int], who: str, why: str, now: datetime) -> None:
        """Let these lie, until they change."""
        changed = FolderFileRow.update(dismissed=now, who=who, because=why)
        with self._engine.write():
            for portion in portions(sorted(ids)):
                self._engine.run(changed.where(FolderFileRow.id.in_(portion)))

    def use(self, hospital: str) -> None:
        """Note that files came in the hospital's own folder."""
        with self._engine.write():
            self._engine.run(FolderCount.insert(name=f"{_USED} {hospital}", number=1).on_conflict_ignore())

    # -- reading

    def used(self, hospital: str) -> bool:
        """Whether files came in the hospital's own folder."""
        return self._engine.has(FolderCount.select(FolderCount.name).where(FolderCount.name == f"{_USED} {hospital}"))

    def any(self, part: Part = ALL) -> bool:
        """Whether any file is listed."""
        return self._engine.has(FolderFileRow.select(FolderFileRow.id).where(part.holds(_PATH)))

    def listed(
        self, kind: FileKind, after: int = 0, limit: int | None = None, part: Part = ALL
    ) -> list[FolderFile]:  # fmt: skip
        """Files of a kind by number, of a higher number than `after`."""
        return self._read((FolderFileRow.kind == kind) & (FolderFileRow.id > after) & part.holds(_PATH), limit)

    def open(self, *, dismissed: bool = False) -> list[FolderFile]:
        """Every file that is not dismissed, by kind and number; with `dismissed` every file."""
        found = self._read((FolderFileRow.id > 0) if dismissed else FolderFileRow.dismissed.is_null())
        return sorted(found, key=lambda one: (list(FileKind).index(one.found.kind), one.id))

    def of_paths(self, kind: FileKind, paths: Collection[str]) -> list[FolderFile]:
        """Files of a kind with one of these paths."""
        mine = FolderFileRow.kind == kind
        return [one for some in portions(sorted(paths)) for one in self._read(mine & FolderFileRow.path.in_(some))]

    def of_path(self, path: str) -> list[FolderFile]:
        """Files of this path, one a kind."""
        return self._read(FolderFileRow.path == path)

    def named(self, name: str) -> list[FolderFile]:
        """Files of this number (f12), path or file name; without one, files of nearly this name."""
        numbered = name[:1] in "fF" and name[1:].isdecimal() and len(name) < 10
        if numbered and (found := self._read(FolderFileRow.id == int(name[1:]))):
            return found
        key = near_key(name)
        found = self._read((FolderFileRow.near_key == key) | FolderFileRow.near_key.endswith("/" + key))
        return [one for one in found if f"/{one.found.path}".endswith(f"/{name}")] or found

    def of_exam(self, exam: int) -> list[FolderFile]:
        """Files that seem to be of an exam, and files whose name is nearly that of one of its documents."""
        keys = Document.select(Document.near).where((Document.exam == exam) & Document.near.is_null(False))
        return self._read((FolderFileRow.exam == exam) | FolderFileRow.near_key.in_(keys))

    def counts(self) -> dict[FileKind, int]:
        """Numbers of files that are not dismissed, by kind; those beyond MOST of a scan are counted."""
        query = FolderFileRow.select(FolderFileRow.kind, fn.COUNT(FolderFileRow.id)).group_by(FolderFileRow.kind)
        here = dict(self._engine.rows(query))
        left = dict(self._engine.rows(query.where(FolderFileRow.dismissed.is_null())))
        counted = Counter[str]()
        for name, number in self._engine.rows(FolderCount.select(FolderCount.name, FolderCount.number)):
            counted[name.partition(" ")[0]] += number
        return {kind: left.get(kind, 0) + max(counted.get(kind, 0) - here.get(kind, 0), 0) for kind in FileKind}

    def _read(self, where: Any, limit: int | None = None) -> list[FolderFile]:
        query = FolderFileRow.select().where(where).order_by(FolderFileRow.id)
        return [_listed(row) for row in self._engine.run(query.limit(limit).dicts())]

    # -- documents that concern them

    def unclaimed(
        self, oldest: datetime, before: datetime, of_study: datetime, limit: int, part: Part = ALL
    ) -> list[tuple[int, str]]:  # fmt: skip
        """PDFs without an exam that came before `before` and are not listed: the newest of each name, and the name.

        One of a DICOM instance came with its images; its exam JSON has until `of_study`. Those that came before
        `oldest` are left out.
        """
        newer, waits = Document.alias(), (Document.kind == "pdf") & Document.exam.is_null()
        superseded = newer.select(newer.id).where(
            (newer.stem == Document.stem) & (newer.kind == "pdf") & newer.exam.is_null() & (newer.id > Document.id)
        )
        mine = (FolderFileRow.kind == FileKind.UNCLAIMED) & (FolderFileRow.document == Document.id)
        in_time = ~Document.stem.startswith(OF_STUDY) | (Document.arrived <= of_study)
        where = (
            waits
            & Document.arrived.between(oldest, before)
            & in_time
            & part.holds(Document.stem)
            & ~fn.EXISTS(superseded)
            & ~fn.EXISTS(FolderFileRow.select(FolderFileRow.id).where(mine))
        )
        query = Document.select(Document.id, Document.stem).where(where).order_by(Document.id).limit(limit)
        return [(number, stem) for number, stem in self._engine.rows(query)]

    def claimed(self, part: Part = ALL) -> list[FolderFile]:
        """Listed PDFs that have an exam by now, or are no more."""
        waits = (Document.id == FolderFileRow.document) & (Document.kind == "pdf") & Document.exam.is_null()
        still = Document.select(Document.id).where(waits)
        return self._read((FolderFileRow.kind == FileKind.UNCLAIMED) & part.holds(_PATH) & ~fn.EXISTS(still))

    def outlasted(self, oldest: datetime, part: Part = ALL) -> list[FolderFile]:
        """Listed PDFs that came before `oldest`."""
        old = Document.select(Document.id).where((Document.id == FolderFileRow.document) & (Document.arrived < oldest))
        return self._read((FolderFileRow.kind == FileKind.UNCLAIMED) & part.holds(_PATH) & fn.EXISTS(old))

    def near_pdfs(self, limit: int, part: Part = ALL) -> list[tuple[int, str, Partner]]:
        """The newest PDFs without an exam (document, stem) with each exam JSON whose name is near and not equal."""
        other = Document.alias()
        waits = (Document.kind == "pdf") & Document.exam.is_null() & Document.near.is_null(False)
        newest = (
            Document.select(Document.id)
            .where(waits & part.holds(Document.stem))
            .order_by(Document.id.desc())
            .limit(limit)
        )
        near = (other.near == Document.near) & (other.stem != Document.stem) & (other.kind == "json")
        columns = (Document.id, Document.stem, *_partner_columns(other))
        query = Document.select(*columns).join(other, on=near).where(Document.id.in_(newest)).limit(2 * limit)
        rows = self._engine.rows(query.order_by(Document.id, other.id))
        return [(number, stem, _partner(*partner)) for number, stem, *partner in rows]

    def lacking(self, keys: Collection[str]) -> list[Partner]:
        """Documents with one of these near keys that miss their partner: PDFs without an exam, exams without a PDF."""
        waits = (Document.kind == "pdf") & Document.exam.is_null()
        found: list[Partner] = []
        for portion in portions(sorted(keys)):
            near = Document.near.in_(portion)
            query = Document.select(*_partner_columns(Document)).where(near & (waits | (Document.kind == "json")))
            found += [_partner(*row) for row in self._engine.rows(query.order_by(Document.id))]
        return [one for one in found if one.exam is None or one.lacks]

    def exams_of(self, stem: str, *, nearly: bool = False, within: str | None = None) -> list[int]:
        """Exams with a document of this name, or of nearly this name; of the hospital `within`, or of any."""
        # of all hospitals: `within` names the one whose way the file came by
        where = Document.near == near_key(stem) if nearly else Document.stem == stem
        query = Document.select(Document.exam).join(Exam).where(where & _within(within)).distinct().limit(MOST)
        return sorted(self._engine.column(query))

    def exams_named(self, words: Collection[str], within: str | None = None) -> list[int]:
        """Exams that one of these words names, by ExamId or accession number; of the hospital `within`, or of any."""
        # of all hospitals: who asks picks those that the file's way allows
        found: set[int] = set()
        for portion in portions(sorted(words)):
            mine = ExamWord.word.in_(portion) & _within(within)
            query = ExamWord.select(ExamWord.exam).join(Exam).where(mine).distinct().limit(MOST)
            found.update(self._engine.column(query))
        return sorted(found)


def _within(hospital: str | None) -> Any:
    return Exam.hospital.is_null(False) if hospital is None else Exam.hospital == hospital


def _partner_columns(one: Any) -> Sequence[Any]:
    own = Document.alias()
    has = own.select(own.id).where((own.exam == one.exam) & (own.kind == "pdf"))
    return one.near, one.kind, one.place, one.stem, one.exam, ~fn.EXISTS(has)


def _partner(near: str, kind: str, place: str, stem: str, exam: int | None, lacks: bool) -> Partner:
    ending = next((each for each in (".hl7", ".xml") if place.endswith(each)), f".{kind}")
    name = f"{stem}{ending}"
    return Partner(key=near, kind=kind, name=name, stem=stem, exam=exam, lacks=exam is not None and bool(lacks))


def _row(found: Lying) -> dict[str, Any]:
    place = found.place
    where = {"home": None, "place": None, "lies": None} if place is None else {
        "home": quote_from_bytes(place.home), "place": quote_from_bytes(place.place),
        "lies": f"{place.inode} {place.size}",
    }  # fmt: skip
    return {
        "kind": found.kind, "path": found.path, "near_key": near_key(found.path), "why": found.why, "text": found.text,
        "near": found.near, "branch": found.branch, "exam": found.exam, "document": found.document, **where,
        "kept": found.kept, "mark": found.mark,
    }  # fmt: skip


def _listed(row: Mapping[str, Any]) -> FolderFile:
    place = None
    if row["place"] is not None:
        inode, size = map(int, row["lies"].split())
        home, at = unquote_to_bytes(row["home"]), unquote_to_bytes(row["place"])
        place = SetAside(home=home, place=at, inode=inode, size=size)
    found = Lying(
        kind=FileKind(row["kind"]), path=row["path"], why=row["why"], text=row["text"], near=row["near"],
        branch=row["branch"], exam=row["exam"], document=row["document"], place=place, kept=row["kept"],
        mark=row["mark"],
    )  # fmt: skip
    return FolderFile(
        id=row["id"], found=found, since=row["since"], dismissed=row.get("dismissed"), who=row.get("who", ""),
        because=row.get("because", ""),
    )  # fmt: skip
