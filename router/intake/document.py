"""A document as it was read: an exam JSON, an HL7 message or a report PDF, wherever it came from."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from router.catalogue.exams.documents import TakenDocument
from router.config.sections import Config, Hospital
from router.exam.key import ExamKey
from router.intake.numbered import branch_of_folder
from router.intake.origin import name_of, origin_of
from router.reports.folder.settle import Seen
from router.reports.hl7 import hl7v2
from router.reports.pdf.reader import PdfText

OF_STUDY = "dicom:"
"""Begins the name of a PDF that came as a DICOM instance; its study's UID follows."""
_EVER = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDocument:
    """A file of the drop folder, a part of an HL7 message, or a DICOM PDF; `seen` is None for what is no file.

    `key` is None for a PDF. `words` are those of its text, None where its text was not asked for; `owner` is the exam
    of the message that a PDF came in; `text` is what was read of the PDF.
    """

    seen: Seen | None
    form: str
    stem: str
    data: bytes
    digest: str
    file_time: datetime
    key: ExamKey | None = None
    words: frozenset[str] | None = None
    owner: ExamKey | None = None
    text: PdfText | None = None

    @property
    def kind(self) -> str:
        """Kind of document; an HL7 message stands for the exam JSON that it is read as."""
        return "pdf" if self.form == "pdf" else "json"

    @property
    def of_study(self) -> bool:
        """Whether it is a PDF that came as a DICOM instance."""
        return self.stem.startswith(OF_STUDY)

    @property
    def since(self) -> datetime:
        """Time since which an equal document under its name is the very same; a DICOM PDF is written once for ever."""
        return _EVER if self.of_study else self.file_time

    @property
    def checksum(self) -> str:
        """SHA-256 of the bytes."""
        return hashlib.sha256(self.data).hexdigest()

    def taken(
        self, arrived: datetime, *, named: frozenset[str] = frozenset(), names: Mapping[str, str] = {},
        message: int | None = None,
    ) -> TakenDocument:  # fmt: skip
        """The document as it is entered; `named` are the words of its text that name its exam."""
        content, whole = reported(self.key)
        return TakenDocument(
            kind=self.kind, stem=self.stem, digest=self.digest, file_time=self.file_time, arrived=arrived,
            key=self.key, content=content, reported=whole, words=self.words, named=named, names=names,
            checksum=self.checksum, message=message,
            unread=self.text is not None and self.text.unread and self.words is not None,
        )  # fmt: skip


def branch_named(hospital: Hospital, name: str) -> str:
    """The branch (院区) of a JSON that names none: that whose folder it came in, else the hospital's own.

    `name` is its path below the drop folder.
    """
    code = branch_of_folder(hospital, name)
    return hospital.HospitalBranchCode if code is None else code


def branch_of_file(config: Config, stem: str) -> str:
    """The branch that a file of a drop folder is shown with; "" where several hospitals share the folder."""
    name = origin_of(stem)[0] if config.several else config.hospital[0].name
    one = next((each for each in config.hospital if each.name == name), None)
    return "" if one is None else branch_named(one, name_of(stem, one.name))


def study_named(stem: str) -> dict[str, str]:
    """The study that the name of a DICOM PDF holds, as a group of the pattern's."""
    return {"study_uid": stem.removeprefix(OF_STUDY)} if stem.startswith(OF_STUDY) else {}


def reported(key: ExamKey | None) -> tuple[str, str]:
    """Digests of findings and impression, and of these with the two times; "" for a PDF."""
    if key is None:
        return "", ""
    content = "\0".join(key.reported)
    whole = f"{content}\0{key.submit_time}\0{key.approve_time}"
    return hashlib.sha256(content.encode()).hexdigest(), hashlib.sha256(whole.encode()).hexdigest()


def digest_of(data: bytes, document: Mapping[str, object]) -> str:
    """Digest of an exam JSON's bytes; of an HL7 message's content, for each sending has another time and number."""
    content = json.dumps(document, sort_keys=True).encode() if hl7v2.is_message(data) else data
    return hashlib.sha256(content).hexdigest()
