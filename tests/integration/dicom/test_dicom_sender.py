"""Our sender against real receivers, DCMTK, pynetdicom and Orthanc, and against acceptors that mean harm."""

import hashlib
import io
import json
import os
import socket
import struct
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, _config, evt

from router.config.sections import DicomDestination
from router.dicom.dataset.part10 import preamble_and_meta
from router.dicom.scu.client import Outgoing, Result, StorageClient, Waits
from router.dicom.scu.requestor import Requestor
from router.dicom.ul.pdata import FileSlice
from router.dicom.ul.status import Verdict
from router.errors import DestinationDown, IntegrityError, TransientError
from support.dicom_peers import (
    CT,
    CT_CLASS,
    SHIPPED,
    client,
    data_set,
    everything_shipped,
    made,
    orthanc,
    send,
    stored,
    storescp,
    wait_until,
)
from support.scripted_acceptors import (
    ABORT,
    RELEASE_RP,
    RELEASE_RQ,
    accept,
    acceptance,
    acceptor,
    command_of,
    element,
    fixed,
    obliging,
    pdata,
    read_instance,
    read_pdu,
)

SHORT = Waits(connect=1, association=0.4, write=0.4, response=0.4, release=0.4)


def never() -> bool:
    return False


def impatient(port: int) -> StorageClient:
    return StorageClient(DicomDestination.model_validate({"port": port}), SHORT)


def well_formed(folder: Path) -> list[Outgoing]:
    """What pydicom ships, without what ends on an odd byte: DCMTK aborts on that (PS3.8 wants even fragments)."""
    return [item for item in everything_shipped(folder) if len(data_set(item.path)) % 2 == 0]


def stored_of(items: Sequence[Outgoing], results: Sequence[Result]) -> list[Outgoing]:
    keys = {result.key for result in results if result.verdict is Verdict.STORED}
    return [item for item in items if item.key in keys]


def small(folder: Path, number: int) -> list[Outgoing]:
    return [stored(made(folder, key), key) for key in range(number)]


# -- real receivers


@pytest.mark.filterwarnings("ignore:Expected .* VR, but found:UserWarning")  # a shipped file is written so
@pytest.mark.parametrize("options", [("-pdu", "4096"), ("--fork", "-pdu", "131072")])
def test_dcmtk_writes_the_bytes_of_every_shipped_file(tmp_path: Path, options: tuple[str, ...]) -> None:
    items = well_formed(tmp_path)
    with storescp(tmp_path / "dcmtk", "+xa", "-pm", "+uf", *options) as port:
        results = send(port, items, associations=2)
        assert len(results) == len(items)
        taken = stored_of(items, results)
        wait_until(lambda: len(list((tmp_path / "dcmtk").iterdir())) == len(taken))
    # what DCMTK 3.6 does not know at all is refused; the rest includes every syntax that it does
    assert len({item.transfer_syntax for item in taken}) >= 10
    assert Counter(map(data_set, (tmp_path / "dcmtk").iterdir())) == Counter(data_set(item.path) for item in taken)


def test_dcmtk_takes_implicit_vr_of_what_is_stored_as_explicit(tmp_path: Path) -> None:
    with storescp(tmp_path / "dcmtk", "+xi") as port:
        [result] = send(port, [stored(CT)])
        assert result.verdict is Verdict.STORED
    [kept] = (tmp_path / "dcmtk").iterdir()
    assert stored(kept).transfer_syntax == ImplicitVRLittleEndian
    assert stored(kept).sop_instance == stored(CT).sop_instance


def test_a_receiver_of_one_association_at_a_time_gets_everything_over_one(tmp_path: Path) -> None:
    items = small(tmp_path, 60)
    with storescp(tmp_path / "dcmtk") as port:
        began = time.monotonic()
        results = send(port, items, associations=4)
        assert time.monotonic() - began < 10
    assert sorted(result.key for result in results) == list(range(60))
    assert len({result.association for result in results}) == 1


def test_a_receiver_with_nagle_s_algorithm_does_not_stall_us(tmp_path: Path) -> None:
    items = small(tmp_path, 50)
    took = []
    with storescp(tmp_path / "dcmtk") as port:
        for _ in range(5):  # a busy machine makes some of them slow, the algorithm every one
            began = time.monotonic()
            assert len(send(port, items, associations=1)) == 50
            took.append(time.monotonic() - began)
            if min(took) < 50 * 0.03:
                return
    pytest.fail(f"seconds {took}")


def test_pynetdicom_takes_explicit_vr_of_what_is_stored_as_implicit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", False)  # our server, in the same process, sets it
    taken: list[str] = []

    def take(event: evt.Event) -> int:
        taken.append(event.dataset.PatientID + event.context.transfer_syntax)
        return 0xB007

    entity = AE()
    entity.maximum_pdu_size = 0
    entity.add_supported_context(stored(SHIPPED / "test_files" / "MR_small_implicit.dcm").sop_class,
                                 ExplicitVRLittleEndian)  # fmt: skip
    peer = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, take)])
    assert peer is not None
    try:
        [result] = send(peer.server_address[1], [stored(SHIPPED / "test_files" / "MR_small_implicit.dcm")])
    finally:
        peer.shutdown()
    assert (result.status, result.verdict) == (0xB007, Verdict.STORED)
    assert taken == ["4MR1" + ExplicitVRLittleEndian]


@pytest.mark.filterwarnings("ignore:Expected .* VR, but found:UserWarning")  # a shipped file is written so
def test_orthanc_keeps_every_shipped_file(tmp_path: Path) -> None:
    # Orthanc waits for more when a data set ends too early
    whole = [item for item in well_formed(tmp_path) if item.path.name not in {"MR_truncated.dcm", "SC_rgb_jpeg.dcm"}]
    by_instance = {item.sop_instance: item for item in whole}
    items = list(by_instance.values())
    with orthanc(tmp_path) as (port, address):
        results = send(port, items, associations=4)
        taken = stored_of(items, results)
        names = json.loads(urllib.request.urlopen(f"{address}/instances").read())
        kept = {about(io.BytesIO(urllib.request.urlopen(f"{address}/instances/{name}/file").read())) for name in names}
    assert len(results) == len(items)
    assert len({item.transfer_syntax for item in taken}) >= 8
    with ExitStack() as files:
        assert kept == {about(files.enter_context(item.path.open("rb"))) for item in taken}


def about(file: BinaryIO) -> tuple[str, ...]:
    """What stays the same in Orthanc, which writes lengths and padding anew."""
    dataset = pydicom.dcmread(file)
    pixels = hashlib.sha256(dataset.get("PixelData", b"")).hexdigest()
    return dataset.SOPInstanceUID, dataset.file_meta.TransferSyntaxUID, str(dataset.get("PatientID")), pixels


# -- several associations


def test_a_session_keeps_its_association_from_one_batch_to_the_next(tmp_path: Path) -> None:
    items = small(tmp_path, 4)
    with acceptor(obliging) as port, client(port).session() as session:
        results = [*session.send(items[:2], never), *session.send(items[2:], never)]
    assert len({result.association for result in results}) == 1


def test_an_association_that_ended_between_two_batches_is_replaced(tmp_path: Path) -> None:
    def takes_one(connection: socket.socket) -> None:
        accept(connection)
        number, message, _ = read_instance(connection)
        connection.sendall(pdata(number, 3, command_of(message)))
        connection.sendall(fixed(ABORT))

    items = small(tmp_path, 2)
    with acceptor(takes_one) as port, client(port).session() as session:
        first = list(session.send(items[:1], never))
        time.sleep(0.1)
        second = list(session.send(items[1:], never))
    assert {result.verdict for result in first + second} == {Verdict.STORED}
    assert first[0].association != second[0].association


def test_many_instances_go_side_by_side_each_once(tmp_path: Path) -> None:
    def unhurried(connection: socket.socket) -> None:
        accept(connection)
        while True:
            number, message, _ = read_instance(connection)
            time.sleep(0.02)
            connection.sendall(pdata(number, 3, command_of(message)))

    with acceptor(unhurried) as port:
        results = send(port, small(tmp_path, 100), associations=3)
    assert sorted(result.key for result in results) == list(range(100))
    assert len({result.association for result in results}) == 3


def test_more_associations_are_opened_in_the_midst_of_a_batch_where_answers_take_long(tmp_path: Path) -> None:
    def long_way_off(connection: socket.socket) -> None:
        accept(connection)
        while True:
            number, message, _ = read_instance(connection)
            time.sleep(0.02)
            connection.sendall(pdata(number, 3, command_of(message)))

    with acceptor(long_way_off) as port:
        results = send(port, small(tmp_path, 150), associations=16)
    assert sorted(result.key for result in results) == list(range(150))
    assert 4 < len({result.association for result in results}) <= 16


def test_a_destination_that_takes_two_associations_is_not_asked_for_more_with_each_batch(tmp_path: Path) -> None:
    opened, asked, busy = threading.Semaphore(2), list[int](), bytes((3, 0, 0, 0, 0, 4, 0, 2, 3, 2))

    def takes_two(connection: socket.socket) -> None:
        asked.append(1)
        if not opened.acquire(blocking=False):
            read_pdu(connection)
            connection.sendall(busy)
            return
        try:
            accept(connection)
            while True:
                number, message, _ = read_instance(connection)
                time.sleep(0.002)
                connection.sendall(pdata(number, 3, command_of(message)))
        finally:
            opened.release()

    items = small(tmp_path, 120)
    with acceptor(takes_two) as port, client(port, associations=4).session() as session:
        for start in range(0, 120, 40):
            assert len(list(session.send(items[start : start + 40], never))) == 40
    assert 2 < len(asked) <= 4 + 2


def test_the_associations_of_a_session_are_released_at_once_since_each_takes_a_round_trip(tmp_path: Path) -> None:
    together = threading.Barrier(3)

    def released_with_the_others(connection: socket.socket) -> None:
        accept(connection)
        while True:
            if connection.recv(1, socket.MSG_PEEK) == bytes((RELEASE_RQ,)):
                together.wait(4)
            number, message, _ = read_instance(connection)
            time.sleep(0.02)
            connection.sendall(pdata(number, 3, command_of(message)))

    with acceptor(released_with_the_others) as port:
        results = send(port, small(tmp_path, 60), associations=3)
    assert len({result.association for result in results}) == 3
    assert not together.broken


def test_another_association_that_is_lost_costs_nothing(tmp_path: Path) -> None:
    count = iter(range(100))

    def only_the_first_lives(connection: socket.socket) -> None:
        if next(count) == 0:
            accept(connection)
            while True:
                number, message, _ = read_instance(connection)
                time.sleep(0.005)
                connection.sendall(pdata(number, 3, command_of(message)))
        accept(connection)
        read_instance(connection)
        connection.sendall(fixed(ABORT))

    with acceptor(only_the_first_lives) as port:
        results = send(port, small(tmp_path, 40), associations=3)
    assert sorted(result.key for result in results) == list(range(40))


def test_what_was_under_way_is_reported_before_the_trouble(tmp_path: Path) -> None:
    taken: list[int] = []

    def takes_ten(connection: socket.socket) -> None:
        accept(connection)
        while True:
            number, message, _ = read_instance(connection)
            if len(taken) >= 10:
                return
            taken.append(message)
            connection.sendall(pdata(number, 3, command_of(message)))

    results: list[Result] = []
    with acceptor(takes_ten) as port, pytest.raises(TransientError):
        results.extend(client(port, associations=2).send(small(tmp_path, 40), never))
    assert len(results) >= 10 - 2  # a response and the end of the connection may overtake each other
    assert len({result.key for result in results}) == len(results)


def test_a_damaged_file_ends_the_batch_with_its_key_and_the_rest_can_go_on(tmp_path: Path) -> None:
    items = small(tmp_path, 30)
    items[11].path.write_bytes(b"")
    with acceptor(obliging) as port, client(port, associations=2).session() as session:
        done: list[int] = []
        with pytest.raises(IntegrityError) as caught:
            done.extend(result.key for result in session.send(items, never))
        assert caught.value.fields["key"] == 11
        rest = [item for item in items if item.key not in {*done, 11}]
        done += [result.key for result in session.send(rest, never)]
    assert {*done, 11} == set(range(30))


def test_an_abandoned_send_leaves_no_thread_and_no_slot_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    items = small(tmp_path, 60)
    with acceptor(obliging) as port:
        sender = client(port, associations=3)
        results = sender.send(items, never)
        next(results)
        results.close()  # type: ignore[attr-defined]  # a generator
        assert len(list(sender.send(items, never))) == 60
    wait_until(lambda: set(threading.enumerate()) <= before)


# -- limits of the peer


@pytest.mark.parametrize("longest", [0, 128, 4097, 16384, 2**32 - 1])
def test_every_maximum_length_is_kept_to(tmp_path: Path, longest: int) -> None:
    sizes: set[int] = set()
    received: list[bytes] = []

    def measuring(connection: socket.socket) -> None:
        accept(connection, longest)
        number, message, data = read_instance(connection)
        received.append(data)
        connection.sendall(pdata(number, 3, command_of(message)))
        sizes.add(read_pdu(connection)[0])
        connection.sendall(fixed(RELEASE_RP))

    with acceptor(measuring) as port:
        [result] = send(port, [stored(CT)])
    assert result.verdict is Verdict.STORED
    assert received == [data_set(CT)]
    assert sizes == {RELEASE_RQ}


def test_a_ridiculous_maximum_length_is_not_served(tmp_path: Path) -> None:
    with acceptor(lambda connection: accept(connection, 7)) as port, pytest.raises(TransientError, match="no PDU"):
        send(port, small(tmp_path, 1))


# -- acceptors that mean harm


@pytest.mark.parametrize(
    "answer",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", struct.pack(">BxL", 2, 2**32 - 1), fixed(ABORT), fixed(RELEASE_RP), b""],
)
def test_what_is_no_answer_to_an_association_request_means_down(tmp_path: Path, answer: bytes) -> None:
    def wrong(connection: socket.socket) -> None:
        read_pdu(connection)
        connection.sendall(answer)

    with acceptor(wrong) as port, pytest.raises(DestinationDown):
        send(port, small(tmp_path, 1))


def test_an_acceptor_that_never_answers_a_request_is_given_up(tmp_path: Path) -> None:
    with acceptor(lambda connection: time.sleep(0.6)) as port, pytest.raises(DestinationDown, match="does not answer"):
        list(impatient(port).send(small(tmp_path, 1), never))


Answer = Callable[[int, int], bytes]  # context id and message id to bytes
HOSTILE: list[tuple[str, Answer]] = [
    ("length", lambda c, m: struct.pack(">BxL", 4, 2**32 - 1)),
    ("length", lambda c, m: struct.pack(">BxL", 4, 0)),
    ("type 63h", lambda c, m: b"c" * 64),
    ("type 01h", lambda c, m: struct.pack(">BxL", 1, 4) + bytes(4)),
    ("lies", lambda c, m: struct.pack(">BxLLBB", 4, 8, 2**32 - 1, c, 3) + bytes(2)),
    ("lies", lambda c, m: struct.pack(">BxLLBB", 4, 8, 1, c, 3) + bytes(2)),
    ("lies", lambda c, m: struct.pack(">BxLLBB", 4, 7, 2, c, 1) + bytes(1)),
    ("context", lambda c, m: pdata(c + 2, 3, command_of(m))),
    ("data set", lambda c, m: pdata(c, 2, b"data set") + pdata(c, 3, command_of(m))),
    ("without end", lambda c, m: pdata(c, 1, bytes(8000)) * 3),
    ("not asked", lambda c, m: pdata(c, 3, command_of(m + 1))),
    ("not asked", lambda c, m: pdata(c, 3, command_of(m, field=0x8030))),
    ("no response", lambda c, m: pdata(c, 3, element(0x0100, 0x8001))),
    ("ends inside", lambda c, m: pdata(c, 3, command_of(m)[:-1])),
    ("ends inside", lambda c, m: pdata(c, 3, b"\x08" + command_of(m))),
    ("aborted", lambda c, m: fixed(ABORT)),
    ("released", lambda c, m: fixed(RELEASE_RQ)),
    ("lost", lambda c, m: b""),
    ("lost", lambda c, m: pdata(c, 3, command_of(m))[:-4]),
]


@pytest.mark.parametrize(("match", "answer"), HOSTILE, ids=lambda value: value if isinstance(value, str) else "")
def test_a_wrong_response_costs_this_association_only(tmp_path: Path, match: str, answer: Answer) -> None:
    last: list[bytes] = []

    def wrong(connection: socket.socket) -> None:
        accept(connection)
        number, message, _ = read_instance(connection)
        connection.sendall(answer(number, message))
        connection.shutdown(socket.SHUT_WR)
        last.append(connection.recv(100))

    with acceptor(wrong) as port:
        [result] = send(port, small(tmp_path, 1))
    assert (result.verdict, result.status) == (Verdict.LOST, None)
    assert match in result.why
    if match == "released":
        assert last == [fixed(RELEASE_RP)]
    elif match not in {"aborted", "lost"}:
        assert last == [fixed(ABORT)]


def test_a_response_in_many_fragments_is_put_together(tmp_path: Path) -> None:
    def fragments(connection: socket.socket) -> None:
        accept(connection)
        number, message, _ = read_instance(connection)
        answer = command_of(message, 0xB000)
        for byte in answer[:-1]:
            connection.sendall(pdata(number, 1, bytes([byte])))
        connection.sendall(pdata(number, 3, answer[-1:]))
        read_pdu(connection)

    with acceptor(fragments) as port:
        assert [result.status for result in send(port, small(tmp_path, 1))] == [0xB000]


def test_a_byte_a_moment_does_not_stretch_the_wait_for_a_response(tmp_path: Path) -> None:
    def dripping(connection: socket.socket) -> None:
        accept(connection)
        number, message, _ = read_instance(connection)
        for byte in pdata(number, 3, command_of(message)):
            connection.sendall(bytes([byte]))
            time.sleep(0.1)

    began = time.monotonic()
    with acceptor(dripping) as port:
        [result] = impatient(port).send(small(tmp_path, 1), never)
        assert time.monotonic() - began < 8
    assert (result.verdict, "in time" in result.why) == (Verdict.LOST, True)


def test_a_peer_that_stops_reading_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"
    path.write_bytes(preamble_and_meta(CT_CLASS, "1.2.3", ImplicitVRLittleEndian, "A", "B"))
    os.truncate(path, 64 * 2**20)

    def deaf(connection: socket.socket) -> None:
        accept(connection)
        time.sleep(0.8)

    with acceptor(deaf) as port:
        [result] = impatient(port).send(
            [
                Outgoing(
                    key=1, path=path, sop_class=CT_CLASS, sop_instance="1.2.3", transfer_syntax=ImplicitVRLittleEndian
                )
            ],
            never,
        )
    assert (result.verdict, "in time" in result.why) == (Verdict.LOST, True)


@pytest.mark.parametrize("answer", [fixed(RELEASE_RQ) + fixed(RELEASE_RP), b"", b"nonsense", fixed(ABORT)])
def test_however_a_release_is_answered_what_was_acknowledged_stays_so(tmp_path: Path, answer: bytes) -> None:
    def careless(connection: socket.socket) -> None:
        accept(connection)
        number, message, _ = read_instance(connection)
        connection.sendall(pdata(number, 3, command_of(message)))
        assert read_pdu(connection)[0] == RELEASE_RQ
        connection.sendall(answer)

    with acceptor(careless) as port:
        [result] = send(port, small(tmp_path, 1))
    assert result.verdict is Verdict.STORED


def test_a_file_that_shrinks_while_it_is_sent_is_never_passed_off_as_whole(tmp_path: Path) -> None:
    [item] = small(tmp_path, 1)
    after: list[bytes] = []

    def reading(connection: socket.socket) -> None:
        accept(connection)
        read_pdu(connection)  # the command
        while data := connection.recv(65536):
            after.append(data)

    with acceptor(reading) as port, item.path.open("rb") as file:
        connection = socket.create_connection(("127.0.0.1", port))
        association = Requestor(connection, DicomDestination.model_validate({"port": port}), SHORT)
        association.request([(CT_CLASS, item.transfer_syntax)])
        with pytest.raises(IntegrityError):
            association.store((CT_CLASS, item.transfer_syntax), item.sop_instance, FileSlice(file, 0, 10**6))
        assert connection.fileno() < 0
    assert b"".join(after) in (b"", fixed(ABORT)), "nothing of the data set"


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_bytes_from_an_acceptor_do_more_than_end_the_association(tmp_path: Path, data: st.DataObject) -> None:
    answer = bytearray(_acceptance_of_ct() + pdata(1, 3, command_of(1)))
    for position, value in data.draw(st.lists(st.tuples(st.integers(0, len(answer) - 1), st.integers(0, 255)))):
        answer[position] = value
    del answer[data.draw(st.integers(0, len(answer))) :]
    answer += data.draw(st.binary(max_size=40))
    with socket.create_server(("127.0.0.1", 0)) as listener, CT.open("rb") as file:
        connection = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
        with connection, peer:
            peer.sendall(answer)
            peer.shutdown(socket.SHUT_WR)
            association = Requestor(connection, DicomDestination(), SHORT)
            try:
                association.request([(CT_CLASS, ExplicitVRLittleEndian)])
                for context in association.accepted:
                    association.store(context, "1.2.3", FileSlice(file, 0, 1000))
            except TransientError:
                assert connection.fileno() < 0


def _acceptance_of_ct() -> bytes:
    ours, theirs = socket.socketpair()
    with ours, theirs, socket.create_server(("127.0.0.1", 0)) as listener:
        connection = socket.create_connection(listener.getsockname())
        peer, _ = listener.accept()
        with connection, peer:
            association = Requestor(connection, DicomDestination(), Waits(association=0.01))
            with pytest.raises(DestinationDown):
                association.request([(CT_CLASS, ExplicitVRLittleEndian)])
            return acceptance(read_pdu(peer)[1])


# -- answers that are merely odd


def named(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def answering(*items: bytes) -> Callable[[socket.socket], None]:
    """Accepts with these items, answers every instance of context 1 with success."""

    def script(connection: socket.socket) -> None:
        request = read_pdu(connection)[1]
        body = request[6:74] + b"".join(items)
        connection.sendall(struct.pack(">BxL", 2, len(body)) + body)
        while True:
            number, message, _ = read_instance(connection)
            connection.sendall(pdata(number, 3, command_of(message)))

    return script


def taken(number: int = 1, result: int = 0, syntax: str | None = ImplicitVRLittleEndian, more: bytes = b"") -> bytes:
    name = b"" if syntax is None else named(0x40, syntax.encode())
    return named(0x21, bytes((number, 0, result, 0)) + name + more)


APPLICATION = named(0x10, b"1.2.840.10008.3.1.1.1")
LENGTH, CLASS_UID = named(0x51, struct.pack(">L", 16384)), named(0x52, b"1.2.3")
USER = named(0x50, LENGTH + CLASS_UID)
ODD_ANSWERS = {
    "an unknown item first": (named(0x90, b"later"), APPLICATION, taken(), USER),
    "an unknown item last": (APPLICATION, taken(), USER, named(0xFF, b"")),
    "a presentation context of a request": (APPLICATION, named(0x20, b"\1\0\0\0"), taken(), USER),
    "user information before the contexts": (APPLICATION, USER, taken()),
    "an unknown sub-item": (APPLICATION, taken(), named(0x50, named(0x5A, b"x") + LENGTH + named(0x60, bytes(300)))),
    "an unknown item in a context": (APPLICATION, taken(more=named(0x41, b"?")), USER),
    "a long version name": (APPLICATION, taken(), named(0x50, LENGTH + CLASS_UID + named(0x55, b"N" * 28))),
    "an empty version name": (APPLICATION, taken(), named(0x50, LENGTH + CLASS_UID + named(0x55, b""))),
    "a version name in GBK": (APPLICATION, taken(), named(0x50, LENGTH + named(0x55, "影像云".encode("gbk")))),
    "a class UID that is none": (APPLICATION, taken(), named(0x50, LENGTH + named(0x52, b"not a UID"))),
    "an empty class UID": (APPLICATION, taken(), named(0x50, LENGTH + named(0x52, b""))),
    "a length of the wrong size": (APPLICATION, taken(), named(0x50, named(0x51, b"\x40\0") + CLASS_UID)),
    "no user information": (APPLICATION, taken()),
    "empty user information": (APPLICATION, taken(), named(0x50, b"")),
    "a sub-item that does not fit": (APPLICATION, taken(), named(0x50, LENGTH + b"\x55\0\0\x40N")),
    "no application context": (taken(), USER),
    "another application context": (named(0x10, b"1.2.3"), taken(), USER),
    "a padded syntax": (APPLICATION, taken(syntax=f"{ImplicitVRLittleEndian}\0"), USER),
    "contexts that were not asked for": (APPLICATION, taken(2), taken(), taken(77), taken(255, 4, None), USER),
    "a context of no bytes": (APPLICATION, named(0x21, b""), taken(), USER),
    "a role": (APPLICATION, taken(), named(0x50, LENGTH + named(0x54, b"\0\0031.2\1\0"))),
    "no limit": (APPLICATION, taken(), named(0x50, named(0x51, bytes(4)))),
}


@pytest.mark.parametrize("items", ODD_ANSWERS.values(), ids=ODD_ANSWERS)
def test_an_odd_answer_that_accepts_is_taken_at_its_word(tmp_path: Path, items: tuple[bytes, ...]) -> None:
    with acceptor(answering(*items)) as port:
        results = send(port, small(tmp_path, 2), associations=1)
    assert [result.verdict for result in results] == [Verdict.STORED] * 2


NOT_ACCEPTED = {
    "an empty syntax": taken(syntax=""),
    "no syntax": taken(syntax=None),
    "a syntax that was not proposed": taken(syntax="1.2.840.10008.1.2.2"),
    "a syntax that is none": taken(syntax="Implicit"),
    "rejected by the user": taken(result=1),
    "a result that no table knows": taken(result=9),
    "rejected without a syntax": taken(result=4, syntax=None),
    "not mentioned": b"",
}


@pytest.mark.parametrize("answer", NOT_ACCEPTED.values(), ids=NOT_ACCEPTED)
def test_a_context_that_is_not_accepted_for_certain_is_not_used(tmp_path: Path, answer: bytes) -> None:
    with acceptor(answering(APPLICATION, answer, USER)) as port:
        connection = socket.create_connection(("127.0.0.1", port))
        association = Requestor(connection, DicomDestination.model_validate({"port": port}), SHORT)
        association.request([(CT_CLASS, ImplicitVRLittleEndian), (CT_CLASS, ExplicitVRLittleEndian)])
        assert association.accepted == {}
        association.release()
    with acceptor(answering(APPLICATION, answer, taken(3, 0, ExplicitVRLittleEndian), USER)) as port:
        [result] = send(port, small(tmp_path, 1))
    assert result.verdict is Verdict.STORED
