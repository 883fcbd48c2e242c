"""What degrades a node, and whether images can be taken: by its parts, without a node."""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from email.message import Message
from pathlib import Path

import pytest

from router.admin.http.health import health
from router.admin.http.server import Request
from router.admin.status.vitals import Degradation, Disk, DiskLook, DiskProbe, Vitals, of_reception, of_work
from router.clock import FakeClock
from router.errors import TransientError
from router.events import EventBus
from router.loop import Loop
from support.catalogue_rows import NOW


@dataclass(frozen=True)
class Work:
    name: str
    trouble: str = ""


def look(folder: Path, *, min_free: int = 0, workers: int = 2, fate: str = "") -> Disk:
    folders = [folder / "incoming" / str(n) for n in range(workers)]
    return DiskLook(
        data=folder, min_free=min_free, workers=folders, audit=folder / "audit", fate=lambda: fate
    )()  # fmt: skip


def with_workers(folder: Path, *numbers: int) -> Path:
    for number in numbers:
        (folder / "incoming" / str(number)).mkdir(parents=True)
    return folder


def shown(found: Iterable[Degradation]) -> list[tuple[str, bool]]:
    return [(one.what, one.stops_images) for one in found]


def test_a_disk_with_room_that_takes_what_is_written_is_well(tmp_path: Path) -> None:
    disk = look(with_workers(tmp_path, 0, 1))
    assert (disk.degradations, disk.free > 0) == ((), True)
    assert list((tmp_path / "incoming" / "0").iterdir()) == []


def test_below_the_floor_no_image_can_be_taken(tmp_path: Path) -> None:
    [found] = look(with_workers(tmp_path, 0, 1), min_free=2**60).degradations
    assert (found.what, found.stops_images, "below min_free" in found.text) == ("disk", True, True)


@pytest.mark.parametrize(("there", "stops"), [((), True), ((1,), False)])
def test_only_when_no_worker_can_write_is_none_taken(tmp_path: Path, there: tuple[int, ...], stops: bool) -> None:
    assert shown(look(with_workers(tmp_path, *there)).degradations) == [("incoming", stops)]


def test_the_fate_of_the_database_and_an_audit_folder_that_is_none_degrade_only(tmp_path: Path) -> None:
    (tmp_path / "audit").touch()
    found = look(with_workers(tmp_path, 0, 1), fate="was replaced").degradations
    assert shown(found) == [("audit", False), ("database", False)]


def test_a_disk_that_hangs_holds_nobody_and_is_told_after_a_while() -> None:
    going, looks = threading.Event(), []

    def hang() -> Disk:
        looks.append(1)
        if len(looks) > 1:
            going.wait(20)
        return Disk(free=7)

    probe = DiskProbe(hang, hanging=1.0)
    assert probe.disk() == Disk(free=7)
    time.sleep(1.1)
    began = time.monotonic()
    assert probe.disk() == Disk(free=7), "the former look counts for a while"
    assert time.monotonic() - began < 0.9
    time.sleep(1.0)
    assert shown(probe.disk().degradations) == [("disk", True)]
    assert len(looks) == 2, "one look at a time"
    going.set()
    time.sleep(0.1)
    assert probe.disk() == Disk(free=7)


def test_a_data_folder_that_cannot_be_read_stops_images(tmp_path: Path) -> None:
    assert shown(DiskProbe(lambda: look(tmp_path / "gone")).disk().degradations) == [("disk", True)]


def test_looks_at_the_disk_are_shared_for_a_moment() -> None:
    looks: list[int] = []
    probe = DiskProbe(lambda: Disk(free=len(looks.append(1) or looks)))  # type: ignore[func-returns-value]
    for _ in range(5):
        assert probe.disk().free == 1


@pytest.mark.parametrize(
    ("accepts", "serving", "expected"),
    [
        (True, 2, []), (True, 1, [("workers", False)]), (True, 0, [("workers", True)]),
        (False, 2, [("listener", True)]),
    ],
)  # fmt: skip
def test_images_need_a_listener_and_one_worker(accepts: bool, serving: int, expected: list[tuple[str, bool]]) -> None:
    assert shown(of_reception(accepts, serving, 2)) == expected


def test_work_with_the_same_trouble_is_told_together() -> None:
    loops = [Work("a"), *(Work(f"lane {n}", "no answer") for n in range(5)), Work("z", "a defect")]
    texts = [one.text for one in of_work(loops)]
    assert texts == ["work lane 0, lane 1, lane 2 and 2 more: no answer", "work z: a defect"]


# -- a loop's own trouble


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_loop_that_fails_is_in_trouble_until_a_step_succeeds() -> None:
    down = threading.Event()
    down.set()

    def step() -> float:
        if down.is_set():
            raise TransientError("the database did not answer")
        return 1.0

    loop = Loop("cataloguer", step, EventBus(), FakeClock(NOW))
    assert loop.trouble == ""
    loop.start()
    until(lambda: loop.trouble == "the database did not answer")
    down.clear()
    loop.wake()
    until(lambda: loop.trouble == "")
    loop.stop()
    assert loop.join(5)
    assert loop.trouble == ""


def test_a_step_that_takes_longer_than_its_patience_stands_still() -> None:
    clock, began, going = FakeClock(NOW), threading.Event(), threading.Event()

    def step() -> float:
        began.set()
        going.wait(20)
        return 1.0

    patient, strict = Loop("a", step, EventBus(), clock), Loop("b", step, EventBus(), clock, patience=60)
    patient.start()
    strict.start()
    until(lambda: began.wait(1) and strict._began is not None and patient._began is not None)
    clock.advance(59)
    assert (patient.trouble, strict.trouble) == ("", "")
    clock.advance(1)
    assert (patient.trouble, strict.trouble) == ("", "has been standing still for 60 s")
    going.set()
    until(lambda: strict.trouble == "")
    for loop in (patient, strict):
        loop.stop()
        assert loop.join(5)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_whose_thread_ended_is_in_trouble() -> None:
    def step() -> float:
        raise SystemExit

    loop = Loop("a", step, EventBus(), FakeClock(NOW))
    loop.start()
    assert loop.join(5)
    assert loop.trouble == "has ended"


# -- the answer


def vitals(*found: Degradation, stopping: bool = False, free: int = 9) -> Vitals:
    life = {"node": "a", "pid": 1, "started": "then"}
    probe = DiskProbe(lambda: Disk(free=free))
    return Vitals(
        life=lambda: life, min_free=5, probe=probe, stopping=lambda: stopping, sources=[lambda: found]
    )  # fmt: skip


def asked(state: Mapping[str, object], **query: str) -> int:
    return health(lambda: state)(
        Request(method="GET", path="/health", query=query, form={}, cookies={}, headers=Message())
    ).status


def test_what_degrades_fails_monitors_and_not_load_balancers() -> None:
    state = vitals(Degradation(what="audit", text="full")).report()
    assert (asked(state), asked(state, strict="1"), asked(state, strict="0")) == (200, 503, 200)
    well = vitals().report()
    assert (asked(well), asked(well, strict="1"), well["degraded"]) == (200, 200, [])


def test_what_stops_images_fails_both() -> None:
    for state in (vitals(Degradation(what="x", text="y", stops_images=True)).report(), vitals(stopping=True).report()):
        assert (asked(state), asked(state, strict="1"), state["receiving"]) == (503, 503, False)


def test_an_audit_that_two_see_is_told_once() -> None:
    twice = [Degradation(what="audit", text="a"), Degradation(what="audit", text="b")]
    assert vitals(*twice).report()["degraded"] == [{"what": "audit", "text": "a", "stops_images": False}]


def test_the_answer_counts_hospitals_where_there_are_several() -> None:
    counts = [{"hospital": "xiehe", "late": 1}, {"hospital": "renmin", "late": 0}]
    assert "hospitals" not in vitals().report()
    assert replace(vitals(), hospitals=lambda: counts).report()["hospitals"] == counts
