"""Report PDFs needed again after their copies were removed: from their HL7 message, from done/ or the drop folder."""

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import suppress

from router.catalogue.exams.originals import Missed, Originals
from router.config.folders import SOLE, DropFolder
from router.errors import InvalidData
from router.intake.origin import located, origin_of, stem_of
from router.reports.folder import originals
from router.reports.folder.directory import opened
from router.reports.folder.settle import Seen
from router.storage.reports import Reports

_ENDINGS = (".pdf", ".PDF", ".Pdf")
_SAME_NAMES = 20  # of one name in done/


class Recovery:
    """Each PDF of the drop folder `at` is looked for once, that of a message with the common folder's.

    `pdf_of` gives the PDF in an HL7 message.
    """

    def __init__(
        self, at: DropFolder, originals: Originals, reports: Reports, pdf_of: Callable[[bytes], bytes | None]
    ) -> None:  # fmt: skip
        self._at, self._folder = at, at.path
        self._originals = originals
        self._reports = reports
        self._pdf_of = pdf_of
        self._tried: set[tuple[int, object]] = set()

    def found(self) -> Iterator[tuple[Missed, bytes]]:
        """The PDFs that are still somewhere, with their bytes."""
        for missed in self._originals.missed():
            if (mark := (missed.document, missed.purged)) in self._tried or not self._is_ours(missed):
                continue
            try:
                data = next((data for data in self._candidates(missed) if _is(missed, data)), None)
            except OSError:  # the drop folder's own alarm tells of a share that is away
                continue
            self._tried.add(mark)
            if data is not None:
                yield missed, data

    def _is_ours(self, missed: Missed) -> bool:
        return not self._at.hospital if missed.message else self._place(missed.stem) is not None

    def _place(self, name: str) -> str | None:
        """The name below this folder of what is kept under a name; None where it came by another way."""
        if self._at.hospital == SOLE:
            return name
        hospital, own = origin_of(name)
        return own if hospital == self._at.hospital else None

    def _candidates(self, missed: Missed) -> Iterator[bytes | None]:
        if missed.message:
            with suppress(InvalidData, FileNotFoundError):
                yield self._pdf_of(self._reports.read(missed.message))
            return
        for path, size, mtime in self._originals.staying(missed.digest):
            if (own := self._place(path)) is not None:
                yield originals.read_still(self._folder, Seen(self._folder / own, size, mtime))
        places = [(self._noted(home), place) for home, place in _places(self._place(missed.stem) or "")]
        with opened(self._folder) as top:
            for lying in self._originals.lying(places):
                yield originals.read_aside(top, lying if self._at.hospital == SOLE else located(lying)[1])

    def _noted(self, home: bytes) -> bytes:
        return os.fsencode(stem_of(self._at.hospital, os.fsdecode(home)))


def _is(missed: Missed, data: bytes | None) -> bool:
    return data is not None and hashlib.sha256(data).hexdigest() == missed.digest


def _places(stem: str) -> Iterator[tuple[bytes, bytes]]:
    """Every home and place in done/ that the original of a PDF of this stem may have."""
    for code in ("utf-8", "gb18030"):
        parts = stem.encode(code, "replace").split(b"/")
        for split in range(len(parts)):
            *below, name = parts[split:]
            for number in range(1, _SAME_NAMES + 1):
                mark = b"" if number == 1 else b"~%d" % number
                for ending in _ENDINGS:
                    last = name + mark + ending.encode()
                    yield b"/".join(parts[:split]), b"/".join((originals.DONE.encode(), *below, last))
