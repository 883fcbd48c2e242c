"""The console and the metrics where there are several hospitals."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.events import Event, Kind
from router.policy.pause import EVERY
from support.catalogue_rows import CLOUD
from support.harness import command_here
from support.hospital_console import NOW, Town


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    found = Town(tmp_path_factory.mktemp("town"))
    yield found
    found.district.close()


@pytest.fixture
def village(tmp_path: Path) -> Iterator[Town]:
    """The same rows, with a configuration of one alone."""
    found = Town(tmp_path, ())
    yield found
    found.district.close()


def words(page: str) -> str:
    return re.sub(r"<[^>]+>", " ", page)


def test_the_first_page_shows_the_hospitals_the_worst_first_and_leads_to_each(town: Town) -> None:
    page = town.page("/")
    assert "Hospitals, the worst first" in page
    rows = re.findall(r'href="/\?hospital=([^"]+)"', page)
    assert rows == ["xiehe", "%3F", "fuxing", "renmin"]


def test_a_page_of_one_hospital_shows_its_alone(town: Town) -> None:
    for name, held in (("renmin", False), ("fuxing", True)):
        page = words(town.page("/", hospital=name))
        assert "Hospitals, the worst first" not in page
        assert ("held" in page.partition("Due next")[2]) is held
        others = {"fuxing", "renmin", "xiehe"} - {name}
        assert not any(other in page.partition("Due next")[2] for other in others)
        assert ("doubt" in page.partition("Alarms")[2]) is held


def test_the_queue_is_that_of_the_hospital_in_its_address_and_keeps_it(town: Town) -> None:
    assert {name for name in ("fuxing", "renmin", "xiehe") if f">{name}</span>" in town.page("/queue")} == {
        "fuxing", "renmin", "xiehe",
    }  # fmt: skip
    page = town.page("/queue", hospital="renmin")
    assert 'value="renmin" selected' in page
    assert ">renmin</span>" in page
    assert ">xiehe</span>" not in page
    assert ">?</span>" in town.page("/queue", hospital="?")


def test_a_hospital_that_there_is_not_filters_nothing(town: Town) -> None:
    assert ">xiehe</span>" in town.page("/queue", hospital="nowhere")


def test_lists_and_exam_page_name_the_hospital(town: Town) -> None:
    (exam,) = town.district.catalogue.exams.find("A1", hospital="renmin")
    assert "Hospital: renmin" in town.page("/exam", id=str(exam))
    for path in ("/unreported", "/files"):
        assert '<select name="hospital"' in town.page(path, hospital="xiehe")


def test_with_one_alone_the_console_and_the_metrics_name_none(village: Town) -> None:
    for path in ("/", "/queue", "/unreported", "/files"):
        assert "ospital" not in village.page(path, hospital="renmin")
    text = village.metrics.answer(None).body.decode()
    assert "hospital=" not in text
    village.counts.step()
    assert village.counts.latest() == []


def test_what_is_counted_by_delivery_has_the_hospital_as_a_label(town: Town) -> None:
    backlog = {(key[3], key[4]): number for key, number in town.samples("backlog").items()}
    assert backlog == {("fuxing", "held"): 1, ("renmin", "ready"): 1, ("xiehe", "ready"): 1, ("?", "held"): 1}
    assert town.samples("missed") == {("images", CLOUD, "xiehe"): 1}
    assert {key[1] for key in town.samples("attention")} >= {"fuxing", "?"}
    assert not any(key[1] == "renmin" for key in town.samples("attention"))


def test_a_pause_of_one_hospital_has_its_label_and_is_its_own_in_the_status_and_at_the_console(tmp_path: Path) -> None:
    town = Town(tmp_path)
    assert town.samples("paused") == {}
    pauses = town.district.catalogue.pauses
    assert pauses.begin(EVERY, "wang", "its key is renewed", NOW, "renmin")
    assert town.samples("paused") == {(CLOUD, "renmin"): 1}
    for hospital, paused in (("renmin", 1), ("xiehe", 0), (None, 1)):
        words = ("--hospital", hospital) if hospital else ()
        answer = command_here("status", "--json", *words, "--config", town.district.file)
        assert len(json.loads(answer.stdout)["paused"]) == paused
        page = town.page("/", **({"hospital": hospital} if hospital else {}))
        assert page.count("its key is renewed") == (2 if hospital == "renmin" else paused)
    assert pauses.begin(EVERY, "wang", "all of it", NOW)
    assert town.samples("paused") == {(CLOUD, ""): 1, (CLOUD, "renmin"): 1}
    town.district.close()


def test_a_confirmed_delivery_counts_for_its_hospital_in_time_or_late(town: Town) -> None:
    for hospital, slack in (("renmin", 5.0), ("renmin", -1.0), ("xiehe", 5.0)):
        place = {"destination": CLOUD, "channel": "images", "hospital": hospital, "slack_seconds": slack}
        town.metrics.on_event(Event(NOW, Kind.CONFIRMED, "it has it", exam=1, delivery=1, fields=place))
    assert town.samples("confirmed_total") == {
        ("images", CLOUD, "renmin", "in-time"): 1, ("images", CLOUD, "renmin", "late"): 1,
        ("images", CLOUD, "xiehe", "in-time"): 1,
    }  # fmt: skip


def test_the_counts_for_health_have_every_registered_hospital_the_worst_first(town: Town) -> None:
    assert town.counts.latest() == ()
    town.counts.step()
    assert [(one["hospital"], one["late"]) for one in town.counts.latest()] == [
        ("xiehe", 1), ("?", 0), ("fuxing", 0), ("renmin", 0),
    ]  # fmt: skip
