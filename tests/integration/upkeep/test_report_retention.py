"""How an exam ends: its copies go, then its records; and what the node does when it comes again."""

import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from router.catalogue import open_catalogue
from router.catalogue.queue.queue import Delivery
from router.clock import FakeClock
from router.config.file import parse
from router.correlator.correlator import Correlator
from router.events import Event, EventBus, Kind
from router.images.rulebook import rulebook
from router.images.selection import Selection
from router.intake.exam_reader import ExamReader
from router.intake.intake import Intake
from router.policy.states import Needs, State
from router.reports.folder.watch import scan
from router.reports.pdf.reader import Readers
from router.review.answers import Answers
from router.review.deliveries import Review
from router.storage import open_storage
from router.upkeep.retention import Retention
from support.hl7_messages import oru
from support.intake_folder import exam, printed

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
DAY = 86400.0
CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
data = "data"
[[destination]]
name = "cloud"

[destination.http]
api_key_file = "k"
signing_key_file = "k"
platform_signing_key_file = "k"
platform_encryption_key_file = "k"
[reports]
folder = "in"
pdf_text_check = false
"""


class Site:
    """Intake, correlator and retention of a node whose destination takes everything."""

    def __init__(self, folder: Path, readers: Readers, settings: str = "") -> None:
        self.config = config = parse(CONFIG + settings, base=folder)
        self.inbox, self.data = config.reports.folder, config.node.data
        self.inbox.mkdir()
        self.clock = FakeClock(START)
        self.events: list[Event] = []
        bus = EventBus(self.events.append)
        storage = open_storage(self.data, "n")
        self.catalogue = open_catalogue("", self.data, bus)
        references = ExamReader(config)
        self.intake = Intake(config, references, self.catalogue.exams, storage, bus, self.clock, readers)
        selection = Selection(config, self.catalogue, lambda _: rulebook(config.series), bus)
        self.correlator = Correlator(config, references, self.catalogue, storage, selection, bus, self.clock)
        self._retention = Retention(
            config=config, purge=self.catalogue.purge, expiry=self.catalogue.expiry, storage=storage, bus=bus,
            clock=self.clock, free=lambda: 2**50, filing=threading.Lock(),
        )  # fmt: skip

    def drop(self, **files: bytes) -> None:
        """Files are named by their ending, all of one name; written now."""
        for ending, data in files.items():
            path = self.inbox / f"V1.{ending}"
            path.write_bytes(data)
            os.utime(path, (self.clock.now().timestamp(),) * 2)
        self.intake.file(self.intake.read(scan(self.inbox).files).documents)
        self.correlator.run_due()

    def answer(self) -> str:
        """The first line of `explain` about the report."""
        self.catalogue.nodes.beat("n")
        lines = Review(self.catalogue, self.clock).lines_of([self.report().id])
        (told,) = Answers(self.catalogue, self.config, self.clock).of(lines)
        return str(told.answer.what)

    def corrected(self) -> None:
        """The JSON comes once more with another telephone number: its PDF is needed again."""
        self.drop(json=exam("E1", Patient__Phone="13800000000"))

    def report(self) -> Delivery:
        numbers = self.catalogue.exams.find("E1")
        (one,) = self.catalogue.queue.of_exam(numbers[-1])
        return one

    def deliver(self) -> None:
        """As the dispatcher does it."""
        queue, one = self.catalogue.queue, self.report()
        assert queue.move(one, State.READY, self.clock.now(), "test") if one.state == State.WAITING else True
        assert queue.move(self.report(), State.SENDING, self.clock.now(), "claimed")
        given = {"delivered": one.wanted, "delivered_at": self.clock.now()}
        assert queue.move(self.report(), State.DELIVERED, self.clock.now(), "sent", changes=given)

    def purge(self, days: float) -> None:
        self.clock.advance(days * DAY)
        self.correlator.run_due()
        while not self._retention.step():
            pass

    def copies(self) -> list[str]:
        return sorted(path.name for path in self.data.glob("reports/*/*/*") if path.name != "source.json")


@pytest.fixture
def site(tmp_path: Path, readers: Readers) -> Iterator[Site]:
    site = Site(tmp_path, readers)
    yield site
    site.catalogue.engine.close_thread()


def test_the_pdf_goes_after_its_time_and_the_same_one_again_changes_nothing(site: Site) -> None:
    pdf = printed("E1")
    site.drop(json=exam("E1"), pdf=pdf)
    site.deliver()
    site.purge(29)
    assert site.copies() == ["exam.json", "report.pdf"]
    site.purge(2)
    assert site.copies() == ["exam.json"]
    site.drop(json=exam("E1"), pdf=pdf)
    assert site.report().state == State.DELIVERED
    assert site.copies() == ["exam.json"]


def test_a_pdf_whose_report_was_never_confirmed_is_kept_once_more_and_goes_when_the_delivery_is_taken_back(
    site: Site,
) -> None:
    pdf, review = printed("E1"), Review(site.catalogue, site.clock)
    site.drop(json=exam("E1"), pdf=pdf)
    assert review.cancel(site.report(), "a test patient", "wang")
    site.purge(31)
    assert site.copies() == ["exam.json"]
    site.drop(json=exam("E1"), pdf=pdf)
    site.purge(1)
    assert site.copies() == ["exam.json", "report.pdf"], "its time begins again"
    assert site.report().state == State.CANCELLED
    assert review.retry(site.report(), "it goes after all", "wang")
    site.correlator.run_due()
    assert Needs.PDF not in site.report().waiting_for
    site.purge(31)
    assert site.copies() == ["exam.json", "report.pdf"], "it is to be delivered"


def test_a_pdf_that_is_needed_once_more_is_waited_for_and_taken_back(site: Site) -> None:
    pdf = printed("E1")
    site.drop(json=exam("E1"), pdf=pdf)
    site.deliver()
    document = site.report().wanted.split()[1]
    site.purge(31)
    later = (site.clock.now()).strftime("%Y-%m-%d %H:%M:%S")
    site.drop(json=exam("E1", Patient__Phone="13800000000", Report__Doctor=later))
    assert (site.report().state, site.report().delivered) != (State.DELIVERED, site.report().wanted)
    assert site.report().state in (State.WAITING, State.HELD)
    assert Needs.PDF in site.report().waiting_for
    site.drop(pdf=pdf)
    assert site.report().wanted.split()[1] == document
    assert Needs.PDF not in site.report().waiting_for
    assert site.copies() == ["exam.json", "exam.json", "report.pdf"]


SOON = '[retention]\ndelivered = "1 d"\n'


@pytest.mark.parametrize("settings", ["", 'on_pickup = "keep"\n'], ids=["move", "keep"])
def test_a_pdf_that_is_needed_once_more_is_taken_from_its_original(
    tmp_path: Path, readers: Readers, settings: str
) -> None:
    site = Site(tmp_path, readers, settings + SOON)
    pdf = printed("E1")
    site.drop(json=exam("E1"), pdf=pdf)
    site.deliver()
    document = site.report().wanted.split()[1]
    site.purge(2)
    assert site.copies() == ["exam.json"]
    site.intake.recover()
    assert site.copies() == ["exam.json"]
    site.corrected()
    assert Needs.PDF in site.report().waiting_for
    site.intake.recover()
    site.correlator.run_due()
    assert site.report().wanted.split()[1] == document
    assert Needs.PDF not in site.report().waiting_for
    assert site.copies() == ["exam.json", "exam.json", "report.pdf"]
    site.catalogue.engine.close_thread()


def test_a_pdf_that_came_in_an_hl7_message_is_taken_from_the_message(tmp_path: Path, readers: Readers) -> None:
    site = Site(tmp_path, readers, SOON)
    message = oru(pdf=printed("E1")).encode()
    site.intake.take_message(message)
    site.correlator.run_due()
    site.deliver()
    site.purge(2)
    assert site.copies() == ["exam.hl7"]
    site.intake.take_message(oru(control="M2").replace("13800000000", "13900000000").encode())
    site.correlator.run_due()
    assert Needs.PDF in site.report().waiting_for
    site.intake.recover()
    site.correlator.run_due()
    assert Needs.PDF not in site.report().waiting_for
    site.catalogue.engine.close_thread()


@pytest.mark.parametrize("fate", ["gone", "another", "link"])
def test_without_its_original_the_exam_says_that_the_copy_was_removed_and_when(
    tmp_path: Path, readers: Readers, fate: str
) -> None:
    site = Site(tmp_path, readers, SOON)
    site.drop(json=exam("E1"), pdf=printed("E1"))
    site.deliver()
    site.purge(2)
    original = site.inbox / "done" / "V1.pdf"
    if fate == "another":
        original.write_bytes(printed("E2"))
    else:
        original.rename(tmp_path / "elsewhere.pdf")
        if fate == "link":
            original.symlink_to(tmp_path / "elsewhere.pdf")
    site.corrected()
    assert Needs.PDF in site.report().waiting_for
    site.intake.recover()
    site.correlator.run_due()
    assert site.copies()[-1] != "report.pdf"
    assert "the copy" in site.answer()
    assert "was removed 2026-03-04 18:00 ([retention] delivered)" in site.answer()
    site.catalogue.engine.close_thread()


def test_an_exam_whose_records_are_gone_is_held_when_it_comes_again(site: Site) -> None:
    site.drop(json=exam("E1"), pdf=printed("E1"))
    site.deliver()
    first = site.report().exam
    site.purge(31)
    (site.inbox / "V2.json").write_bytes(exam("E2", Order__AccessionNumber="A2"))
    site.purge(1826)
    site.drop()
    site.purge(1)
    site.purge(1)
    assert site.catalogue.exams.find("E1") == []
    assert not (site.data / "reports" / str(first)).exists()
    told = [event for event in site.events if event.kind == Kind.PURGED and event.exam == first]
    assert len(told) == 2, "once for the copies, once for the records"
    site.drop(json=exam("E1"), pdf=printed("E1"))
    assert site.report().exam != first
    assert site.report().state == State.HELD
    assert "records are removed" in site.report().error


def test_an_open_exam_keeps_everything(site: Site) -> None:
    site.drop(json=exam("E1"), pdf=printed("E1"))
    site.purge(4000)
    assert site.copies() == ["exam.json", "report.pdf"]


def test_a_crash_before_the_folders_went_is_made_good(site: Site) -> None:
    site.drop(json=exam("E1"), pdf=printed("E1"))
    site.deliver()
    site.clock.advance(31 * DAY)
    site.correlator.run_due()
    now = site.clock.now()
    assert site.catalogue.expiry.take_copies(site.report().exam, now - timedelta(days=30), now)
    assert site.copies() == ["exam.json", "report.pdf"]
    site.purge(0)
    assert site.copies() == ["exam.json"]
