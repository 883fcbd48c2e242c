"""Exams, the documents that the RIS dropped for them, and the studies that belong to them."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from peewee import fn

from router.catalogue.db.engine import Engine, portions
from router.catalogue.db.statement import Insert, Statement
from router.catalogue.db.tables import (
    Delivery,
    Document,
    Exam,
    ExamStudy,
    ExpiredExam,
    PdfWord,
    SeenFile,
    SeparatedStudy,
    Study,
    StudyAccession,
    Upload,
    storable,
)
from router.catalogue.exams.calibrations import Calibrations
from router.catalogue.exams.expiry import forgotten_key
from router.catalogue.exams.files import FolderFiles
from router.catalogue.exams.originals import Originals
from router.catalogue.exams.pdf_names import PdfNames
from router.catalogue.images.studies import StudyHere, studies_here
from router.errors import IntegrityError
from router.exam.key import ExamKey, approved
from router.matching.exam.versions import JsonVersion, PdfVersion, Unread, successive
from router.matching.report_pdf.naming import doubt, identifiers
from router.matching.report_pdf.near_names import near_key
from router.model import Channel
from router.policy.states import CLOSED

_KNOWN = Statement("SELECT id FROM exam WHERE branch = ? AND exam_id = ?", Exam.branch, Exam.exam_id)
_NEW_EXAM, _NEW_DOCUMENT = Insert(Exam), Insert(Document)
_REVISE = Statement("UPDATE exam SET revisions = revisions + 1 WHERE id = ? RETURNING revisions", Exam.id)
_TOUCH = Statement("UPDATE exam SET touched = touched + 1, check_at = ? WHERE id = ?", Exam.check_at, Exam.id)
_SEEN = Statement(
    "SELECT id FROM document WHERE digest = ? AND kind = ? AND stem = ? AND file_time >= ? LIMIT 1",
    Document.digest, Document.kind, Document.stem, Document.file_time,
)  # fmt: skip
_LATEST = Statement(
    "SELECT digest FROM document WHERE exam_id = ? AND kind = ? ORDER BY id DESC LIMIT 1", Exam.id, Document.kind
)
_OF_STEM = Statement("SELECT exam_id FROM document WHERE stem = ? AND kind = 'json' ORDER BY id DESC", Document.stem)
_CLAIMABLE = Statement(
    "SELECT id, place, exam_id FROM document WHERE stem = ? AND kind = 'pdf' AND (exam_id IS NULL OR"
    " (exam_id <> ? AND NOT vouched AND confirmed IS NULL)) ORDER BY id", Document.stem, Exam.id,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TakenDocument:
    """A file of the drop folder as it is entered. `key` is None for a PDF; `content`, `reported` are digests.

    `checksum` is SHA-256 of the copy, "" where only `digest` is known, which is the same but for an HL7 message.
    Of a PDF: `words` of its text, None where nobody asks whose it is, `names`, what the pattern found in its name,
    `message`, the JSON (a document's id) that came in one message with it, and whether its text is still `unread`.
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
    names: Mapping[str, str] = field(default_factory=dict)
    checksum: str = ""
    message: int | None = None
    unread: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """How an exam's report PDF was chosen, in words; the document; the one that a person may confirm or choose instead.

    `weighed` is the last document of the exam that was known then.
    """

    evidence: str = ""
    pdf: int | None = None
    candidate: int | None = None
    weighed: int | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A PDF whose exam is not known yet, or is in question: then `owner` is the exam that has it."""

    document: int
    place: str
    owner: int | None = None


@dataclass(frozen=True, slots=True)
class OverlappingExam:
    """Another exam that has a study in common with this one; `approved` as it was last evaluated."""

    exam: int
    accession_number: str
    patient_id: str
    patient_name: str
    study_uid: str
    approved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Knowledge of a document's copy: its SHA-256 ("" where nobody knows), and why it is damaged ("" while not).

    `named` is a digest of all that a JSON is joined to studies by.
    """

    checksum: str = ""
    damaged: str = ""
    named: str = ""


@dataclass(frozen=True, slots=True)
class ExamSnapshot:
    """All that is known of an exam when it is evaluated. `touched` tells whether it has changed since.

    `approved` is what the last evaluation found, `apart` the studies that a person keeps apart from it.
    `forgotten`: there was such an exam before, and its records are removed.
    """

    exam: int
    branch: str
    exam_id: str
    touched: int
    doubt: str
    jsons: tuple[JsonVersion, ...]
    pdfs: tuple[PdfVersion, ...]
    places: Mapping[int, str]
    links: Mapping[str, str]
    studies: Mapping[str, StudyHere]
    siblings: tuple[OverlappingExam, ...]
    approved: bool
    apart: frozenset[str] = frozenset()
    forgotten: bool = False
    proofs: Mapping[int, Proof] = field(default_factory=dict)
    chosen: Chosen = Chosen()


class Exams:
    """The exams and what they are made of."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.pdf_names = PdfNames(engine)
        self.calibrations = Calibrations(engine)
        self.originals = Originals(engine)
        self.files = FolderFiles(engine)

    # -- intake

    def transaction(self) -> AbstractContextManager[None]:
        """One transaction for what is done within."""
        return self._engine.write()

    def number_of(self, branch: str, exam_id: str, now: datetime) -> int:
        """The node's own number of an exam; made when it is new."""
        return self.known(branch, exam_id) or self._make({"branch": branch, "exam_id": exam_id, "created": now})

    def known(self, branch: str, exam_id: str) -> int | None:
        """The node's own number of an exam, when there is one."""
        return next((int(row[0]) for row in _KNOWN.run(self._engine, branch, exam_id)), None)

    def new(self, key: ExamKey, now: datetime) -> int:
        """Make the exam of a JSON whose exam was not known; its number."""
        return self._make({"branch": key.branch, "exam_id": key.exam_id, "created": now, **_described(key)})

    def _make(self, row: Mapping[str, Any]) -> int:
        with self._engine.write():
            number = _NEW_EXAM.run(self._engine, **row)
            if number is None:  # another node was quicker
                return self.known(row["branch"], row["exam_id"]) or self._make(row)
            words = identifiers(row["exam_id"], row.get("accession_number", ""), row.get("patient_name", ""))
            self.pdf_names.answer(number, words, new=True)
            return number

    def next_revision(self, exam: int) -> int:
        """A new intake revision of the exam; never given twice."""
        with self._engine.write():
            return int(_REVISE.run(self._engine, exam)[0][0])

    def next_document(self) -> int:
        """A number for the folder of an unpaired document."""
        query = Document.select(fn.COALESCE(fn.MAX(Document.id), 0)).tuples()
        return int(self._engine.run(query)[0][0]) + 1

    def seen(self, kind: str, stem: str, digest: str, file_time: datetime) -> bool:
        """Whether this very file was taken before: same name and content, and not written again since."""
        return bool(_SEEN.run(self._engine, digest, kind, stem, file_time))

    def latest(self, exam: int, kind: str) -> str | None:
        """The digest of the exam's last document of a kind; None when it has none."""
        return next((row[0] for row in _LATEST.run(self._engine, exam, kind)), None)

    def json_of(self, exam: int, digest: str) -> int | None:
        """The exam's last JSON of that digest."""
        mine = (Document.exam == exam) & (Document.kind == "json") & (Document.digest == digest)
        query = Document.select(Document.id).where(mine).order_by(Document.id.desc()).limit(1).tuples()
        return next((int(row[0]) for row in self._engine.run(query)), None)

    def current_jsons(self, exam: int) -> set[str]:
        """The digests of the exam's last JSON and of the one that counts, which may be an earlier one."""
        mine = (Document.exam == exam) & (Document.kind == "json")
        rows = self._engine.run(Document.select().where(mine).order_by(Document.id))
        counting = successive([_json(row) for row in rows])[-1:]
        return {row.digest for row in rows if row is rows[-1] or row.id in {v.document for v in counting}}

    def last_counts(self, exam: int) -> bool:
        """Whether the exam's last JSON is the one that counts; otherwise it is stale."""
        mine = (Document.exam == exam) & (Document.kind == "json")
        rows = self._engine.run(Document.select().where(mine).order_by(Document.id))
        return bool(rows) and successive([_json(row) for row in rows])[-1].document == rows[-1].id

    def exams_of_stem(self, stem: str) -> list[int]:
        """The exams of the JSONs under this name, that of the last one first."""
        return list(dict.fromkeys(row[0] for row in _OF_STEM.run(self._engine, stem)))

    def identifiers(self, exam: int) -> frozenset[str]:
        """The words by which a report's text names the exam."""
        return identifiers(*self.pdf_names.described(exam))

    def exam_named(self, exam_id: str = "", accession: str = "", study_uid: str = "") -> int | None:
        """The one exam with this ExamId, accession number or listed study; None when there is none or more than one."""
        linked = ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid == study_uid)
        for value, condition in (
            (exam_id, Exam.exam_id == exam_id),
            (study_uid, Exam.id.in_(linked)),
            (accession, Exam.accession_number == accession),
        ):
            found = self._engine.run(Exam.select(Exam.id).where(condition).limit(2).tuples()) if value else []
            if len(found) == 1:
                return int(found[0][0])
        return None

    def claimable(self, stem: str, exam: int) -> list[Waiting]:
        """PDFs of this name that have no exam yet, or have another one and nothing vouches for that."""
        return [Waiting(*row) for row in _CLAIMABLE.run(self._engine, stem, exam)]

    def waits(self, stem: str, digest: str) -> bool:
        """Whether a PDF of this name and content waits for its exam."""
        mine = (Document.kind == "pdf") & (Document.digest == digest) & (Document.stem == stem)
        query = Document.select(Document.id).where(mine & Document.exam.is_null()).limit(1).tuples()
        return bool(self._engine.run(query))

    def unpaired(self, names: Iterable[tuple[str, str]]) -> list[Waiting]:
        """PDFs without an exam, in whose file names the pattern found one of these (group, value)."""
        found = self.pdf_names.unpaired(names)
        columns = (Document.id, Document.place, Document.exam)
        query = Document.select(*columns).where(Document.id.in_(found)).order_by(Document.id).tuples()
        return [Waiting(*row) for row in self._engine.run(query)] if found else []

    def numbered(self, number: str, exam: int) -> list[tuple[Waiting, str]]:
        """PDFs of which this number is the whole name, not this exam's and not confirmed; with their stems."""
        found = self.pdf_names.numbered(number)
        columns = (Document.id, Document.place, Document.exam, Document.stem)
        others = (Document.exam.is_null() | (Document.exam != exam)) & Document.confirmed.is_null()
        query = Document.select(*columns).where(Document.id.in_(found) & others).order_by(Document.id).tuples()
        return [(Waiting(*row), stem) for *row, stem in self._engine.run(query)] if found else []

    def waiting_of_studies(self) -> dict[Waiting, list[int]]:
        """PDFs without an exam that belong to a study by its UID, each with the exams that have the study."""
        columns = (Document.id, Document.place, ExamStudy.exam)
        query = PdfWord.select(*columns).join(Document).join(ExamStudy, on=ExamStudy.study_uid == PdfWord.word)
        where = (PdfWord.kind == "study_uid") & Document.exam.is_null()
        found: dict[Waiting, list[int]] = {}
        for document, place, exam in self._engine.run(query.where(where).order_by(Document.id).tuples()):
            found.setdefault(Waiting(document, place), []).append(exam)
        return found

    def add(self, document: TakenDocument, place: str, exam: int | None, revision: int | None, now: datetime) -> int:
        """Enter a document whose copy is durable at `place`, and have its exam evaluated."""
        naming = self._naming(document.words, exam)
        vouched = document.words is None or bool(naming)
        row: dict[str, Any] = {
            "kind": document.kind, "stem": document.stem, "digest": document.digest, "place": place, "exam": exam,
            "revision": revision, "file_time": document.file_time, "arrived": document.arrived,
            "content": document.content, "reported": document.reported, "vouched": vouched,
            "named": naming, "message": document.message, "unread": Unread.ONCE if document.unread else None,
            "checksum": document.checksum or None, "near": near_key(document.stem),
        }  # fmt: skip
        if document.key is not None:
            row |= {"named": named(document.key), **_approval(document.key)}
        with self._engine.write():
            number = _NEW_DOCUMENT.run(self._engine, **row)
            if number is None:
                raise IntegrityError("a document's number was given twice")
            if exam is not None:
                self.request_evaluation([exam], now)
            if not vouched or exam is None:
                self.pdf_names.say(number, document.words or (), document.names)
        return number

    def _naming(self, words: frozenset[str] | None, exam: int | None) -> str:
        """The words by which a PDF's text names the exam."""
        return "" if exam is None or not words else "\n".join(sorted(words & self.identifiers(exam)))

    def restate(self, document: int, key: ExamKey, content: str, reported: str) -> bool:
        """Replace what a JSON is known to say of approval, times, report, patient and studies; whether that is new."""
        values: dict[str, Any] = {
            **_approval(key), "content": content, "reported": reported, "named": named(key),
        }  # fmt: skip
        columns = [getattr(Document, column) for column in values]
        with self._engine.write():
            known = self._engine.run(Document.select(*columns).where(Document.id == document).tuples())
            if known[0] == tuple(values.values()):
                return False
            self._engine.run(Document.update(**values).where(Document.id == document))
        return True

    def bind(self, document: int, exam: int, revision: int, place: str, now: datetime) -> None:
        """Give a PDF its exam, or another one than it had."""
        with self._engine.write():
            (row,) = self._engine.run(Document.select(Document.exam, Document.vouched).where(Document.id == document))
            naming = self._naming(self.pdf_names.said(document), exam)
            vouched = row.vouched or bool(naming)
            changes = {"exam": exam, "revision": revision, "place": place, "vouched": vouched, "named": naming}
            self._engine.run(Document.update(**changes).where(Document.id == document))
            if vouched:
                self.pdf_names.forget(document)
            self.request_evaluation({exam, row.exam_id or exam}, now)

    def missed(self, digest: str) -> tuple[int, int] | None:
        """A PDF of this content whose copy is gone and whose exam has something to do again, and the exam."""
        mine = (Document.kind == "pdf") & (Document.digest == digest) & Document.purged.is_null(False)
        query = Document.select(Document.id, Document.exam).join(Delivery, on=Delivery.exam == Document.exam)
        busy = (Delivery.channel == Channel.REPORT) & Delivery.state.not_in(sorted(CLOSED))
        rows: Any = self._engine.run(query.where(mine & busy).order_by(Document.id.desc()).limit(1).tuples())
        return next(((int(document), int(exam)) for document, exam in rows), None)

    def returned(
        self, document: int, exam: int, revision: int, place: str, now: datetime, checksum: str = ""
    ) -> None:  # fmt: skip
        """The document has a copy again, durable at `place`; it is the same document.

        What was frozen with the former copy and has no receipt is filled anew.
        """
        changes = {"purged": None, "revision": revision, "place": place, "checksum": checksum or None, "damaged": None}
        former = Document.select(Document.place).where(Document.id == document)
        with self._engine.write():
            stale = Upload.pdf_place.in_(former) & Upload.confirmed.is_null()
            self._engine.run(Upload.update(refused=True).where(stale))
            self._engine.run(Document.update(**changes).where(Document.id == document))
            self.request_evaluation([exam], now)

    def unread(self, before: datetime) -> list[tuple[int, str]]:
        """PDFs taken before then whose text was not read in its processor time at the first try; their places."""
        mine = (Document.unread == int(Unread.ONCE)) & (Document.arrived <= before) & Document.purged.is_null()
        query = Document.select(Document.id, Document.place).where(mine).order_by(Document.id)
        return [(int(number), str(place)) for number, place in self._engine.run(query.tuples())]

    def reread(self, document: int, words: frozenset[str], now: datetime, *, read: bool) -> None:
        """The second try to read a PDF's text: these are its words; or it was not read, for good."""
        with self._engine.write():
            (row,) = self._engine.run(Document.select().where(Document.id == document))
            naming = self._naming(words, row.exam_id)
            fate = None if read else Unread.FOR_GOOD
            changes = {"unread": fate, "vouched": row.vouched or bool(naming), "named": naming or row.named}
            self._engine.run(Document.update(**changes).where(Document.id == document))
            if not changes["vouched"] or row.exam_id is None:
                self.pdf_names.say(document, words, {})
            if row.exam_id is not None:
                self.request_evaluation([row.exam_id], now)

    def known_number(self, number: str, exam: int) -> bool:
        """Whether it is the ExamId, accession number or patient number of another exam."""
        named = self.pdf_names.other([number], exam) is not None
        theirs = Exam.select(Exam.id).where((Exam.patient_id == number) & (Exam.id != exam)).limit(1)
        return named or bool(self._engine.run(theirs.tuples()))

    # -- copies that are not what came

    def damage(self, document: int, place: str, why: str, now: datetime) -> None:
        """The document's copy, or what was frozen of it, is not what came: its report is held until it comes again.

        A copy at another place than the one that was read has come meanwhile. Where the original stays in the drop
        folder, it is taken once more.
        """
        with self._engine.write():
            mine = (Document.id == document) & (Document.place == place)
            marked = Document.update(damaged=why).where(mine & Document.damaged.is_null())
            if not self._engine.run(marked):
                return
            digest = Document.select(Document.digest).where(Document.id == document)
            paths = [row[0] for row in self._engine.run(
                SeenFile.select(SeenFile.path).where(SeenFile.digest.in_(digest)).tuples())]  # fmt: skip
            self._engine.run(SeenFile.delete().where(SeenFile.path.in_(paths)))
            exams = Document.select(Document.exam).where((Document.id == document) & Document.exam.is_null(False))
            self.request_evaluation([row[0] for row in self._engine.run(exams.tuples())], now)

    def damaged(self, kind: str, digest: str) -> tuple[int, int, str] | None:
        """A document of this content whose copy is damaged, its exam, and where the copy lies."""
        mine = (Document.kind == kind) & (Document.digest == digest) & Document.damaged.is_null(False)
        columns = (Document.id, Document.exam, Document.place)
        query = Document.select(*columns).where(mine & Document.exam.is_null(False)).order_by(Document.id.desc())
        return next((tuple(row) for row in self._engine.run(query.limit(1).tuples())), None)

    def look_again(self, exam: int) -> None:
        """Damage of the exam's documents is to be found anew: a person has put files back."""
        with self._engine.write():
            self._engine.run(Document.update(damaged=None).where(Document.exam == exam))

    def confirm_pdf(self, document: int, version: int) -> None:
        """A person says that the PDF belongs to this version of the exam's JSON (a document's id).

        Of a JSON, named with itself: that it is the version that counts.
        """
        with self._engine.write():
            self._engine.run(Document.update(confirmed=version).where(Document.id == document))

    # -- files that stay in the drop folder

    def remember(self, path: str, size: int, file_time: int, digest: str) -> None:
        """The file was dealt with. `file_time` in nanoseconds since 1970."""
        row = SeenFile.insert(path=path, size=size, file_time=file_time, digest=digest)
        same = [SeenFile.path, SeenFile.digest]
        kept = row.on_conflict(conflict_target=same, update={SeenFile.size: size, SeenFile.file_time: file_time})
        with self._engine.write():
            self._engine.run(kept)

    def remembered(self, path: str) -> dict[tuple[int, int], str]:
        """The digests of what was dealt with under this path, by size and time."""
        query = SeenFile.select(SeenFile.size, SeenFile.file_time, SeenFile.digest).where(SeenFile.path == path)
        return {(size, at): digest for size, at, digest in self._engine.run(query.tuples())}

    def forget_seen(self, path: str, digest: str) -> None:
        """Content that was refused under this path is refused anew when it comes again."""
        with self._engine.write():
            self._engine.run(SeenFile.delete().where((SeenFile.path == path) & (SeenFile.digest == digest)))

    def uploaded(self, place: str) -> Mapping[int, str]:
        """The deliveries with which the PDF at this place was handed to a destination, each with the destination."""
        query = Upload.select(Delivery.id, Delivery.destination).join(Delivery, on=Delivery.id == Upload.delivery)
        return dict(self._engine.run(query.where(Upload.pdf_place == place).distinct().tuples()))

    def any_document(self) -> bool:
        """Whether anything was ever taken."""
        return bool(self._engine.run(Document.select(Document.id).limit(1).tuples()))

    # -- evaluation

    def request_evaluation(self, exams: Iterable[int], now: datetime) -> None:
        """Have these exams evaluated."""
        with self._engine.write():
            for exam in sorted(exams):
                _TOUCH.run(self._engine, now, exam)

    def to_check(self, now: datetime, limit: int) -> list[int]:
        """Exams whose time to be evaluated has come, the longest waiting first."""
        query = Exam.select(Exam.id).where(Exam.check_at <= now).order_by(Exam.check_at).limit(limit).tuples()
        return [row[0] for row in self._engine.run(query)]

    def next_check(self) -> datetime | None:
        """When the next exam is to be evaluated."""
        query = Exam.select(Exam.check_at).where(Exam.check_at.is_null(False)).order_by(Exam.check_at).limit(1)
        return next((row[0] for row in self._engine.run(query.tuples())), None)

    def checked(
        self,
        case: ExamSnapshot,
        check_at: datetime | None,
        approved_at: datetime | None,
        doubt: str,
        chosen: Chosen = Chosen(),
    ) -> bool:
        """Close an evaluation; False when the exam was touched meanwhile and must be evaluated again."""
        where = (Exam.id == case.exam) & (Exam.touched == case.touched)
        changes: dict[str, Any] = {"check_at": check_at, "approved_at": approved_at, "doubt": doubt}
        changes |= {"evidence": chosen.evidence, "pdf": chosen.pdf, "candidate": chosen.candidate,
                    "weighed": chosen.weighed}  # fmt: skip
        with self._engine.write():
            return bool(self._engine.run(Exam.update(**changes).where(where)))

    def approve(self, case: ExamSnapshot, approved_at: datetime | None, now: datetime) -> None:
        """Keep a changed approval, and have the exams evaluated that have a study in common with this one."""
        with self._engine.write():
            self._engine.run(Exam.update(approved_at=approved_at).where(Exam.id == case.exam))
            self.request_evaluation({sibling.exam for sibling in case.siblings}, now)

    def describe(self, exam: int, key: ExamKey) -> bool:
        """Keep what joining looks for, accession number and patient of the JSON that counts; whether it is new."""
        values = _described(key)
        same = [getattr(Exam, column) == value for column, value in values.items()]
        words = identifiers(key.exam_id, key.accession_number, key.patient.name)
        with self._engine.write():
            where = (Exam.id == exam) & ~(same[0] & same[1] & same[2])
            if not self._engine.run(Exam.update(**values).where(where)):
                return False
            self.pdf_names.answer(exam, words)
            return True

    def touch_those_naming(self, exam: int, now: datetime) -> None:
        """Have the exams evaluated, one of whose PDFs names this exam."""
        self.request_evaluation(self.pdf_names.owners(self.identifiers(exam), exam), now)

    def postpone(self, exam: int, until: datetime) -> None:
        """Evaluate the exam again, not before `until`, whatever has touched it."""
        with self._engine.write():
            self._engine.run(Exam.update(check_at=until).where(Exam.id == exam))

    def put_off_no_longer(self, now: datetime) -> None:
        """Have every exam evaluated that is to be looked at later; no study came in the future."""
        later = Exam.update(touched=Exam.touched + 1, check_at=now).where(Exam.check_at > now)
        with self._engine.write():
            self._engine.run(later)
            self._engine.run(Study.update(last_received=now).where(Study.last_received > now))

    def mark_stale(self, documents: Sequence[int]) -> list[int]:
        """Mark older versions that came late; those that were not marked before are returned."""
        if not documents:
            return []
        with self._engine.write():
            mine = Document.id.in_(list(documents)) & ~Document.stale
            fresh = [row[0] for row in self._engine.run(Document.select(Document.id).where(mine).tuples())]
            if fresh:
                self._engine.run(Document.update(stale=True).where(Document.id.in_(fresh)))
        return fresh

    def link(self, exam: int, study_uids: Iterable[str], joined_by: str, now: datetime) -> list[str]:
        """Join studies to an exam; the newly joined UIDs are returned. A key that joined before stays.

        Who catalogues into them, or purges them, has done so before, and is seen, or does it after, and sees the exam.
        """
        study_uids = list(study_uids)
        with self._engine.lock_names(study_uids), self._engine.write():
            have = {r[0] for r in self._engine.run(
                ExamStudy.select(ExamStudy.study_uid).where(ExamStudy.exam == exam).tuples())}  # fmt: skip
            new = [uid for uid in dict.fromkeys(study_uids) if uid not in have]
            for portion in portions(new):
                rows = [{"exam": exam, "study_uid": uid, "joined_by": joined_by, "since": now} for uid in portion]
                self._engine.run(ExamStudy.insert_many(rows).on_conflict_ignore())
                shared = ExamStudy.study_uid.in_(portion) & (ExamStudy.exam != exam)
                others = ExamStudy.select(ExamStudy.exam).where(shared).distinct().tuples()
                self.request_evaluation([row[0] for row in self._engine.run(others)], now)
        return new

    def unlink(self, exam: int, study_uids: Iterable[str]) -> None:
        """Take studies from an exam, because the JSON that counts no longer names them."""
        with self._engine.write():
            for portion in portions(list(study_uids)):
                mine = (ExamStudy.exam == exam) & ExamStudy.study_uid.in_(portion)
                self._engine.run(ExamStudy.delete().where(mine))

    def candidates(self, accession_number: str, known: Mapping[str, StudyHere] = {}) -> list[StudyHere]:
        """Studies that name this accession number, as their own or in RequestAttributesSequence.

        Those of `known`, which were read before, are not read again.
        """
        if not accession_number:
            return []
        named = StudyAccession.accession_number == accession_number
        query = Study.select(Study.uid).join(StudyAccession).where(named).order_by(Study.id).tuples()
        uids = [row[0] for row in self._engine.run(query)]
        found = {**self.studies(uid for uid in uids if uid not in known), **known}
        return [found[uid] for uid in uids]

    def case(self, exam: int) -> ExamSnapshot:
        """Everything about an exam, in one view."""
        with self._engine.read():
            row = self._engine.run(Exam.select().where(Exam.id == exam))[0]
            documents = self._engine.run(Document.select().where(Document.exam == exam).order_by(Document.id))
            links = {
                r.study_uid: r.joined_by for r in self._engine.run(ExamStudy.select().where(ExamStudy.exam == exam))
            }
            return ExamSnapshot(
                exam, row.branch, row.exam_id, row.touched, row.doubt,
                tuple(_json(d) for d in documents if d.kind == "json"),
                tuple(self._pdf(d, row) for d in documents if d.kind == "pdf"),
                {d.id: d.place for d in documents}, links, self.studies(links), self._siblings(exam, links),
                row.approved_at is not None, self._apart(exam),
                self._forgotten(row.branch, row.exam_id), {d.id: _proof(d) for d in documents},
                Chosen(row.evidence or "", row.pdf, row.candidate, row.weighed),
            )  # fmt: skip

    def _apart(self, exam: int) -> frozenset[str]:
        query = SeparatedStudy.select(SeparatedStudy.study_uid).where(SeparatedStudy.exam == exam).tuples()
        return frozenset(row[0] for row in self._engine.run(query))

    def _forgotten(self, branch: str, exam_id: str) -> bool:
        query = ExpiredExam.select(ExpiredExam.key).where(ExpiredExam.key == forgotten_key(branch, exam_id))
        return bool(self._engine.run(query.tuples()))

    def _pdf(self, row: Any, exam: Any) -> PdfVersion:
        question, named, vouched = "", frozenset(row.named.splitlines()), row.vouched
        if not row.vouched and row.confirmed is None:
            said, reused = self.pdf_names.said(row.id), self.pdf_names.used_by_others(row.stem, exam.id)
            own = identifiers(exam.exam_id, exam.accession_number, exam.patient_name)
            question, named = doubt(said, own, self.pdf_names.other(said, exam.id), reused=reused), said
            vouched = bool(said & own)
        return PdfVersion(
            document=row.id, arrived=row.arrived, file_time=row.file_time, doubt=question, confirmed=row.confirmed,
            named=named, here=row.purged is None, stem=row.stem, message=row.message, vouched=vouched,
            unread=None if row.unread is None else Unread(row.unread), learnt=row.learnt is not None,
        )  # fmt: skip

    def studies(self, uids: Iterable[str]) -> dict[str, StudyHere]:
        """Those of the studies that are here."""
        return studies_here(self._engine, uids)

    def _siblings(self, exam: int, links: Iterable[str]) -> tuple[OverlappingExam, ...]:
        columns = (Exam.id, Exam.accession_number, Exam.patient_id, Exam.patient_name, ExamStudy.study_uid,
                   Exam.approved_at.is_null(False))  # fmt: skip
        query = Exam.select(*columns).join(ExamStudy, on=ExamStudy.exam == Exam.id).where(Exam.id != exam).tuples()
        found = (self._engine.run(query.where(ExamStudy.study_uid.in_(uids))) for uids in portions(list(links)))
        return tuple(
            OverlappingExam(e, a, p, n, uid, bool(approved)) for rows in found for e, a, p, n, uid, approved in rows
        )

    # -- for people

    def approved_between(self, start: datetime, end: datetime) -> list[int]:
        """Exams by the instant of their approval."""
        then = (Exam.approved_at >= start) & (Exam.approved_at < end)
        return [row[0] for row in self._engine.run(Exam.select(Exam.id).where(then).order_by(Exam.id).tuples())]

    def approved_at(self, exam: int) -> datetime | None:
        """When the exam was approved."""
        rows = self._engine.run(Exam.select(Exam.approved_at).where(Exam.id == exam))
        return rows[0].approved_at if rows else None

    def names(self, exams: Iterable[int]) -> dict[int, str]:
        """The ExamIds of these exams."""
        query = Exam.select(Exam.id, Exam.exam_id).where(Exam.id.in_(list(exams))).tuples()
        return dict(self._engine.run(query))

    def find(self, text: str, *, exam_id: bool = False) -> list[int]:
        """Exams with this ExamId, study UID or file name; with `exam_id` by the ExamId as it is."""
        if exam_id:
            return [row[0] for row in self._engine.run(Exam.select(Exam.id).where(Exam.exam_id == text).tuples())]
        linked = ExamStudy.select(ExamStudy.exam).where(ExamStudy.study_uid == text)
        stem = text.rsplit(".", 1)[0] if text.lower().endswith((".json", ".pdf", ".hl7")) else text
        named = Document.select(Document.exam).where((Document.stem == stem) | Document.stem.endswith("/" + stem))
        where = (Exam.exam_id == text) | Exam.id.in_(linked) | Exam.id.in_(named.where(Document.exam.is_null(False)))
        return [row[0] for row in self._engine.run(Exam.select(Exam.id).where(where).tuples())]


def named(key: ExamKey) -> str:
    """A digest of all that a JSON is joined to studies by."""
    return hashlib.sha256(repr((key.accession_number, key.study_uids, key.patient)).encode()).hexdigest()


def _described(key: ExamKey) -> dict[str, str]:
    patient = key.patient
    ids = {"accession_number": key.accession_number, "patient_name": patient.name}
    return ids | {"patient_id": patient.patient_ids.get("Patient.PatientId", "")}


def _proof(row: Any) -> Proof:
    hl7 = row.place.endswith(".hl7")  # its digest is of what it says
    return Proof(
        checksum=row.checksum or ("" if hl7 else row.digest), damaged=row.damaged or "",
        named=row.named if row.kind == "json" else "",
    )  # fmt: skip


def _json(row: Any) -> JsonVersion:
    return JsonVersion(
        document=row.id, arrived=row.arrived, file_time=row.file_time, submit_time=row.submit_time,
        approve_time=row.approve_time, approved=row.approved, content=row.content, reported=row.reported, stem=row.stem,
        text=(), chosen=row.confirmed == row.id,
    )  # fmt: skip


def _approval(key: ExamKey) -> dict[str, Any]:
    """Times that the database cannot give back are none."""
    approve_time = key.approve_time if storable(key.approve_time) else None
    submit_time = key.submit_time if storable(key.submit_time) else None
    return {"approved": approved(key) and approve_time is not None, "submit_time": submit_time,
            "approve_time": approve_time}  # fmt: skip
