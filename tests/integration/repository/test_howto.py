"""The steps of router/docs/howto.md, tried as they are written."""

import json
import re
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import pytest

from router.config import sections
from router.config.file import load, parse
from router.errors import ConfigurationError
from router.reports.folder.watch import scan
from router.trial.demo.studies import derived_uid, make_ct_study
from support.harness import command_here
from support.sample_exam import exam_document

DOCS = Path(sections.__file__).parents[1] / "docs"
NOW = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
ORG, APP = "121100004000000001", "hospital-1"
HOSPITAL = """
[hospital]
USCI = "121100004000000001"
HospitalCode = "H0001"
HospitalName = "示范医院"
HospitalBranchCode = "01"
[node]
language = "en"
data = "node"
[[destination]]
name = "cloud"
[destination.dicom]
"""


def block(name: str) -> str:
    """The lines to be typed that follow the mark of that name."""
    text = (DOCS / "howto.md").read_text(encoding="utf-8").partition(f"<!-- try: {name} -->")[2]
    found = re.match(r"\n+((?: {7}.*\n|\n)+)", text)
    assert found is not None
    return textwrap.dedent(found[1])


def site(folder: Path, more: str = "") -> Path:
    path = folder / "router.toml"
    path.write_text(HOSPITAL + more, encoding="utf-8")
    return path


def test_the_destination_loads_and_waits_for_nothing_but_its_keys(tmp_path: Path) -> None:
    found = load(site(tmp_path, block("destination")))
    assert [one.name for one in found.destination] == ["cloud", "district"]
    said = command_here("doctor", "--json", "--config", tmp_path / "router.toml")
    assert "district-api.key" in said.stdout


def test_the_rule_says_beforehand_what_it_would_change_and_then_changes_it(tmp_path: Path) -> None:
    own = tmp_path / "own_rules.toml"
    own.write_text(block("rule").replace("perfusion|灌注", "."), encoding="utf-8")
    load(site(tmp_path))
    make_ct_study(tmp_path / "ct", 3, study_uid=derived_uid("howto"), patient_id="P1", name="Li^Si", accession="A1")
    call = ("classify", tmp_path / "ct", "--json", "--config", tmp_path / "router.toml")
    before = {one["class"] for one in json.loads(command_here(*call).stdout)}
    tried = command_here("classify", tmp_path / "ct", "--what-if", own, "--config", tmp_path / "router.toml")
    assert tried.returncode == 0, tried.stderr
    assert "other" in tried.stdout
    site(tmp_path, '[series]\nown_rules = "own_rules.toml"\n')
    after = [one["rule"] for one in json.loads(command_here(*call).stdout)]
    assert before == {"thin", "scout", "dose"}
    assert "our perfusion maps" in after


def test_the_rule_reads_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "own_rules.toml").write_text(block("rule"), encoding="utf-8")
    path = site(tmp_path, '[series]\nown_rules = "own_rules.toml"\n')
    make_ct_study(tmp_path / "ct", 3, study_uid=derived_uid("howto"), patient_id="P1", name="Li^Si", accession="A1")
    assert command_here("classify", tmp_path / "ct", "--config", path).returncode == 0


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030"])
def test_the_table_makes_known_what_was_unknown(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "exams").mkdir()
    names = {"Code": "0302", "Name": "消化内科门诊", "CodeStd": "", "NameStd": ""}
    given = exam_document({f"Order.ApplyDepartment{end}": value for end, value in names.items()})
    (tmp_path / "exams" / "e.json").write_text(json.dumps(given), encoding="utf-8")
    call = ("codes", "unknown", tmp_path / "exams", "--json", "--config", site(tmp_path))
    before = [one for one in json.loads(command_here(*call).stdout) if one["table"] == "departments"]
    (tmp_path / "codes").mkdir()
    (tmp_path / "codes" / "departments.csv").write_text(block("table"), encoding=encoding)
    site(tmp_path, '[codes]\nfolder = "codes"\ncomplete = ["departments"]\n')
    after = [one for one in json.loads(command_here(*call).stdout) if one["code"] == "0302"]
    assert [one["code"] for one in before] == ["0302"]
    assert after == []
    tables = json.loads(command_here("codes", "tables", "--json", "--config", tmp_path / "router.toml").stdout)
    [mine] = [one for one in tables if one["table"] == "departments"]
    assert (mine["file"], mine["own"] > 0, mine["complete"]) == (
        str(tmp_path / "codes" / "departments.csv"), True, True
    )  # fmt: skip


@pytest.mark.parametrize("folder", ["\\\\ris\\export", "//ris/export", "D:\\export", "d:/export", "smb://ris/export"])
def test_a_windows_path_is_refused_with_what_to_do(tmp_path: Path, folder: str) -> None:
    with pytest.raises(ConfigurationError, match="has 1 fault") as refused:
        parse(f"{HOSPITAL}[reports]\nfolder = '{folder}'\n", base=tmp_path)
    assert "mount the Windows share" in refused.value.faults[0]


def test_endings_in_capitals_are_seen_and_names_are_told_apart_by_them(tmp_path: Path) -> None:
    for name in ("E1.JSON", "E1.pdf", "e1.Pdf", "E1.TMP"):
        (tmp_path / name).write_bytes(b"x")
    assert {seen.path.name for seen in scan(tmp_path).files} == {"E1.JSON", "E1.pdf", "e1.Pdf"}
