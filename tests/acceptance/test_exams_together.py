"""The running node: a study of two exams, and what the exam JSON counts."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from router.model import Channel
from router.policy.states import Needs, State
from router.trial.demo.studies import read_studies
from support.harness import Exam, Site, SlowCloud, command_here, make_exam, send_all

IMAGES, OTHER = (Channel.IMAGES,), "ACC7183-0099"


class Refusing(SlowCloud):
    """A destination for images that will not take one of them."""

    refused = ""

    def _store(self, event: Any) -> int:
        if event.request.AffectedSOPInstanceUID == self.refused:
            return 0xC000
        return super()._store(event)


@pytest.fixture
def cloud() -> Iterator[Refusing]:
    found = Refusing()
    yield found
    found.stop()


@pytest.fixture
def together(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path / "site", settings='\n[share]\nshared_study = "all"\n')
    try:
        yield site.start()
    finally:
        site.stop()


def of_two_exams(site: Site) -> tuple[Exam, Exam]:
    """Four slices; the request of the last two, a series of their own, is the second exam's alone."""
    exam = make_exam(site, 1, instances=4, side=10)
    paths = [file.path for file in exam.study.files]
    for path in paths[2:]:
        dataset, request = dcmread(path), Dataset()
        request.AccessionNumber = OTHER
        dataset.RequestAttributesSequence = [request]
        dataset.SeriesInstanceUID = f"{exam.study.uid}.2"
        dataset.save_as(path, enforce_file_format=True)
    first = replace(exam, study=read_studies(paths)[0])
    return first, replace(first, id="EXM7183-0099")


def waits(site: Site, exam: Exam) -> bool:
    return any(Needs.OTHERS in line.delivery.waiting_for for line in site.lines(exam.id))


def count_at_platform(site: Site, exam: Exam) -> int:
    """ImageCount of the last revision."""
    newest = site.exam_at_platform(exam.id, len(site.receipts(exam.id))) / "exam.json"
    return int(json.loads(newest.read_bytes())["Study"]["ImageCount"])


def test_images_wait_for_both_approvals_and_the_series_of_a_cancelled_exam_stays(together: Site) -> None:
    site = together
    first, second = of_two_exams(site)
    draft = second.json(approved=False, Order__AccessionNumber=OTHER)
    site.drop(f"{second.id}.json", draft)
    site.wait_for(State.WAITING, second.id)
    send_all(site.port, first.study.files)
    site.report(first)
    site.wait_until(lambda: waits(site, first), "it waits for the other exam")
    assert not site.stored_requests()
    call = ("queue", "cancel", second.id, "--why", "not to be reported", "--config", site.config_file)
    assert command_here(*call).returncode == 0
    site.wait_for(State.DELIVERED, first.id)
    assert set(site.stored_requests()) == {file.sop_instance for file in first.study.files[:2]}
    assert count_at_platform(site, first) == 2
    told = command_here("queue", "explain", first.id, "--config", site.config_file).stdout
    assert "withheld" in told
    assert "names another exam alone" in told


def test_both_go_when_both_are_approved_each_image_once(together: Site) -> None:
    site = together
    first, second = of_two_exams(site)
    site.drop(f"{second.id}.json", second.json(approved=False, Order__AccessionNumber=OTHER))
    site.wait_for(State.WAITING, second.id)
    send_all(site.port, first.study.files)
    site.report(first)
    site.wait_for(State.DELIVERED, first.id, (Channel.REPORT,))
    site.report(second, Order__AccessionNumber=OTHER)
    for exam in (first, second):
        site.wait_for(State.DELIVERED, exam.id)
    assert site.stored_requests() == {file.sop_instance: 1 for file in first.study.files}
    assert count_at_platform(site, second) == 4


def test_a_refused_image_is_not_counted(tmp_path: Path, cloud: Refusing) -> None:
    site = Site(tmp_path / "site", dicom_port=cloud.port)
    try:
        site.start()
        exam = make_exam(site, 1, instances=3, side=10)
        cloud.refused = exam.study.files[1].sop_instance
        send_all(site.port, exam.study.files)
        site.report(exam)
        site.wait_for(State.FAILED, exam.id, IMAGES)
        site.wait_for(State.DELIVERED, exam.id, (Channel.REPORT,))
        site.wait_until(lambda: count_at_platform(site, exam) == 2, "the count is what the destination has")
        site.wait_for(State.DELIVERED, exam.id, (Channel.REPORT,))
        assert len(site.receipts(exam.id)) <= 2
    finally:
        site.stop()
