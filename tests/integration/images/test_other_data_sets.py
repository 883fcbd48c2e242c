"""One SOP Instance UID, another data set: what is no news, what is a new version, what is a doubt; both are kept."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from router.catalogue import Catalogue, open_catalogue
from router.catalogue.db.tables.images import Instance
from router.clock import SystemClock
from router.config.sections import Series
from router.dicom.dataset import sameness
from router.dicom.dataset.part10 import dataset_offset, preamble_and_meta
from router.dicom.dataset.sameness import Likeness
from router.events import Event, EventBus, Kind
from router.images.cataloguer import Cataloguer
from router.images.rulebook import rulebook
from router.model import InstanceUids
from router.storage import Storage, open_storage
from router.storage.incoming import IncomingFolder

STUDY, SOP = "1.2.1", "1.2.1.1.1"
RAMP, OTHER = struct.pack("<64H", *range(64)), struct.pack("<64H", *range(1, 65))


def image(syntax: str = ExplicitVRLittleEndian, pixels: bytes = RAMP, **values: Any) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, SOP
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, f"{STUDY}.1"
    dataset.Modality, dataset.PatientID, dataset.PatientName = "CT", "P1", "Zhang^San"
    dataset.ImageType, dataset.ContentTime = ["ORIGINAL", "PRIMARY", "AXIAL"], "101112"
    dataset.Rows = dataset.Columns = 8
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.SamplesPerPixel = 15, 0, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.add_new("PixelData", "OW", pixels)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    if syntax == RLELossless:
        dataset.compress(RLELossless, generate_instance_uid=False)
    if syntax == ExplicitVRBigEndian:
        dataset.PixelData = struct.pack(">64H", *struct.unpack("<64H", pixels))
    dataset.file_meta.TransferSyntaxUID = UID(syntax)
    return dataset


@dataclass
class Place:
    """A data folder and its cataloguer."""

    storage: Storage
    catalogue: Catalogue
    cataloguer: Cataloguer
    events: list[Event] = field(default_factory=list)

    def receive(self, *datasets: Dataset, together: bool = False) -> None:
        for dataset in datasets:
            syntax = dataset.file_meta.TransferSyntaxUID
            buffer = io.BytesIO()
            dcmwrite(buffer, dataset, enforce_file_format=False)
            data = buffer.getvalue()
            data = data if b"DICM" in data[:132] else bytes(128) + b"DICM" + data
            length = dataset_offset(io.BytesIO(data)).offset
            head = preamble_and_meta(CTImageStorage, SOP, syntax, "CT01", "ROUTER")
            file = IncomingFolder(self.storage.incoming.worker_folder(1), 0).create()
            file.write([head, data[length:]])
            file.commit(InstanceUids(STUDY, str(dataset.SeriesInstanceUID), SOP))
            if not together:
                self.cataloguer.run_batch()
        self.cataloguer.run_batch()

    @property
    def doubt(self) -> str:
        return self.catalogue.exams.links.studies([STUDY])[STUDY].doubt

    def pixels(self) -> list[str]:
        """Of each version that is here with its file."""
        mine = Instance.select().where(Instance.sop_uid == SOP).order_by(Instance.version)
        rows = list(self.catalogue.engine.run(mine))
        for row in rows:
            assert self.storage.studies.path(InstanceUids(STUDY, row.series_uid, SOP), row.version).exists()
        return [row.pixels for row in rows]


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    storage, catalogue = open_storage(tmp_path, "test"), open_catalogue("", tmp_path, EventBus())
    book, events = rulebook(Series()), list[Event]()
    bus = EventBus(events.append)
    cataloguer = Cataloguer(storage, catalogue.instances, lambda _: book, lambda _: None, bus, SystemClock())
    yield Place(storage, catalogue, cataloguer, events)
    catalogue.engine.close_thread()


NATIVE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


@pytest.mark.parametrize("together", [False, True])
def test_other_samples_under_the_same_header_are_a_doubt_and_both_are_kept(place: Place, together: bool) -> None:
    place.receive(image(), image(pixels=OTHER), together=together)
    assert place.doubt == f"instance {SOP} came again with other samples, and nothing in the header says why"
    assert len(set(place.pixels())) == 2
    assert [event.text for event in place.events if event.kind == Kind.DOUBT] == [place.doubt]


@pytest.mark.parametrize("together", [False, True])
def test_another_series_is_a_doubt_and_both_are_kept(place: Place, together: bool) -> None:
    place.receive(image(), image(SeriesInstanceUID=f"{STUDY}.2"), together=together)
    assert place.doubt == f"instance {SOP} came in two series, {STUDY}.1 and {STUDY}.2"
    assert len(place.pixels()) == 2


@pytest.mark.parametrize("first", [*NATIVE, RLELossless])
@pytest.mark.parametrize("second", [*NATIVE, RLELossless])
def test_another_encoding_of_the_same_image_is_no_news(place: Place, first: str, second: str) -> None:
    place.receive(image(first), image(second))
    assert place.doubt == ""
    assert len(place.pixels()) == 1 + (first != second)
    assert len(set(place.pixels())) == 1


@pytest.mark.parametrize("second", [*NATIVE[1:], RLELossless])
def test_other_samples_in_another_encoding_are_a_doubt(place: Place, second: str) -> None:
    place.receive(image(), image(second, OTHER))
    assert "came again with other samples" in place.doubt


@pytest.mark.parametrize(
    "why",
    [
        {"ContentTime": "111213"},
        {"InstanceCreationTime": "111213"},
        {"ImageType": ["DERIVED", "SECONDARY", "AXIAL"]},
        {"DerivationDescription": "noise removed"},
        {"PatientName": "Li^Si"},  # for the rules of identity
    ],
)
def test_other_samples_that_the_header_explains_are_a_new_version(place: Place, why: dict[str, Any]) -> None:
    place.receive(image(), image(pixels=OTHER, **why))
    assert place.doubt == ""
    assert len(set(place.pixels())) == 2


def test_a_changed_header_alone_is_a_new_version_with_the_same_pixels(place: Place) -> None:
    place.receive(image(), image(SeriesDescription="corrected"))
    assert (place.doubt, len(place.pixels()), len(set(place.pixels()))) == ("", 2, 1)


def test_a_row_of_an_older_release_is_known_to_have_the_same_pixels(place: Place) -> None:
    place.receive(image())
    older = "225e270f8f5c0a97d79950a7f3a33622"  # as version 0.2.0 recorded this image's
    place.catalogue.engine.run(Instance.update(pixels=older))
    place.receive(image(SeriesDescription="corrected", ContentTime="111213"), image(pixels=OTHER, ContentTime="121314"))
    assert place.doubt == ""
    first, second, third = place.pixels()
    assert first == second == older != third


@pytest.mark.parametrize("change", [{"RescaleIntercept": "-1024"}, {"PhotometricInterpretation": "MONOCHROME1"}])
def test_the_same_samples_that_are_to_look_otherwise_are_another_version(place: Place, change: dict[str, Any]) -> None:
    place.receive(image(), image(RLELossless, **change))
    assert (place.doubt, len(set(place.pixels()))) == ("", 2)


def test_an_encoding_that_says_that_it_is_without_loss_is_no_news(place: Place) -> None:
    place.receive(image(), image(RLELossless, LossyImageCompression="00"))
    assert (place.doubt, len(set(place.pixels()))) == ("", 1)


def test_another_size_of_the_image_is_a_doubt(place: Place) -> None:
    place.receive(image(), image(Rows=4, Columns=16))
    assert "came again with other samples" in place.doubt


def test_a_second_doubt_leaves_the_first(place: Place) -> None:
    place.receive(image(), image(pixels=OTHER), image(SeriesInstanceUID=f"{STUDY}.2"))
    assert place.doubt.count("; ") == 1


def test_what_is_compressed_with_loss_is_not_compared(place: Place) -> None:
    place.receive(image(), image(pixels=OTHER, LossyImageCompression="01"))
    assert place.doubt == ""


@pytest.mark.parametrize(("change", "alike"), [({}, Likeness.ASSUMED), ({"StationName": "CT2"}, Likeness.OTHER)])
def test_without_a_decoder_an_encoding_under_the_same_header_is_assumed_to_be_the_same(
    place: Place, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], alike: Likeness
) -> None:
    monkeypatch.setattr(sameness, "find_spec", lambda _: None)
    place.receive(image(), image(RLELossless, **change))
    assert place.doubt == ""
    assert (len(set(place.pixels())) == 1) == (alike is Likeness.ASSUMED)
    told = [event.text for event in place.events if event.kind == Kind.DUPLICATE]
    assert told == ([Likeness.ASSUMED] if alike is Likeness.ASSUMED else [])


def test_pixels_that_do_not_decode_are_another_version_and_no_doubt(place: Place) -> None:
    broken = image(RLELossless)
    broken.PixelData = broken.PixelData[:16] + b"\xff" * (len(broken.PixelData) - 24) + broken.PixelData[-8:]
    place.receive(image(), broken)
    assert (place.doubt, len(set(place.pixels()))) == ("", 2)
