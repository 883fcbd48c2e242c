"""Checks that depend on the hospital: validate, codes, classify and doctor with --hospital."""

import json
from pathlib import Path
from typing import Any

import pytest

from support.harness import command_here
from support.hospital_rows import configure
from support.sample_exam import exam_document

_RULES = """
[[rule]]
name = "renmin's own"
class = "other"
series_description = { matches = "." }
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A district of which renmin has rules, a code table, a drop folder and a destination of its own."""
    folder = tmp_path_factory.mktemp("district")
    file = configure(folder)
    (folder / "own.toml").write_text(_RULES, encoding="utf-8")
    (folder / "codes").mkdir()
    (folder / "renmin-in").mkdir()
    with (folder / "hospitals" / "renmin.toml").open("a", encoding="utf-8") as own:
        own.write('[series]\nown_rules = "../own.toml"\n[reports]\nfolder = "../renmin-in"\n')
        own.write('[codes]\ncomplete = ["departments"]\n')
    with file.open("a", encoding="utf-8") as common:
        common.write('[[destination]]\nname = "second"\nhospitals = ["xiehe"]\n[destination.dicom]\n')
        common.write('ae_title = "TWO"\nport = 1\nallow_plain = true\n')
    return file


def of_json(*words: object) -> Any:
    return json.loads(command_here(*words, "--json").stdout)


def test_an_exam_json_is_checked_by_the_hospital_that_is_named(file: Path, tmp_path: Path) -> None:
    exam = tmp_path / "exam.json"
    document = exam_document({"USCI": "U2", "HospitalCode": "H2", "HospitalName": "医院2"})
    exam.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8")
    common = ("validate", exam, "--config", file)

    def disagrees(*more: str) -> bool:
        return any(one["path"] == "USCI" for one in of_json(*common, *more)["warnings"])

    assert not disagrees()
    assert not disagrees("--hospital", "renmin")
    assert disagrees("--hospital", "xiehe")
    assert command_here(*common, "--hospital", "nowhere").returncode == 2


def test_the_tables_are_those_of_the_hospital(file: Path) -> None:
    def complete(*more: str) -> bool:
        tables = of_json("codes", "tables", "--config", file, *more)
        return any(one["complete"] for one in tables if one["table"] == "departments")

    assert (complete(), complete("--hospital", "renmin"), complete("--hospital", "xiehe")) == (False, True, False)


def test_series_are_classified_by_the_hospital_s_rules(file: Path, tmp_path: Path) -> None:
    table = tmp_path / "headers.csv"
    table.write_text("row_id,modality,series_description,slice_thickness\n1,CT,chest,1.0\n", encoding="utf-8")

    def rule(*more: object) -> str:
        (found,) = of_json("classify", "--headers", table, *more)
        return str(found["rule"])

    assert rule("--config", file, "--hospital", "renmin") == "renmin's own"
    assert rule("--config", file, "--hospital", "xiehe") == rule("--config", file) != "renmin's own"


def test_doctor_looks_at_every_drop_folder_or_at_those_of_one_hospital(file: Path) -> None:
    def subjects(*more: str) -> set[str]:
        return {one["subject"] for one in of_json("doctor", "--config", file, *more)}

    everything = subjects()
    assert {"drop folder", "drop folder of renmin", "C-ECHO to cloud", "C-ECHO to second"} <= everything
    renmin, xiehe = subjects("--hospital", "renmin"), subjects("--hospital", "xiehe")
    assert ("drop folder of renmin" in renmin, "drop folder of renmin" in xiehe) == (True, False)
    assert ("C-ECHO to second" in renmin, "C-ECHO to second" in xiehe) == (False, True)
    assert "C-ECHO to cloud" in renmin & xiehe
