"""The cases of tests/cases/exam/: what `validate` answers, and that the reference platform's own check agrees."""

import json
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from router.cli import main
from router.config.file import load, shipped
from router.errors import InvalidData
from router.exam.fill import Sources, fill
from router.exam.read import read
from router.exam.schema import schema
from router.exam.validate import validate
from router.trial.platform import requirements
from support.sample_exam import shipped_tables
from support.schema_reader import breaches

CASES = Path(__file__).parents[2] / "cases"
EXPECTED: dict[str, dict[str, list[str]]] = tomllib.loads((CASES / "exam.toml").read_text("utf-8"))
CONFIG = load(shipped("router.toml"))
NOW = datetime(2026, 3, 1, tzinfo=UTC)
SOURCES = Sources(hospital=CONFIG.hospital[0], branch="01", tables=shipped_tables())
NAMES = sorted(EXPECTED)
READABLE = [name for name in NAMES if "" not in EXPECTED[name]["errors"]]


def document(name: str) -> dict[str, Any]:
    return read((CASES / "exam" / f"{name}.json").read_bytes())


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """One call of the command on the whole folder."""
    out = tmp_path_factory.mktemp("cases") / "answer.json"
    with pytest.MonkeyPatch.context() as patch, out.open("w", encoding="utf-8") as file:
        patch.setattr("sys.stdout", file)
        with pytest.raises(SystemExit) as ended:
            main(["validate", str(CASES / "exam"), "--json"])
    assert ended.value.code == 1
    return {Path(answer["path"]).stem: answer for answer in json.loads(out.read_text("utf-8"))}


def test_there_are_enough_cases_and_each_has_its_answer(answers: dict[str, dict[str, Any]]) -> None:
    assert set(answers) == set(EXPECTED)
    assert len(EXPECTED) >= 60
    assert {path.stem for path in (CASES / "exam").iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", NAMES)
def test_a_case_gets_its_answer(answers: dict[str, dict[str, Any]], name: str) -> None:
    answer = answers[name]
    assert [fault["path"] for fault in answer["errors"]] == EXPECTED[name]["errors"]
    assert [fault["path"] for fault in answer["warnings"]] == EXPECTED[name]["warnings"]
    assert answer["valid"] == (not EXPECTED[name]["errors"])
    assert all(fault["message"] for fault in answer["errors"] + answer["warnings"])


@pytest.mark.parametrize("name", NAMES)
def test_no_answer_names_the_patient(answers: dict[str, dict[str, Any]], name: str) -> None:
    told = json.dumps(answers[name], ensure_ascii=False)
    for secret in ("测试", "11010519491231", "13800000000", "V20240001", "A0001", "1949-12"):
        assert secret not in told


@pytest.mark.parametrize("name", READABLE)
def test_the_platform_agrees(name: str) -> None:
    found = {path for path, _ in requirements.faults(document(name), NOW)}
    assert found == set(EXPECTED[name]["errors"])


@pytest.mark.parametrize("name", [name for name in NAMES if name not in READABLE])
def test_what_does_not_read_is_refused_with_a_reason(name: str) -> None:
    with pytest.raises(InvalidData):
        document(name)


@pytest.mark.parametrize("name", READABLE)
def test_filled_and_sent_a_case_fits_the_schema_where_it_is_valid(name: str) -> None:
    sent = fill(document(name), SOURCES).document
    valid = validate(sent, tables=shipped_tables(), zone=CONFIG.node.timezone, now=NOW).valid
    beyond_a_schema = {"bad-identity", "bad-usci-check", "bad-approval-in", "bad-study-uids", "bad-time-on", "bad-code"}
    fits = not breaches(schema(shipped_tables()), sent)
    assert fits >= valid
    assert fits == valid or any(name.startswith(prefix) for prefix in beyond_a_schema)
    assert fits or name.startswith("bad-")


def test_the_schema_lists_the_codes_of_complete_tables_only() -> None:
    tables = {**shipped_tables(), "departments": replace(shipped_tables()["departments"], complete=True)}
    document = fill(read((CASES / "exam" / "warned-unknown-department.json").read_bytes()), SOURCES).document
    assert breaches(schema(shipped_tables()), document) == []
    assert breaches(schema(tables), document) == [".Order.ApplyDepartmentCodeStd: enum"]
