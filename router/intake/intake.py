"""The steps of the intake: read, decide, write rows, make copies durable, set the original aside.

Many files at a time: their copies become durable together before the one transaction ends that names them. A crash
before an original is moved loses nothing: the file is found again, and is known by name, content and time.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

from router.alarms import Alarm
from router.catalogue.exams.documents import Proof
from router.catalogue.exams.exams import Exams
from router.catalogue.exams.filing import Binding, Filed, Filing
from router.clock import Clock
from router.config.folders import SOLE, DropFolder, drop_folders
from router.config.sections import Config
from router.errors import InvalidData, RouterError
from router.events import Event, EventBus, Kind
from router.exam.key import ExamKey
from router.intake import pairing
from router.intake.document import OF_STUDY, ReadDocument, reported
from router.intake.exam_reader import ExamReader
from router.intake.leftovers import Leftovers
from router.intake.merges import propose
from router.intake.numbered import registry_of
from router.intake.origin import noted, origin_of, stem_of
from router.intake.pairing import Names, Rules
from router.intake.reading import DocumentReader, ReadBatch
from router.intake.recovery import Recovery
from router.intake.refused_files import RefusedFiles
from router.matching.exam.institution import UNREGISTERED
from router.matching.images.join import JoinedBy
from router.matching.report_pdf.naming import number_of, words
from router.reports.folder import originals
from router.reports.folder.settle import Seen
from router.reports.hl7.merge import merges
from router.reports.pdf.reader import PdfText, Readers
from router.storage import Storage
from router.storage.reports import Copies, made_at, note
from router.text.language import N_

_FORMS = N_({"json": "exam JSON", "xml": "exam XML", "hl7": "HL7 message", "pdf": "report PDF"})
_BEFORE_SECOND_TRY = timedelta(minutes=1)


class Intake:
    """Takes settled files of the drop folder `at`, a batch at a time, and what comes otherwise.

    `fence` raises where another node takes them by now. Without `at` it is the common folder. Intakes of several
    folders file one after the other, under one `filing`.
    """

    def __init__(
        self, config: Config, exam_reader: ExamReader, exams: Exams, storage: Storage, bus: EventBus, clock: Clock,
        readers: Readers | None = None, fence: Callable[[], None] = lambda: None, *, at: DropFolder | None = None,
        filing: AbstractContextManager[object] | None = None,
    ) -> None:  # fmt: skip
        self.at = at = at or drop_folders(config)[0]
        self._config = config
        self._exam_reader = exam_reader
        self._folder, self._keeps = at.path, at.keeps
        self._names = Names.by(config)
        self._exams = exams
        self._reports = storage.reports
        self._bus = bus
        self._clock = clock
        self._filing = filing or threading.Lock()  # drop folders and listeners for HL7 file at the same time
        self._fence = fence
        self._used = False
        self._reader = DocumentReader(
            config, exam_reader, at, incoming=storage.incoming, clock=clock, readers=readers or Readers()
        )  # fmt: skip
        self.leftovers = Leftovers(
            config, exams, at, quarantine=storage.quarantine, bus=bus, clock=clock, fence=fence
        )  # fmt: skip
        self._refused = RefusedFiles(
            config, exams, at, quarantine=storage.quarantine, leftovers=self.leftovers, bus=bus, clock=clock
        )  # fmt: skip
        self._recovery = Recovery(
            at, exams.originals, storage.reports, lambda data: exam_reader.message(data).pdf()
        )  # fmt: skip

    def reconfigure(self, config: Config) -> None:
        """Check by this configuration from the next file on; the folder stays."""
        self._config, self._names = config, Names.by(config)
        for part in (self._reader, self._refused, self.leftovers):
            part.reconfigure(config)

    def close(self) -> None:
        """End the programs that read PDFs."""
        self._reader.close()

    # -- what comes

    def read(self, batch: Sequence[Seen]) -> ReadBatch:
        """Read and check the files of a batch."""
        return self._reader.batch(batch)

    def refuse(self, seen: Seen, error: InvalidData) -> bool:
        """Set a file aside with the reason; False where it has changed, to be read again. OSError when it cannot be."""
        return self._refused.refuse(seen, error)

    def dealt_with(self, seen: Seen) -> bool:
        """Whether this very file, which stays in the folder, was taken or refused before."""
        return self._keeps and self._exams.originals.remembers(self._name(seen), seen.size, seen.mtime)

    def take_message(self, data: bytes, port: str | None = SOLE) -> None:
        """Take an HL7 message that is no file; on return its copy is durable and its rows are there.

        `port` is the hospital whose port it came by, None for one that several share.

        Raises InvalidData when it is none, OSError and TransientError when it cannot be kept now. The same one again
        changes nothing, so a sender that got no answer sends it again. A merge of patients is kept as a proposal.
        """
        if (found := merges(data)) is not None:
            propose(self._exams.proposals, self._config, port, found, self._bus, self._clock)
            return
        self.file(self._reader.message(data, port))

    def take_encapsulated(self, study_uid: str, data: bytes, received: datetime) -> None:
        """Take the PDF of a DICOM instance for the exam of its study; without one it waits, as `pair_studies` looks.

        Raises InvalidData when it is no PDF, OSError and TransientError when it cannot be kept. The same again changes
        nothing.
        """
        self.file(self._reader.pdf(f"{OF_STUDY}{study_uid}", data, received))

    def pair_studies(self) -> None:
        """Give the PDFs that wait by their study to the exam that has it by now; of several, to the one they name."""
        if not self._exams.snapshots.of_studies():
            return
        copies, now = self._reports.copies(), self._clock.now()
        with self._filing:
            with self._exams.transaction():
                self._fence()
                for filing in pairing.study_filings(self._exams.snapshots.of_studies(), self.comes_by_study):
                    self._write(filing, copies, now)
                copies.close()
            copies.forget()

    def comes_by_study(self, hospital: str) -> bool:
        """Whether a PDF received by C-STORE is the report of this hospital's exam; of no certain one it may be."""
        own = self._config.for_hospital(hospital) if self._config.several else None
        return own is None or own.reports.encapsulated_pdf

    def recover(self) -> None:
        """Take back the PDFs that are needed once more and whose copies were removed, where they still are."""
        for missed, data in self._recovery.found():
            if not isinstance(self._reader.text(data), InvalidData):
                self.file(self._reader.pdf(missed.stem, data, missed.file_time))

    # -- filing

    def file(self, found: Sequence[ReadDocument]) -> dict[Seen, OSError]:
        """Enter what was read and set the originals aside; those that could not be, and why."""
        with self._filing:
            poisonous = self._enter_safely(found)
        files = dict.fromkeys(document.seen for document in found if document.seen is not None)
        failed = {} if self._keeps else self._set_aside(seen for seen in files if seen not in poisonous)
        for seen, error in poisonous.items():
            self.refuse(seen, error)
        self.leftovers.look_soon()
        return failed

    def _enter_safely(self, found: Sequence[ReadDocument]) -> dict[Seen, InvalidData]:
        """Enter all; where that cannot be done, one file after the other. A file that cannot be entered stops no other.

        RouterError and OSError are no file's fault; nor is anything that a message raises, whose sender gets it.
        """
        try:
            self._enter_all(found)
        except (RouterError, OSError):
            raise
        except Exception as error:  # whatever a value from outside raises
            by_file: dict[Seen | None, list[ReadDocument]] = {}
            for document in found:
                by_file.setdefault(document.seen, []).append(document)
            if None in by_file:
                raise InvalidData(f"it has a value that cannot be kept ({type(error).__name__})") from error
            return {seen: fault for seen, one in by_file.items() if seen and (fault := self._fault_of(one))}
        return {}

    def _fault_of(self, one: Sequence[ReadDocument]) -> InvalidData | None:
        """Enter what one file holds; why that cannot be done."""
        try:
            self._enter_all(one)
        except (RouterError, OSError):
            raise
        except Exception as error:  # noqa: BLE001  # as above; the file is refused with this reason
            return InvalidData(f"the file has a value that cannot be kept ({type(error).__name__})", why="value")
        return None

    def _enter_all(self, found: Sequence[ReadDocument]) -> None:
        """Copies become durable before the transaction ends that names them."""
        copies, files = self._reports.copies(), [document for document in found if document.seen is not None]
        with self._exams.transaction():
            if files:  # a message is its receiver's, whoever it is
                self._fence()
                self._note_used()
            message = None
            for document in found:
                if document.key is not None:
                    message = self._enter_json(document, document.key, copies)
                else:
                    self._enter_pdf(document, copies, message if document.owner is not None else None)
            names = {document.seen: self._name(document.seen) for document in files if document.seen is not None}
            if self._keeps:
                digests = {document.seen: document.digest for document in files}
                for seen, name in names.items():
                    self._exams.originals.remember(name, seen.size, seen.mtime, digests[seen])
            self.leftovers.replaced(set(names.values()))
            copies.close()
        copies.forget()

    def _note_used(self) -> None:
        """Write down that files came in a hospital's own folder: it is not empty from then on while it is there."""
        if self.at.hospital and not self._used:
            self._exams.files.use(self.at.hospital)
            self._used = True

    def _enter_json(self, document: ReadDocument, key: ExamKey, copies: Copies) -> int | None:
        """Enter it unless it is known; its document, where one was entered or it is an HL7 message."""
        found = self._exams.snapshots.json(
            key, stem=document.stem, digest=document.digest, since=document.since, numbers=pairing.numbers_of(key),
            patterned=self._names.patterned, is_own=lambda stem: self._within(stem) is not None,
        )  # fmt: skip
        now = self._clock.now()
        filing = pairing.json_filing(found, document, key, self._rules, now)
        entered = self._write(filing, copies, now, document).document
        again = pairing.message_of(found, document.digest) if document.form == "hl7" else None
        return entered or again

    def _enter_pdf(self, document: ReadDocument, copies: Copies, message: int | None) -> None:
        found = self._exams.snapshots.pdf(
            stem=document.stem, digest=document.digest, since=document.since, owner=document.owner,
            names={} if document.of_study else self._names.of(document.stem), number=number_of(document.stem),
            within=self._within(document.stem),
        )  # fmt: skip
        now = self._clock.now()
        self._write(pairing.pdf_filing(found, document, self._rules, now, message), copies, now, document)

    @property
    def _rules(self) -> Rules:
        return Rules(registry_of(self._config), self._names)

    def _within(self, stem: str) -> str | None:
        """The hospital whose way a document came by; None for a shared way, and where there is one hospital alone."""
        return origin_of(stem)[0] if self._config.several else None

    # -- rows and copies

    def _write(self, filing: Filing, copies: Copies, now: datetime, document: ReadDocument | None = None) -> Filed:
        """Write the rows, have the copies made that they name, and record what happened."""
        filed = self._exams.filings.write(filing, self._vacant, now)
        if document is not None and filed.document is not None:
            copies.keep(filed.place, document.data, _source(document))
        if filing.restores is not None and filing.restores.place:
            copies.drop(filing.restores.place)
        self._record_document(filing, filed, now)
        for uid in filed.linked:
            self._bus.record(Event(now, Kind.JOINED, JoinedBy.LISTED, exam=filed.exam, study_uid=uid))
        for binding, (revision, place) in zip(filing.binds, filed.bound, strict=True):
            copies.move(binding.pdf.place, place, stays=bool(binding.pdf.sent))
            self._record(Kind.DOCUMENT, f"revision {revision}: {binding.how}", filed.exam, now)
            if binding.pdf.owner is not None:
                self._record_taken_over(binding, now)
        return filed

    def _vacant(self, form: str, exam: int | None, number: int) -> str:
        """The place of a document; "" where something lies there: a crash may leave a copy that no row names."""
        place = self._reports.place(form, exam, number)
        return "" if exam is not None and self._reports.taken(place) else place

    def _record_document(self, filing: Filing, filed: Filed, now: datetime) -> None:
        revision, exam, text = filed.revision, filed.exam, ""
        if (lost := filing.restores) is not None:
            document, exam = lost.document, lost.exam
            text = f"revision {revision}: document {document}, whose copy was damaged, again"
            if not lost.place:
                text = f"revision {revision}: the report PDF whose copy had been removed"
        elif filing.enters is not None:
            what = _FORMS[filing.form]
            text = (
                f"revision {revision}: {what}" if exam else f"{what} that no exam is known for: it waits for its JSON"
            )
        if text:
            self._record(Kind.DOCUMENT, text, exam, now)

    def _record_taken_over(self, binding: Binding, now: datetime) -> None:
        """A name that the RIS used twice brought the exam's PDF to the one whose JSON was there before."""
        text = "the PDF that came under its name names another exam, whose JSON has come now: it goes with that one"
        self._record(Kind.DOUBT, text, binding.pdf.owner, now)
        text = "a report PDF was handed to a destination and belongs to another exam; the exam needs its own PDF"
        for delivery, destination in binding.pdf.sent.items():  # until the exam's own PDF is delivered there
            self._bus.record(Event(
                now, Kind.ALARM, text, exam=binding.pdf.owner, delivery=delivery, fields={"destination": destination},
                alarm=Alarm.DELIVERED_IN_DOUBT, subject=f"d{delivery}",
            ))  # fmt: skip

    def _record(self, kind: Kind, text: str, exam: int | None, now: datetime) -> None:
        self._bus.record(Event(now, kind, text, exam=exam))

    def _set_aside(self, files: Iterable[Seen]) -> dict[Seen, OSError]:
        failed, moved = {}, []
        for seen in files:
            try:
                lying = originals.set_aside(self._folder, seen, originals.DONE)
            except OSError as error:
                failed[seen] = error
            else:
                moved += [] if lying is None else [noted(self.at.hospital, lying)]
        # Below done/, only files that were noted are ever removed.
        self._exams.originals.note(moved, self._clock.now())
        return failed

    def _name(self, seen: Seen) -> str:
        return stem_of(self.at.hospital, originals.name_of(self._folder, seen.path))

    # -- reading again

    def reread(self, exams: Iterable[int]) -> None:
        """Read the JSONs of these exams again: the mapping file may have been corrected since they came."""
        for exam in exams:
            case = self._exams.case(exam)
            for version in case.jsons:
                try:
                    data = self._reports.read(case.places[version.document])
                    if not intact(data, case.proofs.get(version.document, Proof())):
                        continue
                    reader = self._exam_reader.of(case.hospital)
                    key = reader.key(reader.read(data), case.hospital, case.branch)
                except (InvalidData, OSError):
                    continue  # the exam's evaluation reports it; the others must not wait for it
                if self._exams.documents.restate(version.document, key, *reported(key)):
                    self._exams.request_evaluation([exam], self._clock.now())

    def refile(self) -> None:
        """File the exams of no registered hospital again: theirs may be registered by now."""
        for exam in self._exams.of_hospital(UNREGISTERED):
            case = self._exams.case(exam)
            try:
                keys = [
                    self._exam_reader.stored(self._reports.read(case.places[one.document]), one.stem)[1]
                    for one in case.jsons
                ]
            except (InvalidData, OSError):
                continue  # it stays as it is, held
            named = {(key.hospital, key.branch, key.exam_id) for key in keys}
            if len(named) == 1 and keys[0].hospital != UNREGISTERED:
                with self._filing:
                    if self._exams.refile(exam, *named.pop()):
                        self._exams.request_evaluation([exam], self._clock.now())

    def read_again(self) -> None:
        """Read the PDFs a second time whose text could not be read in its processor time a minute ago or before."""
        for unread in self._exams.documents.unread(self._clock.now() - _BEFORE_SECOND_TRY):
            try:
                text = self._reader.text(self._reports.read(unread.place))
            except OSError:
                continue  # it was moved or removed just now
            read = text if isinstance(text, PdfText) and not text.unread else None
            if read is not None:
                source = self._reports.source(unread.place)
                file_time, made = datetime.fromisoformat(source["file_time"]), read.made or made_at(source)
                checksum = source.get("checksum", "")
                noted = note(source["name"], source["digest"], file_time, checksum=checksum, text=read.text, made=made)
                self._reports.note(unread.place, noted)
            found = words(text.text) if isinstance(text, PdfText) else frozenset()
            with self._filing, self._exams.transaction():
                pdf = self._exams.documents.unread_pdf(unread.document)
                own = frozenset() if pdf.exam is None else self._exams.pdf_names.identifiers(pdf.exam)
                named = pairing.second_reading(pdf, found, own)
                self._exams.documents.reread(named, found, self._clock.now(), read=read is not None)


def intact(data: bytes, proof: Proof) -> bool:
    """Whether a document's copy is what came, as far as anybody knows."""
    return not proof.checksum or hashlib.sha256(data).hexdigest() == proof.checksum


def _source(document: ReadDocument) -> Mapping[str, object]:
    read = document.text if document.words is not None and document.text is not None else PdfText(unread=True)
    text = None if read.unread else read.text
    return note(
        document.stem, document.digest, document.file_time, checksum=document.checksum, text=text, made=read.made,
        hospital="" if document.key is None else document.key.hospital,
    )  # fmt: skip
