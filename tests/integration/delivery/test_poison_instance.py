"""Instances with which a destination ends the association or falls silent: the rest goes on, and they are set aside."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from socketserver import BaseServer
from typing import Any

import pytest
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom import AE, evt

from router.catalogue import Catalogue, open_catalogue
from router.catalogue.images.instances import NewInstance
from router.catalogue.images.ledger import Entry, Fate, Tally
from router.catalogue.queue.queue import Delivery
from router.clock import SystemClock
from router.config.file import parse
from router.config.sections import Config, DicomDestination
from router.delivery.senders import ImagesSender, SendResult
from router.dicom.dataset.header import read_instance
from router.dicom.scu.client import Outgoing, Result, StorageClient, Waits
from router.dicom.ul.status import Verdict
from router.errors import DestinationDown, TransientError
from router.events import EventBus
from router.model import Channel, SeriesClass
from router.policy.retry import LOSSES, LOSSES_ALONE
from router.policy.states import State
from router.review.deliveries import Review
from router.storage import Storage, open_storage
from support.dicom_peers import CT_CLASS, made, stored
from support.scripted_acceptors import acceptor
from support.selective_destination import Picky

SHORT = Waits(connect=1, association=2, write=0.5, response=0.5, release=0.5)
ROOT = "1.2.826.0.1.3680043.9.9999"
ABSENT = "; wanted and not there: key, scout, dose"


def never() -> bool:
    return False


class Cloud:
    """A Storage SCP that aborts on some instances, falls silent on others, and remembers the order of all."""

    def __init__(self) -> None:
        self.aborts_on: Callable[[str], bool] = lambda uid: False
        self.silent_on: set[str] = set()
        self.ends_after_each = False
        self.pause = 0.0
        self.came: list[str] = []
        self.closed = threading.Event()
        entity: Any = AE()
        entity.maximum_associations = 20
        entity.add_supported_context(CT_CLASS, ImplicitVRLittleEndian)
        self._server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])
        self.port = int(self._server.server_address[1])

    def _store(self, event: Any) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.came.append(uid.rsplit(".", 1)[-1])
        time.sleep(self.pause)
        if uid in self.silent_on:
            self.closed.wait(5)
        if self.aborts_on(uid):
            event.assoc.abort()
        elif self.ends_after_each:
            threading.Timer(0.02, event.assoc.abort).start()
        return 0x0000

    def poison(self, *numbers: int) -> None:
        wrong = {f"{ROOT}.{number}" for number in numbers}
        self.aborts_on = lambda uid: uid in wrong

    def stop_listening(self) -> None:
        # A loop over a descriptor that is closed would look at whatever gets its number next.
        BaseServer.shutdown(self._server)
        self._server.server_close()

    def stop(self) -> None:
        self.closed.set()
        self._server.shutdown()


@contextmanager
def _cloud() -> Iterator[Cloud]:
    running = Cloud()
    try:
        yield running
    finally:
        running.stop()


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with _cloud() as running:
        yield running


def items(folder: Path, number: int) -> list[Outgoing]:
    return [stored(made(folder, key), key) for key in range(number)]


def client(port: int, associations: int = 1) -> StorageClient:
    return StorageClient(DicomDestination.model_validate({"port": port, "associations": associations}), SHORT)


def keys(results: Sequence[Result], verdict: Verdict) -> list[int]:
    return sorted(result.key for result in results if result.verdict is verdict)


# -- one attempt


@pytest.mark.parametrize("associations", [1, 3])
@pytest.mark.parametrize("poison", [0, 7, 19])
def test_the_rest_goes_on_over_a_new_association(cloud: Cloud, tmp_path: Path, associations: int, poison: int) -> None:
    cloud.poison(poison)
    results = list(client(cloud.port, associations).send(items(tmp_path, 20), never))
    assert keys(results, Verdict.STORED) == [n for n in range(20) if n != poison]
    [lost] = [result for result in results if result.verdict is Verdict.LOST]
    assert (lost.key, lost.status) == (poison, None)
    assert "aborted by the destination" in lost.why


def test_a_poison_instance_costs_one_of_the_associations_side_by_side_at_most(cloud: Cloud, tmp_path: Path) -> None:
    cloud.pause = 0.01
    cloud.poison(9)
    results = list(client(cloud.port, associations=4).send(items(tmp_path, 60), never))
    assert keys(results, Verdict.LOST) == [9]
    assert len({result.association for result in results}) >= 3
    assert cloud.came.count("9") <= 2, "once beside the caller's association, once over it"


def test_trouble_of_our_own_while_the_association_stands_is_no_loss(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def disk_full(*_: object) -> int:
        raise TransientError("no other transfer syntax can be written")

    monkeypatch.setattr("router.dicom.scu.store._store", disk_full)
    with pytest.raises(TransientError, match="can be written"):
        list(client(cloud.port).send(items(tmp_path, 2), never))


def test_an_instance_that_is_never_answered_does_not_stop_the_others(cloud: Cloud, tmp_path: Path) -> None:
    cloud.silent_on = {f"{ROOT}.2"}
    results = list(client(cloud.port).send(items(tmp_path, 6), never))
    assert keys(results, Verdict.STORED) == [0, 1, 3, 4, 5]
    assert [result.why for result in results if result.verdict is Verdict.LOST] == [
        "the destination does not answer or read in time"
    ]


def test_a_destination_that_aborts_on_everything_is_left_alone_after_three(cloud: Cloud, tmp_path: Path) -> None:
    cloud.poison(*range(9))
    results: list[Result] = []
    with client(cloud.port).session() as session:
        with pytest.raises(TransientError, match="lost with 3 instances"):
            results.extend(session.send(items(tmp_path, 9), never))
        with pytest.raises(TransientError, match="lost with 3 instances"):
            next(session.send(items(tmp_path, 9), never))
    assert [(result.key, result.verdict) for result in results] == [(n, Verdict.LOST) for n in range(3)]
    assert cloud.came == ["0", "1", "2"]


def test_an_association_that_ends_between_two_instances_is_no_instance_s_fault(cloud: Cloud, tmp_path: Path) -> None:
    cloud.ends_after_each = True
    results = []
    for result in client(cloud.port).send(items(tmp_path, 6), never):
        results.append(result)
        time.sleep(0.1)
    assert keys(results, Verdict.STORED) == list(range(6))
    assert len({result.association for result in results}) == 6


# -- attempt after attempt

CONFIG = """
[node]
data = "data"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[study]
stable_after = "0 s"
[[destination]]
name = "cloud"
[destination.dicom]
port = 1
"""


@dataclass
class SentExam:
    """An exam whose images go to a cloud, one attempt after another."""

    config: Config
    storage: Storage
    catalogue: Catalogue
    cloud: Cloud
    sender: ImagesSender
    made: Path
    exam: int = field(default=0)

    def file(self, *numbers: int) -> None:
        """Instances as if they had been received, catalogued and selected."""
        now = datetime.now(UTC)
        news = []
        for number in numbers:
            path = made(self.made, number)
            with path.open("rb") as file:
                header, digests = read_instance(file)
            place = self.storage.studies.path(header.uids, 1)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
            news.append(
                NewInstance(
                    header=header,
                    version=1,
                    digests=digests,
                    size=1,
                    series_class=SeriesClass.THIN,
                    rule="a rule",
                    received=now,
                )
            )
        self.catalogue.instances.add(news)
        self.exam = self.catalogue.exams.number_of("", "01", "E1", now)
        self.catalogue.exams.links.link(self.exam, ["1.2.3"], "listed", now)
        self.catalogue.queue.make(self.exam, [("cloud", Channel.IMAGES)], now)
        undecided = self.catalogue.ledger.undecided(self.exam, "cloud")
        self.catalogue.ledger.decide("cloud", [(one.key, True, "all go") for one in undecided], now)

    @property
    def delivery(self) -> Delivery:
        return self.catalogue.queue.of_exam(self.exam)[0]

    def attempt(self) -> SendResult | TransientError:
        self.cloud.came.clear()
        try:
            return self.sender.send(self.delivery, never)
        except TransientError as error:
            return error

    @property
    def tally(self) -> Tally:
        return self.catalogue.ledger.tallies([self.exam])[self.exam, "cloud"]

    def refused(self) -> list[Entry]:
        return [e for e in self.catalogue.ledger.entries(self.exam, "cloud") if e.fate is Fate.REFUSED]


@pytest.fixture
def desk(cloud: Cloud, tmp_path: Path) -> Iterator[SentExam]:
    config = parse(CONFIG, base=tmp_path)
    storage = open_storage(config.node.data, "node-1")
    catalogue = open_catalogue("", config.node.data, EventBus())
    sender = ImagesSender(
        config=config,
        catalogue=catalogue,
        storage=storage,
        client=client(cloud.port),
        clock=SystemClock(),
        asker=None,
        objection=lambda _: "",
    )
    yield SentExam(config, storage, catalogue, cloud, sender, tmp_path)
    catalogue.engine.close_thread()


def test_a_poison_instance_comes_last_and_is_refused_after_three_losses_until_a_person_retries_it(
    desk: SentExam,
) -> None:
    desk.file(*range(6))
    desk.cloud.poison(0)
    first = desk.attempt()
    assert str(first) == "1 instance(s) to be tried again: the association was aborted by the destination"
    assert (desk.cloud.came, desk.tally) == (["0", "1", "2", "3", "4", "5"], Tally(selected=6, sent=5))

    desk.file(6)
    assert isinstance(desk.attempt(), TransientError)
    assert (desk.cloud.came, desk.tally.sent) == (["6", "0", "0"], 6), "it is to blame as the first of one alone"

    why = "1 of 7 refused; 1 instance(s): the destination aborts on it: 3 associations were lost with it under way"
    assert desk.attempt() == SendResult(State.FAILED, why, {"error": why})
    [entry] = desk.refused()
    assert (entry.uids.sop, entry.status) == (f"{ROOT}.0", None)
    assert entry.rule == "the destination aborts on it: 3 associations were lost with it under way"

    for to in (State.READY, State.SENDING, State.FAILED):
        assert desk.catalogue.queue.move(desk.delivery, to, datetime.now(UTC), "on the way")
    assert Review(desk.catalogue, SystemClock()).retry(desk.delivery, "it was mended", "me")
    assert isinstance(desk.attempt(), TransientError), "it has three tries again"
    desk.cloud.poison()
    assert desk.attempt() == SendResult(State.DELIVERED, f"7 instances sent{ABSENT}", {"delivered": "instances=7"})
    assert [e.rule for e in desk.catalogue.ledger.entries(desk.exam, "cloud")] == ["all go"] * 7


def test_silence_on_one_instance_is_its_own_fault_too(desk: SentExam) -> None:
    desk.file(0, 1)
    desk.cloud.silent_on = {f"{ROOT}.0"}
    endings = [desk.attempt() for _ in range(LOSSES)]
    assert [isinstance(ending, SendResult) for ending in endings] == [False, False, True]
    assert desk.tally == Tally(selected=2, sent=1, refused=1)


def test_many_poison_instances_at_the_front_delay_the_others_by_an_attempt_only(desk: SentExam) -> None:
    desk.file(*range(8))
    desk.cloud.poison(0, 1, 2, 3)
    desk.attempt()
    assert desk.tally.sent == 0
    desk.attempt()
    assert (desk.cloud.came[:5], desk.tally.sent) == (["3", "4", "5", "6", "7"], 4)


def test_what_goes_in_between_tells_poison_instances_from_a_destination_in_trouble(desk: SentExam) -> None:
    desk.file(*range(4))
    desk.cloud.poison(0, 2)
    for number in range(4, 8):
        assert desk.refused() == []
        assert isinstance(desk.attempt(), TransientError)
        desk.file(number)
    assert [entry.uids.sop for entry in desk.refused()] == [f"{ROOT}.0"]


def test_a_destination_that_aborts_on_everything_for_long_has_nothing_refused(desk: SentExam) -> None:
    desk.file(*range(4))
    desk.cloud.poison(*range(4))
    for _ in range(LOSSES_ALONE + 2):
        assert isinstance(desk.attempt(), TransientError)
    assert desk.tally == Tally(selected=4)
    desk.cloud.poison(3)
    assert isinstance(desk.attempt(), TransientError), "what happened before is not held against it"
    desk.cloud.poison()
    assert desk.attempt() == SendResult(State.DELIVERED, f"4 instances sent{ABSENT}", {"delivered": "instances=4"})


def test_a_destination_that_goes_down_in_the_middle_has_nothing_refused(desk: SentExam) -> None:
    desk.file(*range(6))
    died: list[str] = []

    def dies(uid: str) -> bool:
        died.append(uid)
        if len(died) == 4:
            desk.cloud.stop_listening()
        return len(died) >= 4

    desk.cloud.aborts_on = dies
    for _ in range(LOSSES_ALONE + 2):
        assert isinstance(desk.attempt(), DestinationDown)
    assert (len(died), desk.tally) == (4, Tally(selected=6, sent=3))
    with _cloud() as back:
        desk.sender = ImagesSender(
            config=desk.config,
            catalogue=desk.catalogue,
            storage=desk.storage,
            client=client(back.port),
            clock=SystemClock(),
            asker=None,
            objection=lambda _: "",
        )
        assert isinstance(desk.attempt(), SendResult)
        assert back.came == ["4", "5", "3"]


def test_an_instance_that_is_all_there_is_gets_more_tries(desk: SentExam) -> None:
    desk.file(0)
    desk.cloud.poison(0)
    endings = [desk.attempt() for _ in range(LOSSES_ALONE)]
    assert [isinstance(ending, SendResult) for ending in endings] == [False] * (LOSSES_ALONE - 1) + [True]
    assert desk.tally == Tally(selected=1, refused=1)


def test_a_damaged_file_is_set_aside_with_its_reason_and_the_rest_goes(desk: SentExam) -> None:
    desk.file(0, 1)
    next(desk.storage.studies.walk()).write_bytes(b"")
    assert desk.attempt() == SendResult(State.FAILED, "1 of 2 damaged", {"error": "1 of 2 damaged"})
    [entry] = [e for e in desk.catalogue.ledger.entries(desk.exam, "cloud") if e.fate is Fate.DAMAGED]
    assert (entry.status, entry.rule) == (None, "its file is not what came")


# -- destinations that are merely odd


@contextmanager
def sending_to(desk: SentExam, peer: Picky) -> Iterator[None]:
    with acceptor(peer) as port:
        desk.sender = ImagesSender(
            config=desk.config,
            catalogue=desk.catalogue,
            storage=desk.storage,
            client=client(port),
            clock=SystemClock(),
            asker=None,
            objection=lambda _: "",
        )
        yield


def test_a_destination_that_aborts_on_the_second_of_every_association_gets_all_in_one_attempt(desk: SentExam) -> None:
    desk.file(*range(12))
    with sending_to(desk, Picky(does=lambda place, _: None if place == 2 else 0)):
        assert desk.attempt() == SendResult(
            State.DELIVERED, f"12 instances sent{ABSENT}", {"delivered": "instances=12"}
        )


def test_a_destination_that_accepts_nothing_is_down_and_refuses_nothing(desk: SentExam) -> None:
    desk.file(0, 1)
    peer = Picky(lambda contexts: [])
    with sending_to(desk, peer):
        assert [isinstance(desk.attempt(), DestinationDown) for _ in range(LOSSES_ALONE + 1)] == [True] * 11
        assert desk.tally == Tally(selected=2)
        peer.accepts = lambda contexts: contexts
        assert isinstance(desk.attempt(), SendResult)
    assert desk.tally == Tally(selected=2, sent=2)


def test_what_is_not_accepted_is_said_with_its_number_in_the_list_and_in_the_ledger(desk: SentExam) -> None:
    desk.file(*range(3))
    with sending_to(desk, Picky(lambda contexts: [one for one in contexts if one[0] != CT_CLASS])):
        ending = desk.attempt()
    reason = f"the destination does not accept CT Image Storage ({CT_CLASS}) in any transfer syntax"
    why = f"3 of 3 refused; 3 instance(s): {reason}"
    assert ending == SendResult(State.FAILED, why, {"error": why})
    assert {(entry.status, entry.rule) for entry in desk.refused()} == {(None, reason)}


def hangs_up_once(kept: set[bytes]) -> Callable[[int, bytes], int | None]:
    """Stores, and hangs up before its first answer; what it has is a duplicate."""

    def does(_: int, data: bytes) -> int | None:
        if data in kept:
            return 0x0111
        kept.add(data)
        return None if len(kept) == 1 else 0

    return does


def test_a_duplicate_answered_in_the_attempt_after_a_lost_answer_is_sent(desk: SentExam) -> None:
    desk.file(0, 1)
    with sending_to(desk, Picky(does=hangs_up_once(set()), silent=True)):
        assert isinstance(desk.attempt(), TransientError)
        assert isinstance(desk.attempt(), SendResult)
    assert desk.tally == Tally(selected=2, sent=2)
    assert {entry.status for entry in desk.catalogue.ledger.entries(desk.exam, "cloud")} == {0, 0x0111}


@pytest.mark.parametrize("killed", [True, False])
def test_a_duplicate_is_sent_where_a_node_died_that_was_sending_it(desk: SentExam, killed: bool) -> None:
    desk.file(0)
    now = datetime.now(UTC)
    desk.catalogue.queue.move(desk.delivery, State.READY, now, "all there")
    desk.catalogue.queue.move(desk.delivery, State.SENDING, now, "claimed", changes={"lease_owner": "node-1"})
    if killed:
        assert desk.catalogue.queue.take_back("node-1", datetime.now(UTC)) == 1
    with sending_to(desk, Picky(does=lambda place, data: 0x0111)):
        desk.attempt()
    assert desk.tally == (Tally(selected=1, sent=1) if killed else Tally(selected=1, refused=1))


def test_a_duplicate_of_what_came_after_the_node_died_is_refused(desk: SentExam) -> None:
    now = datetime.now(UTC)
    desk.file(0)
    desk.catalogue.queue.move(desk.delivery, State.READY, now, "all there")
    desk.catalogue.queue.move(desk.delivery, State.SENDING, now, "claimed", changes={"lease_owner": "node-1"})
    desk.catalogue.queue.take_back("node-1", datetime.now(UTC))
    desk.file(1)
    with sending_to(desk, Picky(does=lambda place, data: 0x0111)):
        desk.attempt()
    assert desk.tally == Tally(selected=2, sent=1, refused=1)


def test_a_person_s_retry_of_another_refusal_forgets_no_dead_node_and_that_of_a_duplicate_changes_nothing(
    desk: SentExam,
) -> None:
    desk.file(0)
    desk.catalogue.queue.move(desk.delivery, State.READY, datetime.now(UTC), "all there")
    desk.catalogue.queue.move(desk.delivery, State.SENDING, datetime.now(UTC), "claimed", changes={"lease_owner": "n"})
    desk.catalogue.queue.take_back("n", datetime.now(UTC))
    desk.file(1)
    with sending_to(desk, Picky(does=lambda place, data: 0xC000 if place == 1 else 0x0111)):
        desk.attempt()
    assert desk.tally == Tally(selected=2, refused=2)
    desk.catalogue.ledger.reselect_refused(desk.exam, "cloud", datetime.now(UTC))
    with sending_to(desk, Picky(does=lambda place, data: 0x0111)):
        desk.attempt()
    assert desk.tally == Tally(selected=2, sent=1, refused=1)
