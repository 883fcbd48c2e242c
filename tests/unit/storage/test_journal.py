"""The journal of incoming instances: what is acknowledged is found again after any end, and nothing else is."""

import os
import secrets
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.model import InstanceUids
from router.storage import journal
from router.storage.durable import side_by_side
from router.storage.incoming import Incoming, IncomingFolder, sweep
from router.storage.journal import LARGEST, SEGMENT_BYTES
from router.storage.segment import RECORD_BYTES, SLOT, Record, Segment, slots

UIDS = InstanceUids("1.2.1", "1.2.1.1", "1.2.1.1.1")


@pytest.fixture
def segment(tmp_path: Path) -> Iterator[Segment]:
    segment = Segment.prepare(tmp_path / "0.journal", 2**20)
    yield segment
    segment.close()


def write(segment: Segment, offset: int, data: bytes, arrived: int = 1) -> int:
    """The offset after it."""
    segment.write(offset, [data[:3], data[3:]], arrived)
    return offset + slots(len(data))


def content(segment: Segment, records: Sequence[Record] | None = None) -> list[bytes]:
    data = segment.path.read_bytes()
    found = segment.records() if records is None else records
    return [data[record.offset : record.offset + record.size] for record in found]


def receive(folder: IncomingFolder, *parts: bytes) -> None:
    file = folder.create()
    for part in parts:
        file.write([part])
    file.commit(UIDS)


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.01)


# -- a segment


def test_records_are_read_as_they_were_written_with_their_times(segment: Segment) -> None:
    at = segment.begin(bytes(range(16)))
    at = write(segment, at, b"one" * 5000, arrived=11)
    write(segment, at, b"two", arrived=12)
    assert content(segment) == [b"one" * 5000, b"two"]
    assert [record.arrived for record in segment.records()] == [11, 12]


def test_what_is_filed_is_not_read_again(segment: Segment) -> None:
    at = write(segment, segment.begin(secrets.token_bytes(16)), b"filed")
    segment.filed(at)
    write(segment, at, b"open")
    assert content(segment) == [b"open"]


def test_a_torn_record_is_passed_by_and_those_after_it_are_found(segment: Segment) -> None:
    first = segment.begin(secrets.token_bytes(16))
    second = write(segment, first, b"a" * 9000)
    third = write(segment, second, b"b" * 9000)
    write(segment, third, b"c" * 9000)
    with segment.path.open("r+b") as file:
        file.seek(second + SLOT + 100)
        file.write(b"?")
    assert content(segment) == [b"a" * 9000, b"c" * 9000]


def test_a_new_use_does_not_know_the_records_of_the_former_one(segment: Segment) -> None:
    at = segment.begin(secrets.token_bytes(16))
    for _ in range(5):
        at = write(segment, at, b"old" * 2000)
    write(segment, segment.begin(secrets.token_bytes(16)), b"new")
    assert content(segment) == [b"new"]


def test_an_image_that_looks_like_a_record_is_not_read_as_one(segment: Segment) -> None:
    start = segment.begin(secrets.token_bytes(16))
    write(segment, start, b"innocent")
    former = segment.path.read_bytes()[start : start + SLOT]
    start = segment.begin(secrets.token_bytes(16))
    write(segment, start, (former * 3)[RECORD_BYTES:])  # each lies at a slot's beginning
    with segment.path.open("r+b") as file:  # its own record is torn, so that its bytes are looked at one by one
        file.seek(start)
        file.write(b"?")
    assert content(segment) == []


def test_a_segment_that_was_cut_short_gives_what_is_whole(segment: Segment) -> None:
    at = write(segment, segment.begin(secrets.token_bytes(16)), b"whole")
    write(segment, at, b"cut" * 5000)
    os.truncate(segment.path, at + 2 * SLOT)
    assert content(Segment(segment.path)) == [b"whole"]
    os.truncate(segment.path, 10)
    assert content(Segment(segment.path)) == []


def test_a_segment_that_was_never_used_holds_nothing(segment: Segment) -> None:
    assert content(segment) == []


def test_a_segment_of_a_former_version_is_read_and_then_used_in_the_present_form(segment: Segment) -> None:
    key, at = secrets.token_bytes(16), SLOT
    kept = [b"a" * (SLOT - 36), b"b" * (SLOT - 35), b"torn", b"c" * 9000]  # behind 36 bytes: the first fills its slot
    with segment.path.open("r+b") as file:
        file.write(struct.pack("<8s16sQ", b"INCOMING", key, SLOT))
        for number, data in enumerate(kept):
            file.seek(at)
            fields = struct.pack("<16sQLL", key, 11 + number, len(data), zlib.crc32(data))
            file.write(fields + struct.pack("<L", zlib.crc32(fields)) + (b"?" + data[1:] if data == b"torn" else data))
            at += -(-(36 + len(data)) // SLOT) * SLOT
    assert content(segment) == [data for data in kept if data != b"torn"]
    assert [record.arrived for record in segment.records()] == [11, 12, 14]
    write(segment, segment.begin(secrets.token_bytes(16)), b"new")
    assert content(segment) == [b"new"]


@settings(max_examples=60, deadline=None)
@given(sizes=st.lists(st.integers(0, 3 * SLOT), min_size=1, max_size=12), spoilt=st.sets(st.integers(0, 11)))
def test_whatever_is_torn_the_others_are_found(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], spoilt: set[int]
) -> None:
    segment = Segment.prepare(tmp_path_factory.mktemp("segment") / "0.journal", 2**20)
    at, kept = segment.begin(secrets.token_bytes(16)), []
    for number, size in enumerate(sizes):
        data = secrets.token_bytes(size)
        begin, at = at, write(segment, at, data)
        if number in spoilt:
            place = begin + secrets.randbelow(size + RECORD_BYTES)
            with segment.path.open("r+b") as file:
                byte = os.pread(file.fileno(), 1, place)
                os.pwrite(file.fileno(), bytes([byte[0] ^ 0x10]), place)
        else:
            kept.append(data)
    assert content(segment) == kept
    segment.close()


# -- the journal behind incoming/


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[IncomingFolder]:
    folder = IncomingFolder(tmp_path / "1", 0, 2 * SEGMENT_BYTES)
    wait_for(lambda: [path.stat().st_size for path in (tmp_path / "1").glob("*.journal")] == [SEGMENT_BYTES] * 2)
    yield folder
    folder.close()


def test_a_small_instance_is_durable_before_it_has_a_file(
    folder: IncomingFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_QUIET", 5.0)
    monkeypatch.setattr(journal, "_LONGEST", 5.0)
    receive(folder, b"small", b" one")
    assert Incoming(tmp_path).files(10) == []
    copy = tmp_path / "copy"
    (copy / "1").mkdir(parents=True)
    for path in (tmp_path / "1").glob("*.journal"):
        (copy / "1" / path.name).write_bytes(path.read_bytes())
    after = Incoming(copy)
    after.sweep(1)
    assert [path.read_bytes() for path in after.files(10)] == [b"small one"]
    assert [path.stat().st_size for path in copy.rglob("*.journal")] == [SEGMENT_BYTES] * 2
    for path in after.files(10):
        path.unlink()
    after.sweep(1)  # what has its file is not filed again
    assert after.files(10) == []


def test_behind_the_acknowledgement_everything_gets_a_file_in_the_order_of_arrival(
    folder: IncomingFolder, tmp_path: Path
) -> None:
    for n in range(100):
        receive(folder, b"%d" % n)
    incoming = Incoming(tmp_path)
    wait_for(lambda: len(incoming.files(200)) == 100)
    assert [path.read_bytes() for path in incoming.files(200)] == [b"%d" % n for n in range(100)]


def test_several_threads_share_the_journal_and_segments_are_used_again(folder: IncomingFolder, tmp_path: Path) -> None:
    def send(name: bytes) -> None:
        for n in range(20):
            receive(folder, name, b"%03d" % n, bytes(300_000))

    threads = [threading.Thread(target=send, args=(bytes([65 + n]),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    incoming = Incoming(tmp_path)
    wait_for(lambda: len(incoming.files(100)) == 80)
    found = [path.read_bytes()[:4] for path in incoming.files(100)]
    assert set(found) == {b"%c%03d" % (65 + t, n) for t in range(4) for n in range(20)}
    for letter in b"ABCD":
        assert [name for name in found if name[0] == letter] == sorted(name for name in found if name[0] == letter)


@pytest.mark.parametrize(("size", "quiet", "together"), [(10, 60.0, False), (2**17, 60.0, True), (10, 0.0, True)])
def test_small_instances_are_filed_one_by_one_while_others_arrive_else_side_by_side(
    folder: IncomingFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, quiet: float, together: bool
) -> None:
    monkeypatch.setattr(journal, "_QUIET", quiet)
    monkeypatch.setattr(journal, "_LONGEST", 0.0)
    batches: list[Sequence[Any]] = []

    def seen(work: Callable[[Any], Any], each: Sequence[Any]) -> list[Any]:
        batches.append(each)
        return side_by_side(work, each)

    monkeypatch.setattr(journal, "side_by_side", seen)
    receive(folder, bytes(size))
    wait_for(lambda: len(Incoming(tmp_path).files(10)) == 1)
    assert bool(batches) is together


def test_a_large_instance_is_a_file_at_once(folder: IncomingFolder, tmp_path: Path) -> None:
    parts = [secrets.token_bytes(LARGEST // 2) for _ in range(3)]
    file = folder.create()
    file.write(parts[:1])
    assert not list(tmp_path.rglob("*.part"))
    file.write(parts[1:])
    assert list(tmp_path.rglob("*.part"))
    file.commit(UIDS)
    (path,) = Incoming(tmp_path).files(10)
    assert path.read_bytes() == b"".join(parts)


def test_a_discarded_instance_is_nowhere(folder: IncomingFolder, tmp_path: Path) -> None:
    for size in (10, LARGEST + 1):
        file = folder.create()
        file.write([bytes(size)])
        file.discard()
    assert not list(tmp_path.rglob("*.part"))
    sweep(tmp_path / "1")
    assert not list(tmp_path.rglob("*.dcm"))


def test_segments_are_kept_for_the_next_life_as_many_as_are_wanted(tmp_path: Path) -> None:
    def live(segments: int) -> list[int]:
        folder = IncomingFolder(tmp_path / "1", 0, segments * SEGMENT_BYTES)
        wait_for(lambda: sum(1 for _ in (tmp_path / "1").glob("*.journal")) == segments)
        folder.close()
        return found()

    def found() -> list[int]:
        return [path.stat().st_ino for path in sorted((tmp_path / "1").glob("*.journal"))]

    first = live(2)
    assert live(3)[:2] == first
    assert live(1) == first[:1]
    os.truncate(tmp_path / "1/0.journal", 100)
    live(1)
    assert (tmp_path / "1/0.journal").stat().st_size == SEGMENT_BYTES
    Incoming(tmp_path).sweep(0)
    assert found() == []


def test_without_a_free_segment_an_instance_is_a_file_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Segment, "prepare", _no_room)
    folder = IncomingFolder(tmp_path / "1", 0, SEGMENT_BYTES)
    receive(folder, b"small")
    assert [path.read_bytes() for path in Incoming(tmp_path).files(10)] == [b"small"]
    folder.close()


def test_a_segment_that_cannot_be_written_is_left_and_nothing_is_refused(
    folder: IncomingFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwritev

    def broken(handle: int, parts: Sequence[bytes], offset: int, flags: int = 0) -> int:
        if offset >= SLOT:
            raise OSError(5, "Input/output error")
        return real(handle, parts, offset, flags)

    monkeypatch.setattr(os, "pwritev", broken)
    receive(folder, b"first")
    monkeypatch.undo()
    receive(folder, b"second")
    incoming = Incoming(tmp_path)
    wait_for(lambda: len(incoming.files(10)) == 2)
    assert [path.read_bytes() for path in incoming.files(10)] == [b"first", b"second"]


def test_what_cannot_be_filed_for_a_while_is_filed_later(
    folder: IncomingFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(journal, "_RETRY", 0.05)
    monkeypatch.setattr(os, "sendfile", _full)
    receive(folder, b"patient")
    wait_for(lambda: "cannot be filed yet: No space left" in caplog.text)
    time.sleep(0.2)
    assert caplog.text.count("cannot be filed yet") == 1
    monkeypatch.undo()
    incoming = Incoming(tmp_path)
    wait_for(lambda: [path.read_bytes() for path in incoming.files(10)] == [b"patient"])
    assert not list(tmp_path.rglob("*.part"))


def test_nothing_is_listed_that_came_after_what_the_journal_still_holds(
    folder: IncomingFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sendfile", _full)
    monkeypatch.setattr(journal, "_RETRY", 0.05)
    receive(folder, b"version 1")
    other = IncomingFolder(tmp_path / "2", 0)
    receive(other, b"version 2")
    incoming = Incoming(tmp_path)
    assert incoming.files(10) == []
    monkeypatch.undo()
    wait_for(lambda: len(incoming.files(10)) == 2)
    assert [path.read_bytes() for path in incoming.files(10)] == [b"version 1", b"version 2"]


def test_the_oldest_arrival_is_known_wherever_it_lies(
    folder: IncomingFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    incoming = Incoming(tmp_path)
    assert incoming.oldest() is None
    monkeypatch.setattr(os, "sendfile", _full)
    monkeypatch.setattr(journal, "_RETRY", 0.05)
    before = datetime.now(UTC)
    receive(folder, b"first")
    first = incoming.oldest()
    assert first is not None
    assert before <= first + timedelta(microseconds=1) <= datetime.now(UTC)
    receive(IncomingFolder(tmp_path / "2", 0), b"second")
    assert incoming.oldest() == first
    monkeypatch.undo()
    wait_for(lambda: len(incoming.files(10)) == 2)
    assert incoming.oldest() == first
    for path in incoming.files(1):
        path.unlink()
    assert incoming.files(10)
    oldest = incoming.oldest()
    assert oldest is not None
    assert oldest > first


_CHILD = """
import sys, threading
from pathlib import Path
from router.model import InstanceUids
from router.storage.incoming import IncomingFolder
folder = IncomingFolder(Path(sys.argv[1]), 0, 2**24)
def send(name):
    for n in range(10**6):
        file = folder.create()
        file.write([b"%s-%06d" % (name, n), bytes(20000)])
        file.commit(InstanceUids("1.2", "1.2.3", "1.2.3.4"))
        sys.stdout.buffer.write(b"%s-%06d\\n" % (name, n))
        sys.stdout.buffer.flush()
for name in (b"a", b"b", b"c"):
    threading.Thread(target=send, args=(name,)).start()
"""


@pytest.mark.parametrize("seconds", [0.15, 0.4, 0.8])
def test_a_process_that_is_killed_loses_nothing_that_it_acknowledged(tmp_path: Path, seconds: float) -> None:
    child = subprocess.Popen([sys.executable, "-c", _CHILD, str(tmp_path / "1")], stdout=subprocess.PIPE)
    assert child.stdout is not None
    acknowledged = [child.stdout.readline()]
    threading.Timer(seconds, child.send_signal, (signal.SIGKILL,)).start()
    acknowledged += child.stdout.readlines()
    child.wait()
    child.stdout.close()
    incoming = Incoming(tmp_path)
    incoming.sweep(1)
    found = [path.read_bytes() for path in incoming.files(10**6)]
    assert {data[:8] for data in found} >= {line.strip() for line in acknowledged if len(line) == 9}
    assert all(len(data) == 20008 for data in found)
    assert len(acknowledged) > 20


def _no_room(*_: Any) -> None:
    raise OSError(28, "No space left on device")


_full = _no_room


def test_a_later_version_is_not_taken_before_an_earlier_one_that_comes_while_the_folder_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, incoming = IncomingFolder(tmp_path / "1", 0, SEGMENT_BYTES), Incoming(tmp_path)
    wait_for(lambda: len(folder._journal._free) == 1)  # type: ignore[union-attr]  # it has one
    monkeypatch.setattr(folder._journal, "_await_quiet", lambda: time.sleep(0.2))
    look = journal.oldest_unfiled

    def then_both_come(path: Path) -> int | None:
        found = look(path)
        receive(folder, b"first")  # small: in the journal for now
        receive(folder, b"second" * LARGEST)  # large: a file at once
        return found

    with monkeypatch.context() as patched:
        patched.setattr("router.storage.incoming.oldest_unfiled", then_both_come)
        taken = incoming.files(10)
    assert taken == []
    wait_for(lambda: len(incoming.files(10)) == 2)
    assert [path.read_bytes()[:6] for path in incoming.files(10)] == [b"first", b"second"]
    folder.close()


def test_what_is_in_a_journal_is_filed_though_no_further_segment_can_be_made_or_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare, unlink = Segment.prepare, Path.unlink

    def only_one(path: Path, size: int) -> Segment:
        if path.name != "0.journal":
            raise OSError(5, "Input/output error")
        return prepare(path, size)

    def refused(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".journal":
            raise OSError(30, "Read-only file system")
        unlink(path, missing_ok)

    monkeypatch.setattr(Segment, "prepare", only_one)
    monkeypatch.setattr(Path, "unlink", refused)
    folder = IncomingFolder(tmp_path / "1", 0, 2 * SEGMENT_BYTES)
    wait_for(lambda: len(folder._journal._free) == 1)  # type: ignore[union-attr]  # it has one
    receive(folder, b"small")
    wait_for(lambda: len(Incoming(tmp_path).files(10)) == 1)
    folder.close()


def test_an_instance_that_cannot_be_announced_holds_nothing_up(
    folder: IncomingFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite

    def full(handle: int, data: bytes, offset: int) -> int:
        if len(data) == 8:
            raise OSError(28, "No space left on device")
        return real(handle, data, offset)

    monkeypatch.setattr(os, "pwrite", full)
    receive(folder, b"first")
    monkeypatch.undo()
    receive(folder, b"second")
    incoming = Incoming(tmp_path)
    wait_for(lambda: len(incoming.files(10)) == 2)
    assert [path.read_bytes() for path in incoming.files(10)] == [b"first", b"second"]
