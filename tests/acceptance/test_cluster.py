"""Two nodes on one database and one data folder: both receive and send, and one goes on alone when the other dies."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.delivery.ledger_writer import LEDGER_BATCH
from router.policy.states import State
from support.cluster import Cluster
from support.harness import make_exam, send, send_all
from support.postgres import Server

IN_FLIGHT = 2  # the destination's associations
# pynetdicom leaves the socket of a peer that was killed to the garbage collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def cluster(server: Server, tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path, server.new_schema(), 2)
    try:
        yield found
    finally:
        found.stop()


def test_two_nodes_share_the_work_and_when_one_is_killed_the_other_takes_over_what_it_had(cluster: Cluster) -> None:
    site, (second,) = cluster.site, cluster.further
    shared, orphaned = make_exam(site, 1, instances=30, side=10), make_exam(site, 2, instances=30, side=10)
    files = shared.study.files
    for port, half in zip(cluster.ports, (files[:20], files[10:]), strict=True):  # ten come to both
        send_all(port, half)
    site.report(shared)
    site.wait_for(State.DELIVERED, shared.id)
    site.assert_images_equal(shared.study)
    assert len(site.receipts(shared.id)) == 1

    results = send(cluster.ports[0], orphaned.study.files)
    assert next(results).status == 0
    os.kill(site.node.number, signal.SIGSTOP)  # its worker goes on acknowledging, and nobody catalogues
    assert [result.status for result in results] == [0] * (len(orphaned.study.files) - 1)
    site.report(orphaned)
    site.node.kill()
    site.wait_until(lambda: site.is_in(State.DELIVERED, orphaned.id), "the other node delivers it", 15)
    site.assert_images_equal(orphaned.study)
    assert cluster.waiting(1) == 0
    assert "instance(s) that the node node1 had acknowledged are taken over" in second.log.read_text("utf-8")
    requests = site.stored_requests()
    assert requests.total() <= len(files) + len(orphaned.study.files) + IN_FLIGHT + 2 * LEDGER_BATCH
    assert sorted(path.name for path in site.drop_folder.iterdir() if path.is_file()) == []
    assert not site.exam_at_platform(orphaned.id, 2).exists()

    assert site.node.running, "the first one comes back under its name"
    again = make_exam(site, 3, instances=5, side=10)
    send_all(site.port, again.study.files)
    site.report(again)
    site.wait_for(State.DELIVERED, again.id)
    assert site.node.stop() == 0
    assert second.stop() == 0
