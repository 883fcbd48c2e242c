"""A receive worker as a program of its own: `python -m router.worker FOLDER MIN_FREE DESCRIPTOR`.

Started by the node, never by hand: it serves the connections that come over the descriptor, into its folder.
"""

import logging
import signal
import sys
from pathlib import Path

from router.dicom.workers import WorkerCommands, work
from router.storage.incoming import Incoming, IncomingFolder


def commands(incoming: Incoming, count: int, min_free: int) -> WorkerCommands:
    """How to start `count` workers, each with a folder of `incoming`; `min_free` in bytes."""
    program = (sys.executable, "-m", __name__)
    return WorkerCommands(tuple((*program, str(incoming.worker_folder(n + 1)), str(min_free)) for n in range(count)))


def main(folder: str, min_free: str, descriptor: str) -> None:
    """Signals are the main process's business: it stops its workers in order, and they end when it dies."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    work(int(descriptor), IncomingFolder(Path(folder), int(min_free)))


if __name__ == "__main__":
    main(*sys.argv[1:])
