"""Documents of exams: the rows of JSONs and PDFs, of damaged copies, and of copies that come again."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from router.catalogue.db.engine import Engine, Rows
from router.catalogue.db.fields import storable
from router.catalogue.db.statement import Insert, Statement
from router.catalogue.db.tables.exams import Document, SeenFile
from router.catalogue.db.tables.queue import Upload
from router.catalogue.exams.exam_rows import ExamRows
from router.errors import IntegrityError
from router.exam.key import ExamKey, approved
from router.matching.exam.versions import JsonVersion, Unread
from router.matching.report_pdf.near_names import near_key

_NEW = Insert(Document)
# Exams of the JSONs under this name, the last first.
_STEM = Statement("SELECT exam_id FROM document WHERE stem = ? AND kind = 'json' ORDER BY id DESC", Document.stem)


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenDocument:
    """A document as it is entered. `key` is None for a PDF; `content`, `reported` are digests.

    `checksum` is SHA-256 of the copy, "" where only `digest` is known, which is the same but for an HL7 message.
    Of a PDF: `words` of its text, None where nobody asks whose it is; `named`, those that name its exam; `names`, by
    kind, found in its file name; `message`, the JSON (a document's id) that came in one message with it; whether its
    text is still `unread`.
    """

    kind: str
    stem: str
    digest: str
    file_time: datetime
    arrived: datetime
    key: ExamKey | None = None
    content: str = ""
    reported: str = ""
    words: frozenset[str] | None = None
    named: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    checksum: str = ""
    message: int | None = None
    unread: bool = False

    @property
    def vouched(self) -> bool:
        """Whether its text names its exam, or nobody asks."""
        return self.words is None or bool(self.named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A document's copy: its SHA-256 ("": not known), why it is damaged ("": it is not), and of a JSON its `named`."""

    checksum: str = ""
    damaged: str = ""
    named: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadPdf:
    """A PDF whose text is to be read a second time. `named` are the words that name its exam, `vouched` as taken."""

    document: int
    place: str
    exam: int | None
    named: frozenset[str]
    vouched: bool


class Documents(Rows):
    """The documents that were taken, each under a number of its own."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._exams = ExamRows(engine)

    def any(self) -> bool:
        """Whether anything was ever taken."""
        return self._engine.has(Document.select(Document.id))

    def exams_of_stem(self, stem: str) -> list[int]:
        """The exams of the JSONs under this name, the exam of the last one first."""
        return list(dict.fromkeys(row[0] for row in _STEM.run(self._engine, stem)))

    def add(self, document: TakenDocument, place: str, exam: int | None, revision: int | None, now: datetime) -> int:
        """Enter a document whose copy lies at `place`, have its exam evaluated, and return the document's number."""
        with self._engine.write():
            number = _NEW.run(self._engine, place=place, exam=exam, revision=revision, **_row(document))
            if number is None:
                raise IntegrityError("a document's number was given twice")
            if exam is not None:
                self._exams.request_evaluation([exam], now)
            if not document.vouched or exam is None:
                self._exams.pdf_names.say(number, document.words or (), document.names)
        return number

    def returned(self, document: int, revision: int, place: str, checksum: str, now: datetime) -> None:
        """The document has a copy again; uploads frozen with the former one, without a receipt, are filled again."""
        copy = {"revision": revision, "place": place, "checksum": checksum, "damaged": None}
        changes = copy | {"purged": None, "returned": now}
        former = Document.select(Document.place).where(Document.id == document)
        with self._engine.write():
            stale = Upload.pdf_place.in_(former) & Upload.confirmed.is_null()
            self._engine.run(Upload.update(refused=True).where(stale))
            self._engine.run(Document.update(**changes).where(Document.id == document))

    def restate(self, document: int, key: ExamKey, content: str, reported: str) -> bool:
        """Replace the approval, times, report, patient and studies that a JSON is known by; whether they change."""
        values: dict[str, Any] = {**_approval(key), "content": content, "reported": reported, "named": named(key)}
        columns = [getattr(Document, column) for column in values]
        with self._engine.write():
            if self._engine.rows(Document.select(*columns).where(Document.id == document)) == [tuple(values.values())]:
                return False
            self._engine.run(Document.update(**values).where(Document.id == document))
        return True

    def mark_stale(self, documents: Sequence[int]) -> list[int]:
        """Mark older versions that came late; those that were not marked before are returned."""
        if not documents:
            return []
        mine = Document.id.in_(list(documents)) & ~Document.stale
        with self._engine.write():
            if fresh := self._engine.column(Document.select(Document.id).where(mine)):
                self._engine.run(Document.update(stale=True).where(Document.id.in_(fresh)))
        return fresh

    def confirm_pdf(self, document: int, version: int) -> None:
        """A person says that the PDF belongs to this version of the JSON; of a JSON, with itself, that it counts."""
        with self._engine.write():
            self._engine.run(Document.update(confirmed=version).where(Document.id == document))

    # -- texts that were not read in their processor time

    def unread(self, before: datetime) -> list[UnreadPdf]:
        """PDFs taken before then whose text was not read at the first try."""
        mine = (Document.unread == int(Unread.ONCE)) & (Document.arrived <= before) & Document.purged.is_null()
        return [_unread(row) for row in self._engine.run(Document.select().where(mine).order_by(Document.id))]

    def unread_pdf(self, document: int) -> UnreadPdf:
        """The PDF as it is known by now."""
        return next(_unread(row) for row in self._engine.run(Document.select().where(Document.id == document)))

    def reread(self, pdf: UnreadPdf, words: frozenset[str], now: datetime, *, read: bool) -> None:
        """Keep what a second try found of a PDF, its words where they are asked for; not `read`: unread for good."""
        changes = {"unread": None if read else Unread.FOR_GOOD, "vouched": pdf.vouched,
                   "named": "\n".join(sorted(pdf.named))}  # fmt: skip
        with self._engine.write():
            self._engine.run(Document.update(**changes).where(Document.id == pdf.document))
            if not pdf.vouched or pdf.exam is None:
                self._exams.pdf_names.say(pdf.document, words, {})
            if pdf.exam is not None:
                self._exams.request_evaluation([pdf.exam], now)

    # -- copies that are not what came

    def damage(self, document: int, place: str, why: str, now: datetime) -> None:
        """The document's copy, or an upload frozen with it, is not what came: its report is held until it comes again.

        Nothing is done if its copy lies elsewhere by now. An original that stays in the drop folder is taken once more.
        """
        with self._engine.write():
            mine = (Document.id == document) & (Document.place == place)
            if not self._engine.run(Document.update(damaged=why).where(mine & Document.damaged.is_null())):
                return
            digest = Document.select(Document.digest).where(Document.id == document)
            paths = self._engine.column(SeenFile.select(SeenFile.path).where(SeenFile.digest.in_(digest)))
            self._engine.run(SeenFile.delete().where(SeenFile.path.in_(paths)))
            exams = Document.select(Document.exam).where((Document.id == document) & Document.exam.is_null(False))
            self._exams.request_evaluation(self._engine.column(exams), now)

    def look_again(self, exam: int) -> None:
        """Forget the damage of the exam's documents, to be found again if it is there: a person has put files back."""
        with self._engine.write():
            self._engine.run(Document.update(damaged=None).where(Document.exam == exam))


def json_version(number: int, document: TakenDocument, key: ExamKey) -> JsonVersion:
    """The version that a JSON will be once it is entered under this number."""
    return JsonVersion(
        document=number, arrived=document.arrived, file_time=document.file_time, content=document.content,
        reported=document.reported, stem=document.stem, **_approval(key),
    )  # fmt: skip


def version_of(row: Any) -> JsonVersion:
    """The version that a row of a JSON stands for."""
    return JsonVersion(
        document=row.id, arrived=row.arrived, file_time=row.file_time, submit_time=row.submit_time,
        approve_time=row.approve_time, approved=row.approved, content=row.content, reported=row.reported,
        stem=row.stem, chosen=row.confirmed == row.id,
    )  # fmt: skip


def proof_of(row: Any) -> Proof:
    """Knowledge of a row's copy. The digest of an HL7 message is not its copy's."""
    return Proof(
        checksum=row.checksum or ("" if row.place.endswith(".hl7") else row.digest), damaged=row.damaged or "",
        named=row.named if row.kind == "json" else "",
    )  # fmt: skip


def named(key: ExamKey) -> str:
    """A digest of all that a JSON is joined to studies by."""
    return hashlib.sha256(repr((key.accession_number, key.study_uids, key.patient)).encode()).hexdigest()


def _unread(row: Any) -> UnreadPdf:
    return UnreadPdf(
        document=row.id, place=row.place, exam=row.exam_id, named=frozenset(row.named.splitlines()),
        vouched=row.vouched,
    )  # fmt: skip


def _row(document: TakenDocument) -> dict[str, Any]:
    row: dict[str, Any] = {
        "kind": document.kind, "stem": document.stem, "digest": document.digest, "file_time": document.file_time,
        "arrived": document.arrived, "content": document.content, "reported": document.reported,
        "vouched": document.vouched, "named": "\n".join(sorted(document.named)), "message": document.message,
        "unread": Unread.ONCE if document.unread else None, "checksum": document.checksum or None,
        "near": near_key(document.stem),
    }  # fmt: skip
    if document.key is not None:
        row |= {"named": named(document.key), **_approval(document.key)}
    return row


def _approval(key: ExamKey) -> dict[str, Any]:
    """Times that the database cannot give back are none."""
    approve_time = key.approve_time if storable(key.approve_time) else None
    submit_time = key.submit_time if storable(key.submit_time) else None
    return {"approved": approved(key) and approve_time is not None, "submit_time": submit_time,
            "approve_time": approve_time}  # fmt: skip
