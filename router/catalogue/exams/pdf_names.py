"""Names in report PDFs: the exam that a PDF names, and the PDFs that name an exam."""

from collections.abc import Collection, Iterable, Mapping

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.statement import Statement
from router.catalogue.db.tables.exams import Document, Exam, ExamWord, PdfWord
from router.matching.report_pdf.naming import Bearer, identifiers

NUMBER = "number"
"""The kind of the word that is the whole name of a PDF in a folder of the drop folder."""
_TEXT = "text"
# An exam answers to a word.
_ANSWER = Statement(
    "INSERT INTO exam_word (word, exam_id) VALUES (?, ?) ON CONFLICT DO NOTHING", ExamWord.word, Exam.id
)
# Other exams, one of whose PDFs says this word.
_OWNERS = Statement(
    "SELECT DISTINCT document.exam_id FROM pdf_word JOIN document ON document.id = pdf_word.document_id"
    " WHERE pdf_word.word = ? AND pdf_word.kind = 'text' AND document.exam_id <> ?", PdfWord.word, Exam.id,
)  # fmt: skip
# Exams with this number. One lacks a PDF until one is chosen, and again once something has come since.
_BEARERS = Statement(
    "SELECT id, hospital, branch, exam_id, accession_number, patient_name, pdf IS NULL OR weighed IS NULL OR weighed <"
    " (SELECT MAX(document.id) FROM document WHERE document.exam_id = exam.id) FROM exam"
    " WHERE exam_id = ? OR accession_number = ? ORDER BY id LIMIT 20", Exam.exam_id, Exam.accession_number,
)  # fmt: skip
# Words of a PDF's text.
_SAID = Statement("SELECT word FROM pdf_word WHERE document_id = ? AND kind = 'text'", Document.id)
# What a report's text names an exam by.
_DESCRIBED = Statement("SELECT exam_id, accession_number, patient_name FROM exam WHERE id = ?", Exam.id)


class PdfNames(Rows):
    """The words of exams, and of the PDFs that nothing vouches for yet."""

    def answer(self, exam: int, words: Collection[str], *, new: bool = False) -> None:
        """The exam answers to these words from now on, and to no others."""
        with self._engine.write():
            if not new:
                self._engine.run(ExamWord.delete().where(ExamWord.exam == exam))
            for word in sorted(words):
                _ANSWER.run(self._engine, word, exam)

    def say(self, document: int, words: Iterable[str], names: Mapping[str, str]) -> None:
        """Keep the words of a PDF's text, and those that the pattern found in its name, by group."""
        rows = [{"document": document, "kind": _TEXT, "word": word} for word in sorted(words)]
        rows += [{"document": document, "kind": kind, "word": word} for kind, word in names.items() if word]
        with self._engine.write():
            for portion in portions(rows):
                self._engine.run(PdfWord.insert_many(portion).on_conflict_ignore())

    def forget(self, document: int) -> None:
        """Nothing of this PDF is in question any more."""
        with self._engine.write():
            self._engine.run(PdfWord.delete().where(PdfWord.document == document))

    def said(self, document: int) -> frozenset[str]:
        """The words of the PDF's text."""
        return frozenset(row[0] for row in _SAID.run(self._engine, document))

    def other(self, said: Collection[str], exam: int, hospital: str) -> int | None:
        """A known exam of the hospital other than this one that the words name."""
        for portion in portions(sorted(said)):
            theirs = ExamWord.word.in_(portion) & (ExamWord.exam != exam) & (Exam.hospital == hospital)
            query = ExamWord.select(ExamWord.exam).join(Exam).where(theirs).order_by(ExamWord.exam).limit(1)
            for exam_ in self._engine.column(query):
                return int(exam_)
        return None

    def known_number(self, number: str, exam: int, hospital: str) -> bool:
        """Whether it is the ExamId, accession number or patient number of another exam of the hospital."""
        others = (Exam.patient_id == number) & (Exam.id != exam) & (Exam.hospital == hospital)
        return self.other([number], exam, hospital) is not None or self._engine.has(Exam.select(Exam.id).where(others))

    def owners(self, words: Collection[str], exam: int) -> list[int]:
        """Other exams, one of whose PDFs says one of the words."""
        return sorted({row[0] for word in words for row in _OWNERS.run(self._engine, word, exam)})

    def names_of(self, document: int) -> dict[str, str]:
        """The words that the pattern found in the PDF's name, by group."""
        mine = (PdfWord.document == document) & PdfWord.kind.not_in([_TEXT, NUMBER])
        return dict(self._engine.rows(PdfWord.select(PdfWord.kind, PdfWord.word).where(mine)))

    def bearers(self, number: str) -> list[Bearer]:
        """The exams with this ExamId or accession number; at most 20."""
        return [
            Bearer(
                exam=exam,
                hospital=hospital,
                branch=branch,
                exam_id=exam_id,
                own=identifiers(exam_id, *rest),
                lacks=bool(lacks),
            )
            for exam, hospital, branch, exam_id, *rest, lacks in _BEARERS.run(self._engine, number, number)
        ]

    def used_by_others(self, stem: str, exam: int) -> bool:
        """Whether a JSON of another exam came under this name."""
        theirs = (Document.kind == "json") & (Document.stem == stem) & (Document.exam != exam)
        return self._engine.has(Document.select(Document.id).where(theirs))

    def identifiers(self, exam: int) -> frozenset[str]:
        """The words by which a report's text names the exam."""
        (row,) = _DESCRIBED.run(self._engine, exam)
        return identifiers(*row)
