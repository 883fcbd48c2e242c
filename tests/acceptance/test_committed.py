"""The node with storage commitment: what is stored is not delivered until the destination says that it keeps it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from router.model import Channel
from router.policy.states import Needs, State
from support.committing_destination import Asked, Cloud
from support.harness import Exam, Site, command_here, make_exam, send_all

IMAGES = (Channel.IMAGES,)
# pynetdicom leaves the socket of a peer that was killed to the garbage collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def peer() -> Iterator[Cloud]:
    running = Cloud()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def site(peer: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    settings = 'commitment = true\ncommitment_wait = "300 ms"\ncommitment_within = "2 s"'
    found = Site(
        tmp_path_factory.mktemp("committed"), dicom_port=peer.port, stable_after="300 ms", dicom_settings=settings
    )
    try:
        yield found.start()
    finally:
        found.stop()


def explained(site: Site, exam: Exam) -> dict[str, Any]:
    """The images delivery as `queue explain` tells it."""
    answer = command_here("queue", "explain", exam.id, "--json", "--config", site.config_file)
    [story] = json.loads(answer.stdout)
    return next(dict(one) for one in story["deliveries"] if one["channel"] == "images")


def asked_for(peer: Cloud, exam: Exam) -> list[Asked]:
    """The requests that hold instances of the exam."""
    mine = {file.sop_instance for file in exam.study.files}
    return [asked for asked in peer.asked if {uid for _, uid in asked.items} <= mine]


def needs(site: Site, exam: Exam) -> list[Needs]:
    lines = site.lines(exam.id)
    return [need for line in lines if line.delivery.channel in IMAGES for need in line.delivery.waiting_for]


def test_a_report_that_comes_after_a_crash_over_an_association_of_the_destination_delivers(
    site: Site, peer: Cloud
) -> None:
    exam = make_exam(site, 1, instances=7, side=10)
    send_all(site.port, exam.study.files)
    site.report(exam)
    site.wait_until(lambda: needs(site, exam) == [Needs.COMMITMENT], "it waits for commitment alone")
    line = site.line(exam.id, Channel.IMAGES)
    assert (line.delivery.state, line.selected, line.sent) == (State.WAITING, 7, 0)
    site.wait_for(State.DELIVERED, exam.id, (Channel.REPORT,))
    asked = asked_for(peer, exam)[0]
    request = explained(site, exam)["commitment_requests"][0]
    assert (request["transaction"], request["instances"]) == (asked.transaction, 7)
    told = command_here("queue", "explain", exam.id, "--config", site.config_file).stdout
    assert "storage commitment" in told
    verified = command_here("verify", "--config", site.config_file).stdout
    assert "7 sent instance version(s) wait for a destination's storage commitment" in verified

    site.node.kill()
    assert peer.report(asked, site.port) == 0
    site.wait_for(State.DELIVERED, exam.id)
    assert {uid for _, uid in asked.items} == {file.sop_instance for file in exam.study.files}
    assert set(peer.stored.values()) == {1}
    assert site.line(exam.id, Channel.IMAGES).sent == 7
    assert explained(site, exam)["commitment_requests"] == []


def test_without_a_report_the_node_asks_again_and_what_is_refused_waits_for_a_person(site: Site, peer: Cloud) -> None:
    exam = make_exam(site, 2, instances=3, side=10)
    odd = exam.study.files[0].sop_instance
    send_all(site.port, exam.study.files)
    site.report(exam)
    site.wait_until(lambda: len(asked_for(peer, exam)) >= 2, "asked again")
    first, second = asked_for(peer, exam)[:2]
    assert first.items == second.items
    peer.reasons = {odd: 0x0119}
    assert peer.report(second, site.port) == 0
    peer.reasons = {}
    site.wait_for(State.FAILED, exam.id, IMAGES)
    line = site.line(exam.id, Channel.IMAGES)
    assert (line.delivery.error, line.sent) == ("1 of 3 refused", 2)

    retry = command_here(
        "queue", "retry", f"d{line.delivery.id}", "--why", "mended there", "--config", site.config_file
    )
    assert retry.returncode == 0
    site.wait_until(lambda: asked_for(peer, exam)[-1].items == first.items[:1], "what was sent again is asked for")
    assert peer.report(asked_for(peer, exam)[-1], site.port) == 0
    site.wait_for(State.DELIVERED, exam.id)
    assert [peer.stored[file.sop_instance] for file in exam.study.files] == [2, 1, 1]
    assert "class/instance conflict" in site.log
    assert all(secret not in site.log for secret in exam.secrets())
