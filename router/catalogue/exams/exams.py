"""Exams as they are evaluated: everything known of one in one view, when it is due, and what its evaluation found."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from peewee import fn

from router.catalogue.db.engine import Engine, portions
from router.catalogue.db.prepared import Prepared
from router.catalogue.db.statement import Statement, Update
from router.catalogue.db.tables.exams import Document, Exam, ExpiredExam
from router.catalogue.db.tables.images import Study
from router.catalogue.db.tables.node import FORMER, Setting
from router.catalogue.exams.calibrations import Calibrations
from router.catalogue.exams.documents import Documents, Proof, proof_of, version_of
from router.catalogue.exams.evaluation import evaluate, exams_of
from router.catalogue.exams.exam_rows import ExamRows
from router.catalogue.exams.expiry import forgotten_key
from router.catalogue.exams.files import FolderFiles
from router.catalogue.exams.filing import Filings
from router.catalogue.exams.links import Links, OverlappingExam, told_apart
from router.catalogue.exams.merges import Proposals
from router.catalogue.exams.originals import Originals
from router.catalogue.exams.snapshots import Snapshots
from router.catalogue.images.studies import StudyHere
from router.matching.exam.versions import JsonVersion, PdfVersion, Unread
from router.matching.report_pdf.naming import doubt, identifiers

_EXAM = Prepared(lambda exam: Exam.select().where(Exam.id == exam))
_CHECKED = Update(Exam, "id = ? AND touched = ?", Exam.id, Exam.touched)  # unless it was touched meanwhile
_DOCUMENTS = Prepared(lambda exam: Document.select().where(Document.exam == exam).order_by(Document.id))
# Whether the records of an exam are removed; those of before several hospitals are `former`.
_FORGOTTEN = Prepared(
    lambda mine, unnamed, hospital: ExpiredExam.select(ExpiredExam.key).where(
        (ExpiredExam.key == mine)
        | ((ExpiredExam.key == unnamed)
           & fn.EXISTS(Setting.select(Setting.name).where((Setting.name == FORMER) & (Setting.value == hospital))))
    )
)  # fmt: skip
# The hospital of an exam.
_HOSPITAL = Statement("SELECT hospital FROM exam WHERE id = ?", Exam.id)
# of all hospitals: each is evaluated by itself
_TO_CHECK = Prepared(
    lambda now, limit: Exam.select(Exam.id).where(Exam.check_at <= now).order_by(Exam.check_at).limit(limit)
)
# of all hospitals: each is evaluated by itself
_NEXT_CHECK = Prepared(
    lambda: Exam.select(Exam.check_at).where(Exam.check_at.is_null(False)).order_by(Exam.check_at).limit(1)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """Choice of a report PDF: why, the document, one to confirm instead; `weighed`: the last document known then."""

    evidence: str = ""
    pdf: int | None = None
    candidate: int | None = None
    weighed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamSnapshot:
    """Everything known of an exam when it is evaluated. `touched` tells whether it has changed since.

    `approved` is what the last evaluation found, `apart` the studies that a person keeps apart from it, `foreign`
    those that it lists and that are of other hospitals. `siblings` are other exams of its hospital with a study of it,
    `rivals` those of other hospitals that claim a study of no certain hospital.
    `forgotten`: there was such an exam before, and its records are removed.
    """

    exam: int
    hospital: str
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
    foreign: frozenset[str] = frozenset()
    rivals: tuple[OverlappingExam, ...] = ()
    forgotten: bool = False
    proofs: Mapping[int, Proof] = field(default_factory=dict)
    chosen: Chosen = Chosen()


class Exams(ExamRows):
    """Exams; each part of what is known of them has an attribute of its own."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.documents = Documents(engine)
        self.links = Links(engine)
        self.snapshots = Snapshots(engine)
        self.filings = Filings(engine)
        self.calibrations = Calibrations(engine)
        self.originals = Originals(engine)
        self.files = FolderFiles(engine)
        self.proposals = Proposals(engine)

    # -- evaluation

    def to_check(self, now: datetime, limit: int) -> list[int]:
        """Exams whose time to be evaluated has come, the longest waiting first."""
        return self._engine.column(_TO_CHECK(now, limit))

    def next_check(self) -> datetime | None:
        """The instant at which the next exam is to be evaluated."""
        at: datetime | None = self._engine.value(_NEXT_CHECK())
        return at

    def checked(
        self, case: ExamSnapshot, check_at: datetime | None, approved_at: datetime | None, doubt: str,
        chosen: Chosen = Chosen(),
    ) -> bool:  # fmt: skip
        """Close an evaluation; False when the exam was touched meanwhile and must be evaluated again."""
        changes = {"check_at": check_at, "approved_at": approved_at, "doubt": doubt, **asdict(chosen)}
        with self._engine.write():
            return bool(_CHECKED.run(self._engine, changes, case.exam, case.touched))

    def approve(self, case: ExamSnapshot, approved_at: datetime | None, now: datetime) -> None:
        """Keep a changed approval, and have the exams evaluated that have a study in common with this one."""
        with self._engine.write():
            self._engine.run(Exam.update(approved_at=approved_at).where(Exam.id == case.exam))
            self.request_evaluation({sibling.exam for sibling in case.siblings}, now)

    def postpone(self, exam: int, until: datetime) -> None:
        """Evaluate the exam again, not before `until`, whatever has touched it."""
        with self._engine.write():
            self._engine.run(Exam.update(check_at=until).where(Exam.id == exam))

    def put_off_no_longer(self, now: datetime) -> None:
        """Have the exams evaluated that wait for a later time, and set arrivals from the future to now."""
        with self._engine.write():
            # of all hospitals: they have one clock
            evaluate(self._engine, Exam.check_at > now, now)
            self._engine.run(Study.update(last_received=now).where(Study.last_received > now))

    def case(self, exam: int) -> ExamSnapshot:
        """Everything about an exam, in one view."""
        with self._engine.read():
            row = self._engine.run(_EXAM(exam))[0]
            documents = self._engine.run(_DOCUMENTS(exam))
            links = self.links.of(exam)
            studies, others = self.links.studies(links), self.links.overlapping(exam, links)
            siblings, rivals = told_apart(row.hospital, others, {u: one.hospitals for u, one in studies.items()})
            gone = self._engine.column(
                _FORGOTTEN(forgotten_key(row.hospital, row.branch, row.exam_id),
                           forgotten_key("", row.branch, row.exam_id), row.hospital)
            )  # fmt: skip
            return ExamSnapshot(
                exam=exam, hospital=row.hospital, branch=row.branch, exam_id=row.exam_id,
                touched=row.touched, doubt=row.doubt,
                jsons=tuple(version_of(d) for d in documents if d.kind == "json"),
                pdfs=tuple(self._pdf(d, row) for d in documents if d.kind == "pdf"),
                places={d.id: d.place for d in documents}, links=links, studies=studies,
                siblings=siblings, rivals=rivals, approved=row.approved_at is not None,
                apart=self.links.apart(exam), foreign=self.links.foreign(exam), forgotten=bool(gone),
                proofs={d.id: proof_of(d) for d in documents},
                chosen=Chosen(
                    evidence=row.evidence or "", pdf=row.pdf, candidate=row.candidate, weighed=row.weighed
                ),
            )  # fmt: skip

    def _pdf(self, row: Any, exam: Any) -> PdfVersion:
        question, named, vouched = "", frozenset(row.named.splitlines()), row.vouched
        if not row.vouched and row.confirmed is None:
            said, reused = self.pdf_names.said(row.id), self.pdf_names.used_by_others(row.stem, exam.id)
            own = identifiers(exam.exam_id, exam.accession_number, exam.patient_name)
            question, named = doubt(said, own, self.pdf_names.other(said, exam.id, exam.hospital), reused=reused), said
            vouched = bool(said & own)
        return PdfVersion(
            document=row.id, arrived=row.arrived, file_time=row.file_time, doubt=question, confirmed=row.confirmed,
            named=named, here=row.purged is None, stem=row.stem, message=row.message, vouched=vouched,
            unread=None if row.unread is None else Unread(row.unread), learnt=row.learnt is not None,
        )  # fmt: skip

    # -- for people

    def approved_between(self, start: datetime, end: datetime, hospital: str | None = None) -> list[int]:
        """Exams, of the hospital or of all, by the instant of their approval."""
        then = (Exam.approved_at >= start) & (Exam.approved_at < end)
        then = then if hospital is None else then & (Exam.hospital == hospital)
        return self._engine.column(Exam.select(Exam.id).where(then).order_by(Exam.id))

    def approved_at(self, exam: int) -> datetime | None:
        """The instant of the exam's approval."""
        at: datetime | None = self._engine.value(Exam.select(Exam.approved_at).where(Exam.id == exam))
        return at

    def names(self, exams: Iterable[int]) -> dict[int, str]:
        """The ExamIds of these exams."""
        return dict(self._engine.rows(Exam.select(Exam.id, Exam.exam_id).where(Exam.id.in_(list(exams)))))

    def hospitals(self, exams: Iterable[int]) -> dict[int, str]:
        """The hospitals that these exams are filed under."""
        found: dict[int, str] = {}
        for some in portions(sorted(exams)):
            found |= dict(self._engine.rows(Exam.select(Exam.id, Exam.hospital).where(Exam.id.in_(some))))
        return found

    def hospital_of(self, exam: int) -> str:
        """The hospital that the exam is filed under; "" where there is none of this number."""
        found = _HOSPITAL.run(self._engine, exam)
        return str(found[0][0]) if found else ""

    def find(self, text: str, *, exam_id: bool = False, hospital: str | None = None) -> list[int]:
        """Exams with this ExamId, study UID or file name; with `exam_id` by the ExamId as it is.

        Those of one hospital, or of all.
        """
        of: Any = Exam.id.is_null(False) if hospital is None else Exam.hospital == hospital
        if exam_id:
            return self._engine.column(Exam.select(Exam.id).where((Exam.exam_id == text) & of))
        stem = text.rsplit(".", 1)[0] if text.lower().endswith((".json", ".xml", ".pdf", ".hl7")) else text
        named = Document.select(Document.exam).where((Document.stem == stem) | Document.stem.endswith("/" + stem))
        where = (
            (Exam.exam_id == text)
            | Exam.id.in_(exams_of([text]))
            | Exam.id.in_(named.where(Document.exam.is_null(False)))
        )
        return self._engine.column(Exam.select(Exam.id).where(where & of))
