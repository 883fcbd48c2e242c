"""The console in Chromium, walked through once; each test looks at a part of what was found."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from router.alarms import Alarm
from router.config.sections import Admin
from router.dicom.preview.pictures import Pictures
from router.events import Event, Kind
from router.reports.pdf.reader import Readers
from support.console_browser import PAGES, Walk, browser, has_axe
from support.console_rows import EXCHANGE, late, row
from support.console_site import Site
from support.exam_workflow import ExamWorkflow
from support.intake_folder import E1, printed


class Gradient(Pictures):
    """A picture of its own: the clinic has rows of images, without their files."""

    def of(self, path: Path) -> bytes:
        out = BytesIO()
        Image.linear_gradient("L").save(out, "JPEG")
        return out.getvalue()


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory, readers: Readers) -> Iterator[Walk]:
    """A walk through the console of a clinic with two doubts, a study without a report and files that wait."""
    if browser() is None:
        pytest.skip("no Chromium on the PATH: the console is not looked at in a browser")
    folder = tmp_path_factory.mktemp("walk")
    clinic = ExamWorkflow(folder, readers)
    for number, name in enumerate((E1, f"{E1}0", f"{E1}1")):
        accession = f"C{number}"
        clinic.ris(name, Study__StudyInstanceUIDs=[f"1.3.{number}"], Order__AccessionNumber=accession)
        patient_id, patient = ("P9", "李^四") if number < 2 else ("P0001", "Zhang^San=张^三")
        clinic.pacs(f"1.3.{number}", accession=accession, patient_id=patient_id, name=patient)
    clinic.pacs("1.2.840.113619.2.55.3.604688119.969.1268071029.320.12345678", accession="A9", ae="US7")
    clinic.put("readme.txt", b"x")
    today = clinic.clock.now().date()
    clinic.catalogue.outcomes.write([row(1, today), late(2, today), row(3, today - timedelta(days=1))])
    exchanges = clinic.config.node.data / "exchanges"
    exchanges.mkdir()
    (exchanges / "cloud.json").write_text(json.dumps({"calls": EXCHANGE}), encoding="utf-8")
    clinic.drop(f"{E1}.pdf", printed(f"{E1} findings: ribs"))
    site = Site(clinic, Admin(), pictures=Gradient())
    site.log_in("wang")

    def change() -> None:
        clinic.clock.advance(5)
        event = Event(clinic.clock.now(), Kind.ALARM, "a new alarm", alarm=Alarm.CLOCK, subject="clock")
        clinic.bus.record(event)

    made = Walk(site, change)
    made.run(folder)
    yield made
    site.server.stop()
    clinic.catalogue.engine.close_thread()


@pytest.fixture
def found(walk: Walk) -> Mapping[str, Any]:
    return walk.found


def test_the_policy_allows_all_that_the_console_does(found: Mapping[str, Any]) -> None:
    assert found["violations"] == []
    assert [step for step, result in found.items() if isinstance(result, dict) and "error" in result] == []


def test_no_page_is_wider_than_a_phone_a_desk_or_a_wall(found: Mapping[str, Any]) -> None:
    assert len(found["pages"]["wide"]) == len(PAGES)
    assert {path: over for path, over in found["pages"]["wide"].items() if any(one > 0 for one in over)} == {}


def test_every_page_is_accessible_by_wcag_aa_bright_dark_and_narrow(found: Mapping[str, Any]) -> None:
    if not has_axe():
        pytest.skip("axe-core is not installed (npm): nobody checks that the console is accessible by WCAG AA")
    faults = found["pages"]["faults"] | {"both sides": found["doubt"]["faults"]}
    assert len(faults) == len(PAGES) + 7
    assert {page: some for page, some in faults.items() if some} == {}


def test_a_page_is_renewed_in_place_where_it_changed_and_keeps_what_is_typed(
    found: Mapping[str, Any], walk: Walk
) -> None:
    alive = found["alive"]
    assert (alive["came"], alive["renewed"], alive["kept"]) == (True, True, True)
    assert alive["typed"] == "half a sentence"
    assert 304 in walk.statuses


def test_a_node_that_does_not_answer_is_told_on_the_page_until_it_does(found: Mapping[str, Any]) -> None:
    assert (found["alive"]["silent"], found["alive"]["speaks"]) == (True, True)


def test_a_table_is_sorted_by_its_heads_and_the_address_keeps_that(found: Mapping[str, Any]) -> None:
    sorting = found["sorting"]
    assert sorting["up"] == ["d1", "d2", "d3", "d4", "d5", "d6"]
    assert sorting["down"] == sorting["kept"] == sorting["up"][::-1]
    assert ("sort=0.0.down" in sorting["address"], sorting["state"]) == (True, "descending")


def test_keys_walk_the_rows_and_reach_the_search(found: Mapping[str, Any]) -> None:
    assert found["keys"] == [0, 1, 0, "text", "text"]


def test_a_doubt_is_settled_and_many_are_held_by_clicks_alone(found: Mapping[str, Any], walk: Walk) -> None:
    bulk, doubt = found["bulk"], found["doubt"]
    assert bulk["ticked"] == 4
    assert "asked the ward" in bulk["asks"]
    assert bulk["says"].startswith("Done for 4.")
    assert (doubt["differs"], doubt["every"]) == (2, "")
    told = [event.text for event in walk.site.clinic.events if event.who == "wang" and event.kind == Kind.DECIDED]
    assert [text.startswith("identity settled: asked the ward") for text in told].count(True) == 1


def test_the_picture_and_the_report_s_text_are_there_beside_both_sides(found: Mapping[str, Any]) -> None:
    assert found["doubt"]["picture"] == 256
    assert "findings: ribs" in found["doubt"]["paper"]


def test_an_exam_s_page_is_printed_in_black_on_white_whole_and_without_forms(found: Mapping[str, Any]) -> None:
    printed_page = dict(found["doubt"]["print"])
    assert printed_page.pop("back") == "rgb(255, 255, 255)"
    shown = dict.fromkeys(("sides", "timeline", "pictures", "paper"), True)
    assert printed_page == {"forms": False, "scrolls": False, "over": 0, **shown}
