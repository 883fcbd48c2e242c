"""The classes of a study stand soon after its last image, while another study goes on arriving.

`scripts/bench series study` measures it with 10,000 instances through the whole receive path.
"""

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset

from router.catalogue import Catalogue, open_catalogue
from router.clock import FakeClock
from router.config.salvage import salvaged
from router.config.sections import Series
from router.dicom.dataset.part10 import preamble_and_meta
from router.events import EventBus
from router.images.cataloguer import Cataloguer
from router.images.rulebook import rulebook
from router.images.selection import Selection
from router.model import InstanceUids, SeriesClass
from router.storage import Storage, open_storage
from router.storage.incoming import IncomingFolder

CT, SYNTAX = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"
MANY = 300  # more than a batch


def slice_of(study: str, number: int) -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = CT, f"{study}.1.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study}.1"
    dataset.Modality, dataset.ImageType, dataset.Rows = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"], 512
    dataset.ImagePositionPatient, dataset.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
    out = io.BytesIO()
    dcmwrite(out, dataset, implicit_vr=False, little_endian=True)
    return out.getvalue()


class Node:
    """The cataloguer on a data folder of its own."""

    def __init__(self, data: Path) -> None:
        self.clock = FakeClock(datetime(2026, 3, 1, tzinfo=UTC))
        self.storage: Storage = open_storage(data, "n")
        self.catalogue: Catalogue = open_catalogue("", data, EventBus())
        book = rulebook(Series())
        settle = Selection(salvaged("", base=Path()), self.catalogue, lambda _: book, EventBus()).settle
        self.cataloguer = Cataloguer(
            self.storage, self.catalogue.instances, lambda _: book, settle, EventBus(), self.clock
        )
        self._incoming = IncomingFolder(self.storage.incoming.worker_folder(1), 0)

    def receive(self, study: str, number: int) -> None:
        file = self._incoming.create()
        file.write([preamble_and_meta(CT, f"{study}.1.{number}", SYNTAX, "CT01", "ROUTER"), slice_of(study, number)])
        file.commit(InstanceUids(study, f"{study}.1", f"{study}.1.{number}"))

    def catalogue_all(self) -> None:
        while self.cataloguer.run_batch():
            pass

    def classes(self, study: str) -> dict[SeriesClass, int]:
        found = [one.series_class for one in self.catalogue.series_members.of_study(study)]
        return {one: found.count(one) for one in set(found)}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path)
    yield node
    node.catalogue.engine.close_thread()


def test_a_large_study_is_classified_in_its_own_light_while_another_arrives(node: Node) -> None:
    for number in range(MANY):
        node.receive("1.2", number)
    began = time.process_time()
    node.catalogue_all()
    assert node.classes("1.2") == {SeriesClass.IMAGE: MANY}
    for second in range(4):
        node.clock.advance(1)
        node.receive("1.3", second)
        node.catalogue_all()
    assert node.classes("1.2") == {SeriesClass.THIN: MANY}
    assert MANY / (time.process_time() - began) > 100  # a tenth of what it takes on a slow core
    assert node.classes("1.3") == {SeriesClass.IMAGE: 4}


def test_a_slice_that_comes_later_is_judged_again(node: Node) -> None:
    for number in (0, 1, 2, 3):
        node.receive("1.2", number)
    node.catalogue_all()
    node.clock.advance(3)
    node.catalogue_all()
    node.receive("1.2", 4)
    node.catalogue_all()
    assert node.classes("1.2") == {SeriesClass.THIN: 4, SeriesClass.IMAGE: 1}
    node.clock.advance(3)
    node.catalogue_all()
    assert node.classes("1.2") == {SeriesClass.THIN: 5}


def test_the_same_study_again_changes_nothing(node: Node) -> None:
    for _ in range(2):
        node.receive("1.2", 0)
        node.catalogue_all()
    assert node.classes("1.2") == {SeriesClass.IMAGE: 1}


def test_a_batch_of_large_instances_ends_early_and_loses_none(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("router.images.cataloguer._BATCH_BYTES", len(slice_of("1.2", 0)))
    for number in range(3):
        node.receive("1.2", number)
    assert [node.cataloguer.run_batch() for _ in range(4)] == [1, 1, 1, 0]
    assert node.classes("1.2") == {SeriesClass.IMAGE: 3}
