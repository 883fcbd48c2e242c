"""The console's first screen over real HTTP: its light, its cards, its plots, and how it stays alive."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from router.config.sections import Admin
from router.errors import Outage
from router.model import Channel
from router.policy.breaker import Position
from router.policy.states import State
from router.reports.pdf.reader import Readers
from support.console_site import STUDY, Site
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1


@pytest.fixture
def site(tmp_path: Path, readers: Readers) -> Iterator[Site]:
    made = Site(ExamWorkflow(tmp_path, readers), Admin())
    yield made
    made.server.stop()
    made.clinic.catalogue.engine.close_thread()


def approve(site: Site, *studies: str) -> None:
    """The exam with these studies, approved now."""
    at = f"{site.clinic.clock.now().astimezone(site.clinic.config.node.timezone):%Y-%m-%d %H:%M:%S}"
    site.clinic.ris(Study__StudyInstanceUIDs=list(studies), Report__ApproveTime=at)


def plain(page: str) -> str:
    return " ".join(re.sub("<[^>]+>", " ", page).split())


def light_of(site: Site) -> tuple[str, str]:
    """Its colour and its sentence."""
    found = re.search(r'<div class="light (\w+)".*?<p><b>(.*?)</b>', site.ask("/").text, re.DOTALL)
    assert found is not None
    return found[1], found[2]


def card(site: Site, name: str) -> str:
    """The card with this heading, without tags."""
    sections = re.findall(r'<section class="card.*?</section>', site.ask("/").text, re.DOTALL)
    return next(text for text in map(plain, sections) if text.startswith(name))


def test_the_light_goes_from_green_over_amber_to_red_and_back(site: Site) -> None:
    assert light_of(site) == ("green", "All is well: everything that was approved has been delivered.")
    approve(site, STUDY)
    site.clinic.pacs(STUDY, patient_id="P9", name="李^四")
    assert light_of(site)[0] == "amber"
    assert light_of(site)[1].startswith("A person is needed")
    site.clinic.later(hours=8)
    assert light_of(site)[0] == "red"
    site.report = {"receiving": False, "degraded": [{"text": "the disk does not answer", "stops_images": True}]}
    assert light_of(site) == ("red", "No images can be taken: the disk does not answer")


def test_a_card_of_a_destination_tells_a_pause_a_breaker_and_what_is_open(site: Site) -> None:
    approve(site, STUDY)
    site.clinic.pacs(STUDY)
    assert card(site, "cloud im") == "cloud images up Open 1 Oldest approval 18:00 Done by - Last confirmed -"
    breakers, now = site.clinic.catalogue.breakers, site.clinic.clock.now()
    breakers.change("cloud", Channel.IMAGES, now, lambda one: replace(
        one, position=Position.OPEN, failures=1, since=now, probe_at=now, why="no route to host"
    ))  # fmt: skip
    assert re.match("cloud images no answer .* no route to host; Since", card(site, "cloud im"))
    assert light_of(site) == ("red", "No answer from cloud: deliveries wait here.")
    breakers.change("cloud", Channel.IMAGES, now, lambda one: replace(one, outage=Outage.CREDENTIALS))
    assert card(site, "cloud im").startswith("cloud images takes nothing ")
    assert light_of(site) == (
        "red", "cloud takes nothing until a key, certificate or address is corrected: deliveries wait here."
    )  # fmt: skip
    site.log_in()
    site.ask("/pause", {"csrf": site.csrf, "destination": "cloud", "what": "pause", "why": "their disk"})
    assert "paused by wang: their disk" in card(site, "cloud report")


def test_each_pause_is_ended_by_the_button_beside_it_also_of_a_destination_that_is_gone(site: Site) -> None:
    site.log_in()
    pauses = site.clinic.catalogue.pauses
    for place in ("cloud", "gone"):
        pauses.begin(place, "wang", "their disk", site.clinic.clock.now())
    for path in ("/queue", "/"):
        form = site.ask(path).text.partition('action="/pause"')[2].partition("</form>")[0]
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        assert site.ask("/pause", fields | {"why": "repaired"}).status == 303
    assert pauses.standing() == []


def test_an_exam_is_searched_for_from_the_first_screen_after_a_login(site: Site) -> None:
    assert "Log in to search" in site.ask("/").text
    site.log_in()
    assert "data-search" in site.ask("/").text.partition('action="/queue"')[2].partition("</form>")[0]


def test_a_card_tells_when_all_will_be_there(site: Site) -> None:
    approve(site, STUDY)
    site.clinic.pacs(STUDY)
    site.clinic.later(minutes=2)
    queue, ready = site.clinic.catalogue.queue, site.clinic.delivery(E1)
    assert ready.state == State.READY
    queue.expect({ready.id: site.clinic.clock.now() + timedelta(minutes=7)})
    assert "Oldest approval 18:00 Done by 18:09" in card(site, "cloud im")


def test_who_sent_today_and_how_much_is_usual_is_a_card_and_a_plot_with_its_numbers(site: Site) -> None:
    assert card(site, "RIS") == "RIS quiet nothing for a week"
    for day in range(4):
        for number in range(4):
            site.clinic.pacs(f"1.2.{day}.{number}", ae="CT1")
        site.clinic.clock.advance(timedelta(days=1).total_seconds())
    text = card(site, "CT1")
    assert text.startswith("CT1 quiet Last seen")
    assert text.endswith("Today 0 Usual by now 4")
    approve(site, "1.2.9.1")
    site.clinic.pacs("1.2.9.1", ae="CT1")
    assert "Today 1" in card(site, "RIS")
    page = site.ask("/").text
    assert page.count('<svg viewBox="0 -4 480 88" role="img"') == 3
    assert "Studies received today 1, most in an hour 1" in plain(page)
    assert "<tr><td>00:00</td><td>0</td></tr>" in page
    assert card(site, "Disk") == "Disk Free space 8.0 GiB No images below 5.0 GiB"


def test_a_page_that_has_not_changed_is_not_sent_again(site: Site) -> None:
    first = site.ask("/")
    mark = first.headers["ETag"]
    same = site.ask("/", headers={"If-None-Match": mark})
    assert (same.status, same.text, same.headers["ETag"]) == (304, "", mark)
    site.clinic.pacs(STUDY)
    changed = site.ask("/", headers={"If-None-Match": mark})
    assert (changed.status, changed.headers["ETag"] != mark) == (200, True)


def test_a_page_that_refreshes_itself_keeps_no_session_open(site: Site) -> None:
    site.log_in()
    for _ in range(2):
        site.clinic.clock.advance(600)
        site.ask("/", headers={"X-Live": "1"})
    assert "wang" not in site.ask("/").text
    site.log_in()
    for _ in range(2):
        site.clinic.clock.advance(600)
        site.ask("/")
    assert "wang" in site.ask("/").text


def test_only_a_page_that_its_address_shows_refreshes_itself(site: Site) -> None:
    approve(site, STUDY)
    site.log_in()
    assert 'data-every="5"' in site.ask(f"/exam?id={site.exam}").text
    assert "data-every" not in site.ask("/patient", {"csrf": site.csrf, "id": site.exam}).text


def test_pages_that_refresh_themselves_share_one_reading_and_a_person_gets_a_fresh_one(site: Site) -> None:
    live = {"X-Live": "1"}
    before = site.ask("/", headers=live).text
    site.report = {"receiving": False, "degraded": [{"text": "the disk does not answer", "stops_images": True}]}
    assert site.ask("/", headers=live).text == before
    site.clinic.clock.advance(4)
    assert "No images can be taken" in site.ask("/", headers=live).text
    site.report = {"receiving": True, "degraded": []}
    assert "No images can be taken" not in site.ask("/").text
