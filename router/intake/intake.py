"""From the drop folder to documents: a durable copy, a row, the exam it belongs to; then the original is set aside.

Many files at a time: their copies become durable together, and their rows in one transaction after that. Idempotent: a
crash before the original is moved finds the same file again, which is known by name, content and time.
"""

import hashlib
import json
import os
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ParamSpec, TypeVar

from router.alarms import Alarm
from router.catalogue.exams.exams import Exams, Proof, TakenDocument, Waiting
from router.catalogue.exams.files import FileKind, Lying
from router.clock import Clock
from router.config.sections import Config, Hospital
from router.errors import InvalidData, RouterError
from router.events import Event, EventBus, Kind
from router.exam.key import ExamKey
from router.intake import refused_files
from router.intake.exam_reader import ExamReader
from router.intake.leftovers import Leftovers
from router.intake.numbered import branch_of_folder, exam_of, number_word
from router.intake.recovery import Recovery
from router.matching.images.join import JoinedBy
from router.matching.report_pdf.naming import number_of, words
from router.model import SetAside
from router.reports.folder import originals
from router.reports.folder.settle import Seen
from router.reports.hl7 import hl7v2
from router.reports.pdf import pdf
from router.reports.pdf.reader import PdfText, Readers
from router.storage import Storage
from router.storage.reports import Copies, made_at, note

P = ParamSpec("P")
T = TypeVar("T")
OF_STUDY = "dicom:"
"""Begins the name of a PDF that came as a DICOM instance; its study's UID follows."""
_EVER = datetime.fromtimestamp(0, UTC)
_MOST_ENDED = 2  # as with instances
_POISON = "poison"
_BEFORE_SECOND_TRY = timedelta(minutes=1)
_GROUPS = frozenset({"exam_id", "accession", "study_uid"})


@dataclass(frozen=True, slots=True)
class Dropped:
    """A document, read: a file of the drop folder, or a part of an HL7 message; `seen` is None for what is no file.

    `key` is None for a PDF, `words` is None where its text was not asked for; `owner` is the exam of the message that
    a PDF came in, `said` what the PDF says.
    """

    seen: Seen | None
    form: str
    stem: str
    data: bytes
    digest: str
    file_time: datetime
    key: ExamKey | None
    words: frozenset[str] | None
    owner: ExamKey | None = None
    said: PdfText | None = None

    @property
    def kind(self) -> str:
        """An HL7 message stands for the exam JSON that it is read as."""
        return "pdf" if self.form == "pdf" else "json"


@dataclass(frozen=True, slots=True)
class Opened:
    """What a file holds before its PDF was looked at. `document` is None for a PDF."""

    document: Mapping[str, object] | None
    pdf: bytes | None


@dataclass(frozen=True, slots=True)
class Found:
    """What reading a batch gave: documents; what does not read as its name says; what could not be read at all.

    `changed`: gone, or not as it was when it was scanned.
    """

    documents: tuple[Dropped, ...]
    invalid: Mapping[Seen, InvalidData]
    unreadable: Mapping[Seen, OSError]
    changed: tuple[Seen, ...]

    @property
    def files(self) -> frozenset[Seen]:
        """The files of the documents."""
        return frozenset(document.seen for document in self.documents if document.seen is not None)


class Intake:
    """Takes settled files, a batch at a time. `fence` raises where another node takes them by now."""

    def __init__(
        self, config: Config, references: ExamReader, exams: Exams, storage: Storage, bus: EventBus, clock: Clock,
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
        self._incoming = storage.incoming
        self._bus = bus
        self._clock = clock
        self._readers = readers or Readers()
        self._opening = threading.Lock()  # senders of HL7 messages share the memory that one takes
        self._filing = threading.Lock()  # the drop folder and the listener for HL7 file at the same time
        self._fence = fence
        self.leftovers = Leftovers(
            config, exams, storage.quarantine, bus, clock, lambda path: branch_named(self._config.hospital, path),
            fence,
        )  # fmt: skip

        self._recovery = Recovery(
            self._folder, exams.originals, storage.reports, lambda data: references.message(data).pdf()
        )  # fmt: skip

    def reconfigure(self, config: Config) -> None:
        """Check by this configuration from the next file on; folder and patterns stay."""
        self._config = config
        self.leftovers.reconfigure(config)

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
                self._require_sound(seen)
                pdf.require_size(seen.size)
                content = originals.read_still(self._folder, seen)
            except InvalidData as error:
                invalid[seen] = error
            except OSError as error:
                unreadable[seen] = error
            else:
                data |= {} if content is None else {seen: content}
        changed = tuple(seen for seen in batch if not (seen in data or seen in invalid or seen in unreadable))
        opened: dict[Seen, Opened] = {}
        for seen, content in data.items():
            with self._incoming.dropped.at(self._attempt(seen)):
                found = _or_fault(self._open, _form(seen), content)
            if isinstance(found, InvalidData):
                invalid[seen] = found
            else:
                opened[seen] = found
        texts = self._texts(opened)
        documents: list[Dropped] = []
        for seen, one in opened.items():
            stem, text = originals.stem_of(self._folder, seen.path), texts.get(seen, PdfText())
            at = originals.file_time(seen, self._clock.now())
            with self._incoming.dropped.at(self._attempt(seen)):
                told = _or_fault(self._documents, seen, _form(seen), stem, at, data[seen], one, text)
            if isinstance(told, InvalidData):
                invalid[seen] = told
            else:
                documents += told
        return Found(tuple(documents), invalid, unreadable, changed)

    def _require_sound(self, seen: Seen) -> None:
        """InvalidData for a file that was being read, each time anew, when the program ended."""
        if (ended := self._incoming.dropped.ended(self._attempt(seen))) >= _MOST_ENDED:
            raise InvalidData(f"reading it has ended the program {ended} times", why=_POISON)

    def _attempt(self, seen: Seen) -> Path:
        """What stands for the file, as it is, where attempts are counted; its name may be long, and a patient's."""
        path = os.fsencode(seen.path.relative_to(self._folder))
        return Path(hashlib.sha256(path + f"\0{seen.size}\0{seen.mtime}".encode()).hexdigest()[:32])

    def _open(self, form: str, data: bytes) -> Opened:
        if form == "pdf":
            return Opened(None, data)
        if form == "hl7":
            message = self._references.message(data)
            return Opened(self._references.mapped(message), message.pdf())
        return Opened(self._references.read(data), None)

    def _texts(self, opened: Mapping[Seen, Opened]) -> dict[Seen, PdfText | InvalidData]:
        pdfs = {seen: found.pdf for seen, found in opened.items() if found.pdf is not None}
        return dict(zip(pdfs, self._readers.read(list(pdfs.values())), strict=True)) if pdfs else {}

    def _documents(
        self, seen: Seen | None, form: str, stem: str, at: datetime, data: bytes, opened: Opened,
        text: PdfText | InvalidData,
    ) -> list[Dropped]:  # fmt: skip
        """The exam JSON that a file holds, then its PDF."""
        found, key = [], None
        if opened.document is not None:
            key = self._references.key(opened.document, branch_named(self._config.hospital, stem))
            found.append(Dropped(seen, form, stem, data, digest_of(data, opened.document), at, key, None))
        if opened.pdf is not None:
            if isinstance(text, InvalidData):
                raise text
            said = words(text.text) if self._config.reports.pdf_text_check else None
            digest = hashlib.sha256(opened.pdf).hexdigest()
            found.append(Dropped(seen, "pdf", stem, opened.pdf, digest, at, None, said, key, text))
        return found

    def take_message(self, data: bytes) -> None:
        """Take an HL7 message that is no file; on return its copy is durable and its rows are there.

        Raises InvalidData when it is none, OSError and TransientError when it cannot be kept now. The same one again
        changes nothing, so a sender that got no answer sends it again.
        """
        with self._opening:
            opened = _or_fault(self._open, "hl7", data)
        if isinstance(opened, InvalidData):
            raise opened
        (text,) = self._readers.read([opened.pdf]) if opened.pdf is not None else (PdfText(),)
        key = self._references.key(opened.document or {}, self._config.hospital.HospitalBranchCode)
        stem = f"mllp/{key.branch}/{key.exam_id}"
        self.file(self._documents(None, "hl7", stem, self._clock.now(), data, opened, text))

    def take_encapsulated(self, study_uid: str, data: bytes, received: datetime) -> None:
        """Take the PDF of a DICOM instance for the exam of its study; without one it waits, as `pair_studies` looks.

        Raises InvalidData when it is no PDF, OSError and TransientError when it cannot be kept. The same again changes
        nothing.
        """
        (text,) = self._readers.read([data])
        found = Opened(None, data)
        self.file(self._documents(None, "pdf", f"{OF_STUDY}{study_uid}", received, data, found, text))

    def pair_studies(self) -> None:
        """Give the PDFs that wait by their study to the exam that has it now; of several, the one that they name."""
        if not self._exams.waiting_of_studies():
            return
        copies, now = self._reports.copies(), self._clock.now()
        with self._filing:
            with self._exams.transaction():
                self._fence()
                for waiting, exams in self._exams.waiting_of_studies().items():
                    said = self._exams.pdf_names.said(waiting.document) if len(exams) > 1 else frozenset()
                    chosen = [e for e in exams if len(exams) == 1 or said & self._exams.identifiers(e)]
                    if len(chosen) == 1:
                        self._bind(waiting, chosen[0], copies, now, "the PDF that its study brought")
                copies.close()
            copies.forget()

    def recover(self) -> None:
        """Take back the PDFs that are needed once more and whose copies were removed, where they still are."""
        for missed, data in self._recovery.found():
            (text,) = self._readers.read([data])
            if not isinstance(text, InvalidData):
                opened, stem = Opened(None, data), missed.stem
                self.file(self._documents(None, "pdf", stem, missed.file_time, data, opened, text))

    # -- copies

    def file(self, found: Sequence[Dropped]) -> dict[Seen, OSError]:
        """Enter what was read and set the originals aside; those that could not be, and why."""
        with self._filing:
            poisonous = self._enter_safely(found)
        files = dict.fromkeys(dropped.seen for dropped in found if dropped.seen is not None)
        failed = {} if self._keeps else self._set_aside(seen for seen in files if seen not in poisonous)
        for seen, error in poisonous.items():
            self.refuse(seen, error)
        self.leftovers.look_soon()
        return failed

    def _enter_safely(self, found: Sequence[Dropped]) -> dict[Seen, InvalidData]:
        """Enter all; where that cannot be done, one file after the other. What cannot be entered stops no other file.

        RouterError and OSError are no file's fault; nor is anything that a message raises, whose sender gets it.
        """
        try:
            self._enter_all(found)
        except (RouterError, OSError):
            raise
        except Exception as error:  # whatever a value from outside raises
            by_file: dict[Seen | None, list[Dropped]] = {}
            for dropped in found:
                by_file.setdefault(dropped.seen, []).append(dropped)
            if None in by_file:
                raise InvalidData(f"it has a value that cannot be kept ({type(error).__name__})") from error
            return {seen: fault for seen, one in by_file.items() if seen and (fault := self._fault_of(one))}
        return {}

    def _fault_of(self, one: Sequence[Dropped]) -> InvalidData | None:
        """Enter what one file holds; why that cannot be done."""
        try:
            self._enter_all(one)
        except (RouterError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  # as above; the file is refused with this reason
            return InvalidData(f"the file has a value that cannot be kept ({type(error).__name__})", why="value")
        return None

    def _enter_all(self, found: Sequence[Dropped]) -> None:
        copies = self._reports.copies()
        with self._exams.transaction():
            if any(dropped.seen is not None for dropped in found):  # a message is its receiver's, whoever it is
                self._fence()
            message = None
            for dropped in found:
                known = self._exams.seen(dropped.kind, dropped.stem, dropped.digest, dropped.file_time)
                replaced = self._replace(dropped, copies)
                if dropped.key is not None:
                    message = self._take_json(dropped, dropped.key, copies, known=known or replaced)
                elif not (replaced or self._take_back(dropped, copies) or known):
                    self._take_pdf(dropped, copies, message if dropped.owner is not None else None)
                if self._keeps and dropped.seen is not None:
                    self._remember(dropped.seen, dropped.digest)
            self.leftovers.replaced({self._name(dropped.seen) for dropped in found if dropped.seen is not None})
            copies.close()
        copies.forget()

    def _set_aside(self, files: Iterable[Seen]) -> dict[Seen, OSError]:
        failed, moved = {}, []
        for seen in files:
            try:
                lying = originals.set_aside(self._folder, seen, originals.DONE)
            except OSError as error:
                failed[seen] = error
            else:
                moved += [] if lying is None else [lying]
        self._note(moved)
        return failed

    def _note(self, lying: Sequence[SetAside]) -> None:
        """Of what lies below done/ or rejected/, only what was noted is ever removed there."""
        self._exams.originals.note(lying, self._clock.now())

    def _take_json(self, dropped: Dropped, key: ExamKey, copies: Copies, *, known: bool) -> int | None:
        """Enter it unless it is known; its document, where one was entered or it is an HL7 message."""
        now, document = self._clock.now(), None
        exam = self._exams.known(key.branch, key.exam_id)
        if exam is None:
            exam = self._exams.new(key, now)
            document = self._enter(dropped, exam, copies, now)
            self._exams.touch_those_naming(exam, now)
        elif not (known or dropped.digest in self._exams.current_jsons(exam)):
            document = self._enter(dropped, exam, copies, now)
            # An older version must not vouch for a PDF: the exam may have been another patient's then.
            if self._exams.last_counts(exam) and self._exams.describe(exam, key):
                self._exams.touch_those_naming(exam, now)
        if "study_uid" in self._groups:
            for uid in self._exams.link(exam, key.study_uids, JoinedBy.LISTED, now):
                self._bus.record(Event(now, Kind.JOINED, JoinedBy.LISTED, exam=exam, study_uid=uid))
        self._claim(exam, dropped.stem, key, copies, now)
        if document is None and dropped.form == "hl7":
            return self._exams.json_of(exam, dropped.digest)
        return document

    def _claim(self, exam: int, stem: str, key: ExamKey, copies: Copies, now: datetime) -> None:
        """Give the exam the PDFs that waited for its JSON, and those that another exam has by mistake."""
        found = self._exams.claimable(stem, exam)
        own = self._exams.identifiers(exam) if found else frozenset()
        for waiting in found:
            if waiting.owner is None:
                self._bind(waiting, exam, copies, now, "the PDF that waited, paired by its name")
            elif own & (said := self._exams.pdf_names.said(waiting.document)):
                if not said & self._exams.identifiers(waiting.owner):
                    self._take_over(waiting, exam, copies, now)
            else:
                self._exams.request_evaluation([waiting.owner], now)  # its file name has served another exam now
        if self._pattern is not None:
            named = [("exam_id", key.exam_id), ("accession", key.accession_number)]
            for waiting in self._exams.unpaired(named + [("study_uid", uid) for uid in key.study_uids]):
                if self._exams.exam_named(**self._exams.pdf_names.names_of(waiting.document)) == exam:
                    self._bind(waiting, exam, copies, now, "the PDF that waited, joined by the pattern on its name")
        for number in {number_of(key.exam_id), number_of(key.accession_number)} - {""}:
            for waiting, name in self._exams.numbered(number, exam):
                self._claim_numbered(exam, waiting, name, copies, now)

    def _claim_numbered(self, exam: int, waiting: Waiting, name: str, copies: Copies, now: datetime) -> None:
        """Give the exam a PDF whose name is its number, or have the exam evaluated that has it by that number."""
        if waiting.owner is not None and waiting.owner in self._exams.exams_of_stem(name):
            return
        chosen = self._numbered(name, self._exams.pdf_names.said(waiting.document))
        if waiting.owner is None:
            if chosen == exam:
                self._bind(waiting, exam, copies, now, "the PDF that waited, joined by the number that is its name")
        elif chosen == exam:
            self._take_over(waiting, exam, copies, now)
        else:
            self._exams.request_evaluation(
                [waiting.owner], now
            )  # another exam has the number by which it has come there

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
        self._bind(waiting, exam, copies, now, how, stays=bool(sent))
        text = "the PDF that came under its name names another exam, whose JSON has come now: it goes with that one"
        self._record(Kind.DOUBT, text, waiting.owner)
        text = "a report PDF was handed to a destination and belongs to another exam; the exam needs its own PDF"
        for delivery, destination in sent.items():  # until the exam's own PDF is delivered there
            event = Event(
                now, Kind.ALARM, text, exam=waiting.owner, delivery=delivery, fields={"destination": destination},
                alarm=Alarm.DELIVERED_IN_DOUBT, subject=f"d{delivery}",
            )  # fmt: skip
            self._bus.record(event)

    def _take_pdf(self, dropped: Dropped, copies: Copies, message: int | None) -> None:
        now = self._clock.now()
        exam = self._exam_of_pdf(dropped)
        if dropped.stem.startswith(OF_STUDY):
            known = self._exams.seen("pdf", dropped.stem, dropped.digest, _EVER)
        elif exam is not None:
            known = self._exams.latest(exam, "pdf") == dropped.digest
        else:
            known = self._exams.waits(dropped.stem, dropped.digest)
        if not known:
            self._enter(dropped, exam, copies, now, message)

    def _replace(self, dropped: Dropped, copies: Copies) -> bool:
        """Whether this is a document whose copy is damaged: it takes the copy's place and is no new one."""
        found = self._exams.damaged(dropped.kind, dropped.digest)
        if found is None:
            return False
        document, exam, former = found
        revision, place = self._next_revision(dropped.form, exam)
        copies.keep(place, dropped.data, _source(dropped))
        copies.drop(former)
        checksum = hashlib.sha256(dropped.data).hexdigest()
        self._exams.returned(document, exam, revision, place, self._clock.now(), checksum)
        self._record(Kind.DOCUMENT, f"revision {revision}: document {document}, whose copy was damaged, again", exam)
        return True

    def _take_back(self, dropped: Dropped, copies: Copies) -> bool:
        """Whether this is a PDF whose copy was purged and that its exam needs again: it is no new one."""
        found = self._exams.missed(dropped.digest)
        if found is None:
            return False
        document, exam = found
        revision, place = self._next_revision("pdf", exam)
        copies.keep(place, dropped.data, _source(dropped))
        self._exams.returned(document, exam, revision, place, self._clock.now())
        self._record(Kind.DOCUMENT, f"revision {revision}: the report PDF whose copy had been removed", exam)
        return True

    def _exam_of_pdf(self, dropped: Dropped) -> int | None:
        """The exam of the JSON with the same name, else the one that the name names by the pattern, or is a number of.

        Where the name brought JSONs of several exams, the one that the PDF's text names, else the last one. That of an
        HL7 message is of the message's exam.
        """
        if dropped.stem.startswith(OF_STUDY):
            return None
        if dropped.owner is not None:
            return self._exams.known(dropped.owner.branch, dropped.owner.exam_id)
        by_name = self._exams.exams_of_stem(dropped.stem)
        if len(by_name) > 1 and dropped.words:
            said = dropped.words
            return next((exam for exam in by_name if said & self._exams.identifiers(exam)), by_name[0])
        if by_name:
            return by_name[0]
        if names := self._names(dropped.stem):
            return self._exams.exam_named(**names)
        return self._numbered(dropped.stem, dropped.words or frozenset())

    def _numbered(self, stem: str, said: frozenset[str]) -> int | None:
        """The exam whose number a PDF has as its name; None where a configured pattern reads the name."""
        return None if self._names(stem) else exam_of(self._exams, self._config.hospital, stem, said)

    def _names(self, stem: str) -> dict[str, str]:
        """What the configured pattern finds in a name, by group."""
        if study := study_named(stem):
            return study
        found = self._pattern.search(Path(stem).name) if self._pattern else None
        return {group: found[group] for group in self._groups if found[group]} if found else {}

    def _enter(
        self, dropped: Dropped, exam: int | None, copies: Copies, now: datetime, message: int | None = None
    ) -> int:
        if exam is None:
            revision, place = None, self._reports.place(dropped.form, None, self._exams.next_document())
        else:
            revision, place = self._next_revision(dropped.form, exam)
        copies.keep(place, dropped.data, _source(dropped))
        taken = TakenDocument(
            dropped.kind, dropped.stem, dropped.digest, dropped.file_time, now, dropped.key, *reported(dropped.key),
            dropped.words, self._names(dropped.stem) | number_word(dropped.stem) if dropped.kind == "pdf" else {},
            message=message,
            unread=dropped.said is not None and dropped.said.unread and dropped.words is not None,
            checksum=hashlib.sha256(dropped.data).hexdigest(),
        )  # fmt: skip
        document = self._exams.add(taken, place, exam, revision, now)
        what = {"json": "exam JSON", "hl7": "HL7 message", "pdf": "report PDF"}[dropped.form]
        where = f"revision {revision}: {what}" if exam else f"{what} that no exam is known for: it waits for its JSON"
        self._record(Kind.DOCUMENT, where, exam)
        return document

    def _next_revision(self, form: str, exam: int) -> tuple[int, str]:
        """The next revision of the exam, and its place, where nothing lies: a crash may leave what no row names."""
        while True:
            revision = self._exams.next_revision(exam)
            place = self._reports.place(form, exam, revision)
            if not self._reports.taken(place):
                return revision, place

    # -- reading again

    def reread(self, exams: Iterable[int]) -> None:
        """Take anew what the JSONs of these exams say: the mapping file may have been mended since they came."""
        for exam in exams:
            case = self._exams.case(exam)
            for version in case.jsons:
                try:
                    data = self._reports.read(case.places[version.document])
                    if not intact(data, case.proofs.get(version.document, Proof())):
                        continue
                    document = self._references.read(data)
                    key = self._references.key(document, case.branch)
                except (InvalidData, OSError):
                    continue  # evaluating the exam tells of it; the others must not wait for it
                if self._exams.restate(version.document, key, *reported(key)):
                    self._exams.request_evaluation([exam], self._clock.now())

    def read_again(self) -> None:
        """Read the PDFs a second time whose text could not be read in its processor time a minute ago or before."""
        for document, place in self._exams.unread(self._clock.now() - _BEFORE_SECOND_TRY):
            try:
                (said,) = self._readers.read([self._reports.read(place)])
            except OSError:
                continue  # it was moved or removed just now
            read = isinstance(said, PdfText) and not said.unread
            if read and isinstance(said, PdfText):
                source = self._reports.source(place)
                file_time = datetime.fromisoformat(source["file_time"])
                made = said.made or made_at(source)
                self._reports.note(place, note(
                    source["name"], source["digest"], file_time,
                    checksum=source.get("checksum", ""), text=said.text, made=made,
                ))  # fmt: skip
            with self._filing:
                told = words(said.text) if isinstance(said, PdfText) else frozenset()
                self._exams.reread(document, told, self._clock.now(), read=read)

    # -- refusing

    def refuse(self, seen: Seen, error: InvalidData) -> bool:
        """Set a file that does not read aside with the reason; OSError when that cannot be done.

        False where it has changed since it was read: it is to be read again.
        """
        text = f"a file of the drop folder was refused: {error.message}"
        lying = self._lying(seen, error)
        if self._keeps:
            if (again := self._refuse_kept(seen, lying)) is not None:
                return again
        else:
            moved = self._reject(seen, lying)
            if not moved:
                return False
            text += "" if len(moved) > 1 else " (its reason could not be written beside it)"
        self._record(Kind.REFUSED, text, lying.exam)
        self.leftovers.look_soon()
        return True

    def _refuse_kept(self, seen: Seen, lying: Lying) -> bool | None:
        """Keep a copy in quarantine; whether that is done where it was refused before, or has changed."""
        data = originals.read_still(self._folder, seen) if seen.size <= pdf.MAX_SIZE else b""
        if data is None:
            return False
        digest = hashlib.sha256(data or f"{seen.size} {seen.mtime}".encode()).hexdigest()
        if digest in self._exams.remembered(self._name(seen)).values():
            self._remember(seen, digest)
            return True
        name = f"file{seen.path.suffix.lower()}"
        try:
            where = originals.where(self._folder, seen)
        except FileNotFoundError:
            return False
        folder = self._quarantine.keep(name, data, self._clock.now(), "report", _reason(lying))
        with self._exams.transaction():
            self.leftovers.refused(replace(lying, kept=folder.name, mark=digest, place=where))
            self._remember(seen, digest)
        return None

    def _reject(self, seen: Seen, lying: Lying) -> Sequence[SetAside]:
        begun = self.leftovers.begin(lying)
        try:
            moved = originals.reject(self._folder, seen, _reason(lying))
        except OSError:
            if begun is not None and self._is_there(seen):
                self.leftovers.take_back(begun)
            raise
        if begun is not None and not moved:
            self.leftovers.take_back(begun)
        if moved:
            with self._exams.transaction():
                self._note(moved)
                self.leftovers.refused(replace(lying, place=moved[0]))
        return moved

    def _is_there(self, seen: Seen) -> bool:
        try:
            originals.where(self._folder, seen)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return True

    def _lying(self, seen: Seen, error: InvalidData) -> Lying:
        name, stem = self._name(seen), originals.stem_of(self._folder, seen.path)
        why = str(error.fields.get("why", _form(seen)))
        said = "" if why == _POISON else refused_files.beginning(self._folder, seen)
        exam = refused_files.exam_of(self._exams.files, stem, self._exams.exam_named(**self._names(stem)), said)
        return Lying(
            kind=FileKind.REJECTED, path=name, why=why, text=error.message, exam=exam,
            branch=branch_named(self._config.hospital, name), mark=self._clock.now().isoformat(),
        )  # fmt: skip

    # -- files that stay

    def dealt_with(self, seen: Seen) -> bool:
        """Whether this very file, which stays in the folder, was taken or refused before."""
        return self._keeps and (seen.size, _kept_time(seen)) in self._exams.remembered(self._name(seen))

    def _remember(self, seen: Seen, digest: str) -> None:
        self._exams.remember(self._name(seen), seen.size, _kept_time(seen), digest)

    def _name(self, seen: Seen) -> str:
        return originals.name_of(self._folder, seen.path)

    def _record(self, kind: Kind, text: str, exam: int | None) -> None:
        self._bus.record(Event(self._clock.now(), kind, text, exam=exam))


_IN_CHINESE = "该文件无法读取或缺少检查记录ID（ExamId），未被接收；请更正后重新放入文件夹。"


def _reason(lying: Lying) -> str:
    return f"{lying.text}\n{_IN_CHINESE}\n"


def branch_named(hospital: Hospital, stem: str) -> str:
    """The branch (院区) of a JSON that names none: that whose folder it came in, else the hospital's own."""
    code = branch_of_folder(hospital, stem)
    return hospital.HospitalBranchCode if code is None else code


def study_named(stem: str) -> dict[str, str]:
    """The study that the name of an encapsulated PDF holds, as a group of the pattern's."""
    return {"study_uid": stem.removeprefix(OF_STUDY)} if stem.startswith(OF_STUDY) else {}


def reported(key: ExamKey | None) -> tuple[str, str]:
    """Digests of what the report says, and of that with its times."""
    if key is None:
        return "", ""
    content = "\0".join(key.reported)
    whole = f"{content}\0{key.submit_time}\0{key.approve_time}"
    return hashlib.sha256(content.encode()).hexdigest(), hashlib.sha256(whole.encode()).hexdigest()


def digest_of(data: bytes, document: Mapping[str, object]) -> str:
    """Of an exam JSON as it came; of an HL7 message what it says, for each sending has another time and number."""
    said = json.dumps(document, sort_keys=True).encode() if hl7v2.is_message(data) else data
    return hashlib.sha256(said).hexdigest()


def intact(data: bytes, proof: Proof) -> bool:
    """Whether a document's copy is what came, as far as anybody knows."""
    return not proof.checksum or hashlib.sha256(data).hexdigest() == proof.checksum


def _or_fault(read: Callable[P, T], *given: P.args, **named: P.kwargs) -> T | InvalidData:
    """Result of reading a file, or why it cannot be read: whatever is in it costs that file only."""
    try:
        return read(*given, **named)
    except InvalidData as error:
        return error
    except Exception as error:  # noqa: BLE001  # the file is refused with this reason
        return InvalidData(f"the file has a value that cannot be read ({type(error).__name__})", why="value")


def _source(dropped: Dropped) -> Mapping[str, object]:
    said = dropped.said if dropped.words is not None and dropped.said is not None else PdfText(unread=True)
    text = None if said.unread else said.text
    checksum = hashlib.sha256(dropped.data).hexdigest()
    return note(dropped.stem, dropped.digest, dropped.file_time, checksum=checksum, text=text, made=said.made)


def _kept_time(seen: Seen) -> int:
    """The file's time as a database keeps it, in 64 bits: a share may give one of the year 30828."""
    return max(-(2**63), min(seen.mtime, 2**63 - 1))


def _form(seen: Seen) -> str:
    return seen.path.suffix.lower().removeprefix(".")
