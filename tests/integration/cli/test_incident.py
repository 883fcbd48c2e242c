"""The records of an incident as one document, by whom it was asked for; what the other records of sharing say."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from router.cli import audit, doctor
from router.cli.opened import trail_of
from router.clock import SystemClock
from router.config.file import parse
from router.policy.states import State
from router.reports.pdf.reader import Readers
from router.review.deliveries import Review
from support.exam_workflow import CLOUD, ExamWorkflow
from support.intake_folder import CONFIG, E1

STUDY = "1.2.3"


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    made = ExamWorkflow(tmp_path, readers)
    made.ris(Study__StudyInstanceUIDs=[STUDY])
    made.pacs(STUDY)
    (tmp_path / "router.toml").write_text(CONFIG + CLOUD, "utf-8")
    yield made
    made.catalogue.engine.close_thread()


def run(clinic: ExamWorkflow, *words: str) -> Result:
    file = clinic.config.node.data.parent / "router.toml"
    return CliRunner().invoke(audit.command, [words[0], "--config", str(file), *words[1:]])


@pytest.mark.parametrize("name", [E1, STUDY])
def test_the_records_of_an_incident_are_one_document_and_its_export_is_in_the_trail(
    clinic: ExamWorkflow, name: str
) -> None:
    found = run(clinic, "incident", name, "--why", "complaint 12")
    assert found.exit_code == 0, found.output
    document = json.loads(found.stdout)
    [story] = document["records"]
    assert (story["exam_id"], story["studies"][0]["study"]) == (E1, STUDY)
    assert story["events"]
    assert (document["why"], document["node"], document["receipts"]) == ("complaint 12", clinic.config.node.owner, [])
    last = trail_of(clinic.config, clinic.config.node.owner).last()
    assert last is not None
    assert "complaint 12" in last.message
    assert document["audit"][-1]["n"] == last.n
    assert E1 not in last.message


def test_a_name_that_nothing_has_exports_nothing_and_leaves_no_record(clinic: ExamWorkflow) -> None:
    before = trail_of(clinic.config, clinic.config.node.owner).last()
    found = run(clinic, "incident", "nobody", "--why", "complaint 12")
    assert found.exit_code == 1
    assert trail_of(clinic.config, clinic.config.node.owner).last() == before


def test_the_records_of_other_exams_are_left_out(clinic: ExamWorkflow) -> None:
    clinic.ris("E2", Study__StudyInstanceUIDs=["1.2.4"])
    run(clinic, "incident", "E2", "--why", "another")
    document = json.loads(run(clinic, "incident", E1, "--why", "complaint 12").stdout)
    assert document["audit"]
    assert not [one for one in document["audit"] if "another" in one["message"]]


def test_audit_records_are_exported_by_time(clinic: ExamWorkflow) -> None:
    run(clinic, "incident", E1, "--why", "complaint 12")
    assert run(clinic, "export").stdout.splitlines()
    assert not run(clinic, "export", "--until", "2020-01-01").stdout
    assert not run(clinic, "export", "--since", "2100-01-01").stdout
    assert run(clinic, "export", "--since", "2020-01-01", "--until", "2100-01-01").stdout.splitlines()


@pytest.mark.parametrize(
    ("said", "verdict"),
    [("", "warn"), ('agreement = "A-17"', "warn"), ('agreement = "A-17"\npurpose = "sharing"', "ok")],
)
def test_the_doctor_warns_where_agreement_or_purpose_are_not_named(tmp_path: Path, said: str, verdict: str) -> None:
    named = CLOUD.replace('name = "cloud"', f'name = "cloud"\n{said}')
    [one] = doctor._agreement(parse(CONFIG + named, base=tmp_path).destination[0])
    assert (one.subject, one.verdict) == ("agreement of cloud", verdict)


def test_holding_everything_does_not_hold_what_comes_later(clinic: ExamWorkflow) -> None:
    review = Review(clinic.catalogue, SystemClock())
    for one in review.deliveries([state for state in State if state != State.DELIVERED], None):
        review.hold(one, "stop", "liu")
    clinic.ris("E2", Study__StudyInstanceUIDs=["1.2.4"])
    assert clinic.delivery().state == State.HELD
    assert clinic.delivery("E2").state != State.HELD
