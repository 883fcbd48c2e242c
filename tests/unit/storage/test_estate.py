"""What a dead node left in incoming/, and the locks that say it is dead."""

import os
from pathlib import Path

import pytest

from router.errors import ConfigurationError
from router.model import InstanceUids
from router.storage import journal, open_storage
from router.storage.incoming import Incoming, IncomingFolder
from router.storage.journal import SEGMENT_BYTES
from router.storage.lock import lock, share
from router.storage.takeover import Takeover
from support.dicom_peers import wait_until


def acknowledged(sink: IncomingFolder, data: bytes) -> bool:
    file = sink.create()
    file.write([data])
    file.commit(InstanceUids("1", "2", "3"))
    return True


@pytest.fixture
def incoming(tmp_path: Path) -> Path:
    """incoming/ of two nodes; `dead` has an acknowledged instance, and a part of one that was not."""
    for name in ("dead", "alive"):
        open_storage(tmp_path, name)
    folder = tmp_path / "incoming" / "dead" / "1"
    acknowledged(IncomingFolder(folder, 0), b"kept")
    (folder / "7.part").write_bytes(b"never acknowledged")
    return tmp_path / "incoming"


def test_what_a_dead_node_acknowledged_is_taken_over_as_it_is(incoming: Path) -> None:
    assert Takeover(incoming, "alive").take_over("dead") == 1
    assert [path.read_bytes() for path in Incoming(incoming / "alive").files(10)] == [b"kept"]
    assert [path for path in incoming.rglob("*") if path.suffix == ".part"] == []
    assert Takeover(incoming, "alive").take_over("dead") == 0


def test_what_only_the_journal_of_a_dead_node_holds_is_taken_over_too(
    incoming: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal, "_QUIET", 5.0)
    monkeypatch.setattr(journal, "_LONGEST", 5.0)
    worker = tmp_path / "worker"
    sink = IncomingFolder(worker, 0, 2 * SEGMENT_BYTES)  # with no other segment free, it would be filed at once
    wait_until(lambda: [path.stat().st_size for path in worker.glob("*.journal")] == [SEGMENT_BYTES] * 2)
    wait_until(
        lambda: acknowledged(sink, b"journal") and any(b"journal" in p.read_bytes() for p in worker.glob("*.journal"))
    )
    (incoming / "dead" / "2").mkdir()
    for segment in worker.glob("*.journal"):
        (incoming / "dead" / "2" / segment.name).write_bytes(segment.read_bytes())
    sink.close()
    Takeover(incoming, "alive").take_over("dead")
    assert {path.read_bytes() for path in Incoming(incoming / "alive").files(10)} == {b"kept", b"journal"}


@pytest.mark.parametrize("alive", [lambda folder: lock(folder, "dead"), share], ids=["node", "a worker"])
def test_nothing_is_taken_from_a_node_that_lives_or_has_a_worker_that_does(incoming: Path, alive: object) -> None:
    assert callable(alive)
    handle = alive(incoming / "dead")
    assert Takeover(incoming, "alive").take_over("dead") is None
    assert len(Incoming(incoming / "dead").files(10)) == 1
    os.close(handle)
    assert Takeover(incoming, "alive").take_over("dead") == 1


def test_a_node_does_not_sweep_while_a_worker_of_its_former_life_runs(
    incoming: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("router.storage.lock._WORKERS_PATIENCE", 0.1)
    handle = share(incoming / "dead")
    with pytest.raises(ConfigurationError, match="receive workers of a former life"):
        Incoming(incoming / "dead").sweep(1)
    os.close(handle)
    Incoming(incoming / "dead").sweep(1)
    assert list(incoming.rglob("*.part")) == []


def test_what_another_node_has_not_catalogued_yet_is_known_here(incoming: Path) -> None:
    (waiting,) = Incoming(incoming / "dead").files(10)
    assert Incoming(incoming / "alive").oldest() is None
    oldest = Incoming(incoming / "alive", incoming).oldest()
    assert oldest is not None
    assert oldest == Incoming(incoming / "dead").oldest()
    waiting.unlink()
    assert Incoming(incoming / "alive", incoming).oldest() is None
