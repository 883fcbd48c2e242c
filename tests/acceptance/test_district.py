"""Hospitals of one node whose numbers are all alike: nothing is mixed, whatever happens to the node meanwhile."""

import json
import shutil
from collections.abc import Iterator

import pytest

from router.policy.states import State
from support.district import LATER, MEMBERS, District
from support.harness import command_here

NAMES = [one.name for one in MEMBERS]


@pytest.fixture(scope="module")
def district(tmp_path_factory: pytest.TempPathFactory) -> Iterator[District]:
    district = District(tmp_path_factory.mktemp("district"))
    try:
        yield district
    finally:
        district.stop()


def delivered(district: District, number: int) -> str:
    """Have an exam of each hospital delivered; their ExamId."""
    exams = district.exams(number)
    for one, exam in exams:
        district.send(one, exam)
        district.report(one, exam)
    district.wait_for(exams[0][1].id, NAMES)
    return exams[0][1].id


def run(district: District, *words: object) -> str:
    """A command of ours that must succeed; what it prints."""
    done = command_here(*words, "--config", district.site.config_file)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_exam_arrives_under_its_own_hospital_though_the_node_is_killed_twice(district: District) -> None:
    site, exams = district.site, district.exams(1)
    for one, exam in exams:
        district.report(one, exam)
    district.send(*exams[0])
    site.node.kill()
    for one, exam in exams[1:]:
        district.send(one, exam)
    site.wait_until(lambda: bool(district.at_platform("E1")), "the first report is there")
    site.node.kill()
    assert site.node.running
    district.wait_for("E1", NAMES)
    assert district.at_platform("E1") == {name: [1] for name in NAMES}
    for _, exam in exams:
        site.assert_images_equal(exam.study)
    district.assert_nothing_is_mixed()


def test_a_hospital_that_is_added_and_removed_while_the_node_runs_takes_nothing_of_the_others(
    district: District,
) -> None:
    delivered(district, 2)
    district.register(LATER)
    exam = district.exam(LATER, 2)
    assert "hospital laonian (new)" in district.reload()
    district.send(LATER, exam)
    district.report(LATER, exam)
    district.wait_for("E2", [LATER.name])
    next_exam = district.exam(LATER, 3)
    district.remove(LATER)
    assert "hospital laonian (gone)" in district.reload()
    district.send(LATER, next_exam)
    district.report(LATER, next_exam)
    district.wait_for("E3", ["?"], State.HELD)
    delivered(district, 3)
    assert district.at_platform("E3") == {name: [1] for name in NAMES}
    assert not (district.site.platform_data / "dicom" / next_exam.study.uid).exists()
    district.register(LATER)
    district.reload()
    district.wait_for("E3", [LATER.name])
    assert district.at_platform("E2") == district.at_platform("E3") == {name: [1] for name in [*NAMES, LATER.name]}
    district.assert_nothing_is_mixed()
    district.remove(LATER)
    district.reload()


def test_rows_that_are_rebuilt_from_the_files_alone_are_each_hospitals_own(district: District) -> None:
    site, exam_id = district.site, delivered(district, 4)
    before = {(one.exam, one.hospital, one.channel) for one in district.deliveries(exam_id)}
    site.node.kill()
    for path in site.data.glob("router.db*"):
        path.unlink()
    shutil.rmtree(site.data / "backup", ignore_errors=True)
    run(district, "verify", "--rebuild")
    assert site.node.running
    district.wait_for(exam_id, NAMES, State.HELD)
    assert {(one.exam, one.hospital, one.channel) for one in district.deliveries(exam_id)} == before
    assert all(one.error.startswith("ledger lost") for one in district.deliveries(exam_id))
    run(district, "queue", "release", "--all", "--yes", "--why", "the platform takes it once")
    district.wait_for(exam_id, NAMES)
    assert district.at_platform(exam_id) == {name: [1] for name in NAMES}
    district.assert_nothing_is_mixed()


def test_a_copy_of_the_database_that_is_put_back_leaves_each_exam_to_its_hospital(district: District) -> None:
    site, before = district.site, delivered(district, 5)
    run(district, "backup", "now")
    exam_id = delivered(district, 6)
    copy = json.loads(run(district, "backup", "list", "--json"))[0]["file"]
    site.node.kill()
    run(district, "backup", "restore", copy)
    assert site.node.running
    district.wait_for(exam_id, NAMES, State.HELD)
    run(district, "queue", "release", "--all", "--yes", "--why", "the platform takes it once")
    district.wait_for(exam_id, NAMES)
    for each in (before, exam_id):
        assert district.at_platform(each) == {name: [1] for name in NAMES}
    district.assert_nothing_is_mixed()
