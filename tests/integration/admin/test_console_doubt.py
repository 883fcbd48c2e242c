"""A doubt compared and settled at the console, over real HTTP."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.config.sections import Admin
from router.errors import TransientError
from router.events import Event, Kind
from router.policy.states import State
from router.reports.pdf.reader import Readers
from router.review.decisions import OperatorReason
from support.console_site import STUDY, Site
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1

PERSONAL = ("张三", "李^四", "P0001", "P9", E1)


@pytest.fixture
def site(tmp_path: Path, readers: Readers) -> Iterator[Site]:
    """An exam that is held, since its report and its images name different patients; wang has logged in."""
    clinic = ExamWorkflow(tmp_path, readers)
    clinic.ris(Study__StudyInstanceUIDs=[STUDY])
    clinic.pacs(STUDY, patient_id="P9", name="李^四")
    assert clinic.delivery().state == State.HELD
    made = Site(clinic, Admin())
    made.log_in()
    yield made
    made.server.stop()
    clinic.catalogue.engine.close_thread()


def compared(site: Site) -> str:
    return site.ask("/patient", {"csrf": site.csrf, "id": site.exam}).text


def settle(site: Site, seen: str, **changes: str) -> str:
    """Ask for it; how the exam's page then says what was done."""
    form = {"csrf": site.csrf, "id": str(site.exam), "seen": seen, "why": "asked the ward"} | changes
    got = site.ask("/resolve", form)
    assert got.status == 303, got.text
    return got.headers["Location"].removeprefix(f"/exam?id={site.exam}&done=")


def mark(page: str) -> str:
    (form,) = re.findall(r'<form[^>]*action="/resolve">(.*?)</form>', page)
    (found,) = re.findall(r'name="seen" value="(\w+)"', form)
    return str(found)


def decided(site: Site) -> list[Event]:
    return [event for event in site.clinic.events if event.kind == Kind.DECIDED]


def test_a_doubt_is_settled_where_both_sides_are_shown_as_by_the_command(site: Site) -> None:
    page = compared(site)
    found = site.clinic.decisions.differences(f"e{site.exam}")
    assert page.count('class="differs"') == 2
    assert page.count('class="agrees"') == 3
    assert all(text in page for text in found.texts)
    assert mark(page) == found.mark
    assert settle(site, found.mark) == "settled"
    assert "both are of one patient" in site.ask(f"/exam?id={site.exam}&done=settled").text
    (event,) = decided(site)
    assert (event.who, event.exam) == ("wang", site.exam)
    assert event.text == f"identity settled: asked the ward ({'; '.join(found.texts)})"
    site.clinic.settle()
    assert site.clinic.delivery().state != State.HELD
    assert settle(site, found.mark) == "none"
    after = compared(site)
    assert "/resolve" not in after
    assert "李^四" in after


def test_a_doubt_that_came_after_the_person_looked_stays_and_is_shown(site: Site) -> None:
    before, texts = mark(compared(site)), site.clinic.decisions.differences(f"e{site.exam}").texts
    site.clinic.pacs(STUDY, number=2, patient_id="P8", name="王^五")
    assert settle(site, before) == "changed"
    page = site.ask(f"/exam?id={site.exam}&done=changed").text
    assert "what differs is not what was shown" in page
    new = site.clinic.decisions.differences(f"e{site.exam}")
    assert new.texts == texts, "other values, in the same words"
    assert all(text in page for text in new.texts)
    assert decided(site) == []
    site.clinic.settle()
    assert site.clinic.delivery().state == State.HELD
    assert before != new.mark == mark(compared(site))
    assert settle(site, new.mark) == "settled"


def test_a_correction_that_names_another_patient_is_a_doubt_of_its_own(site: Site) -> None:
    before = mark(compared(site))
    site.clinic.ris(Study__StudyInstanceUIDs=[STUDY], Patient__Name="王五", Report__ApproveTime="2026-03-02 15:00:00")
    assert settle(site, before) == "changed"
    assert decided(site) == []


def test_what_another_person_settled_meanwhile_is_not_settled_again(site: Site) -> None:
    seen = mark(compared(site))
    site.clinic.decisions.resolve(f"e{site.exam}", OperatorReason("li", "it is so"))
    assert settle(site, seen) == "none"
    assert [event.who for event in decided(site)] == ["li"]


def test_the_form_is_there_only_beside_both_sides(site: Site) -> None:
    masked = site.ask(f"/exam?id={site.exam}").text
    texts = site.clinic.decisions.differences(f"e{site.exam}").texts
    assert all(text in masked for text in texts)
    assert "/resolve" not in masked
    site.cookies.clear()
    stranger = site.ask(f"/exam?id={site.exam}").text
    assert all(text in stranger for text in texts)
    for page in (masked, stranger):
        assert [word for word in PERSONAL if word in page] == []


def test_release_says_that_it_does_not_settle_the_doubt(site: Site) -> None:
    note = "Release does not settle an identity doubt"
    assert note in site.ask(f"/exam?id={site.exam}").text
    site.act("release")
    site.clinic.settle()
    assert site.clinic.delivery().state == State.HELD
    settle(site, mark(compared(site)))
    site.clinic.settle()
    site.act("hold")
    assert note not in site.ask(f"/exam?id={site.exam}").text


def test_without_reason_login_form_of_the_session_or_audit_nothing_is_settled(site: Site) -> None:
    seen, csrf = mark(compared(site)), site.csrf
    form = {"csrf": csrf, "id": site.exam, "seen": seen, "why": "asked"}
    for changes, status in (({"why": " "}, 400), ({"id": 99}, 400), ({"id": "x"}, 400), ({"csrf": "another"}, 403)):
        assert site.ask("/resolve", form | changes).status == status
    assert site.ask("/resolve").status == 405
    site.sealing = TransientError("the trail cannot be written")
    assert site.ask("/resolve", form).status == 503
    site.sealing = None
    cookies, site.cookies = site.cookies, {}
    assert site.ask("/resolve", form).headers["Location"] == "/login"
    site.cookies = cookies
    assert mark(compared(site)) == seen
    assert settle(site, "") == "changed"
