"""kill -9 of the node or of the platform, at whatever moment: nothing acknowledged is lost, nothing is doubled."""

import gc
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from router.delivery.ledger_writer import LEDGER_BATCH
from router.dicom.dataset.header import digest
from router.dicom.scu.client import Result
from router.errors import TransientError
from router.model import Channel
from router.policy.states import State
from router.trial.demo.studies import DemoFile
from support.harness import Relay, Site, SlowCloud, command_here, make_exam, send, send_all, wait_for

IMAGES, REPORT = (Channel.IMAGES,), (Channel.REPORT,)
IN_FLIGHT = 2  # the destination's associations
# pynetdicom leaves the socket of a peer that was killed to the garbage collector, which says so.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(autouse=True)
def _no_socket_is_left_to_other_tests() -> Iterator[None]:
    yield
    gc.collect()


@pytest.fixture(scope="module")
def receiving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("receiving"), stable_after="500 ms", workers=2)
    try:
        yield site.start()
    finally:
        site.stop()


class Forwarding:
    """A site whose images go to a slow cloud, and whose reports pass a relay on their way to the platform."""

    def __init__(self, folder: Path) -> None:
        self.cloud = SlowCloud(pause=0.005)
        self.relay = Relay()
        self.site = Site(folder, dicom_port=self.cloud.port, http_port=self.relay.port, stable_after="300 ms")
        self.relay.target = self.site.platform.ports["http"]

    def stop(self) -> None:
        self.site.stop()
        self.cloud.stop()
        self.relay.stop()


@pytest.fixture(scope="module")
def forwarding(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forwarding]:
    found = Forwarding(tmp_path_factory.mktemp("forwarding"))
    try:
        found.site.start()
        yield found
    finally:
        found.stop()


class Sender:
    """The PACS in a thread: sends until done or cut off, and remembers what was acknowledged."""

    def __init__(self, port: int, files: Sequence[DemoFile]) -> None:
        self.acknowledged: list[DemoFile] = []
        self.cut_off = False
        self._files = files
        self._results: Iterator[Result] = send(port, files)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            for result in self._results:
                assert result.status == 0
                self.acknowledged.append(self._files[result.key])
                time.sleep(0.005)  # the pace of a scanner, so that a kill comes in the middle
        except TransientError:
            self.cut_off = True


def kept(site: Site, file: DemoFile) -> bool:
    """Whether the node has the instance in its place, byte for byte."""
    path = site.data / "studies" / file.study / file.series / f"{file.sop_instance}.dcm"
    return path.exists() and digest(path) == digest(file.path)


@pytest.mark.parametrize("acknowledged", [1, 14, 27])
def test_what_was_acknowledged_before_a_kill_in_the_middle_of_receiving_is_there_afterwards_and_is_delivered(
    acknowledged: int, receiving: Site
) -> None:
    exam = make_exam(receiving, acknowledged)
    files = exam.study.files
    senders = [Sender(receiving.port, half) for half in (files[:10], files[10:])]
    wait_for(lambda: sum(len(sender.acknowledged) for sender in senders) >= acknowledged)
    receiving.node.kill()
    for sender in senders:
        sender.join()
    safe = [file for sender in senders for file in sender.acknowledged]
    assert any(sender.cut_off for sender in senders), "the node was killed too late for this test to say anything"
    receiving.wait_until(lambda: receiving.workers() == 0, "the receive workers die with the node")
    assert receiving.node.running
    assert receiving.workers() == 2
    assert [file.sop_instance for file in safe if not kept(receiving, file)] == []
    assert list((receiving.data / "incoming").rglob("*.part")) == []

    send_all(receiving.port, files)
    receiving.report(exam)
    receiving.wait_for(State.DELIVERED, exam.id)
    receiving.assert_images_equal(exam.study)
    requests = receiving.stored_requests()
    assert {requests[file.sop_instance] for file in files} == {1}
    assert receiving.line(exam.id, Channel.IMAGES).selected == len(files)


def test_verify_is_sound_when_the_node_is_dead_and_incoming_is_full(receiving: Site) -> None:
    exam = make_exam(receiving, 90)
    send_all(receiving.port, exam.study.files)
    receiving.node.kill()
    answer = command_here("verify", "--json", "--config", receiving.config_file)
    assert answer.returncode == 0, answer.stdout
    assert receiving.node.running
    assert all(kept(receiving, file) for file in exam.study.files)


@pytest.mark.parametrize("pause", [0.1, 0.3])
def test_reports_dropped_around_a_kill_are_each_taken_and_delivered_once(pause: float, receiving: Site) -> None:
    exams = [make_exam(receiving, 100 + int(pause * 100) * 10 + n, instances=1, side=10) for n in range(4)]
    send_all(receiving.port, [file for exam in exams for file in exam.study.files])
    for exam in exams:
        receiving.report(exam)
    time.sleep(pause)
    receiving.node.kill()
    assert receiving.node.running
    for exam in exams:
        receiving.wait_for(State.DELIVERED, exam.id)
        assert len(receiving.receipts(exam.id)) == 1
        assert (receiving.exam_at_platform(exam.id) / "report.pdf").read_bytes() == exam.pdf(receiving.folder)
        assert not receiving.exam_at_platform(exam.id, 2).exists()
        assert (receiving.drop_folder / "done" / f"{exam.id}.json").exists()
    assert [path for path in receiving.drop_folder.iterdir() if path.is_file()] == []


@pytest.mark.parametrize("sent", [5, 100])
def test_a_kill_in_the_middle_of_forwarding_loses_nothing_and_sends_again_no_more_than_is_unwritten(
    sent: int, forwarding: Forwarding
) -> None:
    site, cloud = forwarding.site, forwarding.cloud
    exam = make_exam(site, sent, instances=120, side=10)
    send_all(site.port, exam.study.files)
    site.report(exam)
    site.wait_until(lambda: cloud.requests_of(exam.study).total() >= sent, f"{sent} C-STORE requests")
    site.node.kill()
    before = cloud.requests_of(exam.study)
    assert before.total() < len(exam.study.files), "the node was killed too late for this test to say anything"
    assert site.node.running
    site.wait_for(State.DELIVERED, exam.id)
    cloud.assert_has(exam.study)
    again = cloud.requests_of(exam.study).total() - len(exam.study.files)
    assert again <= IN_FLIGHT + LEDGER_BATCH
    assert site.line(exam.id, Channel.IMAGES).sent == len(exam.study.files)
    assert len(site.receipts(exam.id)) == 1


def test_a_kill_between_the_upload_and_its_receipt_gets_the_same_receipt_afterwards(forwarding: Forwarding) -> None:
    site, relay = forwarding.site, forwarding.relay
    exam = make_exam(site, 200, instances=1, side=10)
    relay.mute = True
    send_all(site.port, exam.study.files)
    site.report(exam)
    site.wait_until(relay.muted.is_set, "the platform has answered, and the answer is kept back")
    assert len(site.receipts(exam.id)) == 1
    assert not site.is_in(State.DELIVERED, exam.id, REPORT)
    site.node.kill()
    relay.mute = False
    assert site.node.running
    site.wait_for(State.DELIVERED, exam.id)
    [first] = site.receipts(exam.id)
    uploads = [path.read_text(encoding="utf-8") for path in (site.data / "reports").glob("*/sent/cloud/1/receipt.json")]
    assert sum(first["receipt"] in upload for upload in uploads) == 1
    assert site.exam_at_platform(exam.id).exists()
    assert not site.exam_at_platform(exam.id, 2).exists()


@pytest.fixture
def delivering(tmp_path: Path) -> Iterator[Site]:
    site = Site(tmp_path, stable_after="300 ms")
    try:
        yield site.start()
    finally:
        site.stop()


def test_a_kill_of_the_platform_puts_off_and_the_rest_goes_by_itself_when_it_is_back_on_its_port(
    delivering: Site,
) -> None:
    exam = make_exam(delivering, 1, instances=200, side=60)
    send_all(delivering.port, exam.study.files)
    delivering.report(exam)
    delivering.wait_until(lambda: delivering.stored_requests().total() >= 20, "20 instances are at the platform")
    delivering.platform.kill()
    before = delivering.stored_requests().total()
    assert before < len(exam.study.files), "the platform was killed too late for this test to say anything"
    delivering.wait_for(State.READY, exam.id, IMAGES)
    assert delivering.platform.running
    delivering.wait_for(State.DELIVERED, exam.id)
    delivering.assert_images_equal(exam.study)
    assert max(delivering.stored_requests().values()) <= 2
    assert delivering.stored_requests().total() <= len(exam.study.files) + IN_FLIGHT + LEDGER_BATCH
    assert len(delivering.receipts(exam.id)) == 1
