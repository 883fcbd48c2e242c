"""One SOP instance UID in two studies is a doubt of both, however the instances come."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from router.catalogue import Catalogue, open_catalogue
from router.clock import SystemClock
from router.config.sections import Series
from router.dicom.dataset.part10 import preamble_and_meta
from router.events import EventBus
from router.images.cataloguer import Cataloguer
from router.images.rulebook import rulebook
from router.model import InstanceUids
from router.storage import Storage, open_storage
from router.storage.incoming import IncomingFolder

SOP = "1.2.9.9"


@dataclass
class Place:
    """A data folder and its cataloguer."""

    storage: Storage
    catalogue: Catalogue
    cataloguer: Cataloguer

    def receive(self, study: str, sop: str = SOP) -> None:
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, sop
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study}.1"
        dataset.Modality, dataset.PatientID = "CT", f"P{study}"
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, dataset)
        file = IncomingFolder(self.storage.incoming.worker_folder(1), 0).create()
        file.write(
            [preamble_and_meta(CTImageStorage, sop, ExplicitVRLittleEndian, "CT01", "ROUTER"), buffer.getvalue()]
        )
        file.commit(InstanceUids(study, f"{study}.1", sop))

    def doubts(self, *studies: str) -> list[str]:
        return [study.doubt for study in self.catalogue.exams.links.studies(studies).values()]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    storage, catalogue = open_storage(tmp_path, "test"), open_catalogue("", tmp_path, EventBus())
    book = rulebook(Series())
    cataloguer = Cataloguer(storage, catalogue.instances, lambda _: book, lambda _: None, EventBus(), SystemClock())
    yield Place(storage, catalogue, cataloguer)
    catalogue.engine.close_thread()


@pytest.mark.parametrize("together", [False, True])
def test_both_studies_are_doubted(place: Place, together: bool) -> None:
    place.receive("1.2.1")
    if not together:
        assert place.cataloguer.run_batch() == 1
    place.receive("1.2.2")
    assert place.cataloguer.run_batch() == 1 + together
    assert place.doubts("1.2.1", "1.2.2") == [f"instance {SOP} lies in two studies"] * 2


def test_two_studies_of_one_batch_with_instances_of_their_own_are_not(place: Place) -> None:
    place.receive("1.2.1", "1.2.1.1")
    place.receive("1.2.2", "1.2.2.1")
    assert place.cataloguer.run_batch() == 2
    assert place.doubts("1.2.1", "1.2.2") == ["", ""]
