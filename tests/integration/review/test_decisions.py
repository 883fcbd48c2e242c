"""What a person decides: doubts settled, merged patients, studies joined or kept apart, with a real correlator."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from router.alarms import Alarm
from router.cli import main
from router.errors import InvalidData
from router.events import EventBus, Kind
from router.images.rulebook import books_of
from router.matching.patient.alias import classes
from router.policy.states import State
from router.reports.pdf.reader import Readers
from router.upkeep.rebuild import Rebuild
from support.exam_workflow import CLOUD, WANG, ExamWorkflow
from support.intake_folder import CONFIG, E1, E2

STUDY = "1.2.3"
LISTS: dict[str, object] = {"Study__StudyInstanceUIDs": [STUDY]}


@pytest.fixture
def clinic(tmp_path: Path, readers: Readers) -> Iterator[ExamWorkflow]:
    made = ExamWorkflow(tmp_path, readers)
    yield made
    made.catalogue.engine.close_thread()


@pytest.fixture
def doubtful(clinic: ExamWorkflow) -> ExamWorkflow:
    """An exam whose images bear another patient's number and name."""
    clinic.ris(**LISTS)
    clinic.pacs(STUDY, patient_id="P9", name="李^四")
    assert clinic.delivery().state == State.HELD
    return clinic


@pytest.mark.ends("doubt")
@pytest.mark.fires("doubt")
def test_a_settled_doubt_lets_the_exam_go_and_is_told_with_name_and_reason(doubtful: ExamWorkflow) -> None:
    assert doubtful.decisions.resolve(E1, WANG) == [f"study {STUDY} differs from the exam in patient id, name"]
    doubtful.settle()
    assert doubtful.delivery().state == State.READY
    (event,) = [event for event in doubtful.events if event.kind == Kind.DECIDED]
    assert (event.who, "asked the ward" in event.text) == ("wang", True)
    assert not [one for one in doubtful.catalogue.alarms.standing() if one.alarm == Alarm.DOUBT]


def test_what_is_settled_stays_settled_after_a_restart_and_more_images_of_the_same_patient(
    doubtful: ExamWorkflow,
) -> None:
    doubtful.decisions.resolve(E1, WANG)
    doubtful.settle()
    doubtful.restart()
    doubtful.pacs(STUDY, number=2, patient_id="P9", name="李^四")
    doubtful.ris(Report__Findings="corrected", **LISTS)
    assert doubtful.delivery().state == State.READY


def test_a_rebuild_of_the_index_keeps_what_was_decided(doubtful: ExamWorkflow) -> None:
    doubtful.decisions.resolve(E1, WANG)
    doubtful.settle()
    known = (doubtful.config, doubtful.catalogue, doubtful.storage, books_of(doubtful.config))
    Rebuild(*known, bus=EventBus(), clock=doubtful.clock).run(iter)
    doubtful.restart()
    doubtful.ris(Report__Findings="corrected", **LISTS)
    assert doubtful.delivery().state == State.READY


@pytest.mark.parametrize("patient", [{"patient_id": "P8", "name": "李^四"}, {"patient_id": "P9", "name": "吴^五"},
                                     {"patient_id": "P9", "name": "李^四", "sex": "M"}])  # fmt: skip
def test_a_later_contradiction_of_another_kind_is_a_doubt_anew(doubtful: ExamWorkflow, patient: dict[str, str]) -> None:
    doubtful.decisions.resolve(E1, WANG)
    doubtful.settle()
    doubtful.pacs(STUDY, number=2, **patient)
    assert doubtful.delivery().state == State.HELD


def test_what_differs_less_than_was_settled_is_no_doubt(doubtful: ExamWorkflow) -> None:
    doubtful.decisions.resolve(E1, WANG)
    doubtful.settle()
    doubtful.pacs(STUDY, number=2, patient_id="P9")
    assert doubtful.delivery().state == State.READY


def test_a_correction_of_the_data_settles_a_doubt_by_itself(doubtful: ExamWorkflow) -> None:
    doubtful.ris(Patient__PatientId="P9", Patient__Name="李四", **LISTS)
    assert doubtful.delivery().state == State.READY
    with pytest.raises(InvalidData, match="nothing contradicts"):
        doubtful.decisions.resolve(E1, WANG)


def test_there_is_nothing_to_settle_twice_nor_in_an_exam_that_nobody_knows(doubtful: ExamWorkflow) -> None:
    doubtful.decisions.resolve(E1, WANG)
    with pytest.raises(InvalidData, match="no identity doubt"):
        doubtful.decisions.resolve(E1, WANG)
    with pytest.raises(InvalidData, match="no exam or delivery of that name"):
        doubtful.decisions.resolve(E2, WANG)


# -- merged patients


def test_two_numbers_of_one_patient_agree_in_held_exams_at_once_until_that_is_taken_back(clinic: ExamWorkflow) -> None:
    clinic.ris(**LISTS)
    clinic.pacs(STUDY, patient_id="P9")
    assert clinic.delivery().state == State.HELD
    assert clinic.decisions.alias("P9", "P0001", WANG) == 1
    clinic.settle()
    assert clinic.delivery().state == State.READY
    assert [(one.old, one.new, one.who) for one in clinic.decisions.aliases()] == [("P9", "P0001", "wang")]
    clinic.decisions.unalias("P0001", "P9", WANG)
    clinic.settle()
    assert clinic.delivery().state == State.HELD


def test_a_study_under_the_old_number_joins_a_waiting_exam_by_accession_number(clinic: ExamWorkflow) -> None:
    clinic.ris(Study__StudyInstanceUIDs=[])
    clinic.pacs("5.5", patient_id="P9")
    assert not clinic.case().links
    clinic.decisions.alias("P0001", "P9", WANG)
    clinic.settle()
    assert set(clinic.case().links) == {"5.5"}


def test_an_alias_that_is_known_and_one_that_is_not_are_refused(clinic: ExamWorkflow) -> None:
    clinic.decisions.alias("A", "B", WANG)
    clinic.decisions.alias("B", "C", WANG)
    with pytest.raises(InvalidData, match="already"):
        clinic.decisions.alias("C", "A", WANG)
    with pytest.raises(InvalidData, match="no alias"):
        clinic.decisions.unalias("C", "A", WANG)
    with pytest.raises(InvalidData, match="says nothing"):
        clinic.decisions.alias("UNKNOWN", "A", WANG)


def test_numbers_are_equal_through_others_in_whatever_order_that_was_said() -> None:
    assert classes([("a", "b"), ("c", "d"), ("b", "c"), ("x", "y")]) == {
        "a": "a", "b": "a", "c": "a", "d": "a", "x": "x", "y": "x"
    }  # fmt: skip


# -- by hand


def test_a_study_that_nothing_names_is_joined_by_hand_and_its_identity_is_still_checked(clinic: ExamWorkflow) -> None:
    clinic.ris(Study__StudyInstanceUIDs=[])
    clinic.pacs("7.1", accession="")
    clinic.pacs("7.2", accession="", patient_id="P9")
    clinic.decisions.link(E1, "7.1", WANG)
    clinic.settle()
    assert clinic.delivery().state == State.READY
    clinic.decisions.link(E1, "7.2", WANG)
    clinic.settle()
    assert clinic.delivery().state == State.HELD
    with pytest.raises(InvalidData, match="already"):
        clinic.decisions.link(E1, "7.1", WANG)


def test_a_study_that_is_kept_apart_stays_so_though_the_json_lists_it_until_it_is_linked(clinic: ExamWorkflow) -> None:
    clinic.ris(**LISTS)
    clinic.pacs(STUDY)
    clinic.decisions.unlink(E1, STUDY, WANG)
    clinic.ris(Report__Findings="corrected", **LISTS)
    assert not clinic.case().links
    with pytest.raises(InvalidData, match="not joined"):
        clinic.decisions.unlink(E1, STUDY, WANG)
    clinic.decisions.link(E1, STUDY, WANG)
    clinic.settle()
    assert clinic.case().links == {STUDY: "by hand"}
    with pytest.raises(InvalidData, match="no StudyInstanceUID"):
        clinic.decisions.link(E1, "study one", WANG)


def test_a_difference_that_came_after_the_person_looked_stays(doubtful: ExamWorkflow) -> None:
    seen = doubtful.decisions.differences("e1")
    doubtful.pacs(STUDY, number=2, patient_id="P0009", sex="M")
    now = doubtful.decisions.differences("e1")
    assert set(seen.standing) < set(now.standing)
    assert seen.mark != now.mark
    assert doubtful.decisions.resolve("e1", WANG, seen) == list(seen.texts)
    doubtful.settle()
    assert doubtful.delivery().state == State.HELD
    assert set(doubtful.decisions.differences("e1").standing) == set(now.standing) - set(seen.standing)


# -- as commands


def test_resolve_prints_what_differs_and_settles_it_by_its_mark(
    doubtful: ExamWorkflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "router.toml"
    file.write_text(CONFIG + CLOUD)
    assert call("resolve", "e1", "--why", "asked the ward", "--config", str(file)) == 2
    told = capsys.readouterr().err
    assert f"resolve e1 ({E1}); --seen " in told
    assert f"study {STUDY} differs from the exam in patient id, name" in told
    mark = told.partition("--seen ")[2].split()[0]
    assert call("resolve", "e1", "--why", "asked the ward", "--seen", mark, "--config", str(file)) == 0
    doubtful.later(days=3650)  # the commands go by the real clock
    assert doubtful.delivery().state != State.HELD


def test_release_says_that_it_settles_no_identity_doubt(
    doubtful: ExamWorkflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "router.toml"
    file.write_text(CONFIG + CLOUD)
    why = ["--why", "let it go", "--config", str(file)]
    assert call("release", "e1", *why) == 2
    assert "an identity doubt: release does not settle it" in capsys.readouterr().err
    assert call("release", "e1", "--yes", *why) == 0
    assert "is not settled by this and holds again: `queue resolve` e1" in capsys.readouterr().err
    doubtful.later(days=3650)  # the commands go by the real clock
    assert doubtful.delivery().state == State.HELD


def test_the_commands_answer_with_the_exit_status_of_the_contract(doubtful: ExamWorkflow, tmp_path: Path) -> None:
    file = tmp_path / "router.toml"
    file.write_text(CONFIG + CLOUD)
    why = ["--why", "asked the ward", "--who", "wang", "--config", str(file)]
    assert call("resolve", E1, "--config", str(file)) == 2  # without a reason
    assert call("resolve", E1, *why) == 2  # nobody is there to be asked
    assert call("resolve", E1, "--seen", "0" * 12, *why) == 1  # something else differed when somebody looked
    assert call("resolve", E1, "--yes", *why) == 0
    assert call("resolve", E1, "--yes", *why) == 1
    assert call("alias", "P9", "--yes", *why) == 2
    assert call("alias", "P9", "P0001", *why) == 2
    assert call("alias", "P9", "P0001", "--yes", *why) == 0
    assert call("alias", "--list", "--json", "--config", str(file)) == 0
    assert call("alias", "P9", "P0001", "--remove", "--yes", *why) == 0
    assert call("link", E1, "7.1", *why) == 2
    assert call("link", E1, "7.1", "--yes", *why) == 0
    assert call("unlink", E1, "7.1", "--json", "--yes", *why) == 0
    doubtful.clock.advance(timedelta(days=3650).total_seconds())  # the commands go by the real clock
    doubtful.settle()
    assert doubtful.delivery().state == State.READY


def call(*arguments: str) -> int:
    """The exit status of `queue` with these arguments."""
    with pytest.raises(SystemExit) as ended:
        main(["queue", *arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_both_sides_of_a_doubt_are_shown_to_who_asks_and_that_is_in_the_history(
    doubtful: ExamWorkflow, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "router.toml"
    file.write_text(CONFIG + CLOUD)
    assert call("compare", E1, "--config", str(file), "--json") == 0
    (told,) = json.loads(capsys.readouterr().out)
    assert [(side["study_uid"], side["patient_id"], side["name"]) for side in told["sides"]] == [
        ("", "P0001", "张三"), (STUDY, "P9", "李^四"),
    ]  # fmt: skip
    events = [event for _, event in doubtful.catalogue.history.of([told["number"]], [])]
    assert [event.text for event in events if event.kind == Kind.VIEWED] == ["patient data shown by queue compare"]
    assert call("compare", E2, "--config", str(file)) == 1
