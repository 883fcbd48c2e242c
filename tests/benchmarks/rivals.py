"""Receivers to compare: the node's, DCMTK's, Orthanc and pynetdicom's. Each starts anew, in an empty folder."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import orthanc as orthanc_program
import processes
from measure import Case, Timing
from processes import Peer, running

from router.config.sections import DicomDestination
from router.dicom.scu.client import StorageClient

LARGE_PDU = 131072

Receiver = Callable[[Path], AbstractContextManager[Peer]]


def case(folder: Path, receiver: Receiver, send: Callable[[int], float]) -> Case:
    """To start the receiver anew, and time `send` with its port."""

    @contextmanager
    def prepared() -> Iterator[Timing]:
        with processes.fresh(folder) as own, receiver(own) as peer:
            yield lambda: send(peer.port)

    return prepared


def ours(workers: int, max_pdu: int = LARGE_PDU, slower: float = 0.0) -> Receiver:
    """This node's Storage SCP with so many worker processes; 0: threads of one process. Its disk may be `slower`."""

    @contextmanager
    def start(folder: Path) -> Iterator[Peer]:
        with _receiver("ours", folder, workers, max_pdu, slower) as peer:
            StorageClient(DicomDestination(port=peer.port)).echo()  # answered when every worker is up
            yield peer

    return start


def storescp(*options: str, best: bool) -> Receiver:
    """DCMTK's; it never syncs. At its best the data set is written as it comes, in large PDUs, without delays."""

    @contextmanager
    def start(folder: Path) -> Iterator[Peer]:
        port = processes.free_port()
        settings = ("+B", "+xa", "-pdu", str(LARGE_PDU)) if best else ()
        environment = {"TCP_NODELAY": "1"} if best else {}
        command = ["storescp", "-od", str(folder), *options, *settings, str(port)]
        with running(command, port, **environment) as peer:
            yield peer

    return start


def orthanc(*, best: bool, sync: bool) -> Receiver:
    """Orthanc with or without SyncStorageArea."""

    def start(folder: Path) -> AbstractContextManager[Peer]:
        return orthanc_program.orthanc(folder, best=best, SyncStorageArea=sync)

    return start


def pynetdicom(*, durable: bool, max_pdu: int) -> Receiver:
    """pynetdicom's own service loop; the raw bytes to a file, synced or not."""

    def start(folder: Path) -> AbstractContextManager[Peer]:
        return _receiver("durable" if durable else "unsynced", folder, 0, max_pdu)

    return start


@contextmanager
def _receiver(kind: str, folder: Path, workers: int, max_pdu: int, slower: float = 0.0) -> Iterator[Peer]:
    port = processes.free_port()
    with running(processes.ours("receiver.py", kind, folder, port, workers, max_pdu, slower), port) as peer:
        yield peer
