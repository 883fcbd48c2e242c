"""Alarms through a node as a process, each raised, there after a restart, ended with its cause, and told by webhook.

Here are those of time, cryptography, disk and destination that no other test of a running node brings about. All of
them stand at once when the node is restarted.
"""

import json
import os
import re
import shutil
import sqlite3
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from router.alarms import Alarm
from router.model import Channel
from router.policy.states import State
from router.trial.demo.studies import read_studies
from support import time_lapse
from support.alarm_receivers import hooked
from support.committing_destination import cloud
from support.harness import Exam, Relay, Site, command_here, make_exam, send_all, wait_for

IMAGES = (Channel.IMAGES,)
OF_TIME = (Alarm.HALF_TIME, Alarm.AT_RISK, Alarm.MISSED)
HERE = (
    *OF_TIME, Alarm.GAPS, Alarm.CRYPTO, Alarm.INTEGRITY, Alarm.COMMITMENT_SILENCE, Alarm.REJECTED_AFTER_DELIVERY,
    Alarm.DROPPED_FILE, Alarm.RETENTION,
)  # fmt: skip
BOTH_ENDS = {(alarm.value, state) for alarm in HERE for state in ("standing", "cleared")}
SETTINGS = """
[daily]
at = "00:00"
[retention]
done = "1 h"
[alarms.webhook]
url = "{}"
"""
COMMITMENT = 'commitment = true\ncommitment_wait = "300 ms"\ncommitment_within = "2 s"'
DATA, DROP = "data folder", "drop folder"
# pynetdicom leaves the socket of a peer that was killed to the garbage collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@dataclass(frozen=True, slots=True)
class Look:
    """What people see at a time: alarms with their subjects, and how many of each; the words of `status`."""

    subjects: frozenset[tuple[str, str]]
    metrics: dict[str, int]
    words: str

    def shows(self, alarm: Alarm) -> set[bool]:
        """Whether it stands by `status --json`, by the metrics, by the words: one answer where they agree."""
        told = re.search(rf"^\d\d-\d\d \d\d:\d\d  {alarm} ", self.words, re.MULTILINE)
        return {alarm in {kind for kind, _ in self.subjects}, self.metrics[alarm] > 0, told is not None}


class Story:
    """A hospital with three exams. One's PDF never comes (`late`), a note rejects an image of one that is delivered
    (`rejected`), and of one the destination proves neither the report's receipt nor the images' storage (`unproved`).
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.peer = stack.enter_context(cloud(same=True))
        self.hook = stack.enter_context(hooked())
        self.relay = Relay()
        stack.callback(self.relay.stop)
        self.offset = folder / "passed"
        time_lapse.set_passed(self.offset, timedelta(0))
        program = time_lapse.program(self.offset)
        self.site = Site(
            folder / "site", stable_after="300 ms", dicom_port=self.peer.port, http_port=self.relay.port,
            dicom_settings=COMMITMENT, settings=SETTINGS.format(self.hook.url), program=program,
            platform_program=program, min_free=f"{int(shutil.disk_usage(folder).free / 1.25) >> 20} MiB",
        )  # fmt: skip
        stack.callback(self.site.stop)
        self.relay.target = self.site.platform.ports["http"]
        self.site.start()

    # -- what is seen

    def alarms(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.command("status", "--json"))["alarms"]
        return found

    def command(self, *words: str) -> str:
        return command_here(*words, "--config", self.site.config_file).stdout

    def metrics(self) -> dict[str, int]:
        url = f"http://127.0.0.1:{self.site.node.ports['admin']}/metrics"
        with urllib.request.urlopen(url, timeout=20) as answer:
            text = answer.read().decode()
        found = re.findall(r'^router_alarms_standing\{alarm="([a-z-]+)"\} ([0-9]+)\.0$', text, re.M)
        return {alarm: int(number) for alarm, number in found}

    def look(self) -> Look:
        subjects = frozenset((one["alarm"], one["about"]) for one in self.alarms())
        return Look(subjects, self.metrics(), self.command("status"))

    def wait_for(self, alarm: Alarm, subject: str = "") -> None:
        def stands() -> bool:
            return any(one["alarm"] == alarm and subject in ("", one["about"]) for one in self.alarms())

        self.site.wait_until(stands, f"{alarm} stands", 30)

    def wait_for_end(self, *alarms: Alarm, subject: str = "") -> None:
        def over() -> bool:
            return not any(one["alarm"] in alarms and subject in ("", one["about"]) for one in self.alarms())

        self.site.wait_until(over, f"{alarms} end", 30)

    # -- what happens

    def begin(self) -> None:
        """Two exams of three are sent, as far as they can be; of the third nothing is proved."""
        site, self.exams = self.site, [make_exam(self.site, n, instances=2, side=10) for n in (1, 2, 3)]
        self.late, self.rejected, self.unproved = self.exams
        for exam in (self.late, self.rejected):
            send_all(site.port, exam.study.files)
        site.drop(f"{self.late.id}.json", self.late.json(minutes_ago=10))
        site.report(self.rejected)
        site.wait_for(State.DELIVERED, self.rejected.id, seconds=40)
        site.wait_for(State.DELIVERED, self.late.id, IMAGES)
        self.peer.same, self.relay.unsigned = False, True
        send_all(site.port, self.unproved.study.files)
        site.drop(f"{self.unproved.id}.json", self.unproved.json(minutes_ago=10))
        site.drop(f"{self.unproved.id}.pdf", self.unproved.pdf(site.folder))
        send_all(site.port, read_studies([note(self.site.folder, self.rejected)])[0].files)
        (site.drop_folder / "done").rename(site.folder / "away")
        (site.drop_folder / "done").symlink_to(site.folder / "away")
        site.drop("draft.json", make_exam(site, 4, instances=1, side=10).json(approved=False))

    def passes(self, **time: float) -> None:
        """So much time has passed since the beginning."""
        time_lapse.set_passed(self.offset, timedelta(**time))

    def raise_all(self) -> None:
        for alarm in (Alarm.CRYPTO, Alarm.REJECTED_AFTER_DELIVERY, Alarm.DROPPED_FILE):
            self.wait_for(alarm)
        self.wait_for(Alarm.RETENTION, DATA)
        self.passes(minutes=31)
        self.wait_for(Alarm.HALF_TIME, self.report_of(self.late))
        self.wait_for(Alarm.COMMITMENT_SILENCE)
        self.passes(minutes=49)
        self.wait_for(Alarm.AT_RISK, self.report_of(self.late))
        self.passes(minutes=61)
        self.wait_for(Alarm.MISSED, self.report_of(self.late))
        self.wait_for(Alarm.RETENTION, DROP)
        self.passes(days=1)
        self.wait_for(Alarm.GAPS)
        self.sound = damaged(self.site.data / "router.db", "upload")
        self.passes(days=1, minutes=10)
        self.wait_for(Alarm.INTEGRITY)

    def report_of(self, exam: Exam) -> str:
        return f"d{self.site.line(exam.id, Channel.REPORT).delivery.id}"

    def restart(self) -> None:
        """The administrator asks for less free room."""
        assert self.site.node.stop() == 0
        text = self.site.config_file.read_text(encoding="utf-8")
        self.site.config_file.write_text(re.sub('min_free = ".*"', 'min_free = "50 MiB"', text), encoding="utf-8")
        assert self.site.node.running
        self.wait_for_end(Alarm.RETENTION, subject=DATA)

    def mend(self) -> None:
        site = self.site
        (site.drop_folder / "done").unlink()
        (site.folder / "away").rename(site.drop_folder / "done")
        self.wait_for_end(Alarm.DROPPED_FILE)
        put_back(site.data / "router.db", self.sound)
        self.relay.unsigned = False
        self.peer.same = True
        assert self.command("queue", "dismiss", self.rejected.id, "--why", "their operator was told")
        self.wait_for_end(Alarm.REJECTED_AFTER_DELIVERY)
        site.drop(f"{self.late.id}.pdf", self.late.pdf(site.folder))
        self.passes(days=1, minutes=20)
        self.wait_for_end(Alarm.CRYPTO, Alarm.INTEGRITY, Alarm.COMMITMENT_SILENCE, *OF_TIME)
        self.passes(days=3)
        self.wait_for_end(Alarm.GAPS, Alarm.RETENTION)
        site.wait_until(lambda: len(self.told() & BOTH_ENDS) == len(BOTH_ENDS), "beginnings and ends are told")

    def told(self) -> set[tuple[str, str]]:
        """By the webhook: alarm and state."""
        return {(one["alarm"], one["state"]) for one in self.hook.told}


def note(folder: Path, exam: Exam) -> Path:
    """A key object that rejects the exam's first image (PS3.3 C.17.6, CID 7011)."""
    source = dcmread(exam.study.files[0].path)
    dataset, title, image, rejected = Dataset(), Dataset(), Dataset(), Dataset()
    for keyword in ("SpecificCharacterSet", "PatientID", "PatientName", "PatientSex", "PatientBirthDate",
                    "AccessionNumber", "StudyInstanceUID", "StudyDate", "StudyTime"):  # fmt: skip
        setattr(dataset, keyword, source[keyword].value)
    title.CodeValue, title.CodingSchemeDesignator, title.CodeMeaning = "113001", "DCM", "Rejected for Quality Reasons"
    rejected.ReferencedSOPClassUID, rejected.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    image.RelationshipType, image.ValueType, image.ReferencedSOPSequence = "CONTAINS", "IMAGE", [rejected]
    dataset.SOPClassUID, dataset.SOPInstanceUID = KeyObjectSelectionDocumentStorage, f"{exam.study.uid}.9.1"
    dataset.SeriesInstanceUID, dataset.Modality, dataset.SeriesNumber = f"{exam.study.uid}.9", "KO", 9
    dataset.InstanceNumber, dataset.ValueType = 1, "CONTAINER"
    dataset.ConceptNameCodeSequence, dataset.ContentSequence = [title], [image]
    dataset.file_meta = source.file_meta
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    path = folder / "note.dcm"
    dataset.save_as(path, enforce_file_format=True)
    return path


def damaged(database: Path, table: str) -> dict[int, bytes]:
    """The disk loses the first page of a table and of its indexes; what was in them, by place."""
    with closing(sqlite3.connect(database, timeout=30)) as asked:
        wait_for(lambda: asked.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0, 30)
        size = asked.execute("PRAGMA page_size").fetchone()[0]
        roots = asked.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = ?", [table]).fetchall()
    places = [(root - 1) * size for (root,) in roots]
    data = database.read_bytes()
    put_back(database, dict.fromkeys(places, b"\xff" * size))
    return {place: data[place : place + size] for place in places}


def put_back(database: Path, pages: dict[int, bytes]) -> None:
    file = os.open(database, os.O_WRONLY)
    for place, data in pages.items():
        os.pwrite(file, data, place)
    os.close(file)


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Story, Look, Look, Look]]:
    """The story to its end, and what was seen before the restart, after it, and at the end."""
    with ExitStack() as stack:
        story = Story(tmp_path_factory.mktemp("alarms"), stack)
        story.begin()
        story.raise_all()
        before = story.look()
        story.restart()
        after = story.look()
        story.mend()
        yield story, before, after, story.look()


@pytest.mark.parametrize("alarm", HERE)
def test_an_alarm_of_a_running_node_stands_over_a_restart_ends_with_its_cause_and_both_are_told(
    alarm: Alarm, looks: tuple[Story, Look, Look, Look]
) -> None:
    story, *standing, end = looks
    assert [look.shows(alarm) for look in standing] == [{True}, {True}]
    assert end.shows(alarm) == {False}
    assert {(alarm, "standing"), (alarm, "cleared")} <= story.told()


def test_no_message_about_them_names_a_patient(looks: tuple[Story, Look, Look, Look]) -> None:
    told = json.dumps(looks[0].hook.told, ensure_ascii=False)
    assert not [secret for exam in looks[0].exams for secret in exam.secrets() if secret in told]
