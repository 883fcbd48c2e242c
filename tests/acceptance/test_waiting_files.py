"""Files of the drop folder that no exam comes of, through a running node; one that ends it is set aside at last."""

import json
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from router.model import Channel
from router.policy.states import Needs
from support.harness import Exam, Site, command_here, make_exam

# The main process itself ends while it reads the file: no program of its own stands between.
_DIES = """
import os, sys
from router import cli
from router.intake.exam_reader import ExamReader
read = ExamReader.read
def dies(self, data):
    if b"POISON" in data:
        os.write(2, b"it dies of it\\n")
        os.abort()
    return read(self, data)
ExamReader.read = dies
cli.main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("waiting"), stable_after="300 ms", program=("forked", _DIES))
    try:
        site.configure()
        text = site.config_file.read_text(encoding="utf-8")
        site.config_file.write_text(text.replace('rescan = "1 s"', 'rescan = "300 ms"\npair_within = "2 s"'), "utf-8")
        assert site.node.running
        yield site
    finally:
        site.stop()


@pytest.fixture(scope="module")
def exam(site: Site) -> Exam:
    return make_exam(site, 1, instances=1)


def asked(site: Site, *words: str) -> Any:
    return json.loads(command_here(*words, "--json", "--config", site.config_file).stdout)


def counts(site: Site) -> dict[str, int]:
    found: dict[str, int] = asked(site, "status")["files"]
    return found


def alarms(site: Site) -> list[str]:
    return sorted(one["alarm"] for one in asked(site, "status")["alarms"] if "file" in one["about"])


def until(site: Site, **wanted: int) -> None:
    site.wait_until(lambda: wanted.items() <= counts(site).items(), f"files {wanted}")


def test_what_nearly_pairs_is_shown_and_an_alarm_until_the_exact_name_comes(site: Site, exam: Exam) -> None:
    site.drop("e1.json", exam.json())
    site.drop("E1.PDF", exam.pdf(site.folder))
    until(site, near=1, unclaimed=1)
    assert alarms(site) == ["unclaimed-pdf"]
    told = command_here("queue", "explain", exam.id, "--config", site.config_file).stdout
    assert "nearly e1.json; the difference: upper and lower case" in told
    site.drop("e1.pdf", exam.pdf(site.folder))
    site.wait_until(lambda: not _waits_for_its_pdf(site, exam), "the exam has its PDF")
    assert counts(site)["unclaimed"] == 1  # nobody has said that the other one is nobody's
    answer = asked(site, "queue", "dismiss", "E1.PDF", "--why", "a copy of e1.pdf")
    assert len(answer["dismissed"]) == 2
    assert alarms(site) == []


def test_a_refused_file_is_an_alarm_over_a_restart_until_it_is_replaced(site: Site, exam: Exam) -> None:
    site.drop("r.json", b'{"ExamId": ')
    site.drop("s.json", b"[")
    (site.drop_folder / "readme.txt").write_bytes(b"x")
    until(site, rejected=2, other=1)
    assert alarms(site) == ["rejected-file", "rejected-file"]
    site.node.stop()
    (site.drop_folder / "rejected" / "s.json").unlink()
    assert site.node.running
    until(site, rejected=1)
    assert alarms(site) == ["rejected-file"]
    site.drop("r.json", make_exam(site, 2, instances=1).json())
    until(site, rejected=0)
    (site.drop_folder / "readme.txt").unlink()
    until(site, other=0)
    assert alarms(site) == []


def test_a_file_that_ends_the_program_twice_is_refused_at_the_third_start_and_the_rest_goes_on(site: Site) -> None:
    assert site.node.running
    after = make_exam(site, 3, instances=1)
    running = site.node
    site.drop("poison.json", json.dumps({"ExamId": "POISON-1"}).encode())
    assert running.ended(20) == -6
    site.drop("after.json", after.json())
    while not counts(site)["rejected"]:
        _kept_running(site)
    assert site.log.count("it dies of it") == 2
    (one,) = asked(site, "queue", "files")
    assert (one["name"], one["why"]) == ("poison.json", "poison")
    assert "has ended the program 2 times" in one["reason"]
    assert alarms(site) == ["rejected-file"]
    reason = (site.drop_folder / "rejected" / "poison.reason.txt").read_text("utf-8")
    assert "has ended the program 2 times" in reason
    assert (site.drop_folder / "rejected" / "poison.json").exists()
    site.wait_until(lambda: bool(site.lines(after.id)), "the other exam is known")
    time.sleep(1)
    assert site.node.running
    assert (
        command_here("queue", "dismiss", one["file"], "--why", "sent on", "--config", site.config_file).returncode == 0
    )
    assert alarms(site) == []


def _waits_for_its_pdf(site: Site, exam: Exam) -> bool:
    return Needs.PDF in site.line(exam.id, Channel.REPORT).delivery.waiting_for


def _kept_running(site: Site) -> None:
    """Start the node again where it has ended, as a service manager does, also before it was ready."""
    time.sleep(0.1)
    with suppress(pytest.fail.Exception):
        assert site.node
