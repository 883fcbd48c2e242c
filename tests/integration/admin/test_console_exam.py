"""An exam's page at the console: its timeline, what may be decided there, and how it is found."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.config.sections import Admin, Query
from router.errors import TransientError
from router.events import Kind
from router.model import Channel
from router.policy.states import State
from router.reports.pdf.reader import Readers
from support.console_site import STUDY, Site
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1

OTHER = "1.2.4"


@pytest.fixture
def site(tmp_path: Path, readers: Readers) -> Iterator[Site]:
    """An exam with two studies, one of another patient; wang has logged in."""
    clinic = ExamWorkflow(tmp_path, readers)
    clinic.ris(Study__StudyInstanceUIDs=[STUDY, OTHER])
    clinic.pacs(STUDY)
    clinic.pacs(OTHER, patient_id="P9", name="李^四")
    made = Site(clinic, Admin())
    made.log_in()
    yield made
    made.server.stop()
    clinic.catalogue.engine.close_thread()


def page(site: Site) -> str:
    return site.ask(f"/exam?id={site.exam}").text


def decide(site: Site, path: str, **changes: object) -> str:
    """Send the form; how the page then says what was done, or the status of a refusal."""
    form = {"csrf": site.csrf, "id": site.exam, "seen": site.seen, "why": "asked the ward"} | changes
    got = site.ask(path, form)
    return got.headers["Location"].partition("done=")[2] if got.status == 303 else str(got.status)


def decided(site: Site) -> list[str]:
    return [event.text for event in site.clinic.events if event.kind == Kind.DECIDED and event.who == "wang"]


def test_an_exam_has_a_timeline_without_patient_data(site: Site) -> None:
    moments = re.findall(r"<li class=.*?</li>", page(site), re.DOTALL)
    words = [" ".join(re.sub("<[^>]+>", " ", one).split()) for one in moments]
    for text in ("images taken", "1 images are here, the last one from CT1", "approved", "exam JSON came", "held d"):
        assert any(text in one for one in words), text
    times = [one[:19] for one in words]
    assert times == sorted(times)
    assert not any(word in one for one in words for word in ("张三", "李", "P9", E1))


def test_a_study_is_kept_apart_and_joined_again(site: Site) -> None:
    assert decide(site, "/unlink", study=OTHER) == "apart"
    assert list(site.clinic.case(E1).links) == [STUDY]
    assert "kept apart" in site.ask(f"/exam?id={site.exam}&done=apart").text
    assert decide(site, "/link", study=OTHER) == "joined"
    assert OTHER in site.clinic.case(E1).links
    assert decided(site) == ["kept apart: asked the ward", "joined: by hand: asked the ward"]


def test_what_changed_since_the_page_was_shown_is_not_decided_by_it(site: Site) -> None:
    seen = site.seen
    site.clinic.ris(
        Study__StudyInstanceUIDs=[STUDY, OTHER], Patient__Name="王五", Report__ApproveTime="2026-03-02 15:00:00"
    )
    for path in ("/unlink", "/link", "/wait"):
        assert decide(site, path, seen=seen, study=OTHER) == "0"
    assert decided(site) == []


def test_a_note_that_the_ris_was_asked_moves_nothing(site: Site) -> None:
    before = site.clinic.delivery(E1)
    assert decide(site, "/wait") == "noted"
    assert decided(site) == ["waits for the RIS: asked the ward"]
    assert site.clinic.delivery(E1) == before
    assert "waits for the RIS: asked the ward" in page(site)


def test_the_pacs_is_asked_at_once_where_one_is_configured(site: Site) -> None:
    retrievals, now = site.clinic.catalogue.retrievals, site.clinic.clock.now()
    assert "/ask" not in page(site)
    assert decide(site, "/ask") == "400"
    query = Query(ae_title="PACS", host="127.0.0.1", port=104)
    config = site.clinic.config.model_copy(update={"query": query})
    site.console.reconfigure(config, site.places)
    assert 'formaction="/ask"' in page(site)
    assert decide(site, "/ask") == "asked"
    due = retrievals.due(now)
    assert due is not None
    assert (due.exam, due.missing) == (site.exam, "a person asks for its images")


@pytest.mark.parametrize("path", ["/unlink", "/link", "/wait", "/ask"])
def test_without_login_form_reason_or_audit_nothing_is_decided(site: Site, path: str) -> None:
    assert decide(site, path, why=" ", study=OTHER) == "400"
    assert decide(site, path, csrf="another", study=OTHER) == "403"
    assert decide(site, path, id="99", study=OTHER) == "400"
    assert site.ask(path).status == 405
    if path != "/ask":
        site.sealing = TransientError("the trail cannot be written")
        study = "1.2.5" if path == "/link" else OTHER
        assert decide(site, path, study=study) == "503"
    site.cookies.clear()
    assert site.ask(path, {"id": site.exam, "study": OTHER, "why": "x"}).headers["Location"] == "/login"
    assert list(site.clinic.case(E1).links) == [STUDY, OTHER]


def test_a_report_pdf_in_question_is_confirmed_where_its_evidence_is_shown(site: Site) -> None:
    queue, report = site.clinic.catalogue.queue, site.clinic.delivery(E1, Channel.REPORT)
    assert report.state == State.HELD
    queue.update(report, held_by="pdf", error="pdf: it names somebody else")
    assert "Confirm the report PDF and release" in page(site)


def found(site: Site, text: str) -> set[str]:
    """The exams that the search finds."""
    got = site.ask("/queue", {"csrf": site.csrf, "text": text})
    return set(re.findall(r"/exam\?id=(\d+)", got.text))


@pytest.mark.parametrize("text", [E1, E1[:9], "A0001", "P0001", "张三", STUDY, "e1", "d1", "e:1"])
def test_an_exam_is_found_by_each_of_its_names(site: Site, text: str) -> None:
    assert found(site, text) == {str(site.exam)}


def test_a_study_that_no_exam_names_is_found_with_what_nearly_fits(site: Site) -> None:
    site.clinic.pacs("1.9.9", accession="A77")
    text = site.ask("/queue", {"csrf": site.csrf, "text": "1.9.9"}).text
    assert "Study that no exam names" in text
    assert E1 not in text
    nothing = site.ask("/queue", {"csrf": site.csrf, "text": "1.9.8"}).text
    assert "Nothing of that name is here" in nothing


def test_exams_are_found_by_sender_and_day_in_the_address(site: Site) -> None:
    day = f"{site.clinic.clock.now().astimezone(site.clinic.config.node.timezone):%Y-%m-%d}"
    for asked, lines in ((f"day={day}", 2), ("day=2020-01-01", 0), ("sender=CT1", 2), ("sender=XX", 0),
                         (f"sender=CT1&day={day}&state=held", 2), (f"day={day}&state=delivered", 0)):  # fmt: skip
        assert site.ask(f"/queue?{asked}").text.count("/exam?id=") == lines, asked
    assert site.ask("/queue?day=yesterday").status == 400
