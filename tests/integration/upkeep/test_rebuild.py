"""`verify` and `verify --rebuild` on a real data folder: what the files vouch for, and what they cannot."""

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from router.alarms import Alarm
from router.catalogue import Catalogue, open_catalogue
from router.catalogue.db.backup import Backup, Backups, mend, unfinished
from router.cli.mending import rebuild_rows, stopped
from router.cli.verify import command as verify
from router.clock import SystemClock
from router.config.file import parse
from router.config.sections import Config
from router.correlator.correlator import Correlator
from router.dicom.dataset.part10 import preamble_and_meta
from router.errors import ConfigurationError, IntegrityError, InvalidData
from router.events import EventBus
from router.exam.key import ExamKey
from router.images.cataloguer import Cataloguer
from router.images.rulebook import books_of, rulebook
from router.images.selection import Selection
from router.intake.exam_reader import ExamReader
from router.intake.intake import Intake
from router.model import InstanceUids
from router.node.node import Node
from router.policy.states import State
from router.reports.folder.settle import Seen
from router.review.deliveries import Review
from router.storage import Storage, open_storage
from router.storage.incoming import IncomingFolder, waiting_in
from router.storage.lock import lock
from router.upkeep.check import Check, take
from router.upkeep.rebuild import Rebuild, Rebuilt
from support.catalogue_rows import driver
from support.hl7_messages import oru
from support.intake_folder import printed
from support.sample_exam import exam_document

STUDY = "1.2.3.1"
CONFIG = """
[node]
language = "en"
data = "data"
name = "test"
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[receive]
port = 0
min_free = "0 B"
[reports]
folder = "drop"
[study]
stable_after = "0 s"
[admin]
port = 0
[[destination]]
name = "cloud"
[destination.dicom]
port = 1
"""


@dataclass
class Place:
    """A data folder with what works on it; `reopen` is what a restart does."""

    config: Config
    storage: Storage
    catalogue: Catalogue
    bus: EventBus

    @property
    def correlator(self) -> Correlator:
        known = (self.catalogue, self.storage, self.selection, EventBus(), SystemClock())
        return Correlator(self.config, ExamReader(self.config), *known)

    @property
    def selection(self) -> Selection:
        return Selection(self.config, self.catalogue, lambda _: rulebook(self.config.series), EventBus())

    @property
    def review(self) -> Review:
        return Review(self.catalogue, SystemClock())

    def states(self) -> set[State]:
        return {line.delivery.state for line in self.review.listed([], None, None)}

    def rebuild(self, *, older: bool = False) -> Rebuilt:
        book = books_of(self.config)
        rebuild = Rebuild(
            self.config, self.catalogue, self.storage, book, bus=self.bus, clock=SystemClock(), older=older
        )  # fmt: skip
        return rebuild.run(lambda paths: paths)

    def reopen(self) -> None:
        self.catalogue.engine.close_thread()
        self.bus = EventBus()
        self.catalogue = open_catalogue("", self.config.node.data, self.bus)

    def receive(self, sop: str, more: bytes = b"") -> None:
        dataset = Dataset()
        dataset.SOPClassUID, dataset.SOPInstanceUID = CTImageStorage, sop
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = STUDY, "1.2.3.2"
        dataset.Modality, dataset.PatientID, dataset.PatientName = "CT", "P0001", ""
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, dataset)
        file = IncomingFolder(self.storage.incoming.worker_folder(1), 0).create()
        file.write(
            [preamble_and_meta(CTImageStorage, sop, ExplicitVRLittleEndian, "CT01", "ROUTER"), buffer.getvalue() + more]
        )
        file.commit(InstanceUids(STUDY, "1.2.3.2", sop))

    def catalogue_all(self) -> None:
        book, settle = rulebook(self.config.series), self.selection.settle
        cataloguer = Cataloguer(
            self.storage, self.catalogue.instances, lambda _: book, settle, EventBus(), SystemClock()
        )
        while cataloguer.run_batch():
            pass

    def drop(self, name: str, data: bytes) -> None:
        path = self.config.reports.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        state = path.stat()
        references, exams = ExamReader(self.config), self.catalogue.exams
        intake = Intake(self.config, references, exams, self.storage, EventBus(), SystemClock())
        intake.file(intake.read([Seen(path, state.st_size, state.st_mtime_ns)]).documents)
        intake.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Three instances, and an approved exam JSON for them, evaluated."""
    config = parse(CONFIG, base=tmp_path)
    storage = open_storage(config.node.data, "test")
    bus = EventBus()
    made = Place(config, storage, open_catalogue("", config.node.data, bus), bus)
    for n in range(3):
        made.receive(f"1.2.3.4.{n}")
    made.catalogue_all()
    changes: dict[str, object] = {"Study.StudyInstanceUIDs": [STUDY], "Order.AccessionNumber": ""}
    made.drop("V1.json", json.dumps(exam_document(changes), ensure_ascii=False).encode())
    made.correlator.run_due()
    yield made
    made.catalogue.engine.close_thread()


def inventory(place: Place) -> Check:
    waiting = waiting_in(place.config.node.data / "incoming")
    return take(place.storage.studies, place.catalogue.instances, waiting, lambda paths: paths)


def test_a_sound_folder_has_nothing_amiss(place: Place) -> None:
    found = inventory(place)
    assert (found.instances, found.sound) == (3, True)


def test_missing_corrupt_and_unindexed_files_are_named(place: Place) -> None:
    folder = place.config.node.data / "studies" / STUDY / "1.2.3.2"
    (folder / "1.2.3.4.0.dcm").unlink()
    damaged = folder / "1.2.3.4.1.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\xff")
    (folder / "1.2.3.4.9.dcm").write_bytes(b"whatever")
    found = inventory(place)
    below = f"{STUDY}/1.2.3.2"
    assert found.missing == (f"{below}/1.2.3.4.0.dcm",)
    assert found.corrupt == (f"{below}/1.2.3.4.1.dcm",)
    assert found.unindexed == (f"{below}/1.2.3.4.9.dcm",)


def test_a_file_that_is_gone_is_there_again_when_its_instance_comes_again(place: Place) -> None:
    folder = place.config.node.data / "studies" / STUDY / "1.2.3.2"
    (folder / "1.2.3.4.0.dcm").unlink()
    for _ in range(2):
        place.receive("1.2.3.4.0")
    place.catalogue_all()
    assert inventory(place).sound, "it was acknowledged, so the node must have it"


def test_what_comes_again_and_has_no_exam_yet_is_not_purged_by_its_first_arrival(place: Place) -> None:
    (exam,) = place.catalogue.exams.find(str(exam_document()["ExamId"]))
    place.catalogue.exams.links.unlink(exam, [STUDY])
    driver(place.catalogue).execute_sql("UPDATE study SET last_received = 0")
    yesterday = datetime.now(UTC) - timedelta(days=1)
    assert [old.uid for old in place.catalogue.purge.unmatched(yesterday, 9)] == [STUDY]
    place.receive("1.2.3.4.0")
    place.catalogue_all()
    assert place.catalogue.purge.unmatched(yesterday, 9) == []


def test_what_came_by_a_clock_that_was_ahead_is_evaluated_now_and_not_when_that_time_comes(place: Place) -> None:
    place.receive("1.2.3.4.7")
    (file,) = place.storage.incoming.files(9)
    file.rename(file.with_name(f"{time.time_ns() + 86_400 * 10**9:020d}.dcm"))
    place.catalogue_all()
    now = datetime.now(UTC)
    assert place.catalogue.exams.links.studies([STUDY])[STUDY].last_received <= now
    assert len(place.catalogue.exams.to_check(now, 9)) == 1


def test_a_rebuild_changes_nothing_where_all_rows_are_there(place: Place) -> None:
    before = place.review.listed([], None, None)
    assert place.rebuild() == Rebuilt(0, 0, 0, ())
    assert [line.delivery for line in place.review.listed([], None, None)] == [line.delivery for line in before]


def test_files_that_came_again_since_a_backup_that_knows_them_as_removed_have_their_rows(place: Place) -> None:
    (line,) = place.review.listed([], None, None)
    assert place.review.cancel(line.delivery, "a test patient", "somebody")
    place.correlator.run_due()
    later = datetime.now(UTC) + timedelta(days=1)
    (old,) = place.catalogue.purge.delivered(later, later, 9)
    while (files := place.catalogue.purge.take(old, later, later)) is not None:
        with place.catalogue.purge.removing(files):
            pass  # they are here again when the backup is put in place
    assert len(inventory(place).unindexed) == 3
    assert place.rebuild(older=True).instances == 3
    assert inventory(place).sound
    assert len(place.catalogue.ledger.to_send(line.delivery.exam, "cloud", 9)) == 3


def test_after_a_lost_database_everything_is_indexed_and_held_until_a_person_releases_it(place: Place) -> None:
    assert place.states() == {State.READY}
    for file in place.config.node.data.glob("router.db*"):
        file.unlink()
    place.reopen()
    assert place.rebuild() == Rebuilt(3, 1, 1, ())
    place.correlator.run_due()
    assert place.states() == {State.HELD}, "what the ledger cannot vouch for must not go by itself"
    (line,) = place.review.listed([], None, None)
    assert line.exam_id == exam_document()["ExamId"]
    assert place.review.release(line.delivery, "checked at the platform", "somebody")
    place.correlator.run_due()
    assert place.states() == {State.READY}
    assert place.review.listed([], None, None)[0].selected == 3


def test_what_is_cut_off_is_known_to_be_after_a_rebuild_and_is_never_the_version_that_goes(place: Place) -> None:
    breaks_off = b"\x41\0\x10\x10UN\0\0\xff\0\0\0"
    place.receive("1.2.3.4.9", breaks_off)
    place.receive("1.2.3.4.0", breaks_off)
    place.catalogue_all()
    place.catalogue.engine.close_thread()
    for file in place.config.node.data.glob("router.db*"):
        file.unlink()
    place.reopen()
    assert place.rebuild().instances == 5
    rows = driver(place.catalogue).execute_sql("SELECT sop_uid, version, newest, cut <> '' FROM instance").fetchall()
    assert ("1.2.3.4.9", 1, True, True) in rows
    assert [row[1:] for row in sorted(rows) if row[0] == "1.2.3.4.0"] == [(1, True, False), (2, False, True)]
    assert inventory(place).sound


def test_the_same_report_again_after_a_lost_database_is_still_held(place: Place) -> None:
    for file in place.config.node.data.glob("router.db*"):
        file.unlink()
    place.reopen()
    place.rebuild()
    changes: dict[str, object] = {
        "Study.StudyInstanceUIDs": [STUDY],
        "Order.AccessionNumber": "",
        "Order.Note": "again",
    }
    place.drop("V1.json", json.dumps(exam_document(changes), ensure_ascii=False).encode())
    place.correlator.run_due()
    assert place.states() == {State.HELD}


def test_a_damaged_database_is_named_set_aside_and_made_anew(place: Place) -> None:
    data = place.config.node.data
    place.catalogue.engine.close_thread()
    for suffix in ("-wal", "-shm"):
        (data / f"router.db{suffix}").unlink(missing_ok=True)
    (data / "router.db").write_bytes(b"this is no database at all, but long enough to be looked at" * 20)
    with pytest.raises(IntegrityError, match="rebuild"):
        open_catalogue("", data, EventBus())
    assert mend(data, datetime.now(UTC)) is None
    assert list(data.glob("router.db.damaged-*"))
    place.reopen()
    assert place.rebuild().instances == 3


def test_a_node_does_not_start_on_a_folder_whose_database_is_gone(place: Place) -> None:
    place.catalogue.engine.close_thread()
    for file in place.config.node.data.glob("router.db*"):
        file.unlink()
    with pytest.raises(ConfigurationError, match="database is missing"):
        Node(place.config, SystemClock())
    place.catalogue = open_catalogue("", place.config.node.data, EventBus())


def lose(place: Place, how: str) -> None:
    """What may become of the database's files while the node is down."""
    data = place.config.node.data
    file, log = data / "router.db", data / "router.db-wal"
    if how == "the log is gone":
        kept = file.read_bytes()
        place.catalogue.engine.close_thread()  # writes the log into the file
        file.write_bytes(kept)
    place.catalogue.engine.close_thread()
    if how == "cut short":
        os.truncate(file, file.stat().st_size // 2 // 4096 * 4096)
    elif how == "overwritten":
        with file.open("r+b") as opened:
            opened.write(b"garbage!" * 8192)
    elif how == "deleted":
        file.unlink()
    assert not log.exists()


LOSSES = pytest.mark.parametrize("how", ["cut short", "overwritten", "deleted", "the log is gone"])


@LOSSES
@pytest.mark.fires("ledger")
def test_without_a_backup_all_is_held_whatever_became_of_the_database(place: Place, how: str) -> None:
    lose(place, how)
    assert mend(place.config.node.data, datetime.now(UTC)) is None
    place.reopen()
    assert place.rebuild().held == 1
    place.correlator.run_due()
    assert place.states() == {State.HELD}
    assert {one.alarm for one in place.catalogue.alarms.standing()} == {Alarm.LEDGER}
    assert inventory(place).sound


def advance(place: Place, *way: State) -> None:
    for to in way:
        (line,) = place.review.listed([], None, None)
        assert place.catalogue.queue.move(line.delivery, to, datetime.now(UTC), "on the way")


@pytest.mark.parametrize("how", ["cut short", "overwritten", "deleted"])
def test_from_a_backup_what_was_delivered_stays_so(place: Place, how: str) -> None:
    advance(place, State.SENDING, State.DELIVERED)
    made = Backups(place.config.node.data).make(datetime.now(UTC))
    lose(place, how)
    assert mend(place.config.node.data, datetime.now(UTC)) == made_again(made)
    place.reopen()
    assert place.rebuild(older=True) == Rebuilt(0, 0, 0, ())
    assert place.states() == {State.DELIVERED}


def made_again(backup: Backup) -> Backup:
    """As it is listed: its name has whole seconds."""
    return replace(backup, at=backup.at.replace(microsecond=0))


def test_from_a_backup_what_was_on_its_way_is_held(place: Place) -> None:
    made = Backups(place.config.node.data).make(datetime.now(UTC))
    advance(place, State.SENDING, State.DELIVERED)
    place.catalogue.engine.close_thread()
    Backups(place.config.node.data).put_back(made.path, datetime.now(UTC))
    place.reopen()
    assert place.states() == {State.READY}, "the backup knows nothing of what was sent since"
    assert place.rebuild(older=True) == Rebuilt(0, 0, 1, ())
    place.correlator.run_due()
    assert place.states() == {State.HELD}


def test_from_a_backup_an_exam_with_later_images_is_held(place: Place) -> None:
    advance(place, State.SENDING, State.DELIVERED)
    made = Backups(place.config.node.data).make(datetime.now(UTC))
    place.receive("1.2.3.4.9")
    place.catalogue_all()
    place.catalogue.engine.close_thread()
    Backups(place.config.node.data).put_back(made.path, datetime.now(UTC))
    place.reopen()
    assert place.rebuild(older=True) == Rebuilt(1, 0, 1, ())
    place.correlator.run_due()
    assert place.states() == {State.HELD}
    assert inventory(place).sound


def test_a_rebuild_that_was_killed_holds_everything_when_it_is_run_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two exams one is entered when the run ends; the next run finds rows for it, and nothing of what was sent."""
    changes: dict[str, object] = {"ExamId": "V2", "Study.StudyInstanceUIDs": ["1.2.9"], "Order.AccessionNumber": ""}
    place.drop("V2.json", json.dumps(exam_document(changes), ensure_ascii=False).encode())
    for file in place.config.node.data.glob("router.db*"):
        file.unlink()
    place.reopen()
    read, count = ExamReader.key, []

    def killed(self: ExamReader, *args: Any) -> ExamKey:
        count.append(1)
        if len(count) == 2:
            raise KeyboardInterrupt
        return read(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(ExamReader, "key", killed)
        with pytest.raises(KeyboardInterrupt):
            place.rebuild()
    place.reopen()
    assert place.rebuild().documents == 1
    place.correlator.run_due()
    assert [line.delivery.state for line in place.review.listed([], None, None)] == [State.HELD, State.HELD]


def test_a_node_does_not_start_on_a_backup_whose_rebuild_was_broken_off(place: Place) -> None:
    made = Backups(place.config.node.data).make(datetime.now(UTC))
    place.catalogue.engine.close_thread()
    Backups(place.config.node.data).put_back(made.path, datetime.now(UTC))
    with pytest.raises(ConfigurationError, match="broken off"):
        Node(place.config, SystemClock())
    assert rebuild_rows(place.config, older=False).held == 1, "the backup is older than what was sent"
    place.reopen()
    place.correlator.run_due()
    assert place.states() == {State.HELD}
    assert not unfinished(place.config.node.data)


def test_a_database_that_was_put_back_by_its_own_means_releases_nothing_either(place: Place, tmp_path: Path) -> None:
    """As PostgreSQL after a recovery to an earlier time: nothing came since, but something may have been sent."""
    file = tmp_path / "router.toml"
    file.write_text(CONFIG, encoding="utf-8")
    place.catalogue.engine.close_thread()
    told = CliRunner().invoke(verify, ["--config", str(file), "--rebuild", "--restored"], catch_exceptions=False)
    assert told.exit_code == 0, told.output
    place.reopen()
    place.correlator.run_due()
    assert place.states() == {State.HELD}


def test_nothing_is_rebuilt_while_another_node_on_the_data_folder_runs(place: Place) -> None:
    other = place.config.node.data / "incoming" / "other"
    other.mkdir()
    handle = lock(other, "other")
    with pytest.raises(ConfigurationError, match="'other' still works on this data folder") as told:
        stopped(place.config).__enter__()
    assert "every node" in told.value.hint
    assert "name" not in told.value.hint, "another name would let it run beside the one that works"
    os.close(handle)
    with stopped(place.config), pytest.raises(ConfigurationError):
        lock(other, "other")


def test_a_doubt_that_may_have_been_settled_after_the_backup_does_not_release_itself(place: Place) -> None:
    (line,) = place.review.listed([], None, None)
    held = {"held_by": "identity", "error": "another patient"}
    assert place.catalogue.queue.move(line.delivery, State.HELD, datetime.now(UTC), "a doubt", changes=held)
    made = Backups(place.config.node.data).make(datetime.now(UTC))
    place.catalogue.engine.close_thread()
    Backups(place.config.node.data).put_back(made.path, datetime.now(UTC))
    place.reopen()
    assert place.rebuild(older=True).held == 1
    place.correlator.run_due()
    assert place.states() == {State.HELD}


def test_a_damaged_backup_is_passed_over(place: Place) -> None:
    data, now = place.config.node.data, datetime.now(UTC)
    good = Backups(data).make(now - timedelta(hours=2))
    bad = Backups(data).make(now - timedelta(hours=1))
    with bad.path.open("r+b") as file:
        file.write(b"garbage!" * 8192)
    assert Backups(data).newest_sound() == made_again(good)
    with pytest.raises(InvalidData):
        Backups(data).put_back(bad.path, now)
    assert {line.delivery.state for line in place.review.listed([], None, None)} == {State.READY}


def test_an_hl7_message_is_read_again_and_comes_again_without_effect(place: Place) -> None:
    pdf = printed("report of HL7_1")
    place.drop("m.hl7", oru(exam_id="HL7_1", accession="A9", pdf=pdf).encode())
    for file in place.config.node.data.glob("router.db*"):
        file.unlink()
    place.reopen()
    assert place.rebuild().unreadable == ()
    place.drop("again.hl7", oru(exam_id="HL7_1", accession="A9", pdf=pdf, control="M2").encode())
    (exam,) = place.catalogue.exams.find("HL7_1")
    case = place.catalogue.exams.case(exam)
    assert (len(case.jsons), len(case.pdfs)) == (1, 1)
    assert case.jsons[0].approved


def test_a_database_cut_to_nothing_is_no_new_one_and_its_log_is_set_aside_with_it(place: Place) -> None:
    place.catalogue.engine.close_thread()
    data = place.config.node.data
    place.receive("1.2.3.4")
    log = b"the log that SQLite would drop"
    (data / "router.db").write_bytes(b"")
    (data / "router.db-wal").write_bytes(log)
    with pytest.raises(ConfigurationError, match="database is missing or empty"):
        Node(place.config, SystemClock())
    assert (data / "router.db-wal").read_bytes() == log
    assert mend(data, SystemClock().now()) is None
    assert [path.read_bytes() for path in data.glob("router.db-wal.damaged-*")] == [log]
    assert not (data / "router.db").exists()


def test_exams_of_two_branches_with_one_exam_id_stay_two(tmp_path: Path) -> None:
    branch = '[[hospital.branch]]\ncode = "02"\nfolder = "branch2/"\n'
    config = parse(CONFIG + branch, base=tmp_path)
    bus = EventBus()
    place = Place(config, open_storage(config.node.data, "test"), open_catalogue("", config.node.data, bus), bus)
    (config.reports.folder / "branch2").mkdir(parents=True)
    for folder, patient in (("", "张三"), ("branch2/", "李四")):
        document = exam_document({"ExamId": "V1", "HospitalBranchCode": "", "Patient.Name": patient})
        place.drop(f"{folder}V1.json", json.dumps(document, ensure_ascii=False).encode())
    before = sorted(place.catalogue.exams.case(exam).branch for exam in place.catalogue.exams.find("V1"))
    place.catalogue.engine.close_thread()
    for file in config.node.data.glob("router.db*"):
        file.unlink()
    place.reopen()
    assert place.rebuild().unreadable == ()
    after = [place.catalogue.exams.case(exam) for exam in place.catalogue.exams.find("V1")]
    place.catalogue.engine.close_thread()
    assert sorted(case.branch for case in after) == before == ["01", "02"]
    assert [len(case.jsons) for case in after] == [1, 1]
