"""A platform that forgets, by commands of a person: what it lost is found and goes again; an exam is withdrawn."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from router.model import Channel
from router.policy.states import State
from support.harness import Site, command_here, make_exam, send_all

REPORT = (Channel.REPORT,)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("compared")
    site = Site(folder, stable_after="300 ms", accept_empty=["Patient.IdNo"], platform_options=("--forget", "100%"))
    try:
        yield site.start()
    finally:
        site.stop()


def queue(site: Site, *words: str) -> tuple[int, Any]:
    done = command_here("queue", *words, "--json", "--config", site.config_file)
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def compared(site: Site) -> tuple[int, int, int, int]:
    """Exit status; the numbers of ours, of theirs, and of those missing."""
    status, (found, images) = queue(site, "reconcile", "--remote")
    assert (images["channel"], images["offered"]) == ("images", False)  # the platform answers no C-FIND
    return status, found["ours"], found["there"], len(found["missing"])


def test_what_the_platform_forgot_is_found_and_goes_again_and_an_exam_is_withdrawn(site: Site) -> None:
    exam = make_exam(site, 1, instances=2)
    send_all(site.port, exam.study.files)
    site.report(exam)
    site.wait_for(State.DELIVERED, exam.id, channels=REPORT)
    assert compared(site) == (1, 1, 0, 1)
    status, said = queue(site, "reconcile", "--remote", "--resend")
    assert (status, "--yes" in said) == (2, True)
    assert site.is_in(State.DELIVERED, exam.id, REPORT)
    status, (found, _) = queue(site, "reconcile", "--remote", "--resend", "--yes")
    assert (status, found["resent"], found["missing"][0]["exam"]) == (0, 1, "e1")
    receipts = site.platform_data / "receipts.jsonl"
    site.wait_until(lambda: receipts.stat().st_size > 0, "the platform has it again")
    site.wait_for(State.DELIVERED, exam.id, channels=REPORT)
    assert json.loads(receipts.read_text(encoding="utf-8"))["revision"] == 1
    assert compared(site) == (0, 1, 1, 0)

    assert queue(site, "withdraw", "e1", "--why", "the wrong patient")[0] == 2
    assert queue(site, "withdraw", "e1", "--why", "the wrong patient", "--yes")[0] == 0
    site.wait_for(State.WITHDRAWN, exam.id, channels=REPORT)
    (line,) = (site.platform_data / "withdrawals.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["revision"] == 1
    assert exam.id not in site.node.log.read_text(encoding="utf-8")
    shown = json.loads(command_here("status", "--json", "--config", site.config_file).stdout)["compared"][0]
    assert (shown["destination"], shown["missing"], shown["unknown"]) == ("cloud", 0, 0)
