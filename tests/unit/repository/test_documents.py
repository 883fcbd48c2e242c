"""What the documents say is so: every alarm, every test that they name, every constant of the conformance statement."""

import re
from pathlib import Path

import click
import pytest

from router.alarms import REMEDY, Alarm
from router.cli import COMMANDS, module
from router.cli.reference import reference, section_of, tables
from router.clock import SystemClock
from router.config.file import load, shipped
from router.config.sections import DicomDestination, Query, Receive
from router.dicom.dataset.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION
from router.dicom.scu import query
from router.dicom.scu.requestor import _LONGEST_PDU, _OUR_LONGEST, Waits
from router.dicom.ul import commitment
from router.dicom.ul.dimse import VERIFICATION
from router.dicom.ul.status import _REFUSED, _STORED, DUPLICATE
from router.exam.validate import validate
from router.intake.exam_reader import ExamReader

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "router" / "docs"


def text(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("alarm", list(Alarm))
def test_every_alarm_is_explained_with_its_remedy(alarm: Alarm) -> None:
    rows = [line for line in text("operations.md").splitlines() if line.startswith(f"| `{alarm}` | ")]
    assert len(rows) == 1, f"operations.md wants one row of {alarm}"
    assert rows[0].endswith(f" | {REMEDY[alarm]} |")


@pytest.mark.parametrize("name", ["standard.md", "safety.md"])
def test_every_test_that_a_document_names_is_there(name: str) -> None:
    named = re.findall(r"`((?:unit|contract|integration|acceptance)/[\w/]+\.py)(?:::(\w+))?`", text(name))
    assert len(named) > 10
    for file, test in named:
        source = (ROOT / "tests" / file).read_text(encoding="utf-8")
        assert f"def {test}(" in source or not test, f"{name} names {file}::{test}"


def test_every_row_of_the_checklist_names_the_test_that_fails_without_it() -> None:
    rows = [line.strip("| \n").split(" | ") for line in text("safety.md").splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 20
    for measure, *_, shown in rows:
        if measure == "certified module":
            assert shown == "not done"
            continue
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
        assert named, f"{measure}: no test is named"
        assert len(named) == len(shown.split(", ")), f"{measure}: a test is named by its file only"


def test_every_clause_of_the_standard_has_a_row() -> None:
    rows = text("standard.md")
    for clause in ("5.1", "5.2.1", "5.2.2", "5.3.1", "5.3.2", "5.3.3", "5.4", "6.1", "6.2", "6.3", "6.4.1", "6.4.2, A",
                   "6.4.3, B.1", "B.2"):  # fmt: skip
        assert f"\n| {clause} | " in rows


def test_the_conformance_statement_has_our_uid_version_and_waits() -> None:
    said, waits = text("conformance.md"), Waits()
    assert f"| {IMPLEMENTATION_CLASS_UID} |" in said
    assert f"`{IMPLEMENTATION_VERSION}`" in said
    assert f"{waits.connect:.0f} s to connect, {waits.association:.0f} s for the association" in said
    assert f"{waits.response:.0f} s for a response" in said


def test_the_conformance_statement_has_every_service_that_is_asked_for_with_its_limits() -> None:
    said = text("conformance.md")
    for name, roles in (("Verification", "yes | yes"), ("Storage Commitment Push Model", "yes, where")):
        assert re.search(rf"\| {name} \| [\d.]+ \| {roles}", said)
    for uid in (VERIFICATION, query.FIND, query.MOVE, commitment.SOP_CLASS):
        assert f" {uid} |" in said
    assert f"at most {commitment.MOST} instances" in said
    assert f"names more than {query.MOST} studies" in said
    assert f"{query.FIND_SECONDS:.0f} s for all answers to a C-FIND" in said
    assert f"at most {_LONGEST_PDU // 1024} KiB;" in said
    assert f"the others {_OUR_LONGEST // 1024} KiB" in said
    config = Query(ae_title="PACS")
    assert f"asked for `tries` ({config.tries}) times, `pause` ({config.pause.seconds // 60} min)" in said


def test_the_conformance_statement_has_every_status_that_is_refused_or_stored() -> None:
    said = text("conformance.md")
    refused = next(line for line in said.splitlines() if line.endswith("| refused: the delivery fails, and is shown |"))
    assert set(re.findall(r"\b0\d{3}\b", refused)) == {f"{one:04X}" for one in _REFUSED - {DUPLICATE}}
    stored = next(line for line in said.splitlines() if line.endswith("| counts as stored |"))
    assert set(re.findall(r"\b0\d{3}\b", stored)) == {f"{one:04X}" for one in _STORED}


def test_the_conformance_statement_has_the_titles_and_ports_of_the_configuration() -> None:
    said, receive, destination = text("conformance.md"), Receive(), DicomDestination()
    assert f"| receiver | `[receive] ae_title`: {receive.ae_title} | `port`: {receive.port} |" in said
    assert f"| destination | `ae_title`: {destination.ae_title} | `port`: {destination.port} |" in said
    assert f"| PACS | `ae_title`: has no default | `port`: {Query(ae_title='PACS').port} |" in said
    assert f"`max_associations` ({receive.max_associations})" in said
    assert f"`max_associations_per_sender` ({receive.max_associations_per_sender})" in said


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda path: path.name)
def test_links_lead_to_a_document_and_its_heading(path: Path) -> None:
    links = re.findall(r"\]\(([\w./-]*)(?:#([^)\s]+))?\)", path.read_text(encoding="utf-8"))
    for target, heading in links:
        there = path.parent / target if target else path
        assert there.exists(), target
        assert not heading or heading in anchors(there), f"{target}#{heading}"


def anchors(path: Path) -> set[str]:
    """The headings of a document as a browser's address names them."""
    heads = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def test_the_index_leads_to_every_document() -> None:
    index = re.findall(r"\]\(([\w.-]+\.md)\)", text("README.md"))
    assert {*index, "README.md"} == {path.name for path in DOCS.glob("*.md")}


def test_the_readme_is_two_screens_with_chinese_in_the_first_ones() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 180
    assert lines.index("## 快速开始") < 60


def test_the_table_of_commands_has_every_command() -> None:
    said = text("commands.md")
    assert {name for name in COMMANDS if f"`{name}" not in said} == set()
    queue = module("queue")
    assert isinstance(queue, click.Group)
    assert {name for name in queue.commands if not re.search(rf"`(?:queue )?{name}\b", said)} == set()


def test_the_pictures_are_small() -> None:
    for path in (DOCS / "images").iterdir():
        assert path.stat().st_size < 2**18, path.name


def descriptions() -> dict[tuple[str, str], str]:
    """The description of each table, by its heading and "", and of each key, by the heading of its table."""
    found = {}
    for heading, table in tables():
        found[heading, ""] = table.description or ""
        for name, field in section_of(table).model_fields.items():
            found[heading, field.alias or name] = field.description or ""
    return found


def comments(toml: str) -> dict[tuple[str, str], str]:
    """Likewise, what stands behind a heading or key, with the lines that go on with it."""
    found: dict[tuple[str, str], str] = {}
    heading, key = "", None
    for line in toml.splitlines():
        if table := re.fullmatch(r"(?:# )?(\[\[?[a-z_.0-9]+\]\]?)(?:\s+#(.*))?", line):
            heading, key, begun = table[1], "", table[2]
        elif entry := re.fullmatch(r'(?:# )?(\w+) = (?:"[^"]*"|\[.*?\]|\{.*?\}|[^#"\[{]*?)\s*(?:#(.*))?', line):
            key, begun = entry[1], entry[2]
        elif key is not None and (more := re.fullmatch(r"\s{10,}#(.*)", line)):
            begun = more[1]
        else:
            key, begun = None, None
        if key is not None and begun:
            found[heading, key] = f"{found.get((heading, key), '')} {begun.strip()}".strip()
    return found


def test_the_configuration_reference_is_what_the_code_says() -> None:
    assert text("configuration.md") == reference(), "renew it: scripts/reference > router/docs/configuration.md"
    assert '| `report_within` | `"1 h"` | DB11 5.3.2 |' in text("configuration.md")


def test_every_table_and_key_of_the_configuration_is_described() -> None:
    assert [place for place, description in descriptions().items() if not description] == []


def test_the_shipped_configuration_comments_a_key_with_its_description() -> None:
    described, commented = descriptions(), comments(shipped("router.toml").read_text(encoding="utf-8"))
    assert len(commented) > 120
    for (heading, key), comment in commented.items():
        assert comment == described[heading, key], f"{heading} {key}"


def test_the_example_of_an_exam_json_is_valid_and_nothing_in_it_is_worth_a_warning() -> None:
    config = load(shipped("router.toml"))
    references = ExamReader(config)
    given = references.read(shipped("exam.json").read_bytes())
    found = validate(
        given, tables=references.tables, accept_empty=(), hospital=config.hospital[0], now=SystemClock().now(),
        tolerance=config.reports.clock_tolerance, zone=config.node.timezone,
    )  # fmt: skip
    assert (found.errors, found.warnings) == ((), ())


@pytest.mark.parametrize("path", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda path: path.name)
def test_a_document_names_only_files_that_are_there(path: Path) -> None:
    named = set(re.findall(r"`((?:conf|router|tests|scripts)/[\w./-]+?)/?`", path.read_text(encoding="utf-8")))
    missing = {name for name in named if not (ROOT / name).exists()}
    assert missing <= {"conf/keys"}
