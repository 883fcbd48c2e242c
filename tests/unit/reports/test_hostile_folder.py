"""The drop folder as hostile ground: whoever may write there swaps what he likes, and gains and stops nothing."""

import errno
import gc
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from watchdog.observers.inotify import InotifyObserver

from router.alarms import Alarm
from router.errors import InvalidData
from router.events import Kind
from router.intake.pickup import Pickup
from router.intake.reading import ReadBatch
from router.reports.folder import directory, originals, watch
from router.reports.folder.settle import Seen
from router.reports.folder.watch import scan
from router.reports.pdf.reader import Readers
from router.upkeep.retention import Retention
from support.intake_folder import E1, E2, START, IntakeFolder, OpenDesk, another, exam

NESTED = 1500
YEAR_30828 = 910_692_730_085  # seconds: the last time that NTFS can name
MONTH = 31 * 86400.0


def steps(desk: IntakeFolder, loop: Pickup, count: int = 3) -> None:
    for _ in range(count):
        loop.step()
        desk.clock.advance(2)


def retention(desk: IntakeFolder) -> Retention:
    return Retention(
        config=desk.config, purge=desk.catalogue.purge, expiry=desk.catalogue.expiry, storage=desk.storage,
        bus=desk.bus, clock=desk.clock, free=lambda: 2**50, filing=threading.Lock(),
    )  # fmt: skip


def purge(desk: IntakeFolder, sweeper: Retention, seconds: float = MONTH) -> None:
    desk.clock.advance(seconds)
    while sweeper.step() == 0:
        pass


def nest(folder: Path, levels: int = NESTED) -> None:
    """Folders in folders, deeper than a path may be long."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(levels):
        os.mkdir("nested", dir_fd=handle)
        below = os.open("nested", os.O_RDONLY | os.O_DIRECTORY, dir_fd=handle)
        os.close(handle)
        handle = below
    with os.fdopen(os.open("deep.json", os.O_WRONLY | os.O_CREAT, dir_fd=handle), "wb") as file:
        file.write(exam())
    os.close(handle)


@pytest.fixture
def secret(desk: IntakeFolder) -> Path:
    """A file of the node's own, in its data folder."""
    path = desk.config.node.data / "secret"
    path.write_bytes(b"key")
    return path


@pytest.fixture
def nested(desk: IntakeFolder) -> Iterator[Path]:
    """Such a folder; taken apart at the end, as pytest removes its folders by recursion."""
    folder = desk.inbox / "levels"
    folder.mkdir()
    nest(folder)
    yield folder
    for _ in range(NESTED):
        inner = folder / "nested"
        if (inner / "nested").exists():
            (inner / "nested").rename(folder / "next")
        shutil.rmtree(inner)
        if (folder / "next").exists():
            (folder / "next").rename(inner)


# -- done/ and rejected/


@pytest.mark.fires("retention")
def test_done_as_a_link_into_the_data_folder_moves_and_removes_nothing_there(desk: IntakeFolder) -> None:
    images = desk.config.node.data / "studies" / "1.2" / "1.2.3"
    images.mkdir(parents=True)
    for name in ("1.dcm", "backup", "receipt.json"):
        (images / name).write_bytes(b"acknowledged")
        os.utime(images / name, (0, 0))
    loop, sweeper = desk.pickup(), retention(desk)
    desk.put("r.json", exam())
    steps(desk, loop)
    purge(desk, sweeper, 60)
    shutil.rmtree(desk.inbox / "done")
    (desk.inbox / "done").symlink_to(desk.config.node.data / "studies")
    desk.put("s.json", another())
    steps(desk, loop)
    purge(desk, sweeper)
    assert {path.name for path in images.iterdir()} == {"1.dcm", "backup", "receipt.json"}
    assert {path.name for path in (desk.config.node.data / "studies").iterdir()} == {"1.2"}
    assert desk.counts(E2) == (1, 0)  # it is taken, and stays where it was
    assert "s.json" in desk.left()
    told = " ".join(desk.told(Kind.ALARM))
    assert "cannot be taken: a folder of done/ or rejected/ is a link" in told
    assert "what was set aside there cannot be removed: a folder of done/ or rejected/ is a link" in told
    (desk.inbox / "done").unlink()
    steps(desk, loop)
    purge(desk, sweeper)
    assert "done/s.json" not in desk.left()
    assert "what was set aside there can be removed" in desk.told(Kind.CLEARED)


@pytest.mark.parametrize("into", ["done", "rejected"])
def test_a_folder_below_done_as_a_link_holds_up_only_what_belongs_there(
    desk: IntakeFolder, tmp_path: Path, into: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (desk.inbox / into).mkdir()
    (desk.inbox / into / "sub").symlink_to(elsewhere)
    desk.put("sub/r.json", exam() if into == "done" else b"{")
    desk.put("s.json", another())
    steps(desk, desk.pickup())
    assert list(elsewhere.iterdir()) == []
    assert desk.left() == {"sub/r.json", "done/s.json"}


@pytest.mark.parametrize("there", ["link", "dangling", "pipe", "socket", "folder", "file"])
def test_whatever_has_the_name_of_a_reason_is_neither_written_nor_waited_for(
    desk: IntakeFolder, secret: Path, tmp_path: Path, there: str
) -> None:
    taken = desk.inbox / "rejected" / "r.reason.txt"
    taken.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        make: dict[str, Callable[[], object]] = {
            "link": lambda: taken.symlink_to(secret), "dangling": lambda: taken.symlink_to(tmp_path / "new"),
            "pipe": lambda: os.mkfifo(taken), "socket": lambda: listener.bind(str(taken)),
            "folder": taken.mkdir, "file": lambda: taken.write_text("theirs"),
        }  # fmt: skip
        make[there]()
    desk.put("r.json", b"{")
    desk.put("s.json", exam())
    steps(desk, desk.pickup())
    assert secret.read_bytes() == b"key"
    assert not (tmp_path / "new").exists()
    assert "r.json: " in (desk.inbox / "rejected" / "r~2.reason.txt").read_text("utf-8")
    assert (desk.inbox / "rejected" / "r.json").read_bytes() == b"{"
    assert desk.counts() == (1, 0)


def test_a_reason_that_cannot_be_written_is_said_with_the_refusal(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def full(path: str, flags: int, *given: int, **named: int) -> int:
        if str(path).endswith(".reason.txt"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(path, flags, *given, **named)

    desk.put("r.json", b"{")
    loop = desk.pickup()
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", full)
        steps(desk, loop)
    assert desk.left() == {"rejected/r.json"}
    (told,) = desk.told(Kind.REFUSED)
    assert "its reason could not be written" in told


def test_only_what_the_node_put_there_is_removed_and_only_while_it_is_that(desk: IntakeFolder) -> None:
    loop, sweeper = desk.pickup(), retention(desk)
    purge(desk, sweeper, 60)
    for name in ("a.json", "b.json", "sub/c.json", "d.json"):
        desk.put(name, exam(f"V{name}", Order__AccessionNumber=name))
    desk.put("e.json", b"{")
    steps(desk, loop)
    done = desk.inbox / "done"
    kept = done / "b.json"
    replaced = kept.rename(desk.inbox / "kept.txt")
    kept.write_bytes(replaced.read_bytes())  # the same bytes: another file
    (done / "d.json").unlink()
    (done / "theirs.json").write_bytes(b"{}")
    (desk.inbox / "rejected" / "theirs").mkdir()
    purge(desk, sweeper, 29 * 86400)
    assert (done / "a.json").exists()
    purge(desk, sweeper, 2 * 86400)
    assert desk.left() == {"done/b.json", "done/theirs.json", "kept.txt"}
    assert "4 original(s) removed from done/ and rejected/; 1 are other files by now and stay" in desk.told(Kind.PURGED)
    purge(desk, sweeper)
    assert desk.left() == {"done/b.json", "done/theirs.json", "kept.txt"}
    assert len([text for text in desk.told(Kind.PURGED) if "original(s)" in text]) == 1


def test_originals_that_lay_there_before_the_node_noted_any_go_by_their_own_time(
    desk: IntakeFolder, tmp_path: Path
) -> None:
    old = desk.put("done/张三.json".encode("gb18030").decode("utf-8", "surrogateescape"), b"{}")
    outside = tmp_path / "outside.json"
    outside.write_bytes(b"{}")
    (desk.inbox / "done" / "link").symlink_to(tmp_path)
    sweeper = retention(desk)
    purge(desk, sweeper, old.stat().st_ctime - desk.clock.now().timestamp() + 29 * 86400)
    assert old.exists()
    purge(desk, sweeper, 2 * 86400)
    assert not old.exists()
    assert outside.exists()


def test_a_share_that_is_away_is_not_forgotten_and_purged_when_it_is_there_again(desk: IntakeFolder) -> None:
    loop, sweeper = desk.pickup(), retention(desk)
    desk.put("r.json", exam())
    steps(desk, loop)
    share = desk.inbox.rename(desk.inbox.with_name("share"))
    purge(desk, sweeper)
    desk.inbox.mkdir()  # the folder that it is mounted on
    purge(desk, sweeper, 2 * 3600)
    desk.inbox.rmdir()
    share.rename(desk.inbox)
    assert desk.left() == {"done/r.json"}
    purge(desk, sweeper, 2 * 3600)
    assert desk.left() == set()
    assert desk.told(Kind.ALARM) == []


def test_a_share_that_knows_no_upper_and_lower_case_gives_back_done_in_any_writing(desk: IntakeFolder) -> None:
    for number, name in enumerate(("Done", "DONE", "Rejected", "rejecteD")):
        desk.put(f"{name}/r.json", exam(f"V{number}"))
    desk.put("s.json", another())
    steps(desk, desk.pickup())
    assert desk.counts(E2) == (1, 0)
    assert len(desk.left()) == 5
    assert desk.exams.find("V0") == []


def test_a_branch_folder_that_is_a_mount_of_its_own_has_its_own_done(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    mount = desk.inbox / "branch2"

    def device(handle: int) -> int:
        return 2 if Path(f"/proc/self/fd/{handle}").readlink().is_relative_to(mount) else 1

    monkeypatch.setattr(directory, "device", device)
    monkeypatch.setattr(watch, "device", device)
    desk.put("branch2/sub/r.json", exam())
    desk.put("branch2/bad.json", b"{")
    desk.put("s.json", another())
    loop, sweeper = desk.pickup(), retention(desk)
    steps(desk, loop)
    left = {"branch2/done/sub/r.json", "branch2/rejected/bad.json", "branch2/rejected/bad.reason.txt", "done/s.json"}
    assert desk.left() == left
    assert desk.counts(E1) == (1, 0)
    steps(desk, loop)
    assert desk.left() == left
    (alarm,) = desk.catalogue.alarms.standing()
    assert alarm.alarm == Alarm.REJECTED_FILE
    purge(desk, sweeper)
    assert desk.left() == set()
    steps(desk, loop)
    assert desk.catalogue.alarms.standing() == []


def test_done_on_another_device_than_its_folder_is_left_alone(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def device(handle: int) -> int:
        return 2 if Path(f"/proc/self/fd/{handle}").readlink().name == "done" else 1

    monkeypatch.setattr(directory, "device", device)
    desk.put("r.json", exam())
    steps(desk, desk.pickup())
    assert desk.counts() == (1, 0)
    assert "lies on another device" in desk.told(Kind.ALARM)[0]
    assert desk.left() == {"r.json"}


def test_names_that_are_all_taken_cost_one_file_no_time_and_the_others_nothing(desk: IntakeFolder) -> None:
    done = desk.inbox / "done"
    done.mkdir()
    for number in originals._NUMBERS:
        (done / f"r~{number}.json").touch()
    (done / "r.json").touch()
    desk.put("r.json", exam())
    desk.put("s.json", another())
    steps(desk, desk.pickup())
    assert "too many files of one name" in desk.told(Kind.ALARM)[0]
    assert {"r.json", "done/s.json"} <= desk.left()


# -- between scan and read


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


_SWAPS: dict[str, Callable[[Path, Path], object]] = {
    "link": lambda path, secret: path.symlink_to(secret),
    "link-to-folder": lambda path, secret: path.symlink_to(secret.parent),
    "loop": lambda path, _: path.symlink_to(path),
    "pipe": lambda path, _: os.mkfifo(path),
    "folder": lambda path, _: path.mkdir(),
    "grown": lambda path, _: path.write_bytes(b" " * 1_000_000),
    "sparse": lambda path, _: _sparse(path),
}


@pytest.mark.parametrize("how", list(_SWAPS))
def test_250_files_swapped_between_scan_and_read_gain_nothing_and_cost_nobody_anything(
    desk: IntakeFolder, secret: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    secret.write_bytes(exam("SECRET"))
    loop = desk.pickup()
    state = secret.stat()
    paths = [desk.put(f"{number}.json", exam("PUBLIC")) for number in range(250)]
    for path in paths:  # size and time of what a link is to lead to are known, or can be guessed
        os.utime(path, ns=(state.st_mtime_ns, state.st_mtime_ns))
        assert path.stat().st_size == state.st_size
    desk.put("good.json", another())
    loop.step()
    desk.clock.advance(2)
    real, waiting = desk.intake.read, list(paths)

    def swapping(batch: Sequence[Seen]) -> ReadBatch:
        while waiting:
            path = waiting.pop()
            path.unlink()
            _SWAPS[how](path, secret)
        return real(batch)

    with monkeypatch.context() as patch:
        patch.setattr(desk.intake, "read", swapping)
        loop.step()
    assert desk.counts(E2) == (1, 0)
    assert desk.exams.find("SECRET") == desk.exams.find("PUBLIC") == []
    assert desk.left() - {"done/good.json"} == {path.name for path in paths if path.is_file()}
    assert desk.told(Kind.ALARM) == desk.told(Kind.REFUSED) == []


def test_a_folder_swapped_for_a_link_between_scan_and_read_leads_nowhere(desk: IntakeFolder, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    loop = desk.pickup()
    path = desk.put("sub/r.json", exam())
    loop.step()
    desk.clock.advance(2)
    state = path.stat()
    path.rename(elsewhere / "r.json")
    os.utime(elsewhere / "r.json", ns=(state.st_mtime_ns, state.st_mtime_ns))
    path.parent.rmdir()
    path.parent.symlink_to(elsewhere)
    steps(desk, loop)
    assert desk.exams.find(E1) == []
    assert (elsewhere / "r.json").exists()


@pytest.mark.parametrize("how", ["link", "pipe", "folder", "grown"])
@pytest.mark.parametrize("content", [exam(), b"{"], ids=["good", "refused"])
def test_a_file_swapped_after_it_was_read_is_not_what_is_set_aside(
    desk: IntakeFolder, secret: Path, monkeypatch: pytest.MonkeyPatch, how: str, content: bytes
) -> None:
    real = directory.opened
    path = desk.put("r.json", content)
    loop = desk.pickup()
    steps(desk, loop, 1)
    swapped: list[str] = []

    def swapping(folder: Path) -> object:
        if not swapped and threading.current_thread() is threading.main_thread():  # reading has a thread of its own
            swapped.append(how)
            path.unlink()
            _SWAPS[how](path, secret)
        return real(folder)

    with monkeypatch.context() as patch:
        patch.setattr(originals, "opened", swapping)
        loop.step()
    assert swapped
    assert os.path.lexists(path)
    assert desk.left() <= {"r.json"}
    assert secret.read_bytes() == b"key"
    assert desk.told(Kind.REFUSED) == []


@pytest.mark.parametrize("how", ["link", "pipe", "folder"])
def test_a_file_swapped_in_the_very_moment_of_the_move_goes_back(
    desk: IntakeFolder, secret: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    real = os.rename
    path = desk.put("r.json", exam())
    loop = desk.pickup()
    steps(desk, loop, 1)
    swapped: list[str] = []

    def swapping(*given: Any, **named: Any) -> None:
        if not swapped:
            swapped.append(how)
            path.unlink()
            _SWAPS[how](path, secret)
        real(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", swapping)
        loop.step()
    assert swapped
    assert os.path.lexists(path)
    assert list((desk.inbox / "done").iterdir()) == []
    assert secret.read_bytes() == b"key"


# -- one bad file does not stop the others


@pytest.mark.fires("dropped-file")
@pytest.mark.usefixtures("nested")
def test_folders_nested_by_the_thousand_are_told_and_stop_nothing(desk: IntakeFolder) -> None:
    desk.put("s.json", another())
    loop = desk.pickup()
    loop.watch.start()
    try:
        steps(desk, loop)
    finally:
        loop.stop()
    assert desk.counts(E2) == (1, 0)
    assert "lie too deep" in desk.told(Kind.ALARM)[0]


def test_a_name_as_long_as_a_name_can_be_is_set_aside_under_a_shorter_one(desk: IntakeFolder) -> None:
    loop = desk.pickup()
    names = ["a" * 250, "检" * 83, "b" * 247 + "检", ("检" * 120).encode("gb18030").decode("utf-8", "surrogateescape")]
    for content in (b"{", b"[", exam()):
        for name in names:
            desk.put(f"{name}.json", content)
        steps(desk, loop)
    assert {event.alarm for event in desk.events if event.kind == Kind.ALARM} == {Alarm.REJECTED_FILE}
    assert len(desk.told(Kind.REFUSED)) == 8
    left = [path.rsplit("/", 1) for path in map(str, desk.left())]
    assert len(left) == 20
    assert {folder for folder, _ in left} == {"done", "rejected"}
    assert sum(name.endswith(".reason.txt") for _, name in left) == 8
    for name in ("a" * 250 + ".json", "a" * 244 + ".reason.txt", "检" * 82 + "~2.json", "检" * 81 + ".reason.txt"):
        assert ["rejected", name] in left


@pytest.mark.parametrize("seconds", [YEAR_30828, -11_644_473_600, -(10**12), 2**62])
@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("content", [exam(), b"{"], ids=["good", "refused"])
def test_a_file_time_that_no_calendar_has_counts_as_the_time_of_arrival(
    readers: Readers, seconds: int, keeps: bool, content: bytes
) -> None:
    folder = Path(tempfile.mkdtemp(dir="/dev/shm"))  # a disk's file system would keep a nearer time
    try:
        desk = IntakeFolder(folder, readers, 'on_pickup = "keep"\n' if keeps else "")
        path = desk.put("r.json", content)
        os.utime(path, ns=(seconds * 10**9, seconds * 10**9))
        assert path.stat().st_mtime_ns == seconds * 10**9
        desk.put("s.json", another())
        loop = desk.pickup()
        steps(desk, loop, 5)
        assert desk.counts(E2) == (1, 0)
        assert len(desk.exams.find(E1)) == (content != b"{")
        assert len(desk.told(Kind.ALARM)) == (content == b"{")
        if content != b"{":
            assert abs((desk.case().jsons[0].file_time - START).total_seconds()) < 60
        desk.restart()
        events = len(desk.events)
        steps(desk, desk.pickup())
        assert len(desk.events) == events
        desk.catalogue.engine.close_thread()
    finally:
        shutil.rmtree(folder)


@pytest.mark.fires("dropped-file")
def test_a_file_whose_disk_answers_with_an_error_is_told_and_the_others_are_taken(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = originals._content

    def broken(parent: int, name: str, seen: Seen) -> bytes | None:
        if name == "r.json":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(parent, name, seen)

    monkeypatch.setattr(originals, "_content", broken)
    desk.put("r.json", exam())
    desk.put("s.json", another())
    steps(desk, desk.pickup())
    assert desk.counts(E2) == (1, 0)
    assert desk.told(Kind.ALARM) == [f"a file of the drop folder cannot be taken: {os.strerror(errno.EIO)}"]


@pytest.mark.parametrize("call", ["__init__", "schedule", "start"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "no watches"), OSError(errno.EMFILE, "no instances"),
                                   RecursionError()])  # fmt: skip
def test_without_watches_the_folder_is_only_rescanned(
    desk: IntakeFolder, monkeypatch: pytest.MonkeyPatch, call: str, error: Exception
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise error

    assert desk.storage.incoming.dropped  # open from the first file on
    gc.collect()  # those of former tests
    handles, threads = len(os.listdir("/proc/self/fd")), threading.active_count()  # noqa: PTH208
    monkeypatch.setattr(InotifyObserver, call, exhausted)
    loop = desk.pickup()
    loop.watch.start()
    loop.watch.again()
    loop.watch.wait(0.01)
    desk.put("r.json", exam())
    steps(desk, loop)
    loop.stop()
    assert desk.counts() == (1, 0)
    assert len(os.listdir("/proc/self/fd")) == handles  # noqa: PTH208
    assert threading.active_count() == threads


# -- refused files


def test_a_refused_file_that_stays_and_has_changed_is_read_again(open_desk: OpenDesk) -> None:
    desk = open_desk('on_pickup = "keep"\n')
    loop = desk.pickup()
    desk.put("r.json", b"{" * len(exam()))
    steps(desk, loop)
    desk.put("r.json", exam())
    steps(desk, loop)
    assert desk.counts() == (1, 0)
    for size in (2**36, 2**37):  # larger than is read at all: two different files all the same
        with desk.put("huge.pdf", b"%PDF-").open("r+b") as file:
            file.truncate(size)
        steps(desk, loop)
    assert len(desk.told(Kind.REFUSED)) == 3


@pytest.mark.parametrize("keeps", [False, True])
def test_a_file_that_changes_while_it_is_refused_is_read_again(
    open_desk: OpenDesk, monkeypatch: pytest.MonkeyPatch, keeps: bool
) -> None:
    desk = open_desk('on_pickup = "keep"\n' if keeps else "")
    loop = desk.pickup()
    path = desk.put("r.json", b"{")
    state = path.stat()
    real = desk.intake.refuse

    def changing(seen: Seen, error: InvalidData) -> bool:
        desk.put("r.json", exam())
        try:
            return real(seen, error)
        finally:
            path.write_bytes(b"{")
            os.utime(path, ns=(state.st_mtime_ns, state.st_mtime_ns))

    with monkeypatch.context() as patch:
        patch.setattr(desk.intake, "refuse", changing)
        steps(desk, loop, 2)
    assert desk.told(Kind.REFUSED) == []
    steps(desk, loop)  # it looks as it did
    assert len(desk.told(Kind.REFUSED)) == 1


# -- anything that a file system can hold

_BYTES = st.one_of(
    st.binary(min_size=1, max_size=20), st.just("报告".encode("gb18030")), st.just(b"a\nb\x1b[31m\x7f"),
    st.sampled_from([b"x" * 250, "检".encode() * 83, b"done", b"Rejected", b" ", b".", b"~", b"r", b"a..b", b"-rf"]),
)  # fmt: skip
_NAMES = st.tuples(_BYTES, st.sampled_from([b".json", b".PDF", b".hl7", b""])).map(
    lambda parts: (parts[0].replace(b"/", b"_").replace(b"\0", b"_") + parts[1])[-255:]
)
_KINDS = st.sampled_from([
    "valid", "invalid", "empty", "link", "link-to-folder", "loop", "dangling", "pipe", "socket", "folder", "closed",
    "unreadable", "sparse", "deep",
])  # fmt: skip
_TREES = st.lists(st.tuples(st.lists(_NAMES, max_size=2), _NAMES, _KINDS), min_size=1, max_size=12)
_MADE = iter(range(10**9))


def _make(desk: IntakeFolder, folder: Path, kind: str, name: bytes) -> None:
    """One entry; a name that the file system does not take is passed by."""
    path = folder / os.fsdecode(name)
    if kind == "valid":
        path.write_bytes(exam(f"X{next(_MADE)}"))
    elif kind in ("invalid", "closed"):
        path.write_bytes(b"{ no JSON")
    elif kind == "empty":
        path.touch()
    elif kind in ("link", "link-to-folder"):
        path.symlink_to(desk.config.node.data if kind == "link-to-folder" else desk.config.node.data / "secret")
    elif kind in ("loop", "dangling"):
        path.symlink_to(path if kind == "loop" else "nowhere")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind in ("folder", "unreadable"):
        path.mkdir()
        (path / "in.json").write_bytes(b"{")
    elif kind == "sparse":
        path.touch()
        os.truncate(path, 2**40)
    else:
        path.mkdir()
        nest(path, 80)


@pytest.mark.parametrize("keeps", [False, True])
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(tree=_TREES)
def test_whatever_lies_in_the_folder_the_reports_beside_it_are_taken_and_nothing_else_is_touched(
    readers: Readers, keeps: bool, tree: list[tuple[list[bytes], bytes, str]]
) -> None:
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        desk = IntakeFolder(Path(name), readers, 'on_pickup = "keep"\n' if keeps else "")
        (desk.config.node.data / "secret").write_bytes(b"key")
        shut = set()
        for folders, last, kind in tree:
            folder = desk.inbox.joinpath(*map(os.fsdecode, folders))
            try:
                folder.mkdir(parents=True, exist_ok=True)
                # Writing into a pipe would wait for ever, and into a link change what it leads to.
                if not os.path.lexists(folder / os.fsdecode(last)):
                    _make(desk, folder, kind, last)
            except (OSError, ValueError):
                continue
            shut |= {os.fsdecode(last)} if kind in ("closed", "unreadable") else set()
        real = os.open

        def closed(path: str | Path, flags: int, *given: int, **named: int) -> int:
            if path in shut:
                raise PermissionError(errno.EACCES, "Permission denied")
            return real(path, flags, *given, **named)

        patch.setattr(os, "open", closed)
        desk.put("the report.json", exam(E1))
        loop, sweeper = desk.pickup(), retention(desk)
        purge(desk, sweeper, 60)
        steps(desk, loop, 2)
        desk.put("the other.json", another())
        steps(desk, loop, 3)
        assert desk.counts(E1) == desk.counts(E2) == (1, 0)
        purge(desk, sweeper)
        steps(desk, loop, 1)
        assert (desk.config.node.data / "secret").read_bytes() == b"key"
        left = scan(desk.inbox)
        places = [desk.inbox / name for name in ("done", "rejected") if os.path.lexists(desk.inbox / name)]
        moved = shut.isdisjoint({"done", "rejected"}) and all(p.is_dir() and not p.is_symlink() for p in places)
        assert keeps or not moved or all(seen.path.name in shut for seen in left.files)
        desk.catalogue.engine.close_thread()
