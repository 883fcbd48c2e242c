"""`audit verify` says from when to when it vouches and against whom; `audit accept` is a person's decision."""

import json
import shutil
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from router.cli.audit import command
from router.cli.opened import audited, opened, trail_of
from router.clock import SystemClock
from router.crypto.symmetric import sm3
from router.errors import TransientError
from router.reports.pdf.reader import Readers
from router.review.decisions import Decisions
from router.storage.trail import Trail
from support.exam_workflow import CLOUD, WANG, ExamWorkflow
from support.intake_folder import CONFIG

_NUMBERS = count(100)


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    """A node whose trail holds an act of a person, and a signed head."""
    made = ExamWorkflow(tmp_path, readers)
    made.ris(Study__StudyInstanceUIDs=["1.2.3"])
    made.pacs("1.2.3", patient_id="P9", name="李^四")
    folder = made.config.node.data.parent
    (folder / "router.toml").write_text(CONFIG + CLOUD, "utf-8")
    yield made
    made.catalogue.engine.close_thread()


def act(clinic: ExamWorkflow) -> None:
    with opened(clinic.config) as (catalogue, bus):
        Decisions(clinic.config.identity, catalogue, bus, SystemClock()).alias("P0001", f"P{next(_NUMBERS)}", WANG)


def sign(clinic: ExamWorkflow) -> None:
    with audited(clinic.config) as (_, audit, guard):
        audit.sign(guard)


def run(clinic: ExamWorkflow, *words: str) -> Result:
    file = clinic.config.node.data.parent / "router.toml"
    return CliRunner().invoke(command, [words[0], "--config", str(file), *words[1:]])


def test_it_says_from_when_to_when_and_against_whom(clinic: ExamWorkflow) -> None:
    node = clinic.config.node.owner
    Trail(clinic.config.node.data / "audit" / node, sm3).append(["of before there was a key"], SystemClock().now())
    act(clinic)
    sign(clinic)
    found = run(clinic, "verify")
    assert found.exit_code == 0, found.output
    first, last = next(trail_of(clinic.config, node).after(1)), trail_of(clinic.config, node).last()
    assert last is not None
    assert f"right: {node}: {last.n} record(s)" in found.output
    assert "1 record(s) from" in found.output
    assert "of before the trail had a key" in found.output
    assert f"records 2 to {last.n}, {first.at} to {last.at}" in found.output
    assert "not against root or the node's own account" in found.output
    assert f"signed heads: 1, the last one of record {last.n - 1}" in found.output
    head = found.output.split()[-1]
    assert head == f"{node}:{last.n}:{last.seal}"
    assert run(clinic, "verify", "--head", head).exit_code == 0
    document = json.loads(run(clinic, "verify", "--json").output)["nodes"][node]
    assert (document["unkeyed"], document["vouched_from"]["n"], document["heads"][0]["n"]) == (1, 2, last.n - 1)
    exported = [json.loads(line) for line in run(clinic, "export").output.splitlines()]
    assert ["key" in one and one["key"] != "" for one in exported] == [False] + [True] * (last.n - 1)


@pytest.mark.parametrize("how", ["cut", "removed", "whole folder"])
def test_what_was_cut_off_is_wrong_stops_acts_and_is_taken_by_a_person(clinic: ExamWorkflow, how: str) -> None:
    node = clinic.config.node.owner
    act(clinic)
    sign(clinic)
    folder = clinic.config.node.data / "audit" / node
    if how == "cut":
        (path,) = folder.glob("*.jsonl")
        path.write_bytes(b"")
    elif how == "removed":
        for path in folder.glob("*.jsonl"):
            path.unlink()
    else:
        shutil.rmtree(folder.parent)
        (folder.parent / "another").mkdir(parents=True)
    found = run(clinic, "verify")
    assert found.exit_code == 1
    assert "wrong: " in found.output
    with pytest.raises(TransientError, match="in doubt"):
        act(clinic)
    assert (
        run(clinic, "accept", "--why", "the disk was replaced", "--who", "wang").exit_code == 1
    )  # asked, and no answer
    taken = run(clinic, "accept", "--yes", "--why", "the disk was replaced", "--who", "wang")
    assert taken.exit_code == 0, taken.output
    act(clinic)
    found = run(clinic, "verify")
    assert found.exit_code == 0, found.output
    assert "the trail was taken as it was by wang: the disk was replaced" in found.output
    assert "nothing speaks against" in run(clinic, "accept", "--yes", "--why", "again", "--who", "wang").output


def test_a_lost_key_is_wrong_until_a_person_takes_what_it_sealed_as_it_is(clinic: ExamWorkflow) -> None:
    act(clinic)
    sign(clinic)
    shutil.rmtree(clinic.config.node.data / "node-keys")
    found = run(clinic, "verify")
    assert found.exit_code == 1
    assert "which is not here" in found.output
    with pytest.raises(TransientError, match="which is not here"):
        act(clinic)
    assert run(clinic, "accept", "--yes", "--why", "it was deleted", "--who", "wang").exit_code == 0
    act(clinic)
    found = run(clinic, "verify")
    assert found.exit_code == 0, found.output
    assert "sealed under a key that is not here: nothing vouches" in found.output


def test_without_a_database_the_end_is_not_compared_and_that_is_said(clinic: ExamWorkflow) -> None:
    act(clinic)
    clinic.catalogue.engine.close_thread()
    for path in clinic.config.node.data.glob("router.db*"):
        path.unlink()
    found = run(clinic, "verify")
    assert found.exit_code == 0, found.output
    assert "the trail's end is not compared" in found.output
