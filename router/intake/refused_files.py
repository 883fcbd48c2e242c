"""The exam that a refused file seems to be of: what `explain` tells with that exam, and nothing else goes by."""

from collections.abc import Callable
from pathlib import Path

from router.catalogue.exams.files import FolderFiles
from router.matching.report_pdf.naming import words
from router.reports.folder import originals
from router.reports.folder.settle import Seen

_LONGEST, _BEGINNING = 2**20, 2**16  # bytes of a file that is searched, and of it


def exam_of(files: FolderFiles, stem: str, named: int | None, said: str) -> int | None:
    """The one exam by the name, by the pattern on it (`named`), by a text's numbers, or by a near name; else None."""
    numbers = [word for word in words(said) if any(sign.isdigit() for sign in word)]
    looks: tuple[Callable[[], list[int]], ...] = (
        lambda: files.exams_of(stem),
        lambda: [] if named is None else [named],
        lambda: files.exams_named(numbers),
        lambda: files.exams_of(stem, nearly=True),
    )
    return next((found[0] for look in looks if len(found := look()) == 1), None)


def beginning(folder: Path, seen: Seen) -> str:
    """The beginning of a JSON or an HL7 message, which may be cut off, or be none; "" where it cannot be read."""
    if seen.path.suffix.lower() == ".pdf" or seen.size > _LONGEST:
        return ""
    try:
        data = originals.read_still(folder, seen) or b""
    except OSError:
        return ""
    return data[:_BEGINNING].decode("utf-8", "replace")
