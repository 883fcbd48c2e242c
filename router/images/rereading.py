"""Headers that an older version read by its rules: read again from their files when needed, not at the upgrade."""

from collections.abc import Iterable
from dataclasses import dataclass

from router.catalogue import Catalogue
from router.catalogue.images.studies import StudyHere
from router.dicom.dataset.header import read_instance
from router.errors import InvalidData
from router.storage import Storage


@dataclass(frozen=True, slots=True)
class Rereading:
    """Reads one file for each outdated identity of a study, once."""

    catalogue: Catalogue
    storage: Storage

    def renew(self, found: Iterable[StudyHere]) -> bool:
        """Read what is outdated again; whether anything was. A file that does not read leaves its row as it is."""
        renewed = False
        for one in (each for study in found if study.outdated for each in self.catalogue.readings.outdated(study.uid)):
            try:
                with self.storage.studies.path(one.uids, one.version).open("rb") as file:
                    header, _ = read_instance(file)
            except (InvalidData, OSError):
                continue
            self.catalogue.readings.renew(one.identity, header)
            renewed = True
        return renewed
