"""`classify` on folders and tables, and rules that are tried out."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from router.clock import SystemClock
from router.config.file import load, shipped
from router.config.sections import Config
from router.errors import ConfigurationError
from router.events import Event, EventBus, Kind
from router.images.rulebook import SeriesRules, rulebook
from router.model import SeriesClass, SeriesFacts, ThinLimit
from router.series.classify import classify
from router.trial.demo.studies import derived_uid, make_ct_study
from support.harness import command_here

TABLE = Path(__file__).parents[2] / "cases" / "series_headers.csv"
_OWN = """
[[rule]]
name = "this hospital's lung slices"
class = "other"
study_description = { matches = "." }
slice_thickness = { max = "thin" }
"""
_CONFIG = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
data = "node"
[series]
own_rules = "own.toml"
thin = [{ modality = "CT", body_part = "HEAD", up_to = 0.8 }, { modality = "CT", up_to = 1.5 }]
[[destination]]
name = "scouts"
classes = ["scout"]
[destination.dicom]
"""


@pytest.fixture(autouse=True)
def _in_english(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path_factory.mktemp("english") / "router.toml"
    file.write_text(shipped("router.toml").read_text("utf-8").replace('language = "zh_CN"', 'language = "en"'), "utf-8")
    monkeypatch.setenv("ROUTER_CONFIG", str(file))


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    make_ct_study(folder / "ct", 4, study_uid=derived_uid("classify"), patient_id="P1", name="Li^Si", accession="A1")
    (folder / "notes.txt").write_text("no DICOM", encoding="utf-8")
    return folder


def site(folder: Path, own: str = _OWN) -> Path:
    (folder / "own.toml").write_text(own, encoding="utf-8")
    path = folder / "router.toml"
    path.write_text(_CONFIG, encoding="utf-8")
    return path


def answer(*arguments: object) -> Any:
    done = command_here("classify", *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_each_file_has_its_class_its_rule_and_whether_it_goes(study: Path) -> None:
    found = answer(study)
    assert [set(one) for one in found] == [{"path", "study", "series", "instance", "class", "rule", "forward"}] * len(
        found
    )
    assert {(one["class"], one["rule"], one["forward"]) for one in found} == {
        ("thin", "thin slices", True), ("scout", "ImageType LOCALIZER", True), ("dose", "radiation dose SR", True),
    }  # fmt: skip
    assert {Path(one["path"]).exists() for one in found} == {True}


def test_a_table_for_people_names_the_facts_that_decided(study: Path) -> None:
    done = command_here("classify", study)
    assert done.returncode == 0
    assert "slice_thickness=1.0" in done.stdout
    assert "notes.txt" in done.stderr


@pytest.mark.parametrize("codec", ["utf-8-sig", "gb18030"])
def test_a_table_is_read_by_its_bytes(tmp_path: Path, codec: str) -> None:
    table = tmp_path / "headers.csv"
    sop_class = "1.2.840.10008.5.1.4.1.1.7"
    table.write_bytes(f"modality,sop_class_uid,series_description\nCT,{sop_class},剂量报告\n".encode(codec))
    assert [row["class"] for row in answer("--headers", table)] == ["dose"]


def test_a_table_of_headers_is_classified_row_by_row() -> None:
    found = answer("--headers", TABLE)
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(one["row_id"], one["class"]) for one in found] == [(row["row_id"], row["class"]) for row in rows]
    assert {tuple(one) for one in found} == {("row_id", "class", "rule")}
    assert "slice_thickness=" in command_here("classify", "--headers", TABLE).stdout


def test_rules_are_tried_out_before_they_are_used(study: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(_OWN, encoding="utf-8")
    changed = answer(study, "--what-if", own)
    assert len(changed) == 4
    assert changed[0]["class"] == "other"
    assert changed[0]["before"] == {"class": "thin", "rule": "thin slices", "forward": True}
    told = command_here("classify", study, "--what-if", own).stdout
    assert "4 of 7 instance(s) would change" in told
    empty = tmp_path / "series_rules.toml"
    empty.write_text('[[rule]]\nname = "all"\nclass = "image"\nmodality = { present = true }\n', encoding="utf-8")
    assert {one["class"] for one in answer(study, "--what-if", empty)} == {"image"}


def test_a_configuration_brings_its_rules_limits_and_destinations(study: Path, tmp_path: Path) -> None:
    config = site(tmp_path)
    assert {(one["class"], one["forward"]) for one in answer(study, "--config", config)} == {
        ("other", False), ("scout", True), ("dose", False)
    }  # fmt: skip
    limits = rulebook(load(config).series).limits
    assert limits == (ThinLimit("CT", 0.8, "HEAD"), ThinLimit("CT", 1.5))


def test_without_a_folder_the_studies_of_the_node_are_looked_at(study: Path, tmp_path: Path) -> None:
    config = site(tmp_path)
    assert command_here("classify", "--what-if", tmp_path / "own.toml", "--config", config).returncode == 2
    shutil.copytree(study / "ct", tmp_path / "node" / "studies" / "1")
    (tmp_path / "other.toml").write_text(_OWN.replace("other", "image"), encoding="utf-8")
    found = answer("--what-if", tmp_path / "other.toml", "--config", config)
    assert {(one["class"], one["before"]["class"]) for one in found} == {("image", "other")}


@pytest.mark.parametrize("arguments", [[], ["nowhere"]])
def test_wrong_use_is_told(arguments: list[str]) -> None:
    assert command_here("classify", *arguments).returncode == 2


def test_faulty_rules_are_told_with_line_and_rule(study: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(_OWN.replace("other", "nothing"), encoding="utf-8")
    done = command_here("classify", study, "--what-if", own)
    assert done.returncode == 2
    assert "this hospital's lung slices" in done.stderr
    assert "(line 2)" in done.stderr


@pytest.mark.ends("settings")
@pytest.mark.fires("settings")
def test_rules_are_read_again_and_faulty_ones_change_nothing(tmp_path: Path) -> None:
    config: Config = load(site(tmp_path))
    events: list[Event] = []
    rules = SeriesRules(config, EventBus(events.append), SystemClock())
    facts = SeriesFacts("CT", study_description="Chest", slice_thickness=1.0)
    assert classify(facts, rules.book(frozenset())).series_class is SeriesClass.OTHER
    site(tmp_path, _OWN.replace("other", "key"))
    rules.reload(config)
    assert classify(facts, rules.book(frozenset())).series_class is SeriesClass.KEY
    site(tmp_path, "[[rule]]\n")
    rules.reload(config)
    assert classify(facts, rules.book(frozenset())).series_class is SeriesClass.KEY
    assert [event.kind for event in events] == [Kind.CLEARED, Kind.RELOADED, Kind.ALARM]
    with pytest.raises(ConfigurationError):
        rulebook(config.series)
