"""The loop of the drop folder: what settles, what a share does meanwhile, and many files at once."""

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from router.events import Kind
from router.intake.document import ReadDocument
from router.intake.pickup import Pickup
from router.reports.folder import originals
from router.reports.folder.settle import Seen
from router.reports.folder.watch import Listing, scan
from support.intake_folder import E1, E2, IntakeFolder, OpenDesk, another, exam, printed

ONE, TWO = printed(f"report of {E1}"), printed(f"report of {E2}")


def steps(desk: IntakeFolder, loop: Pickup, seconds: float = 2, count: int = 2) -> None:
    """So many steps, with a pause after each."""
    for _ in range(count):
        loop.step()
        desk.clock.advance(seconds)


def test_the_loop_takes_what_has_settled_and_says_when_the_share_goes_and_comes(open_desk: OpenDesk) -> None:
    desk = open_desk()
    loop = desk.pickup()
    assert loop.step() == 30
    desk.put("r.json", exam())
    assert loop.step() == 2
    desk.clock.advance(2)
    assert loop.step() == 30
    assert desk.counts() == (1, 0)
    away = desk.inbox.rename(desk.inbox.with_name("away"))
    assert [loop.step(), loop.step()] == [30, 30]
    assert len(desk.told(Kind.ALARM)) == 1
    away.rename(desk.inbox)
    loop.step()
    assert "answers" in desk.told(Kind.CLEARED)[-1]


@pytest.mark.ends("dropped-file")
@pytest.mark.fires("dropped-file")
def test_a_file_that_cannot_be_read_is_told_once_and_does_not_hold_up_the_others(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_desk("settle = '0 s'\n")
    loop = desk.pickup()
    locked = desk.put("张三.json", another())
    desk.put("r.json", exam())
    real = originals.read_still

    def refused(folder: Path, seen: Seen) -> bytes | None:
        if seen.path == locked:
            raise PermissionError(13, "Permission denied", str(seen.path))
        return real(folder, seen)

    with monkeypatch.context() as locking:
        locking.setattr(originals, "read_still", refused)
        loop.step()
        loop.step()
        assert desk.counts() == (1, 0)
        assert desk.told(Kind.ALARM) == ["a file of the drop folder cannot be taken: Permission denied"]
        assert desk.told(Kind.CLEARED) == []
    loop.step()
    assert desk.counts(E2) == (1, 0)
    assert desk.told(Kind.CLEARED) == ["everything in the drop folder can be read"]


def test_the_loop_stops_between_two_batches(open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = open_desk("settle = '0 s'\n")
    loop = desk.pickup()
    monkeypatch.setattr("router.intake.pickup._FILES_AT_ONCE", 1)
    desk.put("a.json", exam())
    desk.put("b.json", another())
    threads = threading.active_count()
    real = desk.intake.file

    def stop_at_once(found: Sequence[ReadDocument]) -> dict[Seen, OSError]:
        loop.stop()
        return real(found)

    monkeypatch.setattr(desk.intake, "file", stop_at_once)
    loop.step()
    assert desk.left() == {"done/a.json", "b.json"}
    assert threading.active_count() == threads


# -- files in the making


def test_a_file_written_slowly_is_taken_once_it_is_whole(desk: IntakeFolder) -> None:
    loop, whole = desk.pickup(), exam()
    for length in (0, 100, len(whole) // 2, len(whole)):
        desk.put("r.json", whole[:length])
        assert loop.step() == 2
        desk.clock.advance(1.9)
    steps(desk, loop)
    assert desk.counts() == (1, 0)
    assert desk.told(Kind.REFUSED) == []


def test_a_file_renamed_into_place_is_taken_and_its_temporary_name_is_not(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    part = desk.put("r.json.tmp", exam())
    steps(desk, loop)
    assert desk.exams.find(E1) == []
    part.rename(desk.inbox / "r.json")
    steps(desk, loop)
    assert desk.counts() == (1, 0)


def test_two_versions_within_a_second_are_one_file_while_it_settles_and_two_versions_after_it(
    desk: IntakeFolder,
) -> None:
    loop = desk.pickup()
    path = desk.put("r.json", exam(Order__Note="first"), hour=1)
    loop.step()
    desk.put("r.json", exam(Order__Note="again"), hour=1)  # the same size and time: a coarse clock
    desk.clock.advance(2)
    loop.step()
    assert desk.document_of()["Order"]["Note"] == "again"
    assert not path.exists()
    desk.put("r.json", exam(Order__Note="third"), hour=1)
    steps(desk, loop)
    assert desk.document_of()["Order"]["Note"] == "third"
    assert desk.counts() == (2, 0)


def test_a_file_deleted_before_it_is_taken_is_no_trouble(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    desk.put("note.txt", b"")  # a folder with nothing in it at all would be one without its share
    desk.put("r.json", exam()).unlink()
    path = desk.put("s.json", another())
    loop.step()
    path.unlink()
    steps(desk, loop)
    assert [event for event in desk.events if event.kind in (Kind.ALARM, Kind.REFUSED)] == []


def test_without_settling_a_file_is_taken_at_once_and_one_in_the_making_is_not_refused(open_desk: OpenDesk) -> None:
    desk = open_desk("settle = '0 s'\n")
    loop = desk.pickup()
    desk.put("s.json", another())
    desk.put("r.json", exam()[:500])
    assert loop.step() == 0.2  # not without a pause
    assert desk.counts(E2) == (1, 0)
    desk.clock.advance(1)
    desk.put("r.json", exam())
    steps(desk, loop, seconds=1)
    assert desk.counts() == (1, 0)
    desk.put("t.json", b"{")
    steps(desk, loop, seconds=1.5, count=3)
    assert desk.left() >= {"rejected/t.json", "rejected/t.reason.txt"}


def test_endings_in_either_case_and_names_in_chinese_with_blanks_pair(desk: IntakeFolder) -> None:
    desk.put("报告 张 三 1.PDF", ONE)
    desk.put("报告 张 三 1.Json", exam())
    steps(desk, desk.pickup())
    assert desk.pdf_of() == ONE
    assert desk.left() == {"done/报告 张 三 1.PDF", "done/报告 张 三 1.Json"}


# -- shares


def test_a_share_that_tells_sizes_late_gives_no_half_files(desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = desk.pickup()
    path = desk.put("r.json", exam()[:500])
    early = scan(desk.inbox)
    mtime = path.stat().st_mtime_ns
    path.write_bytes(exam())
    os.utime(path, ns=(mtime, mtime))
    monkeypatch.setattr("router.intake.pickup.scan", lambda *_: early)  # what the share still tells
    steps(desk, loop, count=3)
    assert desk.exams.find(E1) == []
    assert desk.told(Kind.REFUSED) == []
    monkeypatch.undo()
    steps(desk, loop)
    assert desk.counts() == (1, 0)


def test_without_any_event_the_rescan_finds_what_came(desk: IntakeFolder) -> None:
    loop = desk.pickup()  # its watch is never started: as on a share that sends no events
    assert loop.step() == 30
    desk.put("sub/r.json", exam())
    steps(desk, loop)
    assert desk.counts() == (1, 0)


@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.ends("drop-folder")
@pytest.mark.fires("drop-folder")
def test_an_unmounted_share_is_an_alarm_once_and_not_a_folder_without_files(
    desk: IntakeFolder, restarted: bool
) -> None:
    loop = desk.pickup()
    desk.put("r.json", exam())
    steps(desk, loop)
    desk.put("s.json", another())
    loop.step()
    share = desk.inbox.rename(desk.inbox.with_name("share"))
    desk.inbox.mkdir()  # the empty folder that it was mounted on
    if restarted:
        desk.restart()
        loop = desk.pickup()
    steps(desk, loop, count=5)
    assert desk.told(Kind.ALARM) == ["the drop folder is empty, and was not before: look whether its share is mounted"]
    desk.inbox.rmdir()
    share.rename(desk.inbox)
    steps(desk, loop, count=3)
    assert desk.told(Kind.CLEARED)[-1] == "the drop folder answers"
    assert desk.told(Kind.DOCUMENT)[-1] == "revision 1: exam JSON"
    assert desk.counts(E2) == (1, 0)
    assert len(desk.told(Kind.ALARM)) == 1


def test_a_new_folder_without_files_is_no_alarm(desk: IntakeFolder) -> None:
    steps(desk, desk.pickup())
    assert desk.events == []


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EHOSTDOWN, errno.EACCES])
def test_a_share_that_answers_with_an_error_is_an_alarm_once_and_recovers(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    loop = desk.pickup()
    desk.put("r.json", exam())

    def broken(*_: object) -> Listing:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr("router.intake.pickup.scan", broken)
        steps(desk, loop, count=3)
    assert desk.told(Kind.ALARM) == [f"the drop folder does not answer: {os.strerror(number)}"]
    steps(desk, loop)
    assert desk.counts() == (1, 0)


def test_a_share_that_goes_away_between_scan_and_reading_loses_nothing(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = desk.pickup()
    desk.put("r.json", exam())
    loop.step()
    real = originals.read_still

    def flapping(folder: Path, seen: Seen) -> bytes | None:
        away = desk.inbox.rename(desk.inbox.with_name("away"))
        try:
            return real(folder, seen)
        finally:
            away.rename(desk.inbox)

    with monkeypatch.context() as patch:
        patch.setattr(originals, "read_still", flapping)
        desk.clock.advance(2)
        loop.step()
    assert desk.exams.find(E1) == []
    steps(desk, loop)
    assert desk.counts() == (1, 0)


def test_a_subfolder_that_cannot_be_read_is_an_alarm_once_and_the_rest_is_taken(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = desk.pickup()
    locked = desk.put("张三/r.json", exam()).parent
    desk.put("s.json", another())
    real = os.open

    def closed(path: str, flags: int, *given: int, **named: int) -> int:
        if path == locked.name:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real(path, flags, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", closed)
        steps(desk, loop, count=4)
    (alarm,) = desk.told(Kind.ALARM)
    assert alarm.startswith("1 folder(s) or file(s) below the drop folder cannot be read")
    assert desk.counts(E2) == (1, 0)
    steps(desk, loop)
    assert desk.told(Kind.CLEARED)[-1] == "everything in the drop folder can be read"
    assert desk.counts(E1) == (1, 0)


# -- on_pickup = "keep"


def test_what_stays_is_neither_taken_nor_refused_again_after_a_restart_and_is_not_even_read(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = open_desk('on_pickup = "keep"\n')
    for name, data in (("r.json", exam()), ("r.pdf", ONE), ("bad.json", b"{"), ("bad.PDF", b"no PDF")):
        desk.put(name, data)
    steps(desk, desk.pickup())
    events = len(desk.events)
    desk.restart()
    with monkeypatch.context() as patch:
        patch.setattr(originals, "read_still", None)
        steps(desk, desk.pickup())
    assert len(desk.events) == events
    quarantine = desk.config.node.data / "quarantine"
    assert len(list(quarantine.iterdir())) == 2
    desk.put("bad.json", b"{")  # the same, exported again
    steps(desk, desk.pickup())
    assert len(list(quarantine.iterdir())) == 2
    desk.put("bad.json", b"{{")
    steps(desk, desk.pickup())
    assert len(list(quarantine.iterdir())) == 3
    desk.put("bad.json", another())
    steps(desk, desk.pickup())
    assert desk.counts(E2) == (1, 0)
    assert desk.counts(E1) == (1, 1)


def test_a_file_larger_than_any_report_is_refused_without_being_read(open_desk: OpenDesk) -> None:
    desk = open_desk('on_pickup = "keep"\n')
    with desk.put("r.pdf", b"%PDF-").open("r+b") as file:
        file.truncate(2**36)
    steps(desk, desk.pickup())
    assert "larger than 64 MiB" in desk.told(Kind.REFUSED)[0]


# -- many files


def test_many_files_that_wait_at_the_start_are_taken_oldest_first_with_progress(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.intake.pickup._MANY", 50)
    monkeypatch.setattr("router.intake.pickup._FILES_AT_ONCE", 25)
    monkeypatch.setattr("router.intake.pickup._PROGRESS_SECONDS", 0.0)
    for number in range(60):
        desk.put(f"r{number}.json", exam(f"V{number:04}", Order__AccessionNumber=f"A{number:04}"))
    loop = desk.pickup()
    steps(desk, loop, count=1)
    loop.step()
    told = [text for text in desk.told(Kind.DOCUMENT) if "files of the drop folder" in text]
    assert [text.split(" files")[0] for text in told] == ["0 of 60", "25 of 60", "50 of 60", "60 of 60"]
    assert all(name.startswith("done/") for name in desk.left())
    assert [desk.exams.known("", "01", f"V{number:04}") for number in range(60)] == list(range(1, 61))


def test_one_file_that_does_not_read_costs_its_batch_nothing(desk: IntakeFolder) -> None:
    for number in range(10):
        desk.put(f"r{number}.json", exam(f"V{number:04}") if number % 2 else b"{")
    steps(desk, desk.pickup())
    assert len(desk.told(Kind.REFUSED)) == 5
    assert all(len(desk.exams.find(f"V{number:04}")) == number % 2 for number in range(10))
