"""Putting back rows for what lies in the data folder, after the database was lost or damaged."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from router.catalogue.db.engine import Rows, portions
from router.catalogue.db.tables.exams import Document, Exam
from router.catalogue.exams.evaluation import exams_of
from router.catalogue.exams.pdf_names import PdfNames
from router.catalogue.queue.queue import Delivery, Queue
from router.matching.exam.readiness import PERSON
from router.matching.report_pdf.naming import identifiers
from router.policy.states import State

LOST = "ledger lost: what was sent of it is not known any more; release it to send everything of it (again)"


class Restore(Rows):
    """Rows as a rebuild makes them."""

    def places(self) -> set[str]:
        """The places of all known documents."""
        return set(self._engine.column(Document.select(Document.place)))

    def exam(self, number: int, hospital: str, branch: str, exam_id: str, now: datetime) -> int:
        """The exam's number; a new one gets `number`, under which its documents lie."""
        same = (Exam.hospital == hospital) & (Exam.branch == branch) & (Exam.exam_id == exam_id)
        query = Exam.select(Exam.id).where(same)
        if (known := self._engine.value(query)) is not None:
            return int(known)
        with self._engine.write():
            self._engine.run(Exam.insert(id=number, hospital=hospital, branch=branch, exam_id=exam_id, created=now))
            self._engine.numbered(Exam)
            PdfNames(self._engine).answer(number, identifiers(exam_id, "", ""), new=True)
        return number

    def has_exam(self, number: int) -> bool:
        """Whether there is an exam of that number."""
        return self._engine.has(Exam.select(Exam.id).where(Exam.id == number))

    def revision(self, exam: int, revision: int) -> None:
        """Note that this intake revision is taken, so that it is not given again."""
        with self._engine.write():
            used = (Exam.id == exam) & (Exam.revisions < revision)
            self._engine.run(Exam.update(revisions=revision).where(used))

    def exams_of(self, studies: Iterable[str]) -> set[int]:
        """The exams to which any of these studies belongs."""
        found: set[int] = set()
        for portion in portions(list(studies)):
            found.update(self._engine.column(exams_of(portion)))
        return found

    def under_way(self, queue: Queue) -> list[Delivery]:
        """Deliveries that may have been sent since: on their way, or waiting or held for something but approval."""
        going = queue.in_state([State.READY, State.SENDING, State.DEFERRED])
        # of all hospitals: rows were lost of all
        approved = Exam.select(Exam.id).where(Exam.approved_at.is_null(False))
        known = set(self._engine.column(approved))
        waiting = [one for one in queue.in_state([State.WAITING, State.HELD]) if one.held_by != PERSON]
        return going + [one for one in waiting if one.exam in known]


def has_database(data: Path) -> bool:
    """Whether SQLite's file is there and not empty: an empty one is a new database to SQLite, which drops its log."""
    path = data / "router.db"
    return path.exists() and path.stat().st_size > 0
