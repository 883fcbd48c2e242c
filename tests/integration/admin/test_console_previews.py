"""Pictures of series and the text of the report's PDF, beside patient data at the console."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest

from router.admin.console import previews
from router.config.sections import Admin
from router.dicom.preview.pictures import Pictures
from router.errors import InvalidData
from router.events import Kind
from router.policy.roles import Role
from router.reports.pdf.reader import Readers
from router.storage.reports import note
from support.console_site import STUDY, Site
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1, printed

LONG = "lung " * 900


class Shown(Pictures):
    """Says which files it was given, and makes nothing of them."""

    def __init__(self) -> None:
        super().__init__()
        self.files: list[Path] = []

    def of(self, path: Path) -> bytes:
        self.files.append(path)
        if len(self.files) > 1:
            raise InvalidData("it has no image")
        return b"a picture"


@pytest.fixture
def shown() -> Shown:
    return Shown()


@pytest.fixture
def site(tmp_path: Path, readers: Readers, shown: Shown) -> Iterator[Site]:
    """An exam with five slices, which came in another order, and its report; wang has logged in."""
    clinic = ExamWorkflow(tmp_path, readers)
    clinic.drop(f"{E1}.pdf", printed(f"{E1} findings: ribs"))
    clinic.ris(Study__StudyInstanceUIDs=[STUDY])
    for number in (5, 3, 1, 2, 4):
        clinic.pacs(STUDY, number=number)
    made = Site(clinic, Admin(), pictures=shown)
    made.log_in()
    yield made
    made.server.stop()
    clinic.catalogue.engine.close_thread()


def opened(site: Site) -> str:
    return site.ask("/patient", {"csrf": site.csrf, "id": site.exam}).text


def pictures(page: str) -> list[str]:
    return [unescape(one) for one in re.findall(r'<img src="([^"]+)"', page)]


def test_the_middle_slice_is_shown_to_who_was_shown_the_patient_and_that_is_recorded_once(
    site: Site, shown: Shown
) -> None:
    assert pictures(site.ask(f"/exam?id={site.exam}").text) == []
    (address,) = pictures(opened(site))
    got = site.ask(address)
    assert (got.status, got.headers["Content-Type"], got.text) == (200, "image/jpeg", "a picture")
    assert got.headers["Cache-Control"] == "private, max-age=300"
    assert [event.text for event in site.clinic.events if event.kind == Kind.VIEWED] == [
        "patient data shown at the console"
    ]
    (middle,) = site.clinic.catalogue.series_members.middles(STUDY)
    assert (middle.count, shown.files) == (5, [site.clinic.storage.studies.path(middle.uids, 1)])
    assert site.ask(address, headers={"If-None-Match": got.headers["ETag"]}).status == 200, "words: it is another one"
    words = site.ask(address)
    assert words.headers["Content-Type"] == "image/svg+xml"
    assert "it has no image" in words.text


def test_a_picture_s_address_is_good_in_its_session_alone_and_for_its_series_alone(site: Site, shown: Shown) -> None:
    (address,) = pictures(opened(site))
    assert site.ask(address.replace(f"id={site.exam}", f"id={site.exam + 1}")).status == 400
    assert site.ask(re.sub("series=[^&]+", "series=1.9", address)).status == 400
    assert site.ask(re.sub("seen=.*", "seen=x", address)).status == 400
    mine = dict(site.cookies)
    site.cookies.clear()
    assert site.ask(address).headers["Location"] == "/login"
    site.log_in("li", Role.VIEWER)
    assert site.ask(address).status in (400, 403)
    site.cookies = mine
    assert shown.files == []
    assert site.ask(address).status == 200


def test_the_report_s_text_is_shown_beside_the_pictures_and_no_more_than_a_page_of_it(site: Site) -> None:
    page = opened(site)
    assert "findings: ribs" in page
    assert "findings: ribs" not in site.ask(f"/exam?id={site.exam}").text
    reports = site.clinic.storage.reports
    case = site.clinic.case(E1)
    place = case.places[case.pdfs[-1].document]
    for text, said in ((LONG, "lung…</pre>"), ("", "no text that can be read"), (None, "text was not read")):
        reports.note(place, note("x", "", site.clinic.clock.now(), checksum="", text=text))
        assert said in opened(site)
        assert opened(site).count("lung") == (800 if text else 0)


def test_without_the_extra_the_page_says_so_and_works(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    (address,) = pictures(opened(site))
    monkeypatch.setattr(previews, "is_installed", lambda: False)
    page = opened(site)
    assert pictures(page) == []
    assert "install the extra `preview`" in page
    assert "findings: ribs" in page
    assert "install the" in site.ask(address).text


def test_a_syntax_that_is_not_decoded_here_is_named_on_the_page(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(previews, "lack_of", lambda _: "no preview for JPEG 2000")
    page = opened(site)
    assert pictures(page) == []
    assert "no preview for JPEG 2000" in page


def test_of_several_studies_each_picture_says_whose_it_is(site: Site) -> None:
    assert f"<br>{STUDY}" not in opened(site)
    site.clinic.pacs("1.2.4")
    site.clinic.ris(Study__StudyInstanceUIDs=[STUDY, "1.2.4"], Report__ApproveTime="2026-03-02 15:00:00")
    page = opened(site)
    assert len(pictures(page)) == 2
    assert [uid in page for uid in (f"<br>{STUDY}", "<br>1.2.4")] == [True, True]
