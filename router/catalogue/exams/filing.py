"""Filing of documents: the rows that are decided for an arriving document, written once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from router.catalogue.db.engine import Engine, Rows
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import Document, Exam
from router.catalogue.exams.documents import Documents, TakenDocument
from router.catalogue.exams.exam_rows import ExamRows, description
from router.catalogue.exams.links import Links
from router.catalogue.exams.snapshots import LostCopy, WaitingPdf
from router.exam.key import ExamKey
from router.matching.images.join import JoinedBy

# The place of a copy that is named by the number of its document.
_PLACE = Statement("UPDATE document SET place = ? WHERE id = ?", Document.place, Document.id)
# A PDF gets its exam, or another one than it had.
_BIND = Statement(
    "UPDATE document SET exam_id = ?, revision = ?, place = ?, vouched = ?, named = ? WHERE id = ?",
    Exam.id, Document.revision, Document.place, Document.vouched, Document.named, Document.id,
)  # fmt: skip

Vacant = Callable[[str, int | None, int], str]
"""Gives the place of a document by form, exam and number; "" where something lies there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """A PDF that an exam gets, and why, in words. `named` are the words of its text that name the exam."""

    pdf: WaitingPdf
    how: str
    named: frozenset[str]

    @property
    def vouched(self) -> bool:
        """Whether its text names the exam, or nobody asks."""
        return self.pdf.vouched or bool(self.named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """Rows to write, decided.

    `exam` is the exam's number, the key of one that is not known, or None while a PDF waits. `enters` is the document,
    of the form json, hl7 or pdf; `restores` a document that has a copy again, of this `checksum`. `describes`: the key
    that describes the exam. `names`: exams are evaluated one of whose PDFs says one of these words; `evaluates`: exams
    by number.
    """

    exam: int | ExamKey | None = None
    form: str = "pdf"
    enters: TakenDocument | None = None
    restores: LostCopy | None = None
    checksum: str = ""
    describes: ExamKey | None = None
    names: frozenset[str] = frozenset()
    links: Sequence[str] = ()
    binds: Sequence[Binding] = ()
    evaluates: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filed:
    """Rows as they were written: the exam, the document, and where its copy belongs.

    `bound` are the places of the PDFs that the exam got, in the order of `binds`, each with its revision.
    """

    exam: int | None
    document: int | None = None
    revision: int | None = None
    place: str = ""
    linked: Sequence[str] = ()
    bound: Sequence[tuple[int, str]] = ()


class Filings(Rows):
    """Writes what `router.intake.pairing` decides by a snapshot; nothing is judged here."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self._exams = ExamRows(engine)
        self._documents = Documents(engine)
        self._links = Links(engine)

    def write(self, filing: Filing, vacant: Vacant, now: datetime) -> Filed:
        """Write the rows; the copies that they name must be durable before the transaction ends."""
        with self._engine.write():
            exam = filing.exam
            if isinstance(exam, ExamKey):
                exam = self._exams.number_of(exam.hospital, exam.branch, exam.exam_id, now, description(exam))
            number, revision, place = self._document(filing, exam, vacant, now)
            if exam is not None and filing.describes is not None:
                self._exams.describe(exam, filing.describes)
            links = self._links.link(exam, filing.links, JoinedBy.LISTED, now) if exam and filing.links else []
            bound = [self._bind(binding, exam, vacant) for binding in filing.binds] if exam else []
            concerned = filing.evaluates | {one.pdf.owner for one in filing.binds if one.pdf.owner is not None}
            if exam is not None:
                concerned |= {exam} if filing.binds else set()
                concerned |= set(self._exams.pdf_names.owners(filing.names, exam))
            self._exams.request_evaluation(concerned, now)
        return Filed(exam=exam, document=number, revision=revision, place=place, linked=links, bound=bound)

    def _document(
        self, filing: Filing, exam: int | None, vacant: Vacant, now: datetime
    ) -> tuple[int | None, int | None, str]:
        """The document that has a copy: its number, its revision, the copy's place."""
        if (lost := filing.restores) is not None:
            revision, place = self._place(filing.form, lost.exam, vacant)
            self._documents.returned(lost.document, revision, place, filing.checksum, now)
            self._exams.request_evaluation([lost.exam], now)
            return lost.document, revision, place
        if filing.enters is None:
            return None, None, ""
        if exam is not None:
            revision, place = self._place(filing.form, exam, vacant)
            return self._documents.add(filing.enters, place, exam, revision, now), revision, place
        number = self._documents.add(filing.enters, "", None, None, now)
        place = vacant(filing.form, None, number)
        _PLACE.run(self._engine, place, number)
        return number, None, place

    def _bind(self, binding: Binding, exam: int, vacant: Vacant) -> tuple[int, str]:
        revision, place = self._place("pdf", exam, vacant)
        document, named = binding.pdf.document, "\n".join(sorted(binding.named))
        _BIND.run(self._engine, exam, revision, place, binding.vouched, named, document)
        if binding.vouched:
            self._exams.pdf_names.forget(document)
        return revision, place

    def _place(self, form: str, exam: int, vacant: Vacant) -> tuple[int, str]:
        """The next revision of the exam that has a vacant place: a crash may leave a copy that no row names."""
        while True:
            revision = self._exams.next_revision(exam)
            if place := vacant(form, exam, revision):
                return revision, place
