"""Retention at work on real files and rows; the clock and the disk's free space are given."""

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.images.ledger import Fate, Outcome
from router.catalogue.images.purge import Files, Purge
from router.clock import FakeClock
from router.config.file import parse
from router.events import Event, EventBus
from router.model import InstanceUids
from router.policy.states import State
from router.storage import Storage, open_storage
from router.storage.studies import Filing
from router.upkeep.retention import Retention
from support.catalogue_rows import CLOUD, NOW, delivery, driver, exam, instance

GIB = 2**30
CONFIG = """
[node]
data = "data"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[reports]
folder = "drop"
[receive]
min_free = "1 GiB"
"""
DAY = 86400.0


@dataclass
class House:
    folder: Path
    storage: Storage
    catalogue: Catalogue
    bus: EventBus
    free: list[int] = field(default_factory=lambda: [100 * GIB])
    clock: FakeClock = field(default_factory=lambda: FakeClock(NOW))

    def retention(self) -> Retention:
        """As the node makes it. Of `free` each call takes the next one, the last stays."""
        config = parse(CONFIG, base=self.folder)
        return Retention(
            config=config, purge=self.catalogue.purge, expiry=self.catalogue.expiry, storage=self.storage,
            bus=self.bus, clock=self.clock, filing=threading.Lock(),
            free=lambda: self.free.pop(0) if len(self.free) > 1 else self.free[0],
        )  # fmt: skip

    def study(self, uid: str, *, delivered: bool, count: int = 1) -> None:
        """A study with files, received now; an exam's that is delivered, or nobody's."""
        for n in range(count):
            source = self.folder / f"{uid}-{n}"
            source.write_bytes(b"image")
            self.storage.studies.file([Filing(source, InstanceUids(uid, f"{uid}.1", f"{uid}.1.{n}"), 1)])
            source.unlink()
        self.catalogue.instances.add([instance(n, uid, received=self.clock.now()) for n in range(count)])
        if delivered:
            self._deliver(uid)

    def _deliver(self, uid: str) -> None:
        number = exam(self.catalogue, uid, uid)
        undecided = self.catalogue.ledger.undecided(number, CLOUD)
        self.catalogue.ledger.decide(CLOUD, [(one.key, True, "a rule") for one in undecided], NOW)
        sent = [
            Outcome(key=one.key, fate=Fate.SENT, status=0, association="a")
            for one in self.catalogue.ledger.to_send(number, CLOUD, 9999)
        ]
        self.catalogue.ledger.record(sent, NOW)
        delivery(self.catalogue, number, State.READY, State.SENDING, State.DELIVERED)
        driver(self.catalogue).execute_sql("UPDATE exam SET check_at = NULL")

    def left(self) -> set[str]:
        return {path.parts[-3] for path in self.storage.studies.walk()}

    def standing(self) -> set[Alarm]:
        return {one.alarm for one in self.catalogue.alarms.standing()}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    bus = EventBus()
    storage = open_storage(tmp_path / "data", "test")
    (tmp_path / "drop").mkdir()
    catalogue = open_catalogue("", tmp_path / "data", bus)
    yield House(tmp_path, storage, catalogue, bus)
    catalogue.engine.close_thread()


def run(retention: Retention) -> None:
    while not retention.step():
        pass


def test_files_folders_and_rows_go_when_their_time_is_over(house: House) -> None:
    house.study("1.2", delivered=True, count=3)
    house.study("1.3", delivered=False)
    retention = house.retention()
    run(retention)
    assert house.left() == {"1.2", "1.3"}
    house.clock.advance(31 * DAY)
    house.study("1.4", delivered=False)
    run(retention)
    assert house.left() == {"1.4"}
    assert [path.name for path in (house.folder / "data" / "studies").iterdir()] == ["1.4"]
    assert house.catalogue.purge.removals() == []


def test_a_clock_that_jumps_ahead_for_a_while_purges_nothing(house: House) -> None:
    clock = house.clock = Jumping(NOW)
    house.study("1.2", delivered=True)
    house.study("1.3", delivered=False)
    house.free[:] = [GIB]
    retention = house.retention()
    clock.wrong = timedelta(days=366)
    run(retention)
    clock.wrong = timedelta(0)
    run(retention)
    assert house.left() == {"1.2", "1.3"}
    clock.advance(31 * DAY)
    run(retention)
    assert house.left() == set(), "it is purged again an hour later"


class Jumping(FakeClock):
    """Can be set wrong; the monotonic one goes on."""

    wrong = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self.wrong


def test_a_crash_after_the_rows_is_made_good_at_the_next_start(house: House) -> None:
    house.study("1.3", delivered=False)
    house.clock.advance(31 * DAY)
    before = house.clock.now() - timedelta(days=30)
    (old,) = house.catalogue.purge.unmatched(before, 1)
    assert house.catalogue.purge.take(old, before, house.clock.now()) is not None
    assert house.left() == {"1.3"}
    run(house.retention())
    assert house.left() == set()
    assert house.catalogue.purge.removals() == []


def test_an_instance_that_comes_again_while_a_former_removal_is_made_good_keeps_its_file(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The crash was between the file and its note, so the instance gets the very place that is still noted."""
    house.study("1.3", delivered=False)
    house.clock.advance(31 * DAY)
    before = house.clock.now() - timedelta(days=30)
    (old,) = house.catalogue.purge.unmatched(before, 1)
    house.catalogue.purge.take(old, before, house.clock.now())
    (path,) = house.storage.studies.walk()
    path.unlink()
    removals = Purge.removals

    def then_it_comes(purge: Purge) -> list[Files]:
        found = removals(purge)
        house.study("1.3", delivered=False)
        return found

    monkeypatch.setattr(Purge, "removals", then_it_comes)
    house.retention().recover()
    assert house.left() == {"1.3"}


def test_a_node_that_lost_its_duty_in_the_middle_of_a_removal_takes_nothing_that_came_again(house: House) -> None:
    house.study("1.3", delivered=False)
    house.clock.advance(31 * DAY)
    before = house.clock.now() - timedelta(days=30)
    (old,) = house.catalogue.purge.unmatched(before, 1)
    late, taken = house.retention(), Purge.take

    def then_it_stands_still(purge: Purge, *about: Any) -> Files | None:
        found = taken(purge, *about)
        house.retention().recover()
        house.study("1.3", delivered=False)
        return found

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Purge, "take", then_it_stands_still)
        late._remove_batch(old, before)
    assert house.left() == {"1.3"}


def test_a_large_study_goes_in_small_batches(house: House) -> None:
    house.study("1.2", delivered=True, count=401)
    house.clock.advance(31 * DAY)
    events: list[Event] = []
    house.bus.subscribe(events.append)
    run(house.retention())
    assert house.left() == set()
    assert [event.study_uid for event in events if event.kind == "purged"] == ["1.2"]


def test_a_short_disk_takes_delivered_data_first_and_only_as_much_as_it_must(house: House) -> None:
    house.study("1.1", delivered=False)
    house.clock.advance(9 * DAY)
    house.study("1.3", delivered=True)
    house.clock.advance(60)
    house.study("1.2", delivered=True)
    house.clock.advance(DAY)
    house.free = [GIB, GIB, 2 * GIB]
    run(house.retention())
    assert house.left() == {"1.1", "1.2"}


@pytest.mark.ends("disk", "retention")
@pytest.mark.fires("disk", "retention")
def test_a_short_disk_takes_unnamed_data_last_and_none_that_is_young(house: House) -> None:
    house.study("1.1", delivered=False)
    house.clock.advance(8 * DAY)
    house.study("1.2", delivered=True)
    house.study("1.5", delivered=False)
    house.clock.advance(DAY)
    house.free = [GIB]
    retention = house.retention()
    run(retention)
    assert house.left() == {"1.5"}
    assert house.standing() == {Alarm.DISK, Alarm.RETENTION}
    house.free = [GIB + GIB // 4]
    run(retention)
    assert house.standing() == {Alarm.RETENTION}
    house.free = [2 * GIB]
    run(retention)
    assert house.standing() == set()


def test_originals_go_some_time_after_they_were_set_aside(house: House) -> None:
    done, new = house.folder / "drop" / "done" / "a.json", house.folder / "drop" / "b.json"
    done.parent.mkdir()
    for path in (done, new):
        path.write_text("{}")
        os.utime(path, (0, 0))
    retention = house.retention()
    house.clock.advance((done.stat().st_ctime - NOW.timestamp()) + 29 * DAY)
    run(retention)
    assert done.exists()
    house.clock.advance(2 * DAY)
    run(retention)
    assert not done.exists()
    assert new.exists()


def test_quarantine_waits_for_a_person(house: House) -> None:
    kept = house.storage.quarantine.keep("x", b"x", NOW, "unreadable", "why")
    house.clock.advance(4000 * DAY)
    house.free = [0]
    run(house.retention())
    assert (kept / "x").exists()
