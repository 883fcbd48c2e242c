"""The data folder: durable before it is told, private, and nothing in it is ever overwritten."""

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from router.errors import ConfigurationError
from router.model import InstanceUids
from router.storage import Storage, durable, open_storage
from router.storage.incoming import Incoming, IncomingFolder
from router.storage.lock import lock
from router.storage.quarantine import Quarantine
from router.storage.reports import Reports
from router.storage.studies import Filing

NOW = datetime(2026, 3, 2, 10, 15, 30, tzinfo=UTC)
UIDS = InstanceUids("1.2.1", "1.2.1.1", "1.2.1.1.1")
OTHER = InstanceUids("1.2.1", "1.2.1.2", "1.2.1.2.1")


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(tmp_path / "data", "node-1")


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


class Disk:
    """Records what is made durable and what is renamed, in order, and goes on doing it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told: list[tuple[str, str]] = []
        for name in ("rename", "replace", "link", "unlink", "mkdir"):
            monkeypatch.setattr(os, name, self._watched(name, getattr(os, name)))
        fsync = os.fsync

        def recorded(handle: int) -> None:
            fsync(handle)
            self.told.append(("fsync", Path(f"/proc/self/fd/{handle}").readlink().name))

        monkeypatch.setattr(os, "fsync", recorded)

    def _watched(self, name: str, real: Callable[..., None]) -> Callable[..., None]:
        def call(*paths: object, **options: object) -> None:
            real(*paths, **options)
            last = next(p for p in reversed(paths) if isinstance(p, str | Path))
            self.told.append((name, Path(last).name))

        return call


needs_proc = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to name what is synced")


# -- durable


@needs_proc
def test_a_file_gets_its_name_after_its_bytes_and_the_name_is_durable_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    durable.write(tmp_path / "a.json", b"one")
    assert disk.told == [("fsync", "a.json.part"), ("replace", "a.json"), ("fsync", tmp_path.name)]


@needs_proc
def test_every_new_folder_s_name_is_durable_before_anything_is_put_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk(monkeypatch)
    durable.write(tmp_path / "x/y/a", b"one")
    assert disk.told[:4] == [("mkdir", "x"), ("fsync", tmp_path.name), ("mkdir", "y"), ("fsync", "x")]
    assert disk.told[4:] == [("fsync", "a.part"), ("replace", "a"), ("fsync", "y")]


def test_a_file_that_could_not_be_written_leaves_the_former_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable.write(tmp_path / "a", b"former")

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        durable.write(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"former"
    monkeypatch.undo()
    durable.write(tmp_path / "a", b"n")  # what was left of the try is no hindrance
    assert tree(tmp_path) == {"a": b"n"}


def test_files_and_folders_are_private_whatever_the_umask(tmp_path: Path) -> None:
    former = os.umask(0)
    try:
        durable.write(tmp_path / "x/a", b"one")
    finally:
        os.umask(former)
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "x/a").stat().st_mode & 0o777 == 0o600


def test_a_link_is_idempotent_and_refused_when_another_file_is_there(tmp_path: Path) -> None:
    source, other, target = tmp_path / "s", tmp_path / "o", tmp_path / "t"
    source.write_bytes(b"same")
    other.write_bytes(b"same")
    durable.link(source, target)
    durable.link(source, target)
    assert target.samefile(source)
    with pytest.raises(FileExistsError):
        durable.link(other, target)
    assert target.samefile(source)


# -- incoming


@pytest.fixture
def folder(storage: Storage) -> IncomingFolder:
    return IncomingFolder(storage.incoming.worker_folder(1), 0)


@needs_proc
def test_an_instance_is_committed_only_when_bytes_and_name_are_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = IncomingFolder(tmp_path, 0)
    file = folder.create()
    disk = Disk(monkeypatch)
    file.write([b"bytes"])
    assert disk.told == []
    file.commit(UIDS)
    (name,) = (path.name for path in tmp_path.glob("*.dcm"))
    assert disk.told == [("fsync", "1.part"), ("rename", name), ("fsync", tmp_path.name)]


def test_an_instance_that_is_being_received_is_not_listed(storage: Storage, folder: IncomingFolder) -> None:
    file = folder.create()
    file.write([b"half"])
    assert storage.incoming.files(10) == []
    file.write([b" and", b" half"])
    file.commit(UIDS)
    (path,) = storage.incoming.files(10)
    assert path.read_bytes() == b"half and half"


def test_what_could_not_be_made_durable_was_not_received(
    storage: Storage, folder: IncomingFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder.create()
    file.write([b"bytes"])

    def broken(_handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        file.commit(UIDS)
    file.discard()
    assert storage.incoming.files(10) == []


def test_a_discarded_instance_leaves_nothing_behind(folder: IncomingFolder, tmp_path: Path) -> None:
    file = folder.create()
    file.write([b"bytes"])
    file.discard()
    assert tree(tmp_path) == {}


def test_files_of_all_workers_come_in_the_order_of_their_commits_and_no_more_than_asked_for(storage: Storage) -> None:
    folders = [IncomingFolder(storage.incoming.worker_folder(n + 1), 0) for n in range(3)]
    files = [folders[n % 3].create() for n in range(12)]
    for n, file in enumerate(files):
        file.write([b"%d" % n])
        file.commit(UIDS)
    assert [path.read_bytes() for path in storage.incoming.files(100)] == [b"%d" % n for n in range(12)]
    assert len(storage.incoming.files(5)) == 5


def test_a_start_sweeps_what_was_never_acknowledged_and_keeps_the_rest(tmp_path: Path) -> None:
    before = IncomingFolder(tmp_path / "1", 0)
    half, whole = before.create(), before.create()
    half.write([b"half"])
    whole.write([b"whole"])
    whole.commit(UIDS)
    after = Incoming(tmp_path)
    after.sweep(1)
    assert [path.read_bytes() for path in after.files(10)] == [b"whole"]
    assert not list(tmp_path.rglob("*.part"))
    fresh = IncomingFolder(tmp_path / "1", 0).create()
    fresh.write([b"fresh"])
    fresh.commit(UIDS)
    assert [path.read_bytes() for path in after.files(10)] == [b"whole", b"fresh"]
    half.discard()


def test_there_is_room_down_to_the_floor(tmp_path: Path) -> None:
    assert IncomingFolder(tmp_path, 0).has_room()
    assert not IncomingFolder(tmp_path, 2**62).has_room()


def test_an_arrival_ends_the_wait_and_is_told_once(storage: Storage) -> None:
    storage.incoming.wake()
    began = time.monotonic()
    storage.incoming.wait(30)
    assert time.monotonic() - began < 20
    assert not storage.incoming._arrived.is_set()


# -- studies


def received(storage: Storage, data: bytes = b"bytes") -> Path:
    file = IncomingFolder(storage.incoming.worker_folder(1), 0).create()
    file.write([data])
    file.commit(UIDS)
    return storage.incoming.files(1000)[-1]


def test_a_second_version_lies_beside_the_first(storage: Storage, tmp_path: Path) -> None:
    first, second = received(storage, b"one"), received(storage, b"two")
    storage.studies.file([Filing(first, UIDS, 1), Filing(second, UIDS, 2)])
    storage.studies.release([first, second])
    assert tree(tmp_path / "data") == {
        "studies/1.2.1/1.2.1.1/1.2.1.1.1.dcm": b"one",
        "studies/1.2.1/1.2.1.1/1.2.1.1.1~2.dcm": b"two",
    }
    assert storage.studies.names(storage.studies.walk()) == (
        "1.2.1/1.2.1.1/1.2.1.1.1.dcm",
        "1.2.1/1.2.1.1/1.2.1.1.1~2.dcm",
    )


def test_filing_can_be_repeated_at_any_point(storage: Storage) -> None:
    source = received(storage)
    filing = Filing(source, UIDS, 1)
    assert not storage.studies.taken(filing)
    storage.studies.file([filing])
    storage.studies.file([filing])
    assert not storage.studies.taken(filing)
    assert source.exists()  # until its place is recorded
    storage.studies.release([source])
    storage.studies.release([source])
    assert storage.studies.path(UIDS, 1).read_bytes() == b"bytes"


def test_another_file_in_its_place_is_told_of_and_never_overwritten(storage: Storage) -> None:
    first, second = received(storage, b"one"), received(storage, b"two")
    storage.studies.file([Filing(first, UIDS, 1)])
    rival = Filing(second, UIDS, 1)
    assert storage.studies.taken(rival)
    with pytest.raises(FileExistsError):
        storage.studies.file([rival])
    assert storage.studies.path(UIDS, 1).read_bytes() == b"one"
    assert second.read_bytes() == b"two"


def test_two_files_of_one_batch_for_one_place_lose_nothing(storage: Storage) -> None:
    first, second = received(storage, b"one"), received(storage, b"two")
    with pytest.raises(FileExistsError):
        storage.studies.file([Filing(first, UIDS, 1), Filing(second, UIDS, 1)])
    assert (first.read_bytes(), second.read_bytes()) == (b"one", b"two")


@needs_proc
def test_a_place_is_durable_before_the_incoming_name_goes(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    sources = [received(storage), received(storage)]
    disk = Disk(monkeypatch)
    storage.studies.file([Filing(sources[0], UIDS, 1), Filing(sources[1], OTHER, 1)])
    linked = max(n for n, (what, _) in enumerate(disk.told) if what == "link")
    assert disk.told[linked + 1 :] == [("fsync", "1.2.1.1"), ("fsync", "1.2.1.2")]
    assert not [name for what, name in disk.told if what == "unlink"]


# -- quarantine


def test_a_quarantined_file_lies_with_its_reason_in_a_folder_of_its_own(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine")
    source = tmp_path / "one.dcm"
    for text in (b"first", b"second"):
        source.write_bytes(text)
        quarantine.take(source, NOW, "no-uid", "it has no SOP Instance UID")
    assert not source.exists()
    assert tree(tmp_path / "quarantine") == {
        "20260302T101530-no-uid/one.dcm": b"first",
        "20260302T101530-no-uid/reason.txt": b"it has no SOP Instance UID\n",
        "20260302T101530-no-uid~2/one.dcm": b"second",
        "20260302T101530-no-uid~2/reason.txt": b"it has no SOP Instance UID\n",
    }


@needs_proc
def test_the_reason_is_durable_before_the_file_is_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quarantine = Quarantine(tmp_path / "quarantine")
    source = tmp_path / "one.dcm"
    source.write_bytes(b"bytes")
    disk = Disk(monkeypatch)
    folder = quarantine.take(source, NOW, "why", "a reason").name
    assert disk.told[-4:] == [
        ("replace", "reason.txt"), ("fsync", folder), ("rename", "one.dcm"), ("fsync", folder),
    ]  # fmt: skip


def test_content_whose_original_stays_is_kept_as_well(tmp_path: Path) -> None:
    folder = Quarantine(tmp_path).keep("file.json", b"{", NOW, "report", "not JSON")
    assert tree(folder) == {"file.json": b"{", "reason.txt": b"not JSON\n"}


# -- reports


def test_a_document_lies_under_its_exam_or_waits_unpaired(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    assert reports.place("json", 7, 3) == "reports/7/3/exam.json"
    assert reports.place("pdf", None, 12) == "reports/unpaired/12/report.pdf"
    assert reports.sent_place(7, "beijing", 2, "receipt.json") == "reports/7/sent/beijing/2/receipt.json"


def kept(reports: Reports, *documents: tuple[str, bytes]) -> None:
    copies = reports.copies()
    for place, data in documents:
        copies.keep(place, data, {"name": "报告"})
    copies.close()


def test_a_document_is_kept_with_its_source(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    kept(reports, ("reports/7/1/exam.json", b"{}"))
    assert reports.read("reports/7/1/exam.json") == b"{}"
    assert (tmp_path / "reports/7/1/source.json").read_text(encoding="utf-8") == '{"name": "报告"}'
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "reports").rglob("*")}
    assert modes == {"7": 0o700, "1": 0o700, "exam.json": 0o600, "source.json": 0o600}


@needs_proc
def test_documents_are_safe_before_they_have_names_and_the_source_before_its_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = Reports(tmp_path)
    disk = Disk(monkeypatch)
    kept(reports, ("reports/7/1/exam.json", b"{}"), ("reports/8/1/report.pdf", b"%PDF"))
    assert [name for what, name in disk.told if what == "replace"] == [
        "source.json", "exam.json", "source.json", "report.pdf",
    ]  # fmt: skip
    made = [what for what in disk.told if what[0] != "mkdir"]
    files, folders = made[:4], made[8:]
    assert {what for what, _ in (*files, *folders)} == {"fsync"}
    assert sorted(name for _, name in files) == [
        "exam.json.part", "report.pdf.part", "source.json.part", "source.json.part",
    ]  # fmt: skip
    assert sorted(name for _, name in folders) == ["1", "1", "7", "8", "reports"]


def test_a_document_that_finds_its_exam_has_both_places_until_the_old_one_is_forgotten(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    old, new = reports.place("pdf", None, 4), reports.place("pdf", 7, 2)
    kept(reports, (old, b"%PDF"))
    copies = reports.copies()
    copies.move(old, new)
    copies.close()
    assert reports.read(old) == reports.read(new) == b"%PDF"
    copies.forget()
    source = '{"name": "报告"}'.encode()
    assert tree(tmp_path) == {"reports/7/2/report.pdf": b"%PDF", "reports/7/2/source.json": source}
    assert not (tmp_path / "reports/unpaired/4").exists()


def test_a_document_that_was_kept_and_moved_at_once_lies_at_its_last_place_only(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    first, second, third = (reports.place("pdf", *at) for at in ((None, 4), (7, 2), (8, 1)))
    copies = reports.copies()
    copies.keep(first, b"%PDF", {})
    copies.move(first, second)
    copies.move(second, third)
    copies.close()
    copies.forget()
    assert set(tree(tmp_path)) == {"reports/8/1/report.pdf", "reports/8/1/source.json"}


def test_a_document_that_is_in_use_stays_where_it_was(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    old, new = reports.place("pdf", 7, 2), reports.place("pdf", 8, 1)
    kept(reports, (old, b"%PDF"))
    copies = reports.copies()
    copies.move(old, new, stays=True)
    copies.close()
    copies.forget()
    assert reports.read(old) == reports.read(new) == b"%PDF"


def test_a_document_never_moves_onto_another(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    old, new = reports.place("pdf", None, 4), reports.place("pdf", 7, 2)
    kept(reports, (old, b"one"), (new, b"other"))
    copies = reports.copies()
    copies.move(old, new)
    with pytest.raises(FileExistsError):
        copies.close()
    assert reports.taken(new)
    assert (reports.read(old), reports.read(new)) == (b"one", b"other")


def test_every_taken_document_is_walked_and_nothing_that_was_sent(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    taken = [reports.place("json", 7, 1), reports.place("pdf", 7, 2), reports.place("pdf", None, 3)]
    kept(reports, *((place, b"x") for place in taken))
    reports.write(reports.sent_place(7, "beijing", 1, "exam.json"), b"sent", 1)
    reports.write(reports.sent_place(7, "3", 1, "exam.json"), b"sent", 1)
    assert {path.relative_to(tmp_path).as_posix() for path in reports.walk()} == set(taken)


def test_what_another_claim_wrote_is_never_written_over(tmp_path: Path) -> None:
    reports = Reports(tmp_path)
    place = reports.sent_place(7, "beijing", 1, "exam.json")
    assert reports.write(place, b"first", 1) == place
    assert reports.write(place, b"first", 2) == place
    other = reports.write(place, b"other", 3)
    assert other == "reports/7/sent/beijing/1/exam~3.json"
    assert (reports.read(place), reports.read(other)) == (b"first", b"other")
    assert names(reports.path(place).parent) == {"exam.json", "exam~3.json"}


def test_two_claims_that_write_at_once_share_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first one is frozen with its bytes half written."""
    reports = Reports(tmp_path)
    place, fsync, wrote = reports.sent_place(7, "beijing", 1, "receipt.json"), os.fsync, list[str]()
    reports.path(place).parent.mkdir(parents=True)

    def frozen(handle: int) -> None:
        monkeypatch.setattr(os, "fsync", fsync)
        wrote.append(reports.write(place, b"the second one's", 2))
        os.write(handle, b" and more")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", frozen)
    late = reports.write(place, b"the first one's", 1)
    assert wrote == [place]
    assert (reports.read(place), reports.read(late)) == (b"the second one's", b"the first one's and more")


def test_a_file_that_was_sent_is_durable_before_its_place_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports = Reports(tmp_path)
    reports.path("reports/7/sent/beijing/1").mkdir(parents=True)
    disk = Disk(monkeypatch)
    reports.write("reports/7/sent/beijing/1/exam.json", b"sent", 4)
    assert disk.told == [
        ("fsync", "exam~4.json.part"), ("link", "exam.json"), ("unlink", "exam~4.json.part"), ("fsync", "1"),
    ]  # fmt: skip


# -- lock


def test_a_second_open_of_the_lock_is_refused_until_the_first_is_closed(tmp_path: Path) -> None:
    first = lock(tmp_path, "node-1")
    with pytest.raises(ConfigurationError, match="'node-1' already runs"):
        lock(tmp_path, "node-1")
    os.close(first)
    os.close(lock(tmp_path, "node-1"))


def test_another_process_that_holds_the_lock_is_noticed_and_its_death_frees_it(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\nfrom router.storage.lock import lock\n"
        "lock(pathlib.Path(sys.argv[1]), 'other')\nprint('held', flush=True)\nsys.stdin.read()\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(ConfigurationError):
            lock(tmp_path, "mine")
        process.kill()
    os.close(lock(tmp_path, "mine"))


def test_opening_makes_every_part_private_and_can_be_repeated(tmp_path: Path) -> None:
    for _ in range(2):
        open_storage(tmp_path / "data", "node-1")
    data = tmp_path / "data"
    assert names(data) == {"incoming", "studies", "reports", "quarantine"}
    assert {p.stat().st_mode & 0o777 for p in (data, *data.rglob("*"))} == {0o700}
    assert (data / "incoming/node-1").is_dir()
    assert names(data / "studies") == set()
