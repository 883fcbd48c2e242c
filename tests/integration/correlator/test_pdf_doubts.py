"""Whose report a PDF is: files in the drop folder, intake, correlator and a person, until a report may go."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

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
from router.intake.reading import ReadBatch
from router.policy.states import Needs, State
from router.reports.folder.watch import scan
from router.reports.pdf.reader import Readers
from router.review.deliveries import Review
from router.storage import open_storage
from support.intake_folder import printed
from support.sample_exam import exam_document

START = datetime(2026, 3, 2, 10, tzinfo=UTC)
E1, E2 = "7100234", "7100299"  # plain numbers: nothing but the other's JSON tells that they are exams
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
"""


class Site:
    """A node's intake and correlator; reports wait for no images, as half of their time is over from the start."""

    def __init__(self, folder: Path, readers: Readers, settings: str = "") -> None:
        self.config = parse(CONFIG + settings, base=folder)
        self.events: list[Event] = []
        self.clock = FakeClock(START)
        bus = EventBus(self.events.append)
        data = self.config.node.data
        self.storage = open_storage(data, "node-1")
        self.catalogue = open_catalogue("", data, bus)
        references, exams = ExamReader(self.config), self.catalogue.exams
        self.intake = Intake(self.config, references, exams, self.storage, bus, self.clock, readers)
        selection = Selection(self.config, self.catalogue, lambda _: rulebook(self.config.series), bus)
        known = (self.catalogue, self.storage, selection, bus, self.clock)
        self.correlator = Correlator(self.config, references, *known)
        self.review = Review(self.catalogue, self.clock)
        self.config.reports.folder.mkdir()

    def drop(self, name: str, data: bytes) -> None:
        """A file comes, is taken, and every exam is evaluated."""
        self.intake.file(self.read(name, data).documents)
        self.settle()

    def read(self, name: str, data: bytes) -> ReadBatch:
        """A file comes, and all that lie there are read."""
        self.put(name, data)
        return self.intake.read(scan(self.config.reports.folder).files)

    def settle(self) -> None:
        while self.correlator.run_due():
            pass

    def exam(self, exam_id: str = E1, age: float = 40, **changes: object) -> bytes:
        """An exam JSON, approved `age` minutes before the start; another exam is another patient's."""
        approved = (START - timedelta(minutes=age)).astimezone(self.config.node.timezone)
        paths: dict[str, object] = {"ExamId": exam_id, "Report.ApproveTime": f"{approved:%Y-%m-%d %H:%M:%S}"}
        paths |= {"Order.AccessionNumber": f"9{exam_id}", "Study.StudyInstanceUIDs": [f"1.2.{exam_id}"]}
        if exam_id != E1:
            paths |= {"Patient.Name": "李四", "Patient.PatientId": "P0002"}
        paths |= {path.replace("__", "."): value for path, value in changes.items()}
        return json.dumps(exam_document(paths), ensure_ascii=False).encode()

    def delivery(self, exam_id: str = E1) -> Delivery:
        (exam,) = self.catalogue.exams.find(exam_id)
        (delivery,) = self.catalogue.queue.of_exam(exam)
        return delivery

    def state(self, exam_id: str = E1) -> State:
        return self.delivery(exam_id).state

    def pdf(self, exam_id: str = E1) -> bytes | None:
        """What would go with the exam."""
        (exam,) = self.catalogue.exams.find(exam_id)
        case = self.catalogue.exams.case(exam)
        return self.storage.reports.read(case.places[case.chosen.pdf]) if case.chosen.pdf else None

    def put(self, name: str, data: bytes) -> None:
        """A file is written."""
        path = self.config.reports.folder / name
        path.write_bytes(data)
        self.clock.advance(1)
        os.utime(path, (self.clock.now().timestamp(),) * 2)

    def document(self, exam_id: str) -> Any:
        """The exam JSON that counts."""
        (exam,) = self.catalogue.exams.find(exam_id)
        return self.correlator.facts.jsons.counting(self.catalogue.exams.case(exam))[0]

    def evidence(self, exam_id: str) -> str:
        """How its PDF was chosen, as `explain` says it."""
        (exam,) = self.catalogue.exams.find(exam_id)
        return self.catalogue.exams.case(exam).chosen.evidence

    def release(self, exam_id: str = E1) -> None:
        assert self.review.confirm(self.delivery(exam_id), "looked at it", "wang")
        self.settle()

    def told(self, kind: Kind) -> list[str]:
        return [event.text for event in self.events if event.kind == kind]


@pytest.fixture
def site(tmp_path: Path, readers: Readers, request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(tmp_path, readers, getattr(request, "param", ""))
    yield made
    made.catalogue.engine.close_thread()


ONE, TWO, NOBODY, BLANK = printed(f"No. 9{E1}"), printed(f"No. 9{E2}"), printed("report"), printed("")


def test_a_report_with_its_own_pdf_goes(site: Site) -> None:
    site.drop("r.json", site.exam())
    assert site.delivery().waiting_for == (Needs.PDF,)
    site.drop("r.pdf", ONE)
    assert site.state() == State.READY


def test_a_pdf_whose_exam_comes_later_under_the_same_name_goes_with_that_one(site: Site) -> None:
    site.drop("r.json", site.exam())
    site.drop("r.pdf", TWO)
    site.drop("r.json", site.exam(E2))
    assert (site.pdf(E1), site.pdf(E2)) == (None, TWO)
    assert (site.state(E1), site.state(E2)) == (State.WAITING, State.READY)
    assert "goes with that one" in site.told(Kind.DOUBT)[-1]
    site.drop("r.pdf", ONE)  # the name's last JSON is the other exam's
    assert (site.state(E1), site.pdf(E1), site.pdf(E2)) == (State.READY, ONE, TWO)


def test_a_pdf_that_names_an_exam_that_is_known_is_held_until_its_own_comes(site: Site) -> None:
    site.drop("s.json", site.exam(E2))
    site.drop("r.json", site.exam())
    site.drop("r.pdf", TWO)
    held = site.delivery()
    assert (held.state, held.held_by) == (State.HELD, "pdf")
    assert "names e1 and not this one; drop this exam's PDF" in held.error
    assert site.state(E2) == State.WAITING
    site.drop("r.pdf", ONE)
    assert (site.state(), site.pdf()) == (State.READY, ONE)


def test_a_person_may_confirm_a_pdf_in_doubt_and_nothing_else_releases_it(site: Site) -> None:
    site.drop("s.json", site.exam(E2))
    site.drop("r.json", site.exam())
    site.drop("r.pdf", TWO)
    site.review.release(site.delivery(), "all at once", "wang")
    site.settle()
    assert site.state() == State.HELD
    site.release()
    assert (site.state(), site.pdf()) == (State.READY, TWO)
    assert any("confirmed: looked at it" in event.text and event.who == "wang" for event in site.events)


def test_a_pdf_that_was_thought_harmless_is_held_as_soon_as_its_exam_is_known(site: Site) -> None:
    site.drop("r.json", site.exam(Order__Status="Registered"))
    site.drop("r.pdf", TWO)
    site.drop("r.json", site.exam())
    assert site.state() == State.READY
    site.drop("s.json", site.exam(E2))
    assert (site.state(), site.pdf(E2)) == (State.HELD, None)


@pytest.mark.parametrize("pdf", [NOBODY, BLANK])
def test_a_pdf_that_tells_nothing_passes_unless_its_name_was_used_again(site: Site, pdf: bytes) -> None:
    site.drop("r.json", site.exam())
    site.drop("r.pdf", pdf)
    assert site.state() == State.READY
    site.drop("r.json", site.exam(E2))
    assert site.state() == State.HELD
    assert "served several exams" in site.delivery().error
    site.release()
    assert site.state() == State.READY


@pytest.mark.fires("delivered-in-doubt")
def test_a_doubt_about_what_was_delivered_is_an_alarm(site: Site) -> None:
    site.drop("r.json", site.exam())
    site.drop("r.pdf", TWO)
    delivery = site.catalogue.queue.claim("cloud", site.delivery().channel, "node-1", START, timedelta(hours=1))
    assert delivery is not None
    site.catalogue.queue.move(
        delivery, State.DELIVERED, START, "receipt", changes={"delivered": delivery.wanted}
    )  # fmt: skip
    site.drop("s.json", site.exam(E2))
    assert site.state() == State.DELIVERED
    (alarm,) = [text for text in site.told(Kind.ALARM) if "already delivered" in text]
    assert "names e2 and" in alarm


@pytest.mark.parametrize("site", ["pdf_text_check = false\n"], indirect=True)
def test_where_the_text_is_not_checked_the_order_alone_decides(site: Site) -> None:
    site.drop("r.json", site.exam())
    site.drop("r.pdf", TWO)
    site.drop("r.json", site.exam(E2))
    assert (site.pdf(E1), site.state()) == (TWO, State.READY)


# -- a correction without its PDF


def test_a_correction_waits_for_its_pdf_until_half_of_its_time_and_is_held_then(site: Site) -> None:
    draft = {"Order__Status": "Registered", "Report__Impression": "draft"}
    site.drop("r.json", site.exam(age=0, **draft))
    site.drop("r.pdf", ONE)
    site.clock.advance(15 * 60)
    site.drop("r.json", site.exam(age=0))
    assert (site.state(), site.pdf()) == (State.WAITING, None)
    assert Needs.PDF in site.delivery().waiting_for
    site.clock.advance(14 * 60)
    site.settle()
    assert site.state() == State.WAITING
    site.clock.advance(60)
    site.settle()
    held = site.delivery()
    assert (held.state, held.held_by) == (State.HELD, "pdf")
    assert "half of the time for it is over without a new PDF" in held.error
    assert "queue release" in held.error
    site.drop("r.pdf", printed(f"corrected 9{E1}"))
    assert site.state() == State.READY


def test_a_person_may_send_a_correction_with_the_former_pdf(site: Site) -> None:
    site.drop("r.json", site.exam(Order__Status="Registered", Report__Impression="draft"))
    site.drop("r.pdf", ONE)
    site.clock.advance(15 * 60)
    site.drop("r.json", site.exam())
    assert site.state() == State.HELD
    site.release()
    assert (site.state(), site.pdf()) == (State.READY, ONE)
    site.drop("r.json", site.exam(age=39, Report__Impression="another correction"))
    assert (site.state(), site.pdf()) == (State.HELD, None)


# -- a RIS that exports approved reports only


@pytest.mark.parametrize("site", ["approved_only = true\n"], indirect=True)
def test_where_only_approved_reports_are_exported_the_drop_starts_and_a_missing_time_is_a_fault(site: Site) -> None:
    site.drop("r.json", site.exam(Report__ApproveTime=""))
    site.drop("r.pdf", ONE)
    waiting = site.delivery()
    assert (waiting.state, waiting.waiting_for[:1]) == (State.WAITING, (Needs.JSON,))
    assert waiting.legal_due == site.clock.now() - timedelta(seconds=1) + timedelta(hours=1)
    assert "Report.ApproveTime (审核时间)" in waiting.error
    site.drop("r.json", site.exam())
    assert site.state() == State.READY


def test_elsewhere_a_report_without_its_time_of_approval_is_not_approved(site: Site) -> None:
    site.drop("r.json", site.exam(Report__ApproveTime=""))
    site.drop("r.pdf", ONE)
    assert Needs.APPROVAL in site.delivery().waiting_for
    assert site.delivery().legal_due is None


# -- the orders in which a RIS writes


DRAFT: dict[str, Any] = {"Order__Status": "Submitted", "Report__Impression": "draft", "Report__ApproveTime": ""}


@pytest.mark.parametrize("together", [False, True], ids=["PDF, then JSON", "both at once"])
@pytest.mark.parametrize("hours", [0, 3])
def test_the_most_usual_order_goes(site: Site, hours: int, together: bool) -> None:
    site.drop("r.json", site.exam(**DRAFT))
    site.clock.advance(hours * 3600)
    approved = site.exam(age=30 - hours * 60)
    if together:
        site.put("r.pdf", ONE)
    else:
        site.drop("r.pdf", ONE)
    site.drop("r.json", approved)
    assert (site.state(), site.pdf()) == (State.READY, ONE)


def test_withdrawn_and_approved_again_it_goes_with_the_pdf_of_then(site: Site) -> None:
    site.drop("r.json", site.exam())
    site.drop("r.pdf", ONE)
    site.drop("r.json", site.exam(**DRAFT, Report__SubmitTime="2026-03-02 17:45:00"))
    assert (site.state(), site.delivery().held_by) == (State.HELD, "approval")
    again = printed(f"again 9{E1}")
    site.drop("r.pdf", again)
    assert site.state() == State.HELD
    site.drop("r.json", site.exam(age=5, Report__SubmitTime="2026-03-02 17:50:00"))
    assert (site.state(), site.pdf()) == (State.WAITING, again)
    site.clock.advance(1800)
    site.settle()
    assert (site.state(), site.pdf()) == (State.READY, again)


@pytest.mark.parametrize("site", ["", "[identity]\nchecks = 1\n"], indirect=True)
def test_a_scan_that_may_be_of_either_of_two_approved_versions_is_a_doubt(site: Site) -> None:
    site.drop("r.json", site.exam())
    site.drop("r.json", site.exam(age=35, Report__Findings="右肺上叶见一枚小结节，直径约五毫米。"))
    site.drop("r.pdf", NOBODY)
    if site.config.identity.checks == 1:
        assert (site.state(), site.pdf()) == (State.READY, NOBODY)
        return
    assert (site.state(), site.pdf()) == (State.HELD, None)
    assert "two approved versions report differently" in site.delivery().error
    site.drop("r.pdf", printed("another scan"))
    assert (site.state(), site.pdf()) == (State.HELD, None)
    site.release()
    assert (site.state(), site.pdf()) == (State.READY, printed("another scan"))


def test_a_second_pdf_waits_for_its_json_and_goes_then_as_it_names_the_exam(site: Site) -> None:
    site.drop("r.json", site.exam())
    site.drop("r.pdf", ONE)
    again = printed(f"again 9{E1}")
    site.drop("r.pdf", again)
    assert (site.state(), site.pdf()) == (State.READY, ONE)
    site.clock.advance(600)
    site.settle()
    assert (site.state(), site.pdf()) == (State.READY, again)


@pytest.mark.parametrize("site", ["", "[identity]\nchecks = 1\n"], indirect=True)
def test_a_second_pdf_that_names_nobody_is_a_doubt_by_the_second_set_of_checks(site: Site) -> None:
    site.drop("r.json", site.exam())
    site.drop("r.pdf", ONE)
    site.drop("r.pdf", NOBODY)
    site.clock.advance(600)
    site.settle()
    if site.config.identity.checks == 1:
        assert (site.state(), site.pdf()) == (State.READY, NOBODY)
        return
    assert "came without a JSON" in site.delivery().error
    site.release()
    assert (site.state(), site.pdf()) == (State.READY, NOBODY)
