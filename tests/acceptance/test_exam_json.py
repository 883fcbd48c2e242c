"""The exam JSON through the node: faults keep the report waiting, images go, and a mended table or file releases it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.model import Channel
from router.policy.states import Needs, State
from router.trial.demo.report import accession_number
from support.harness import Exam, Site, command_here, make_exam, send_all

IMAGES, REPORT = (Channel.IMAGES,), (Channel.REPORT,)
HEADER = "own_code,own_name,code,name\n"
APPLY = ("Order.ApplyDepartmentCodeStd", "Order.ApplyDepartmentNameStd")
TABLES = """
[codes]
folder = "codes"
[[device]]
station_name = "NOWHERE"
DeviceAETitle = "CT99"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("exam-json")
    site = Site(folder, stable_after="500 ms", accept_empty=(*APPLY, "Patient.Telephone"), settings=TABLES)
    (folder / "codes").mkdir()
    enter(site, "")
    try:
        yield site.start()
    finally:
        site.stop()


def enter(site: Site, rows: str) -> None:
    (site.folder / "codes" / "departments.csv").write_text(HEADER + rows, encoding="utf-8")


def sent(site: Site, exam: Exam, revision: int = 1) -> dict[str, dict[str, object]]:
    document: dict[str, dict[str, object]] = json.loads(
        (site.exam_at_platform(exam.id, revision) / "exam.json").read_bytes()
    )
    return document


def given(site: Site, number: int, **changes: object) -> Exam:
    """An exam with images and papers in which these fields are so."""
    exam = make_exam(site, number, instances=2)
    send_all(site.port, exam.study.files)
    site.report(exam, **changes)
    return exam


def test_a_code_that_no_table_knows_keeps_the_report_until_the_table_has_it(site: Site) -> None:
    exam = given(site, 1, Order__ExecDepartmentCodeStd="", Order__ExecDepartmentNameStd="")
    site.wait_for(State.DELIVERED, exam.id, IMAGES)
    site.wait_until(lambda: site.line(exam.id, Channel.REPORT).delivery.waiting_for == (Needs.JSON,), "json alone")
    error = site.line(exam.id, Channel.REPORT).delivery.error
    assert "Order.ExecDepartmentCodeStd (检查科室标准编码): missing" in error
    assert "departments.csv" in error
    unknown = command_here("codes", "unknown", "--json", "--config", site.config_file)
    assert unknown.returncode == 1
    told = json.loads(unknown.stdout)
    assert {"table": "departments", "kind": "own", "code": "3201", "name": "放射科", "count": 1} in told

    enter(site, "3201,,32,医学影像科\n")
    site.wait_for(State.DELIVERED, exam.id, REPORT)
    assert sent(site, exam)["Order"]["ExecDepartmentNameStd"] == "医学影像科"


def test_what_the_platform_refuses_is_shown_field_by_field_and_goes_when_the_table_mends_it(site: Site) -> None:
    exam = given(site, 2, Order__ApplyDepartmentCodeStd="", Order__ApplyDepartmentNameStd="")
    site.wait_for(State.FAILED, exam.id, REPORT)
    assert "Order.ApplyDepartmentCodeStd (申请科室标准编码)" in site.line(exam.id, Channel.REPORT).delivery.error
    enter(site, "3201,,32,医学影像科\n0301,,03,内科\n")
    site.wait_for(State.DELIVERED, exam.id, REPORT)
    assert sent(site, exam, 2)["Order"]["ApplyDepartmentCodeStd"] == "03"


def test_a_corrected_file_goes_by_itself_after_a_refusal(site: Site) -> None:
    exam = given(site, 3, Patient__Telephone="")
    site.wait_for(State.FAILED, exam.id, REPORT)
    assert "Patient.Telephone (手机号码)" in site.line(exam.id, Channel.REPORT).delivery.error
    site.drop(f"{exam.id}.json", exam.json())
    site.wait_for(State.DELIVERED, exam.id, REPORT)


def test_warnings_do_not_stop_a_report_and_are_in_its_story(site: Site) -> None:
    exam = given(site, 5, Order__CheckInTime="", Report__PositiveStatus=None, Order__Price="9.90")
    site.wait_for(State.DELIVERED, exam.id)
    told = next(line for line in site.log.splitlines() if "goes with warnings" in line and "PositiveStatus" in line)
    assert "Order.CheckInTime (登记时间)" in told
    assert "Order.Price" in told
    assert not [secret for secret in exam.secrets() if secret in told]
    assert "Price" not in sent(site, exam)["Order"]
    assert sent(site, exam)["Report"]["PositiveStatus"] == -1


def test_a_changed_configuration_releases_what_waits_at_the_next_start(site: Site) -> None:
    names = ("Code", "Name", "CodeStd", "NameStd")
    exam = given(site, 6, **{f"Order__ExecDepartment{name}": "" for name in names})
    site.wait_for(State.DELIVERED, exam.id, IMAGES)
    site.wait_until(lambda: site.line(exam.id, Channel.REPORT).delivery.waiting_for == (Needs.JSON,), "json alone")
    site.node.stop()
    settings = site.config_file.read_text(encoding="utf-8")
    settings = settings.replace("[reports]\n", '[reports]\nmapping = "ris.toml"\n')
    settings += '[[department]]\nname = "放射科"\ncode = "3201"\nmodalities = ["CT"]\n'
    site.config_file.write_text(settings, encoding="utf-8")
    (site.folder / "ris.toml").touch()
    assert site.node.running
    site.wait_for(State.DELIVERED, exam.id, REPORT)
    assert sent(site, exam)["Order"]["ExecDepartmentCodeStd"] == "32"


def test_a_mended_mapping_file_releases_what_a_doubt_holds_while_the_node_runs(site: Site) -> None:
    exam = make_exam(site, 7, instances=2)
    send_all(site.port, exam.study.files)
    site.report(exam, Order__AccessionNumber="OTHER", number=accession_number(exam.study))
    site.wait_for(State.HELD, exam.id)
    assert "accession number" in site.line(exam.id, Channel.REPORT).delivery.error
    (site.folder / "ris.toml").write_text('[fields]\n"number" = "Order.AccessionNumber"\n', encoding="utf-8")
    site.wait_for(State.DELIVERED, exam.id)


def test_a_faulty_table_is_told_and_the_former_one_stays_in_use(site: Site) -> None:
    enter(site, "3201,,32,\n")
    site.wait_until(lambda: "departments.csv: line 2" in site.log, "the fault is in the log")
    exam = given(site, 4, Order__ExecDepartmentCodeStd="", Order__ExecDepartmentNameStd="")
    site.wait_for(State.DELIVERED, exam.id, REPORT)
    checked = command_here("validate", Path(__file__), "--config", site.config_file)
    assert checked.returncode == 2
    assert "departments.csv" in checked.stderr
