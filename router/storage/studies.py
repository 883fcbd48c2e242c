"""studies/: the filed instances, bytes as received, Part 10.

`studies/<StudyInstanceUID>/<SeriesInstanceUID>/<SOPInstanceUID>.dcm`, a second version `<SOPInstanceUID>~2.dcm`.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from router.model import InstanceUids
from router.storage.durable import link, make_folder, sync_folder, sync_folders


@dataclass(frozen=True, slots=True)
class Filing:
    """An incoming file and the place it goes to."""

    source: Path
    uids: InstanceUids
    version: int


class Studies:
    """The tree of filed instances."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        make_folder(folder)

    def path(self, uids: InstanceUids, version: int) -> Path:
        """The file of that version of the instance. The UIDs were validated when they were read."""
        suffix = "" if version == 1 else f"~{version}"
        return self._folder / uids.study / uids.series / f"{uids.sop}{suffix}.dcm"

    def taken(self, filing: Filing) -> bool:
        """Whether another file lies there: one that no row knows, for instance after the database was lost."""
        target = self.path(filing.uids, filing.version)
        return target.exists() and not target.samefile(filing.source)

    def lacks(self, filing: Filing) -> bool:
        """Whether nothing lies there."""
        return not self.path(filing.uids, filing.version).exists()

    def file(self, batch: Sequence[Filing]) -> None:
        """Give every file its place, durably; the incoming names stay until `release`, so a crash only repeats this.

        OSError when a folder does not get durable: no file has its place then, for to sync it again would say nothing.
        """
        targets = [self.path(f.uids, f.version) for f in batch]
        folders = {target.parent for target in targets}
        for folder in sorted(folders):
            make_folder(folder)
        for filing, target in zip(batch, targets, strict=True):
            link(filing.source, target)
        try:
            sync_folders(folders)
        except OSError:
            for target in targets:
                target.unlink(missing_ok=True)
            raise

    def replace(self, batch: Sequence[Filing]) -> None:
        """Like `file`, in place of a damaged file."""
        for filing in batch:
            target = self.path(filing.uids, filing.version)
            if not (target.exists() and target.samefile(filing.source)):
                fresh = target.with_name(f"{target.name}.fresh")
                fresh.unlink(missing_ok=True)
                link(filing.source, fresh)
                fresh.replace(target)
        sync_folders({self.path(filing.uids, filing.version).parent for filing in batch})

    def release(self, sources: Sequence[Path]) -> None:
        """Drop the incoming names of files whose place is recorded."""
        for source in sources:
            source.unlink(missing_ok=True)

    def remove(self, paths: Iterable[Path]) -> None:
        """Remove files that no row needs, and folders that are empty then, durably; what is gone already is skipped."""
        folders = set()
        for path in paths:
            path.unlink(missing_ok=True)
            folders.add(path.parent)
        for folder in [*folders, *{series.parent for series in folders}]:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                sync_folder(folder)
            else:
                sync_folder(folder.parent)

    def walk(self) -> Iterator[Path]:
        """Every filed instance on disk."""
        return self._folder.glob("*/*/*.dcm")

    def names(self, paths: Iterable[Path]) -> tuple[str, ...]:
        """The paths as they are shown: below studies/, in order."""
        return tuple(sorted(path.relative_to(self._folder).as_posix() for path in paths))
