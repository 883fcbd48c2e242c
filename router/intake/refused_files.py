"""Refused files of the drop folder: set aside with the reason, and listed with the exam that they seem to be of."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from router.catalogue.exams.exams import Exams
from router.catalogue.exams.files import FileKind, FolderFiles, Lying
from router.clock import Clock
from router.config.folders import DropFolder
from router.config.sections import Config
from router.errors import InvalidData
from router.events import Event, EventBus, Kind
from router.intake.document import branch_of_file
from router.intake.leftovers import Leftovers
from router.intake.origin import noted, stem_of
from router.intake.pairing import Names, the_one
from router.intake.reading import POISON, form_of
from router.matching.report_pdf.naming import words
from router.model import SetAside
from router.reports.folder import originals
from router.reports.folder.settle import Seen
from router.reports.pdf import pdf
from router.storage.quarantine import Quarantine

_LONGEST, _BEGINNING = 2**20, 2**16  # bytes of a file that is searched, and of it
_IN_CHINESE = "该文件无法读取或缺少检查记录ID（ExamId），未被接收；请更正后重新放入文件夹。"


class RefusedFiles:
    """Refuses files of the drop folder `at`; where originals stay there, a copy goes into quarantine."""

    def __init__(
        self, config: Config, exams: Exams, at: DropFolder, *, quarantine: Quarantine, leftovers: Leftovers,
        bus: EventBus, clock: Clock,
    ) -> None:  # fmt: skip
        self._at = at
        self._folder, self._keeps = at.path, at.keeps
        self.reconfigure(config)
        self._exams = exams
        self._quarantine = quarantine
        self._leftovers = leftovers
        self._bus = bus
        self._clock = clock

    def reconfigure(self, config: Config) -> None:
        """Go by this configuration from the next file on; the folder stays."""
        self._config, self._names = config, Names.by(config)

    def refuse(self, seen: Seen, error: InvalidData) -> bool:
        """Set a file aside with the reason; False where it has changed, to be read again. OSError when it cannot be."""
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
        self._bus.record(Event(self._clock.now(), Kind.REFUSED, text, exam=lying.exam))
        self._leftovers.look_soon()
        return True

    def _refuse_kept(self, seen: Seen, lying: Lying) -> bool | None:
        """Keep a copy in quarantine; whether that is done where it was refused before, or has changed."""
        data = originals.read_still(self._folder, seen) if seen.size <= pdf.MAX_SIZE else b""
        if data is None:
            return False
        digest = hashlib.sha256(data or f"{seen.size} {seen.mtime}".encode()).hexdigest()
        kept = self._exams.originals
        if digest in kept.remembered(lying.path).values():
            kept.remember(lying.path, seen.size, seen.mtime, digest)
            return True
        try:
            where = originals.where(self._folder, seen)
        except FileNotFoundError:
            return False
        name = f"file{seen.path.suffix.lower()}"
        folder = self._quarantine.keep(name, data, self._clock.now(), "report", _reason(lying))
        with self._exams.transaction():
            self._leftovers.refused(replace(lying, kept=folder.name, mark=digest, place=where))
            kept.remember(lying.path, seen.size, seen.mtime, digest)
        return None

    def _reject(self, seen: Seen, lying: Lying) -> Sequence[SetAside]:
        begun = self._leftovers.begin(lying)
        try:
            moved = originals.reject(self._folder, seen, _reason(lying))
        except OSError:
            if begun is not None and self._is_there(seen):
                self._leftovers.take_back(begun)
            raise
        if begun is not None and not moved:
            self._leftovers.take_back(begun)
        if moved:
            with self._exams.transaction():
                # Below rejected/, only files that were noted are ever removed.
                self._exams.originals.note([noted(self._at.hospital, one) for one in moved], self._clock.now())
                self._leftovers.refused(replace(lying, place=moved[0]))
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
        name = stem_of(self._at.hospital, originals.name_of(self._folder, seen.path))
        stem = stem_of(self._at.hospital, originals.stem_of(self._folder, seen.path))
        within = self._at.hospital or None
        why = str(error.fields.get("why", form_of(seen)))
        text = "" if why == POISON else _beginning(self._folder, seen)
        named = the_one(self._exams.named_by(self._names.of(stem), within=within))
        return Lying(
            kind=FileKind.REJECTED, path=name, why=why, text=error.message,
            exam=_exam_of(self._exams.files, stem, named, text, within), branch=branch_of_file(self._config, name),
            mark=self._clock.now().isoformat(),
        )  # fmt: skip


def _exam_of(files: FolderFiles, stem: str, named: int | None, text: str, within: str | None) -> int | None:
    """The exam that the file seems to be of: `explain` shows the file with it, and nothing else goes by it.

    The one exam by the name, by the pattern on it (`named`), by the numbers of the text, or by a near name; of the
    hospital `within`, or of any.
    """
    numbers = [word for word in words(text) if any(sign.isdigit() for sign in word)]
    looks: tuple[Callable[[], list[int]], ...] = (
        lambda: files.exams_of(stem, within=within),
        lambda: [] if named is None else [named],
        lambda: files.exams_named(numbers, within),
        lambda: files.exams_of(stem, nearly=True, within=within),
    )
    return next((found[0] for look in looks if len(found := look()) == 1), None)


def _beginning(folder: Path, seen: Seen) -> str:
    """The beginning of a JSON or an HL7 message, which may be cut off, or be none; "" where it cannot be read."""
    if seen.path.suffix.lower() == ".pdf" or seen.size > _LONGEST:
        return ""
    try:
        data = originals.read_still(folder, seen) or b""
    except OSError:
        return ""
    return data[:_BEGINNING].decode("utf-8", "replace")


def _reason(lying: Lying) -> str:
    return f"{lying.text}\n{_IN_CHINESE}\n"
