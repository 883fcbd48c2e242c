"""From the drop folder to documents: a durable copy, a row, the exam it belongs to; then the original is set aside.

Idempotent: a crash before the original is moved finds the same file again, which is known by name, content and time.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from router.catalogue.exams import Exams, TakenDocument
from router.clock import Clock
from router.config import Config
from router.correlate.versions import successive
from router.errors import InvalidData
from router.events import Event, Journal, Kind
from router.exam.key import ExamKey, key_of
from router.flow.references import References
from router.reports import pdf, pickup
from router.reports.settle import Seen
from router.storage import Storage


@dataclass(frozen=True, slots=True)
class _Dropped:
    """A file of the drop folder, read: `document` is None for a PDF."""

    kind: str
    stem: str
    data: bytes
    digest: str
    file_time: datetime
    document: Mapping[str, object] | None
    key: ExamKey | None


class Intake:
    """Takes settled files one by one."""

    def __init__(
        self, config: Config, references: References, exams: Exams, storage: Storage, journal: Journal, clock: Clock
    ) -> None:
        self._config = config
        self._references = references
        self._folder = config.reports.folder
        self._exams = exams
        self._reports = storage.reports
        self._quarantine = storage.quarantine
        self._journal = journal
        self._clock = clock

    def take(self, seen: Seen) -> None:
        """Take one file, or refuse it with a reason; OSError when the share does not answer."""
        data = pickup.read_still(seen)
        if data is None:
            return
        try:
            dropped = self._read(seen, data)
        except InvalidData as error:
            self._refuse(seen, data, error)
            return
        known = self._exams.seen(dropped.kind, dropped.stem, dropped.digest, dropped.file_time)
        if dropped.key is not None:
            self._take_json(dropped, dropped.key, known=known)
        elif not known:
            self._take_pdf(dropped)
        if self._config.reports.on_pickup == "move":
            pickup.set_aside(self._folder, seen, pickup.DONE)

    def reread(self, exams: Iterable[int]) -> None:
        """Take anew what the JSONs of these exams say: the mapping file may have been mended since they came."""
        for exam in exams:
            case = self._exams.case(exam)
            for version in case.jsons:
                data, branch = self._reports.read(case.places[version.document]), case.branch
                try:
                    key = key_of(self._references.read(data), zone=self._config.node.timezone, default_branch=branch)
                except InvalidData:
                    continue
                if self._exams.restate(version.document, key, *reported(key)):
                    self._exams.touch([exam], self._clock.now())

    def _read(self, seen: Seen, data: bytes) -> _Dropped:
        kind = seen.path.suffix.lower().removeprefix(".")
        stem = pickup.stem_of(self._folder, seen.path)
        document, key = None, None
        if kind == "json":
            document = self._references.read(data)
            key = key_of(document, zone=self._config.node.timezone, default_branch=self._branch(stem))
        else:
            pdf.check(data)
        file_time = datetime.fromtimestamp(seen.mtime / 1e9, UTC)
        return _Dropped(kind, stem, data, hashlib.sha256(data).hexdigest(), file_time, document, key)

    def _branch(self, stem: str) -> str:
        for branch in self._config.hospital.branch:
            if branch.folder and stem.startswith(branch.folder.strip("/") + "/"):
                return branch.code
        return self._config.hospital.HospitalBranchCode

    def _take_json(self, dropped: _Dropped, key: ExamKey, *, known: bool) -> None:
        now = self._clock.now()
        exam = self._exams.number_of(key.branch, key.exam_id, now)
        if not (known or self._exams.latest(exam, "json") == dropped.digest or self._counts(exam, dropped.data)):
            self._exams.describe(exam, key)
            self._enter(dropped, exam, now)
        self._pair(exam, dropped.stem, now)

    def _counts(self, exam: int, data: bytes) -> bool:
        """Whether this is the version that counts already, though an older one was taken after it."""
        case = self._exams.case(exam)
        versions = successive(case.jsons)
        return bool(versions) and self._reports.read(case.places[versions[-1].document]) == data

    def _pair(self, exam: int, stem: str, now: datetime) -> None:
        """Give the exam the PDFs that waited for a JSON of this name; a crash may have come between the two."""
        for waiting in self._exams.unpaired(stem):
            if not self._may_serve_again(self._reports.read(waiting.place), stem, exam):
                continue
            revision = self._exams.next_revision(exam)
            place = self._reports.place("pdf", exam, revision)
            self._reports.move(waiting.place, place)
            self._exams.bind(waiting.document, exam, revision, place, now)
            self._reports.forget(waiting.place)
            self._record(Kind.DOCUMENT, f"revision {revision}: the PDF that waited, paired by its name", exam)

    def _take_pdf(self, dropped: _Dropped) -> None:
        now = self._clock.now()
        exam = self._exam_of_pdf(dropped)
        if exam is not None:
            known = self._exams.latest(exam, "pdf") == dropped.digest
        else:
            known = any(self._reports.read(w.place) == dropped.data for w in self._exams.unpaired(dropped.stem))
        if not known:
            self._enter(dropped, exam, now)

    def _enter(self, dropped: _Dropped, exam: int | None, now: datetime) -> None:
        revision = None if exam is None else self._exams.next_revision(exam)
        number = self._exams.next_document() if revision is None else revision
        place = self._reports.place(dropped.kind, exam, number)
        source = {"name": dropped.stem, "digest": dropped.digest, "file_time": dropped.file_time.isoformat()}
        self._reports.keep(place, dropped.data, source)
        taken = TakenDocument(
            dropped.kind, dropped.stem, dropped.digest, dropped.file_time, now, dropped.key, *reported(dropped.key)
        )
        self._exams.add(taken, place, exam, revision, now)
        what = "exam JSON" if dropped.kind == "json" else "report PDF"
        where = f"revision {revision}: {what}" if exam else f"{what} that no exam is known for: it waits for its JSON"
        self._record(Kind.DOCUMENT, where, exam)

    def _exam_of_pdf(self, dropped: _Dropped) -> int | None:
        """The exam of the JSON with the same name, else the one that the configured pattern finds in the name."""
        exam = self._exams.exam_of_stem(dropped.stem)
        if exam is not None:
            return exam if self._may_serve_again(dropped.data, dropped.stem, exam) else None
        pattern = self._config.reports.name_pattern
        found = re.search(pattern, Path(dropped.stem).name) if pattern else None
        named = {k: v or "" for k, v in found.groupdict().items()} if found else {}
        return self._exams.exam_named(named.get("exam_id", ""), named.get("accession", ""), named.get("study_uid", ""))

    def _may_serve_again(self, data: bytes, stem: str, exam: int) -> bool:
        """Whether a PDF may follow one that the same name brought before: a RIS may use a name for another exam.

        Where the PDF before names the exam in its text, this one must too; else it waits for its own JSON.
        """
        before = self._exams.last_pdf_place(exam, stem)
        if before is None or not self._config.reports.pdf_text_check:
            return True
        words = self._exams.words_of(exam)
        return not _names(self._reports.read(before), words) or _names(data, words)

    def _refuse(self, seen: Seen, data: bytes, error: InvalidData) -> None:
        reason = f"{error.message}\n{_IN_CHINESE}\n"
        if self._config.reports.on_pickup == "move":
            pickup.reject(self._folder, seen, reason)
        else:
            self._quarantine.keep(f"file{seen.path.suffix.lower()}", data, self._clock.now(), "report", reason)
        self._record(Kind.REFUSED, f"a file of the drop folder was refused: {error.message}", None)

    def _record(self, kind: Kind, text: str, exam: int | None) -> None:
        self._journal.record(Event(self._clock.now(), kind, text, exam=exam))


_IN_CHINESE = "该文件无法读取或缺少检查记录ID（ExamId），未被接收；请更正后重新放入文件夹。"


def reported(key: ExamKey | None) -> tuple[str, str]:
    """Digests of what the report says, and of that with its times."""
    if key is None:
        return "", ""
    content = "\0".join(key.reported)
    whole = f"{content}\0{key.submit_time}\0{key.approve_time}"
    return hashlib.sha256(content.encode()).hexdigest(), hashlib.sha256(whole.encode()).hexdigest()


def _names(data: bytes, words: list[str]) -> bool:
    text = pdf.text(data)
    return any(re.sub(r"\s+", "", word) in text for word in words if word.strip())
