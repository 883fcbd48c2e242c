"""Receive workers as processes: shared out, counted together, replaced when they die, gone with the main process."""

import errno
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from router.dicom.scp import worker_pool
from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.scp.store import Received, Refused
from router.dicom.ul import pdu
from router.node import receive_worker
from router.storage.incoming import Incoming, IncomingFolder
from support.forked_processes import forking_subprocess
from support.raw_pdus import GOOD, REQUEST, answer, associated, connected, status, store_command

MAIN = """
import sys, time
from pathlib import Path
from router.node import receive_worker
from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.storage.incoming import Incoming
server = StorageServer(
    receive_worker.commands(Incoming(Path(sys.argv[1])), 2, 0, 2**23), admission=Admission(), record=lambda _: None
)
print(server.start("127.0.0.1", 0), flush=True)
time.sleep(60)
"""


class Node:
    """A server of ours with two worker processes."""

    def __init__(self, folder: Path, admission: Admission) -> None:
        self.folder = folder
        self.incoming = Incoming(folder)
        self.outcomes: list[Received | Refused] = []
        commands = receive_worker.commands(self.incoming, 2, 0, 2**23)
        self.server = StorageServer(commands, admission=admission, record=self.outcomes.append)
        self.port = self.server.start("127.0.0.1", 0)

    @property
    def workers(self) -> list[int]:
        """Its receive workers that run."""
        return workers_of(self.folder)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    node = Node(tmp_path / "incoming", Admission(max_associations_per_sender=4))
    yield node
    node.server.stop(3)
    assert node.workers == []


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One for the tests that leave its workers as they are."""
    node = Node(tmp_path_factory.mktemp("shared") / "incoming", Admission())
    yield node
    node.server.stop(3)
    assert node.workers == []


@pytest.fixture
def _forked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers that need not load the program; `shared` has workers as the product starts them."""
    monkeypatch.setattr(worker_pool, "subprocess", forking_subprocess())


def workers_of(folder: Path) -> list[int]:
    """The receive workers that run for a folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            stat = (entry / "stat").read_text(encoding="ascii").rpartition(")")[2].split()
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if stat[0] not in "ZX" and os.fsencode(f"{folder}/") in line:
            found.append(int(entry.name))
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 20) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def store(peer: socket.socket) -> int:
    peer.sendall(GOOD)
    return status(peer)


def test_associations_are_shared_out_and_each_worker_writes_to_its_own_folder(shared: Node) -> None:
    before = set(shared.incoming.files(99))
    with associated(shared.port) as first, associated(shared.port) as second:
        assert store(first) == store(second) == 0
    wait_for(lambda: len(shared.incoming.files(99)) == len(before) + 2)
    assert {path.parent.name for path in set(shared.incoming.files(99)) - before} == {"1", "2"}
    wait_for(lambda: len(shared.outcomes) >= 2)
    outcome = shared.outcomes[-1]
    assert isinstance(outcome, Received)
    assert (outcome.calling_ae, outcome.address, outcome.uids.sop) == ("HOSTILE", "127.0.0.1", "1.2.3.4.5")


@pytest.mark.parametrize(
    ("title", "read"),
    [(" CT一室".encode("gbk"), "CT一室"), (b"A\\B", "A\\B"), (b"\xff\xfe", "\N{REPLACEMENT CHARACTER}"), (b"", "")],
)
def test_a_title_of_any_bytes_goes_between_the_processes(shared: Node, title: bytes, read: str) -> None:
    before = len(shared.outcomes)
    with connected(shared.port) as peer:
        peer.sendall(REQUEST[:26] + title.ljust(16, b"\0") + REQUEST[42:])
        assert answer(peer)[0] == pdu.PduType.ASSOCIATE_AC
        assert store(peer) == 0
    wait_for(lambda: len(shared.outcomes) == before + 1)
    assert shared.outcomes[-1].calling_ae == read


@pytest.mark.usefixtures("_forked")
def test_the_limit_per_sender_counts_over_all_workers_and_a_release_makes_room_at_once(node: Node) -> None:
    with associated(node.port), associated(node.port), associated(node.port):
        for _ in range(10):
            with associated(node.port) as fourth, connected(node.port) as fifth:
                fifth.sendall(REQUEST)
                kind, body = answer(fifth)
                assert (kind, body[1:]) == (pdu.PduType.ASSOCIATE_RJ, b"\2\3\2")
                fourth.sendall(b"\5\0\0\0\0\4\0\0\0\0")
                assert answer(fourth)[0] == pdu.PduType.RELEASE_RP


@pytest.mark.usefixtures("_forked")
def test_a_worker_that_is_killed_is_restarted_and_its_associations_no_longer_count(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    lost = [associated(node.port) for _ in range(4)]
    for one in lost:
        one.__enter__()
    before = node.workers
    for process in before:
        os.kill(process, signal.SIGKILL)
    wait_for(lambda: len(set(node.workers) - set(before)) == 2)
    for _ in range(4):
        with associated(node.port) as peer:
            assert store(peer) == 0
    assert "restarted" in caplog.text
    for one in lost:
        one.__exit__(None, None, None)


def test_a_worker_that_cannot_be_started_for_a_while_is_started_after_it(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, tried, start = node.workers, [], subprocess.Popen
    monkeypatch.setattr(worker_pool, "_RESTART_SECONDS", 0.05)

    def refused_twice(*args: Any, **kwargs: Any) -> Any:
        tried.append(1)
        if len(tried) <= 2:
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        return start(*args, **kwargs)

    monkeypatch.setattr(subprocess, "Popen", refused_twice)
    for process in before:
        os.kill(process, signal.SIGKILL)
    wait_for(lambda: len(set(node.workers) - set(before)) == 2)
    with associated(node.port) as peer:
        assert store(peer) == 0


def test_a_worker_leaves_signals_to_the_main_process(shared: Node) -> None:
    with associated(shared.port) as peer:
        for process in shared.workers:
            os.kill(process, signal.SIGTERM)
            os.kill(process, signal.SIGINT)
        assert store(peer) == 0


def test_workers_die_with_the_main_process(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", MAIN, str(tmp_path / "in")], stdout=subprocess.PIPE) as main:
        assert main.stdout is not None
        port = int(main.stdout.readline())
        with associated(port) as peer:
            peer.sendall(pdu.abort(pdu.AbortSource.SERVICE_USER))
        workers = workers_of(tmp_path / "in")
        assert len(workers) == 2
        main.kill()
    wait_for(lambda: not any(Path(f"/proc/{process}").exists() for process in workers))


@pytest.mark.usefixtures("_forked")
def test_stopping_finishes_the_instance_at_hand_then_aborts(tmp_path: Path) -> None:
    node = Node(tmp_path / "incoming", Admission())
    with associated(node.port) as peer, associated(node.port) as idle:
        command = len(store_command()) + 12
        peer.sendall(GOOD[: command + 500])
        time.sleep(0.2)
        late = threading.Timer(0.3, peer.sendall, [GOOD[command + 500 :]])  # while the server is stopping
        late.start()
        node.server.stop(5)
        late.join()
        assert status(peer) == 0
        assert answer(peer)[0] == answer(idle)[0] == pdu.PduType.ABORT
    wait_for(lambda: len(node.incoming.files(10)) == 1)


def test_the_cataloguer_reads_every_folder_in_order_of_arrival_also_of_workers_that_are_no_more(tmp_path: Path) -> None:
    incoming = Incoming(tmp_path)
    sinks = [IncomingFolder(incoming.worker_folder(number), 0) for number in (1, 2, 9)]
    for number in range(6):
        file = sinks[number % 3].create()
        file.write([b"x", memoryview(b"%d" % number)])
        file.commit(None)  # type: ignore[arg-type]  # not part of the name
    unfinished = sinks[2].create()
    assert [path.read_bytes() for path in incoming.files(4)] == [b"x0", b"x1", b"x2", b"x3"]
    assert len(incoming.files(99)) == 6
    Incoming(tmp_path).sweep(1)
    assert not list(tmp_path.glob("*/*.part"))
    unfinished.discard()


@pytest.mark.usefixtures("_forked")
def test_a_worker_that_gives_no_sign_of_life_is_replaced_while_the_disk_takes_what_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_pool, "_BEAT_SECONDS", 0.2)
    monkeypatch.setattr(worker_pool, "_BEATS", 6)
    node = Node(tmp_path / "incoming", Admission())
    before = node.workers
    os.kill(before[0], signal.SIGSTOP)
    wait_for(lambda: before[0] not in node.workers, 15)
    wait_for(lambda: len(node.workers) == 2, 15)
    assert before[1] in node.workers
    assert "no sign of life" in caplog.text
    with associated(node.port) as peer:
        assert store(peer) == 0
    node.server.stop(3)


@pytest.mark.usefixtures("_forked")
def test_a_worker_that_is_not_up_or_does_not_answer_does_not_count_and_gets_no_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_pool, "_BEAT_SECONDS", 0.2)
    node = Node(tmp_path / "incoming", Admission())
    assert (node.server.accepts, node.server.workers) == (True, (2, 2))
    halted = node.workers[0]
    os.kill(halted, signal.SIGSTOP)
    wait_for(lambda: node.server.workers == (1, 2), 15)
    for _ in range(4):
        with associated(node.port) as peer:
            assert store(peer) == 0
    os.kill(halted, signal.SIGCONT)
    wait_for(lambda: node.server.workers == (2, 2), 15)
    for each in node.workers:
        os.kill(each, signal.SIGKILL)
    wait_for(lambda: node.server.workers == (0, 2), 15)
    wait_for(lambda: node.server.workers == (2, 2), 15)
    node.server.stop(3)
    assert (node.server.accepts, node.server.workers) == (False, (0, 2))


@pytest.mark.usefixtures("_forked")
def test_a_silent_worker_is_left_alone_while_the_disk_takes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(worker_pool, "_BEAT_SECONDS", 0.1)
    monkeypatch.setattr(worker_pool, "_BEATS", 6)
    tried = threading.Event()

    def full(_: Path, *, durable: bool) -> None:
        assert durable
        tried.set()
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(receive_worker, "try_write", full)
    node = Node(tmp_path / "incoming", Admission())
    before = node.workers
    os.kill(before[0], signal.SIGSTOP)
    assert tried.wait(15)
    time.sleep(1.5)
    assert node.workers == before
    assert "Input/output error" in caplog.text
    os.kill(before[0], signal.SIGCONT)
    node.server.stop(3)


def test_a_minute_without_an_answer_is_what_counts() -> None:
    assert worker_pool._BEAT_SECONDS * worker_pool._BEATS == 60
