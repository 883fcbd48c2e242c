"""The console's work list: what waits for a person by cause, and acts on many that are shown before they are done."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.config.sections import Admin
from router.errors import Outage, TransientError
from router.events import Event, Kind
from router.model import Channel
from router.policy.breaker import Position
from router.policy.states import State
from router.reports.pdf.reader import Readers
from support.console_site import Site
from support.exam_workflow import ExamWorkflow

EXAMS = ("V20240001_CT01", "V20240001_CT02", "V20240001_CT03")


@pytest.fixture
def site(tmp_path: Path, readers: Readers) -> Iterator[Site]:
    """Three exams whose images are of another patient; wang has logged in."""
    clinic = ExamWorkflow(tmp_path, readers)
    for number, name in enumerate(EXAMS):
        accession = f"C{number}"
        clinic.ris(name, Study__StudyInstanceUIDs=[f"1.3.{number}"], Order__AccessionNumber=accession)
        clinic.pacs(f"1.3.{number}", accession=accession, patient_id="P9", name="李^四")
    made = Site(clinic, Admin())
    made.log_in()
    yield made
    made.server.stop()
    clinic.catalogue.engine.close_thread()


def states(site: Site) -> list[State]:
    return [site.clinic.delivery(name).state for name in EXAMS]


def chosen(site: Site, *exams: str) -> dict[str, object]:
    """The boxes of these exams' images."""
    return {f"d{site.clinic.delivery(name).id}": "on" for name in exams or EXAMS}


def preview(site: Site, what: str, *exams: str, **changes: object) -> str:
    got = site.ask("/bulk", {"csrf": site.csrf, "what": what, "why": "asked", **chosen(site, *exams), **changes})
    return got.text if got.status == 200 else str(got.status)


def confirm(site: Site, page: str) -> str:
    """Send the form of the preview; what the work list is told."""
    form = page.partition('action="/bulk/do"')[2].partition("</form>")[0]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    return site.ask("/bulk/do", fields).headers["Location"].partition("?")[2]


def test_what_waits_is_grouped_by_cause_and_lists_its_deliveries_without_patient_data(site: Site) -> None:
    page = site.ask("/work").text
    causes = re.findall(r'<a href="(/work\?[^"]+)"[^>]*><b>(\d+)</b> (.*?) <', page)
    assert (
        "/work?what=identity&amp;destination=cloud",
        "3",
        "held: report and images may be of different patients",
    ) in causes
    listed = site.ask("/work?what=identity&destination=cloud").text
    assert listed.count("/exam?id=") == 6  # report and images of each
    assert "compare both sides" in listed
    for text in (page, listed):
        assert not any(word in text for word in ("张三", "李", "P9", *EXAMS))


def test_every_cause_has_its_page_and_one_that_is_gone_says_so(site: Site) -> None:
    for alarm in (Alarm.DISK, Alarm.UNREPORTED, Alarm.UNCLAIMED_PDF, Alarm.DELIVERED_IN_DOUBT):
        site.clinic.bus.record(Event(site.clinic.clock.now(), Kind.ALARM, "x", alarm=alarm, subject="x"))
    for path in set(re.findall(r'<a href="(/work\?what=[^"]+)"', site.ask("/work").text)):
        got = site.ask(path.replace("&amp;", "&"))
        assert got.status == 200
        assert "aria-current" in got.text
    assert "That does not wait any more" in site.ask("/work?what=cut-off&destination=cloud").text


def test_a_destination_that_takes_nothing_says_what_to_correct_and_shows_what_waits_for_it(site: Site) -> None:
    now = site.clinic.clock.now()
    site.clinic.catalogue.breakers.change("cloud", Channel.REPORT, now, lambda one: replace(
        one, position=Position.OPEN, failures=1, since=now, probe_at=now, why="401", outage=Outage.KEYS
    ))  # fmt: skip
    page = site.ask("/work?what=account&destination=cloud").text
    assert "The node asks again every minute" in page
    assert 'href="/queue?destination=cloud"' in page
    assert ('action="/bulk"' in page, "Nothing here." in page) == (False, False)


def test_nothing_that_waits_is_said_in_green(tmp_path: Path, readers: Readers) -> None:
    clinic = ExamWorkflow(tmp_path, readers)
    site = Site(clinic, Admin())
    assert "Nothing waits for a person." in site.ask("/work").text
    site.server.stop()
    clinic.catalogue.engine.close_thread()


def test_an_act_on_many_is_shown_first_and_then_done_to_each_in_the_persons_name(site: Site) -> None:
    page = preview(site, "hold")
    assert states(site) == [State.HELD] * 3
    assert "Do it for 3" in page
    assert confirm(site, page) == "done=3&left=0"
    assert all(site.clinic.delivery(name).held_by == "person" for name in EXAMS)
    assert "Done for 3." in site.ask("/work?done=3&left=0").text
    told = [event.who for event in site.clinic.events if event.text == "held by a person from now on: asked"]
    assert told == ["wang"] * 3


def test_what_has_moved_since_the_preview_is_left_and_counted(site: Site) -> None:
    page = preview(site, "hold")
    site.clinic.ris(EXAMS[1], Study__StudyInstanceUIDs=["1.3.1"], Order__AccessionNumber="C1", Patient__Name="李四",
                    Patient__PatientId="P9", Report__ApproveTime="2026-03-02 15:00:00")  # fmt: skip
    before = site.clinic.delivery(EXAMS[1])
    assert before.state != State.HELD
    assert confirm(site, page) == "done=2&left=1"
    assert site.clinic.delivery(EXAMS[1]) == before


def test_only_what_the_state_allows_is_offered_and_done(site: Site) -> None:
    offered = site.ask("/work?what=identity&destination=cloud").text
    assert re.findall(r'<option value="(\w+)"', offered) == ["hold", "release", "wait"]
    page = preview(site, "retry")
    assert page.count("nothing: its state does not allow it") == 3
    assert "/bulk/do" in page
    assert "Do it for" not in page
    assert confirm(site, preview(site, "release", EXAMS[0])) == "done=1&left=0"
    assert states(site)[1:] == [State.HELD] * 2


def test_what_failed_is_offered_a_retry_first(site: Site) -> None:
    now, queue = site.clinic.clock.now(), site.clinic.catalogue.queue
    for to in (State.WAITING, State.READY, State.SENDING, State.FAILED):
        assert queue.move(site.clinic.delivery(EXAMS[0]), to, now, "refused")
    page = site.ask("/work?what=failed&destination=cloud").text
    assert re.findall(r'<option value="(\w+)"', page) == ["retry", "hold", "wait"]
    assert "retry them" in page


def test_a_release_of_many_confirms_no_report_pdf_unseen(site: Site) -> None:
    one = site.clinic.delivery(EXAMS[0])
    site.clinic.catalogue.queue.update(one, held_by="pdf", error="pdf: it names somebody else")
    confirm(site, preview(site, "release", EXAMS[0]))
    assert all(pdf.confirmed is None for pdf in site.clinic.case(EXAMS[0]).pdfs)
    assert not any("confirmed" in event.text for event in site.clinic.events if event.who == "wang")


def test_a_note_is_shown_beside_what_waits(site: Site) -> None:
    assert confirm(site, preview(site, "wait", EXAMS[0])) == "done=1&left=0"
    assert states(site) == [State.HELD] * 3
    assert "waits for the RIS: asked" in site.ask("/work?what=identity&destination=cloud").text


@pytest.mark.parametrize("changes", [{"why": " "}, {"what": "cancel"}, {"csrf": "another"}])
def test_an_act_on_many_without_reason_or_form_of_the_session_is_refused(site: Site, changes: dict[str, str]) -> None:
    form = {"csrf": site.csrf, "what": "hold", "why": "x", **chosen(site), **changes}
    for path in ("/bulk", "/bulk/do"):
        assert site.ask(path, form).status in (400, 403)
    assert site.ask("/bulk/do").status == 405


def test_an_act_on_many_is_done_only_as_shown_after_a_login_and_with_its_audit(site: Site) -> None:
    page, form = preview(site, "hold"), {"csrf": site.csrf, "what": "hold", "why": "x", **chosen(site)}
    assert site.ask("/bulk/do", form).headers["Location"].endswith("done=0&left=3"), "no mark was shown"
    site.sealing = TransientError("the trail cannot be written")
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.partition('action="/bulk/do"')[2]))
    assert site.ask("/bulk/do", fields).status == 503
    site.cookies.clear()
    assert site.ask("/bulk/do", fields).headers["Location"] == "/login"
    assert "checkbox" not in site.ask("/work").text
    assert [site.clinic.delivery(name).held_by for name in EXAMS] == ["identity"] * 3
