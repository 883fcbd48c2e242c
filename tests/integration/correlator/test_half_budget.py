"""Choices that need the whole study are made when it is quiet or at half of the budget; the others at once."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.catalogue import Catalogue, open_catalogue
from router.catalogue.images.instances import NewInstance
from router.clock import FakeClock
from router.config.file import parse
from router.config.sections import Config
from router.correlator.correlator import Correlator
from router.events import EventBus
from router.images.rulebook import rulebook
from router.images.selection import Selection
from router.intake.exam_reader import ExamReader
from router.intake.intake import Intake
from router.model import SeriesFacts
from router.policy.states import State
from router.reports.folder.settle import Seen
from router.review.deliveries import Review
from router.series.classify import classify
from router.storage import open_storage
from support.catalogue_rows import instance
from support.sample_exam import exam_document

CT = "1.2.840.10008.5.1.4.1.1.2"
APPROVED = datetime(2024, 5, 6, 3, 0, tzinfo=UTC)  # ApproveTime of the sample, Beijing time
CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
data = "data"
[reports]
folder = "drop"
[study]
stable_after = "1 d"
[[destination]]
name = "cloud"
classes = ["thin", "key", "scout", "dose"]
images_within = "6 h"
[destination.dicom]
port = 1
"""


class Place:
    """An exam that was approved, a study that does not become quiet, and time."""

    def __init__(self, folder: Path) -> None:
        self.clock = FakeClock(APPROVED + timedelta(minutes=10))
        self.config: Config = parse(CONFIG, base=folder)
        storage = open_storage(self.config.node.data, "n")
        self.catalogue: Catalogue = open_catalogue("", self.config.node.data, EventBus())
        self.book = rulebook(self.config.series)
        references = ExamReader(self.config)
        selection = Selection(self.config, self.catalogue, lambda _: self.book, EventBus())
        self._correlator = Correlator(
            self.config, references, self.catalogue, storage, selection, EventBus(), self.clock
        )
        self._intake = Intake(self.config, references, self.catalogue.exams, storage, EventBus(), self.clock)

    def approve(self) -> None:
        path = self.config.reports.folder / "V1.json"
        path.parent.mkdir(exist_ok=True)
        changes: dict[str, object] = {"Study.StudyInstanceUIDs": ["1.2"], "Order.AccessionNumber": ""}
        path.write_text(json.dumps(exam_document(changes)), encoding="utf-8")
        state = path.stat()
        found = self._intake.read([Seen(path, state.st_size, state.st_mtime_ns)])
        self._intake.file(found.documents)

    def receive(self, number: int, image_type: str, thickness: float) -> None:
        facts = SeriesFacts("CT", CT, image_type=("ORIGINAL", "PRIMARY", image_type), slice_thickness=thickness)
        rule = classify(facts, self.book)
        plain = instance(number, accession="")
        header = replace(plain.header, patient=replace(plain.header.patient, patient_id="P0001", name=""), facts=facts)
        new: NewInstance = replace(
            plain, header=header, received=self.clock.now(), series_class=rule.series_class, rule=rule.name
        )
        self.catalogue.instances.add([new])

    def selected(self) -> int:
        self._correlator.run_due()
        (line,) = Review(self.catalogue, self.clock).listed([], None, None)
        return line.selected

    def state(self) -> State:
        (line,) = Review(self.catalogue, self.clock).listed([], None, None)
        return line.delivery.state


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    place = Place(tmp_path)
    yield place
    place.catalogue.engine.close_thread()


def test_thick_slices_wait_until_half_of_the_budget_and_scouts_do_not(place: Place) -> None:
    place.receive(1, "AXIAL", 5.0)
    place.receive(2, "LOCALIZER", 5.0)
    place.approve()
    assert (place.selected(), place.state()) == (1, State.READY)
    place.clock.advance(2.8 * 3600)
    assert place.selected() == 1
    place.clock.advance(0.1 * 3600)
    assert place.selected() == 2, "the correlator must look again by itself at half of the budget"


def test_thin_slices_do_not_wait(place: Place) -> None:
    place.receive(1, "AXIAL", 1.0)
    place.approve()
    assert place.selected() == 1
