"""What says that images are of the exam's patient, and what does not, with a real correlator."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from router.cli import main
from router.correlator.joining import doubts
from router.matching.patient.policy import identity_policy
from router.policy.states import State
from router.reports.pdf.reader import Readers
from router.text.decoding import UNREADABLE
from support.exam_workflow import CLOUD, WANG, ExamWorkflow
from support.intake_folder import CONFIG, E1, E2

STUDY = "1.2.1"
LISTS: dict[str, object] = {"Study__StudyInstanceUIDs": [STUDY]}
NOTHING: dict[str, Any] = {"patient_id": "", "name": "", "birth_date": "", "sex": "", "accession": ""}
OpenClinic = Callable[[str], ExamWorkflow]


@pytest.fixture
def opened(tmp_path: Path, readers: Readers) -> Iterator[OpenClinic]:
    made: list[ExamWorkflow] = []

    def opened(settings: str) -> ExamWorkflow:
        made.append(ExamWorkflow(tmp_path, readers, f"\n[identity]\n{settings}\n" if settings else ""))
        return made[-1]

    yield opened
    for clinic in made:
        clinic.catalogue.engine.close_thread()


def shown(clinic: ExamWorkflow, **header: str) -> tuple[State, str]:
    clinic.ris(**LISTS)
    clinic.pacs(STUDY, **NOTHING | header)
    delivery = clinic.delivery()
    return delivery.state, delivery.error


@pytest.mark.parametrize(
    ("header", "checks_1", "checks_2"),
    [
        ({}, "", "none of patient id"),
        ({"name": "ZHANG^SAN"}, "", "none of patient id"),
        ({"name": "ZHANG^SAN", "sex": "F"}, "", ""),
        ({"name": "LI^SI", "sex": "F"}, "", "no reading"),
        ({"name": "LI^SI", "accession": "A0001"}, "", ""),
        ({"patient_id": "000000", "accession": "1", "sex": "F"}, "", "none of patient id"),
        ({"name": UNREADABLE}, "no certain reading", "no certain reading"),
        ({"name": UNREADABLE, "accession": "A0001"}, "", ""),
        ({"name": "李^四", "accession": "A0001"}, "differs from the exam in name", "differs from the exam in name"),
    ],
)
def test_a_later_set_of_checks_holds_only_where_a_person_has_said_so(
    opened: OpenClinic, header: dict[str, str], checks_1: str, checks_2: str
) -> None:
    for checks, why in ((1, checks_1), (2, checks_2)):
        clinic = opened(f"checks = {checks}")
        if checks == 2:
            clinic.exams.request_evaluation([clinic.case().exam], clinic.clock.now())
            clinic.settle()
            state, error = clinic.delivery().state, clinic.delivery().error
        else:
            state, error = shown(clinic, **header)
        assert (state == State.HELD) == bool(why)
        assert why in error


def test_what_is_said_to_be_one_patient_stays_so_after_a_restart_and_more_images(opened: OpenClinic) -> None:
    clinic = opened("")
    assert shown(clinic)[0] == State.HELD
    assert "none of patient id" in clinic.decisions.resolve(E1, WANG)[0]
    clinic.settle()
    clinic.restart()
    clinic.pacs(STUDY, number=2, **NOTHING)
    assert clinic.delivery().state == State.READY
    clinic.pacs(STUDY, number=3, **NOTHING | {"sex": "M"})
    assert clinic.delivery().state == State.HELD


def test_a_study_that_a_person_has_joined_needs_no_further_evidence(opened: OpenClinic) -> None:
    clinic = opened("")
    clinic.ris()
    clinic.pacs(STUDY, **NOTHING)
    clinic.decisions.link(E1, STUDY, WANG)
    clinic.settle()
    assert clinic.delivery().state == State.READY


def test_the_uid_alone_will_do_where_the_hospital_says_so(opened: OpenClinic) -> None:
    assert shown(opened("evidence = 0"))[0] == State.READY


@pytest.mark.parametrize(("name", "number", "agrees"), [("张三", "", True), ("", "P0001", True), ("", "", False)])
def test_the_accession_number_of_another_exam_counts_where_that_exam_is_known_to_be_this_patients(
    opened: OpenClinic, name: str, number: str, agrees: bool
) -> None:
    clinic = opened("")
    clinic.ris(E2, Order__AccessionNumber="A0002", Patient__Name=name, Patient__PatientId=number, **LISTS)
    clinic.ris(E1, **LISTS)
    clinic.pacs(STUDY, **NOTHING | {"accession": "A0002"})
    delivery = clinic.delivery(E1)
    assert (delivery.state == State.HELD) is not agrees
    assert "differs" not in delivery.error


def test_case_counts_unless_the_hospital_says_otherwise(opened: OpenClinic) -> None:
    assert shown(opened(""), patient_id="p0001")[1].endswith("differs from the exam in patient id")
    clinic = opened("ignore_case = true")
    clinic.decisions.alias("p9", "P0001", WANG)
    clinic.settle()
    clinic.pacs(STUDY, number=2, **NOTHING | {"patient_id": "P9"})
    assert clinic.delivery().state == State.READY


def test_every_doubt_has_a_rule_and_the_set_of_checks_that_brought_it(opened: OpenClinic) -> None:
    clinic = opened("")
    clinic.ris(**LISTS)
    clinic.pacs(STUDY, number=1, patient_id="P9")
    clinic.pacs(STUDY, number=2, **NOTHING)
    clinic.pacs(STUDY, number=3, **NOTHING | {"name": "LI^SI"})
    case = clinic.case()
    _, key = clinic.correlator.facts.jsons.counting(case)
    found = doubts(case, key, [], identity_policy(clinic.config.identity, {})).values()
    assert {(doubt.rule, doubt.since, doubt.study_uid) for doubt in found} == {
        ("differs", 1, STUDY), ("evidence", 2, STUDY), ("spelling", 2, STUDY),
    }  # fmt: skip


def compared(tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str, command: str = "compare") -> str:
    file = tmp_path / "router.toml"
    file.write_text(CONFIG + CLOUD)
    with pytest.raises(SystemExit) as ended:
        main(["queue", command, E1, "--config", str(file), *more])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_compare_tells_field_by_field_what_agrees_what_differs_and_what_is_odd(
    opened: OpenClinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clinic = opened("")
    shown(clinic, patient_id="P0001", name="CHEUNG^SAM", sex="M", birth_date="19000101")
    (told,) = json.loads(compared(tmp_path, capsys, "--json"))
    (side,) = [one for one in told["sides"] if one["study_uid"]]
    assert (side["agree"], side["differ"]) == (["patient id"], ["sex"])
    assert any("no reading" in remark for remark in side["remarks"])
    text = " ".join(compared(tmp_path, capsys).split())
    for word in ("Agree", "patient id", "Differ", "sex", "Cannot be compared", "accession number, birth date, name"):
        assert word in text


def test_compare_tells_that_a_name_has_no_certain_reading(
    opened: OpenClinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(opened(""), patient_id="P0001", name=UNREADABLE)
    (told,) = json.loads(compared(tmp_path, capsys, "--json"))
    assert "no certain reading" in " ".join(told["sides"][1]["remarks"])


def test_explain_tells_what_is_odd_without_a_value(
    opened: OpenClinic, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(opened(""), patient_id="P0001", name="CHEUNG^SAM", sex="F")
    (told,) = json.loads(compared(tmp_path, capsys, "--json", command="explain"))
    (remark,) = told["patient_remarks"]
    assert remark.startswith(f"study {STUDY}: no reading")
    text = compared(tmp_path, capsys, command="explain")
    assert "see `queue compare`" in " ".join(text.split())
    assert "CHEUNG" not in text
    assert "P0001" not in text


def test_the_alarm_about_a_doubt_says_what_differs_after_a_correction(opened: OpenClinic) -> None:
    clinic = opened("")
    assert shown(clinic, patient_id="P9", name="李^四", sex="F")[0] == State.HELD
    (before,) = clinic.catalogue.alarms.standing()
    clinic.ris(**LISTS, Patient__PatientId="P9")
    (after,) = clinic.catalogue.alarms.standing()
    assert "patient id" in before.text
    assert "patient id" not in after.text
    assert "name" in after.text
    assert after.since == before.since
