"""A database under test, and the rows that the contract of the catalogue is tried with."""

import atexit
import functools
import shutil
import tempfile
import threading
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from router.catalogue import Catalogue, open_catalogue
from router.catalogue.db.engine import portions
from router.catalogue.db.tables.images import Study
from router.catalogue.exams.documents import TakenDocument
from router.catalogue.exams.exam_rows import description
from router.catalogue.exams.filing import Binding, Filed, Filing
from router.catalogue.exams.snapshots import JsonSnapshot, LostCopy, PdfSnapshot, WaitingPdf
from router.catalogue.images.instances import NewInstance
from router.catalogue.queue.queue import Delivery
from router.events import EventBus, Subscriber
from router.exam.key import ExamKey, ExamPatient
from router.model import Channel, Digests, Header, InstanceUids, Patient, SeriesClass, SeriesFacts
from router.policy.states import State

NOW = datetime(2026, 3, 1, 9, 30, 15, 123457, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
LEASE_FOR = MINUTE
CLOUD = "cloud"
SQLITE_VARIABLES = 32_766

T = TypeVar("T")


@dataclass(frozen=True)
class Database:
    """Where a test's catalogue lies: `url` is "" for SQLite in `data`."""

    url: str
    data: Path

    def open(self, *subscribers: Subscriber) -> Catalogue:
        return open_catalogue(self.url, self.data, EventBus(*subscribers))


@functools.cache
def _empty_file() -> Path:
    """The file that the product makes in a new data folder."""
    folder = Path(tempfile.mkdtemp(prefix="icr-tables-"))
    atexit.register(shutil.rmtree, folder)
    opened = open_catalogue("", folder, EventBus())
    opened.engine.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    opened.engine.close_thread()
    return folder / "router.db"


def lay_tables(data: Path) -> None:
    """Put the file that the product makes into a data folder without one; that takes a tenth of making its tables."""
    if not (data / "router.db").exists():
        shutil.copy(_empty_file(), data / "router.db")


def driver(catalogue: Catalogue) -> Any:
    """The peewee database beneath, for what the catalogue itself never does."""
    return catalogue.engine.database


def at_once(catalogue: Catalogue | None, jobs: Iterable[Callable[[], T]]) -> list[T]:
    """Each job in a thread and on a connection of its own, all let loose together; what they returned.

    Without a catalogue the jobs close what they open.
    """
    work = list(jobs)
    gate = threading.Barrier(len(work))

    def run(job: Callable[[], T]) -> T:
        try:
            gate.wait(10)
            return job()
        finally:
            if catalogue is not None:
                catalogue.engine.close_thread()

    with ThreadPoolExecutor(len(work)) as pool:
        return [future.result(20) for future in [pool.submit(run, job) for job in work]]


def instance(
    number: int = 1, study: str = "1.2", *, version: int = 1, digest: str = "", patient: Patient | None = None,
    accession: str = "A1", others: tuple[str, ...] = (), modality: str = "CT", received: datetime = NOW,
    series_class: SeriesClass = SeriesClass.THIN, orientation: str = "o", pixels: str = "p",
) -> NewInstance:  # fmt: skip
    """A version of the study's `number`th instance."""
    header = Header(
        uids=InstanceUids(study, f"{study}.1", f"{study}.1.{number}"), sop_class="1.2.840.10008.5.1.4.1.1.2",
        transfer_syntax="1.2.840.10008.1.2.1", patient=patient or Patient("P1", "Zhang^San", "19491231", "F"),
        accession_number=accession, other_accession_numbers=others, study_date="20260301", study_time="0930",
        facts=SeriesFacts(modality=modality, slice_thickness=1.25),
    )  # fmt: skip
    digests = Digests(digest or f"{study}/{number}/{version}", orientation, pixels)
    return NewInstance(
        header=header,
        version=version,
        digests=digests,
        size=512,
        series_class=series_class,
        rule="thin slices",
        received=received,
    )


def exam(catalogue: Catalogue, exam_id: str = "E1", *studies: str) -> int:
    """An exam with these studies joined."""
    number = catalogue.exams.number_of("", "01", exam_id, NOW)
    catalogue.exams.links.link(number, studies, "listed", NOW)
    return number


def delivery(catalogue: Catalogue, number: int, *way: State, due: datetime | None = None) -> Delivery:
    """The exam's images delivery, moved along `way`."""
    catalogue.queue.make(number, [(CLOUD, Channel.IMAGES)], NOW)
    for to in way:
        assert catalogue.queue.move(catalogue.queue.of_exam(number)[0], to, NOW, "on the way", changes={"due": due})
    return catalogue.queue.of_exam(number)[0]


def document(kind: str = "pdf", stem: str = "in/e1", digest: str = "d1", file_time: datetime = NOW) -> TakenDocument:
    """A dropped file whose content says nothing."""
    return TakenDocument(kind=kind, stem=stem, digest=digest, file_time=file_time, arrived=NOW)


def key(accession: str = "A1", *, patient_id: str = "P1", approved_at: datetime | None = NOW) -> ExamKey:
    """What the node takes from an exam JSON."""
    patient = ExamPatient({"Patient.PatientId": patient_id}, "张三", "1949-12-31", "F")
    return ExamKey(
        hospital="",
        branch="01",
        exam_id="E1",
        accession_number=accession,
        study_uids=("1.2",),
        patient=patient,
        status="Reported",
        approve_time=approved_at,
        submit_time=NOW - MINUTE,
        image_count=3,
        study_date=None,
        reported=("f", "i"),
        modality="CT",
    )


def described(catalogue: Catalogue, like: ExamKey) -> int:
    """The exam of a JSON with this key."""
    return catalogue.exams.number_of(like.hospital, like.branch, like.exam_id, NOW, description(like))


def around_pdf(
    catalogue: Catalogue, stem: str = "in/e1", digest: str = "d1", since: datetime = NOW, *,
    owner: ExamKey | None = None, number: str = "", **names: str,
) -> PdfSnapshot:  # fmt: skip
    """The rows that a PDF concerns."""
    return catalogue.exams.snapshots.pdf(stem=stem, digest=digest, since=since, owner=owner, names=names, number=number)


def around_json(
    catalogue: Catalogue, like: ExamKey, stem: str = "in/e1", digest: str = "d1", since: datetime = NOW, *,
    numbers: Sequence[str] = (), patterned: bool = False,
) -> JsonSnapshot:  # fmt: skip
    """The rows that an exam JSON with this key concerns."""
    return catalogue.exams.snapshots.json(
        like, stem=stem, digest=digest, since=since, numbers=numbers, patterned=patterned
    )


def place_of(form: str, exam: int | None, number: int) -> str:
    """The place of a copy; nothing lies anywhere."""
    return f"reports/{exam or 'unpaired'}/{number}/{form}"


def bind(catalogue: Catalogue, pdf: int, exam: int, *, owner: int | None = None) -> Filed:
    """Give a PDF that nothing vouches for its exam."""
    waiting = WaitingPdf(document=pdf, place="p", stem="in/e1", vouched=False, said=frozenset(), owner=owner)
    filing = Filing(exam=exam, binds=[Binding(pdf=waiting, how="by a test", named=frozenset({"E1"}))])
    return catalogue.exams.filings.write(filing, place_of, NOW)


def restore(catalogue: Catalogue, lost: LostCopy, checksum: str = "") -> Filed:
    """Give a document a copy again."""
    return catalogue.exams.filings.write(Filing(restores=lost, checksum=checksum), place_of, NOW)


def studies_at(catalogue: Catalogue, sender: str, times: Iterable[datetime]) -> None:
    """Rows of studies that came from a sender at these times, without any instance."""
    rows = [
        {"uid": f"2.25.{zlib.crc32(sender.encode())}.{int(at.timestamp() * 1e6)}", "sending_ae": sender,
         "first_received": at, "last_received": at, "device_modality": "CT", **dict.fromkeys(_TEXTS, "")}
        for at in times
    ]  # fmt: skip
    with catalogue.engine.write():
        for some in portions(rows):
            catalogue.engine.run(Study.insert_many(some))


_TEXTS = ("accession_number", "study_date", "study_time", "description", "manufacturer", "model", "station_name",
          "serial_number")  # fmt: skip
