"""Check of files against the index: every acknowledged instance has its row, its file, and its digest."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from router.catalogue.images.instances import Instances
from router.dicom.dataset.header import digest
from router.errors import InvalidData
from router.storage.studies import Studies

Progress = Callable[[Iterable[Path]], Iterable[Path]]


@dataclass(frozen=True, slots=True)
class Check:
    """`instances` counts rows; the lists hold paths below studies/, which are made of UIDs."""

    instances: int
    missing: tuple[str, ...]
    corrupt: tuple[str, ...]
    unindexed: tuple[str, ...]

    @property
    def sound(self) -> bool:
        """Whether nothing is missing, corrupt or without a row."""
        return not (self.missing or self.corrupt or self.unindexed)


def take(studies: Studies, instances: Instances, waiting: Callable[[Path], bool], progress: Progress) -> Check:
    """Compare rows and files byte for byte; safe on a running node. `waiting`: whether a file's row is yet to come."""
    on_disk = set(studies.walk())
    rows = {studies.path(row.uids, row.version): row.digest for row in instances.walk()}
    corrupt = [path for path in progress(sorted(on_disk & set(rows))) if not _intact(path, rows[path])]
    # A file that was filed during the first walk has its row by now.
    later = {studies.path(row.uids, row.version) for row in instances.walk()}
    missing = [path for path in rows if not path.exists()]
    unindexed = [path for path in on_disk - set(rows) - later if not waiting(path)]
    return Check(len(rows), studies.names(missing), studies.names(corrupt), studies.names(unindexed))


def _intact(path: Path, expected: str) -> bool:
    try:
        return digest(path) == expected
    except (InvalidData, OSError):
        return False
