"""`queue explain`: what came, what it waits for, what nearly fits; for exams, studies and files."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.cli import main
from router.reports.pdf.reader import Readers
from router.review.comparison import NO_READING
from router.text.decoding import UNREADABLE
from support.catalogue_rows import instance
from support.exam_workflow import CLOUD, HERE, ExamWorkflow
from support.explain_command import Told
from support.harness import command_here
from support.hl7_messages import oru
from support.intake_folder import CONFIG, E1, printed


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    made = ExamWorkflow(tmp_path, readers)
    (tmp_path / "router.toml").write_text(CONFIG + CLOUD)
    yield made
    made.catalogue.engine.close_thread()


@pytest.fixture
def told(clinic: ExamWorkflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Told:
    return Told(tmp_path, capsys)


def test_an_exam_without_images_is_told_of_the_study_that_nearly_fits(clinic: ExamWorkflow, told: Told) -> None:
    clinic.pacs("5.5", accession="A0010")
    clinic.pacs("5.6", accession="B7777", patient_id="X1")
    clinic.ris(Study__StudyInstanceUIDs=["5.4"])
    (story,) = told.json(E1)
    assert [near["name"] for near in story["near"]] == ["5.5"]
    assert "accession number: two characters are transposed, same patient number" in told(E1)
    assert "`queue link EXAM STUDY --why ...`" in told(E1)


def test_an_exam_says_who_sent_its_images_when_and_which_command_settles_its_doubt(
    clinic: ExamWorkflow, told: Told
) -> None:
    clinic.ris(Study__StudyInstanceUIDs=["5.5"])
    clinic.pacs("5.5", ae="CT1", patient_id="P9")
    clinic.pacs("5.5", ae="CT2", number=2, patient_id="P9")
    (story,) = told.json(E1)
    assert [(a["ae"], a["instances"]) for a in story["arrivals"]] == [("CT1", 1), ("CT2", 1)]
    assert [(f["kind"], f["approved"]) for f in story["files"]] == [("json", True)]
    assert "doubt" in [alarm["alarm"] for alarm in story["alarms"]]
    text = told(E1)
    assert "`queue resolve d1 --why ...`" in text
    assert "compare both sides" in text


def test_a_study_that_no_exam_names_is_told_with_the_exam_that_nearly_fits(clinic: ExamWorkflow, told: Told) -> None:
    clinic.ris(Study__StudyInstanceUIDs=[])
    clinic.pacs("5.5", accession="A0002")
    text = told("5.5")
    assert "no exam lists it" in text
    assert E1 in text
    assert "`queue link EXAM 5.5 --why ...`" in text
    assert told.json("5.5")[0]["near"] == [
        {"name": E1, "why": "accession number: one character differs, same patient number"}
    ]


def test_a_pdf_without_an_exam_says_which_json_it_waits_for(clinic: ExamWorkflow, told: Told) -> None:
    clinic.drop("late/r7.pdf", printed("report"))
    assert "(late/r7.json)" in told("r7.pdf")
    assert told.json("late/r7")[0]["kind"] == "pdf"


def test_a_name_that_nothing_bears_is_an_error(told: Told) -> None:
    assert "no delivery, exam, study or file" in told("nothing")


def test_an_instance_that_came_in_several_versions_is_listed_with_what_differs(
    clinic: ExamWorkflow, told: Told
) -> None:
    clinic.ris(Study__StudyInstanceUIDs=["5.5"])
    clinic.pacs("5.5")
    new = instance(1, "5.5", version=2, pixels="re-processed", patient=HERE, accession="A0001")
    clinic.catalogue.instances.add([new])
    clinic.catalogue.instances.doubt(["5.5"], "instance 5.5.1.1 came again with other samples", clinic.clock.now())
    clinic.settle()
    (story,) = told.json(E1)
    assert [(one["instance"], one["version"], one["newest"], one["differs"]) for one in story["versions"]] == [
        ("5.5.1.1", 1, False, []),
        ("5.5.1.1", 2, True, ["pixel data"]),
    ]
    assert "Instances that came in several versions" in told(E1)
    assert "identity: instance 5.5.1.1 came again with other samples" in " ".join(told(E1).split())


def test_a_text_without_a_certain_reading_is_named_and_no_guess_is_shown(
    clinic: ExamWorkflow, told: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic.ris(Study__StudyInstanceUIDs=["5.5"])
    clinic.pacs("5.5", name=f"Jos{UNREADABLE}")
    assert "study 5.5: no certain reading of name, so it agrees with nothing" in told(E1)
    (story,) = told.json(E1)
    assert story["studies"][0]["unreadable"] == ["name"]
    with pytest.raises(SystemExit):
        main(["queue", "compare", E1, "--json", "--config", str(tmp_path / "router.toml")])
    _, images = json.loads(capsys.readouterr().out)[0]["sides"]
    assert images["name"] == NO_READING


def test_an_exam_and_a_delivery_are_known_by_the_nodes_own_names(clinic: ExamWorkflow, told: Told) -> None:
    clinic.ris()
    exam = clinic.case().exam
    delivery = clinic.delivery().id
    assert told.json(f"e{exam}") == told.json(f"d{delivery}") == told.json(E1)
    for unknown in (f"e{exam + 1}", f"d{delivery + 9}", "e0", "e01"):
        assert "no delivery, exam, study or file of that name" in told(unknown)


def test_an_exam_id_that_reads_like_a_name_of_the_nodes_is_told_too_and_never_acted_on(
    clinic: ExamWorkflow, told: Told, tmp_path: Path
) -> None:
    clinic.ris()
    name = f"e{clinic.case().exam}"
    clinic.ris(name, Study__StudyInstanceUIDs=["5.9"], Order__AccessionNumber="A9")
    assert f"say which: e:1, e:2; by its ExamId: --exam-id {name}" in told(name)
    answer = command_here("queue", "hold", name, "--why", "x", "--config", tmp_path / "router.toml")
    assert answer.returncode == 2
    assert f"{name} may mean several things" in answer.stderr


@pytest.mark.parametrize(("changes", "says"), [
    ({"Order__Status": "已审核"}, "ApproveTime with Order.Status '已审核'; `scripts/codes unknown` prints the line"),
    ({"Order__Status": ""}, "ApproveTime with no Order.Status; `scripts/codes unknown`"),
    ({"Report__ApproveTime": "05/06/2026"}, "Report.ApproveTime (审核时间); see the exam JSON fault above"),
])  # fmt: skip
def test_an_approval_that_cannot_be_read_is_told(
    clinic: ExamWorkflow, told: Told, changes: dict[str, str], says: str
) -> None:
    clinic.ris(**changes)
    assert says in told(E1)
    ((unread,),) = ([one["unread_approval"] for one in told.json(E1)],)
    assert unread[0]["source"] == "branch 01"
    clinic.later(minutes=1)
    clinic.ris(Report__SubmitTime="2026-03-02 17:59:00", Report__ApproveTime="2026-03-02 18:00:00")
    assert "cannot be read" not in told(E1)


def test_a_message_whose_status_is_no_word_is_told_as_of_hl7(clinic: ExamWorkflow, told: Told) -> None:
    clinic.drop("m.hl7", oru(exam_id="E1", status="Q").encode())
    clinic.settle()
    (story,) = told.json("E1")
    assert [(one["source"], one["word"]) for one in story["unread_approval"]] == [("HL7", "Q")]
    assert clinic.attention()[0].about == "HL7: Order.Status another word"


@pytest.mark.parametrize("status", ["P", "R", "A", "O", "X"])
def test_a_message_that_is_no_final_result_waits_for_nobody(clinic: ExamWorkflow, status: str) -> None:
    clinic.drop("m.hl7", oru(exam_id="E1", status=status).encode())
    clinic.settle()
    assert not clinic.attention()


def test_the_lines_to_paste_go_below_a_table_that_the_file_has_already(clinic: ExamWorkflow, tmp_path: Path) -> None:
    mapping = '[values."Order.Status"]\n"草稿" = "Submitted"\n'
    (tmp_path / "ris.toml").write_text(mapping, encoding="utf-8")
    config = (CONFIG + CLOUD).replace('folder = "in"', 'folder = "in"\nmapping = "ris.toml"')
    (tmp_path / "router.toml").write_text(config, encoding="utf-8")
    clinic.ris(Order__Status="已审核")
    clinic.ris("E5", Order__Status="", Study__StudyInstanceUIDs=["5.5"], Order__AccessionNumber="A5")
    clinic.drop("m.hl7", oru(exam_id="E6", status="Q").encode())
    printed = command_here("codes", "unknown", "--config", tmp_path / "router.toml")
    assert printed.returncode == 1
    paste = printed.stdout.split(f'{tmp_path / "ris.toml"}, below its [values."Order.Status"]:\n\n')[1].split("\n\n")[0]
    assert tomllib.loads(mapping + paste)["values"]["Order.Status"] == {"草稿": "Submitted", "已审核": "Reported"}
    assert '"Q" = "Reported"' in printed.stdout.split("hl7_mapping.toml")[1]
    assert "approved_only = true" in printed.stdout
    found = json.loads(command_here("codes", "unknown", "--json", "--config", tmp_path / "router.toml").stdout)
    assert {"table": "Order.Status", "kind": "status", "code": "已审核", "name": "", "count": 1} in found
