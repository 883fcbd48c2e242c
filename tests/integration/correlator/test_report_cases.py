"""Cases from the field (tests/cases/reports), dropped into a node's folder: which PDF goes with which JSON."""

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas
from test_pdf_doubts import START, Site

from router.errors import InvalidData
from router.events import Kind
from router.intake.report_pdfs import Lesson, source_of
from router.policy.states import Needs, State
from router.reports.pdf.reader import PdfText, Readers
from support.intake_folder import printed

CASES = Path(__file__).parents[2] / "cases" / "reports"
LATER = datetime(2026, 11, 29, 19, 45, tzinfo=UTC)  # half of the time is over for each of them
FIRST, CORRECTED = "10-v1", "10-v2"
E01, E02, E10 = "202611291190327", "E2190917", "E15190645"


@pytest.fixture
def site(tmp_path: Path, readers: Readers, request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(tmp_path, readers, getattr(request, "param", ""))
    made.clock.advance((LATER - START).total_seconds())
    yield made
    made.catalogue.engine.close_thread()


def case(name: str) -> bytes:
    return (CASES / name).read_bytes()


@pytest.mark.parametrize("site", ["", "[identity]\nchecks = 1\n"], indirect=True)
@pytest.mark.parametrize("names", [("01-exam.json", "01-other-patient.pdf"), ("01-other-patient.pdf", "01-exam.json")])
def test_01_a_pdf_that_names_somebody_else_is_held(site: Site, names: tuple[str, str]) -> None:
    for name in names:
        site.drop(f"r{Path(name).suffix}", case(name))
    held = site.delivery(E01)
    assert (held.state, held.held_by) == (State.HELD, "pdf")
    assert "names another patient (under 姓名)" in held.error
    assert "李四" not in " ".join(event.text for event in site.events)
    site.release(E01)
    assert site.state(E01) == State.READY


def test_02_no_time_of_approval_is_none_and_holds_nobody_up(site: Site) -> None:
    site.drop("r.json", case("02-draft.json"))
    assert Needs.APPROVAL in site.delivery(E02).waiting_for
    site.drop("s.json", case("10-v1.json"))
    site.drop("s.pdf", case("10-v1.pdf"))
    assert site.state(E10) == State.READY
    site.drop("r.pdf", printed("A2190917"))
    site.drop("r.json", case("02-approved.json"))
    assert site.state(E02) == State.READY


@pytest.mark.parametrize("stems", [("r", "r"), ("r1", "r2")], ids=["one name", "own names"])
@pytest.mark.parametrize("last", [("json", "pdf"), ("pdf", "json")], ids=["JSON first", "PDF first"])
def test_10_the_first_version_never_goes_with_the_corrected_pdf(
    site: Site, stems: tuple[str, str], last: tuple[str, str]
) -> None:
    site.drop(f"{stems[0]}.json", case(f"{FIRST}.json"))
    site.drop(f"{stems[0]}.pdf", case(f"{FIRST}.pdf"))
    assert (site.state(E10), site.pdf(E10)) == (State.READY, case(f"{FIRST}.pdf"))
    for form in last:
        site.drop(f"{stems[1]}.{form}", case(f"{CORRECTED}.{form}"))
        assert site.pdf(E10) != case(f"{CORRECTED}.pdf")
    held = site.delivery(E10)
    assert (held.state, held.held_by) == (State.HELD, "versions")
    site.clock.advance(3600)
    site.settle()
    assert site.state(E10) == State.HELD
    site.release(E10)
    assert (site.state(E10), site.pdf(E10)) == (State.READY, case(f"{CORRECTED}.pdf"))
    assert site.document(E10)["Report"]["Findings"].startswith("更正")


def test_10_a_correction_whose_json_has_its_right_time_goes_by_itself(site: Site) -> None:
    for name in (FIRST, CORRECTED):
        for form in ("json", "pdf"):
            site.drop(f"r.{form}", case(f"{name}.{form}"))
    assert site.state(E10) == State.HELD
    mended = case(f"{CORRECTED}.json").replace(b"2026-11-30 02:51:45", b"2026-11-30 03:01:45")
    site.drop("r.json", mended)
    assert (site.state(E10), site.pdf(E10)) == (State.READY, case(f"{CORRECTED}.pdf"))


def test_15_filling_after_the_end_is_taken_and_16_a_cut_off_update_is_not(site: Site) -> None:
    site.drop("r.pdf", case("15-nul-after-eof.pdf"))
    assert [text for text in site.told(Kind.DOCUMENT) if "report PDF" in text]
    found = site.read("s.pdf", case("16-cut-increment.pdf"))
    (error,) = found.invalid.values()
    assert "cut off: the end of its last update is missing" in error.message


# -- where the source is known, text decides


def known(site: Site) -> None:
    """The drop folder's PDFs have had the text of their JSON fifty times."""
    for number in range(50):
        site.drop(f"k{number}.pdf", printed(f"k{number}"))
    for number in range(1, 51):
        site.correlator.facts.papers.learn(
            Lesson(
                document=number, origin=source_of(site.config.hospital[0], "", "r"), agreed=True, offset=5, labels=()
            )
        )


def test_text_tells_a_drafts_pdf_from_the_approvals(site: Site) -> None:
    known(site)
    draft = case(f"{FIRST}.json").replace(b"Reported", b"Submitted").replace(b"2026-11-30 02:56:45", b"")
    site.drop("r.json", draft)
    site.drop("r.pdf", case(f"{FIRST}.pdf"))
    right = case(f"{CORRECTED}.json")
    site.drop("r.json", right)
    assert (site.state(E10), site.pdf(E10)) == (State.WAITING, None) or site.state(E10) == State.HELD
    site.drop("r.pdf", case(f"{CORRECTED}.pdf"))
    assert (site.state(E10), site.pdf(E10)) == (State.READY, case(f"{CORRECTED}.pdf"))
    assert "chosen by content" in site.evidence(E10)


def test_the_former_text_that_comes_again_does_not_take_the_place_of_the_corrected(site: Site) -> None:
    known(site)
    mended = case(f"{CORRECTED}.json").replace(b"2026-11-30 02:51:45", b"2026-11-30 03:01:45")
    site.drop("r.json", case(f"{FIRST}.json"))
    site.drop("r.json", mended)
    site.drop("r.pdf", case(f"{CORRECTED}.pdf"))
    site.drop("r.pdf", case(f"{FIRST}.pdf"))
    site.clock.advance(3600)
    site.settle()
    assert (site.state(E10), site.pdf(E10)) == (State.READY, case(f"{CORRECTED}.pdf"))


@pytest.mark.parametrize("calibrated", [True, False])
def test_a_pdf_alone_that_has_nothing_of_the_findings_is_a_doubt_where_the_source_is_known(
    site: Site, calibrated: bool
) -> None:
    if calibrated:
        known(site)
    given = json.loads(case(f"{FIRST}.json"))
    site.drop("r.json", case(f"{FIRST}.json"))
    site.drop("r.pdf", case(f"{FIRST}.pdf"))
    strange = printed(f"{E10} {given['Order']['AccessionNumber']} of quite another story")
    site.drop("r.pdf", strange)
    assert site.pdf(E10) == case(f"{FIRST}.pdf")
    site.clock.advance(660)
    site.settle()
    if not calibrated:
        assert site.pdf(E10) == strange
        return
    assert site.state(E10) == State.HELD
    assert "nothing of the findings" in site.delivery(E10).error


def test_until_the_source_is_known_explain_says_that_content_says_nothing(site: Site) -> None:
    site.drop("r.json", case(f"{FIRST}.json"))
    site.drop("r.pdf", case(f"{FIRST}.pdf"))
    assert "chosen by order" in site.evidence(E10)
    assert "content says nothing until 50 of the last 60 PDFs" in site.evidence(E10)


# -- withdrawal


@pytest.mark.parametrize(
    ("status", "approved", "word"),
    [
        ("Submitted", "", "it is not approved"),
        ("Withdrawn", "2026-11-30 02:56:45", "explicit word"),
        ("已审核", "2026-11-30 03:26:45", "cannot be read"),
        ("Reported", "gestern", "cannot be read"),
    ],
)
def test_nothing_goes_while_the_last_version_is_not_approved(site: Site, status: str, approved: str, word: str) -> None:
    site.drop("r.json", case(f"{FIRST}.json"))
    site.drop("r.pdf", case(f"{FIRST}.pdf"))
    later = case(f"{FIRST}.json").replace(b'"Reported"', f'"{status}"'.encode())
    later = later.replace(b"2026-11-30 02:56:45", approved.encode()).replace(b"02:36:45", b"03:10:45")
    site.drop("r.json", later)
    held = site.delivery(E10)
    assert (held.state, held.held_by) == (State.HELD, "approval")
    assert word in held.error


# -- text that takes too long


class Tired(Readers):
    """Reads no text in its time, for the first `tries` times."""

    def __init__(self, tries: int) -> None:
        super().__init__(1)
        self._left = tries

    def read(self, pdfs: Sequence[bytes]) -> list[PdfText | InvalidData]:
        self._left -= 1
        return [PdfText(unread=True) if self._left >= 0 else PdfText(text="A15190645") for _ in pdfs]


@pytest.mark.parametrize(
    ("tries", "settings", "state"),
    [
        (1, "", State.READY),
        (9, "", State.HELD),
        (9, "[identity]\nchecks = 1\n", State.READY),
        (9, "pdf_text_check = false\n", State.READY),
    ],
)
def test_text_that_takes_too_long_is_tried_again_a_minute_later_and_is_a_doubt_then(
    tmp_path: Path, tries: int, settings: str, state: State
) -> None:
    site = Site(tmp_path, Tired(tries), settings)
    site.clock.advance((LATER - START).total_seconds())
    site.drop("r.json", case(f"{FIRST}.json"))
    site.drop("r.pdf", case(f"{FIRST}.pdf"))
    if "pdf_text_check" not in settings:
        assert site.state(E10) == State.WAITING
        site.intake.read_again()
        assert site.state(E10) == State.WAITING
        site.clock.advance(60)
        site.intake.read_again()
        site.settle()
    assert site.state(E10) == state, site.delivery(E10).error
    assert ("processor time" in site.evidence(E10) + site.delivery(E10).error) == (tries > 1 and "text" not in settings)
    if state == State.HELD:
        assert site.delivery(E10).held_by == "pdf"
        site.release(E10)
        assert (site.state(E10), site.pdf(E10)) == (State.READY, case(f"{FIRST}.pdf"))
    site.catalogue.engine.close_thread()


def test_a_number_of_another_patient_under_a_label_is_a_doubt_by_the_second_set_of_checks(site: Site) -> None:
    site.drop("s.json", case("01-exam.json"))  # 检查号 1001190327
    site.drop("r.json", case(f"{FIRST}.json"))
    site.drop("r.pdf", chinese("姓名：张三", "住院号：P1190327"))
    held = site.delivery(E10)
    assert (held.state, held.held_by) == (State.HELD, "pdf")
    assert "under 住院号" in held.error


def test_a_number_that_nobody_knows_is_none_until_its_label_has_carried_the_exams_numbers(site: Site) -> None:
    site.drop("r.json", case(f"{FIRST}.json"))
    site.drop("r.pdf", chinese("姓名：张三", "影像号：778899"))
    assert site.state(E10) == State.READY
    for number in range(1, 21):
        site.drop(f"k{number}.pdf", printed(f"k{number}"))
    for number in range(1, 23):
        origin = source_of(site.config.hospital[0], "", "r")
        site.correlator.facts.papers.learn(
            Lesson(document=number, origin=origin, agreed=False, offset=None, labels=("影像号",))
        )
    site.drop("r.pdf", case(f"{FIRST}.pdf"))  # has the exam evaluated
    assert site.state(E10) == State.READY
    assert site.pdf(E10) == case(f"{FIRST}.pdf")


def chinese(*lines: str) -> bytes:
    """A PDF with these lines."""
    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    buffer = BytesIO()
    page = Canvas(buffer, invariant=True)
    page.setFont("STSong-Light", 12)
    for number, line in enumerate(lines):
        page.drawString(60, 740 - 20 * number, line)
    page.save()
    return buffer.getvalue()
