"""`bench intake`: report pairs that wait in the drop folder, until the last one is taken, and the memory it takes."""

import json
import resource
import shutil
import textwrap
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

from measure import Run, become_quiet, markdown, say
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from router.catalogue import open_catalogue
from router.clock import SystemClock
from router.config.file import parse
from router.events import Event, EventBus
from router.intake.exam_reader import ExamReader
from router.intake.intake import Intake
from router.intake.pickup import Pickup
from router.storage import open_storage
from router.trial.demo.report import FINDINGS, IMPRESSION
from support.sample_exam import exam_document

PAIRS = 25_000
_MOST_ROUNDS = 2
_EXAM_ID, _ACCESSION = b"V99999999", b"A99999999"
_CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
data = "data"
[reports]
folder = "in"
settle = "0 s"
"""


def pairs(run: Run) -> str:
    """25,000 pairs of exam JSON and PDF, each PDF read and its text checked; twice at most."""
    heads = ["pairs", "first ones after s", "all after s", "ms a pair", "memory at a tenth, MiB", "at the end, MiB"]
    rows = []
    for number in range(1, min(run.rounds, _MOST_ROUNDS) + 1):
        folder = run.folder / str(number)
        taking = Taking(folder, run.count(PAIRS))
        waited = become_quiet() if run.quiet else 0.0
        taking.run()
        say(f"  round {number}: {taking.seconds:.2f} s (quiet after {waited:.1f} s)")
        rows.append(taking.cells())
        shutil.rmtree(folder)
    return markdown("Report pairs that wait in the drop folder", heads, rows)


class Taking:
    """One run: so many pairs in a new drop folder, taken by a new node's intake."""

    def __init__(self, folder: Path, count: int) -> None:
        self._count = count
        self._config = parse(_CONFIG, base=folder)
        self._config.reports.folder.mkdir(parents=True)
        _write(self._config.reports.folder, count)
        self.taken = 0
        self.first = self.seconds = 0.0
        self.memory: list[int] = []

    def run(self) -> None:
        """Take them all."""
        bus = EventBus(self._note)
        data = self._config.node.data
        storage, catalogue = open_storage(data, "bench"), open_catalogue("", data, bus)
        references = ExamReader(self._config)
        intake = Intake(self._config, references, catalogue.exams, storage, bus, SystemClock())
        loop = Pickup(intake, bus, SystemClock(), known=False)
        self._began = time.monotonic()
        loop.step()
        self.seconds = time.monotonic() - self._began
        self.memory.append(_resident())
        intake.close()
        catalogue.engine.close_thread()

    def _note(self, event: Event) -> None:
        if event.exam is None and "files of the drop folder" in event.text:
            say(f"  {time.monotonic() - self._began:6.1f} s: {event.text}")
        if event.exam is None:
            return
        self.taken += 1
        self.first = self.first or time.monotonic() - self._began
        if self.taken == self._count * 2 // 10:
            self.memory.append(_resident())

    def cells(self) -> list[str]:
        """The row of the table."""
        return [
            f"{self._count}", f"{self.first:.1f}", f"{self.seconds:.1f}", f"{self.seconds / self._count * 1000:.2f}",
            *(f"{size / 2**20:.0f}" for size in self.memory),
        ]  # fmt: skip


def _write(folder: Path, count: int) -> None:
    """Pairs of files; each PDF names its own exam."""
    printed = _printed()
    for n in range(count):
        exam_id, accession_number = f"V{n:08}", f"A{n:08}"
        changes: dict[str, Any] = {"ExamId": exam_id, "Order.AccessionNumber": accession_number}
        document = exam_document(changes | {"Study.StudyInstanceUIDs": [f"1.2.3.{n}"]})
        (folder / f"{n:06}.json").write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
        own = printed.replace(_EXAM_ID, exam_id.encode()).replace(_ACCESSION, accession_number.encode())
        (folder / f"{n:06}.pdf").write_bytes(own)


def _printed() -> bytes:
    """A report of one page, not compressed, so that its numbers can be replaced."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    buffer = BytesIO()
    page = Canvas(buffer, invariant=True, pageCompression=0)
    page.drawString(60, 760, f"{_EXAM_ID.decode()} {_ACCESSION.decode()}")
    page.setFont("STSong-Light", 12)
    for line, text in enumerate(("姓名：张三", *textwrap.wrap(FINDINGS * 4, 40), *textwrap.wrap(IMPRESSION, 40))):
        page.drawString(60, 740 - 20 * line, text)
    page.save()
    return buffer.getvalue()


def _resident() -> int:
    """Bytes of this process that are in memory; the programs that read PDFs have their own limit."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


SECTIONS: Mapping[str, Callable[[Run], str]] = {"pairs": pairs}
