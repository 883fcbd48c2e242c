"""Snapshots of the rows that an arriving document concerns: read once, before anything is decided about it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from router.catalogue.db.engine import Engine, Rows
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import Document, Exam, PdfWord
from router.catalogue.db.tables.queue import Delivery, Upload
from router.catalogue.exams.documents import Documents, version_of
from router.catalogue.exams.exam_rows import UNDESCRIBED, Description, ExamRows
from router.catalogue.exams.links import Links
from router.exam.key import ExamKey
from router.matching.exam.versions import JsonVersion
from router.matching.report_pdf.naming import Bearer, identifiers
from router.model import Channel
from router.policy.states import State

# A document of this content under this name that was not written before; by it the very same file is known.
_SEEN = Statement(
    "SELECT id FROM document WHERE digest = ? AND kind = ? AND stem = ? AND file_time >= ? LIMIT 1",
    Document.digest, Document.kind, Document.stem, Document.file_time,
)  # fmt: skip
# The last document of this content whose copy is damaged.
_DAMAGED = Statement(
    "SELECT id, exam_id, place, stem FROM document WHERE digest = ? AND kind = ? AND damaged IS NOT NULL"
    " AND exam_id IS NOT NULL ORDER BY id DESC LIMIT 1", Document.digest, Document.kind,
)  # fmt: skip
# The last PDF of this content whose copy was removed and whose exam's report a destination has not: by a delivery that
# is open or may be taken up again.
_CONFIRMED = tuple(map(str, (State.DELIVERED, State.WITHDRAWN)))
_MISSED = Statement(
    "SELECT document.id, document.exam_id, document.stem FROM document"  # noqa: S608 our own names
    " JOIN delivery ON delivery.exam_id = document.exam_id WHERE document.digest = ? AND document.kind = 'pdf'"
    " AND document.purged IS NOT NULL AND delivery.channel = ?"
    f" AND delivery.state NOT IN ({', '.join('?' * len(_CONFIRMED))}) ORDER BY document.id DESC LIMIT 1",
    Document.digest, Delivery.channel, *[Delivery.state] * len(_CONFIRMED),
)  # fmt: skip
# A PDF of this name and content that waits for its exam.
_WAITS = Statement(
    "SELECT id FROM document WHERE digest = ? AND kind = 'pdf' AND stem = ? AND exam_id IS NULL LIMIT 1",
    Document.digest, Document.stem,
)  # fmt: skip
# The exam of a JSON. It lacks a PDF until one is chosen, and again once something has come since.
_EXAM = Statement(
    "SELECT id, accession_number, patient_name, patient_id, pdf IS NULL OR weighed IS NULL OR weighed <"
    " (SELECT MAX(document.id) FROM document WHERE document.exam_id = exam.id) FROM exam"
    " WHERE hospital = ? AND branch = ? AND exam_id = ?", Exam.hospital, Exam.branch, Exam.exam_id,
)  # fmt: skip
_CANDIDATE = (
    "SELECT exam.id, exam.hospital, exam.exam_id, exam.accession_number, exam.patient_name,"
    " (SELECT pdf.digest FROM document pdf"
    " WHERE pdf.exam_id = exam.id AND pdf.kind = 'pdf' ORDER BY pdf.id DESC LIMIT 1) FROM "
)
# Exams that a PDF may be of: by number, by branch and ExamId, by the name of a JSON (the last one first).
_OF_NUMBER = Statement(f"{_CANDIDATE} exam WHERE id = ?", Exam.id)
_OF_KEY = Statement(
    f"{_CANDIDATE} exam WHERE hospital = ? AND branch = ? AND exam_id = ?", Exam.hospital, Exam.branch, Exam.exam_id
)
# of all hospitals: the name of a document tells the way that it came by
_OF_STEM = Statement(
    f"{_CANDIDATE} document json JOIN exam ON exam.id = json.exam_id WHERE json.stem = ? AND json.kind = 'json'"
    " ORDER BY json.id DESC", Document.stem,
)  # fmt: skip
# Hospitals of the exams whose JSONs came under this name.
_HOSPITALS = Statement(
    "SELECT DISTINCT exam.hospital FROM document json JOIN exam ON exam.id = json.exam_id"
    " WHERE json.stem = ? AND json.kind = 'json'", Document.stem,
)  # fmt: skip
_PDF = "SELECT document.id, document.place, document.stem, document.vouched, document.exam_id FROM document WHERE "
# PDFs under this name that have no exam, or another one that nothing vouches for.
_OF_NAME = Statement(
    f"{_PDF} stem = ? AND kind = 'pdf' AND (exam_id IS NULL OR"
    " (exam_id <> ? AND NOT vouched AND confirmed IS NULL)) ORDER BY id", Document.stem, Exam.id,
)  # fmt: skip
# PDFs without an exam in whose name the pattern found this word.
_OF_WORD = Statement(
    f"{_PDF} exam_id IS NULL AND id IN (SELECT document_id FROM pdf_word WHERE kind = ? AND word = ?) ORDER BY id",  # noqa: S608 our own names
    PdfWord.kind, PdfWord.word,
)  # fmt: skip
# PDFs of which this number is the whole name, not this exam's and not confirmed.
_NUMBERED = Statement(
    f"{_PDF} (exam_id IS NULL OR exam_id <> ?) AND confirmed IS NULL AND id IN ("  # noqa: S608 our own names
    "SELECT id FROM document WHERE stem = ? AND kind = 'pdf' UNION"
    " SELECT document_id FROM pdf_word WHERE word = ? AND kind = 'number') ORDER BY id",
    Exam.id, Document.stem, PdfWord.word,
)  # fmt: skip
# Deliveries with which the PDF at this place was handed to a destination.
_SENT = Statement(
    "SELECT DISTINCT delivery.id, delivery.destination FROM upload JOIN delivery ON delivery.id = upload.delivery_id"
    " WHERE upload.pdf_place = ?", Upload.pdf_place,
)  # fmt: skip
# PDFs without an exam that belong to a study by its UID, each with an exam that has the study.
# of all hospitals: by the links of a study
_OF_STUDIES = Statement(
    "SELECT document.id, document.place, document.stem, document.vouched, document.exam_id, exam_study.exam_id"
    " FROM document JOIN pdf_word ON pdf_word.document_id = document.id AND pdf_word.kind = 'study_uid'"
    " JOIN exam_study ON exam_study.study_uid = pdf_word.word WHERE document.exam_id IS NULL ORDER BY document.id"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An exam that a PDF may be of, the words by which a text names it, and the digest of its last PDF ("": none)."""

    exam: int
    own: frozenset[str]
    latest: str
    hospital: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LostCopy:
    """A document without a sound copy: damaged at `place`, or removed (""). It came under the name `stem`."""

    document: int
    exam: int
    place: str
    stem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingPdf:
    """A PDF that an exam may get: it has no exam yet, or `owner` has it for now.

    `said` are the words of its text and `vouched` whether they are asked for no more. Of the owner: its hospital; the
    words by which a text names it; of a PDF found by its number, whether a JSON of the owner came under the PDF's name;
    and the deliveries, each with its destination, with which the PDF was handed over.
    """

    document: int
    place: str
    stem: str
    vouched: bool
    said: frozenset[str]
    owner: int | None = None
    owner_hospital: str = ""
    owner_words: frozenset[str] = frozenset()
    owner_by_name: bool = False
    sent: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonSnapshot:
    """The rows that an exam JSON concerns. `exam` is None for one that is not known.

    `jsons` are the exam's versions with their digests, `lacks` whether it lacks a PDF of the version that counts.
    `hospitals` are those of all exams whose JSONs came under its name. PDFs that it may get: `of_name`; `of_pattern`,
    with other exams by each name that the pattern found in theirs; `of_number`, and by each number the other exams that
    have it.
    """

    seen: bool = False
    damaged: LostCopy | None = None
    exam: int | None = None
    described: Description = UNDESCRIBED
    lacks: bool = True
    jsons: Sequence[tuple[JsonVersion, str]] = ()
    linked: frozenset[str] = frozenset()
    hospitals: frozenset[str] = frozenset()
    of_name: Sequence[WaitingPdf] = ()
    of_pattern: Sequence[tuple[WaitingPdf, Mapping[str, str], Mapping[str, Sequence[int]]]] = ()
    of_number: Sequence[WaitingPdf] = ()
    bearers: Mapping[str, Sequence[Bearer]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfSnapshot:
    """The rows that a PDF concerns. `waits`: one of its name and content waits for its exam.

    Exams that it may be of: the exam of the message that it came in; those of the JSONs under its name, the last one
    first; by kind those that its name names; those that have its name as their number.
    """

    seen: bool = False
    lost: LostCopy | None = None
    waits: bool = False
    owner: Candidate | None = None
    of_name: Sequence[Candidate] = ()
    named: Mapping[str, Sequence[Candidate]] = field(default_factory=dict)
    bearers: Sequence[tuple[Bearer, str]] = ()


class Snapshots(Rows):
    """Reads within the transaction in which the rows are written that are decided by them."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._exams = ExamRows(engine)
        self._documents = Documents(engine)
        self._links = Links(engine)

    def json(
        self, key: ExamKey, *, stem: str, digest: str, since: datetime, numbers: Sequence[str], patterned: bool,
        is_own: Callable[[str], bool] = lambda _: False,
    ) -> JsonSnapshot:  # fmt: skip
        """The rows that an exam JSON concerns. `since`: the file's time; `numbers`: what a PDF's whole name may be;
        `patterned`: a pattern reads names; `is_own`: whether a name is of a way that one hospital has for itself."""
        known = _EXAM.run(self._engine, key.hospital, key.branch, key.exam_id)
        exam, *described, lacks = known[0] if known else (0, "", "", "", True)
        of_pattern = self._of_pattern(key, exam, is_own) if patterned else ()
        of_number = [
            replace(pdf, owner_by_name=pdf.owner in self._documents.exams_of_stem(pdf.stem))
            for n in numbers
            for pdf in self._pdfs(_NUMBERED.run(self._engine, exam, n, n))
        ]
        mine = (Document.exam == exam) & (Document.kind == "json")
        rows = self._engine.run(Document.select().where(mine).order_by(Document.id)) if exam else []
        of_name = self._pdfs(_OF_NAME.run(self._engine, stem, exam))
        return JsonSnapshot(
            seen=bool(_SEEN.run(self._engine, digest, "json", stem, since)),
            damaged=self._damaged("json", digest), exam=exam or None,
            described=Description(described[0], described[1], described[2]), lacks=bool(lacks),
            jsons=[(version_of(row), row.digest) for row in rows],
            linked=frozenset(self._links.of(exam)) if exam and of_pattern else frozenset(),
            hospitals=frozenset(row[0] for row in _HOSPITALS.run(self._engine, stem)) if of_name else frozenset(),
            of_name=of_name, of_pattern=of_pattern, of_number=of_number,
            bearers={n: self._bearers(n, exam, key.hospital) for n in numbers} if of_number else {},
        )  # fmt: skip

    def pdf(
        self, *, stem: str, digest: str, since: datetime, owner: ExamKey | None, names: Mapping[str, str], number: str,
        within: str | None = None,
    ) -> PdfSnapshot:  # fmt: skip
        """The rows that a PDF concerns. `owner`: the exam of its message; `names`: those in its name, by kind;
        `number`: its name where that may be an exam's number; `within`: the hospital whose way it came by."""
        found = _OF_KEY.run(self._engine, owner.hospital, owner.branch, owner.exam_id) if owner else []
        named = self._exams.named_by(names, within=within) if names else {}
        lost = self._damaged("pdf", digest)
        missed = [] if lost else _MISSED.run(self._engine, digest, Channel.REPORT, *_CONFIRMED)
        return PdfSnapshot(
            seen=bool(_SEEN.run(self._engine, digest, "pdf", stem, since)),
            lost=lost or next((LostCopy(document=n, exam=exam, place="", stem=name) for n, exam, name in missed), None),
            waits=bool(_WAITS.run(self._engine, digest, stem)),
            owner=_candidates(found)[0] if found else None,
            of_name=_candidates(_OF_STEM.run(self._engine, stem)),
            named={kind: [self._candidate(exam) for exam in exams] for kind, exams in named.items()},
            bearers=[
                (one, self._candidate(one.exam).latest) for one in self._exams.pdf_names.bearers(number, within)
            ] if number else (),
        )  # fmt: skip

    def of_studies(self) -> list[tuple[WaitingPdf, Sequence[Candidate]]]:
        """PDFs without an exam that belong to a study by its UID, each with the exams that have the study."""
        found: dict[int, tuple[Sequence[Any], list[int]]] = {}
        for *row, exam in _OF_STUDIES.run(self._engine):
            found.setdefault(row[0], (row, []))[1].append(exam)
        return [(self._pdfs([row])[0], [self._candidate(one) for one in exams]) for row, exams in found.values()]

    def _damaged(self, kind: str, digest: str) -> LostCopy | None:
        rows = _DAMAGED.run(self._engine, digest, kind)
        return next((LostCopy(document=n, exam=exam, place=place, stem=stem) for n, exam, place, stem in rows), None)

    def _of_pattern(
        self, key: ExamKey, exam: int, is_own: Callable[[str], bool]
    ) -> list[tuple[WaitingPdf, Mapping[str, str], Mapping[str, Sequence[int]]]]:
        words = [("exam_id", key.exam_id), ("accession", key.accession_number)]
        words += [("study_uid", uid) for uid in key.study_uids]
        rows = (row for kind, word in words for row in _OF_WORD.run(self._engine, kind, word))
        found: list[tuple[WaitingPdf, Mapping[str, str], Mapping[str, Sequence[int]]]] = []
        for pdf in self._pdfs({row[0]: row for row in rows}.values()):
            names = self._exams.pdf_names.names_of(pdf.document)
            within = key.hospital if is_own(pdf.stem) else None
            found.append((pdf, names, self._exams.named_by(names, exam, within)))
        return found

    def _pdfs(self, rows: Iterable[Sequence[Any]]) -> list[WaitingPdf]:
        found: list[WaitingPdf] = []
        for document, place, stem, vouched, owner in rows:
            said = self._exams.pdf_names.said(document)
            pdf = WaitingPdf(document=document, place=place, stem=stem, vouched=bool(vouched), said=said, owner=owner)
            if owner is not None:
                sent, its = dict(_SENT.run(self._engine, place)), self._candidate(owner)
                pdf = replace(pdf, owner_hospital=its.hospital, owner_words=its.own, sent=sent)
            found.append(pdf)
        return found

    def _bearers(self, number: str, other_than: int, hospital: str) -> list[Bearer]:
        """Other exams with the number: those of the hospital, and so many of any."""
        names = self._exams.pdf_names
        found = {one.exam: one for one in (*names.bearers(number, hospital), *names.bearers(number))}
        return [one for number, one in sorted(found.items()) if number != other_than]

    def _candidate(self, exam: int) -> Candidate:
        return _candidates(_OF_NUMBER.run(self._engine, exam))[0]


def _candidates(rows: Iterable[Sequence[Any]]) -> list[Candidate]:
    """Each exam once, in the order of the rows."""
    return list({
        exam: Candidate(exam=exam, own=identifiers(*described), latest=latest or "", hospital=hospital)
        for exam, hospital, *described, latest in rows
    }.values())  # fmt: skip
