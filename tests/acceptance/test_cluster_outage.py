"""Two nodes whose database server stops while they send: each instance goes once, over no more associations than the
destination allows."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from router.policy.states import State
from router.storage.unwritten import UnwrittenFiles
from support.cluster import Cluster, CountingCloud, StoppableServer, stoppable_server
from support.harness import Exam, make_exam, send_all

ASSOCIATIONS = 2  # of the destination
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture
def database() -> Iterator[StoppableServer]:
    with stoppable_server() as server:
        yield server


@pytest.fixture
def cloud() -> Iterator[CountingCloud]:
    cloud = CountingCloud(0.01)
    yield cloud
    cloud.stop()


@pytest.fixture
def cluster(database: StoppableServer, cloud: CountingCloud, tmp_path: Path) -> Iterator[Cluster]:
    found = Cluster(tmp_path, database.url, 2, dicom_port=cloud.port)
    try:
        yield found
    finally:
        found.stop()


def kept(cluster: Cluster) -> dict[str, int]:
    """How many results the database has not taken, by the node that has them."""
    files = UnwrittenFiles(cluster.site.data / "unwritten", "")
    return {name: count for name in files.others() if (count := len(files.read(name)))}


def kept_whole(cluster: Cluster) -> dict[str, int]:
    """The same, once the answers that were under way have come and are in the file too."""
    found: dict[str, int] = {}
    while found != (found := kept(cluster)):
        time.sleep(1)
    return found


def stop_in_the_middle(cluster: Cluster, cloud: CountingCloud, database: StoppableServer, exam: Exam) -> str:
    """Stop the server while the exam's images go; the node that had them under way."""
    files = exam.study.files
    for port, half in zip(cluster.ports, (files[::2], files[1::2]), strict=True):
        send_all(port, half)
    cluster.site.report(exam)
    cluster.site.wait_until(lambda: cloud.requests_of(exam.study).total() > 50, "images go", 30)
    database.stop()
    cluster.site.wait_until(lambda: bool(kept(cluster)), "results are kept", 30)
    return next(iter(kept_whole(cluster)))


def test_each_instance_goes_once_when_the_database_server_stops_and_when_the_sender_is_killed_meanwhile(
    cluster: Cluster, cloud: CountingCloud, database: StoppableServer
) -> None:
    site = cluster.site
    first, second = make_exam(site, 1, instances=300, side=10), make_exam(site, 2, instances=200, side=10)
    stop_in_the_middle(cluster, cloud, database, first)
    assert cloud.requests_of(first.study).total() < len(first.study.files), "it is stopped in the middle"
    database.start()
    site.wait_for(State.DELIVERED, first.id, seconds=60)
    cloud.assert_has(first.study)
    again = cloud.requests_of(first.study).total() - len(first.study.files)
    assert again <= ASSOCIATIONS
    assert kept(cluster) == {}

    sender = stop_in_the_middle(cluster, cloud, database, second)
    cluster.nodes[sender].kill()
    database.start()
    site.wait_for(State.DELIVERED, second.id, seconds=60)
    cloud.assert_has(second.study)
    again = cloud.requests_of(second.study).total() - len(second.study.files)
    assert again <= ASSOCIATIONS
    assert kept(cluster) == {}
    assert cloud.most <= ASSOCIATIONS
