"""Storage commitment with real peers: what is asked, what is reported over either association, and what comes of it."""

import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from router.catalogue import open_catalogue
from router.catalogue.images.instances import NewInstance
from router.catalogue.images.ledger import Fate, Outcome, Tally
from router.clock import FakeClock
from router.config.file import parse
from router.config.sections import Destination
from router.delivery import commitment
from router.delivery.breaker_gate import Route
from router.delivery.commitment import Asker, CommitmentReports
from router.delivery.dispatcher import Dispatcher
from router.delivery.senders import ImagesSender, SendResult
from router.dicom.dataset import header as headers
from router.dicom.dataset.elements import Encoding, top_level
from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.scu.client import StorageClient
from router.dicom.ul.commitment import MOST, Reference, Report
from router.errors import DestinationDown, TransientError
from router.events import Event, EventBus, Kind
from router.model import Channel, SeriesClass
from router.node import receive_worker
from router.policy.states import State
from router.storage import open_storage
from router.storage.incoming import Incoming, IncomingFolder
from support.catalogue_rows import CLOUD, NOW, exam
from support.committing_destination import COMMITMENT, Asked, cloud, report_of, reporting, send_report
from support.dicom_peers import CT_CLASS, client, made, orthanc, wait_until
from support.scripted_acceptors import (
    ABORT,
    accept,
    acceptor,
    command_of,
    element,
    fixed,
    pdata,
    read_instance,
    read_pdu,
)

CONFIG = """
[hospital]
USCI = "1"
HospitalCode = "1"
HospitalName = "1"
HospitalBranchCode = "01"
[node]
data = "data"
[[destination]]
name = "cloud"
[destination.dicom]
port = {port}
commitment = {commitment}
commitment_wait = "{wait}"
"""
HOUR = timedelta(hours=1)


class Hospital:
    """A node's sending half with its catalogue, and the Storage SCP to which a destination may report."""

    def __init__(self, folder: Path, *, workers: int = 0) -> None:
        self.folder = folder
        self.events: list[Event] = []
        self.outcomes: list[Received | Refused] = []
        self.clock = FakeClock(NOW)
        bus = self.bus = EventBus(self.events.append)
        self.catalogue = open_catalogue("", folder, bus)
        self.storage = open_storage(folder / "data", "node-1")
        self.reports = CommitmentReports(self.catalogue, bus, self.clock, lambda: 0.0)
        incoming = Incoming(folder / "incoming")
        sink = (
            receive_worker.commands(incoming, workers, 0, 0)
            if workers
            else IncomingFolder(incoming.worker_folder(1), 0)
        )
        self.server = StorageServer(sink, admission=Admission(), record=self.outcomes.append, take_report=self.take)
        self.port = self.server.start("127.0.0.1", 0)
        self.exam = exam(self.catalogue, "E1", "1.2.3")
        self.stop = lambda: False

    def take(self, report: Report) -> int:
        try:
            return self.reports.take(report)
        finally:
            self.catalogue.engine.close_thread()

    def close(self) -> None:
        self.server.stop(2)
        self.catalogue.engine.close_thread()

    def receive(self, *numbers: int) -> list[str]:
        """Instances that came an hour ago and are selected; their UIDs."""
        news = [self._filed(number) for number in numbers]
        self.catalogue.instances.add(news)
        undecided = self.catalogue.ledger.undecided(self.exam, CLOUD)
        self.catalogue.ledger.decide(CLOUD, [(one.key, True, "a rule") for one in undecided], NOW)
        return [new.header.uids.sop for new in news]

    def sender(self, port: int, *, commitment: bool = True, wait: str = "3 s") -> ImagesSender:
        text = CONFIG.format(port=port, commitment=str(commitment).lower(), wait=wait)
        config = parse(text, base=self.folder)
        [destination] = config.destination
        peer, clock, asker = self._client(destination)
        return ImagesSender(
            config=config, catalogue=self.catalogue, storage=self.storage, client=peer, clock=clock, asker=asker,
            objection=lambda _: "",
        )  # fmt: skip

    def _client(self, destination: Destination) -> tuple[StorageClient, FakeClock, Asker | None]:
        assert destination.dicom is not None
        sender = client(destination.dicom.port)
        asker = Asker(
            destination=destination.dicom,
            catalogue=self.catalogue,
            client=sender,
            reports=self.reports,
            bus=self.bus,
            clock=self.clock,
            random=os.urandom,
        )
        return sender, self.clock, asker if destination.dicom.commitment else None

    def send(self, sender: ImagesSender) -> SendResult:
        """Claim the delivery and carry it out, as the dispatcher does; it is put back for the next time."""
        queue = self.catalogue.queue
        queue.make(self.exam, [(CLOUD, Channel.IMAGES)], NOW)
        [delivery] = queue.of_exam(self.exam)
        if delivery.state == State.WAITING:
            queue.move(delivery, State.READY, NOW, "a test")
        claimed = queue.claim(CLOUD, Channel.IMAGES, "node-1", NOW, HOUR)
        assert claimed is not None
        try:
            return sender.send(claimed, self.stop)
        finally:
            queue.move(claimed, State.READY, NOW, "a test")

    @property
    def tally(self) -> Tally:
        return self.catalogue.ledger.tallies([self.exam])[self.exam, CLOUD]

    @property
    def fates(self) -> list[tuple[Fate, int | None]]:
        return [(entry.fate, entry.status) for entry in self.catalogue.ledger.entries(self.exam, CLOUD)]

    @property
    def alarms(self) -> list[str]:
        return [event.text for event in self.events if event.kind == Kind.ALARM]

    def refusals(self) -> list[tuple[str, int | None]]:
        return [(o.reason, o.status) for o in self.outcomes if isinstance(o, Refused)]

    def _filed(self, number: int) -> NewInstance:
        source = made(self.folder, number)
        with source.open("rb") as file:
            header, digests = headers.read_instance(file)
        place = self.storage.studies.path(header.uids, 1)
        place.parent.mkdir(parents=True, exist_ok=True)
        source.rename(place)
        return NewInstance(
            header=header,
            version=1,
            digests=digests,
            size=9,
            series_class=SeriesClass.THIN,
            rule="a rule",
            received=NOW - HOUR,
        )


@pytest.fixture
def hospital(tmp_path: Path) -> Iterator[Hospital]:
    """Served by threads of this process."""
    opened = Hospital(tmp_path)
    yield opened
    opened.close()


@pytest.fixture
def staffed(tmp_path: Path) -> Iterator[Hospital]:
    """Served by a receive worker."""
    opened = Hospital(tmp_path, workers=1)
    yield opened
    opened.close()


# -- the report on the association of the request


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_a_report_on_the_same_association_delivers_at_once(hospital: Hospital, syntax: str) -> None:
    uids = hospital.receive(1, 2, 3)
    with cloud(same=True, syntax=syntax) as peer:
        ending = hospital.send(hospital.sender(peer.port))
        assert (ending.to, ending.changes) == (State.DELIVERED, {"delivered": "instances=3"})
        wait_until(lambda: peer.statuses == [0])
        [asked] = peer.asked
    assert asked.items == tuple((CT_CLASS, uid) for uid in uids)
    assert hospital.fates == [(Fate.SENT, 0)] * 3
    assert hospital.alarms == []


def test_more_instances_than_a_request_may_hold_are_asked_for_in_several(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitment, "MOST", 2)
    hospital.receive(1, 2, 3, 4, 5)
    with cloud(same=True) as peer:
        ending = hospital.send(hospital.sender(peer.port))
        assert [len(asked.items) for asked in peer.asked] == [2, 2, 1]
        assert len({asked.transaction for asked in peer.asked}) == 3
        assert len({id(asked.association) for asked in peer.asked}) == 1
    assert ending.to == State.DELIVERED
    assert hospital.tally == Tally(selected=5, sent=5)


@pytest.mark.fires("commitment")
def test_failures_are_sent_again_asked_for_again_or_refused_by_their_reason(hospital: Hospital) -> None:
    lost, busy, conflict, fine = hospital.receive(1, 2, 3, 4)
    with cloud(same=True) as peer:
        peer.reasons = {lost: 0x0112, busy: 0x0213, conflict: 0x0119}
        assert hospital.send(hospital.sender(peer.port)).to == State.WAITING
        assert hospital.fates == [
            (Fate.STORED, 0x0112), (Fate.STORED, 0x0213), (Fate.REFUSED, 0x0119), (Fate.SENT, 0)
        ]  # fmt: skip
        [alarm] = hospital.alarms
        for reason in ("0112 no such object instance", "0213 resource limitation", "0119 class/instance conflict"):
            assert f"1 instance(s): {reason}" in alarm
        peer.reasons = {}
        assert hospital.send(hospital.sender(peer.port)).to == State.WAITING  # not before the pause is over
        assert len(peer.asked) == 1
        hospital.clock.advance(5)
        ending = hospital.send(hospital.sender(peer.port))
        assert {uid for _, uid in peer.asked[1].items} == {lost, busy}
    assert (ending.to, ending.why) == (State.FAILED, "1 of 4 refused")
    assert peer.stored == {lost: 2, busy: 1, conflict: 1, fine: 1}
    assert hospital.tally == Tally(selected=4, sent=3, refused=1)


@pytest.mark.ends("commitment")
def test_the_alarm_concerns_one_destination_and_ends_when_the_images_are_delivered_there(hospital: Hospital) -> None:
    [uid] = hospital.receive(1)
    with cloud(same=True) as peer:
        peer.reasons = {uid: 0x0110}
        assert hospital.send(hospital.sender(peer.port)).to == State.WAITING
        [alarm] = hospital.catalogue.alarms.standing()
        [delivery] = hospital.catalogue.queue.of_exam(hospital.exam)
        assert (alarm.destination, alarm.delivery) == (CLOUD, delivery.id)
        peer.reasons = {}
        hospital.clock.advance(5)
        dispatcher = Dispatcher(hospital.catalogue, "node-1", hospital.bus, hospital.clock)
        assert dispatcher.run_one(
            Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=hospital.sender(peer.port))
        )
    assert not hospital.catalogue.alarms.standing()


def test_an_instance_that_is_never_committed_is_asked_for_ever_more_slowly(hospital: Hospital) -> None:
    [uid] = hospital.receive(1)
    pauses = []
    with cloud(same=True) as peer:
        peer.reasons = {uid: 0x0110}
        for number in range(1, 5):
            hospital.send(hospital.sender(peer.port))
            assert len(peer.asked) == number
            again = hospital.catalogue.commitments.next_ask(hospital.exam, CLOUD)
            assert again is not None
            pauses.append((again - hospital.clock.now()).total_seconds())
            hospital.clock.advance(pauses[-1])
    assert pauses == [5, 10, 20, 40]


def test_a_request_that_is_refused_is_trouble_that_the_operator_sees(hospital: Hospital) -> None:
    hospital.receive(1)
    with cloud() as peer:
        for status, error in ((0x0124, DestinationDown), (0x0110, TransientError)):
            peer.answer = status
            with pytest.raises(error, match=f"refuses to be asked for storage commitment, status {status:04X}"):
                hospital.send(hospital.sender(peer.port))
        peer.answer, peer.same = 0, True
        assert hospital.send(hospital.sender(peer.port)).to == State.DELIVERED
    assert peer.stored.total() == 1
    assert hospital.alarms == []


def test_a_destination_without_storage_commitment_is_down_and_nothing_counts_as_sent(hospital: Hospital) -> None:
    hospital.receive(1)
    with cloud(commits=False) as peer:
        for _ in range(2):
            with pytest.raises(DestinationDown, match=r"does not accept storage commitment .*commitment = false"):
                hospital.send(hospital.sender(peer.port))
        assert peer.stored.total() == 1
    assert hospital.tally == Tally(selected=1, stored=1)


def test_with_commitment_turned_off_what_is_stored_counts_as_sent(hospital: Hospital) -> None:
    hospital.receive(1)
    with cloud() as peer:
        assert hospital.send(hospital.sender(peer.port, wait="0 s")).to == State.WAITING
        assert hospital.send(hospital.sender(peer.port, commitment=False)).to == State.DELIVERED
    assert len(peer.asked) == 1


# -- the report on an association that the destination opens


@pytest.mark.parametrize("role", [True, False])
def test_a_report_on_a_later_association_delivers(hospital: Hospital, role: bool) -> None:
    hospital.receive(1, 2)
    with cloud() as peer:
        ending = hospital.send(hospital.sender(peer.port, wait="0 s"))
        assert (ending.to, ending.why) == (State.WAITING, "2 of 2 stored, not committed")
        assert hospital.send(hospital.sender(peer.port)).to == State.WAITING  # and does not ask again meanwhile
        hospital.catalogue.exams.postpone(hospital.exam, NOW + HOUR)
        hospital.clock.advance(3 * 3600)
        assert peer.report(peer.asked[0], hospital.port, role=role) == 0
        assert hospital.catalogue.exams.to_check(hospital.clock.now(), 9) == [hospital.exam]
        assert hospital.send(hospital.sender(peer.port)).to == State.DELIVERED
        assert len(peer.asked) == 1
    assert hospital.fates == [(Fate.SENT, 0)] * 2


def test_the_wait_on_our_association_ends_when_the_report_comes_over_another_one(hospital: Hospital) -> None:
    hospital.receive(1)
    with cloud() as peer:

        def report() -> None:
            wait_until(lambda: bool(peer.asked))
            peer.report(peer.asked[0], hospital.port)

        peer.threads.append(threading.Thread(target=report))
        peer.threads[0].start()
        began = time.monotonic()
        assert hospital.send(hospital.sender(peer.port, wait="30 s")).to == State.DELIVERED
        assert time.monotonic() - began < 20


@pytest.mark.ends("commitment-silence")
@pytest.mark.fires("commitment-silence")
def test_a_report_that_never_comes_is_asked_for_again_and_a_late_one_still_counts(hospital: Hospital) -> None:
    hospital.receive(1, 2)
    with cloud() as peer:
        hospital.send(hospital.sender(peer.port, wait="0 s"))
        hospital.clock.advance(3599)
        hospital.send(hospital.sender(peer.port, wait="0 s"))
        assert len(peer.asked) == 1
        hospital.clock.advance(1)
        assert hospital.send(hospital.sender(peer.port, wait="0 s")).to == State.WAITING
        first, second = peer.asked
        assert hospital.alarms == ["no report on the storage commitment of 2 instance(s): it is asked for again"]
        assert [one.destination for one in hospital.catalogue.alarms.standing()] == [CLOUD]
        assert (first.items, first.transaction != second.transaction) == (second.items, True)
        assert peer.report(first, hospital.port) == 0
        assert hospital.tally == Tally(selected=2, sent=2)
        assert not hospital.catalogue.alarms.standing()
        assert peer.report(second, hospital.port) == peer.report(first, hospital.port) == 0
    assert peer.stored.total() == 2


def test_a_report_on_an_unknown_transaction_is_answered_with_a_failure_and_told(hospital: Hospital) -> None:
    [uid] = hospital.receive(1)
    with cloud() as peer:
        hospital.send(hospital.sender(peer.port, wait="0 s"))
        forged = Asked("2.25.1", peer.asked[0].items, None)
        assert peer.report(forged, hospital.port) == 0x0115
    assert hospital.tally.stored == 1
    wait_until(lambda: hospital.refusals() == [("a storage commitment report on a transaction not ours", 0x0115)])
    assert uid not in str(hospital.events)


def test_a_report_marks_nothing_that_its_transaction_did_not_ask_for(hospital: Hospital) -> None:
    uids = hospital.receive(1)
    with cloud() as peer:
        hospital.send(hospital.sender(peer.port, wait="0 s"))
        uids += hospital.receive(2)
        peer.reasons = {"1.2.3.4": 0x0112}
        hospital.send(hospital.sender(peer.port, wait="0 s"))
        first = peer.asked[0]
        everything = tuple((first.items[0][0], uid) for uid in (*uids, "1.2.3.4"))
        assert peer.report(Asked(first.transaction, everything, None), hospital.port) == 0
    assert hospital.fates == [(Fate.SENT, 0), (Fate.STORED, 0)]


def test_a_database_that_does_not_answer_is_told_to_the_destination_as_a_failure(
    staffed: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    hospital = staffed

    def broken(*_: object) -> None:
        raise TransientError("the database did not answer")

    hospital.receive(1)
    with cloud() as peer:
        hospital.send(hospital.sender(peer.port, wait="0 s"))
        with monkeypatch.context() as patch:
            patch.setattr(type(hospital.catalogue.commitments), "settle", broken)
            assert peer.report(peer.asked[0], hospital.port) == 0x0110
        with monkeypatch.context() as patch:
            patch.setattr(type(hospital.catalogue.commitments), "settle", lambda *_: 1 / 0)
            assert peer.report(peer.asked[0], hospital.port) == 0x0110
        assert peer.report(peer.asked[0], hospital.port) == 0


def test_a_slow_database_keeps_only_the_report_waiting(staffed: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    hospital = staffed
    gate, entered = threading.Event(), threading.Event()
    settle = type(hospital.catalogue.commitments).settle

    def slow(*arguments: object) -> list[int]:
        entered.set()
        assert gate.wait(10)
        return settle(*arguments)  # type: ignore[arg-type]  # passed on

    hospital.receive(1)
    with cloud() as peer:
        hospital.send(hospital.sender(peer.port, wait="0 s"))
        monkeypatch.setattr(type(hospital.catalogue.commitments), "settle", slow)
        peer.threads.append(threading.Thread(target=peer.report, args=(peer.asked[0], hospital.port)))
        peer.threads[0].start()
        assert entered.wait(5)
        client(hospital.port, ae_title="ROUTER").echo()
        gate.set()
        wait_until(lambda: peer.statuses == [0])


def test_a_report_of_the_largest_size_passes_the_worker_s_channel(staffed: Hospital) -> None:
    reports: list[Report] = []

    def remember(report: Report) -> int:
        reports.append(report)
        return 0

    staffed.reports = type("Taker", (), {"take": staticmethod(remember)})()
    names = [f"1.2.826.0.1.3680043.9.9999.{'9' * 32}.{number:04}" for number in range(1000, 1000 + MOST)]
    assert len(names[0]) == 64
    reasons = dict.fromkeys(names[::2], 65535)
    asked = Asked("2.25." + "9" * 39, tuple((CT_CLASS, name) for name in names), None)
    with reporting(staffed.port) as association:
        assert send_report(association, report_of(asked, reasons)) == 0
        more = Asked(asked.transaction, (*asked.items, ("1.2", "1.2.3")), None)
        assert send_report(association, report_of(more, {})) == 0x0115
    [report] = reports
    assert report == Report(asked.transaction, tuple(names[1::2]), tuple(reasons.items()))


@pytest.mark.parametrize("event_type", [3, 0xFFFF])
def test_an_event_that_the_standard_does_not_know_is_refused(hospital: Hospital, event_type: int) -> None:
    with reporting(hospital.port) as association:
        assert send_report(association, something(), event_type) == 0x0113


def test_a_report_longer_than_any_real_one_is_passed_by(hospital: Hospital) -> None:
    data = something()
    data.add_new(0x00091001, "OB", bytes(2**18))
    with reporting(hospital.port) as association:
        assert send_report(association, data, 1) == 0x0213
        assert send_report(association, something(), 1) == 0x0115  # and the association lives on


def something() -> Dataset:
    data = Dataset()
    data.TransactionUID = "1.2.3"
    return data


def test_only_the_report_is_served_over_the_context_of_storage_commitment(hospital: Hospital) -> None:
    with reporting(hospital.port, role=False) as association:
        answer, _ = association.send_n_action(something(), 1, COMMITMENT, "1.2.840.10008.1.20.1.1")
        assert answer.Status == 0x0211


def test_our_role_is_told_and_that_of_a_commitment_scp_is_not_taken(hospital: Hospital) -> None:
    with reporting(hospital.port) as association:
        [role] = association.acceptor.role_selection.values()
        assert (role.scu_role, role.scp_role) == (False, True)
        assert association.accepted_contexts[0].as_scp


def test_a_node_that_asks_nobody_takes_no_report(tmp_path: Path) -> None:
    server = StorageServer(IncomingFolder(tmp_path, 0), admission=Admission(), record=lambda _: None)
    try:
        with reporting(server.start("127.0.0.1", 0)) as association:
            assert [context.result for context in association.rejected_contexts] == [3]
    finally:
        server.stop(2)


# -- acceptors that answer oddly

TRANSACTION, SOME = "2.25.7", Reference(CT_CLASS, "1.2.3.4")
Script = Callable[[socket.socket, int, int], None]


def event_report(context_id: int, message_id: int, data: Dataset) -> bytes:
    uids = ((0x0002, COMMITMENT.encode() + b"\0"), (0x1000, b"1.2.840.10008.1.20.1.1"))
    named = [struct.pack("<HHL", 0, number, len(uid)) + uid for number, uid in uids]
    numbers = ((0x0100, 0x0100), (0x0110, message_id), (0x0800, 0), (0x1002, 1))
    command = named[0] + b"".join(element(*number) for number in numbers) + named[1]
    file = BytesIO()
    dcmwrite(file, data, implicit_vr=False, little_endian=True)
    return pdata(context_id, 3, command) + pdata(context_id, 2, file.getvalue())


def requesting(script: Script, taken: list[Report], seconds: float = 0) -> tuple[int, str]:
    """Ask an acceptor that goes on by `script`: the request's status, or the trouble that it was."""

    def run(connection: socket.socket) -> None:
        accept(connection)
        script(connection, *read_instance(connection)[:2])

    def take(report: Report) -> int:
        taken.append(report)
        return 0

    with acceptor(run) as port, client(port).asking(take, lambda: False) as asking:
        assert asking is not None
        try:
            status = asking.request(TRANSACTION, [SOME])
            asking.await_reports(seconds, lambda: bool(taken))
        except TransientError as error:
            return -1, error.message
        return status, ""


def together(pdus: list[bytes]) -> bytes:
    """Their presentation data values in one PDU."""
    values = b"".join(pdu[6:] for pdu in pdus)
    return struct.pack(">BxL", 4, len(values)) + values


def test_a_report_may_come_before_the_answer_to_its_request() -> None:
    answers: list[bytes] = []

    def overtake(connection: socket.socket, context_id: int, message_id: int) -> None:
        whole = report_of(Asked(TRANSACTION, ((SOME.sop_class, SOME.sop_instance),), None), {})
        connection.sendall(event_report(context_id, 9, whole))
        answers.append(read_pdu(connection)[1])
        connection.sendall(pdata(context_id, 3, command_of(message_id, field=0x8130)))
        read_pdu(connection)

    taken: list[Report] = []
    assert requesting(overtake, taken) == (0, "")
    assert taken == [Report(TRANSACTION, ("1.2.3.4",))]
    answered = dict(top_level(answers[0][12:], Encoding(explicit=False, order="<")))
    assert (answered[0x00000100], answered[0x00000120]) == (b"\x00\x81", b"\x09\x00")
    assert answered[0x00000900] == b"\0\0"


@pytest.mark.parametrize(
    ("match", "answer"),
    [
        ("not asked", lambda c, m: pdata(c, 3, command_of(m + 1, field=0x8130))),
        ("not asked", lambda c, m: pdata(c, 3, command_of(m, field=0x8001))),
        ("another context", lambda c, m: pdata(c + 40, 3, command_of(m, field=0x8130))),
        ("lacks an element", lambda c, m: pdata(c, 3, element(0x0100, 0x8130))),
        ("without end", lambda c, m: pdata(c, 3, command_of(m, field=0x8130)[:-20] + element(0x0800, 0))
         + pdata(c, 0, bytes(16000)) * 17),
        ("more follows", lambda c, m: together(2 * [pdata(c, 3, command_of(m, field=0x8130))])),
        ("aborted", lambda c, m: fixed(ABORT)),
        ("lost", lambda c, m: b""),
    ],
)  # fmt: skip
def test_a_wrong_answer_to_a_request_is_transient_trouble(match: str, answer: Callable[[int, int], bytes]) -> None:
    def wrong(connection: socket.socket, context_id: int, message_id: int) -> None:
        connection.sendall(answer(context_id, message_id))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(1000):
            pass

    status, trouble = requesting(wrong, [])
    assert status == -1
    assert match in trouble


def test_an_acceptor_that_goes_away_before_it_reports_is_no_trouble() -> None:
    def go_away(connection: socket.socket, context_id: int, message_id: int) -> None:
        connection.sendall(pdata(context_id, 3, command_of(message_id, field=0x8130)) + fixed(ABORT))

    taken: list[Report] = []
    began = time.monotonic()
    assert requesting(go_away, taken, 10) == (0, "")
    assert time.monotonic() - began < 8
    assert taken == []


# -- Orthanc


@contextmanager
def committing_orthanc(hospital: Hospital) -> Iterator[int]:
    """Its DICOM port; it reports on associations of its own, with roles reversed."""
    router = {"AET": "ROUTER", "Host": "127.0.0.1", "Port": hospital.port, "AllowStorageCommitment": True}
    with orthanc(hospital.folder, DicomAet="CLOUD", DicomModalities={"router": router}) as (port, _):
        yield port


def test_orthanc_commits_what_it_has_and_gets_again_what_it_has_not(hospital: Hospital) -> None:
    hospital.receive(1, 2)
    missing = hospital.catalogue.ledger.to_send(hospital.exam, CLOUD, 1)
    hospital.catalogue.ledger.record(
        [Outcome(key=one.key, fate=Fate.STORED, status=0, association="", ask_at=NOW) for one in missing], NOW
    )
    with committing_orthanc(hospital) as port:
        sender = hospital.sender(port, wait="10 s")
        assert hospital.send(sender).to == State.WAITING
        assert hospital.fates == [(Fate.STORED, 0x0112), (Fate.SENT, 0)]
        hospital.clock.advance(5)
        assert hospital.send(sender).to == State.DELIVERED
    assert hospital.fates == [(Fate.SENT, 0), (Fate.SENT, 0)]
    assert hospital.refusals() == []
    assert hospital.alarms == ["the destination does not commit to 1 instance(s): 0112 no such object instance"]
