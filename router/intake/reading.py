"""Reading of dropped files, HL7 messages and DICOM PDFs: bytes become documents, without the database."""

import hashlib
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from router.clock import Clock
from router.config.folders import SOLE, DropFolder
from router.config.sections import Config
from router.errors import InvalidData
from router.exam.xml_document import is_xml
from router.intake.document import ReadDocument, digest_of
from router.intake.exam_reader import ExamReader, Opened
from router.intake.origin import stem_of
from router.matching.report_pdf.naming import words
from router.reports.folder import originals
from router.reports.folder.settle import Seen
from router.reports.pdf import pdf
from router.reports.pdf.reader import PdfText, Readers
from router.storage.incoming import Incoming

P = ParamSpec("P")
T = TypeVar("T")
POISON = "poison"
"""Why a file is refused whose reading has ended the program more than once."""
_MOST_ENDED = 2  # as with instances


@dataclass(frozen=True, slots=True)
class ReadBatch:
    """A batch as read: documents, faulty files, unreadable ones; `changed` are gone, or not as they were scanned."""

    documents: tuple[ReadDocument, ...]
    invalid: Mapping[Seen, InvalidData]
    unreadable: Mapping[Seen, OSError]
    changed: tuple[Seen, ...]

    @property
    def files(self) -> frozenset[Seen]:
        """The files of the documents."""
        return frozenset(document.seen for document in self.documents if document.seen is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """Origin of bytes: a file, or None; their form, name and time."""

    seen: Seen | None
    form: str
    stem: str
    at: datetime


class DocumentReader:
    """Reads one batch of the drop folder `at` while another one is filed."""

    def __init__(
        self, config: Config, exam_reader: ExamReader, at: DropFolder, *, incoming: Incoming, clock: Clock,
        readers: Readers,
    ) -> None:  # fmt: skip
        self._config = config
        self._exam_reader = exam_reader
        self._at, self._folder = at, at.path
        self._incoming = incoming
        self._clock = clock
        self._readers = readers
        self._opening = threading.Lock()  # senders of HL7 messages share the memory that one takes

    def reconfigure(self, config: Config) -> None:
        """Read by this configuration from the next file on; the folder stays."""
        self._config = config

    def close(self) -> None:
        """End the programs that read PDFs."""
        self._readers.close()

    def batch(self, files: Sequence[Seen]) -> ReadBatch:
        """Read and check the files of a batch."""
        data, invalid, unreadable = self._bytes(files)
        changed = tuple(seen for seen in files if not (seen in data or seen in invalid or seen in unreadable))
        opened: dict[Seen, bytes | Opened] = {}
        for seen, content in data.items():
            with self._incoming.dropped.at(self._attempt(seen)):
                found = _or_fault(self._open, form_of(seen), content, self._at.hospital)
            if isinstance(found, InvalidData):
                invalid[seen] = found
            else:
                opened[seen] = found
        texts = self._texts(opened)
        documents: list[ReadDocument] = []
        for seen, one in opened.items():
            with self._incoming.dropped.at(self._attempt(seen)):
                read = _or_fault(self._documents, self._origin(seen), data[seen], one, texts.get(seen, PdfText()))
            if isinstance(read, InvalidData):
                invalid[seen] = read
            else:
                documents += read
        return ReadBatch(tuple(documents), invalid, unreadable, changed)

    def message(self, data: bytes, port: str | None = SOLE) -> list[ReadDocument]:
        """Read an HL7 message that is no file; `port` as of Hl7Port; InvalidData when it is none.

        On a shared port the sending facility (MSH-4) may tell the hospital. The message has its name then, as one that
        came by a port of that hospital.
        """
        with self._opening:
            opened = _or_fault(self._exam_reader.open_message, data, port)
        if isinstance(opened, InvalidData):
            raise opened
        (text,) = self._readers.read([opened.pdf]) if opened.pdf is not None else (PdfText(),)
        way = opened.sender if port is None else port
        key = self._exam_reader.key_in(opened.document, opened.hospital, stem_of(way, ""))
        # By the constants of the message alone: the names of two hospitals' exams differ all the same.
        told = [opened.hospital] if way is None and opened.hospital else []
        stem = stem_of(way, "/".join(("mllp", *told, key.branch, key.exam_id)))
        origin = _Origin(seen=None, form="hl7", stem=stem, at=self._clock.now())
        return self._documents(origin, data, opened, text)

    def pdf(self, stem: str, data: bytes, at: datetime) -> list[ReadDocument]:
        """Read a PDF under this name; InvalidData when it is none."""
        (text,) = self._readers.read([data])
        return self._documents(_Origin(seen=None, form="pdf", stem=stem, at=at), data, data, text)

    def text(self, data: bytes) -> PdfText | InvalidData:
        """Read the text of a PDF."""
        return self._readers.read([data])[0]

    # -- steps of a batch

    def _bytes(
        self, files: Sequence[Seen]
    ) -> tuple[dict[Seen, bytes], dict[Seen, InvalidData], dict[Seen, OSError]]:  # fmt: skip
        data: dict[Seen, bytes] = {}
        invalid: dict[Seen, InvalidData] = {}
        unreadable: dict[Seen, OSError] = {}
        for seen in files:
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
        return data, invalid, unreadable

    def _require_sound(self, seen: Seen) -> None:
        """InvalidData for a file at whose reading the program ended, time after time."""
        if (ended := self._incoming.dropped.ended(self._attempt(seen))) >= _MOST_ENDED:
            raise InvalidData(f"reading it has ended the program {ended} times", why=POISON)

    def _attempt(self, seen: Seen) -> Path:
        """The name under which attempts at the file, as it is, are counted; its own may be long, and a patient's."""
        path = os.fsencode(stem_of(self._at.hospital, os.fspath(seen.path.relative_to(self._folder))))
        return Path(hashlib.sha256(path + f"\0{seen.size}\0{seen.mtime}".encode()).hexdigest()[:32])

    def _origin(self, seen: Seen) -> _Origin:
        stem, at = originals.stem_of(self._folder, seen.path), originals.file_time(seen, self._clock.now())
        return _Origin(seen=seen, form=form_of(seen), stem=stem_of(self._at.hospital, stem), at=at)

    def _open(self, form: str, data: bytes, origin: str | None) -> bytes | Opened:
        """A PDF as it is, anything else as it reads."""
        if form == "pdf":
            return data
        if form != "hl7" and (form == "xml") != is_xml(data):
            raise InvalidData("not XML" if form == "xml" else "not JSON but XML", hint="name it by what it is")
        return (self._exam_reader.open_message if form == "hl7" else self._exam_reader.open)(data, origin)

    def _texts(self, opened: Mapping[Seen, bytes | Opened]) -> dict[Seen, PdfText | InvalidData]:
        found = {seen: one.pdf if isinstance(one, Opened) else one for seen, one in opened.items()}
        pdfs = {seen: data for seen, data in found.items() if data is not None}
        return dict(zip(pdfs, self._readers.read(list(pdfs.values())), strict=True)) if pdfs else {}

    def _documents(
        self, origin: _Origin, data: bytes, opened: bytes | Opened, text: PdfText | InvalidData
    ) -> list[ReadDocument]:  # fmt: skip
        """The exam JSON that a file holds, then its PDF."""
        found, key, pdf_data = list[ReadDocument](), None, opened if isinstance(opened, bytes) else opened.pdf
        hospital = self._at.hospital
        if isinstance(opened, Opened):
            hospital = opened.hospital
            key = self._exam_reader.key_in(opened.document, hospital, origin.stem)
            found.append(ReadDocument(
                seen=origin.seen, form=origin.form, stem=origin.stem, data=data,
                digest=digest_of(data, opened.document), file_time=origin.at, key=key,
            ))  # fmt: skip
        if pdf_data is not None:
            if isinstance(text, InvalidData):
                raise text
            config = (self._config.for_hospital(hospital) if hospital is not None else None) or self._config
            found.append(ReadDocument(
                seen=origin.seen, form="pdf", stem=origin.stem, data=pdf_data,
                digest=hashlib.sha256(pdf_data).hexdigest(), file_time=origin.at,
                words=words(text.text) if config.reports.pdf_text_check else None, owner=key, text=text,
            ))  # fmt: skip
        return found


def form_of(seen: Seen) -> str:
    """The form that a file's ending says: json, xml, hl7 or pdf."""
    return seen.path.suffix.lower().removeprefix(".")


def _or_fault(read: Callable[P, T], *given: P.args, **named: P.kwargs) -> T | InvalidData:
    """Result of reading a file, or why it cannot be read: whatever is in it costs that file only."""
    try:
        return read(*given, **named)
    except InvalidData as error:
        return error
    except Exception as error:  # noqa: BLE001  # the file is refused with this reason
        return InvalidData(f"the file has a value that cannot be read ({type(error).__name__})", why="value")
