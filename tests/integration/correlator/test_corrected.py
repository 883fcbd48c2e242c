"""A patient's data corrected after delivery: what a destination has under the old data, and what it got since."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from router.cli.opened import trail_of
from router.correlator.corrections import Corrected, Corrections
from router.events import EventBus
from router.exam.identifiers import citizen_number_ok
from router.intake.exam_reader import ExamReader
from router.matching.patient.correction import Change
from router.model import Channel
from router.policy.states import State
from router.review.decisions import Decisions, OperatorReason
from router.review.deliveries import Review
from router.storage.reports import Reports
from support.harness import command_here
from support.node_without_sockets import CONFIG, Node, slice_of
from support.sample_exam import exam_document
from support.two_exams import DAY, E1, HOUR, PATIENT, QUIET, S1

OLD, NEW = "19491231", "19491230"
BORN, CORRECTED = "1949-12-31", "1949-12-30"


class Hospital(Node):
    """An exam delivered with the patient as RIS and PACS had it then."""

    def ris(self, minute: int = 0, **changes: object) -> None:
        paths = {path.replace("__", "."): value for path, value in changes.items()}
        document = exam_document({
            "ExamId": E1, "Order.AccessionNumber": "A1", "Report.ApproveTime": f"2026-03-02 11:{minute:02}:00",
            "Report.SubmitTime": f"2026-03-02 10:{minute:02}:00", "Study.StudyInstanceUIDs": [S1],
            "Study.StudyDate": "2026-03-02 09:00:00", "Study.ImageCount": None,
        } | paths)  # fmt: skip
        self.drop(f"{E1}.json", json.dumps(document, ensure_ascii=False).encode())
        self.drop(f"{E1}.pdf", f"{E1} {minute}".encode())
        self.settle()

    def pacs(self, *numbers: int, **patient: str) -> None:
        for number in numbers:
            self.receive(replace(slice_of(S1, number, replace(PATIENT, **patient), "A1"), sending_ae="CT1"))
        self.settle()

    def resolve(self) -> None:
        decisions = Decisions(self.config.identity, self.catalogue, EventBus(), self.clock)
        decisions.resolve(E1, OperatorReason("wang", "asked the ward"), decisions.differences(E1))
        self.settle()
        self.wait(QUIET)

    def release(self, channel: Channel) -> None:
        held = self.delivery(E1, channel)
        assert held is not None
        assert held.state == State.HELD
        assert Review(self.catalogue, self.clock).release(held, "asked the ward", "wang")
        self.settle()
        self.wait(QUIET)

    def corrected(self, since: datetime | None = None) -> dict[Channel, Corrected]:
        reports = Reports(self.config.node.data)
        corrections = Corrections(self.config, ExamReader(self.config), self.catalogue, reports.read)
        found, unread = corrections.since(since or self.clock.now() - timedelta(days=30))
        assert unread == []
        return {one.channel: one for one in found}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Hospital]:
    (tmp_path / "router.toml").write_text(CONFIG, encoding="utf-8")
    made = Hospital(tmp_path)
    made.pacs(1, 2)
    made.ris()
    made.wait(HOUR)
    assert len(made.cloud.reports) == 1
    assert len(made.cloud.images) == 2
    yield made
    made.close()


def test_what_was_never_corrected_is_not_listed_whatever_else_has_changed(node: Hospital) -> None:
    node.ris(1, Report__Findings="corrected", Order__AccessionNumber="A1")
    node.ris(2, Study__StudyInstanceUIDs=[S1, "1.2.9"])
    node.pacs(3)
    node.wait(DAY)
    assert node.corrected() == {}


def test_a_correction_by_the_ris_lists_report_and_images_until_they_are_sent_anew(node: Hospital) -> None:
    node.wait(HOUR)
    came = node.clock.now()
    node.ris(1, Patient__DateOfBirth=CORRECTED)
    node.wait(QUIET)
    change = (Change("birth date", BORN, CORRECTED),)
    found = node.corrected()
    assert {channel: one.changes for channel, one in found.items()} == {
        Channel.REPORT: change, Channel.IMAGES: (Change("birth date", OLD, CORRECTED),)
    }  # fmt: skip
    assert [(one.number, one.anew, one.since, one.came) for one in found.values()] == [
        (1, 0, None, came), (2, 0, None, came)
    ]  # fmt: skip
    assert all(one.delivered < came for one in found.values())
    node.resolve()
    found = node.corrected()
    assert (found[Channel.REPORT].number, found[Channel.REPORT].anew) == (1, 1)
    assert (found[Channel.REPORT].since or came) > came
    assert (found[Channel.IMAGES].number, found[Channel.IMAGES].anew) == (2, 0)
    assert node.corrected(node.clock.now()) == {}


def test_a_correction_by_the_pacs_lists_the_images_and_those_sent_since(node: Hospital) -> None:
    node.wait(HOUR)
    node.pacs(1, birth_date=NEW)
    node.wait(QUIET)
    found = node.corrected()
    assert found.keys() == {Channel.IMAGES}
    assert found[Channel.IMAGES].changes == (Change("birth date", OLD, NEW),)
    assert (found[Channel.IMAGES].number, found[Channel.IMAGES].anew) == (1, 0)
    node.ris(1, Patient__DateOfBirth=CORRECTED)
    node.pacs(2, birth_date=NEW)
    node.release(Channel.IMAGES)
    found = node.corrected()
    assert (found[Channel.IMAGES].number, found[Channel.IMAGES].anew) == (2, 2)
    assert found[Channel.IMAGES].since is not None
    assert found[Channel.REPORT].changes == (Change("birth date", BORN, CORRECTED),)


def citizen(digits: str) -> str:
    """With its check digit (GB 11643)."""
    return next(digits + last for last in "0123456789X" if citizen_number_ok(digits + last))


FIRST, SECOND = citizen("11010519491231004"), citizen("11010519491231002")


@pytest.mark.parametrize(("key", "first", "then", "field", "now"), [
    ("DateOfBirth", "1949-01-01", BORN, "birth date", BORN), ("Gender", "0", "女", "sex", "2"),
    ("Name", "ZHANG SAN", "张三", "name", "张三"), ("PatientId", "0", "P0001", "patient id", "P0001"),
    ("IdNo", FIRST, SECOND, "identity number", SECOND),
])  # fmt: skip
def test_where_the_images_were_right_from_the_beginning_only_the_report_is_listed(
    tmp_path: Path, key: str, first: str, then: str, field: str, now: str
) -> None:
    made = Hospital(tmp_path)
    try:
        made.pacs(1)
        made.ris(0, **{f"Patient__{key}": first})
        made.wait(HOUR)
        made.ris(1, **{f"Patient__{key}": then})
        made.wait(HOUR)
        found = made.corrected()
        assert found.keys() == {Channel.REPORT}
        assert found[Channel.REPORT].changes == (Change(field, first, now),)
        assert found[Channel.REPORT].anew == 1
    finally:
        made.close()


def test_what_a_person_had_settled_before_anything_went_is_no_correction(tmp_path: Path) -> None:
    made = Hospital(tmp_path)
    try:
        made.pacs(1, birth_date=NEW)
        made.ris()
        made.wait(HOUR)
        made.resolve()
        assert len(made.cloud.reports) == 1
        made.ris(1, Report__Findings="corrected")
        made.wait(HOUR)
        assert made.corrected() == {}
    finally:
        made.close()


def test_a_correction_that_is_taken_back_and_one_before_the_delivery_are_none(node: Hospital) -> None:
    node.ris(1, Patient__DateOfBirth=CORRECTED)
    node.ris(2)
    node.wait(HOUR)
    assert node.corrected() == {}


def test_images_whose_files_retention_has_removed_are_listed_as_well(node: Hospital) -> None:
    node.wait(40 * DAY)
    purge, now = node.catalogue.purge, node.clock.now()
    for old in purge.delivered(now, now, 9):
        while purge.take(old, now, now):
            pass
    node.ris(1, Patient__DateOfBirth=CORRECTED)
    found = node.corrected()
    assert found[Channel.IMAGES].changes == (Change("birth date", OLD, CORRECTED),)
    assert found[Channel.IMAGES].number == 2


def test_an_exam_whose_json_cannot_be_read_is_named_and_the_others_are_listed(node: Hospital) -> None:
    node.ris(1, Patient__DateOfBirth=CORRECTED)
    for path in (node.config.node.data / "reports").glob("*/*/exam.json"):
        path.unlink()
    reports = Reports(node.config.node.data)
    corrections = Corrections(node.config, ExamReader(node.config), node.catalogue, reports.read)
    [exam] = node.catalogue.exams.find(E1)
    assert corrections.since(node.clock.now() - timedelta(days=1)) == ([], [exam])


def test_the_command_shows_what_has_changed_and_the_audit_trail_says_who_looked(node: Hospital, tmp_path: Path) -> None:
    call = ("queue", "corrected", "--config", tmp_path / "router.toml", "--since")
    assert json.loads(command_here(*call, "3650d", "--json").stdout) == []
    assert "old data" in command_here(*call, "3650d").stdout
    node.ris(1, Patient__DateOfBirth=CORRECTED)
    node.wait(QUIET)
    report, images = json.loads(command_here(*call, "3650d", "--json").stdout)
    assert report.items() >= {
        "exam": "e1", "exam_id": E1, "destination": "cloud", "channel": "report", "old": 1, "sent_since": 0,
        "last_sent": None, "changes": [{"field": "birth date", "was": BORN, "is": CORRECTED}],
    }.items()  # fmt: skip
    assert (images["channel"], images["old"]) == ("images", 2)
    shown = command_here(*call, "3650d").stdout
    for text in ("e1", "birth date", BORN, CORRECTED, "nothing"):
        assert text in shown
    messages = [one.message for one in trail_of(node.config, node.config.node.owner).records()]
    assert sum("patient data shown by queue corrected" in one for one in messages) == 2
    assert not any(CORRECTED in one or BORN in one for one in messages)
    assert command_here(*call, "a month").returncode == 2
