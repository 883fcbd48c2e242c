"""A data folder with a cataloguer, and CT instances to receive in it, whole or cut off."""

import io
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmwrite
from pydicom.dataset import Dataset

from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.clock import SystemClock
from router.config.sections import Hospital, Series
from router.dicom.dataset.part10 import preamble_and_meta
from router.events import Event, EventBus, Kind
from router.images.cataloguer import Cataloguer
from router.images.rulebook import rulebook
from router.model import InstanceUids
from router.storage import Storage, open_storage
from router.storage.incoming import IncomingFolder
from support.catalogue_rows import lay_tables

CT, PDF = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.104.1"
EXPLICIT = "1.2.840.10008.1.2.1"


def data_set(sop: str, pixels: int = 32, *, sop_class: str = CT, more: bytes = b"") -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, sop
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.Rows, dataset.Columns, dataset.BitsAllocated = 4, 4, 16
    dataset.add_new("PixelData", "OW", bytes(pixels))
    if sop_class == PDF:
        del dataset.PixelData
        dataset.add_new("EncapsulatedDocument", "OB", b"%PDF-1.7 a report %%EOF ")
    out = io.BytesIO()
    dcmwrite(out, dataset, implicit_vr=False, little_endian=True)
    return out.getvalue() + more


def file(sop: str, data: bytes, sop_class: str = CT) -> bytes:
    return preamble_and_meta(sop_class, sop, EXPLICIT, "CT01", "ROUTER") + data


class CataloguerFolder:
    """A data folder with a cataloguer."""

    def __init__(self, folder: Path, *, hospitals: Sequence[Hospital] = (), cut_off_goes: bool = False) -> None:
        self.events: list[Event] = []
        self.pdfs: list[bytes] = []
        self.storage: Storage = open_storage(folder, "n")
        self.journal = EventBus(self.events.append)
        lay_tables(folder)
        self.catalogue: Catalogue = open_catalogue("", folder, self.journal)
        book = rulebook(Series())
        self._cataloguer = Cataloguer(
            self.storage, self.catalogue.instances, lambda _: book, lambda _: None, self.journal, SystemClock(),
            lambda study, data, at: self.pdfs.append(data), hospitals=hospitals, cut_off_goes=cut_off_goes,
        )  # fmt: skip

    def receive(self, *files: bytes) -> None:
        sink = IncomingFolder(self.storage.incoming.worker_folder(1), 0)
        for data in files:
            incoming = sink.create()
            incoming.write([data])
            incoming.commit(InstanceUids("1.2.3", "1.2.3.4", "1"))
        while self._cataloguer.run_batch():
            pass

    @property
    def alarmed(self) -> bool:
        return self.catalogue.alarms.stands(Alarm.CUT_OFF, "study 1.2.3")

    def told(self) -> list[str]:
        return [event.text for event in self.events if event.kind is Kind.IRREGULAR]
