"""Results of sending that the database did not take: kept, and written before anything else is sent."""

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from router.catalogue import Catalogue
from router.catalogue.images.ledger import Fate
from router.catalogue.queue.late import LateReceipt
from router.clock import FakeClock
from router.config.sections import Config
from router.delivery.breaker_gate import Route
from router.delivery.dispatcher import Dispatcher
from router.delivery.ledger_writer import LEDGER_BATCH
from router.delivery.senders import ImagesSender
from router.delivery.unwritten import Unwritten
from router.dicom.scu.client import Outgoing, Result, StorageClient
from router.dicom.ul.status import Verdict
from router.errors import TransientError
from router.events import Event, EventBus, Kind
from router.forward.answer import Receipt
from router.forward.report import Upload
from router.model import Channel
from router.policy.states import State
from router.storage import Storage, open_storage
from support.catalogue_rows import CLOUD, NOW, Database, delivery, driver, exam, instance
from support.node_without_sockets import Node
from support.two_exams import E1, S1, pacs, ris

INSTANCES = 3 * LEDGER_BATCH


class Cloud:
    """A destination that takes or refuses each instance, and does something before the n-th one."""

    def __init__(self, at: int, then: Callable[[], object]) -> None:
        self.got: list[str] = []
        self.refuses = False
        self._at, self._then = at, then

    @contextmanager
    def session(self) -> Iterator["Cloud"]:
        yield self

    def send(self, items: Sequence[Outgoing], stop: Callable[[], bool]) -> Iterator[Result]:
        for item in items:
            if stop():
                return
            if len(self.got) == self._at:
                self._then()
            self.got.append(item.sop_instance)
            if len(self.got) > 2 * INSTANCES:
                pytest.fail("everything goes again and again")
            verdict = Verdict.REFUSED if self.refuses else Verdict.STORED
            yield Result(key=item.key, status=0xC000 if self.refuses else 0, verdict=verdict, association="a1")


class Bench:
    """One exam of many instances, ready to go, and a database that can be made to take nothing."""

    def __init__(self, database: Database, at: int = 40) -> None:
        self.told: list[Event] = []
        self.catalogue: Catalogue = database.open(self.told.append)
        self.storage: Storage = open_storage(database.data, "a")
        self.clock = FakeClock(NOW)
        number = exam(self.catalogue, "E1", "1.2")
        self.catalogue.instances.add([instance(n) for n in range(INSTANCES)])
        undecided = self.catalogue.ledger.undecided(number, CLOUD)
        self.catalogue.ledger.decide(CLOUD, [(one.key, True, "all") for one in undecided], NOW)
        self.exam, self.made = number, delivery(self.catalogue, number, State.READY, due=NOW + timedelta(hours=1))
        self.cloud = Cloud(at, lambda: self.takes(False))
        self.live()

    def live(self) -> None:
        """A new life of the node: nothing that was in memory is left."""
        bus = EventBus(self.told.append)
        self.unwritten = Unwritten(self.storage.unwritten)
        self.unwritten.take_up()
        sender = ImagesSender(
            config=cast(Config, None), catalogue=self.catalogue, storage=self.storage,
            client=cast(StorageClient, self.cloud), clock=self.clock, asker=None, objection=lambda _: "", bus=bus,
            unwritten=self.unwritten,
        )  # fmt: skip
        self.dispatcher = Dispatcher(self.catalogue, "a", bus, self.clock, unwritten=self.unwritten)
        self.lane = Route(destination=CLOUD, channel=Channel.IMAGES, width=1, sender=sender)

    def takes(self, something: bool) -> None:
        driver(self.catalogue).execute_sql(f"PRAGMA query_only = {int(not something)}")

    def send(self) -> None:
        """As the lane's loop does; an ending that cannot be written down is no end of it."""
        with pytest.raises(TransientError):
            self.dispatcher.run_one(self.lane)

    def fates(self) -> list[Fate]:
        return [one.fate for one in self.catalogue.ledger.entries(self.exam, CLOUD)]

    def rest(self) -> None:
        """The database is back: everything goes that is still to go."""
        self.takes(True)
        self.dispatcher.keep_leases()
        while self.dispatcher.run_one(self.lane):
            pass


@pytest.fixture
def bench(sqlite: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    def ended(*_: object) -> None:
        raise TransientError("what follows the last instance is not tried here")

    monkeypatch.setattr(ImagesSender, "_ending", ended)
    made = Bench(sqlite)
    yield made
    made.catalogue.engine.close_thread()


def test_nothing_more_is_sent_while_results_wait_and_nothing_goes_twice(bench: Bench) -> None:
    bench.send()
    assert len(bench.cloud.got) <= 2 * LEDGER_BATCH, "it stops when the first ones are not taken"
    sent = len(bench.cloud.got)
    bench.send()
    with pytest.raises(TransientError):
        bench.dispatcher.keep_leases()
    assert len(bench.cloud.got) == sent
    bench.rest()
    assert bench.fates() == [Fate.SENT] * INSTANCES
    assert len(bench.cloud.got) == len(set(bench.cloud.got)) == INSTANCES
    assert not bench.unwritten.pending
    assert bench.storage.unwritten.read() == []
    told = [dict(event.fields) for event in bench.told if event.kind == Kind.SENT]
    assert sum(int(str(one["sent"])) for one in told) == INSTANCES


def test_results_outlive_the_node_and_are_written_before_anything_is_claimed(bench: Bench) -> None:
    bench.send()
    bench.live()
    assert bench.unwritten.pending
    bench.takes(True)
    bench.catalogue.queue.take_back("a", NOW)
    bench.rest()
    assert bench.fates() == [Fate.SENT] * INSTANCES
    assert len(bench.cloud.got) == INSTANCES


def test_one_write_that_fails_has_nothing_sent_again(bench: Bench) -> None:
    """The lease is not lost, and the next question to the database is answered."""
    tries, record = [], bench.catalogue.ledger.record

    def once(*given: Any) -> None:
        tries.append(1)
        if len(tries) == 2:
            raise TransientError("the disk was full just then")
        record(*given)

    bench.cloud = Cloud(-1, lambda: None)
    bench.live()
    object.__setattr__(bench.catalogue.ledger, "record", once)
    bench.rest()
    assert bench.fates() == [Fate.SENT] * INSTANCES
    assert len(bench.cloud.got) == INSTANCES


def test_refusals_are_kept_too(bench: Bench) -> None:
    bench.cloud.refuses = True
    bench.send()
    refused = len(bench.cloud.got)
    bench.takes(True)
    bench.dispatcher.keep_leases()
    assert bench.fates() == [Fate.REFUSED] * refused + [Fate.SELECTED] * (INSTANCES - refused)


def test_a_disk_that_takes_nothing_either_leaves_them_in_memory(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(bench.storage.unwritten.__class__, "add", full)
    bench.send()
    bench.rest()
    assert len(bench.cloud.got) == INSTANCES


def test_before_a_lease_that_ran_out_is_taken_over_its_node_s_results_are_read(sqlite: Database) -> None:
    catalogue, storage, clock = sqlite.open(), open_storage(sqlite.data, "a"), FakeClock(NOW)
    number = exam(catalogue)
    one = delivery(catalogue, number, State.READY, due=NOW + timedelta(hours=1))
    catalogue.uploads.freeze(one.id, 1, "abc", "json=1", exam_place="e", pdf_place="p", now=NOW)
    assert catalogue.queue.claim(CLOUD, Channel.IMAGES, "a", NOW, timedelta(seconds=-1))
    Unwritten(storage.unwritten).keep(
        [LateReceipt(delivery=one.id, n=1, idem="abc", receipt="r1", place="receipt.json", at=NOW)]
    )
    other = Unwritten(open_storage(sqlite.data, "b").unwritten)
    Dispatcher(catalogue, "b", EventBus(), clock, unwritten=other).keep_leases()
    assert catalogue.queue.of_exam(number)[0].state == State.READY
    assert catalogue.uploads.of(one.id)[0].receipt == "r1"
    assert storage.unwritten.read(), "it is the frozen node's, which may go on"
    other.adopt(catalogue.late, "a")
    assert (Path(sqlite.data) / "unwritten" / "a").exists() is False
    catalogue.engine.close_thread()


class Uploading(Node):
    """A node whose database takes nothing from the moment at which the platform gives a receipt."""

    def _open(self) -> None:
        super()._open()
        taken = self.cloud._take

        def take(upload: Upload) -> Receipt:
            receipt = taken(upload)
            self.takes(len(self.cloud.reports) > 1)
            return receipt

        self.cloud._take = take  # type: ignore[method-assign]  # a peer after whose answer the disk is full

    def takes(self, something: bool) -> None:
        driver(self.catalogue).execute_sql(f"PRAGMA query_only = {int(not something)}")


@pytest.mark.parametrize("killed", [False, True])
def test_a_report_whose_receipt_was_not_taken_is_not_uploaded_again(tmp_path: Path, killed: bool) -> None:
    node = Uploading(tmp_path)
    pacs(S1, 1)(node)
    ris(E1, S1)(node)
    with pytest.raises(TransientError):
        node.wait(70)
    assert len(node.cloud.reports) == 1
    node.takes(True)
    if killed:
        node.restart()
    else:
        node._dispatcher.keep_leases()
    node.wait(70)
    report = node.delivery(E1, Channel.REPORT)
    assert report is not None
    assert report.state == State.DELIVERED
    assert len(node.cloud.reports) == 1
    [upload] = node.catalogue.uploads.of(report.id)
    assert upload.receipt == "r1"
    node.close()
