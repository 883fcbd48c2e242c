"""A receiver as a process of its own until SIGTERM.

`receiver.py ours|durable|unsynced FOLDER PORT WORKERS MAX_PDU [SECONDS]`: ours with a disk slower by so many seconds.
"""

import itertools
import os
import signal
import sys
import threading
from pathlib import Path

import slow_disk
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, _config, evt

from router.dicom.scp.admission import Admission
from router.dicom.scp.server import StorageServer
from router.dicom.ul.socket import Limits
from router.node import receive_worker
from router.storage.incoming import Incoming, IncomingFolder

JOURNAL = 2**29  # the node's default, for all workers together


def ours(folder: Path, port: int, workers: int, max_pdu: int, slower: float) -> None:
    """The node's own."""
    if slower:
        slow_disk.slow(slower)
        slow_disk.slow_workers(slower)
    incoming = Incoming(folder)
    own = IncomingFolder(incoming.worker_folder(1), 0, 0 if workers else JOURNAL)
    sink = receive_worker.commands(incoming, workers, 0, JOURNAL // workers) if workers else own
    server = StorageServer(
        sink,
        admission=Admission(),
        record=lambda _: None,
        limits=Limits(max_pdu=max_pdu),
    )
    server.start("127.0.0.1", port)
    _wait()
    server.stop(2)
    own.close()


def plain(folder: Path, port: int, max_pdu: int, *, durable: bool) -> None:
    """pynetdicom's loop, the handler as its documentation shows it for speed; `durable` adds the syncs."""
    numbers = itertools.count()

    def store(event: evt.Event) -> int:
        path = folder / f"{next(numbers)}.part"
        with path.open("wb") as file:
            file.write(event.encoded_dataset())
            if durable:
                file.flush()
                os.fsync(file.fileno())
        if durable:
            path.rename(path.with_suffix(".dcm"))
            handle = os.open(folder, os.O_RDONLY)
            os.fsync(handle)
            os.close(handle)
        return 0x0000

    entity = AE()
    _config.UNRESTRICTED_STORAGE_SERVICE = True
    entity.add_supported_context("1.2.840.10008.1.1", ALL_TRANSFER_SYNTAXES)
    entity.maximum_pdu_size = max_pdu
    server = entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    _wait()
    if server is not None:
        server.shutdown()


def _wait() -> None:
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    while not ended.wait(1):
        pass


def main(kind: str, folder: str, port: str, workers: str, max_pdu: str, slower: str = "0") -> None:
    if kind == "ours":
        ours(Path(folder), int(port), int(workers), int(max_pdu), float(slower))
    else:
        plain(Path(folder), int(port), int(max_pdu), durable=kind == "durable")


if __name__ == "__main__":
    main(*sys.argv[1:])
