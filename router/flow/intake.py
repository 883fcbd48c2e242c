"""From the drop folder to documents: a durable copy, a row, the exam it belongs to; then the original is set aside.

Many files at a time: their copies become durable together, and their rows in one transaction after that. Idempotent: a
crash before the original is moved finds the same file again, which is known by name, content and time.
"""

import hashlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from router.alarms import Alarm
from router.catalogue.exams import Exams, TakenDocument, Waiting
from router.clock import Clock
from router.config import Config
from router.correlate.join import JoinedBy
from router.correlate.naming import words
from router.errors import InvalidData
from router.events import Event, Journal, Kind
from router.exam.key import ExamKey
from router.flow.references import References
from router.reports import pdf, pickup
from router.reports.reader import Readers
from router.reports.settle import Seen
from router.storage import Storage
from router.storage.reports import Copies

_GROUPS = frozenset({"exam_id", "accession", "study_uid"})


@dataclass(frozen=True, slots=True)
class Dropped:
    """A file of the drop folder, read. `key` is None for a PDF, `words` is None where its text was not asked for."""

    seen: Seen
    kind: str
    stem: str
    data: bytes
    digest: str
    file_time: datetime
    key: ExamKey | None
    words: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Found:
    """What reading a batch gave: documents; what does not read as its name says; what could not be read at all.

    `changed`: gone, or not as it was when it was scanned.
    """

    documents: tuple[Dropped, ...]
    invalid: Mapping[Seen, InvalidData]
    unreadable: Mapping[Seen, OSError]
    changed: tuple[Seen, ...]


class Intake:
    """Takes settled files, a batch at a time. `fence` raises where another node takes them by now."""

    def __init__(
        self, config: Config, references: References, exams: Exams, storage: Storage, journal: Journal, clock: Clock,
        readers: Readers | None = None, fence: Callable[[], None] = lambda: None,
    ) -> None:  # fmt: skip
        self._config = config
        self._references = references
        self._folder = config.reports.folder
        pattern = config.reports.name_pattern
        self._pattern = re.compile(pattern) if pattern else None
        self._groups = _GROUPS & set(self._pattern.groupindex) if self._pattern else frozenset()
        self._keeps = config.reports.on_pickup == "keep"
        self._exams = exams
        self._reports = storage.reports
        self._quarantine = storage.quarantine
        self._journal = journal
        self._clock = clock
        self._readers = readers or Readers()
        self._fence = fence

    def close(self) -> None:
        """End the programs that read PDFs."""
        self._readers.close()

    # -- reading: no database, so that one batch is read while another is filed

    def read(self, batch: Sequence[Seen]) -> Found:
        """Read and check the files of a batch."""
        data: dict[Seen, bytes] = {}
        invalid: dict[Seen, InvalidData] = {}
        unreadable: dict[Seen, OSError] = {}
        for seen in batch:
            try:
                pdf.require_size(seen.size)
                content = pickup.read_still(seen)
            except InvalidData as error:
                invalid[seen] = error
            except OSError as error:
                unreadable[seen] = error
            else:
                data |= {} if content is None else {seen: content}
        texts = self._texts(data)
        changed = tuple(seen for seen in batch if not (seen in data or seen in invalid or seen in unreadable))
        documents = []
        for seen, content in data.items():
            try:
                documents.append(self._document(seen, content, texts))
            except InvalidData as error:
                invalid[seen] = error
        return Found(tuple(documents), invalid, unreadable, changed)

    def _texts(self, data: Mapping[Seen, bytes]) -> dict[Seen, str | InvalidData]:
        pdfs = [seen for seen in data if _kind(seen) == "pdf"]
        return dict(zip(pdfs, self._readers.read([data[seen] for seen in pdfs]), strict=True))

    def _document(self, seen: Seen, data: bytes, texts: Mapping[Seen, str | InvalidData]) -> Dropped:
        stem = pickup.stem_of(self._folder, seen.path)
        key, said = None, None
        if _kind(seen) == "json":
            key = self._references.key(self._references.read(data), self._branch(stem))
        elif isinstance(text := texts[seen], InvalidData):
            raise text
        elif self._config.reports.pdf_text_check:
            said = words(text)
        file_time = datetime.fromtimestamp(seen.mtime / 1e9, UTC)
        return Dropped(seen, _kind(seen), stem, data, hashlib.sha256(data).hexdigest(), file_time, key, said)

    def _branch(self, stem: str) -> str:
        for branch in self._config.hospital.branch:
            if branch.folder and stem.startswith(branch.folder.strip("/") + "/"):
                return branch.code
        return self._config.hospital.HospitalBranchCode

    # -- copies

    def file(self, found: Sequence[Dropped]) -> dict[Seen, OSError]:
        """Enter what was read and set the originals aside; those that could not be, and why."""
        copies = self._reports.copies()
        with self._exams.together():
            self._fence()
            for dropped in found:
                known = self._exams.seen(dropped.kind, dropped.stem, dropped.digest, dropped.file_time)
                if dropped.key is not None:
                    self._take_json(dropped, dropped.key, copies, known=known)
                elif not known:
                    self._take_pdf(dropped, copies)
                if self._keeps:
                    self._remember(dropped.seen, dropped.digest)
            copies.close()
        copies.forget()
        return {} if self._keeps else self._set_aside(found)

    def _set_aside(self, found: Sequence[Dropped]) -> dict[Seen, OSError]:
        failed = {}
        for dropped in found:
            try:
                pickup.set_aside(self._folder, dropped.seen, pickup.DONE)
            except OSError as error:
                failed[dropped.seen] = error
        return failed

    def _take_json(self, dropped: Dropped, key: ExamKey, copies: Copies, *, known: bool) -> None:
        now = self._clock.now()
        exam = self._exams.known(key.branch, key.exam_id)
        if exam is None:
            exam = self._exams.new(key, now)
            self._enter_json(dropped, exam, copies, now)
        elif not (known or dropped.digest in self._exams.current_jsons(exam)):
            described = self._exams.describe(exam, key)
            self._enter_json(dropped, exam, copies, now, named=described)
        if "study_uid" in self._groups:
            for uid in self._exams.link(exam, key.study_uids, JoinedBy.LISTED, now):
                self._journal.record(Event(now, Kind.JOINED, f"joined: {JoinedBy.LISTED}", exam=exam, study_uid=uid))
        self._claim(exam, dropped.stem, key, copies, now)

    def _enter_json(self, dropped: Dropped, exam: int, copies: Copies, now: datetime, *, named: bool = True) -> None:
        self._enter(dropped, exam, copies, now)
        if named:  # what it is named by is new: a PDF that another exam has may name it
            self._exams.touch_those_naming(exam, now)

    def _claim(self, exam: int, stem: str, key: ExamKey, copies: Copies, now: datetime) -> None:
        """Give the exam the PDFs that waited for its JSON, and those that another exam has by mistake."""
        found = self._exams.claimable(stem, exam)
        own = self._exams.identifiers(exam) if found else frozenset()
        for waiting in found:
            if waiting.owner is None:
                self._bind(waiting, exam, copies, now, "the PDF that waited, paired by its name")
            elif own & (said := self._exams.namings.said(waiting.document)):
                if not said & self._exams.identifiers(waiting.owner):
                    self._take_over(waiting, exam, copies, now)
            else:
                self._exams.touch([waiting.owner], now)  # its file name has served another exam now
        if self._pattern is not None:
            named = [("exam_id", key.exam_id), ("accession", key.accession_number)]
            for waiting in self._exams.unpaired(named + [("study_uid", uid) for uid in key.study_uids]):
                if self._exams.exam_named(**self._exams.namings.names_of(waiting.document)) == exam:
                    self._bind(waiting, exam, copies, now, "the PDF that waited, joined by the pattern on its name")

    def _bind(
        self, waiting: Waiting, exam: int, copies: Copies, now: datetime, how: str, *, stays: bool = False
    ) -> None:
        revision, place = self._next_revision("pdf", exam)
        copies.move(waiting.place, place, stays=stays)
        self._exams.bind(waiting.document, exam, revision, place, now)
        self._record(Kind.DOCUMENT, f"revision {revision}: {how}", exam)

    def _take_over(self, waiting: Waiting, exam: int, copies: Copies, now: datetime) -> None:
        """A name that the RIS used twice brought this exam's PDF to the one whose JSON was there before."""
        sent = self._exams.uploaded(waiting.place)
        how = "the PDF that came before under this name and names this exam"
        self._bind(waiting, exam, copies, now, how, stays=sent)
        text = "the PDF that came under its name names another exam, whose JSON has come now: it goes with that one"
        self._record(Kind.DOUBT, text, waiting.owner)
        if sent:
            text = "a report PDF was handed to a destination and belongs to another exam; the exam needs its own PDF"
            self._record(Kind.ALARM, text, waiting.owner, Alarm.DELIVERED_IN_DOUBT)

    def _take_pdf(self, dropped: Dropped, copies: Copies) -> None:
        now = self._clock.now()
        exam = self._exam_of_pdf(dropped)
        if exam is not None:
            known = self._exams.latest(exam, "pdf") == dropped.digest
        else:
            known = self._exams.waits(dropped.stem, dropped.digest)
        if not known:
            self._enter(dropped, exam, copies, now)

    def _exam_of_pdf(self, dropped: Dropped) -> int | None:
        """The exam of the JSON with the same name, else the one that the configured pattern finds in the name.

        Where the name brought JSONs of several exams, the one that the PDF's text names, else the last one.
        """
        by_name = self._exams.exams_of_stem(dropped.stem)
        if len(by_name) > 1 and dropped.words:
            said = dropped.words
            return next((exam for exam in by_name if said & self._exams.identifiers(exam)), by_name[0])
        return by_name[0] if by_name else self._exams.exam_named(**self._names(dropped.stem))

    def _names(self, stem: str) -> dict[str, str]:
        """What the configured pattern finds in a name, by group."""
        found = self._pattern.search(Path(stem).name) if self._pattern else None
        return {group: found[group] for group in self._groups if found[group]} if found else {}

    def _enter(self, dropped: Dropped, exam: int | None, copies: Copies, now: datetime) -> None:
        if exam is None:
            revision, place = None, self._reports.place(dropped.kind, None, self._exams.next_document())
        else:
            revision, place = self._next_revision(dropped.kind, exam)
        source = {"name": dropped.stem, "digest": dropped.digest, "file_time": dropped.file_time.isoformat()}
        copies.keep(place, dropped.data, source)
        taken = TakenDocument(
            dropped.kind, dropped.stem, dropped.digest, dropped.file_time, now, dropped.key, *reported(dropped.key),
            dropped.words, self._names(dropped.stem) if dropped.kind == "pdf" else {},
        )  # fmt: skip
        self._exams.add(taken, place, exam, revision, now)
        what = "exam JSON" if dropped.kind == "json" else "report PDF"
        where = f"revision {revision}: {what}" if exam else f"{what} that no exam is known for: it waits for its JSON"
        self._record(Kind.DOCUMENT, where, exam)

    def _next_revision(self, kind: str, exam: int) -> tuple[int, str]:
        """The next revision of the exam, and its place, where nothing lies: a crash may leave what no row names."""
        while True:
            revision = self._exams.next_revision(exam)
            place = self._reports.place(kind, exam, revision)
            if not self._reports.taken(place):
                return revision, place

    # -- reading again

    def reread(self, exams: Iterable[int]) -> None:
        """Take anew what the JSONs of these exams say: the mapping file may have been mended since they came."""
        for exam in exams:
            case = self._exams.case(exam)
            for version in case.jsons:
                try:
                    document = self._references.read(self._reports.read(case.places[version.document]))
                    key = self._references.key(document, case.branch)
                except (InvalidData, OSError):
                    continue  # evaluating the exam tells of it; the others must not wait for it
                if self._exams.restate(version.document, key, *reported(key)):
                    self._exams.touch([exam], self._clock.now())

    # -- refusing

    def refuse(self, seen: Seen, error: InvalidData) -> None:
        """Set a file that does not read aside with the reason; OSError when that cannot be done."""
        reason = f"{error.message}\n{_IN_CHINESE}\n"
        if self._keeps:
            data = pickup.read_still(seen) if seen.size <= pdf.MAX_SIZE else b""
            if data is None:
                return
            digest = hashlib.sha256(data).hexdigest()
            if digest in self._exams.remembered(self._name(seen)).values():
                self._remember(seen, digest)
                return
            self._quarantine.keep(f"file{seen.path.suffix.lower()}", data, self._clock.now(), "report", reason)
            self._remember(seen, digest)
        else:
            pickup.reject(self._folder, seen, reason)
        self._record(Kind.REFUSED, f"a file of the drop folder was refused: {error.message}", None)

    # -- files that stay

    def dealt_with(self, seen: Seen) -> bool:
        """Whether this very file, which stays in the folder, was taken or refused before."""
        return self._keeps and (seen.size, seen.mtime) in self._exams.remembered(self._name(seen))

    def _remember(self, seen: Seen, digest: str) -> None:
        self._exams.remember(self._name(seen), seen.size, seen.mtime, digest)

    def _name(self, seen: Seen) -> str:
        return f"{pickup.stem_of(self._folder, seen.path)}{seen.path.suffix}"

    def _record(self, kind: Kind, text: str, exam: int | None, alarm: Alarm | None = None) -> None:
        subject = f"exam {exam}" if alarm else ""
        self._journal.record(Event(self._clock.now(), kind, text, exam=exam, alarm=alarm, subject=subject))


_IN_CHINESE = "该文件无法读取或缺少检查记录ID（ExamId），未被接收；请更正后重新放入文件夹。"


def reported(key: ExamKey | None) -> tuple[str, str]:
    """Digests of what the report says, and of that with its times."""
    if key is None:
        return "", ""
    content = "\0".join(key.reported)
    whole = f"{content}\0{key.submit_time}\0{key.approve_time}"
    return hashlib.sha256(content.encode()).hexdigest(), hashlib.sha256(whole.encode()).hexdigest()


def _kind(seen: Seen) -> str:
    return seen.path.suffix.lower().removeprefix(".")
