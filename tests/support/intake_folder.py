"""A drop folder with its intake, for tests: real files, a real database, a clock that only the test moves."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

from reportlab.pdfgen.canvas import Canvas

from router.catalogue import open_catalogue
from router.catalogue.exams.exams import Exams, ExamSnapshot
from router.clock import FakeClock
from router.config.file import parse
from router.events import Event, EventBus, Kind
from router.intake.exam_reader import ExamReader
from router.intake.intake import Intake
from router.intake.pickup import Pickup
from router.matching.exam.versions import successive
from router.matching.report_pdf.choice import Papers, choose
from router.reports.folder.settle import Seen
from router.reports.folder.watch import scan
from router.reports.pdf.reader import Readers
from router.storage import open_storage
from support.catalogue_rows import lay_tables
from support.sample_exam import exam_document

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
E1, E2 = "V20240001_CT001", "V20240002_MR001"
CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[[hospital.branch]]
code = "02"
folder = "branch2/"
[node]
language = "en"
data = "data"
[reports]
folder = "in"
"""


def printed(text: str) -> bytes:
    """A PDF of one page with this text."""
    buffer = BytesIO()
    page = Canvas(buffer, invariant=True)
    page.drawString(60, 740, text)
    page.save()
    return buffer.getvalue()


def exam(exam_id: str = E1, **changes: object) -> bytes:
    """An exam JSON; `changes` by path with __ for the dot."""
    paths = {path.replace("__", "."): value for path, value in changes.items()}
    return json.dumps(exam_document({"ExamId": exam_id} | paths), ensure_ascii=False).encode()


def another(exam_id: str = E2, **changes: object) -> bytes:
    """The exam JSON of another patient."""
    return exam(exam_id, Order__AccessionNumber="A0002", Patient__Name="李四", Patient__PatientId="P0002", **changes)


class IntakeFolder:
    """A drop folder, its intake, and what came of it. `settings` go into [reports]."""

    def __init__(self, folder: Path, readers: Readers, settings: str = "") -> None:
        self._readers = readers
        self.config = parse(CONFIG + settings, base=folder)
        self.inbox = self.config.reports.folder
        self.inbox.mkdir(exist_ok=True)
        self.events: list[Event] = []
        self.clock = FakeClock(START)
        self._written = 0
        self._open()

    def _open(self) -> None:
        bus = EventBus(self.events.append)
        data = self.config.node.data
        self.storage = open_storage(data, "node-1")
        lay_tables(data)
        self.catalogue = open_catalogue("", data, bus)
        self.exams: Exams = self.catalogue.exams
        references = ExamReader(self.config)
        self.intake = Intake(self.config, references, self.exams, self.storage, bus, self.clock, self._readers)
        self.bus = bus

    def pickup(self) -> Pickup:
        """The loop step of the drop folder, as after a start."""
        return Pickup(self.intake, self.bus, self.clock, known=self.exams.documents.any())

    def restart(self) -> None:
        """The node ends and starts again."""
        self.catalogue.engine.close_thread()
        self._open()

    def put(self, name: str, data: bytes, *, hour: int | None = None) -> Path:
        """Write a file; each one is a second younger than the one before, or as old as `hour` says."""
        self._written += 1
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        time = START + (timedelta(seconds=self._written) if hour is None else timedelta(hours=hour))
        os.utime(path, (time.timestamp(), time.timestamp()))
        return path

    def take(self) -> None:
        """Take all that lies there, oldest first."""
        for seen in sorted(scan(self.inbox).files, key=lambda seen: (seen.mtime, str(seen.path))):
            self.clock.advance(1)
            self.take_one(seen)

    def take_one(self, seen: Seen) -> None:
        """Take one file, or refuse it."""
        if self.intake.dealt_with(seen):
            return
        found = self.intake.read([seen])
        self.intake.file(found.documents)
        for refused, error in found.invalid.items():
            self.intake.refuse(refused, error)

    def drop(self, name: str, data: bytes, *, hour: int | None = None) -> None:
        self.put(name, data, hour=hour)
        self.take()

    def case(self, exam_id: str = E1) -> ExamSnapshot:
        (number,) = self.exams.find(exam_id)
        return self.exams.case(number)

    def pdf_of(self, exam_id: str = E1) -> bytes | None:
        """The PDF that would go with the version that counts."""
        case = self.case(exam_id)
        found = choose(Papers(taken=case.jsons, pdfs=case.pdfs), self.clock.now()).pdf
        return self.storage.reports.read(case.places[found.document]) if found else None

    def document_of(self, exam_id: str = E1) -> Any:
        """The exam JSON that counts, as it is kept."""
        case = self.case(exam_id)
        return json.loads(self.storage.reports.read(case.places[successive(case.jsons)[-1].document]))

    def left(self) -> set[str]:
        return {p.relative_to(self.inbox).as_posix() for p in self.inbox.rglob("*") if p.is_file()}

    def told(self, kind: Kind) -> list[str]:
        return [event.text for event in self.events if event.kind == kind]

    def counts(self, exam_id: str = E1) -> tuple[int, int]:
        case = self.case(exam_id)
        return len(case.jsons), len(case.pdfs)


OpenDesk = Callable[..., IntakeFolder]
