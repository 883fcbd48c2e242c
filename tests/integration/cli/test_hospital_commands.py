"""Commands where there are several hospitals: --hospital, columns, and JSON that names the hospital."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from router.alarms import Alarm
from router.clock import SystemClock
from router.events import Kind
from router.policy.states import State
from support.harness import command_here
from support.hospital_rows import District, configure, ordinary


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration of a district whose rows no test changes."""
    found = ordinary(tmp_path_factory.mktemp("district"), SystemClock().now())
    yield found.file
    found.close()


@pytest.fixture
def district(tmp_path: Path) -> Iterator[District]:
    found = ordinary(tmp_path, SystemClock().now())
    yield found
    found.close()


def told(file: Path, *words: str, status: int = 0) -> str:
    answer = command_here(*words, "--config", file)
    assert answer.returncode == status, answer
    return answer.stdout


def of_json(file: Path, *words: str, status: int = 0) -> Any:
    return json.loads(told(file, *words, "--json", status=status))


def test_the_list_names_the_hospital_of_each_delivery_and_shows_those_of_one(file: Path) -> None:
    assert {one["hospital"] for one in of_json(file, "queue", "list")} == {"fuxing", "renmin", "xiehe", "?"}
    (mine,) = of_json(file, "queue", "list", "--hospital", "renmin")
    assert (mine["hospital"], mine["exam_id"]) == ("renmin", "A1")
    (held,) = of_json(file, "queue", "list", "--hospital", "fuxing", "--state", "held")
    assert held["hospital"] == "fuxing"
    assert of_json(file, "queue", "list", "--hospital", "renmin", "--state", "held") == []
    (nobodys,) = of_json(file, "queue", "list", "--hospital", "?")
    assert nobodys["hospital"] == "?"
    (found,) = of_json(file, "queue", "list", "--hospital", "xiehe", "--text", "A1")
    assert found["hospital"] == "xiehe"
    head, *rows = told(file, "queue", "list").splitlines()
    assert head.split()[1] == "Hospital"
    assert {row.split()[1] for row in rows} == {"fuxing", "renmin", "xiehe", "?"}


def test_what_waits_for_a_person_is_that_of_the_hospital(file: Path) -> None:
    found = of_json(file, "queue", "list", "--attention", "--hospital", "fuxing")
    assert {one["hospital"] for one in found} == {"fuxing"}
    assert of_json(file, "queue", "list", "--attention", "--hospital", "renmin") == []


@pytest.mark.parametrize(
    "words",
    [
        ("queue", "list"), ("queue", "show", "A1"), ("queue", "explain", "A1"), ("queue", "report"),
        ("queue", "reconcile"), ("queue", "unreported"), ("queue", "files"), ("queue", "recheck"),
        ("queue", "corrected"), ("queue", "compare", "A1"), ("status",), ("codes", "tables"), ("doctor",),
        ("queue", "hold", "--why", "w"), ("queue", "link", "A1", "1.2", "--why", "w"),
        ("queue", "resolve", "A1", "--why", "w"), ("queue", "alias", "1", "2", "--why", "w"),
    ],
)  # fmt: skip
def test_a_hospital_that_there_is_not_is_wrong_use_and_the_known_ones_are_named(
    file: Path, words: tuple[str, ...]
) -> None:
    answer = command_here(*words, "--hospital", "renmim", "--config", file)
    assert answer.returncode == 2
    assert "no hospital is called renmim; registered: fuxing, renmin, xiehe; did you mean renmin?" in answer.stderr


def test_a_story_names_the_hospital_and_tells_that_of_the_named_one(file: Path) -> None:
    stories = of_json(file, "queue", "show", "A1")
    assert {one["hospital"] for one in stories} == {"fuxing", "renmin", "xiehe", "?"}
    (mine,) = of_json(file, "queue", "explain", "A1", "--hospital", "renmin")
    assert mine["hospital"] == "renmin"
    assert "\n  Hospital: renmin\n" in told(file, "queue", "explain", "A1", "--hospital", "renmin")
    assert "Hospital: none that is registered" in told(file, "queue", "explain", "A1", "--hospital", "?")
    number = mine["number"]
    answer = command_here("queue", "explain", f"e{number}", "--hospital", "xiehe", "--config", file)
    assert answer.returncode == 1, "an exam of another hospital is not told of"


def test_the_report_counts_by_hospital_the_worst_first(file: Path) -> None:
    (late,) = of_json(file, "queue", "list", "--hospital", "xiehe")
    day = f"--day={datetime.fromisoformat(late['due']).astimezone(ZoneInfo('Asia/Shanghai')):%Y-%m-%d}"
    found = of_json(file, "queue", "report", day)
    assert next(iter(found["hospitals"])) == "xiehe"
    assert found["hospitals"]["xiehe"]["arrived late"] == 1
    assert "xiehe" in {one["hospital"] for one in found["deliveries"]}
    one = of_json(file, "queue", "report", day, "--hospital", "xiehe")
    assert (list(one["hospitals"]), sum(one["counts"].values())) == (["xiehe"], 1)
    text = told(file, "queue", "report", day)
    assert "\nBy hospital\n" in text
    assert "xiehe" in text.partition("Not in time")[2]


def test_the_status_counts_each_hospital_the_worst_first_and_shows_one_alone(file: Path) -> None:
    found = of_json(file, "status", status=1)
    assert (found["hospital"], found["hospitals"][0]["hospital"]) == (None, "xiehe")
    counts = {one["hospital"]: one for one in found["hospitals"]}
    assert (counts["xiehe"]["late"], counts["fuxing"]["held"], counts["renmin"]["open"]) == (1, 1, 1)
    assert [one["hospital"] for one in found["alarms"]] == ["fuxing"]
    one = of_json(file, "status", "--hospital", "renmin", status=1)
    assert (one["hospital"], [each["hospital"] for each in one["hospitals"]]) == ("renmin", ["renmin"])
    assert (one["alarms"], one["for_a_person"]["held"], one["at_risk"]) == ([], 0, 0)
    assert [each["exam_id"] for each in of_json(file, "status", "--hospital", "xiehe", status=1)["pressing"]] == ["A1"]
    text = told(file, "status", status=1)
    table = text.partition("Hospitals, the worst first\n")[2].splitlines()
    assert [row.split()[0] for row in table[1:4]] == ["xiehe", "?", "fuxing"]
    assert "fuxing: e" in text.partition("Alarms: ")[2]


def test_deliveries_of_one_hospital_are_held_together_and_those_of_others_go_on(district: District) -> None:
    done = of_json(district.file, "queue", "hold", "--hospital", "renmin", "--why", "its key is renewed")
    states = {one["hospital"]: one["state"] for one in of_json(district.file, "queue", "list")}
    assert (len(done["done"]), states["renmin"], states["xiehe"]) == (1, "held", "ready")
    released = of_json(district.file, "queue", "release", "A1", "--hospital", "renmin", "--why", "done", "--yes")
    assert len(released["done"]) == 1


def test_an_exam_id_of_several_hospitals_means_none_alone_until_the_hospital_is_named(district: District) -> None:
    answer = command_here("queue", "hold", "A1", "--why", "w", "--config", district.file)
    assert answer.returncode == 2
    assert "may mean several things" in answer.stderr
    assert len(of_json(district.file, "queue", "hold", "A1", "--hospital", "xiehe", "--why", "w")["done"]) == 1


def test_numbers_of_a_patient_are_those_of_the_hospital_that_is_named(district: District) -> None:
    words = ("queue", "alias", "100", "200", "--why", "merged", "--yes")
    answer = command_here(*words, "--config", district.file)
    assert (answer.returncode, "name it by --hospital" in answer.stderr) == (2, True)
    told(district.file, *words, "--hospital", "renmin")
    assert of_json(district.file, "queue", "alias", "--list", "--hospital", "xiehe") == []
    (known,) = of_json(district.file, "queue", "alias", "--list")
    assert (known["hospital"], known["old"], known["new"]) == ("renmin", "100", "200")


def test_what_a_person_does_is_recorded_with_the_hospital(district: District, tmp_path: Path) -> None:
    told(district.file, "queue", "hold", "--hospital", "renmin", "--why", "its key is renewed")
    trail = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "data" / "audit").rglob("*.jsonl"))
    assert trail.count('ParticipantObjectID=\\"renmin\\"') == 1
    assert "xiehe" not in trail


def test_with_one_alone_nothing_that_people_see_names_it(tmp_path: Path) -> None:
    found = District(tmp_path, SystemClock().now())
    configure(tmp_path, ())
    for path in (tmp_path / "hospitals").iterdir():
        path.unlink()
    found.delivery("", "A1", -5, State.READY)
    found.close()
    for words in (("queue", "list"), ("queue", "explain", "A1"), ("queue", "report")):
        assert "ospital" not in told(found.file, *words)
    assert "ospital" not in told(found.file, "status", status=1)
    (line,) = of_json(found.file, "queue", "list")
    assert "hospital" not in line


def test_events_and_alarms_about_an_exam_name_its_hospital(tmp_path: Path) -> None:
    events: list[Any] = []
    district = ordinary(tmp_path, SystemClock().now(), events.append)
    moved = [one.fields.get("hospital") for one in events if one.kind == Kind.MOVED]
    assert set(moved) == {"fuxing", "renmin", "xiehe", "?"}
    (raised,) = [one for one in events if one.kind == Kind.ALARM]
    assert raised.fields["hospital"] == "fuxing"
    district.alarm(Alarm.DISK)
    assert "hospital" not in events[-1].fields
    assert {one.alarm: one.hospital for one in district.catalogue.alarms.standing()} == {
        Alarm.DOUBT: "fuxing", Alarm.DISK: "",
    }  # fmt: skip
    district.close()
