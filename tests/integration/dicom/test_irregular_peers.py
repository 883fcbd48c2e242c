"""Merely odd data sets over real sockets: taken, catalogued, marked, and sent on as they came."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from router.catalogue import Catalogue, open_catalogue
from router.clock import SystemClock
from router.config.sections import Receive, Series
from router.dicom.dataset.header import read_head
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.scu.store import Outgoing
from router.dicom.ul import pdu
from router.dicom.ul.socket import Limits
from router.events import Event, EventBus, Kind
from router.images.cataloguer import Cataloguer
from router.images.rulebook import rulebook
from router.node.listeners import limits_of
from router.storage import Storage, open_storage
from router.storage.incoming import IncomingFolder
from router.storage.journal import SEGMENT_BYTES
from support import raw_pdus
from support.dicom_peers import client, data_set, send, storescp

CASES = Path(__file__).parents[2] / "cases" / "dicom"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
STUDY = "1.2.826.0.1.3680043.9.7777"


class ReceivingNode:
    """A node's intake: it receives into incoming/, catalogues, and sends what it has."""

    def __init__(self, folder: Path, journal: int = 0, limits: Limits = Limits()) -> None:  # noqa: B008 frozen
        self.events: list[Event] = []
        self.outcomes: list[Received | Refused] = []
        self.storage: Storage = open_storage(folder, "n")
        record = EventBus(self.events.append)
        self.catalogue: Catalogue = open_catalogue("", folder, record)
        book = rulebook(Series())
        self._cataloguer = Cataloguer(
            self.storage, self.catalogue.instances, lambda _: book, lambda _: None, record, SystemClock(),
        )  # fmt: skip
        self._sink = IncomingFolder(self.storage.incoming.worker_folder(1), 0, journal)
        self.server = StorageServer(self._sink, admission=Admission(), record=self.outcomes.append, limits=limits)
        self.port = self.server.start("127.0.0.1", 0)

    def catalogue_all(self) -> list[Path]:
        self._sink.close()
        while self._cataloguer.run_batch():
            pass
        return sorted(self.storage.studies.walk())

    def irregular(self) -> list[str]:
        return [event.text for event in self.events if event.kind is Kind.IRREGULAR]

    def close(self) -> None:
        self.server.stop(1.0)
        self.catalogue.engine.close_thread()


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[ReceivingNode]:
    made = ReceivingNode(tmp_path / "node", SEGMENT_BYTES)
    yield made
    made.close()


def stored(port: int, data: bytes, sop: str, syntax: str = EXPLICIT) -> int:
    """The status that a data set is answered with."""
    name = sop.encode() + b"\0" * (len(sop) % 2)
    with raw_pdus.connected(port) as peer:
        peer.sendall(raw_pdus.association_request(raw_pdus.context(1, raw_pdus.CT_CLASS, syntax)))
        assert raw_pdus.answer(peer)[0] == pdu.PduType.ASSOCIATE_AC
        peer.sendall(raw_pdus.p_data(raw_pdus.store_command(name), raw_pdus.COMMAND | raw_pdus.LAST))
        for at in range(0, len(data), 16000):
            peer.sendall(raw_pdus.p_data(data[at : at + 16000], raw_pdus.LAST if at + 16000 >= len(data) else 0))
        return raw_pdus.status(peer)


def outgoing(path: Path) -> Outgoing:
    found = read_head(path)
    return Outgoing(
        key=1, path=path, sop_class=found.sop_class, sop_instance=found.uids.sop, transfer_syntax=found.transfer_syntax
    )


NUMBERS = ["30", "32", "33", "34", "40", "41", "401", "56", "58", "302", "306", "501"]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_case_is_taken_marked_and_goes_byte_for_byte(ward: ReceivingNode, tmp_path: Path, number: str) -> None:
    data = (CASES / f"{number}.dcmds").read_bytes()
    sop = f"{STUDY}.{number}.1." + ("" if number == "56" else "1")
    assert stored(ward.port, data, sop, IMPLICIT if number == "306" else EXPLICIT) == 0
    [path] = ward.catalogue_all()
    assert path.relative_to(path.parents[2]) == Path(f"{STUDY}.{number}", f"{STUDY}.{number}.1", f"{sop}.dcm")
    assert data_set(path) == data
    marked = ward.irregular()
    assert all(sop in text and text.endswith("kept as they came") for text in marked)
    assert len(marked) == (number not in {"58", "302", "306", "501"})
    cloud = ReceivingNode(tmp_path / "cloud")
    with client(cloud.port).session() as session:
        [result] = session.send([outgoing(path)], lambda: False)
    [there] = cloud.catalogue_all()
    cloud.close()
    assert result.status == 0
    assert data_set(there) == data + b"\0" * (len(data) % 2)
    assert there.name == f"{sop}.dcm"


def test_an_instance_uid_with_a_dot_may_be_announced_without_it(ward: ReceivingNode) -> None:
    assert stored(ward.port, (CASES / "56.dcmds").read_bytes(), f"{STUDY}.56.1") == 0
    [path] = ward.catalogue_all()
    assert path.name == f"{STUDY}.56.1..dcm"
    assert outgoing(path).sop_instance == f"{STUDY}.56.1."


def test_a_uid_that_is_not_certain_is_refused_with_its_reason(ward: ReceivingNode) -> None:
    twice = (CASES / "30.dcmds").read_bytes()
    more = raw_pdus.element(0x0020, 0x000D, b"1.2.9\0")
    at = twice.index(b"\x20\0\x11\0IS")
    assert stored(ward.port, twice[:at] + more + twice[at:], f"{STUDY}.30.1.1") == 0xA900
    assert stored(ward.port, (CASES / "30.dcmds").read_bytes(), f"{STUDY}.30.1.2") == 0xA900
    reasons = [one.reason for one in ward.outcomes if isinstance(one, Refused)]
    assert reasons == [
        "the data set has two different values of (0020,000D)",
        "the data set's SOP class or instance is not the request's",
    ]
    assert ward.catalogue_all() == []


@pytest.mark.parametrize("journal", [0, SEGMENT_BYTES])
def test_uids_behind_two_mib_are_found(tmp_path: Path, journal: int) -> None:
    made = ReceivingNode(tmp_path, journal)
    data = (CASES / "30.dcmds").read_bytes()
    at = data.index(b"\x10\0\x10\0PN")
    long = struct.pack("<HH2sHL", 9, 0x1001, b"OB", 0, 2**21) + bytes(2**21)
    assert stored(made.port, data[:at] + long + data[at:], f"{STUDY}.30.1.1") == 0
    [path] = made.catalogue_all()
    assert read_head(path).patient.patient_id == "P30"
    made.close()


# -- the length of PDUs, with instances of some MiB


def large(sop: str = "1.2.3.4.5") -> bytes:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = raw_pdus.CT_CLASS, sop
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.4"
    dataset.Rows, dataset.Columns, dataset.BitsAllocated, dataset.SamplesPerPixel = 1000, 1001, 16, 1
    dataset.add_new("PixelData", "OW", bytes(range(250)) * 8008)
    out = io.BytesIO()
    dcmwrite(out, dataset, implicit_vr=False, little_endian=True)
    return out.getvalue()


@pytest.mark.parametrize("longest", [16384, 0])
def test_a_sender_with_that_limit_is_served(ward: ReceivingNode, longest: int) -> None:
    """The limit is for what the node answers; what it asks for is its own."""
    entity = AE()
    entity.maximum_pdu_size = longest
    entity.add_requested_context(raw_pdus.CT_CLASS, EXPLICIT)
    association = entity.associate("127.0.0.1", ward.port, max_pdu=longest)
    file = ward.storage.incoming.worker_folder(2).parent.parent / "large.dcm"
    file.write_bytes(preamble_and_meta(raw_pdus.CT_CLASS, "1.2.3.4.5", EXPLICIT, "A", "B") + large())
    assert association.send_c_store(file).Status == 0
    association.release()
    [path] = ward.catalogue_all()
    assert data_set(path) == large()


@pytest.mark.parametrize("asked", [16384, 2**24])
def test_a_node_that_asks_for_that_limit_takes_large_instances(tmp_path: Path, asked: int) -> None:
    made = ReceivingNode(tmp_path, limits=Limits(max_pdu=asked))
    with client(made.port).session() as session:
        source = tmp_path / "large.dcm"
        source.write_bytes(preamble_and_meta(raw_pdus.CT_CLASS, "1.2.3.4.5", EXPLICIT, "A", "B") + large())
        [result] = session.send([outgoing(source)], lambda: False)
    assert result.status == 0
    [path] = made.catalogue_all()
    assert data_set(path) == large()
    made.close()


@pytest.mark.parametrize("longest", [16384, 0])
def test_a_destination_with_that_limit_gets_large_instances(tmp_path: Path, longest: int) -> None:
    taken: list[bytes] = []
    entity = AE()
    entity.maximum_pdu_size = longest
    entity.add_supported_context(raw_pdus.CT_CLASS, EXPLICIT)

    def keep(event: evt.Event) -> int:
        taken.append(event.encoded_dataset(include_meta=False))
        return 0

    server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, keep)])
    assert server is not None
    source = tmp_path / "large.dcm"
    source.write_bytes(preamble_and_meta(raw_pdus.CT_CLASS, "1.2.3.4.5", EXPLICIT, "A", "B") + large())
    with client(server.server_address[1]).session() as session:
        [result] = session.send([outgoing(source)], lambda: False)
    server.shutdown()
    assert (result.status, taken) == (0, [large()])


def test_an_idle_association_ends_when_the_configuration_says() -> None:
    assert limits_of(Receive()).idle == 60
    assert limits_of(Receive.model_validate({"idle": "5 min"})).idle == 300


@pytest.mark.parametrize("number", ["501", "56"])
def test_dcmtk_takes_what_ends_on_an_odd_byte_and_a_uid_with_a_dot(tmp_path: Path, number: str) -> None:
    """DCMTK aborts on an odd fragment, and compares the data set's UID with the one that is announced."""
    sop = f"{STUDY}.{number}.1." + ("" if number == "56" else "1")
    path, data = tmp_path / "one.dcm", (CASES / f"{number}.dcmds").read_bytes()
    path.write_bytes(preamble_and_meta(raw_pdus.CT_CLASS, sop, EXPLICIT, "A", "B") + data)
    with storescp(tmp_path / "dcmtk") as port:
        [result] = send(port, [outgoing(path)])
    assert result.status == 0
    [kept] = (tmp_path / "dcmtk").iterdir()
    assert data_set(kept) == data + b"\0" * (len(data) % 2)


def test_idle_associations_end_by_the_limit(tmp_path: Path) -> None:
    made = ReceivingNode(tmp_path, limits=limits_of(Receive.model_validate({"idle": "1 s"})))
    with raw_pdus.associated(made.port) as peer:
        peer.settimeout(10)
        assert raw_pdus.aborted(peer)
    made.close()
