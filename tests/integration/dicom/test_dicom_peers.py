"""Our Storage SCP and SCU against real peers: DCMTK's tools, pynetdicom, and each other."""

import io
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pydicom
import pydicom.data
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association

from router.config.sections import Sender
from router.dicom.dataset.header import digest
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.scp import store
from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.scu.client import Outgoing, Result
from router.dicom.ul.socket import Limits
from router.dicom.ul.status import Verdict
from router.errors import DestinationDown, IntegrityError, TransientError
from router.model import InstanceUids
from support.dicom_peers import (
    CT,
    CT_CLASS,
    SHIPPED,
    client,
    data_set,
    everything_shipped,
    listens,
    made,
    read_header,
    send,
    stored,
    storescp,
    tool,
    wait_until,
)

PRIVATE_CLASS = "1.3.12.2.1107.5.9.1"
ADMIT_ANYONE = Admission()


class Folder:
    """A sink that keeps each instance as `<SOP instance>.dcm`, and can be told to misbehave."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.room = True
        self.fault: OSError | None = None
        self.delay = 0.0
        self.discarded = 0

    def has_room(self) -> bool:
        return self.room

    def create(self) -> "Part":
        return Part(self)


class Part:
    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._bytes = bytearray()

    def write(self, parts: Sequence[bytes | memoryview]) -> None:
        self._bytes += b"".join(parts)

    def written(self) -> BinaryIO:
        return io.BytesIO(self._bytes)

    def commit(self, uids: InstanceUids) -> None:
        time.sleep(self._folder.delay)
        if self._folder.fault is not None:
            raise self._folder.fault
        (self._folder.path / f"{uids.sop}.dcm").write_bytes(self._bytes)

    def discard(self) -> None:
        self._folder.discarded += 1


class Scp:
    """A running server of ours with what it recorded."""

    def __init__(self, path: Path, admission: Admission, limits: Limits) -> None:
        self.sink = Folder(path)
        self.events: list[Received | Refused] = []
        self.server = StorageServer(self.sink, admission=admission, record=self.events.append, limits=limits)
        self.port = self.server.start("127.0.0.1", 0)

    def refusals(self) -> list[Refused]:
        return [event for event in self.events if isinstance(event, Refused)]

    def data_set(self, sop_instance: str) -> bytes:
        return data_set(self.sink.path / f"{sop_instance}.dcm")


Start = Callable[..., Scp]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    running: list[Scp] = []

    def begin(admission: Admission = ADMIT_ANYONE, limits: Limits = Limits()) -> Scp:  # noqa: B008 frozen
        folder = tmp_path / f"received{len(running)}"
        folder.mkdir()
        running.append(Scp(folder, admission, limits))
        return running[-1]

    yield begin
    for scp in running:
        scp.server.stop(2)


@contextmanager
def peer_association(port: int, sop_class: str = CT_CLASS, **titles: str) -> Iterator[Association]:
    """An association that pynetdicom opens to our server."""
    entity = AE(ae_title=titles.get("calling", "MODALITY"))
    association = entity.associate(
        "127.0.0.1",
        port,
        contexts=[build_context(sop_class, [ExplicitVRLittleEndian])],
        ae_title=titles.get("called", "ROUTER"),
    )
    yield association
    if association.is_established:
        association.release()


def rejection_of(port: int, calling: str) -> tuple[int | None, int | None, int | None]:
    """Result, source and reason as pynetdicom reads them; it is asked again where it ends without having looked."""
    for _ in range(5):
        with peer_association(port, calling=calling) as association:
            assert not association.is_established
            if answer := association.acceptor.primitive:
                return answer.result, answer.result_source, answer.diagnostic
    raise AssertionError("no answer in five tries")


def store_raw(association: Association, change: Callable[[Dataset], None], announced: str | None = None) -> int:
    """C-STORE a small CT data set after `change`; `announced` is the request's SOP instance where it differs."""
    dataset = pydicom.dcmread(CT, stop_before_pixels=True)
    change(dataset)
    if announced is not None:
        dataset.SOPInstanceUID = announced
    return int(association.send_c_store(dataset).Status)


def storescu(port: int, *arguments: object) -> None:
    command = [tool("storescu"), "-ta", "10", "-td", "10", "-aet", "CT01", "127.0.0.1", str(port)]
    subprocess.run([*command, *map(str, arguments)], check=True, capture_output=True, timeout=20)


@pytest.mark.filterwarnings("ignore:Expected .* VR, but found:UserWarning")  # a shipped file is written so
def test_every_shipped_file_arrives_byte_for_byte(start: Start, tmp_path: Path) -> None:
    scp = start()
    items = everything_shipped(tmp_path)
    for result in client(scp.port, associations=1).send(items, lambda: False):  # some share a SOP instance
        item = items[result.key]
        kept = scp.sink.path / f"{item.sop_instance}.dcm"
        assert result.verdict is Verdict.STORED, item.path.name
        odd = len(data_set(item.path)) % 2  # fragments are even (PS3.8 E.2)
        assert data_set(kept) == data_set(item.path) + b"\0" * odd, item.path.name
        assert odd or digest(kept) == digest(item.path)
        assert read_header(kept).transfer_syntax == item.transfer_syntax
    assert len(scp.events) == len(items)
    assert len({item.transfer_syntax for item in items}) >= 10


def test_what_is_kept_is_part_10_with_both_ae_titles(start: Start) -> None:
    scp = start()
    send(scp.port, [stored(CT)])
    kept = pydicom.dcmread(scp.sink.path / f"{read_header(CT).uids.sop}.dcm")
    assert kept.file_meta.SourceApplicationEntityTitle == "ROUTER"
    assert kept.file_meta["SendingApplicationEntityTitle"].value == "ROUTER"
    assert kept.file_meta["ReceivingApplicationEntityTitle"].value == "CLOUD"
    assert kept.PixelData == pydicom.dcmread(CT).PixelData
    assert read_header(Path(str(kept.filename))).sending_ae == "ROUTER"


@pytest.mark.parametrize(
    ("option", "name"),
    [
        ("-xe", "MR_small.dcm"),
        ("-xb", "MR_small_bigendian.dcm"),
        ("-xi", "MR_small_implicit.dcm"),
        ("-xd", "image_dfl.dcm"),
        ("-xs", "SC_rgb_jpeg_gdcm.dcm"),
        ("-xv", "MR_small_jp2klossless.dcm"),
        ("-xt", "MR_small_jpeg_ls_lossless.dcm"),
        ("-xr", "MR_small_RLE.dcm"),
    ],
)
def test_dcmtk_sends_with_each_of_its_proposals(start: Start, option: str, name: str) -> None:
    scp = start()
    path = SHIPPED / "test_files" / name
    storescu(scp.port, option, path)
    assert not scp.refusals()
    uids = read_header(path).uids
    [event] = scp.events
    assert isinstance(event, Received)
    assert (event.uids, event.calling_ae) == (uids, "CT01")
    assert read_header(scp.sink.path / f"{uids.sop}.dcm").patient == read_header(path).patient


def test_dcmtk_receives_our_bytes(tmp_path: Path) -> None:
    files = [SHIPPED / "test_files" / name for name in ("CT_small.dcm", "MR_small_bigendian.dcm", "JPEG2000.dcm")]
    with storescp(tmp_path / "dcmtk", "+xa") as port:
        client(port).echo()
        results = send(port, [stored(path, key) for key, path in enumerate(files)])
        assert [(result.key, result.verdict) for result in results] == [(key, Verdict.STORED) for key in range(3)]
        wait_until(lambda: len(list((tmp_path / "dcmtk").iterdir())) == 3)
    received = Counter(data_set(path) for path in (tmp_path / "dcmtk").iterdir())
    assert received == Counter(data_set(path) for path in files)


def test_a_syntax_that_is_not_accepted_is_named_and_does_not_stop_the_others(tmp_path: Path) -> None:
    jpeg = SHIPPED / "test_files" / "JPEG2000.dcm"
    with storescp(tmp_path / "dcmtk", "+xi") as port:
        results = send(port, [stored(jpeg, 1), stored(made(tmp_path, 2), 2), stored(jpeg, 3)])
    assert sorted((result.key, result.status, result.verdict) for result in results) == [
        (1, None, Verdict.REFUSED),
        (2, 0x0000, Verdict.STORED),
        (3, None, Verdict.REFUSED),
    ]
    [why] = {result.why for result in results if result.status is None}
    assert "transfer syntax JPEG 2000 Image Compression (1.2.840.10008.1.2.4.91); decompress = true" in why


def test_no_accepted_context_at_all_refuses_each_instance_where_others_would_be_taken(tmp_path: Path) -> None:
    with storescp(tmp_path / "dcmtk", "+xi") as port:
        [result] = send(port, [stored(SHIPPED / "test_files" / "JPEG2000.dcm", 7)])
    assert (result.key, result.verdict) == (7, Verdict.REFUSED)
    assert "JPEG 2000 Image Compression" in result.why


def test_two_hundred_instances_go_over_one_association(start: Start, tmp_path: Path) -> None:
    scp = start()
    items = [stored(made(tmp_path, number), number) for number in range(200)]
    results = send(scp.port, items, associations=1)
    assert {result.verdict for result in results} == {Verdict.STORED}
    assert len({result.association for result in results}) == 1
    assert len(list(scp.sink.path.iterdir())) == 200


def test_more_than_128_contexts_are_split_over_associations(start: Start, tmp_path: Path) -> None:
    scp = start()
    items = [stored(made(tmp_path, number, sop_class=f"{PRIVATE_CLASS}.{number}"), number) for number in range(130)]
    results = send(scp.port, items, associations=1)
    assert {result.verdict for result in results} == {Verdict.STORED}
    assert len({result.association for result in results}) == 3  # two contexts a class: explicit VR is offered as well


def test_a_private_sop_class_is_kept(start: Start, tmp_path: Path) -> None:
    scp = start()
    [result] = send(scp.port, [stored(made(tmp_path, 1, sop_class=PRIVATE_CLASS))])
    assert result.verdict is Verdict.STORED
    [event] = scp.events
    assert isinstance(event, Received)
    assert event.sop_class == PRIVATE_CLASS


def test_the_verification_service_answers(start: Start) -> None:
    client(start().port).echo()


def test_uids_with_trailing_nul_and_blanks_are_cleaned(start: Start) -> None:
    scp = start()

    def pad(dataset: Dataset) -> None:
        dataset.StudyInstanceUID = "1.2.3\0\0"
        dataset.SeriesInstanceUID = "1.2.3.4 "

    with peer_association(scp.port) as association:
        assert store_raw(association, pad, announced="1.2.3.04.5\0") == 0x0000
    [event] = scp.events
    assert isinstance(event, Received)
    assert event.uids == InstanceUids("1.2.3", "1.2.3.4", "1.2.3.04.5")


def test_a_uid_that_is_a_path_is_refused(start: Start) -> None:
    scp = start()
    with peer_association(scp.port) as association:
        assert store_raw(association, lambda _: None, announced="../../x") == 0xA900
        assert store_raw(association, lambda d: setattr(d, "StudyInstanceUID", "../../x")) == 0xA900
        assert store_raw(association, lambda d: delattr(d, "SeriesInstanceUID")) == 0xA900
        assert store_raw(association, lambda _: None) == 0x0000
    assert [path.stem for path in scp.sink.path.iterdir()] == [read_header(CT).uids.sop]
    assert all("../" not in refusal.reason for refusal in scp.refusals())


def test_a_data_set_that_is_not_the_one_announced_is_refused(start: Start, tmp_path: Path) -> None:
    scp = start()
    path = tmp_path / "other.dcm"
    with path.open("wb") as file:
        file.write(preamble_and_meta(CT_CLASS, "1.2.3.4.5", ExplicitVRLittleEndian, "X", "Y") + data_set(CT))
    item = Outgoing(
        key=1, path=path, sop_class=CT_CLASS, sop_instance="1.2.3.4.5", transfer_syntax=str(ExplicitVRLittleEndian)
    )
    [result] = send(scp.port, [item])
    assert (result.status, result.verdict) == (0xA900, Verdict.REFUSED)


def test_a_disk_that_fails_is_answered_with_try_later(start: Start) -> None:
    scp = start()
    scp.sink.fault = OSError(28, "No space left on device")
    assert [result.status for result in send(scp.port, [stored(CT)])] == [0xA700]
    assert scp.sink.discarded == 1
    scp.sink.fault = None
    assert [result.status for result in send(scp.port, [stored(CT)])] == [0x0000]


def test_no_room_is_answered_with_try_later_and_the_association_lives_on(start: Start) -> None:
    scp = start()
    scp.sink.room = False
    with peer_association(scp.port) as association:
        assert store_raw(association, lambda _: None) == 0xA700
        scp.sink.room = True
        assert store_raw(association, lambda _: None) == 0x0000


def test_a_fault_of_ours_is_never_the_instance_s(
    start: Start, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scp = start()
    monkeypatch.setattr(store, "uids_of", lambda *_: 1 / 0)
    assert [result.status for result in send(scp.port, [stored(CT)])] == [0xA700]
    assert "receiving an instance failed" in caplog.text


def test_nothing_of_the_patient_is_logged(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    scp = start()
    with peer_association(scp.port) as association:
        for name in ("Zhang^San", "Zhang^San" * 20):
            store_raw(association, lambda d, name=name: setattr(d, "PatientName", name))  # type: ignore[misc]
        store_raw(association, lambda d: delattr(d, "StudyInstanceUID"))
    assert "Zhang" not in caplog.text + str(scp.events)


def test_a_sender_not_in_the_list_is_rejected_as_calling_ae(start: Start) -> None:
    senders = (Sender(ae_title="CT01", address="127.0.0.0/8"), Sender(ae_title="FAR", address="10.1.0.0/16"))
    scp = start(Admission(senders=senders))
    with peer_association(scp.port, calling="CT01") as association:
        assert association.is_established
    for title in ("FAR", "OTHER"):
        assert rejection_of(scp.port, title) == (1, 1, 3)
    wait_until(lambda: {refusal.calling_ae for refusal in scp.refusals()} == {"FAR", "OTHER"})


def test_our_client_reports_a_wrong_called_ae_title_with_a_hint(start: Start) -> None:
    scp = start(Admission(ae_title="ROUTER"))
    with pytest.raises(DestinationDown, match="ae_title: correct it"):
        client(scp.port, ae_title="WRONG").echo()
    client(scp.port, ae_title="ROUTER").echo()


def test_the_limit_per_sender_rejects_for_now_and_frees_again(start: Start) -> None:
    scp = start(Admission(max_associations_per_sender=1))
    with peer_association(scp.port, calling="ROUTER") as first:
        assert first.is_established
        with pytest.raises(TransientError) as caught:
            client(scp.port).echo()
        assert not isinstance(caught.value, DestinationDown)
        client(scp.port, calling_ae_title="OTHER").echo()
    wait_until(lambda: not first.is_alive())
    client(scp.port).echo()


def test_half_open_sockets_lock_nobody_out(start: Start) -> None:
    scp = start(Admission(max_associations=2), Limits(association_request=0.3))
    idle = [socket.create_connection(("127.0.0.1", scp.port)) for _ in range(12)]
    client(scp.port).echo()
    for connection in idle:
        connection.close()


def test_a_destination_that_does_not_listen_is_down() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(DestinationDown, match="cannot connect"):
            send(unused.getsockname()[1], [stored(CT)])


def test_a_destination_that_resolves_outside_its_networks_is_not_called() -> None:
    with pytest.raises(DestinationDown, match="outside allowed_networks"):
        client(11112, allowed_networks=("10.9.0.0/16",)).echo()


def test_an_instance_with_which_the_association_is_aborted_is_told_as_lost(tmp_path: Path) -> None:
    def abort(event: evt.Event) -> int:
        event.assoc.abort()
        return 0x0000

    entity = AE()
    entity.add_supported_context(CT_CLASS, ImplicitVRLittleEndian)
    peer = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, abort)])
    assert peer is not None
    try:
        [result] = send(peer.server_address[1], [stored(made(tmp_path, 1))])
        assert (result.verdict, result.status) == (Verdict.LOST, None)
    finally:
        peer.shutdown()


def test_a_missing_file_is_an_integrity_error_that_names_the_ledger_s_key(start: Start) -> None:
    gone = Outgoing(
        key=42,
        path=Path("gone.dcm"),
        sop_class=CT_CLASS,
        sop_instance="1.2.3",
        transfer_syntax=str(ExplicitVRLittleEndian),
    )
    with pytest.raises(IntegrityError) as caught:
        send(start().port, [gone])
    assert caught.value.fields["key"] == 42


def test_sending_stops_between_instances_when_told(start: Start, tmp_path: Path) -> None:
    scp = start()
    items = [stored(made(tmp_path, number), number) for number in range(3)]
    done: list[Result] = []
    for result in client(scp.port).send(items, lambda: len(done) == 2):
        done.append(result)  # noqa: PERF402 the stop condition reads the list while it grows
    assert [result.key for result in done] == [0, 1]


def test_a_stopping_server_finishes_the_instance_at_hand_and_leaves_no_thread(start: Start) -> None:
    before = set(threading.enumerate())
    scp = start()
    scp.sink.delay = 0.5
    answers: list[int] = []
    with peer_association(scp.port) as association:
        sender = threading.Thread(target=lambda: answers.append(store_raw(association, lambda _: None)))
        sender.start()
        time.sleep(0.2)
        scp.server.stop(5)
        sender.join()
        assert answers == [0x0000]
        wait_until(lambda: not association.is_alive())
    assert len(list(scp.sink.path.iterdir())) == 1
    assert not listens(scp.port)
    wait_until(lambda: set(threading.enumerate()) <= before)
