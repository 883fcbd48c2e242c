"""Stopping and starting all sending of a running node, and the one answer to why nothing goes."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from router.model import Channel
from router.policy.states import State
from support.harness import Exam, Site, SlowCloud, command_here, make_exam, send_all

REPORT = (Channel.REPORT,)
SOME = 5


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[tuple[Site, SlowCloud]]:
    cloud = SlowCloud(pause=0.1)
    site = Site(tmp_path, dicom_port=cloud.port, stable_after="300 ms")
    try:
        yield site.start(), cloud
    finally:
        site.stop()
        cloud.stop()


def run(site: Site, *arguments: str) -> str:
    answer = command_here(*arguments, "--config", site.config_file)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def answers(site: Site, exam: Exam) -> dict[str, dict[str, Any]]:
    (story,) = json.loads(run(site, "queue", "explain", exam.id, "--json"))
    return {one["channel"]: one["answer"] for one in story["deliveries"]}


def alarms(site: Site) -> set[str]:
    return {one["alarm"] for one in json.loads(run(site, "status", "--json"))["alarms"]}


def test_a_pause_stops_what_is_under_way_and_what_comes_later_over_a_restart_until_it_is_ended(
    slow: tuple[Site, SlowCloud],
) -> None:
    site, cloud = slow
    first, second = make_exam(site, 1, instances=120), make_exam(site, 2, instances=1)
    send_all(site.port, first.study.files)
    site.report(first)
    site.wait_until(lambda: cloud.requests_of(first.study).total() >= SOME, "forwarding is in full swing")
    run(site, "queue", "pause", "--why", "the platform moves", "--yes")
    site.wait_until(lambda: site.is_in(State.READY, first.id, (Channel.IMAGES,)), "it is given back", seconds=6)
    went = cloud.requests_of(first.study).total()
    assert went < len(first.study.files)

    send_all(site.port, second.study.files)
    site.report(second)
    site.wait_for(State.READY, second.id)
    assert site.node.stop() == 0
    assert site.node.running
    site.wait_until(lambda: "paused" in alarms(site), "the alarm stands")
    time.sleep(3)
    assert (cloud.requests_of(first.study).total(), cloud.requests_of(second.study).total()) == (went, 0)
    assert site.receipts(second.id) == []
    for one in answers(site, second).values():
        assert "sending to all destinations is paused by " in one["what"]
        assert (one["who"], one["command"]) == ("an administrator", "scripts/queue resume")

    run(site, "queue", "resume")
    cloud.pause = 0
    for exam in (first, second):
        site.wait_for(State.DELIVERED, exam.id, seconds=30)
    cloud.assert_has(first.study)
    assert set(cloud.requests_of(first.study).values()) == {1}, "what went before the pause does not go again"
    site.wait_until(lambda: "paused" not in alarms(site), "the alarm ends", seconds=25)


def test_a_wrong_key_waits_for_an_administrator_and_a_dead_line_says_when_it_is_tried(tmp_path: Path) -> None:
    site = Site(tmp_path, stable_after="300 ms")
    try:
        site.configure()
        key = site.folder / "keys" / "api.key"
        assert site.platform.running
        key.write_text("0" * 64 + "\n", encoding="utf-8")
        assert site.node.running
        exam = make_exam(site, 1, instances=1)
        send_all(site.port, exam.study.files)
        site.report(exam)
        site.wait_until(lambda: "breaker" in alarms(site), "the key is refused")
        said = answers(site, exam)["report"]
        assert "cloud takes nothing until this is corrected: the platform refuses the interface key" in said["what"]
        assert (said["who"], said["command"]) == ("an administrator", "scripts/doctor")
        shown = run(site, "status") + run(site, "queue", "list") + run(site, "queue", "explain", exam.id)
        assert "by itself once" not in shown
        (line,) = [
            line for line in run(site, "queue", "explain", exam.id).splitlines() if " report to cloud: cloud" in line
        ]
        assert "an administrator must act: `scripts/doctor`" in line
    finally:
        site.stop()
