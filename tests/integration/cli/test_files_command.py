"""Files that wait in the drop folder, as people meet them: `queue files`, `dismiss`, `explain`, `status`, `doctor`."""

import json
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from router.catalogue.exams.files import FileKind, Lying
from router.cli.opened import trail_of
from router.cli.queue.files import folded
from router.cli.tables import shortened
from router.intake.pickup import Pickup
from router.reports.pdf.reader import Readers
from support.exam_workflow import CLOUD, ExamWorkflow
from support.harness import command_here
from support.intake_folder import CONFIG, E1, exam, printed

NFD = unicodedata.normalize("NFD", "José")


class Counter:
    """A clinic's drop folder with a loop, and its commands."""

    def __init__(self, clinic: ExamWorkflow, folder: Path) -> None:
        self.clinic, self._folder = clinic, folder
        self.loop: Pickup = clinic.pickup()

    def scan(self, seconds: float = 31, count: int = 3) -> None:
        for _ in range(count):
            self.clinic.clock.advance(seconds)
            self.loop.step()
        self.clinic.settle()

    def run(self, *words: str) -> Any:
        return command_here(*words, "--config", str(self._folder / "router.toml"))

    def json(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def explained(self, name: str) -> str:
        answer = self.run("queue", "explain", name)
        assert answer.returncode == 0, answer.stderr
        return str(answer.stdout)


@pytest.fixture
def counter(tmp_path: Path, readers: Readers) -> Iterator[Counter]:
    (tmp_path / "router.toml").write_text(CONFIG + CLOUD, encoding="utf-8")
    (tmp_path / "k").touch()
    made = ExamWorkflow(tmp_path, readers)
    yield Counter(made, tmp_path)
    made.catalogue.engine.close_thread()


@pytest.fixture
def full(counter: Counter) -> Counter:
    """One file of each kind, and an exam whose PDF has nearly its name."""
    put = counter.clinic.put
    put("a1.json", exam())
    put("A1.PDF", printed("report"))
    put("张三/bad\x1b[2J.json", b"{")
    put("readme.txt", b"x")
    counter.scan(400, 4)
    return counter


def test_each_file_is_listed_with_its_reason_in_80_columns(full: Counter) -> None:
    answer = full.run("queue", "files")
    assert all(cell_len(line) <= 80 for line in answer.stdout.splitlines())
    text = " ".join(answer.stdout.split())
    assert "Drop folder: 1 rejected, 1 PDF without exam JSON, 1 name that nearly pairs, 1 other file f" in text
    assert "\x1b" not in answer.stdout
    assert "张三/bad\\x1b[2J.json" in text
    assert "nearly a1.json; the difference: upper and lower case" in text
    assert "its ending is none of .json, .xml, .pdf, .hl7" in text
    assert "no exam JSON of this name (A1.json) has claimed it" in text


def test_a_program_gets_every_file_with_its_kind_its_near_name_and_its_exam(full: Counter) -> None:
    found = {one["kind"]: one for one in full.json("queue", "files")}
    assert list(found) == ["rejected", "unclaimed", "near", "other"]
    assert found["rejected"]["name"] == "张三/bad\x1b[2J.json"
    assert (found["rejected"]["why"], found["rejected"]["alarm"]) == ("json", "rejected-file")
    number = f"e{full.clinic.case().exam}"
    assert (found["near"]["name"], found["near"]["near"], found["near"]["exam"]) == ("A1.pdf", "a1.json", number)
    assert (found["unclaimed"]["alarm"], found["other"]["alarm"]) == ("unclaimed-pdf", None)


def test_an_empty_folder_says_so(counter: Counter) -> None:
    counter.scan()
    assert counter.run("queue", "files").stdout == "Drop folder: no file waits, and none lies there to no purpose\n"
    assert counter.json("queue", "files") == []


def test_status_and_doctor_count_them_and_doctor_says_what_to_do(full: Counter) -> None:
    counted = "1 rejected, 1 PDF without exam JSON, 1 name that nearly pairs, 1 other file"
    assert f"Drop folder: {counted} (`scripts/queue files`)" in full.run("status").stdout
    found = full.json("status")
    assert found["files"] == {"rejected": 1, "unclaimed": 1, "near": 1, "other": 1}
    assert {one["alarm"] for one in found["alarms"]} >= {"rejected-file", "unclaimed-pdf"}
    told = [one for one in full.json("doctor") if one["subject"] == "files of the drop folder"]
    assert [one["text"] for one in told] == counted.split(", ")
    assert all(one["verdict"] == "warn" and "scripts/queue files" in one["remedy"] for one in told)


@pytest.mark.parametrize("name", ["A1.PDF", "A1.pdf", "a1 - 副本.pdf"])
def test_the_story_of_a_file_has_its_near_name(full: Counter, name: str) -> None:
    text = full.explained(name)
    assert "nearly a1.json; the difference: upper and lower case" in text
    assert f"exam e{full.clinic.case().exam}" in text
    assert "scripts/queue dismiss f" in text


def test_the_story_of_an_exam_has_the_file_whose_name_is_near(full: Counter) -> None:
    text = full.explained(E1)
    assert "Files of the drop folder that seem to be meant for it" in text
    assert "A1.pdf: name that nearly pairs" in text
    (story,) = full.json("queue", "explain", E1)
    assert {one["kind"] for one in story["lying"]} == {"unclaimed", "near"}


def test_the_story_of_a_refused_file_has_the_reason(full: Counter) -> None:
    text = full.explained("bad\x1b[2J.json")
    assert "rejected since" in text
    assert "json: not JSON" in text
    (one,) = [one for one in full.json("queue", "files") if one["kind"] == "rejected"]
    assert full.json("queue", "explain", one["file"])[0]["name"] == "张三/bad\x1b[2J.json"


def test_a_file_is_dismissed_by_number_or_name_with_who_and_why_and_stays_where_it_is(full: Counter) -> None:
    assert full.run("queue", "dismiss", "A1.pdf").returncode == 2
    answer = full.json("queue", "dismiss", "A1.pdf", "--why", "of another system", "--who", "wang")
    assert len(answer["dismissed"]) == 2  # as unclaimed, and as near
    (bad,) = [one["file"] for one in full.json("queue", "files") if one["kind"] == "rejected"]
    assert f"dismissed: {bad} " in full.run("queue", "dismiss", bad, "--why", "known").stdout
    assert [one["kind"] for one in full.json("queue", "files")] == ["other"]
    assert full.json("status")["files"] == {"rejected": 0, "unclaimed": 0, "near": 0, "other": 1}
    assert full.json("status")["alarms"] == []
    told = {one["name"]: one for one in full.json("queue", "files", "--all")}
    assert (told["A1.pdf"]["who"], told["A1.pdf"]["because"]) == ("wang", "of another system")
    assert "dismissed by wang: of another system" in " ".join(full.run("queue", "files", "--all").stdout.split())
    assert (full.clinic.inbox / "rejected/张三/bad\x1b[2J.json").exists()
    trail = " ".join(one.message for one in trail_of(full.clinic.config, full.clinic.config.node.owner).records())
    assert f"file {bad} of the drop folder (rejected) is dismissed: known" in trail
    assert "张三" not in trail
    full.scan()
    assert full.json("status")["alarms"] == []


def test_a_name_that_fits_no_file_or_several_is_said_with_their_numbers(counter: Counter) -> None:
    for folder in ("one", "two"):
        counter.clinic.put(f"{folder}/a.json", b"{")
    counter.scan()
    answer = counter.run("queue", "dismiss", "a.json", "--why", "known")
    assert answer.returncode == 2
    for number, path in ((1, "one/a.json"), (2, "two/a.json")):
        assert f"f{number} is {path}" in answer.stderr
    assert counter.run("queue", "dismiss", "two/a.json", "--why", "known").returncode == 0
    for name in ("two/a.json", "f2", "f99", "nothing.json"):
        answer = counter.run("queue", "dismiss", name, "--why", "known")
        assert (answer.returncode, "no file of that name waits" in answer.stderr) == (1, True)


def test_every_file_of_a_kind_is_dismissed_at_once_and_a_near_name_dismisses_none(counter: Counter) -> None:
    for name in ("one", "two", "three"):
        counter.clinic.put(f"{name}.json", b"{")
    counter.scan()
    assert counter.run("queue", "dismiss", "ONE.json", "--why", "known").returncode == 1
    assert counter.run("queue", "dismiss", "one - 副本.json", "--why", "known").returncode == 1
    assert counter.json("queue", "dismiss", "F1", "--why", "known") == {"dismissed": ["f1"]}
    assert counter.run("queue", "dismiss", "f2", "--kind", "rejected", "--why", "known").returncode == 2
    assert counter.run("queue", "dismiss", "--why", "known").returncode == 2
    assert counter.json("queue", "dismiss", "--kind", "rejected", "--why", "known") == {"dismissed": ["f2", "f3"]}
    assert counter.json("status")["alarms"] == []


def test_a_name_in_another_unicode_form_is_found_by_the_one_that_a_person_types(counter: Counter) -> None:
    counter.clinic.put("José.json", exam())
    counter.clinic.put(f"{NFD}.pdf", printed("report"))
    counter.scan()
    text = counter.explained("José.pdf")
    assert "nearly José.json; the difference: the same characters in another Unicode form (NFC, NFD)" in text


def test_long_texts_are_cut_in_the_middle_and_folded_by_columns() -> None:
    for text in ("a b c " * 30, "检" * 100, "x" * 200 + " yy", "a " + "检" * 50 + " b"):
        assert all(cell_len(line) <= 74 for line in folded(text, 74))
        assert "".join(folded(text, 74)).replace(" ", "") == text.replace(" ", "")
        assert cell_len(shortened(text, 50)) <= 50
        assert shortened(text, 50)[0] == text[0]
    assert shortened("short", 5) == "short"


def test_a_file_of_every_kind_has_a_reason_in_words(counter: Counter) -> None:
    files = counter.clinic.exams.files
    now = counter.clinic.clock.now()
    for why in ("ending", "temporary", "link", "special", "unreadable"):
        files.enter(Lying(kind=FileKind.OTHER, path=why, why=why), now)
    assert all(one["reason"] for one in counter.json("queue", "files"))
