"""Expiry of exams with nothing left to do: first of the copies of their PDFs, long after that of all records.

Each exam is a transaction of its own: rows change first and name what is to be removed, as with images (`purge`).
"""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from peewee import Expression, fn

from router.catalogue.db.engine import RecordedRows
from router.catalogue.db.tables.exams import (
    Disagreement,
    Document,
    Exam,
    ExamStudy,
    ExamWord,
    ExpiredExam,
    PacsCount,
    PdfWord,
    Retrieval,
    SeparatedStudy,
)
from router.catalogue.db.tables.images import Removal, Study
from router.catalogue.db.tables.node import EventRow, OpenAlarm
from router.catalogue.db.tables.queue import Delivery, UnreadRow, Upload, WithdrawalRow
from router.catalogue.images.purge import Files
from router.events import Event, Kind
from router.policy.states import CLOSED


class Expiry(RecordedRows):
    """The rows' side of the retention of reports."""

    # -- copies of reports

    def with_copies(self, before: datetime, now: datetime, limit: int) -> list[int]:
        """Exams that have copies of PDFs and nothing to do since before `before`."""
        # of all hospitals: [retention] is the node's
        query = Document.select(Document.exam).join(Exam).where(_copies(before) & _done(before, now)).distinct()
        return self._engine.column(query.order_by(Document.exam).limit(limit))

    def take_copies(self, exam: int, before: datetime, now: datetime) -> Files | None:
        """Strike the exam's PDFs; None when it has something to do again. Their rows stay."""
        with self._engine.write():
            if not self._locked(exam, _done(before, now)):
                return None
            mine = Document.select(Document.id, Document.place).where((Document.exam == exam) & _copies(before))
            found = self._engine.rows(mine)
            self._engine.run(Document.update(purged=now).where(Document.id.in_([number for number, _ in found])))
            text = f"e{exam}: {len(found)} copy(s) of its report PDF are removed: everything of it is done"
            self._bus.record(Event(now, Kind.PURGED, text, exam=exam))
            return self._removal([place.rpartition("/")[0] for _, place in found])

    # -- everything

    def old(self, before: datetime, now: datetime, limit: int) -> list[int]:
        """Exams that were done with before `before` and whose studies have no file here."""
        # of all hospitals: [retention] is the node's
        query = Exam.select(Exam.id).where((Exam.created < before) & _over(before, now)).order_by(Exam.id)
        return self._engine.column(query.limit(limit))

    def drop(self, exam: int, before: datetime, now: datetime) -> Files | None:
        """Forget the exam but that there was one of its ExamId; None when it has something to do again."""
        with self._engine.write():
            if not self._locked(exam, _over(before, now)):
                return None
            (key,) = self._engine.rows(Exam.select(Exam.hospital, Exam.branch, Exam.exam_id).where(Exam.id == exam))
            self._engine.run(ExpiredExam.insert(key=forgotten_key(*key)).on_conflict_ignore())
            self._drop(exam)
            text = f"e{exam}: its records, what was sent and the receipts are removed: [retention] records is over"
            self._bus.record(Event(now, Kind.PURGED, text, exam=exam))
            return self._removal([f"reports/{exam}"])

    def _drop(self, exam: int) -> None:
        deliveries = Delivery.select(Delivery.id).where(Delivery.exam == exam)
        documents = Document.select(Document.id).where(Document.exam == exam)
        studies = self._engine.column(ExamStudy.select(ExamStudy.study_uid).where(ExamStudy.exam == exam))
        for sent in (Upload, WithdrawalRow):
            self._engine.run(sent.delete().where(sent.delivery.in_(deliveries)))
        self._engine.run(EventRow.delete().where((EventRow.exam == exam) | EventRow.delivery.in_(deliveries)))
        self._engine.run(PdfWord.delete().where(PdfWord.document.in_(documents)))
        self._engine.run(PacsCount.delete().where(PacsCount.study_uid.in_(studies)))
        tables: Sequence[Any] = (
            Delivery, Document, ExamWord, ExamStudy, SeparatedStudy, Disagreement, Retrieval, OpenAlarm, UnreadRow,
        )  # fmt: skip
        for table in tables:
            self._engine.run(table.delete().where(table.exam == exam))
        self._engine.run(Exam.delete().where(Exam.id == exam))

    def _locked(self, exam: int, condition: Expression) -> bool:
        """An update that changes nothing locks the row: who has the exam evaluated waits, or was first."""
        return bool(self._engine.run(Exam.update(touched=Exam.touched).where((Exam.id == exam) & condition)))

    def _removal(self, places: Sequence[str]) -> Files:
        row = Removal.insert(study_uid="", files="[]", places=json.dumps(places))
        return Files(self._engine.run(row), (), places)


def forgotten_key(hospital: str, branch: str, exam_id: str) -> int:
    """64 bits of hospital, branch and ExamId."""
    words = (hospital, branch, exam_id) if hospital else (branch, exam_id)
    digest = hashlib.sha256("\0".join(words).encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _copies(before: datetime) -> Expression:
    here = (Document.kind == "pdf") & Document.purged.is_null() & (Document.arrived < before)
    return here & (Document.returned.is_null() | (Document.returned < before))


def _done(before: datetime, now: datetime) -> Any:
    """The exam has deliveries, and all have been closed since before `before`."""
    mine = Delivery.select(Delivery.id).where(Delivery.exam == Exam.id)
    busy = Delivery.state.not_in(sorted(CLOSED)) | (Delivery.changed >= before)
    idle = Exam.check_at.is_null() | (Exam.check_at > now)
    return idle & fn.EXISTS(mine) & ~fn.EXISTS(mine.where(busy))


def _over(before: datetime, now: datetime) -> Any:
    # of all hospitals: what is over is over for each
    here = ExamStudy.select(ExamStudy.exam).join(Study, on=Study.uid == ExamStudy.study_uid)
    unpurged = here.where((ExamStudy.exam == Exam.id) & Study.purged.is_null())
    # SQLite would give the last exam's number, under which its files lie, to the next one.
    later = Exam.alias()
    return _done(before, now) & ~fn.EXISTS(unpurged) & fn.EXISTS(later.select(later.id).where(later.id > Exam.id))
